// What was acknowledged is on every machine. A machine that lost its disk may have taken with it
// what only it held: that is excused unless more nodes were promised.
#include <inttypes.h>

#include "tests/simulation/branch.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

static bool is_excused(const struct world *world, const struct history_produce *produce)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < world->machines_count; i++) {
        lost += world->machines[i]->disk_life;
    }
    return world->machines[produce->machine]->disk_life > 0 && produce->nodes_durable <= lost;
}

void check_durability(struct world *world)
{
    const struct history *history = &world->history;
    for (uint32_t i = 0; i < history->produces_count; i++) {
        const struct history_produce *produce = &history->produces[i];
        struct event_id last = {.counter = produce->told.counter + produce->count - 1,
                                .actor = produce->told.actor};
        for (unsigned m = 0; m < world->machines_count && produce->state == PRODUCE_ACKED; m++) {
            const struct machine *machine = world->machines[m];
            bool is_held = produce->is_on_branch || branch_lacks(machine, last) || // check_rescue.c
                           version_vector_covers(&machine->store->published.vector, last);
            if (!is_held && !is_excused(world, produce)) {
                world_violation(
                    world, "durability",
                    "produce %u, acknowledged as %" PRIu64 ".%u on %u nodes, is not on machine %u",
                    i, produce->told.counter, produce->told.actor, produce->nodes_durable, m);
                return;
            }
        }
    }
}
