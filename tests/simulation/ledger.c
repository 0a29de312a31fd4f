// What is wanted is chosen once for each name: whoever creates it anew wants the same.
#include "tests/simulation/ledger.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/model/glob.h"
#include "tests/simulation/group_consumer.h"
#include "tests/simulation/group_operator.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

static const char *const PATTERNS[] = {"/orders/**", "/orders/eu/*", "/users/?",
                                       "/metrics/*", "plain-name",   "/users/[12]"};
enum {
    PATTERNS_COUNT = sizeof PATTERNS / sizeof PATTERNS[0],
    RANDOM_SALT = 0x6120775,
    KEY_UNKNOWN = UINT8_MAX
};

static bool chance(struct ledger *ledger, unsigned percent)
{
    return random_below(&ledger->random, 100) < percent;
}

static uint32_t between(struct ledger *ledger, uint32_t low, uint32_t high)
{
    return low + (uint32_t)random_below(&ledger->random, high - low);
}

static void choose_names(struct ledger *ledger)
{
    ledger->patterns_count = chance(ledger, 40) ? 0 : between(ledger, 1, 3);
    for (unsigned i = 0; i < ledger->patterns_count; i++) {
        struct glob *glob = NULL;
        struct reason reason;
        ledger->patterns[i] = PATTERNS[random_below(&ledger->random, PATTERNS_COUNT)];
        memory_must(glob_compile(bytes_of_text(ledger->patterns[i]), &glob, &reason));
        for (unsigned name = 0; name < NAMES_COUNT; name++) {
            ledger->matches_name[name] |= glob_matches(glob, bytes_of_text(HISTORY_NAMES[name]));
        }
        glob_free(glob);
        ledger->definition.entries[i].text = bytes_of_text(ledger->patterns[i]);
    }
    ledger->definition.entries_count = ledger->patterns_count;
    for (unsigned name = 0; name < NAMES_COUNT && ledger->patterns_count == 0; name++) {
        ledger->matches_name[name] = true;
    }
}

static void choose_definition(struct ledger *ledger)
{
    struct subscription_definition *definition = &ledger->definition;
    subscription_definition_init(definition);
    choose_names(ledger);
    definition->is_stable_order = chance(ledger, 30);
    definition->key = (enum group_key_kind)random_below(&ledger->random, 4);
    if (definition->key == GROUP_KEY_COMPONENTS) {
        definition->key_components = between(ledger, 1, 4);
    } else if (definition->key == GROUP_KEY_ATTRIBUTE) {
        definition->key_attribute = bytes_of_text(LEDGER_ATTRIBUTE);
    }
    definition->concurrency = chance(ledger, 20) ? between(ledger, 1, 3) : 16;
    definition->attempts = chance(ledger, 40) ? 0 : between(ledger, 2, 8);
    definition->ack_wait_ms = between(ledger, 2000, 6000);
    definition->checkpoint_every = chance(ledger, 50) ? between(ledger, 1, 60) : 1000;
    definition->checkpoint_after_ms = between(ledger, 100, 1500);
    definition->queue = chance(ledger, 50) ? between(ledger, 1, 40) : 1000;
    ledger->start.kind = chance(ledger, 75) ? START_BEGINNING : START_END;
}

struct ledger *ledger_new(struct world *world, unsigned index)
{
    struct ledger *ledger = memory_new(1, sizeof *ledger);
    ledger->world = world;
    ledger->index = index;
    random_init(&ledger->random, world->options.seed ^ ((uint64_t)RANDOM_SALT << (index + 8)));
    snprintf(ledger->name, sizeof ledger->name, "group-%u", index);
    choose_definition(ledger);
    ledger->consumers_count = between(ledger, 1, LEDGER_CONSUMERS_MAX + 1);
    for (unsigned i = 0; i < ledger->consumers_count; i++) {
        ledger->consumers[i] = group_consumer_new(ledger, i);
    }
    ledger->operator= group_operator_new(ledger);
    return ledger;
}

static void records_free(struct ledger_records *records)
{
    for (uint32_t i = 0; i < records->count; i++) {
        position_deinit(&records->items[i].position);
    }
    free(records->items);
}

void ledger_free(struct ledger *ledger)
{
    for (unsigned i = 0; i < ledger->consumers_count; i++) {
        group_consumer_free(ledger->consumers[i]);
    }
    group_operator_free(ledger->operator);
    for (uint32_t i = 0; i < ledger->actors; i++) {
        free(ledger->items[i]);
    }
    free(ledger->items);
    free(ledger->items_capacity);
    free(ledger->open);
    free(ledger->clean);
    records_free(&ledger->changes);
    records_free(&ledger->checkpoints);
    free(ledger);
}

void ledger_start(struct ledger *ledger)
{
    for (unsigned i = 0; i < ledger->consumers_count; i++) {
        group_consumer_start(ledger->consumers[i]);
    }
    group_operator_start(ledger->operator);
}

void ledger_settle(struct ledger *ledger)
{
    group_operator_stop(ledger->operator);
    for (unsigned i = 0; i < ledger->consumers_count; i++) {
        group_consumer_settle(ledger->consumers[i]);
    }
}

void ledger_leave(struct ledger *ledger, unsigned machine)
{
    for (unsigned i = 0; i < ledger->consumers_count; i++) {
        group_consumer_leave(ledger->consumers[i], machine);
    }
}

// --- Events ------------------------------------------------------------------------------------

bool ledger_attribute(uint32_t produce, char text[2])
{
    text[0] = (char)('0' + produce % LEDGER_VALUES);
    text[1] = '\0';
    return produce % 2 == 0;
}

bool ledger_matches(const struct ledger *ledger, const struct history_event *event)
{
    return ledger->matches_name[event->name];
}

// How long the first components of a name are.
static size_t front_length(const char *name, unsigned components)
{
    size_t at = name[0] == '/';
    while (name[at] != '\0' && !(name[at] == '/' && --components == 0)) {
        at++;
    }
    return at;
}

static bool has_same_front(const char *a, const char *b, unsigned components)
{
    size_t length = front_length(a, components);
    return length == front_length(b, components) && memcmp(a, b, length) == 0;
}

// A small number that is the same for events of one key.
static uint8_t key_of(const struct ledger *ledger, const struct history_event *event)
{
    const struct subscription_definition *definition = &ledger->definition;
    char text[2];
    uint8_t name = 0;
    if (event->name == NAME_SYSTEM) {
        return 0;
    }
    switch (definition->key) {
    case GROUP_KEY_NONE:
        return 0;
    case GROUP_KEY_NAMESPACE:
        return event->name;
    case GROUP_KEY_COMPONENTS:
        while (!has_same_front(HISTORY_NAMES[name], HISTORY_NAMES[event->name],
                               definition->key_components)) {
            name++;
        }
        return name;
    case GROUP_KEY_ATTRIBUTE:
        return ledger_attribute(event->produce, text) ? (uint8_t)(1 + text[0] - '0') : 0;
    }
    return 0;
}

static void make_items(struct ledger *ledger, struct ledger_place place)
{
    const struct history_strand *strand = history_strand(&ledger->world->history, place.actor);
    uint32_t actors = ledger->actors;
    ledger->items = memory_grow(ledger->items, &actors, place.actor + 1U, sizeof *ledger->items);
    ledger->items_capacity = memory_grow(ledger->items_capacity, &ledger->actors, place.actor + 1U,
                                         sizeof *ledger->items_capacity);
    uint32_t *capacity = &ledger->items_capacity[place.actor];
    uint32_t had = *capacity;
    ledger->items[place.actor] = memory_grow(ledger->items[place.actor], capacity,
                                             strand->events_count, sizeof **ledger->items);
    for (uint32_t i = had; i < *capacity; i++) {
        ledger->items[place.actor][i].key = KEY_UNKNOWN;
    }
}

struct ledger_item *ledger_item(struct ledger *ledger, struct ledger_place place)
{
    if (place.actor >= ledger->actors || place.index >= ledger->items_capacity[place.actor]) {
        make_items(ledger, place);
    }
    struct ledger_item *item = &ledger->items[place.actor][place.index];
    if (item->key == KEY_UNKNOWN) {
        const struct history_strand *strand = history_strand(&ledger->world->history, place.actor);
        item->key = key_of(ledger, &strand->events[place.index]);
    }
    return item;
}

bool ledger_find(const struct ledger *ledger, struct event_id id, struct ledger_place *place_out)
{
    const struct history_strand *strand = history_strand(&ledger->world->history, id.actor);
    uint32_t index = history_event_above(strand, id.counter - 1);
    *place_out = (struct ledger_place){.actor = id.actor, .index = index};
    return id.counter > 0 && index < strand->events_count &&
           strand->events[index].counter == id.counter;
}

struct event_id ledger_id(const struct ledger *ledger, struct ledger_place place)
{
    const struct history_strand *strand = history_strand(&ledger->world->history, place.actor);
    return (struct event_id){.counter = strand->events[place.index].counter, .actor = place.actor};
}

bool ledger_is_disturbed(const struct world *world, unsigned machine, int64_t since_ns)
{
    return world->machines[machine]->frozen_until.ns > since_ns;
}

bool ledger_was_held_up(struct world *world, unsigned coordinator, unsigned machine,
                        int64_t since_ns)
{
    const struct path *path = network_path(&world->network, coordinator, machine);
    return ledger_is_disturbed(world, coordinator, since_ns) ||
           ledger_is_disturbed(world, machine, since_ns) || path->blocked_until.ns > since_ns;
}
