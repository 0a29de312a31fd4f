// Where no disk was lost, went back or was copied, every member takes events in the end, and
// nobody is taken for a copy.
#include <string.h>

#include "server/node/node.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

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
