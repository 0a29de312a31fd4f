// Looks at every commit of every machine, and at what recovery finds: the checks of identity,
// durability and order that can be made there and then.
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "proto/model/chunk.h"
#include "server/node/node.h"
#include "storage/disk.h"
#include "storage/keys.h"
#include "tests/simulation/branch.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

// No clock gets there by itself.
#define POISON_COUNTER ((uint64_t)1 << 49)

static uint32_t *held_of(struct machine *machine, uint16_t actor)
{
    machine->held =
        memory_grow(machine->held, &machine->held_capacity, actor + 1U, sizeof *machine->held);
    return &machine->held[actor];
}

// A chunk that nobody has seen: only its owner makes those, above everything that was promised.
static void check_new(struct machine *machine, const struct history_strand *strand,
                      const struct chunk_header *header)
{
    struct world *world = machine->world;
    const struct history *history = &world->history;
    struct event_id stable = {.counter = history->stable_counter, .actor = history->stable_actor};
    struct event_id id = {.counter = header->first, .actor = header->actor};
    if (machine->store->config.actor != header->actor) {
        world_violation(world, "identity",
                        "machine %u holds a chunk %" PRIu64 ".%u that its owner does not",
                        machine->index, header->first, header->actor);
    }
    if (machine->is_given_up) {
        return; // nobody else takes it any more
    }
    if (!strand->is_branch && event_id_compare(id, stable) <= 0) {
        world_violation(world, "order",
                        "event %" PRIu64 ".%u was issued when %" PRIu64
                        ".%u had been delivered in stable order",
                        id.counter, id.actor, stable.counter, stable.actor);
    }
    for (unsigned i = 0; i < world->machines_count && !world->options.is_large; i++) {
        const struct machine *other = world->machines[i];
        uint64_t frontier = other->node ? atomic_load(&other->node->view.frontier) : 0;
        bool sees = other == machine || !strand->is_branch; // what others were promised is broken
        if (sees && other->node && atomic_load(&other->node->view.has_cluster) &&
            id.counter <= frontier) {
            world_violation(world, "order",
                            "event %" PRIu64 ".%u was issued below the frontier %" PRIu64
                            " of machine %u",
                            id.counter, id.actor, frontier, i);
        }
    }
}

static void check_applied(struct machine *machine, const struct chunk_header *header)
{
    struct world *world = machine->world;
    if (machine->node && atomic_load(&machine->node->view.has_cluster) &&
        header->first <= atomic_load(&machine->node->view.frontier)) {
        world_violation(world, "order",
                        "machine %u comes to hold event %" PRIu64
                        ".%u below its own frontier %" PRIu64,
                        machine->index, header->first, header->actor,
                        (uint64_t)atomic_load(&machine->node->view.frontier));
    }
}

// One chunk that a machine holds from now on.
static void take_chunk(struct machine *machine, const struct chunk_header *header,
                       struct bytes chunk)
{
    struct world *world = machine->world;
    uint32_t *held = held_of(machine, header->actor);
    struct hash128 hash = chunk_hash(chunk.data);
    branch_look(machine, header, &hash);
    struct history_strand *strand = branch_strand(machine, header->actor);
    uint64_t end = *held > 0 ? strand->chunks[*held - 1].last : 0;
    world_trace(world, "commit", machine->index, header->actor, header->first);
    check_applied(machine, header);
    if (header->first > POISON_COUNTER && !machine->is_poisoned) {
        world_violation(world, "poison",
                        "machine %u holds event %" PRIu64 ".%u, whose counter comes from nowhere",
                        machine->index, header->first, header->actor);
    }
    if (header->prev != end) {
        world_violation(world, "order",
                        "machine %u holds actor %u up to %" PRIu64 " and takes chunk %" PRIu64
                        ", which follows %" PRIu64,
                        machine->index, header->actor, end, header->first, header->prev);
        return;
    }
    if (*held == strand->chunks_count) {
        check_new(machine, strand, header);
        history_add_chunk(&world->history, strand, header, chunk);
    } else if (!hash128_equal(&hash, &strand->chunks[*held].hash)) {
        world_violation(world, "identity",
                        "machine %u (actor %u) holds other events as %" PRIu64
                        ".%u than were issued under that id",
                        machine->index, machine->store->config.actor, header->first, header->actor);
        return;
    }
    strand->chunks[*held].last_at = world->schedule.now;
    strand->chunks[*held].machines++;
    (*held)++;
    ledgers_hold(world, machine->index, header->actor, *held - 1);
}

static void take_block(struct machine *machine, const struct block *block)
{
    struct bytes rest = block_bytes(block);
    uint64_t ordinal = block->ordinal_first;
    struct chunk_header header;
    struct bytes chunk;
    while (rest.length > 0 && !machine->world->violation.check) {
        int result = chunk_next(&rest, &header, &chunk);
        assert(result == 0);
        if (ordinal > machine->observed) {
            take_chunk(machine, &header, chunk);
            machine->observed = ordinal;
        }
        ordinal++;
    }
}

// Passes over a range that was given up, if the strand goes on with one.
static bool take_hollow(struct machine *machine, uint16_t actor)
{
    struct history_strand *strand = branch_strand(machine, actor);
    uint32_t *held = held_of(machine, actor);
    uint64_t end = *held > 0 ? strand->chunks[*held - 1].last : 0;
    struct disk_iterator *strands;
    struct chunk_place place;
    memory_must(disk_iterator_open(machine->log, LOG_STRANDS, DISK_READ_POINT, &strands));
    bool is_hollow = strand_find_from(strands, actor, end + 1, &place) == 0 &&
                     place.first == end + 1 && place.record.is_hollow;
    disk_iterator_close(strands);
    while (is_hollow && *held < strand->chunks_count &&
           strand->chunks[*held].last <= place.record.last) {
        history_lose_chunk(strand, *held);
        (*held)++;
    }
    return is_hollow;
}

// An ordinal without a chunk.
static void take_hollow_somewhere(struct machine *machine)
{
    const struct version_vector *vector = &machine->store->published.vector;
    for (uint32_t i = 0; i < vector->count; i++) {
        if (take_hollow(machine, vector->entries[i].actor)) {
            return;
        }
    }
    world_violation(machine->world, "order", "machine %u has an ordinal of nothing",
                    machine->index);
}

// The disk's faults are meant for the machine: a read that failed is repeated.
static bool get(struct machine *machine, unsigned column, struct bytes key, struct buffer *out)
{
    int err = disk_get(machine->log, column, key, out);
    err = err == ERR_IO ? disk_get(machine->log, column, key, out) : err;
    memory_must(err == DISK_NOT_FOUND ? 0 : err);
    return err == 0;
}

// A large commit: its first chunks have left the cache.
static void take_arrival(struct machine *machine, uint64_t ordinal)
{
    struct buffer buffer = {0};
    struct chunk_header header;
    uint8_t ordinal_key[ARRIVAL_KEY_LENGTH];
    uint8_t key[EVENT_ID_KEY_LENGTH];
    store_be64(ordinal_key, ordinal);
    machine->observed = ordinal;
    if (!get(machine, LOG_ARRIVALS, bytes_of(ordinal_key, sizeof ordinal_key), &buffer)) {
        take_hollow_somewhere(machine);
        return;
    }
    struct arrival arrival = arrival_decode(buffer.data);
    event_id_encode_key((struct event_id){.counter = arrival.first, .actor = arrival.actor}, key);
    buffer_clear(&buffer);
    bool is_there = get(machine, LOG_CHUNKS, bytes_of(key, sizeof key), &buffer);
    memory_must(is_there ? chunk_header_parse(buffer_bytes(&buffer), &header) : ERR_NOT_FOUND);
    take_chunk(machine, &header, buffer_bytes(&buffer));
    buffer_deinit(&buffer);
}

static void check_complete(struct machine *machine)
{
    const struct version_vector *vector = &machine->store->published.vector;
    for (uint32_t i = 0; i < vector->count; i++) {
        uint16_t actor = vector->entries[i].actor;
        const struct history_strand *strand = branch_strand(machine, actor);
        uint32_t held = *held_of(machine, actor);
        uint64_t end = held > 0 ? strand->chunks[held - 1].last : 0;
        if (end != vector->entries[i].counter) {
            world_violation(machine->world, "order",
                            "machine %u says that it holds actor %u up to %" PRIu64
                            ", its log ends at %" PRIu64,
                            machine->index, actor, vector->entries[i].counter, end);
        } else if (held > 0 && !strand->chunks[held - 1].is_complete) {
            world_violation(machine->world, "subscription",
                            "machine %u shows half a produce of actor %u, up to %" PRIu64,
                            machine->index, actor, end);
        }
    }
}

void observe_commit(struct machine *machine)
{
    struct store *store = machine->store;
    if (machine->observed == store->published.ordinal) {
        return;
    }
    while (machine->observed < store->published.ordinal && !machine->world->violation.check) {
        struct block *block = recent_find(&store->recent, machine->observed + 1);
        if (block) {
            take_block(machine, block);
            block_unref(block);
        } else {
            take_arrival(machine, machine->observed + 1);
        }
    }
    check_complete(machine);
}

// --- Recovery ----------------------------------------------------------------------------------

// Chunks of one strand above what was published: a commit whose outcome was unknown.
static void take_unseen(struct machine *machine, uint16_t actor)
{
    struct history_strand *strand = branch_strand(machine, actor);
    struct disk_iterator *strands;
    struct chunk_place place;
    memory_must(disk_iterator_open(machine->log, LOG_STRANDS, DISK_READ_POINT, &strands));
    for (;;) {
        uint32_t held = *held_of(machine, actor);
        uint64_t from = held > 0 ? strand->chunks[held - 1].last + 1 : 1;
        if (strand_find_from(strands, actor, from, &place) != 0) {
            break;
        }
        if (place.record.is_hollow) {
            take_hollow(machine, actor);
            continue;
        }
        struct buffer chunk = {0};
        struct chunk_header header;
        uint8_t key[EVENT_ID_KEY_LENGTH];
        event_id_encode_key((struct event_id){.counter = place.first, .actor = actor}, key);
        int err = disk_get(machine->log, LOG_CHUNKS, bytes_of(key, sizeof key), &chunk);
        err = err == 0 ? chunk_header_parse(buffer_bytes(&chunk), &header) : err;
        if (err != 0) {
            world_violation(machine->world, "restart", "machine %u has recovered no chunk %" PRIu64,
                            machine->index, place.first);
        } else {
            take_chunk(machine, &header, buffer_bytes(&chunk));
        }
        buffer_deinit(&chunk);
        if (err != 0 || machine->world->violation.check) {
            break;
        }
    }
    disk_iterator_close(strands);
}

// What was published before a crash is still there.
static void check_recovered(struct machine *machine, uint16_t actor)
{
    struct world *world = machine->world;
    const struct history_strand *strand = branch_strand(machine, actor);
    uint32_t *held = held_of(machine, actor);
    uint64_t published = *held > 0 ? strand->chunks[*held - 1].last : 0;
    uint64_t found = version_vector_get(&machine->store->published.vector, actor);
    if (found < published && !machine->may_have_lost && !machine->is_rotten) {
        world_violation(world, "durability",
                        "machine %u held actor %u up to %" PRIu64
                        ", and after a crash up to %" PRIu64,
                        machine->index, actor, published, found);
    } else if (found < published) {
        uint32_t chunk = history_chunk_at(strand, found);
        *held = found == 0 ? 0 : chunk + 1;
    } else if (found > published) {
        take_unseen(machine, actor);
    }
}

void observe_recovery(struct machine *machine)
{
    const struct version_vector *vector = &machine->store->published.vector;
    machine->observed = machine->store->published.ordinal;
    for (uint32_t i = 0; i < vector->count; i++) {
        held_of(machine, vector->entries[i].actor);
    }
    for (uint32_t actor = 0; actor < machine->held_capacity; actor++) {
        if (machine->held[actor] > 0 || version_vector_get(vector, (uint16_t)actor) > 0) {
            check_recovered(machine, (uint16_t)actor);
        }
    }
    machine->may_have_lost = false;
    check_complete(machine);
}
