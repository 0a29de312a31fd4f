// One command at a time, over a connection of its own, by hand.
#include "tests/simulation/admin.h"

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
    uint64_t first; // LOST
    uint64_t last;
};

struct admin {
    struct endpoint endpoint;
    struct world *world;
    struct order *orders; // the first is under way
    uint32_t orders_count;
    uint32_t orders_capacity;
    struct buffer in;
    struct happening next; // tries, or gives up and tries again
    char answer[400];
};

// The first order is done, or the others have their turn.
static void take_first(struct admin *admin, bool is_done)
{
    struct order first = admin->orders[0];
    admin->orders_count--;
    memmove(admin->orders, admin->orders + 1, admin->orders_count * sizeof first);
    if (!is_done) {
        admin->orders[admin->orders_count++] = first;
    }
}

// The answer of the one that did it was lost.
static bool is_rescued(const struct admin *admin, const struct order *order)
{
    const struct world *world = admin->world;
    const struct machine *machine =
        order->which == CLUSTER_RESCUE ? world->machines[order->machine] : NULL;
    return machine && machine->may_fork && machine->identity.actor != machine->branch_actor &&
           strstr(admin->answer, "nothing is to be rescued") != NULL;
}

static void take_reply(struct admin *admin, const struct reply *reply)
{
    struct order *order = &admin->orders[0];
    if (reply->kind == REPLY_HELLO) {
        return;
    }
    bool is_done = reply->kind == REPLY_CLUSTER;
    struct bytes text = is_done ? reply->cluster_status.text : reply->error.text;
    snprintf(admin->answer, sizeof admin->answer, "%.*s", (int)text.length,
             text.length > 0 ? (const char *)text.data : "");
    world_trace(admin->world, is_done ? "done" : "not done", order->which, order->actor,
                order->machine);
    if (admin->world->is_traced) {
        printf("    %s\n", admin->answer);
    }
    is_done |= is_rescued(admin, order);
    // A node that never became a member has nothing that could be retired.
    is_done |= admin->world->is_calm && strstr(admin->answer, "no member has actor") != NULL;
    take_first(admin, is_done);
    network_close(&admin->endpoint);
    schedule_set(&admin->world->schedule, &admin->next, world_after_ms(admin->world, PAUSE_MS));
}

static void on_readable(struct endpoint *endpoint)
{
    struct admin *admin = container_of(endpoint, struct admin, endpoint);
    struct bytes bytes = network_readable(endpoint);
    if (bytes.length > 0) {
        memory_must(buffer_append(&admin->in, bytes));
        network_consume(endpoint, bytes.length);
    }
    struct bytes rest = buffer_bytes(&admin->in);
    struct bytes message;
    struct reply reply;
    struct reason reason;
    size_t needed;
    while (admin->endpoint.connection &&
           frame_next(&rest, FRAME_BYTES_MAX, &message, &needed) == 0) {
        memory_must(reply_decode(message, &reply, &reason));
        take_reply(admin, &reply);
    }
    buffer_consume(&admin->in, admin->in.length - rest.length);
    if (admin->endpoint.connection && network_has_ended(endpoint)) {
        network_close(endpoint);
        schedule_set(&admin->world->schedule, &admin->next, world_after_ms(admin->world, PAUSE_MS));
    }
}

static void on_writable(struct endpoint *endpoint)
{
}

static const struct endpoint_ops OPERATOR_OPS = {.readable = on_readable, .writable = on_writable};

static unsigned whom(const struct admin *admin, const struct order *order)
{
    const struct world *world = admin->world;
    if (order->machine != UINT32_MAX) {
        return order->machine;
    }
    unsigned start = (unsigned)random_below(&admin->world->random, world->machines_count);
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
    struct admin *admin = container_of(happening, struct admin, next);
    struct world *world = admin->world;
    if (admin->endpoint.connection) {
        take_first(admin, false); // no answer
    }
    network_close(&admin->endpoint);
    buffer_clear(&admin->in);
    if (admin->orders_count == 0) {
        return;
    }
    const struct order *order = &admin->orders[0];
    unsigned machine = whom(admin, order);
    schedule_set(&world->schedule, happening, world_after_ms(world, PAUSE_MS));
    if (machine_accept(world->machines[machine], &admin->endpoint)) {
        struct buffer out = {0};
        struct request request = {.kind = REQUEST_HELLO, .id = 1};
        request.hello = (struct request_hello){
            .version_min = 1, .version_max = 1, .client_name = bytes_of_text("admin")};
        memory_must(request_encode(&request, &out));
        request = (struct request){.kind = REQUEST_CLUSTER, .id = 2};
        request.cluster.which = order->which;
        request.cluster.actor = order->actor;
        request.cluster.first = order->first;
        request.cluster.last = order->last;
        memory_must(request_encode(&request, &out));
        network_write(&admin->endpoint, buffer_bytes(&out));
        buffer_deinit(&out);
        world_trace(world, "order", order->which, order->actor, machine);
        schedule_set(&world->schedule, happening, world_after_ms(world, PATIENCE_MS));
    }
}

struct admin *admin_new(struct world *world)
{
    struct admin *admin = memory_new(1, sizeof *admin);
    admin->world = world;
    admin->endpoint.ops = &OPERATOR_OPS;
    admin->next.happen = on_next;
    return admin;
}

void admin_free(struct admin *admin)
{
    network_close(&admin->endpoint);
    schedule_clear(&admin->world->schedule, &admin->next);
    buffer_deinit(&admin->in);
    free(admin->orders);
    free(admin);
}

static void put(struct admin *admin, struct order order)
{
    admin->orders = memory_grow(admin->orders, &admin->orders_capacity, admin->orders_count + 1,
                                sizeof *admin->orders);
    admin->orders[admin->orders_count++] = order;
    if (admin->orders_count == 1) {
        schedule_set(&admin->world->schedule, &admin->next, world_after_ms(admin->world, PAUSE_MS));
    }
}

void admin_order(struct admin *admin, enum cluster_request_kind which, uint16_t actor,
                 unsigned machine)
{
    put(admin, (struct order){.which = which, .actor = actor, .machine = machine});
}

void admin_order_lost(struct admin *admin, uint16_t actor, uint64_t first, uint64_t last)
{
    put(admin, (struct order){.which = CLUSTER_LOST,
                              .actor = actor,
                              .machine = UINT32_MAX,
                              .first = first,
                              .last = last});
}

bool admin_is_retiring(const struct admin *admin, uint16_t actor)
{
    bool is_retiring = false;
    for (uint32_t i = 0; i < admin->orders_count; i++) {
        is_retiring |= admin->orders[i].which == CLUSTER_RETIRE && admin->orders[i].actor == actor;
    }
    return is_retiring;
}

bool admin_is_idle(const struct admin *admin)
{
    return admin->orders_count == 0;
}

const char *admin_last_answer(const struct admin *admin)
{
    return admin->answer;
}
