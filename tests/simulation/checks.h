// What is judged when a run is over, or on its way there. What can be judged at once is, by the
// observer of commits, by producers and by consumers.
#pragma once

#include "tests/simulation/world.h"

// Convergence: all machines are up and hold the same, by vectors and by chain hashes.
bool check_is_converged(struct world *world);
// Says who differs.
void check_convergence_failed(struct world *world, int64_t waited_ms);

// Durability: what was acknowledged is on every machine, now that they have converged.
void check_durability(struct world *world);

// Of a strand that forked: what its owner's branch held is issued again.
void check_rescue(struct world *world);

// Subscription exactness: nobody waits for anything.
bool check_consumers_are_done(struct world *world);
void check_consumers_failed(struct world *world, int64_t waited_ms);

// Identity: the logs hold the chunks that were issued, byte by byte.
void check_disks(struct world *world);

// With the disk of the only member a cluster is gone, also for those that it had begun to admit.
bool check_is_only_member(const struct world *world, const struct machine *machine);

// Whether the only member was put back to a backup and the others are newcomers still, which is the
// end of that cluster: it is to be set up again. Until then nobody takes events.
bool check_is_without_member(struct world *world);

// Availability: every member takes events, nobody is taken for a copy.
void check_availability(struct world *world);

// Redundancy: how many events came to machines, and how many of them for nothing, since the start.
struct copies {
    uint64_t applied;
    uint64_t duplicate;
};
struct copies check_copies(const struct world *world);
void check_redundancy(struct world *world, struct copies before);
