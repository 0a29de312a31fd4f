// What it was given and has not said anything of it holds, also over the end of a connection, as a
// program does that handles an event while it loses its connection.
#include "tests/simulation/group_consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/model/chunk.h"
#include "proto/model/slice.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/plain_client.h"

enum {
    IN_FLIGHT_MANY = 100,
    SAID_MAX = 8,      // acknowledgements that are not answered
    SILENCE_MS = 4000, // of the node: then it is given up
    HEARTBEAT_MS = 1000,
};

struct held {
    struct ledger_place place;
    uint64_t attachment;
    int64_t at_ns;
    bool is_chosen;
};

// An acknowledgement that is not answered.
struct said {
    uint64_t id;       // 0: none
    struct held *held; // of what
    uint32_t count;
    uint64_t attachment;
    bool is_exact; // each of them was named
};

struct group_consumer {
    struct plain_client client;
    struct ledger *ledger;
    uint8_t index;
    struct random random;
    struct happening next; // connect, hop, fail
    struct happening act;  // say something of what it holds
    uint64_t request_last;
    uint64_t attach; // the request; 0: none
    bool is_attached;
    bool is_settled;
    bool creates;
    unsigned coordinator;
    unsigned hint; // where it was sent to; UINT32_MAX: nowhere
    uint64_t attachment;
    uint32_t in_flight_max;
    uint64_t credit_bytes;
    struct instant silent_until;
    struct instant heard_at;
    struct instant asked_at; // to be attached
    struct instant attached_at;
    uint32_t coordinator_life; // then
    struct held *held;         // in the order in which it came
    uint32_t held_count;
    uint32_t held_capacity;
    struct said said[SAID_MAX];
};

static struct group_consumer *consumer_of(struct plain_client *client)
{
    return container_of(client, struct group_consumer, client);
}

static bool chance(struct group_consumer *consumer, unsigned percent)
{
    return random_below(&consumer->random, 100) < percent;
}

static int64_t between(struct group_consumer *consumer, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&consumer->random, (uint64_t)(high - low));
}

static struct world *world_of(const struct group_consumer *consumer)
{
    return consumer->ledger->world;
}

static void act_in(struct group_consumer *consumer, int64_t ms_max)
{
    struct world *world = world_of(consumer);
    schedule_hasten(&world->schedule, &consumer->act,
                    world_after(world, between(consumer, 100000, ms_max * 1000000)));
}

// --- Ends --------------------------------------------------------------------------------------

static void forget(struct group_consumer *consumer)
{
    for (unsigned i = 0; i < SAID_MAX; i++) {
        struct said *said = &consumer->said[i];
        for (uint32_t k = 0; k < said->count; k++) {
            ledger_ack_lost(consumer->ledger, said->held[k].place);
        }
        free(said->held);
        *said = (struct said){0};
    }
    if (consumer->is_attached) {
        ledger_detached(consumer->ledger, consumer->coordinator, consumer->client.machine,
                        consumer->attachment);
    }
    if (chance(consumer, 70)) {
        consumer->held_count = 0;
    }
    consumer->is_attached = false;
    consumer->attach = 0;
    consumer->coordinator = COORDINATOR_UNKNOWN;
}

static void drop(struct group_consumer *consumer)
{
    struct world *world = world_of(consumer);
    plain_client_close(&consumer->client);
    forget(consumer);
    schedule_hasten(&world->schedule, &consumer->next,
                    world_after(world, between(consumer, 1000, 200000000)));
}

static void on_closed(struct plain_client *client)
{
    drop(consumer_of(client));
}

// --- Acknowledgements --------------------------------------------------------------------------

static struct said *said_free(struct group_consumer *consumer)
{
    for (unsigned i = 0; i < SAID_MAX; i++) {
        if (consumer->said[i].id == 0) {
            return &consumer->said[i];
        }
    }
    return NULL;
}

static int compare_places(const void *a, const void *b)
{
    const struct ledger_place *left = a;
    const struct ledger_place *right = b;
    if (left->actor != right->actor) {
        return left->actor < right->actor ? -1 : 1;
    }
    return left->index < right->index ? -1 : left->index > right->index;
}

// Takes what is chosen out of what is held, in the order in which it came.
static struct held *take_chosen(struct group_consumer *consumer, uint32_t *count_out)
{
    struct held *chosen = memory_new(consumer->held_count + 1, sizeof *chosen);
    uint32_t left = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < consumer->held_count; i++) {
        if (consumer->held[i].is_chosen) {
            chosen[count++] = consumer->held[i];
        } else {
            consumer->held[left++] = consumer->held[i];
        }
    }
    consumer->held_count = left;
    *count_out = count;
    return chosen;
}

// Events with consecutive ids as one range.
static void append_ranges(const struct ledger *ledger, const struct held *held, uint32_t count,
                          struct buffer *out)
{
    struct ledger_place *places = memory_new(count + 1, sizeof *places);
    for (uint32_t i = 0; i < count; i++) {
        places[i] = held[i].place;
    }
    qsort(places, count, sizeof *places, compare_places);
    for (uint32_t i = 0; i < count;) {
        struct event_id first = ledger_id(ledger, places[i]);
        struct done_range range = {first.actor, first.counter, first.counter};
        for (i++; i < count && places[i].actor == range.actor &&
                  ledger_id(ledger, places[i]).counter == range.last + 1;
             i++) {
            range.last++;
        }
        memory_must(done_range_append(out, &range));
    }
    free(places);
}

static void say_ack(struct group_consumer *consumer, struct said *said, struct event_id up_to)
{
    struct ledger *ledger = consumer->ledger;
    struct request request = {.kind = REQUEST_ACK, .id = ++consumer->request_last};
    struct buffer ranges = {0};
    said->id = request.id;
    said->attachment = consumer->attachment;
    said->held = take_chosen(consumer, &said->count);
    said->is_exact = event_id_is_none(up_to);
    for (uint32_t i = 0; i < said->count; i++) {
        ledger_ack(ledger, said->held[i].place);
    }
    if (said->is_exact) {
        append_ranges(ledger, said->held, said->count, &ranges);
    }
    request.ack.attachment = consumer->attach;
    request.ack.up_to = up_to;
    request.ack.ranges = buffer_bytes(&ranges);
    world_trace(world_of(consumer), said->is_exact ? "ack" : "ack up to",
                ledger->index * 10 + consumer->index, request.id, said->count);
    plain_client_send(&consumer->client, &request);
    buffer_deinit(&ranges);
}

static void say_nack(struct group_consumer *consumer)
{
    struct request request = {.kind = REQUEST_NACK, .id = ++consumer->request_last};
    struct buffer ranges = {0};
    uint32_t count;
    struct held *chosen = take_chosen(consumer, &count);
    append_ranges(consumer->ledger, chosen, count, &ranges);
    for (uint32_t i = 0; i < count; i++) {
        ledger_nack(consumer->ledger, chosen[i].place);
    }
    request.nack.attachment = consumer->attach;
    request.nack.ranges = buffer_bytes(&ranges);
    request.nack.delay_ms = chance(consumer, 50) ? 0 : (uint32_t)between(consumer, 1, 2000);
    request.nack.reason = chance(consumer, 50) ? bytes_of_text("not now") : (struct bytes){0};
    world_trace(world_of(consumer), "nack", consumer->ledger->index * 10 + consumer->index,
                request.id, count);
    plain_client_send(&consumer->client, &request);
    buffer_deinit(&ranges);
    free(chosen);
}

static void choose(struct group_consumer *consumer, unsigned percent)
{
    for (uint32_t i = 0; i < consumer->held_count; i++) {
        consumer->held[i].is_chosen = percent == 100 || chance(consumer, percent);
    }
    consumer->held[random_below(&consumer->random, consumer->held_count)].is_chosen = true;
}

// Everything of this attachment up to one of them.
static struct event_id choose_up_to(struct group_consumer *consumer)
{
    uint32_t last = (uint32_t)random_below(&consumer->random, consumer->held_count);
    if (consumer->held[last].attachment != consumer->attachment) {
        choose(consumer, 100);
        return (struct event_id){0};
    }
    for (uint32_t i = 0; i < consumer->held_count; i++) {
        struct held *held = &consumer->held[i];
        held->is_chosen = i <= last && held->attachment == consumer->attachment;
    }
    return ledger_id(consumer->ledger, consumer->held[last].place);
}

static void on_act(struct happening *happening)
{
    struct group_consumer *consumer = container_of(happening, struct group_consumer, act);
    struct world *world = world_of(consumer);
    struct said *said = said_free(consumer);
    bool is_silent = consumer->silent_until.ns > world->schedule.now.ns;
    uint64_t kind = random_below(&consumer->random, consumer->is_settled ? 80 : 100);
    if (!consumer->is_attached || consumer->held_count == 0) {
        return;
    }
    if (!said || is_silent) {
        act_in(consumer, 100);
        return;
    }
    if (kind < 50) {
        choose(consumer, kind < 30 ? 100 : 30);
        say_ack(consumer, said, (struct event_id){0});
    } else if (kind < 70) {
        say_ack(consumer, said, choose_up_to(consumer));
    } else if (kind < 80) {
        choose(consumer, 0);
        say_ack(consumer, said, (struct event_id){0});
    } else if (kind < 88) {
        choose(consumer, 20);
        say_nack(consumer);
    }
    act_in(consumer, consumer->is_settled ? 20 : 150);
}

static bool is_held(const struct group_consumer *consumer, struct ledger_place place)
{
    for (uint32_t i = 0; i < consumer->held_count; i++) {
        if (compare_places(&consumer->held[i].place, &place) == 0) {
            return true;
        }
    }
    return false;
}

// What was named last is not in flight here any more, or was counted alone: all the others still
// are, but for what has come again meanwhile.
static void hold_again(struct group_consumer *consumer, struct said *said)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < said->count; i++) {
        if (!is_held(consumer, said->held[i].place)) {
            said->held[left++] = said->held[i];
        }
    }
    said->count = left;
    uint32_t count = consumer->held_count + said->count;
    consumer->held =
        memory_grow(consumer->held, &consumer->held_capacity, count, sizeof *consumer->held);
    memmove(consumer->held + said->count, consumer->held,
            consumer->held_count * sizeof *consumer->held);
    memcpy(consumer->held, said->held, said->count * sizeof *said->held);
    consumer->held_count = count;
}

static void take_answer(struct group_consumer *consumer, struct said *said,
                        const struct reply *reply)
{
    struct ledger *ledger = consumer->ledger;
    bool is_error = reply->kind == REPLY_ERROR;
    bool is_refused = is_error && reply->error.code == WIRE_NOT_IN_FLIGHT;
    if (is_error && reply->error.code == WIRE_INVALID_ARGUMENT) {
        world_violation(world_of(consumer), "groups",
                        "consumer %u of %s said what is refused: %.*s", consumer->index,
                        ledger->name, (int)reply->error.text.length,
                        (const char *)reply->error.text.data);
    }
    // Where it was forwarded, another coordinator may have counted it, whose answer was lost.
    bool is_certain = consumer->coordinator == consumer->client.machine &&
                      said->attachment == consumer->attachment;
    if (!is_error && said->is_exact && said->attachment == consumer->attachment &&
        reply->acked.count > said->count) {
        world_violation(world_of(consumer), "groups",
                        "an acknowledgement of %u events of %s counts for %" PRIu64, said->count,
                        ledger->name, reply->acked.count);
    }
    bool is_counted = !is_error && said->is_exact && reply->acked.count == said->count;
    for (uint32_t k = 0; k < said->count; k++) {
        if (is_refused && is_certain) {
            ledger_not_acked(ledger, said->held[k].place);
        } else {
            ledger_acked(ledger, said->held[k].place, consumer->coordinator,
                         is_counted ? said->attachment : 0);
        }
    }
    bool is_partial = !is_error && reply->acked.count < said->count;
    if ((is_refused || is_partial) && !said->is_exact) {
        hold_again(consumer, said);
    }
    free(said->held);
    *said = (struct said){0};
}

static void take_acked(struct group_consumer *consumer, const struct reply *reply)
{
    for (unsigned i = 0; i < SAID_MAX; i++) {
        if (consumer->said[i].id == reply->id) {
            take_answer(consumer, &consumer->said[i], reply);
        }
    }
}

// --- What comes --------------------------------------------------------------------------------

static void hold(struct group_consumer *consumer, struct ledger_place place)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < consumer->held_count; i++) { // it has come again
        if (compare_places(&consumer->held[i].place, &place) != 0) {
            consumer->held[left++] = consumer->held[i];
        }
    }
    consumer->held_count = left;
    consumer->held = memory_grow(consumer->held, &consumer->held_capacity, consumer->held_count + 1,
                                 sizeof *consumer->held);
    consumer->held[consumer->held_count++] = (struct held){
        .place = place,
        .attachment = consumer->attachment,
        .at_ns = world_of(consumer)->schedule.now.ns,
    };
}

// What came lately and was neither acknowledged nor refused is in flight: also what it held from
// before may have been named by it while that came again.
static void judge_in_flight(struct group_consumer *consumer)
{
    struct world *world = world_of(consumer);
    int64_t since_ns =
        world->schedule.now.ns - (int64_t)consumer->ledger->definition.ack_wait_ms * 500000;
    uint32_t count = 0;
    for (uint32_t i = 0; i < consumer->held_count; i++) {
        const struct held *held = &consumer->held[i];
        const struct ledger_item *item = ledger_item(consumer->ledger, held->place);
        count += held->attachment == consumer->attachment && held->at_ns > since_ns &&
                 !ledger_may_be_done(item) && !ledger_may_be_refused(item);
    }
    bool is_late = consumer->coordinator == COORDINATOR_UNKNOWN ||
                   ledger_was_held_up(world, (unsigned)consumer->coordinator,
                                      consumer->client.machine, since_ns);
    if (count > consumer->in_flight_max && !is_late) {
        world_violation(world, "groups", "consumer %u of %s has %u events in flight, asked for %u",
                        consumer->index, consumer->ledger->name, count, consumer->in_flight_max);
    }
}

static void take_slice(struct group_consumer *consumer, const struct slice *slice, uint32_t attempt)
{
    struct bytes rest = slice->events;
    for (uint16_t i = 0; i < slice->count; i++) {
        struct event event;
        struct ledger_place place;
        memory_must(event_next(&rest, &event));
        const struct ledger_delivery delivery = {
            .consumer = consumer->index,
            .machine = consumer->client.machine,
            .coordinator = consumer->coordinator,
            .attachment = consumer->attachment,
            .asked_ns = consumer->asked_at.ns,
            .attached_ns = consumer->attached_at.ns,
            .life = consumer->coordinator_life,
            .attempt = attempt,
            .id = {.counter = slice->first + i, .actor = slice->actor},
            .name = event.name,
            .data = event.data,
        };
        if (!ledger_give(consumer->ledger, &delivery, &place)) {
            return;
        }
        hold(consumer, place);
    }
}

// The next chunk, as a slice; `scratch` is for its body.
static struct slice next_chunk(struct bytes *rest, struct buffer *scratch)
{
    struct chunk_header header;
    struct bytes chunk;
    memory_must(chunk_next(rest, &header, &chunk));
    memory_must(chunk_verify(&header, chunk));
    struct slice slice = {.actor = header.actor, .count = header.count, .first = header.first};
    memory_must(chunk_body(&header, chunk, scratch, &slice.events));
    return slice;
}

static void take_assigned(struct group_consumer *consumer, const struct reply *reply)
{
    bool is_chunks = reply->kind == DELIVERY_ASSIGNED_CHUNKS;
    struct bytes rest = reply->assigned.slices;
    struct buffer scratch = {0};
    struct slice slice;
    world_trace(world_of(consumer), "given", consumer->ledger->index * 10 + consumer->index,
                reply->assigned.attempt, reply->assigned.slices.length);
    while (rest.length > 0 && !world_of(consumer)->violation.check) {
        if (is_chunks) {
            slice = next_chunk(&rest, &scratch);
        } else {
            memory_must(slice_next(&rest, &slice));
        }
        take_slice(consumer, &slice, reply->assigned.attempt);
    }
    buffer_deinit(&scratch);
    judge_in_flight(consumer);
    struct request credit = {.kind = REQUEST_CREDIT, .id = consumer->attach};
    credit.credit.bytes = reply->assigned.slices.length;
    plain_client_send(&consumer->client, &credit);
    act_in(consumer, consumer->is_settled ? 20 : 150);
}

// The machine of that uuid: the one it is connected to, if that is it.
static unsigned coordinator_of(const struct group_consumer *consumer, struct bytes uuid)
{
    const struct world *world = world_of(consumer);
    unsigned found = COORDINATOR_UNKNOWN;
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct uuid *node = &world->machines[i]->identity.node;
        if (bytes_equal(uuid, bytes_of(node->bytes, sizeof node->bytes))) {
            found = i == consumer->client.machine || found == COORDINATOR_UNKNOWN ? i : found;
        }
    }
    return world->options.cloned_disks && found != consumer->client.machine ? COORDINATOR_UNKNOWN
                                                                            : found;
}

static void take_attached(struct group_consumer *consumer, const struct reply *reply)
{
    consumer->is_attached = true;
    consumer->coordinator = coordinator_of(consumer, reply->attached.coordinator);
    consumer->attachment = ledger_attached(consumer->ledger, consumer->coordinator);
    consumer->attached_at = world_of(consumer)->schedule.now;
    if (consumer->coordinator != COORDINATOR_UNKNOWN) {
        consumer->coordinator_life = world_of(consumer)->machines[consumer->coordinator]->life;
    }
    world_trace(world_of(consumer), "attached", consumer->ledger->index * 10 + consumer->index,
                consumer->client.machine, reply->attached.is_created);
    act_in(consumer, 100);
}

// Another coordinator, or the same with a group that begins anew: it is not said which.
static void take_moved(struct group_consumer *consumer)
{
    ledger_detached(consumer->ledger, consumer->coordinator, consumer->client.machine,
                    consumer->attachment);
    consumer->coordinator = COORDINATOR_UNKNOWN;
    consumer->attachment = ledger_attached(consumer->ledger, COORDINATOR_UNKNOWN);
    world_trace(world_of(consumer), "moved", consumer->ledger->index * 10 + consumer->index,
                consumer->client.machine, 0);
}

// "actor N at ..." names the node to go to.
static void take_hint(struct group_consumer *consumer, struct bytes text)
{
    const struct world *world = world_of(consumer);
    char copy[16] = "";
    unsigned actor = 0;
    memcpy(copy, text.data, text.length < sizeof copy - 1 ? text.length : sizeof copy - 1);
    if (sscanf(copy, "actor %u", &actor) == 1) {
        for (unsigned i = 0; i < world->machines_count; i++) {
            if (world->machines[i]->identity.actor == actor && chance(consumer, 80)) {
                consumer->hint = i;
            }
        }
    }
}

static void take_refusal(struct group_consumer *consumer, const struct reply *reply)
{
    struct world *world = world_of(consumer);
    uint32_t code = reply->error.code;
    world_trace(world, "not attached", consumer->ledger->index * 10 + consumer->index,
                consumer->client.machine, code);
    if (world->is_traced) {
        printf("    %.*s\n", (int)reply->error.text.length, reply->error.text.data);
    }
    if (code == WIRE_REFUSED) {
        take_hint(consumer, reply->error.text);
    }
    consumer->creates |= code == WIRE_NOT_FOUND;
    if (code == WIRE_INVALID_ARGUMENT || code == WIRE_INVALID_GLOB || code == WIRE_UNSUPPORTED ||
        code == WIRE_INTERNAL || code == WIRE_NOT_IN_FLIGHT) {
        world_violation(world, "groups", "consumer %u of %s is refused: %.*s", consumer->index,
                        consumer->ledger->name, (int)reply->error.text.length,
                        reply->error.text.data);
    }
    drop(consumer);
}

static void on_reply(struct plain_client *client, const struct reply *reply)
{
    struct group_consumer *consumer = consumer_of(client);
    bool is_attachment = reply->id == consumer->attach;
    consumer->heard_at = client->world->schedule.now;
    if (reply->kind == REPLY_HELLO) {
        return;
    }
    if (reply->kind == REPLY_ACKED || (reply->kind == REPLY_ERROR && !is_attachment)) {
        take_acked(consumer, reply);
    } else if (!is_attachment) {
        world_violation(client->world, "simulator", "a reply of kind %u to nothing", reply->kind);
    } else if (reply->kind == REPLY_ATTACHED) {
        take_attached(consumer, reply);
    } else if (reply->kind == DELIVERY_ASSIGNED || reply->kind == DELIVERY_ASSIGNED_CHUNKS) {
        take_assigned(consumer, reply);
    } else if (reply->kind == DELIVERY_MARK && reply->mark.kind == MARK_MOVED) {
        take_moved(consumer);
    } else if (reply->kind == REPLY_ERROR) {
        take_refusal(consumer, reply);
    } else if (reply->kind == DELIVERY_END) {
        drop(consumer);
    }
}

static const struct plain_client_ops GROUP_CONSUMER_OPS = {.take = on_reply, .closed = on_closed};

// --- Where it is -------------------------------------------------------------------------------

static void say_attach(struct group_consumer *consumer)
{
    struct request request = {.kind = REQUEST_ATTACH, .id = ++consumer->request_last};
    struct request_attach *attach = &request.attach;
    bool is_fast = consumer->is_settled || chance(consumer, 50);
    consumer->in_flight_max = is_fast ? IN_FLIGHT_MANY : (uint32_t)between(consumer, 1, 20);
    attach->name = bytes_of_text(consumer->ledger->name);
    attach->in_flight = consumer->in_flight_max;
    attach->credit_bytes = consumer->is_settled ? 0 : consumer->credit_bytes;
    attach->heartbeat_ms = HEARTBEAT_MS;
    attach->create = consumer->creates;
    attach->start = consumer->ledger->start;
    attach->definition = consumer->ledger->definition;
    consumer->attach = request.id;
    consumer->asked_at = world_of(consumer)->schedule.now;
    plain_client_send(&consumer->client, &request);
}

static void connect_somewhere(struct group_consumer *consumer)
{
    struct world *world = world_of(consumer);
    unsigned machine = (unsigned)random_below(&consumer->random, world->machines_count);
    if (consumer->hint != UINT32_MAX) {
        machine = consumer->hint;
        consumer->hint = UINT32_MAX;
    }
    if (world->machines[machine]->is_given_up || world->machines[machine]->may_fork ||
        !plain_client_connect(&consumer->client, machine)) {
        return;
    }
    consumer->heard_at = world->schedule.now;
    say_attach(consumer);
}

static void misbehave(struct group_consumer *consumer)
{
    struct world *world = world_of(consumer);
    uint64_t kind = random_below(&consumer->random, 100);
    if (kind < 7) {
        world_trace(world, "dies", consumer->ledger->index * 10 + consumer->index, 0, 0);
        drop(consumer);
    } else if (kind < 13) {
        struct request stop = {.kind = REQUEST_STOP, .id = consumer->attach};
        plain_client_send(&consumer->client, &stop);
    } else if (kind < 18) {
        consumer->silent_until = world_after_ms(world, between(consumer, 500, 9000));
    }
}

static void on_next(struct happening *happening)
{
    struct group_consumer *consumer = container_of(happening, struct group_consumer, next);
    struct world *world = world_of(consumer);
    if (!plain_client_is_connected(&consumer->client)) {
        connect_somewhere(consumer);
    } else if (instant_reached(instant_add(consumer->heard_at, duration_ms(SILENCE_MS)),
                               world->schedule.now)) {
        drop(consumer);
    } else if (consumer->is_attached && !consumer->is_settled) {
        misbehave(consumer);
    }
    schedule_hasten(&world->schedule, happening,
                    world_after_ms(world, between(consumer, 50, 1500)));
}

// --- Life --------------------------------------------------------------------------------------

struct group_consumer *group_consumer_new(struct ledger *ledger, unsigned index)
{
    struct group_consumer *consumer = memory_new(1, sizeof *consumer);
    consumer->ledger = ledger;
    consumer->index = (uint8_t)index;
    plain_client_init(&consumer->client, ledger->world, &GROUP_CONSUMER_OPS, "group");
    consumer->client.features = index % 3 < 2 ? FEATURE_CHUNKS | FEATURE_LZ4 : 0;
    random_init(&consumer->random, random_u64(&ledger->random));
    consumer->next.happen = on_next;
    consumer->act.happen = on_act;
    consumer->request_last = 1; // hello's
    consumer->coordinator = COORDINATOR_UNKNOWN;
    consumer->hint = UINT32_MAX;
    consumer->creates = chance(consumer, 70);
    consumer->credit_bytes = chance(consumer, 30) ? (uint64_t)between(consumer, 1, 5000) : 0;
    return consumer;
}

void group_consumer_free(struct group_consumer *consumer)
{
    plain_client_close(&consumer->client);
    forget(consumer);
    plain_client_deinit(&consumer->client);
    schedule_clear(&world_of(consumer)->schedule, &consumer->next);
    schedule_clear(&world_of(consumer)->schedule, &consumer->act);
    free(consumer->held);
    free(consumer);
}

void group_consumer_start(struct group_consumer *consumer)
{
    struct world *world = world_of(consumer);
    schedule_set(&world->schedule, &consumer->next,
                 world_after_ms(world, between(consumer, 0, 6000)));
}

void group_consumer_leave(struct group_consumer *consumer, unsigned machine)
{
    if (plain_client_is_connected(&consumer->client) && consumer->client.machine == machine) {
        drop(consumer);
    }
}

void group_consumer_settle(struct group_consumer *consumer)
{
    struct world *world = world_of(consumer);
    consumer->is_settled = true;
    consumer->creates = true;
    consumer->silent_until = world->schedule.now;
    bool is_asked = consumer->is_attached || consumer->attach != 0;
    if (is_asked && (consumer->in_flight_max < IN_FLIGHT_MANY || consumer->credit_bytes > 0)) {
        drop(consumer); // to come back with room for everything
    } else if (consumer->is_attached) {
        act_in(consumer, 100);
    }
}

uint64_t group_consumer_attachment(const struct group_consumer *consumer)
{
    return consumer->is_attached ? consumer->attachment : 0;
}
