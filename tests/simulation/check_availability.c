// Where no disk was lost, went back or was copied, every member takes events in the end, and
// nobody is taken for a copy. Where the only member went back, nobody takes events.
#include <string.h>

#include "replication/replica_state.h"
#include "server/node/cluster_state.h"
#include "server/node/node.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

bool check_is_only_member(const struct world *world, const struct machine *machine)
{
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *other = world->machines[i];
        if (other != machine && other->is_up &&
            joining_is_member(other->service->cluster->replica)) {
            return false;
        }
    }
    return true;
}

bool check_is_without_member(struct world *world)
{
    if (!world->lone || !check_is_only_member(world, world->lone)) {
        return false;
    }
    for (unsigned i = 0; i < world->machines_count; i++) {
        struct node *node = world->machines[i]->node;
        if (node && atomic_load(&node->view.may_produce)) {
            world_violation(world, "identity", "machine %u takes events, and no member knows it",
                            i);
        }
    }
    return true;
}

void check_availability(struct world *world)
{
    const struct options *options = &world->options;
    bool is_excused = options->cloned_disks || options->old_disks || options->poison ||
                      options->scenario == SCENARIO_LIE;
    for (unsigned i = 0; i < world->machines_count && !is_excused; i++) {
        struct node *node = world->machines[i]->node;
        struct reason why = {0};
        if (node && !atomic_load(&node->view.may_produce)) {
            cluster_why_not(node, &why);
            world_violation(world, "availability", "machine %u takes no events: %.300s", i,
                            why.text);
        }
        struct bytes alarms = node ? buffer_bytes(&node->cluster_alarms) : bytes_of(NULL, 0);
        static const char COPY[] = "a copy of actor";
        for (size_t at = 0; at + sizeof COPY <= alarms.length; at++) {
            if (memcmp(alarms.data + at, COPY, sizeof COPY - 1) == 0) {
                world_violation(world, "availability", "machine %u takes a member for a copy", i);
                return;
            }
        }
    }
}
