// Frames are made by hand, so that every field of the protocol can be used. A produce is sent once
// and never again: what its answer did not say is left unknown.
#include "tests/simulation/producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/simulation/branch.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

enum { OUTSTANDING_MAX = 4, REQUEST_ID_FIRST = 16 };

struct producer {
    struct endpoint endpoint;
    struct world *world;
    unsigned index;
    unsigned machine;
    uint32_t life; // of the machine it is connected to
    struct buffer out;
    struct buffer in;
    struct buffer events;
    uint32_t outstanding[OUTSTANDING_MAX];
    unsigned outstanding_count;
    bool is_stopped;
    bool is_ready; // hello is answered
    struct happening next;
};

static struct producer *producer_of(struct endpoint *endpoint)
{
    return container_of(endpoint, struct producer, endpoint);
}

// --- Answers -----------------------------------------------------------------------------------

static bool take_outstanding(struct producer *producer, uint32_t number)
{
    for (unsigned i = 0; i < producer->outstanding_count; i++) {
        if (producer->outstanding[i] == number) {
            producer->outstanding[i] = producer->outstanding[--producer->outstanding_count];
            return true;
        }
    }
    return false;
}

// How many machines hold the event, or may have held it before their disks were lost or rotted.
static unsigned holders(const struct world *world, struct event_id id, bool is_on_branch)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world->machines_count; i++) {
        const struct machine *machine = world->machines[i];
        uint32_t held = id.actor < machine->held_capacity ? machine->held[id.actor] : 0;
        const struct history_strand *strand = branch_strand(machine, id.actor);
        bool is_held = held > 0 && branch_lacks(machine, id) == is_on_branch &&
                       strand->chunks[held - 1].last >= id.counter;
        count += is_held || machine->is_rotten ? 1 : machine->disk_life;
    }
    return count;
}

static void check_acked(struct world *world, uint32_t number, const struct reply_produced *told)
{
    struct history_produce *produce = &world->history.produces[number];
    produce->told = told->first;
    produce->nodes_durable = (uint16_t)told->nodes_durable;
    produce->state = PRODUCE_ACKED;
    world->history.acked++;
    if (produce->stored != produce->count || event_id_compare(produce->first, told->first) != 0 ||
        told->count != produce->count) {
        world_violation(world, "durability",
                        "produce %u (%u events) was acknowledged as %" PRIu64
                        ".%u, on disks are %u events from %" PRIu64 ".%u on",
                        number, produce->count, told->first.counter, told->first.actor,
                        produce->stored, produce->first.counter, produce->first.actor);
        return;
    }
    struct event_id last = {.counter = told->first.counter + told->count - 1,
                            .actor = told->first.actor};
    unsigned holding = holders(world, last, produce->is_on_branch);
    if (told->nodes_durable > 1 && !world->options.wiped_disks && !world->options.old_disks &&
        holding < told->nodes_durable) {
        world_violation(world, "durability",
                        "event %" PRIu64 ".%u is said to be on %u nodes, and is on %u",
                        last.counter, last.actor, told->nodes_durable, holding);
    }
}

static void take_error(struct producer *producer, uint32_t number, const struct reply *reply)
{
    struct world *world = producer->world;
    struct history_produce *produce = &world->history.produces[number];
    bool is_unknown =
        reply->error.code == WIRE_UNKNOWN_OUTCOME || reply->error.code == WIRE_INTERNAL;
    produce->state = is_unknown ? PRODUCE_UNKNOWN : PRODUCE_REFUSED;
    world_trace(world, "refused", producer->machine, number, reply->error.code);
    if (world->is_traced) {
        printf("    %.*s\n", (int)reply->error.text.length, reply->error.text.data);
    }
    if (!is_unknown && produce->stored > 0) {
        world_violation(world, "durability", "produce %u is stored, and was refused: %.*s", number,
                        (int)reply->error.text.length, reply->error.text.data);
    }
}

static void take_reply(struct producer *producer, const struct reply *reply)
{
    if (reply->kind == REPLY_HELLO) {
        producer->is_ready = true;
        return;
    }
    uint32_t number = (uint32_t)(reply->id - REQUEST_ID_FIRST);
    if (reply->id < REQUEST_ID_FIRST || !take_outstanding(producer, number)) {
        world_violation(producer->world, "simulator",
                        "an answer to nothing: kind %u id %" PRIu64 " code %u", reply->kind,
                        reply->id, reply->kind == REPLY_ERROR ? reply->error.code : 0);
    } else if (reply->kind == REPLY_PRODUCED) {
        world_trace(producer->world, "acked", producer->machine, number,
                    reply->produced.first.counter);
        check_acked(producer->world, number, &reply->produced);
    } else {
        take_error(producer, number, reply);
    }
}

static void disconnect(struct producer *producer)
{
    for (unsigned i = 0; i < producer->outstanding_count; i++) {
        producer->world->history.produces[producer->outstanding[i]].state = PRODUCE_UNKNOWN;
    }
    producer->outstanding_count = 0;
    producer->is_ready = false;
    buffer_clear(&producer->in);
    buffer_clear(&producer->out);
    network_close(&producer->endpoint);
}

static void on_readable(struct endpoint *endpoint)
{
    struct producer *producer = producer_of(endpoint);
    struct bytes bytes = network_readable(endpoint);
    if (bytes.length > 0) {
        memory_must(buffer_append(&producer->in, bytes));
        network_consume(endpoint, bytes.length);
    }
    struct bytes rest = buffer_bytes(&producer->in);
    struct bytes message;
    size_t needed;
    while (frame_next(&rest, FRAME_BYTES_MAX, &message, &needed) == 0) {
        struct reply reply;
        struct reason reason = {0};
        int err = reply_decode(message, &reply, &reason);
        if (err != 0) {
            world_violation(producer->world, "simulator", "a reply that cannot be read: %s",
                            reason.text);
            return;
        }
        take_reply(producer, &reply);
    }
    buffer_consume(&producer->in, producer->in.length - rest.length);
    if (network_has_ended(endpoint)) {
        disconnect(producer);
    }
}

static void send_out(struct producer *producer)
{
    size_t room = network_room(&producer->endpoint);
    size_t length = producer->out.length < room ? producer->out.length : room;
    if (length > 0) {
        network_write(&producer->endpoint, bytes_of(producer->out.data, length));
        buffer_consume(&producer->out, length);
    }
}

static void on_writable(struct endpoint *endpoint)
{
    send_out(producer_of(endpoint));
}

static const struct endpoint_ops PRODUCER_OPS = {.readable = on_readable, .writable = on_writable};

// --- Requests ----------------------------------------------------------------------------------

static void submit(struct producer *producer, const struct request *request)
{
    memory_must(request_encode(request, &producer->out));
    send_out(producer);
}

static void connect_somewhere(struct producer *producer)
{
    struct world *world = producer->world;
    unsigned home = producer->index % world->machines_count;
    producer->machine = world_chance(world, 70)
                            ? home
                            : (unsigned)random_below(&world->random, world->machines_count);
    struct machine *machine = world->machines[producer->machine];
    if (machine_accept(machine, &producer->endpoint)) {
        struct request hello = {.kind = REQUEST_HELLO, .id = 1};
        hello.hello = (struct request_hello){
            .version_min = 1, .version_max = 1, .client_name = bytes_of_text("producer")};
        producer->life = machine->life;
        submit(producer, &hello);
    }
}

// Where there are groups, for their keys.
static void append_attributes(const struct producer *producer, uint32_t number, struct buffer *out)
{
    char value[2];
    if (producer->world->ledgers_count > 0 && ledger_attribute(number, value)) {
        const struct attribute attribute = {
            .key = bytes_of_text(LEDGER_ATTRIBUTE),
            .value = bytes_of_text(value),
            .value_is_text = true,
        };
        memory_must(attributes_append(out, &attribute, 1, (struct event_id){0}));
    }
}

static void append_event(struct producer *producer, uint32_t number, uint32_t place, uint8_t name)
{
    struct world *world = producer->world;
    uint8_t data[EVENT_MARK_LENGTH + 4096];
    size_t padding = (size_t)random_below(&world->random, world->options.event_bytes_max + 1);
    padding = padding < sizeof data - EVENT_MARK_LENGTH ? padding : sizeof data - EVENT_MARK_LENGTH;
    store_be64(data, number);
    store_be32(data + 8, place);
    memset(data + EVENT_MARK_LENGTH, 'x', padding);
    struct buffer attributes = {0};
    append_attributes(producer, number, &attributes);
    memory_must(event_append(&producer->events, bytes_of_text(HISTORY_NAMES[name]),
                             bytes_of(data, EVENT_MARK_LENGTH + padding),
                             buffer_bytes(&attributes)));
    buffer_deinit(&attributes);
}

static void produce(struct producer *producer)
{
    struct world *world = producer->world;
    uint32_t count = 1 + (uint32_t)random_below(&world->random, world->options.batch_max);
    uint8_t name = (uint8_t)random_below(&world->random, NAMES_COUNT);
    if (world_chance(world, 2)) {
        count = 65 + (uint32_t)random_below(&world->random, 200); // several chunks
    }
    uint32_t number =
        history_new_produce(&world->history, producer->machine, producer->life, name, count);
    buffer_clear(&producer->events);
    for (uint32_t i = 0; i < count; i++) {
        append_event(producer, number, i, name);
    }
    struct request request = {.kind = REQUEST_PRODUCE, .id = REQUEST_ID_FIRST + number};
    request.produce.events_count = count;
    request.produce.events = buffer_bytes(&producer->events);
    if (world_chance(world, 20)) {
        request.produce.replicas =
            1 + (uint32_t)random_below(&world->random, world->machines_count);
        request.produce.replicas = request.produce.replicas > 16 ? 16 : request.produce.replicas;
        request.produce.replicas_timeout_ms = 200 + (uint32_t)random_below(&world->random, 2000);
    }
    producer->outstanding[producer->outstanding_count++] = number;
    world_trace(world, "produce", producer->machine, number, count);
    submit(producer, &request);
}

static void on_next(struct happening *happening)
{
    struct producer *producer = container_of(happening, struct producer, next);
    struct world *world = producer->world;
    if (producer->is_stopped) {
        return;
    }
    if (!producer->endpoint.connection) {
        connect_somewhere(producer);
    } else if (world_chance(world, 1)) {
        disconnect(producer);
    } else if (producer->is_ready && producer->outstanding_count < OUTSTANDING_MAX) {
        produce(producer);
    }
    schedule_set(&world->schedule, happening,
                 world_after(world, world_between(world, 0, 2000000LL * world->options.think_ms)));
}

struct producer *producer_new(struct world *world, unsigned index)
{
    struct producer *producer = memory_new(1, sizeof *producer);
    producer->world = world;
    producer->index = index;
    producer->endpoint.ops = &PRODUCER_OPS;
    producer->next.happen = on_next;
    return producer;
}

void producer_free(struct producer *producer)
{
    disconnect(producer);
    schedule_clear(&producer->world->schedule, &producer->next);
    buffer_deinit(&producer->in);
    buffer_deinit(&producer->out);
    buffer_deinit(&producer->events);
    free(producer);
}

void producer_start(struct producer *producer)
{
    producer->is_stopped = false;
    schedule_set(&producer->world->schedule, &producer->next, producer->world->schedule.now);
}

void producer_stop(struct producer *producer)
{
    producer->is_stopped = true;
}
