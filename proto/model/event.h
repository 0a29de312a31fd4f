// Events as they are encoded in produce requests, chunk bodies and slices: each a msgpack array
// [namespace, data] or [namespace, data, attributes], back to back. namespace is a msgpack str,
// data a bin, attributes an array of 2n elements: key (str), value (str or bin), and so on; keys
// may repeat. The parent is the attribute "p" with the ten key bytes of its id (bin).
// An event's id is implied by its position in the chunk or slice.
#pragma once

#include <assert.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/base/utf8.h"
#include "proto/model/event_id.h"
#include "proto/model/namespace.h"

struct event {
    struct bytes name; // its namespace
    struct bytes data;
    struct bytes attributes; // as encoded, with the array header; empty when there are none
    struct bytes encoded;    // the whole event, as it stands
};

struct attribute {
    struct bytes key;
    struct bytes value;
    bool value_is_text; // str, not bin
};

#define ATTRIBUTE_PARENT "p"

// event_next for any form that msgpack allows; called where the inlined usual form is not met.
int event_next_any(struct bytes *rest, struct event *event_out) MUST_CHECK;

// The usual form, [short name, data below 64 KiB]: sets *event_out and returns true, or returns
// false when the bytes are anything else. Never reads beyond bytes.
static inline bool event_take_usual(struct bytes *rest, struct event *event_out)
{
    const uint8_t *at = rest->data;
    size_t left = rest->length;
    if (left < 5 || at[0] != 0x92) { // an array of two
        return false;
    }
    size_t name_at = 2;
    size_t name_length = at[1] ^ 0xa0u; // fixstr: below 32
    if (name_length >= 32) {
        if (at[1] != 0xd9) { // str 8
            return false;
        }
        name_at = 3;
        name_length = at[2];
    }
    size_t data_at = name_at + name_length + 2;
    if (data_at >= left) {
        return false;
    }
    size_t data_length = at[data_at - 1];
    if (at[data_at - 2] != 0xc4) {     // bin 8
        if (at[data_at - 2] != 0xc5) { // bin 16
            return false;
        }
        data_length = data_length << 8 | at[data_at];
        data_at++;
    }
    if (data_length > left - data_at) {
        return false;
    }
    size_t length = data_at + data_length;
    event_out->name = bytes_of(at + name_at, name_length);
    event_out->data = bytes_of(at + data_at, data_length);
    event_out->attributes = bytes_of(at + length, 0);
    event_out->encoded = bytes_of(at, length);
    *rest = bytes_of(at + length, left - length);
    return true;
}

// Takes the next event off the front of *rest, which it advances. Checks that it is well formed
// and inside *rest, nothing about names or limits; linear, no allocation.
// 0, or ERR_INVALID when the bytes are no event (then *rest and *event_out are unspecified).
static inline MUST_CHECK int event_next(struct bytes *rest, struct event *event_out)
{
    return event_take_usual(rest, event_out) ? 0 : event_next_any(rest, event_out);
}

// As event_next for bytes that were validated before: asserts instead of failing. The hot path.
static inline void event_next_trusted(struct bytes *rest, struct event *event_out)
{
    int err = event_next(rest, event_out);
    assert(err == 0);
}

// event_validate for all that is not a plain name with data.
int event_validate_any(const struct event *event, uint64_t data_bytes_max, bool allow_system,
                       struct reason *reason) MUST_CHECK;

// Everything a node requires of an event from outside: well-formed namespace (not the system's,
// unless `allow_system`), data at most `data_bytes_max`, attributes within limits and well formed
// (keys 1..255 bytes UTF-8; "p" at most once and a valid id; keys that begin with '$' are the
// system's). ERR_INVALID or ERR_LIMIT, with a reason that names the thing.
static inline MUST_CHECK int event_validate(const struct event *event, uint64_t data_bytes_max,
                                            bool allow_system, struct reason *reason)
{
    struct bytes name = event->name;
    bool is_usual = name.length >= 1 && name.length <= NAMESPACE_BYTES_MAX &&
                    ascii_is_printable(name.data, name.length) && !namespace_is_system(name) &&
                    event->data.length <= data_bytes_max && event->attributes.length == 0;
    return is_usual ? 0 : event_validate_any(event, data_bytes_max, allow_system, reason);
}

// Appends an event to `out`. `attributes` is an encoded array as in struct event, or empty.
int event_append(struct buffer *out, struct bytes name, struct bytes data,
                 struct bytes attributes) MUST_CHECK;

// The same for an event without attributes, whose name is not empty.
int event_append_plain(struct buffer *out, struct bytes name, struct bytes data) MUST_CHECK;

// Encodes attributes for event_append: n pairs and, if not none, the parent (first).
int attributes_append(struct buffer *out, const struct attribute *attributes, size_t count,
                      struct event_id parent) MUST_CHECK;

// Takes the next attribute off *rest (what event.attributes becomes after attributes_begin).
// attributes_begin returns how many pairs follow and moves *rest behind the array header.
int attributes_begin(struct bytes *rest, size_t *count_out) MUST_CHECK;
int attributes_next(struct bytes *rest, struct attribute *attribute_out) MUST_CHECK;

// The parent's id, or the none id.
struct event_id event_parent(const struct event *event);
