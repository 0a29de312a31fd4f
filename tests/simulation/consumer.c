// Exactness is judged event by event: within a strand the next event that comes must be the next
// one that matches; nothing in between may be left out, nothing may come again. In stable order the
// ids rise besides, and nothing lower of any strand is left out.
#include "tests/simulation/consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/core.h"
#include "proto/model/glob.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

struct consumer {
    struct endpoint endpoint;
    struct world *world;
    unsigned index;
    unsigned machine;
    struct core *core; // NULL: not connected
    uint64_t subscription;
    const char *patterns[2]; // none: everything
    unsigned patterns_count;
    bool matches[NAMES_COUNT + 1];
    bool is_stable;
    bool wants_marks;
    bool from_end;
    bool has_started; // the first subscription has said where it starts
    bool is_settled;
    uint64_t credit_bytes;
    uint32_t *positions; // by actor: index of the next event of the strand that did not come yet
    uint32_t positions_capacity;
    struct version_vector cursor;
    struct event_id last;
    uint64_t received;
    struct happening next; // connect, hop
    struct happening tick; // of the core
};

static const char *const PATTERNS[] = {"/orders/**", "/orders/eu/*", "/users/?", "/metrics/*",
                                       "plain-name", "/a/**",        "/log",     "/users/[12]"};
enum { PATTERNS_COUNT = sizeof PATTERNS / sizeof PATTERNS[0] };

static struct consumer *consumer_of(struct endpoint *endpoint)
{
    return container_of(endpoint, struct consumer, endpoint);
}

// --- What comes --------------------------------------------------------------------------------

static uint32_t *position_of(struct consumer *consumer, uint16_t actor)
{
    consumer->positions = memory_grow(consumer->positions, &consumer->positions_capacity,
                                      actor + 1U, sizeof *consumer->positions);
    return &consumer->positions[actor];
}

// Moves on to the next event of the strand that matches; NULL: there is none yet. What is lost with
// a disk may still come, when it was on its way.
static const struct history_event *next_match(struct consumer *consumer, uint16_t actor)
{
    const struct history_strand *strand = history_strand(&consumer->world->history, actor);
    uint32_t *position = position_of(consumer, actor);
    while (*position < strand->events_count && !consumer->matches[strand->events[*position].name]) {
        (*position)++;
    }
    if (*position == strand->events_count) {
        return NULL;
    }
    return &strand->events[*position];
}

// What must come.
static const struct history_event *next_due(struct consumer *consumer, uint16_t actor)
{
    const struct history_strand *strand = history_strand(&consumer->world->history, actor);
    const struct history_event *next = next_match(consumer, actor);
    bool is_lost =
        next && strand->is_lossy && next->counter > machines_hold(consumer->world, actor);
    return is_lost ? NULL : next;
}

static void check_stable(struct consumer *consumer, struct event_id id)
{
    struct world *world = consumer->world;
    struct history *history = &world->history;
    if (event_id_compare(id, consumer->last) <= 0) {
        world_violation(
            world, "order", "consumer %u in stable order gets %" PRIu64 ".%u after %" PRIu64 ".%u",
            consumer->index, id.counter, id.actor, consumer->last.counter, consumer->last.actor);
    }
    for (uint32_t actor = 1; actor < history->strands_count; actor++) {
        const struct history_event *next =
            history->strands[actor] ? next_due(consumer, (uint16_t)actor) : NULL;
        struct event_id other = {.counter = next ? next->counter : 0, .actor = (uint16_t)actor};
        if (next && event_id_compare(other, id) < 0) {
            world_violation(world, "order",
                            "consumer %u in stable order gets %" PRIu64 ".%u before %" PRIu64
                            ".%u, which matches too",
                            consumer->index, id.counter, id.actor, other.counter, other.actor);
        }
    }
    consumer->last = id;
    struct event_id highest = {.counter = history->stable_counter, .actor = history->stable_actor};
    if (event_id_compare(id, highest) > 0) {
        history->stable_counter = id.counter;
        history->stable_actor = id.actor;
    }
}

static bool is_same(const struct history_event *known, const struct received_event *event)
{
    bool has_mark = event->fields.data.length >= EVENT_MARK_LENGTH;
    return known->counter == event->id.counter &&
           (known->produce == UINT32_MAX ||
            (has_mark && load_be64(event->fields.data.data) == known->produce &&
             load_be32(event->fields.data.data + 8) == known->place &&
             bytes_equal(event->fields.name, bytes_of_text(HISTORY_NAMES[known->name]))));
}

static void take_event(struct consumer *consumer, const struct received_event *event)
{
    struct world *world = consumer->world;
    const struct history_event *next = next_match(consumer, event->id.actor);
    consumer->received++;
    if (!next || event->id.counter < next->counter) {
        world_violation(world, "subscription",
                        "consumer %u gets event %" PRIu64
                        ".%u, which it has had, did not ask for, or nobody issued",
                        consumer->index, event->id.counter, event->id.actor);
        return;
    }
    if (event->id.counter > next->counter) {
        world_violation(
            world, "subscription",
            "consumer %u at machine %u gets event %" PRIu64 ".%u without the one before, %" PRIu64,
            consumer->index, consumer->machine, event->id.counter, event->id.actor, next->counter);
        return;
    }
    if (!is_same(next, event)) {
        world_violation(world, "identity",
                        "consumer %u gets another event as %" PRIu64 ".%u than was issued",
                        consumer->index, event->id.counter, event->id.actor);
        return;
    }
    (*position_of(consumer, event->id.actor))++;
    if (consumer->is_stable) {
        check_stable(consumer, event->id);
    }
}

// A cursor covers only what came or does not match.
static void check_cursor(struct consumer *consumer, const struct version_vector *cursor)
{
    for (uint32_t i = 0; i < cursor->count; i++) {
        struct version_entry entry = cursor->entries[i];
        const struct history_event *next = next_due(consumer, entry.actor);
        if (next && next->counter <= entry.counter) {
            world_violation(consumer->world, "subscription",
                            "the cursor of consumer %u at machine %u covers %" PRIu64
                            ".%u, which did not come",
                            consumer->index, consumer->machine, next->counter, entry.actor);
        }
    }
}

static void take_start(struct consumer *consumer, struct bytes encoded)
{
    struct version_vector start = {0};
    struct bytes rest = encoded;
    if (encoded.length > 0) {
        memory_must(version_vector_decode(&rest, &start));
    }
    for (uint32_t i = 0; i < start.count && !consumer->has_started; i++) {
        uint16_t actor = start.entries[i].actor;
        *position_of(consumer, actor) = history_event_above(
            history_strand(&consumer->world->history, actor), start.entries[i].counter);
    }
    consumer->has_started = true;
    check_cursor(consumer, &start);
    version_vector_deinit(&start);
}

static void keep_cursor(struct consumer *consumer)
{
    const struct version_vector *cursor = consumer->core && consumer->has_started
                                              ? core_cursor(consumer->core, consumer->subscription)
                                              : NULL;
    if (cursor) {
        check_cursor(consumer, cursor);
        memory_must(version_vector_copy(&consumer->cursor, cursor));
    }
}

static void disconnect(struct consumer *consumer)
{
    keep_cursor(consumer);
    network_close(&consumer->endpoint);
    core_free(consumer->core);
    consumer->core = NULL;
    schedule_clear(&consumer->world->schedule, &consumer->tick);
    schedule_hasten(&consumer->world->schedule, &consumer->next,
                    world_after(consumer->world, world_between(consumer->world, 1000, 200000000)));
}

static void take_notice(struct consumer *consumer, const struct notice *notice)
{
    struct world *world = consumer->world;
    struct received_event event;
    switch (notice->kind) {
    case NOTICE_SUBSCRIBED:
        take_start(consumer, notice->reply.cursor);
        break;
    case NOTICE_EVENTS:
        while (!world->violation.check && events_next(notice->events, &event) == 0) {
            take_event(consumer, &event);
        }
        break;
    case NOTICE_REFUSED:
        world_trace(world, "not served", consumer->index, consumer->machine,
                    notice->reply.error.code);
        if (world->is_traced) {
            printf("    %.*s\n", (int)notice->reply.error.text.length,
                   notice->reply.error.text.data);
        }
        if (notice->reply.error.code == WIRE_INVALID_CURSOR) {
            world_violation(world, "subscription", "the cursor of consumer %u is refused: %.*s",
                            consumer->index, (int)notice->reply.error.text.length,
                            notice->reply.error.text.data);
        }
        break;
    case NOTICE_READY:
    case NOTICE_ATTACHED:
    case NOTICE_ANSWER:
    case NOTICE_PRODUCED:
    case NOTICE_MARK:
    case NOTICE_END:
        break;
    }
}

static void send_out(struct consumer *consumer)
{
    struct bytes out;
    while (consumer->core && (out = core_output(consumer->core)).length > 0) {
        size_t room = network_room(&consumer->endpoint);
        size_t length = out.length < room ? out.length : room;
        if (length == 0) {
            return;
        }
        network_write(&consumer->endpoint, bytes_of(out.data, length));
        core_sent(consumer->core, length);
    }
}

static void take_notices(struct consumer *consumer)
{
    struct notice notice;
    bool is_over = false;
    int outcome = 0;
    while (!is_over && !consumer->world->violation.check &&
           (outcome = core_next(consumer->core, &notice)) == 0) {
        take_notice(consumer, &notice);
        is_over = notice.kind == NOTICE_END || notice.kind == NOTICE_REFUSED;
    }
    if (outcome < 0 && outcome != ERR_CLOSED && outcome != ERR_TIMEOUT) {
        world_violation(consumer->world, "subscription", "the connection of consumer %u ended: %s",
                        consumer->index, core_reason(consumer->core));
    }
    if (is_over || outcome < 0) {
        disconnect(consumer);
        return;
    }
    send_out(consumer);
    schedule_set(&consumer->world->schedule, &consumer->tick, core_deadline(consumer->core));
}

static void on_readable(struct endpoint *endpoint)
{
    struct consumer *consumer = consumer_of(endpoint);
    struct world *world = consumer->world;
    struct bytes bytes = network_readable(endpoint);
    if (bytes.length > 0) {
        memory_must(core_feed(consumer->core, bytes, world->schedule.now));
        network_consume(endpoint, bytes.length);
    }
    if (network_has_ended(endpoint)) {
        core_fail(consumer->core, ERR_CLOSED, "closed");
    }
    take_notices(consumer);
}

static void on_writable(struct endpoint *endpoint)
{
    send_out(consumer_of(endpoint));
}

static const struct endpoint_ops CONSUMER_OPS = {.readable = on_readable, .writable = on_writable};

static void on_tick(struct happening *happening)
{
    struct consumer *consumer = container_of(happening, struct consumer, tick);
    core_tick(consumer->core, consumer->world->schedule.now);
    take_notices(consumer);
}

// --- Where it is connected ---------------------------------------------------------------------

static void subscribe(struct consumer *consumer)
{
    struct request request = {.kind = REQUEST_SUBSCRIBE};
    struct buffer cursor = {0};
    for (unsigned i = 0; i < consumer->patterns_count; i++) {
        request.subscribe.entries[i].text = bytes_of_text(consumer->patterns[i]);
    }
    request.subscribe.entries_count = consumer->patterns_count;
    request.subscribe.is_stable_order = consumer->is_stable;
    request.subscribe.wants_marks = consumer->wants_marks;
    request.subscribe.credit_bytes = consumer->credit_bytes;
    request.subscribe.heartbeat_ms = 1000;
    if (consumer->has_started) {
        memory_must(version_vector_encode(&consumer->cursor, &cursor));
        request.subscribe.start = START_AT_CURSOR;
        request.subscribe.start_cursor = buffer_bytes(&cursor);
    } else if (consumer->from_end) {
        request.subscribe.start = START_END;
    }
    memory_must(core_subscribe(consumer->core, &request, 1));
    consumer->subscription = request.id;
    buffer_deinit(&cursor);
}

// Everything once more, from the disk.
static void start_over(struct consumer *consumer)
{
    for (uint32_t i = 0; i < consumer->positions_capacity; i++) {
        consumer->positions[i] = 0;
    }
    version_vector_deinit(&consumer->cursor);
    consumer->last = (struct event_id){0};
    consumer->has_started = false;
}

static void connect_somewhere(struct consumer *consumer)
{
    struct world *world = consumer->world;
    const struct core_config config = {
        .name = "consumer", .hello_timeout_ms = 2000, .silence_ms = 3000};
    // Nobody should wait long for chance when all is to come to rest.
    consumer->machine = consumer->is_settled
                            ? (consumer->machine + 1) % world->machines_count
                            : (unsigned)random_below(&world->random, world->machines_count);
    struct machine *machine = world->machines[consumer->machine];
    if (machine->is_given_up || machine->may_fork ||
        !machine_accept(machine, &consumer->endpoint)) {
        return;
    }
    if (world->options.damage && consumer->has_started && !consumer->from_end &&
        !consumer->is_settled && world_chance(world, 30)) {
        start_over(consumer);
    }
    memory_must(core_new(&config, world->schedule.now, &consumer->core));
    world_trace(world, "consume", consumer->index, consumer->machine, consumer->received);
    subscribe(consumer);
    take_notices(consumer);
}

static void on_next(struct happening *happening)
{
    struct consumer *consumer = container_of(happening, struct consumer, next);
    struct world *world = consumer->world;
    if (!consumer->core) {
        connect_somewhere(consumer);
    } else if (!consumer->is_settled && world_chance(world, 30)) {
        disconnect(consumer);
    }
    schedule_hasten(&world->schedule, happening,
                    world_after_ms(world, world_between(world, 50, 2000)));
}

// --- Life --------------------------------------------------------------------------------------

static void choose_names(struct consumer *consumer)
{
    struct world *world = consumer->world;
    consumer->patterns_count = (unsigned)random_below(&world->random, 3);
    for (unsigned i = 0; i < consumer->patterns_count; i++) {
        struct glob *glob = NULL;
        struct reason reason;
        consumer->patterns[i] = PATTERNS[random_below(&world->random, PATTERNS_COUNT)];
        memory_must(glob_compile(bytes_of_text(consumer->patterns[i]), &glob, &reason));
        for (unsigned name = 0; name < NAMES_COUNT; name++) {
            consumer->matches[name] |= glob_matches(glob, bytes_of_text(HISTORY_NAMES[name]));
        }
        glob_free(glob);
    }
    for (unsigned name = 0; name < NAMES_COUNT && consumer->patterns_count == 0; name++) {
        consumer->matches[name] = true;
    }
}

struct consumer *consumer_new(struct world *world, unsigned index)
{
    struct consumer *consumer = memory_new(1, sizeof *consumer);
    consumer->world = world;
    consumer->index = index;
    consumer->endpoint.ops = &CONSUMER_OPS;
    consumer->next.happen = on_next;
    consumer->tick.happen = on_tick;
    consumer->is_stable = world_chance(world, world->options.stable_percent);
    consumer->wants_marks = !consumer->is_stable && world_chance(world, 20);
    consumer->from_end = world_chance(world, 20);
    consumer->credit_bytes = world_chance(world, 30) ? 1 + random_below(&world->random, 5000) : 0;
    choose_names(consumer);
    return consumer;
}

void consumer_free(struct consumer *consumer)
{
    if (consumer->core) {
        network_close(&consumer->endpoint);
        core_free(consumer->core);
    }
    schedule_clear(&consumer->world->schedule, &consumer->next);
    schedule_clear(&consumer->world->schedule, &consumer->tick);
    version_vector_deinit(&consumer->cursor);
    free(consumer->positions);
    free(consumer);
}

void consumer_start(struct consumer *consumer)
{
    schedule_set(&consumer->world->schedule, &consumer->next,
                 world_after_ms(consumer->world, world_between(consumer->world, 0, 1000)));
}

void consumer_leave(struct consumer *consumer, unsigned machine)
{
    if (consumer->core && consumer->machine == machine) {
        disconnect(consumer);
    }
}

void consumer_settle(struct consumer *consumer)
{
    consumer->is_settled = true;
}

bool consumer_has_everything(struct consumer *consumer, struct event_id *what_out)
{
    struct history *history = &consumer->world->history;
    for (uint32_t actor = 1; actor < history->strands_count; actor++) {
        const struct history_event *next =
            history->strands[actor] ? next_due(consumer, (uint16_t)actor) : NULL;
        if (next) {
            *what_out = (struct event_id){.counter = next->counter, .actor = (uint16_t)actor};
            return false;
        }
    }
    return consumer->has_started;
}
