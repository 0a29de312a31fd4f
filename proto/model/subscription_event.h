// Events of the namespaces `/$weir/subscriptions/NAME`: what a durable subscription is and how far
// it has got is decided by them alone (docs/subscriptions.md, "What is written"). Their data has a
// fixed layout, big-endian, like that of the events of members (docs/protocol.md, "Events of
// durable subscriptions"); what follows is ignored.
#pragma once

#include "proto/model/position.h"
#include "proto/model/subscription_definition.h"

#define SUBSCRIPTIONS_NAMESPACE "/$weir/subscriptions/"
#define PARKED_NAMESPACE "/$weir/parked/"

enum { SUBSCRIPTION_NAME_BYTES_MAX = 200 };

enum subscription_event_kind {
    SUBSCRIPTION_CREATED = 1,
    SUBSCRIPTION_RESET = 2,
    SUBSCRIPTION_DELETED = 3,
    SUBSCRIPTION_CHECKPOINT = 4,
};

struct subscription_event {
    enum subscription_event_kind kind;
    struct event_id id;                        // of the event itself; not encoded
    struct subscription_definition definition; // CREATED, RESET
    struct bytes start;                        // CREATED, RESET: a cursor, encoded
    struct event_id generation;                // CHECKPOINT
    struct bytes position;                     // CHECKPOINT: position_encode
};

// The definition, cursor and position must be sound. ERR_LIMIT (beyond
// SUBSCRIPTION_EVENT_BYTES_MAX) and ERR_MEMORY leave `out` as it was.
int subscription_event_encode(const struct subscription_event *event,
                              struct buffer *out) MUST_CHECK;

// Views point into `data`; what does not belong to the kind is empty. All of it is checked, so that
// what is refused is refused everywhere: ERR_INVALID (also an unknown kind, which is passed over: a
// newer node wrote it), ERR_VERSION.
int subscription_event_decode(struct bytes data, struct subscription_event *event_out) MUST_CHECK;

// Whether it may name a subscription; else why not.
bool subscription_name_is_valid(struct bytes name, struct reason *reason);
