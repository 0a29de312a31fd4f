#include "tests/simulation/branch.h"

#include <stdlib.h>

#include "tests/simulation/memory.h"

struct history_strand *branch_strand(const struct machine *machine, uint16_t actor)
{
    bool is_branch = machine->branch && machine->branch_actor == actor;
    return is_branch ? machine->branch : history_strand(&machine->world->history, actor);
}

static struct history_strand *copy(const struct history_strand *from, uint32_t chunks)
{
    struct history_strand *branch = memory_new(1, sizeof *branch);
    uint32_t events =
        chunks < from->chunks_count ? from->chunks[chunks].event_first : from->events_count;
    branch->is_branch = true;
    branch->chunks =
        memory_grow(NULL, &branch->chunks_capacity, chunks + 1, sizeof *branch->chunks);
    branch->events =
        memory_grow(NULL, &branch->events_capacity, events + 1, sizeof *branch->events);
    memcpy(branch->chunks, from->chunks, chunks * sizeof *branch->chunks);
    memcpy(branch->events, from->events, events * sizeof *branch->events);
    branch->chunks_count = chunks;
    branch->events_count = events;
    return branch;
}

void branch_look(struct machine *machine, const struct chunk_header *header,
                 const struct hash128 *hash)
{
    const struct history_strand *strand = branch_strand(machine, header->actor);
    uint32_t held = machine->held[header->actor];
    bool is_own = header->actor == machine->store->config.actor;
    if (!machine->may_fork || machine->branch || !is_own || held >= strand->chunks_count ||
        hash128_equal(&strand->chunks[held].hash, hash)) {
        return;
    }
    world_trace(machine->world, "forked", machine->index, header->actor, header->first);
    machine->branch = copy(strand, held);
    machine->branch_common = held;
}

bool branch_lacks(const struct machine *machine, struct event_id id)
{
    if (!machine->branch || machine->branch_actor != id.actor) {
        return false;
    }
    uint32_t common = machine->branch_common;
    return common == 0 || id.counter > machine->branch->chunks[common - 1].last;
}

void branch_drop(struct machine *machine)
{
    if (machine->branch) {
        free(machine->branch->chunks);
        free(machine->branch->events);
        free(machine->branch);
        machine->branch = NULL;
    }
}
