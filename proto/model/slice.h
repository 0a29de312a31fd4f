// A slice: a run of consecutive events of one chunk, plain, for deliveries that are not whole
// chunks (filtered, cut by a start, an end or a limit, or merged with other actors' events).
//
// Slice header, SLICE_HEADER_LENGTH bytes, big-endian: actor (2), count (2), length of the events
// (4), first counter (8), timestamp in UTC milliseconds (8); then the events as encoded.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/chunk.h"

enum { SLICE_HEADER_LENGTH = 24 };

struct slice {
    uint16_t actor;
    uint16_t count;
    uint64_t first;
    uint64_t timestamp_ms;
    struct bytes events;
};

// Takes the next slice off *rest. ERR_INVALID when it is cut or empty; the events themselves are
// for event_next to check.
int slice_next(struct bytes *rest, struct slice *slice_out) MUST_CHECK;

// Appends one slice. ERR_MEMORY leaves `out` as it was.
int slice_append(struct buffer *out, const struct slice *slice) MUST_CHECK;

// Appends, as few slices as possible, those events of a plain chunk body whose bit is set in
// `positions` (bit i: the event with counter first + i). Returns 0 or ERR_MEMORY (`out` as before).
int slices_append(struct buffer *out, const struct chunk_header *header, struct bytes plain_body,
                  uint64_t positions) MUST_CHECK;
