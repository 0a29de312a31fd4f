// One command at a time, over a connection of its own, by hand.
#include "tests/simulation/operator.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"

enum { PATIENCE_MS = 8000, PAUSE_MS = 200 };

struct order {
    enum cluster_request_kind which;
    uint16_t actor;
    unsigned machine;
};

struct operator
{
    struct endpoint endpoint;
    struct world *world;
    struct order *orders; // the first is under way
    uint32_t orders_count;
    uint32_t orders_capacity;
    struct buffer in;
    struct happening next; // tries, or gives up and tries again
    char answer[400];
};

static void take_reply(struct operator* operator, const struct reply * reply)
{
    struct order *order = &operator->orders[0];
    if (reply->kind == REPLY_HELLO) {
        return;
    }
    bool is_done = reply->kind == REPLY_CLUSTER;
    struct bytes text = is_done ? reply->cluster_status.text : reply->error.text;
    snprintf(operator->answer, sizeof operator->answer, "%.*s", (int)text.length,
             text.length > 0 ? (const char *)text.data : "");
    world_trace(operator->world, is_done ? "done" : "not done", order->which, order->actor,
                order->machine);
    if (operator->world->is_traced) {
        printf("    %s\n", operator->answer);
    }
    if (is_done) {
        operator->orders_count--;
        memmove(operator->orders, operator->orders + 1,
                                  operator->orders_count * sizeof * operator->orders);
    }
    network_close(&operator->endpoint);
    schedule_set(&operator->world->schedule, &operator->next,
                 world_after_ms(operator->world, PAUSE_MS));
}

static void on_readable(struct endpoint *endpoint)
{
    struct operator* operator= container_of(endpoint, struct operator, endpoint);
    struct bytes bytes = network_readable(endpoint);
    if (bytes.length > 0) {
        memory_must(buffer_append(&operator->in, bytes));
        network_consume(endpoint, bytes.length);
    }
    struct bytes rest = buffer_bytes(&operator->in);
    struct bytes message;
    struct reply reply;
    struct reason reason;
    size_t needed;
    while (operator->endpoint.connection &&
           frame_next(&rest, FRAME_BYTES_MAX, &message, &needed) == 0) {
        memory_must(reply_decode(message, &reply, &reason));
        take_reply(operator, & reply);
    }
    buffer_consume(&operator->in, operator->in.length - rest.length);
    if (operator->endpoint.connection && network_has_ended(endpoint)) {
        network_close(endpoint);
        schedule_set(&operator->world->schedule, &operator->next,
                     world_after_ms(operator->world, PAUSE_MS));
    }
}

static void on_writable(struct endpoint *endpoint)
{
}

static const struct endpoint_ops OPERATOR_OPS = {.readable = on_readable, .writable = on_writable};

static unsigned whom(const struct operator* operator, const struct order * order)
{
    const struct world *world = operator->world;
    if (order->machine != UINT32_MAX) {
        return order->machine;
    }
    unsigned start = (unsigned)random_below(&operator->world->random, world->machines_count);
    for (unsigned i = 0; i < world->machines_count; i++) {
        unsigned candidate = (start + i) % world->machines_count;
        if (world->machines[candidate]->identity.actor != order->actor) {
            return candidate;
        }
    }
    return start;
}

static void on_next(struct happening *happening)
{
    struct operator* operator= container_of(happening, struct operator, next);
    struct world *world = operator->world;
    network_close(&operator->endpoint);
    buffer_clear(&operator->in);
    if (operator->orders_count == 0) {
        return;
    }
    const struct order *order = &operator->orders[0];
    unsigned machine = whom(operator, order);
    schedule_set(&world->schedule, happening, world_after_ms(world, PAUSE_MS));
    if (machine_accept(world->machines[machine], &operator->endpoint)) {
        struct buffer out = {0};
        struct request request = {.kind = REQUEST_HELLO, .id = 1};
        request.hello = (struct request_hello){
            .version_min = 1, .version_max = 1, .client_name = bytes_of_text("operator")};
        memory_must(request_encode(&request, &out));
        request = (struct request){.kind = REQUEST_CLUSTER, .id = 2};
        request.cluster.which = order->which;
        request.cluster.actor = order->actor;
        memory_must(request_encode(&request, &out));
        network_write(&operator->endpoint, buffer_bytes(&out));
        buffer_deinit(&out);
        world_trace(world, "order", order->which, order->actor, machine);
        schedule_set(&world->schedule, happening, world_after_ms(world, PATIENCE_MS));
    }
}

struct operator* operator_new(struct world *world)
{
    struct operator* operator= memory_new(1, sizeof *operator);
    operator->world = world;
    operator->endpoint.ops = & OPERATOR_OPS;
    operator->next.happen = on_next;
    return operator;
}

void operator_free(struct operator* operator)
{
    network_close(&operator->endpoint);
    schedule_clear(&operator->world->schedule, &operator->next);
    buffer_deinit(&operator->in);
    free(operator->orders);
    free(operator);
}

void operator_order(struct operator* operator, enum cluster_request_kind which, uint16_t actor,
                    unsigned machine)
{
    operator->orders =
        memory_grow(operator->orders, &operator->orders_capacity, operator->orders_count + 1,
                    sizeof *operator->orders);
    operator->orders[operator->orders_count++] =(struct order){
        .which = which, .actor = actor, .machine = machine};
    if (operator->orders_count == 1) {
        schedule_set(&operator->world->schedule, &operator->next,
                     world_after_ms(operator->world, PAUSE_MS));
    }
}

bool operator_is_idle(const struct operator* operator)
{
    return operator->orders_count == 0;
}

const char *operator_last_answer(const struct operator* operator)
{
    return operator->answer;
}
