// Strands grow at their ends, in the order in which their owners commit.
#include "tests/simulation/history.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/simulation/ledger.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/world.h"

const char *const HISTORY_NAMES[NAMES_COUNT] = {
    "/orders/eu/1", "/orders/eu/2", "/orders/us/1", "/orders/us/2", "/users/1",   "/users/2",
    "/users/3",     "/metrics/cpu", "/metrics/mem", "/log",         "plain-name", "/a/b/c/d/e",
};

void history_init(struct history *history, struct world *world)
{
    *history = (struct history){.world = world};
}

void history_deinit(struct history *history)
{
    for (uint32_t i = 0; i < history->strands_count; i++) {
        if (history->strands[i]) {
            free(history->strands[i]->chunks);
            free(history->strands[i]->events);
            free(history->strands[i]);
        }
    }
    free(history->strands);
    free(history->produces);
    buffer_deinit(&history->scratch);
}

struct history_strand *history_strand(struct history *history, uint16_t actor)
{
    history->strands = memory_grow(history->strands, &history->strands_count, actor + 1U,
                                   sizeof *history->strands);
    if (!history->strands[actor]) {
        history->strands[actor] = memory_new(1, sizeof **history->strands);
    }
    return history->strands[actor];
}

uint32_t history_chunk_at(const struct history_strand *strand, uint64_t last)
{
    uint32_t low = 0;
    uint32_t high = strand->chunks_count;
    if (high > 0 && strand->chunks[high - 1].last == last) {
        return high - 1;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strand->chunks[middle].last < last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_found = low < strand->chunks_count && strand->chunks[low].last == last;
    return is_found ? low : UINT32_MAX;
}

uint32_t history_event_above(const struct history_strand *strand, uint64_t counter)
{
    uint32_t low = 0;
    uint32_t high = strand->events_count;
    if (high == 0 || strand->events[high - 1].counter <= counter) {
        return high;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strand->events[middle].counter <= counter) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint8_t name_of(struct bytes name)
{
    for (uint8_t i = 0; i < NAMES_COUNT; i++) {
        if (bytes_equal(name, bytes_of_text(HISTORY_NAMES[i]))) {
            return i;
        }
    }
    return NAME_SYSTEM;
}

// What a produce of a client says must be what its client sent, once, in order.
static void check_produce(struct history *history, const struct history_strand *strand,
                          uint16_t actor, const struct history_event *event)
{
    struct world *world = history->world;
    if (event->produce >= history->produces_count) {
        world_violation(world, "identity", "event %llu.%u carries produce %u, which nobody sent",
                        (unsigned long long)event->counter, actor, event->produce);
        return;
    }
    struct history_produce *produce = &history->produces[event->produce];
    if (event->place == 0 && produce->stored == 0) {
        produce->first = (struct event_id){.counter = event->counter, .actor = actor};
        produce->is_on_branch = strand->is_branch;
    }
    bool fits = produce->first.actor == actor &&
                produce->first.counter + event->place == event->counter &&
                produce->stored == event->place && produce->name == event->name;
    produce->stored++;
    if (!fits) {
        world_violation(world, "identity",
                        "event %u of produce %u (stored from %llu.%u on) is stored as %llu.%u",
                        event->place, event->produce, (unsigned long long)produce->first.counter,
                        produce->first.actor, (unsigned long long)event->counter, actor);
    } else if (produce->state == PRODUCE_REFUSED) {
        world_violation(world, "durability", "produce %u was refused, and stored as %llu.%u",
                        event->produce, (unsigned long long)event->counter, actor);
    }
}

// The id under which an event was issued before.
static struct event_id read_was(const struct event *event)
{
    struct event_id was = {0};
    struct attribute attribute;
    struct bytes rest = event->attributes;
    size_t left = 0;
    int err = rest.length > 0 ? attributes_begin(&rest, &left) : 0;
    for (; err == 0 && left > 0; left--) {
        err = attributes_next(&rest, &attribute);
        if (err == 0 && bytes_equal(attribute.key, bytes_of_text("was")) &&
            attribute.value.length == EVENT_ID_KEY_LENGTH) {
            was = event_id_decode_key(attribute.value.data);
        }
    }
    return was;
}

static struct history_event read_event(const struct event *event, uint64_t counter)
{
    struct history_event read = {.counter = counter,
                                 .produce = UINT32_MAX,
                                 .name = name_of(event->name),
                                 .was = read_was(event)};
    if (read.name != NAME_SYSTEM && event->data.length >= EVENT_MARK_LENGTH) {
        read.produce = (uint32_t)load_be64(event->data.data);
        read.place = (uint16_t)load_be32(event->data.data + 8);
    }
    return read;
}

void history_add_chunk(struct history *history, struct history_strand *strand,
                       const struct chunk_header *header, struct bytes chunk)
{
    struct bytes body;
    if (chunk_body(header, chunk, &history->scratch, &body) != 0) {
        world_violation(history->world, "identity", "a commit made a chunk that cannot be read");
        return;
    }
    strand->chunks = memory_grow(strand->chunks, &strand->chunks_capacity, strand->chunks_count + 1,
                                 sizeof *strand->chunks);
    strand->chunks[strand->chunks_count++] = (struct history_chunk){
        .first = header->first,
        .last = chunk_last(header),
        .hash = chunk_hash(chunk.data),
        .event_first = strand->events_count,
        .is_complete = header->open == 0,
        .first_at = history->world->schedule.now,
    };
    strand->events = memory_grow(strand->events, &strand->events_capacity,
                                 strand->events_count + header->count, sizeof *strand->events);
    for (uint16_t i = 0; i < header->count; i++) {
        struct event event;
        event_next_trusted(&body, &event);
        struct history_event *added = &strand->events[strand->events_count++];
        *added = read_event(&event, header->first + i);
        if (added->name != NAME_SYSTEM && added->was.actor == 0) {
            check_produce(history, strand, header->actor, added);
        } else if (added->name == NAME_SYSTEM && !strand->is_branch) {
            struct event_id id = {.counter = added->counter, .actor = header->actor};
            ledgers_take_event(history->world, id, strand->chunks_count - 1, &event);
        }
    }
    history->events += header->count;
}

void history_lose_chunk(struct history_strand *strand, uint32_t chunk)
{
    uint32_t end = chunk + 1 < strand->chunks_count ? strand->chunks[chunk + 1].event_first
                                                    : strand->events_count;
    strand->chunks[chunk].is_lost = true;
    for (uint32_t i = strand->chunks[chunk].event_first; i < end; i++) {
        strand->events[i].name = NAME_SYSTEM;
    }
}

uint32_t history_new_produce(struct history *history, unsigned machine, uint32_t life, uint8_t name,
                             uint32_t count)
{
    history->produces = memory_grow(history->produces, &history->produces_capacity,
                                    history->produces_count + 1, sizeof *history->produces);
    history->produces[history->produces_count] = (struct history_produce){
        .count = count, .machine = (uint16_t)machine, .life = life, .name = name};
    return history->produces_count++;
}
