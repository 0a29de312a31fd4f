// Whether a change was made the log says: answers are not looked at.
#include "tests/simulation/group_operator.h"

#include <stdlib.h>

#include "tests/simulation/machine.h"
#include "tests/simulation/memory.h"
#include "tests/simulation/plain_client.h"

enum { PATIENCE_MS = 3000, REQUEST_ID = 2 };

struct group_operator {
    struct plain_client client;
    struct ledger *ledger;
    struct random random;
    unsigned changes_left;
    struct happening next;
};

static int64_t between(struct group_operator *operator, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&operator->random, (uint64_t)(high - low));
}

static void wait(struct group_operator *operator)
{
    struct world *world = operator->ledger->world;
    if (operator->changes_left> 0) {
        schedule_set(&world->schedule, &operator->next,
                     world_after_ms(world, between(operator, 1000, 12000)));
    }
}

static void on_reply(struct plain_client *client, const struct reply *reply)
{
    struct group_operator *operator= container_of(client, struct group_operator, client);
    if (reply->id == REQUEST_ID) {
        plain_client_close(client);
        wait(operator);
    }
}

static void on_closed(struct plain_client *client)
{
    wait(container_of(client, struct group_operator, client));
}

static const struct plain_client_ops GROUP_OPERATOR_OPS = {.take = on_reply, .closed = on_closed};

// Back to the beginning, to what some machine holds, or to the end.
static void choose_start(struct group_operator *operator, struct request_start * start,
                         struct buffer *cursor)
{
    struct world *world = operator->ledger->world;
    uint64_t kind = random_below(&operator->random, 100);
    const struct machine *machine =
        world->machines[random_below(&operator->random, world->machines_count)];
    *start = (struct request_start){.kind = kind < 60 ? START_BEGINNING : START_END};
    if (kind < 30 && machine->is_up) {
        memory_must(version_vector_encode(&machine->store->published.vector, cursor));
        start->kind = START_AT_CURSOR;
        start->cursor = buffer_bytes(cursor);
    }
}

static void change(struct group_operator *operator)
{
    struct ledger *ledger = operator->ledger;
    struct request request = {.kind = REQUEST_SUBSCRIPTIONS, .id = REQUEST_ID};
    struct buffer cursor = {0};
    uint64_t kind = random_below(&operator->random, 100);
    request.subscriptions.which = kind < 60   ? SUBSCRIPTIONS_RESET
                                  : kind < 80 ? SUBSCRIPTIONS_DELETE
                                              : SUBSCRIPTIONS_SHOW;
    request.subscriptions.name = bytes_of_text(ledger->name);
    if (request.subscriptions.which == SUBSCRIPTIONS_RESET) {
        choose_start(operator, & request.subscriptions.start, &cursor);
    }
    world_trace(ledger->world, "change of a group", ledger->index, kind, operator->client.machine);
    plain_client_send(&operator->client, &request);
    buffer_deinit(&cursor);
}

static void on_next(struct happening *happening)
{
    struct group_operator *operator= container_of(happening, struct group_operator, next);
    struct world *world = operator->ledger->world;
    unsigned machine = (unsigned)random_below(&operator->random, world->machines_count);
    if (plain_client_is_connected(&operator->client)) { // no answer
        plain_client_close(&operator->client);
        wait(operator);
        return;
    }
    operator->changes_left--;
    if (world->machines[machine]->is_given_up || world->machines[machine]->may_fork ||
        !plain_client_connect(&operator->client, machine)) {
        wait(operator);
        return;
    }
    change(operator);
    schedule_set(&world->schedule, happening, world_after_ms(world, PATIENCE_MS));
}

struct group_operator *group_operator_new(struct ledger *ledger)
{
    struct group_operator *operator= memory_new(1, sizeof *operator);
    operator->ledger = ledger;
    operator->next.happen = on_next;
    random_init(&operator->random, random_u64(&ledger->random));
    plain_client_init(&operator->client, ledger->world, &GROUP_OPERATOR_OPS, "operator");
    operator->changes_left =(unsigned) between(operator, 0, 5);
    return operator;
}

void group_operator_free(struct group_operator *operator)
{
    schedule_clear(&operator->ledger->world->schedule, &operator->next);
    plain_client_deinit(&operator->client);
    free(operator);
}

void group_operator_start(struct group_operator *operator)
{
    struct world *world = operator->ledger->world;
    if (operator->changes_left> 0) {
        schedule_set(&world->schedule, &operator->next,
                     world_after_ms(world, between(operator, 5000, 20000)));
    }
}

void group_operator_stop(struct group_operator *operator)
{
    schedule_clear(&operator->ledger->world->schedule, &operator->next);
    plain_client_close(&operator->client);
}
