// What a branch holds beyond the last common chunk is issued again under the new actor of its node:
// every event of a client, in order, with its old id. After a crash it may begin from the start.
#include <inttypes.h>

#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

// The next event of a client at or behind `index`; the count of events: there is none.
static uint32_t next_of(const struct history_strand *branch, uint32_t index)
{
    while (index < branch->events_count && branch->events[index].name == NAME_SYSTEM) {
        index++;
    }
    return index;
}

static bool is_again(const struct history_strand *branch, uint32_t index,
                     const struct history_event *event)
{
    const struct history_event *old = &branch->events[index];
    return index < branch->events_count && old->counter == event->was.counter &&
           old->produce == event->produce && old->place == event->place && old->name == event->name;
}

static void check_branch(struct machine *machine)
{
    struct world *world = machine->world;
    const struct history_strand *branch = machine->branch;
    const struct history_strand *again =
        history_strand(&world->history, machine->store->config.actor);
    uint32_t common = machine->branch_common;
    uint32_t first = next_of(branch, branch->chunks[common].event_first);
    uint32_t next = first;
    for (uint32_t i = 0; i < again->events_count; i++) {
        const struct history_event *event = &again->events[i];
        if (event->was.actor != machine->branch_actor) {
            continue;
        }
        next = is_again(branch, next, event) ? next : first;
        if (!is_again(branch, next, event)) {
            world_violation(world, "durability",
                            "machine %u issues %" PRIu64 ".%u again as %" PRIu64
                            ".%u, which is not what comes next in its branch",
                            machine->index, event->was.counter, event->was.actor, event->counter,
                            machine->store->config.actor);
            return;
        }
        next = next_of(branch, next + 1);
    }
    if (next < branch->events_count) {
        world_violation(world, "durability",
                        "event %" PRIu64
                        ".%u of the branch that only machine %u holds is not issued again",
                        branch->events[next].counter, machine->branch_actor, machine->index);
    }
}

void check_rescue(struct world *world)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        if (world->machines[i]->branch) {
            check_branch(world->machines[i]);
        }
    }
}
