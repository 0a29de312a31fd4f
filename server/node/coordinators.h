// Who coordinates a durable subscription, as seen from this node: of itself and the members that it
// has a link to the one with the highest hash of the name and its uuid (docs/subscriptions.md).
#pragma once

#include "proto/base/limits.h"
#include "replication/replica.h"

struct coordinator {
    link_id link;
    struct uuid node;
    uint64_t seed; // for its hashes
    uint16_t actor;
    bool counts; // it has caught up since its link came up, or has had the time to
    bool is_ahead;
    struct instant since;
    struct version_vector wanted; // what this node held then; until it counts
    struct version_vector theirs; // what it said first that it holds, until this node holds that
    bool is_noted;
};

// Zero-initialised knows nobody.
struct coordinators {
    uint64_t own_seed;
    bool own_counts;
    struct coordinator others[LINKS_MAX];
    uint32_t others_count;
};

void coordinators_deinit(struct coordinators *coordinators);

// Looks at the links as they are now; `own` is what this node holds. True: for some subscription
// it may be another one than before.
bool coordinators_update(struct coordinators *coordinators, const struct uuid *self,
                         const struct replica_link *links, uint32_t count,
                         const struct version_vector *own, struct instant now);

// The link to the one that coordinates; 0: this node does.
link_id coordinators_choose(const struct coordinators *coordinators, struct bytes name);
