// What a durable subscription wants, and how its group works: said when it is created, and the same
// on every node (docs/subscriptions.md). Its bytes have a fixed layout, big-endian, in the events
// that say it and in answers to clients (docs/protocol.md, "Events of
// durable subscriptions").
#pragma once

#include "proto/base/limits.h"
#include "proto/model/attribute_match.h"
#include "proto/model/filter.h"

// By what events are kept in order: all with one key go to one consumer at a time.
enum group_key_kind {
    GROUP_KEY_NONE = 0,       // no order between consumers
    GROUP_KEY_NAMESPACE = 1,  //
    GROUP_KEY_COMPONENTS = 2, // the first `components` of the namespace's path
    GROUP_KEY_ATTRIBUTE = 3,  // the value of the first attribute of that name; without one: empty
};

enum { GROUP_COMPONENTS_MAX = 64 };

// Views; whoever keeps one copies what it needs.
struct subscription_definition {
    struct filter_entry entries[PATTERNS_MAX];
    uint32_t entries_count;                                   // 0: everything
    struct attribute_match attributes[ATTRIBUTE_MATCHES_MAX]; // all must match
    uint32_t attributes_count;
    uint64_t timestamp_min_ms; // events before it do not match; 0: no bound
    bool is_stable_order;
    bool is_transient; // its position is not written
    enum group_key_kind key;
    uint32_t key_components;      // COMPONENTS: 1 .. GROUP_COMPONENTS_MAX; else 0
    struct bytes key_attribute;   // ATTRIBUTE: a name; else empty
    uint32_t concurrency;         // consumers at one time; 1 .. GROUP_CONSUMERS_MAX
    uint32_t attempts;            // then an event is parked; 0: never
    uint32_t ack_wait_ms;         // silence after which an event comes again; at least 1
    uint32_t checkpoint_every;    // acknowledgements; at least 1
    uint32_t checkpoint_after_ms; // at least 1
    uint32_t queue;               // events that wait in the group; at least 1
};

// Every default of docs/subscriptions.md; everything.
void subscription_definition_init(struct subscription_definition *definition);

// Whether all that is said above holds of it; else ERR_INVALID and why not. Patterns are not
// compiled: what filter_new refuses is refused where it is created.
int subscription_definition_check(const struct subscription_definition *definition,
                                  struct reason *reason) MUST_CHECK;

bool subscription_definition_equal(const struct subscription_definition *a,
                                   const struct subscription_definition *b);

// It must be sound. ERR_MEMORY leaves `out` as it was.
int subscription_definition_encode(const struct subscription_definition *definition,
                                   struct buffer *out) MUST_CHECK;

// Takes it off the front of *rest, into which its views point. ERR_INVALID: it is cut or not sound,
// or has a flag that is not known and would change what it means.
int subscription_definition_decode(struct bytes *rest,
                                   struct subscription_definition *definition_out) MUST_CHECK;
