// When everything has come to rest no consumer waits for anything.
#include <inttypes.h>

#include "tests/simulation/checks.h"
#include "tests/simulation/consumer.h"

bool check_consumers_are_done(struct world *world)
{
    bool are_done = true;
    for (unsigned i = 0; i < world->consumers_count && are_done; i++) {
        struct event_id missing;
        are_done = consumer_has_everything(world->consumers[i], &missing);
    }
    return are_done;
}

void check_consumers_failed(struct world *world, int64_t waited_ms)
{
    for (unsigned i = 0; i < world->consumers_count; i++) {
        struct event_id missing = {0};
        if (!consumer_has_everything(world->consumers[i], &missing)) {
            world_violation(world, "subscription",
                            "consumer %u waits for %" PRIu64 ".%u, which matches, %" PRId64
                            " ms after everybody held it",
                            i, missing.counter, missing.actor, waited_ms);
        }
    }
}
