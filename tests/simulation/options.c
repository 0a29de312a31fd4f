// One generator of its own, so that what a run is like does not depend on how it goes.
#include "tests/simulation/options.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"

static bool chance(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

static void choose_faults(struct options *options, struct random *random)
{
    options->crashes = chance(random, 60);
    options->partitions = chance(random, 60);
    options->cuts = chance(random, 50);
    options->slow_paths = chance(random, 40);
    options->freezes = chance(random, 40);
    options->slow_disks = chance(random, 30);
    options->disk_faults = chance(random, 40);
    options->clock_jumps = chance(random, 20);
    options->wiped_disks = options->nodes >= 3 && chance(random, 15);
    options->old_disks = options->nodes >= 2 && chance(random, 10);
    options->cloned_disks = options->nodes >= 3 && chance(random, 8);
    options->hostile = chance(random, 20);
    options->poison = options->nodes >= 3 && chance(random, 6);
    options->damage = options->nodes >= 2 && chance(random, 15);
    if (options->damage) {
        options->wiped_disks = options->old_disks = options->cloned_disks = false;
        options->poison = false;
    }
}

// From a generator of its own, so that seeds without a scenario stay as they are. What a scenario
// judges must not come from something else.
static void choose_scenario(struct options *options)
{
    struct random random;
    random_init(&random, options->seed ^ 0x5ce9a610ULL);
    if (options->nodes < 3) {
        return;
    }
    if (chance(&random, 25)) {
        options->scenario = SCENARIO_NONE + 1 + (unsigned)random_below(&random, SCENARIO_FORK - 1);
    } else if (chance(&random, 7)) {
        options->scenario = SCENARIO_FORK;
    } else {
        return;
    }
    if (options->scenario == SCENARIO_GAPS) {
        return;
    }
    options->crashes = options->partitions = options->cuts = options->slow_paths = false;
    options->freezes = options->disk_faults = options->poison = options->damage = false;
    options->wiped_disks = options->old_disks = options->cloned_disks = false;
    options->is_heavy = false;
    options->batch_max = options->batch_max > 40 ? 40 : options->batch_max;
    options->producers = options->nodes + 1;
    options->consumers = 4;
    options->stable_percent = options->scenario == SCENARIO_ALONE ? 100 : 60;
}

// Every second seed has groups, so that the others stay as they are. A strand that forks has events
// in it that count on one node alone.
static void choose_ledgers(struct options *options)
{
    struct random random;
    random_init(&random, options->seed ^ 0x9209955ULL);
    if (options->seed % 2 == 0 && options->scenario != SCENARIO_FORK) {
        options->ledgers = 1 + (unsigned)random_below(&random, 3);
    }
}

void options_from_seed(struct options *options, uint64_t seed, unsigned nodes)
{
    struct random random;
    random_init(&random, seed ^ 0x5eed0f0971035ULL);
    unsigned own = 1 + (unsigned)random_below(&random, 7);
    *options = (struct options){.seed = seed, .nodes = nodes > 0 ? nodes : own};
    options->is_large = options->nodes > 16;
    options->producers = 1 + (unsigned)random_below(&random, options->nodes + 1);
    options->consumers = 1 + (unsigned)random_below(&random, 4);
    options->faults_ms = 26000 + (int64_t)random_below(&random, 4000);
    options->steady_ms = 4000;
    options->think_ms = 20 + (unsigned)random_below(&random, 150);
    options->batch_max = chance(&random, 30) ? 40 : 4;
    options->event_bytes_max = chance(&random, 15) ? 3000 : 60;
    options->is_heavy = chance(&random, 5);
    if (options->is_heavy) {
        options->batch_max = 200;
        options->event_bytes_max = 3000;
    }
    options->stable_percent = chance(&random, 50) ? 40 : 0;
    options->compress = chance(&random, 60);
    options->has_secret = chance(&random, 30);
    options->recent_bytes = chance(&random, 80) ? 1 * MIB : 4 * MIB;
    options->walk_bytes = 1 * MIB;
    options->start_wait_ms = 5000;
    if (options->is_large) {
        // every event is applied by every machine: more machines, fewer events
        options->think_ms *= options->nodes > 100 ? (options->nodes + 99) / 100 : 1;
        options->producers = 20;
        options->consumers = 0;
        options->batch_max = 4;
        options->event_bytes_max = 60;
        options->has_secret = false;
        options->recent_bytes = 256 * KIB;
        options->start_wait_ms = 1000; // it is waited for in full: nobody has links to all members
    } else {
        choose_faults(options, &random);
        choose_scenario(options);
        choose_ledgers(options);
    }
}
