// Ids, names, attributes, events.
#pragma once

#include "outcomes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A view: valid as long as what it points to. data may be NULL when length is 0.
struct weir_bytes {
    const void *data;
    size_t length;
};

// A view of a C string, without its NUL.
WEIR_API struct weir_bytes weir_text(const char *text);

// Whether the bytes are UTF-8.
WEIR_API bool weir_is_text(struct weir_bytes bytes);

// An event's id: unique, for ever, the same on every node. Zeros: none.
struct weir_id {
    uint64_t counter; // 1 to 2^63-1
    uint16_t actor;   // 1 to 65535: the node that accepted it
};

// <0, 0, >0 in canonical order, the same on every node.
WEIR_API int weir_id_compare(struct weir_id a, struct weir_id b);

// 25 digits and NUL: sorts as text as the events do.
enum { WEIR_ID_TEXT_SIZE = 26 };
WEIR_API void weir_id_format(struct weir_id id, char out[WEIR_ID_TEXT_SIZE]);

// Reads the 25 digits, "counter.actor" or "counter-actor". WEIR_ERR_INVALID with a reason (which
// may be NULL).
WEIR_API int weir_id_parse(const char *text, struct weir_id *id_out,
                           struct weir_reason *reason) WEIR_MUST_CHECK;

// Whether the text is the name of a namespace / a pattern / a cursor. WEIR_ERR_INVALID,
// WEIR_ERR_LIMIT with a reason (which may be NULL); WEIR_ERR_MEMORY.
WEIR_API int weir_name_check(const char *name, struct weir_reason *reason) WEIR_MUST_CHECK;
WEIR_API int weir_pattern_check(const char *pattern, struct weir_reason *reason) WEIR_MUST_CHECK;
WEIR_API int weir_cursor_check(const char *cursor, struct weir_reason *reason) WEIR_MUST_CHECK;

// Attributes are small pairs beside the data, in order; keys may repeat.
struct weir_attribute {
    struct weir_bytes key;   // 1 to 255 bytes of UTF-8; "p" and what begins with '$' are weir's
    struct weir_bytes value; // any bytes, or text
    bool is_text;
};

// An event that was received. Views are valid as long as the notice it came in.
struct weir_event {
    struct weir_id id;
    struct weir_id parent;        // the event that caused it; zeros: none
    uint64_t timestamp_ms;        // UTC, by the clock of the node that accepted it
    struct weir_bytes name;       // its namespace
    struct weir_bytes data;       // not ended by a NUL
    struct weir_bytes attributes; // encoded, see below; the parent is among them, with key "p"
    uint32_t attempt; // of an attachment: 1 when it is handed out for the first time; otherwise 0
};

// Takes the attributes one after the other: *position is 0 at first, and stays the library's.
// WEIR_NOTHING: no more; WEIR_ERR_CORRUPT.
WEIR_API int weir_event_attribute(const struct weir_event *event, size_t *position,
                                  struct weir_attribute *attribute_out) WEIR_MUST_CHECK;

// The first with this key. WEIR_NOTHING: none; WEIR_ERR_CORRUPT.
WEIR_API int weir_event_find(const struct weir_event *event, const char *key,
                             struct weir_attribute *attribute_out) WEIR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
