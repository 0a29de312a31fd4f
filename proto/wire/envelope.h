// What all messages have in common: the frame's length, the array, and its first two elements.
// For the codecs of requests and replies alone.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/event_id.h"
#include "proto/wire/pack.h"
#include "proto/wire/unpack.h"

// Keys of the options of SUBSCRIBE, ATTACH and SUBSCRIPTIONS, kinds of a filter's entries, orders:
// frozen.
enum subscribe_option {
    OPTION_FILTER = 1,
    OPTION_START = 2,
    OPTION_END = 3,
    OPTION_LIMIT = 4,
    OPTION_CREDIT_BYTES = 5,
    OPTION_HEARTBEAT_MS = 6,
    OPTION_ORDER = 7,
    OPTION_MARKS = 8,
    OPTION_IN_FLIGHT = 9,
    OPTION_CREATE = 10,
    OPTION_ATTRIBUTES = 11,
    OPTION_TIME_MIN = 12,
    OPTION_KEY = 13,
    OPTION_CONCURRENCY = 14,
    OPTION_ATTEMPTS = 15,
    OPTION_ACK_WAIT_MS = 16,
    OPTION_CHECKPOINT_EVERY = 17,
    OPTION_CHECKPOINT_AFTER_MS = 18,
    OPTION_QUEUE = 19,
    OPTION_TRANSIENT = 20,
};

enum entry_kind {
    ENTRY_PATTERN = 0,
    ENTRY_NAME = 1,
};

enum order {
    ORDER_ARRIVAL = 0,
    ORDER_STABLE = 1,
};

// Begins a frame of an array [kind, id, ...] with `count` elements in all.
void envelope_pack(struct pack *pack, struct buffer *out, uint32_t count, uint32_t kind,
                   uint64_t id);

// Completes the frame's length; `following` bytes of it come separately. ERR_MEMORY, ERR_LIMIT
// (beyond FRAME_BYTES_MAX): then `out` is as it was before envelope_pack.
int envelope_finish(struct pack *pack, size_t following) MUST_CHECK;

// An id, as a bin of its ten key bytes.
void envelope_pack_event_id(struct pack *pack, struct event_id id);

struct envelope {
    struct unpack unpack; // behind kind and id
    uint64_t kind;
    uint64_t id;
    uint32_t elements; // behind kind and id
};

void envelope_unpack(struct envelope *envelope, struct bytes message);

// Requires `count` elements behind kind and id; more are allowed.
void envelope_require(struct envelope *envelope, uint32_t count);

// After the first `count` elements: passes those that this version does not know, and checks that
// nothing follows. Returns the error that stuck, if any, with a reason that begins with `name`.
int envelope_close(struct envelope *envelope, uint32_t count, const char *name,
                   struct reason *reason) MUST_CHECK;

struct event_id envelope_unpack_event_id(struct unpack *unpack, const char *field);
