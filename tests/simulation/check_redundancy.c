// In steady state each event comes to each machine once.
#include <inttypes.h>

#include "server/node/cluster_state.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

enum { EVENTS_MIN = 200 }; // fewer say nothing

struct copies check_copies(const struct world *world)
{
    struct copies copies = {0};
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        if (machine->is_up) {
            struct replica_counts counts = replica_counts(machine->service->cluster->replica);
            copies.applied += counts.events_applied;
            copies.duplicate += counts.events_duplicate;
        }
    }
    return copies;
}

void check_redundancy(struct world *world, struct copies before)
{
    struct copies now = check_copies(world);
    uint64_t applied = now.applied - before.applied;
    uint64_t duplicate = now.duplicate - before.duplicate;
    if (applied >= EVENTS_MIN && duplicate * 100 > applied) {
        world_violation(world, "redundancy",
                        "%" PRIu64 " events came once, %" PRIu64 " more came for nothing", applied,
                        duplicate);
    }
}
