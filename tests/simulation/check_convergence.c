// After healing everybody holds the same: equal vectors, and equal hashes of the chains' ends.
#include <inttypes.h>
#include <stdio.h>

#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

static bool is_same(struct machine *machine, struct machine *other)
{
    const struct heads *a = &machine->store->commit.heads;
    const struct heads *b = &other->store->commit.heads;
    if (!version_vector_equal(&machine->store->published.vector, &other->store->published.vector)) {
        return false;
    }
    bool is_equal = a->count == b->count;
    for (size_t i = 0; is_equal && i < a->count; i++) {
        is_equal = a->entries[i].actor == b->entries[i].actor &&
                   a->entries[i].last == b->entries[i].last &&
                   hash128_equal(&a->entries[i].hash, &b->entries[i].hash);
    }
    return is_equal;
}

bool check_is_converged(struct world *world)
{
    bool is_converged = true;
    for (unsigned i = 0; i < world->machines_count && is_converged; i++) {
        struct machine *machine = world->machines[i];
        is_converged = machine->is_up && machine->store->config.actor != 0 &&
                       is_same(machine, world->machines[0]);
    }
    return is_converged;
}

void check_convergence_failed(struct world *world, int64_t waited_ms)
{
    char text[400] = "";
    size_t length = 0;
    for (unsigned i = 0; i < world->machines_count && length + 80 < sizeof text; i++) {
        struct machine *machine = world->machines[i];
        uint64_t sum = 0;
        const struct version_vector *vector =
            machine->is_up ? &machine->store->published.vector : NULL;
        for (uint32_t j = 0; vector && j < vector->count; j++) {
            sum += vector->entries[j].counter;
        }
        length += (size_t)snprintf(
            text + length, sizeof text - length, " m%u: %s, actor %u, %u strands, sum %" PRIu64 ";",
            i, machine->is_up ? "up" : "down", machine->is_up ? machine->store->config.actor : 0,
            vector ? vector->count : 0, sum);
    }
    world_violation(world, "convergence", "%" PRId64 " ms after healing machines differ:%s",
                    waited_ms, text);
}
