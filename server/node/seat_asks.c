// Requests about subscriptions, which no consumer makes. Changes are written here; what a node can
// say of one that another coordinates is asked from that one.

#include <stdlib.h>

#include "proto/model/subscription_row.h"
#include "server/node/seats_state.h"

enum { ROWS_PAGE_MAX = 1000 };

void seats_answer_ask(struct seats *seats, struct consumer_letter *letter)
{
    letter->kind = LETTER_ANSWERED;
    consumer_letter_reply(seats->cluster->node, letter);
}

static void answer(struct seats *seats, struct consumer_letter *letter, enum wire_error error,
                   const char *text)
{
    letter->error = error;
    reason_set(&letter->reason, 0, "%s", text);
    seats_answer_ask(seats, letter);
}

// --- Changes -----------------------------------------------------------------------------------

struct asked {
    struct seats *seats;
    struct consumer_letter *letter;
};

static void changed(void *context, int err, const char *text)
{
    struct asked *asked = context;
    bool is_there = asked->letter->request.subscriptions.which == SUBSCRIPTIONS_CREATE &&
                    err == 0 && text[0] != '\0';
    answer(asked->seats, asked->letter,
           is_there            ? WIRE_EXISTS
           : err == ERR_DENIED ? WIRE_NOT_MEMBER
           : err               ? attach_error(err)
                               : 0,
           text);
    free(asked);
}

static void change(struct seats *seats, struct consumer_letter *letter)
{
    const struct request_subscriptions *request = &letter->request.subscriptions;
    struct groups *groups = seats->cluster->groups;
    struct asked *asked = malloc(sizeof *asked);
    struct request_subscribe start;
    int err = ERR_MEMORY;
    start_of(&request->start, &start);
    struct reason reason = {0};
    bool is_new = request->which == SUBSCRIPTIONS_CREATE;
    enum wire_error wrong =
        check_request(request->name, is_new ? &request->definition : NULL, &reason);
    if (wrong) {
        free(asked);
        answer(seats, letter, wrong, reason.text);
        return;
    }
    if (asked) {
        *asked = (struct asked){.seats = seats, .letter = letter};
        err =
            request->which == SUBSCRIPTIONS_CREATE
                ? groups_create(groups, request->name, &request->definition, &start, changed, asked)
            : request->which == SUBSCRIPTIONS_RESET
                ? groups_reset(groups, request->name, &start, changed, asked)
                : groups_delete(groups, request->name, changed, asked);
    }
    if (err) {
        free(asked);
        answer(seats, letter, WIRE_BUSY, "the node is out of memory: try again");
    }
}

static int append_row(const struct seats *seats, const struct group_row *row, struct buffer *rows)
{
    struct buffer cursor = {0};
    int err = version_vector_encode(&row->position.vector, &cursor);
    struct subscription_row out = {
        .name = row->name,
        .generation = row->generation,
        .definition = row->definition,
        .cursor = buffer_bytes(&cursor),
        .lag_events = row->lag_events,
        .voids = row->voids,
        .void_last = row->void_last,
    };
    if (row->is_coordinated) {
        out.flags = SUBSCRIPTION_ROW_COORDINATED;
        out.coordinator = node_actor(seats->cluster->node);
        out.lag_ms = row->lag_ms;
        out.consumers = row->consumers;
        out.in_flight = row->counts.in_flight;
        out.waiting = row->counts.waiting;
        out.delivered = row->counts.delivered;
        out.redelivered = row->counts.redelivered;
        out.acked = row->counts.acked;
        out.parked = row->counts.parked;
    }
    err = err ? err : subscription_row_append(rows, &out);
    buffer_deinit(&cursor);
    return err;
}

void seats_look_up(struct seats *seats, struct consumer_letter *letter)
{
    const struct request_subscriptions *request = &letter->request.subscriptions;
    bool is_list = request->which == SUBSCRIPTIONS_LIST;
    struct bytes name = is_list ? request->after_name : request->name;
    int err = 0;
    for (uint32_t count = 0; err == 0 && count < (is_list ? ROWS_PAGE_MAX : 1); count++) {
        struct group_row row = {0};
        err = groups_look(seats->cluster->groups, name, is_list, &row);
        err = err ? err : append_row(seats, &row, &letter->rows);
        position_deinit(&row.position);
        name = row.name;
        letter->more = is_list && err == 0 && count + 1 == ROWS_PAGE_MAX;
    }
    if (err == 0 && !is_list) {
        err = groups_append_consumers(seats->cluster->groups, request->name, &letter->consumers);
    }
    letter->error = 0;
    if (err == ERR_NOT_FOUND && !is_list) {
        letter->error = WIRE_NOT_FOUND;
        reason_set(&letter->reason, 0, "there is no subscription %.*s", (int)request->name.length,
                   (const char *)request->name.data);
    } else if (err && err != ERR_NOT_FOUND) {
        letter->error = WIRE_BUSY;
        reason_set(&letter->reason, 0, "the node is out of memory: try again");
    }
}

static void show(struct seats *seats, struct consumer_letter *letter)
{
    struct peer *peer = seats_coordinator(seats, letter->request.subscriptions.name);
    if (peer && peer->forwards.asks_count < FORWARD_CHANNELS_MAX) {
        forward_ask(peer, letter);
        return;
    }
    seats_look_up(seats, letter);
    seats_answer_ask(seats, letter);
}

void seats_take_ask(struct seats *seats, struct consumer_letter *letter)
{
    switch (letter->request.subscriptions.which) {
    case SUBSCRIPTIONS_LIST:
        seats_look_up(seats, letter);
        seats_answer_ask(seats, letter);
        return;
    case SUBSCRIPTIONS_SHOW:
        show(seats, letter);
        return;
    case SUBSCRIPTIONS_CREATE:
    case SUBSCRIPTIONS_RESET:
    case SUBSCRIPTIONS_DELETE:
        change(seats, letter);
        return;
    }
}
