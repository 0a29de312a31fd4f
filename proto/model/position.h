// How far a durable subscription has got: a version vector, and ranges above it that are done too
// (docs/subscriptions.md, "Positions and checkpoints").
#pragma once

#include "proto/base/limits.h"
#include "proto/model/version_vector.h"

// Events of one actor, both ends included; never empty.
struct done_range {
    uint16_t actor;
    uint64_t first;
    uint64_t last;
};

// Owns both. Ranges are sorted by actor and counter, lie above the vector, neither overlap nor
// touch each other or the vector. Zero-initialised: nothing is done.
struct position {
    struct version_vector vector;
    struct done_range *ranges;
    uint32_t ranges_count;
    uint32_t ranges_capacity;
};

void position_deinit(struct position *position);
void position_clear(struct position *position);
int position_copy(struct position *to, const struct position *from) MUST_CHECK;

// Everything from first to last of the actor is done. ERR_MEMORY leaves it as it was.
int position_add(struct position *position, uint16_t actor, uint64_t first,
                 uint64_t last) MUST_CHECK;

// Everything that the vector covers is done. ERR_MEMORY leaves it as it was.
int position_cover(struct position *position, const struct version_vector *vector) MUST_CHECK;

// What is done in either, into `to`. ERR_MEMORY leaves `to` with a part of it.
int position_merge(struct position *to, const struct position *from) MUST_CHECK;

bool position_is_done(const struct position *position, struct event_id id);

// How many of the actor's events from `first` on are alike: done or not, as the first of them is.
// At most `last - first + 1`; 0 only if last < first.
uint64_t position_run(const struct position *position, uint16_t actor, uint64_t first,
                      uint64_t last, bool *is_done_out);

bool position_equal(const struct position *a, const struct position *b);

// Ranges as they stand in positions and messages: actor 2, first 8, last 8, big-endian. next takes
// one off the front: ERR_INVALID when it is cut, or empty, or of no actor, or beyond COUNTER_MAX.
enum { DONE_RANGE_LENGTH = 18 };
int done_range_append(struct buffer *out, const struct done_range *range) MUST_CHECK;
int done_range_next(struct bytes *rest, struct done_range *range_out) MUST_CHECK;

// As docs/protocol.md lays it out: fixed fields, big-endian, like the events of members. At most
// POSITION_BYTES_MAX: beyond that the last of the ranges are left out, so that less is said to be
// done than is. ERR_MEMORY leaves `out` as it was.
#define POSITION_BYTES_MAX (SUBSCRIPTION_EVENT_BYTES_MAX - 64) // the event has a head, too
int position_encode(const struct position *position, struct buffer *out) MUST_CHECK;

// Takes it off the front of *rest. ERR_INVALID when anything above does not hold of it; ERR_MEMORY.
// `position` must be empty, and is after a failure.
int position_decode(struct bytes *rest, struct position *position) MUST_CHECK;

// Passes over it as position_decode, without keeping it. ERR_INVALID.
int position_skip(struct bytes *rest) MUST_CHECK;
