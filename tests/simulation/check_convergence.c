// After healing everybody holds the same: equal vectors, and equal hashes of the chains' ends.
#include <inttypes.h>
#include <stdio.h>

#include "tests/simulation/admin.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/machine.h"

static struct hash128 end_of(const struct machine *machine, uint16_t actor)
{
    const struct heads *heads = &machine->store->commit.heads;
    for (size_t i = 0; i < heads->count; i++) {
        if (heads->entries[i].actor == actor) {
            return heads->entries[i].hash;
        }
    }
    return (struct hash128){0};
}

// Whether it keeps a branch of that strand, which nobody else holds.
static bool has_branch(const struct machine *machine, uint16_t actor)
{
    return machine->branch && machine->branch_actor == actor;
}

static bool holds_all(const struct machine *machine, const struct machine *other)
{
    const struct version_vector *vector = &machine->store->published.vector;
    bool is_equal = true;
    for (uint32_t i = 0; is_equal && i < vector->count; i++) {
        uint16_t actor = vector->entries[i].actor;
        struct hash128 own = end_of(machine, actor);
        struct hash128 others = end_of(other, actor);
        uint64_t held = version_vector_get(&other->store->published.vector, actor);
        is_equal = has_branch(machine, actor) || has_branch(other, actor) ||
                   admin_is_retiring(machine->world->admin, actor) ||
                   (held == vector->entries[i].counter && hash128_equal(&own, &others));
    }
    return is_equal;
}

static bool is_same(const struct machine *machine, const struct machine *other)
{
    return holds_all(machine, other) && holds_all(other, machine);
}

bool check_is_converged(struct world *world)
{
    const struct machine *first = NULL;
    bool is_converged = true;
    for (unsigned i = 0; i < world->machines_count && is_converged; i++) {
        struct machine *machine = world->machines[i];
        // Where a member's disk is lost, nobody new is admitted before the operator retires it.
        if (machine->store && machine->store->config.actor == 0 && !admin_is_idle(world->admin)) {
            continue;
        }
        first = first ? first : machine;
        is_converged =
            machine->is_up && machine->store->config.actor != 0 && is_same(machine, first);
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
