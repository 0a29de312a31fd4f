// Rows of a page of namespaces: what the store reads and the wire carries.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/event_id.h"

struct namespace_row {
    struct bytes name;
    uint64_t events;
    uint64_t bytes; // plain bytes of these events, encoded
    struct event_id first;
    struct event_id last;
    uint64_t first_timestamp_ms;
    uint64_t last_timestamp_ms;
};

// Fixed layout, big-endian: events 8, bytes 8, first 10, last 10, first ms 8, last ms 8, length of
// the name 2, the name.
int namespace_row_append(struct buffer *out, const struct namespace_row *row) MUST_CHECK;
int namespace_row_next(struct bytes *rest, struct namespace_row *row_out) MUST_CHECK;
