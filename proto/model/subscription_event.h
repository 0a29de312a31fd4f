// Events of the namespaces `/$weir/subscriptions/NAME`: what a durable subscription is and how far
// it has got is decided by them alone (docs/subscriptions.md, "What is written"). Their data has a
// fixed layout, big-endian, like that of the events of members (docs/protocol.md, "Subscriptions
// that last"); what follows is ignored.
#pragma once

#include "proto/model/filter.h"
#include "proto/model/position.h"
#include "proto/model/request.h"

#define SUBSCRIPTIONS_NAMESPACE "/$weir/subscriptions/"
#define PARKED_NAMESPACE "/$weir/parked/"

enum { SUBSCRIPTION_NAME_BYTES_MAX = 200 };

enum subscription_event_kind {
    SUBSCRIPTION_CREATED = 1,
    SUBSCRIPTION_RESET = 2,
    SUBSCRIPTION_DELETED = 3,
    SUBSCRIPTION_CHECKPOINT = 4,
};

// By what events are kept in order: all with one key go to one consumer at a time.
enum group_key_kind {
    GROUP_KEY_NONE = 0,       // no order between consumers
    GROUP_KEY_NAMESPACE = 1,  //
    GROUP_KEY_COMPONENTS = 2, // the first `components` of the namespace's path
    GROUP_KEY_ATTRIBUTE = 3,  // the value of the first attribute of that name; without one: empty
};

struct attribute_match {
    struct bytes name;
    struct bytes value; // one attribute of that name has exactly this value
};

enum { ATTRIBUTE_MATCHES_MAX = 16, GROUP_COMPONENTS_MAX = 64 };

// What is wanted. Views; whoever keeps one copies what it needs.
struct subscription_definition {
    struct filter_entry entries[PATTERNS_TOTAL_MAX];
    uint32_t entries_count;                                   // 0: everything
    struct attribute_match attributes[ATTRIBUTE_MATCHES_MAX]; // all must match
    uint32_t attributes_count;
    uint64_t timestamp_min_ms; // events before it do not match; 0: no bound
    bool is_stable_order;
    enum group_key_kind key;
    uint32_t key_components;      // COMPONENTS: 1 ..
    struct bytes key_attribute;   // ATTRIBUTE
    uint32_t concurrency;         // consumers at one time; 1 .. GROUP_CONSUMERS_MAX
    uint32_t attempts;            // then an event is parked; 0: never
    uint32_t ack_wait_ms;         // silence after which an event comes again; at least 1
    uint32_t checkpoint_every;    // acknowledgements; at least 1
    uint32_t checkpoint_after_ms; // at least 1
    uint32_t queue;               // events that wait in the group; at least 1
};

// Every default of the table in docs/subscriptions.md; everything, from the beginning.
void subscription_definition_init(struct subscription_definition *definition);

struct subscription_event {
    enum subscription_event_kind kind;
    struct event_id id;                        // of the event itself; not encoded
    struct subscription_definition definition; // CREATED, RESET
    struct bytes start;                        // CREATED, RESET: a cursor, encoded
    struct event_id generation;                // CHECKPOINT
    struct bytes position;                     // CHECKPOINT: position_encode
};

// ERR_MEMORY leaves `out` as it was.
int subscription_event_encode(const struct subscription_event *event,
                              struct buffer *out) MUST_CHECK;
// Views point into `data`. ERR_INVALID (also an unknown kind: a newer node wrote it).
int subscription_event_decode(struct bytes data, struct subscription_event *event_out) MUST_CHECK;

// Whether it may name a subscription; else why not.
bool subscription_name_is_valid(struct bytes name, struct reason *reason);
