// Rows of durable subscriptions: what a node says of each.
#pragma once

#include "proto/model/subscription_definition.h"
#include "proto/model/version_vector.h"

enum subscription_row_flag {
    // The node coordinates it or has asked who does; without it what stands below is 0.
    SUBSCRIPTION_ROW_COORDINATED = 1 << 0,
};

struct subscription_row {
    struct bytes name;
    struct event_id generation;
    struct subscription_definition definition;
    struct bytes cursor;       // of its position, encoded: the vector without what is above it
    uint64_t lag_events;       // held here and not done, matching or not
    uint64_t lag_ms;           // how old the oldest of them is
    uint32_t voids;            // creations that do not hold
    struct event_id void_last; // the highest of them; none: there are none
    uint32_t flags;            // enum subscription_row_flag

    uint16_t coordinator; // its actor
    uint32_t consumers;
    uint64_t in_flight;
    uint64_t waiting;
    uint64_t delivered; // this and the following since it is coordinated there
    uint64_t redelivered;
    uint64_t acked;
    uint64_t parked;
};

// One consumer of a subscription that is shown.
struct subscription_consumer {
    uint64_t id;          // at its coordinator
    uint16_t actor;       // of the node that its connection is to
    uint32_t in_flight;   // events
    uint64_t attached_ms; // for how long it has been there
    uint64_t delivered;
    uint64_t acked;
    struct bytes client; // the name that the client gave itself, and its address
};

enum { CONSUMER_CLIENT_BYTES_MAX = 255 };

// As rows, below. The client is at most CONSUMER_CLIENT_BYTES_MAX.
int subscription_consumer_append(struct buffer *out,
                                 const struct subscription_consumer *consumer) MUST_CHECK;
int subscription_consumer_next(struct bytes *rest,
                               struct subscription_consumer *consumer_out) MUST_CHECK;

// Fixed layout, big-endian (docs/protocol.md). The definition must be sound. ERR_MEMORY leaves
// `out` as it was.
int subscription_row_append(struct buffer *out, const struct subscription_row *row) MUST_CHECK;

// Takes a row off the front of *rest, into which its views point. ERR_INVALID: it is cut, or its
// definition or cursor is none.
int subscription_row_next(struct bytes *rest, struct subscription_row *row_out) MUST_CHECK;
