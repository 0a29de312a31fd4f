// Machines and clients are made in one order and freed in another: clients first, so that no
// machine has anybody to tell.
#include "tests/simulation/world_run.h"

#include <stdlib.h>

#include "tests/simulation/admin.h"
#include "tests/simulation/consumer.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/producer.h"

enum { HAPPENINGS_PER_SECOND_MAX = 3000000 };

struct world *world_new(const struct options *options, bool is_traced)
{
    struct world *world = memory_new(1, sizeof *world);
    *world = (struct world){.options = *options, .is_traced = is_traced, .wall_ms = 1700000000000};
    random_init(&world->random, options->seed);
    network_init(&world->network, &world->schedule, &world->random);
    history_init(&world->history, world);
    world->machines = memory_new(options->nodes, sizeof *world->machines);
    world->producers = memory_new(options->producers, sizeof *world->producers);
    world->consumers = memory_new(options->consumers, sizeof *world->consumers);
    world->machines_count = options->nodes;
    world->producers_count = options->producers;
    world->consumers_count = options->consumers;
    world->admin = admin_new(world);
    for (unsigned i = 0; i < options->nodes; i++) {
        world->machines[i] = machine_new(world, i);
    }
    for (unsigned i = 0; i < options->producers; i++) {
        world->producers[i] = producer_new(world, i);
    }
    for (unsigned i = 0; i < options->consumers; i++) {
        world->consumers[i] = consumer_new(world, i);
    }
    world->ledgers = memory_new(options->ledgers, sizeof *world->ledgers);
    for (unsigned i = 0; i < options->ledgers; i++) {
        world->ledgers[i] = ledger_new(world, i);
    }
    world->ledgers_count = options->ledgers;
    return world;
}

void world_free(struct world *world)
{
    for (unsigned i = 0; i < world->producers_count; i++) {
        producer_free(world->producers[i]);
    }
    for (unsigned i = 0; i < world->consumers_count; i++) {
        consumer_free(world->consumers[i]);
    }
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        ledger_free(world->ledgers[i]);
    }
    world->ledgers_count = 0;
    schedule_clear(&world->schedule, &world->look);
    for (unsigned i = 0; i < world->machines_count; i++) {
        machine_free(world->machines[i]);
    }
    admin_free(world->admin);
    free(world->machines);
    free(world->producers);
    free(world->consumers);
    free(world->ledgers);
    network_deinit(&world->network);
    history_deinit(&world->history);
    schedule_deinit(&world->schedule);
    free(world);
}

bool world_pass(struct world *world, int64_t ms)
{
    struct instant until = world_after_ms(world, ms);
    uint64_t happened_max = world->schedule.happened + (uint64_t)(ms + 1000) *
                                                           HAPPENINGS_PER_SECOND_MAX / 1000 *
                                                           (world->machines_count / 50 + 1);
    while (!world->violation.check && schedule_step(&world->schedule, until)) {
        if (world->schedule.happened > happened_max) {
            world_violation(world, "liveness", "more happens than can: somebody spins");
        }
    }
    return !world->violation.check;
}

int64_t world_pass_until(struct world *world, bool (*holds)(struct world *world), int64_t ms_max,
                         int64_t poll_ms)
{
    int64_t begun = world->schedule.now.ns;
    while (!holds(world)) {
        int64_t passed = (world->schedule.now.ns - begun) / 1000000;
        if (passed >= ms_max || !world_pass(world, poll_ms)) {
            return -1;
        }
    }
    return (world->schedule.now.ns - begun) / 1000000;
}
