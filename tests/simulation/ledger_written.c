// What was written about a subscription, and who holds it since when. What it amounts to is found
// again from all of it each time, by the rules of docs/subscriptions.md as they stand there.
#include <inttypes.h>
#include <stdlib.h>

#include "proto/model/event.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

static struct ledger *ledger_of(struct world *world, struct bytes space, const char *prefix)
{
    size_t length = strlen(prefix);
    if (space.length <= length || memcmp(space.data, prefix, length) != 0) {
        return NULL;
    }
    struct bytes name = bytes_of((const uint8_t *)space.data + length, space.length - length);
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        if (bytes_equal(name, bytes_of_text(world->ledgers[i]->name))) {
            return world->ledgers[i];
        }
    }
    return NULL;
}

static void read_position(struct ledger_record *record, const struct subscription_event *event)
{
    struct bytes rest = event->kind == SUBSCRIPTION_CHECKPOINT ? event->position : event->start;
    if (event->kind == SUBSCRIPTION_CHECKPOINT) {
        memory_must(position_decode(&rest, &record->position));
    } else if (event->kind != SUBSCRIPTION_DELETED) {
        memory_must(version_vector_decode(&rest, &record->position.vector));
    }
}

static void take_record(struct ledger *ledger, struct event_id id, uint32_t chunk,
                        struct bytes data)
{
    struct world *world = ledger->world;
    struct subscription_event event;
    if (subscription_event_decode(data, &event) != 0) {
        world_violation(world, "groups", "event %" PRIu64 ".%u about %s cannot be read", id.counter,
                        id.actor, ledger->name);
        return;
    }
    bool is_checkpoint = event.kind == SUBSCRIPTION_CHECKPOINT;
    struct ledger_records *records = is_checkpoint ? &ledger->checkpoints : &ledger->changes;
    records->items =
        memory_grow(records->items, &records->capacity, records->count + 1, sizeof *records->items);
    struct ledger_record *record = &records->items[records->count++];
    *record = (struct ledger_record){
        .id = id,
        .kind = event.kind,
        .generation = event.generation,
        .chunk = chunk,
        .at_ns = world->schedule.now.ns,
    };
    read_position(record, &event);
    world_trace(world, "about a group", ledger->index, event.kind, id.counter);
    if (is_checkpoint) {
        ledger_judge_checkpoint(ledger, record);
    }
}

static void take_parked(struct ledger *ledger, const struct event *event)
{
    struct event_id was = {0};
    struct bytes attempts = {0};
    struct bytes rest = event->attributes;
    size_t left = 0;
    memory_must(attributes_begin(&rest, &left));
    for (; left > 0; left--) {
        struct attribute attribute;
        memory_must(attributes_next(&rest, &attribute));
        if (bytes_equal(attribute.key, bytes_of_text("was")) &&
            attribute.value.length == EVENT_ID_KEY_LENGTH) {
            was = event_id_decode_key(attribute.value.data);
        } else if (bytes_equal(attribute.key, bytes_of_text("attempts"))) {
            attempts = attribute.value;
        }
    }
    ledger_judge_parked(ledger, was, attempts);
}

void ledgers_take_event(struct world *world, struct event_id id, uint32_t chunk,
                        const struct event *event)
{
    struct ledger *about = ledger_of(world, event->name, SUBSCRIPTIONS_NAMESPACE);
    struct ledger *parked = ledger_of(world, event->name, PARKED_NAMESPACE);
    if (about) {
        take_record(about, id, chunk, event->data);
    } else if (parked) {
        take_parked(parked, event);
    }
}

static bool note_held(struct ledger_records *records, unsigned machine, uint16_t actor,
                      uint32_t chunk, int64_t now_ns)
{
    bool is_any = false;
    for (uint32_t i = records->count; i > 0; i--) {
        struct ledger_record *record = &records->items[i - 1];
        if (record->id.actor == actor && record->chunk <= chunk) {
            if (record->chunk < chunk) {
                break; // strands grow in order
            }
            record->held_ns[machine] = now_ns;
            is_any = true;
        }
    }
    return is_any;
}

void ledgers_hold(struct world *world, unsigned machine, uint16_t actor, uint32_t chunk)
{
    for (unsigned i = 0; i < world->ledgers_count; i++) {
        struct ledger *ledger = world->ledgers[i];
        int64_t now_ns = world->schedule.now.ns;
        note_held(&ledger->checkpoints, machine, actor, chunk, now_ns);
        if (note_held(&ledger->changes, machine, actor, chunk, now_ns)) {
            ledger->views[machine].changed_ns = now_ns;
            ledger->views[machine].epoch = ++ledger->epoch;
        }
    }
}

// --- What it amounts to ------------------------------------------------------------------------

static bool is_held(const struct ledger *ledger, const struct ledger_record *record,
                    unsigned machine, int64_t before_ns)
{
    struct world *world = ledger->world;
    if (machine == UINT32_MAX) {
        return !history_strand(&world->history, record->id.actor)->is_lossy ||
               record->id.counter <= machines_hold(world, record->id.actor);
    }
    const struct machine *holder = world->machines[machine];
    return record->id.actor < holder->held_capacity &&
           holder->held[record->id.actor] > record->chunk && record->held_ns[machine] < before_ns;
}

const struct ledger_record *ledger_generation(const struct ledger *ledger, unsigned machine,
                                              int64_t before_ns)
{
    const struct ledger_record *barrier = NULL;
    const struct ledger_record *lowest = NULL;
    const struct ledger_record *records = ledger->changes.items;
    for (uint32_t i = 0; i < ledger->changes.count; i++) {
        bool is_barrier = records[i].kind != SUBSCRIPTION_CREATED;
        if (is_barrier && is_held(ledger, &records[i], machine, before_ns) &&
            (!barrier || event_id_compare(records[i].id, barrier->id) > 0)) {
            barrier = &records[i];
        }
    }
    if (barrier && barrier->kind == SUBSCRIPTION_RESET) {
        return barrier;
    }
    for (uint32_t i = 0; i < ledger->changes.count; i++) {
        bool counts = records[i].kind == SUBSCRIPTION_CREATED &&
                      is_held(ledger, &records[i], machine, before_ns) &&
                      (!barrier || event_id_compare(records[i].id, barrier->id) > 0);
        if (counts && (!lowest || event_id_compare(records[i].id, lowest->id) < 0)) {
            lowest = &records[i];
        }
    }
    return lowest;
}

bool ledger_is_covered(const struct ledger *ledger, unsigned machine, struct event_id generation,
                       struct event_id id, int64_t before_ns)
{
    for (uint32_t i = ledger->checkpoints.count; i > 0; i--) {
        const struct ledger_record *record = &ledger->checkpoints.items[i - 1];
        if (event_id_compare(record->generation, generation) == 0 &&
            position_is_done(&record->position, id) &&
            is_held(ledger, record, machine, before_ns)) {
            return true;
        }
    }
    return false;
}

void ledger_position(const struct ledger *ledger, const struct ledger_record *generation,
                     struct position *position)
{
    const struct ledger_record *last[UINT8_MAX + 1] = {0};
    memory_must(position_cover(position, &generation->position.vector));
    for (uint32_t i = 0; i < ledger->checkpoints.count; i++) {
        const struct ledger_record *record = &ledger->checkpoints.items[i];
        if (event_id_compare(record->generation, generation->id) == 0 &&
            record->id.actor <= UINT8_MAX && is_held(ledger, record, UINT32_MAX, 0)) {
            const struct ledger_record **of_writer = &last[record->id.actor];
            bool is_later = !*of_writer || event_id_compare(record->id, (*of_writer)->id) > 0;
            *of_writer = is_later ? record : *of_writer;
        }
    }
    for (unsigned actor = 0; actor <= UINT8_MAX; actor++) {
        if (last[actor]) {
            memory_must(position_merge(position, &last[actor]->position));
        }
    }
}

// --- What is not done --------------------------------------------------------------------------

enum doneness {
    UNDONE,
    PERHAPS, // an acknowledgement is under way
    DONE,
};

static enum doneness doneness(struct ledger *ledger, const struct ledger_record *generation,
                              struct ledger_place place)
{
    struct history_strand *strand = history_strand(&ledger->world->history, place.actor);
    const struct history_event *event = &strand->events[place.index];
    if (!ledger_matches(ledger, event) ||
        event->counter <= version_vector_get(&generation->position.vector, place.actor)) {
        return DONE;
    }
    const struct ledger_item *item = ledger_item(ledger, place);
    bool is_done =
        item->counts_until_ns >= generation->at_ns || item->parked_ns >= generation->at_ns;
    return is_done ? DONE : item->unknown > 0 ? PERHAPS : UNDONE;
}

// Forgets what was done in another generation.
static void begin_clean(struct ledger *ledger, const struct ledger_record *generation)
{
    uint32_t strands = ledger->world->history.strands_count;
    ledger->clean =
        memory_grow(ledger->clean, &ledger->clean_capacity, strands, sizeof *ledger->clean);
    if (event_id_compare(ledger->clean_generation, generation->id) != 0) {
        memset(ledger->clean, 0, ledger->clean_capacity * sizeof *ledger->clean);
        ledger->clean_generation = generation->id;
    }
}

bool ledger_first_undone(struct ledger *ledger, const struct ledger_record *generation,
                         const struct position *position, struct event_id *id_out)
{
    struct history *history = &ledger->world->history;
    begin_clean(ledger, generation);
    for (uint32_t actor = 1; actor < history->strands_count; actor++) {
        const struct history_strand *strand = history->strands[actor];
        if (!strand) {
            continue;
        }
        uint64_t held = strand->is_lossy ? machines_hold(ledger->world, (uint16_t)actor) : 0;
        uint32_t *clean = &ledger->clean[actor];
        bool is_clean = true;
        for (uint32_t i = *clean; i < strand->events_count; i++) {
            struct ledger_place place = {.actor = (uint16_t)actor, .index = i};
            enum doneness done = doneness(ledger, generation, place);
            is_clean &= done == DONE;
            *clean += is_clean;
            *id_out = ledger_id(ledger, place);
            bool is_lost = strand->is_lossy && id_out->counter > held;
            if (done == UNDONE && !is_lost && (!position || position_is_done(position, *id_out))) {
                return true;
            }
        }
    }
    return false;
}

bool ledger_is_all_in(const struct ledger *ledger, const struct position *position,
                      struct event_id *id_out)
{
    const struct history *history = &ledger->world->history;
    for (uint32_t actor = 1; actor < history->strands_count; actor++) {
        const struct history_strand *strand = history->strands[actor];
        uint64_t held =
            strand && strand->is_lossy ? machines_hold(ledger->world, (uint16_t)actor) : UINT64_MAX;
        for (uint32_t i = 0; strand && i < strand->events_count; i++) {
            *id_out = (struct event_id){strand->events[i].counter, (uint16_t)actor};
            if (id_out->counter <= held && ledger_matches(ledger, &strand->events[i]) &&
                !position_is_done(position, *id_out)) {
                return false;
            }
        }
    }
    return true;
}
