// One seat for each consumer that attaches, in the first loop: what it says is told to the group,
// or to the node that coordinates it; what is said to it goes back as letters.

#include "server/node/seats_state.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/model/event.h"

int seats_new(struct cluster *cluster, struct seats **seats_out)
{
    struct seats *seats = calloc(1, sizeof *seats);
    if (!seats) {
        return ERR_MEMORY;
    }
    seats->cluster = cluster;
    list_init(&seats->all);
    list_init(&seats->creating);
    list_init(&seats->to_look);
    *seats_out = seats;
    return 0;
}

void seats_free(struct seats *seats)
{
    if (seats) {
        assert(list_is_empty(&seats->all) && seats->kept_bytes == 0);
        coordinators_deinit(&seats->coordinators);
        free(seats);
    }
}

// --- One seat ----------------------------------------------------------------------------------

static void retry_expired(struct timer *timer)
{
    seat_look_soon(container_of(timer, struct seat, retry));
}

struct seat *seat_new(struct seats *seats, struct consumer_letter *attach)
{
    struct seat *seat = calloc(1, sizeof *seat);
    if (!seat) {
        return NULL;
    }
    const struct request_attach *request = &attach->request.attach;
    *seat = (struct seat){
        .seats = seats,
        .consumer = attach->consumer,
        .service = attach->service,
        .answer = consumer_letter_new(LETTER_ENDED),
        .gone = attach->consumer ? consumer_letter_new(LETTER_GONE) : NULL,
        .retry = {.expired = retry_expired},
        .retry_until = INSTANT_NEVER,
    };
    list_init(&seat->link);
    list_init(&seat->look_link);
    list_init(&seat->create_link);
    list_init(&seat->ready_link);
    list_init(&seat->unsent);
    list_init(&seat->unanswered);
    if (!seat->answer || (seat->consumer && !seat->gone)) {
        consumer_letter_free(seat->answer);
        consumer_letter_free(seat->gone);
        free(seat);
        return NULL;
    }
    seat->request = attach;
    seat_add_credit(seat, request->credit_bytes > 0 ? request->credit_bytes
                                                    : SUBSCRIPTION_CREDIT_BYTES_DEFAULT);
    list_append(&seats->all, &seat->link);
    if (seat->consumer) {
        consumer_set_seat(seat->consumer, seat);
    }
    return seat;
}

void seat_free(struct seat *seat)
{
    assert(!seat->attachment && !seat->peer);
    assert(list_is_empty(&seat->unsent) && list_is_empty(&seat->unanswered));
    timer_clear(&seat->seats->cluster->service->timers, &seat->retry);
    list_remove(&seat->link);
    list_remove(&seat->look_link);
    list_remove(&seat->create_link);
    list_remove(&seat->ready_link);
    consumer_letter_free(seat->request);
    consumer_letter_free(seat->answer);
    if (seat->consumer) {
        consumer_set_seat(seat->consumer, NULL);
        seat_say(seat, seat->gone, LETTER_GONE);
    }
    free(seat);
}

void seat_add_credit(struct seat *seat, uint64_t bytes)
{
    int64_t room = (int64_t)SUBSCRIPTION_CREDIT_BYTES_MAX - seat->credit;
    seat->credit += bytes < (uint64_t)room ? (int64_t)bytes : room;
}

bool slices_count(struct bytes slices, uint64_t *count_out)
{
    *count_out = 0;
    while (slices.length > 0) {
        struct slice slice;
        if (slice_next(&slices, &slice)) {
            return false;
        }
        for (uint16_t i = 0; i < slice.count; i++) {
            struct event event;
            if (event_next(&slice.events, &event)) {
                return false;
            }
        }
        if (slice.events.length > 0) {
            return false;
        }
        *count_out += slice.count;
    }
    return *count_out > 0;
}

// --- What is said to it ------------------------------------------------------------------------

void seat_say(struct seat *seat, struct consumer_letter *letter, enum letter_kind kind)
{
    seat->was_moved |= kind == LETTER_MOVED;
    letter->kind = kind;
    if (!seat->consumer) {
        guest_say(seat, letter);
        return;
    }
    letter->consumer = seat->consumer;
    letter->service = seat->service;
    consumer_letter_reply(seat->seats->cluster->node, letter);
}

// The one that was made ahead, or another one. NULL: no memory.
static struct consumer_letter *take_answer(struct seat *seat)
{
    struct consumer_letter *letter = seat->answer;
    seat->answer = NULL;
    return letter ? letter : consumer_letter_new(LETTER_ENDED);
}

void seat_say_attached(struct seat *seat, struct event_id generation, struct bytes cursor,
                       const struct uuid *node, const char *remark)
{
    struct consumer_letter *letter = take_answer(seat);
    if (!letter) {
        return; // only one that was attached before comes here without
    }
    letter->generation = generation;
    letter->coordinator = *node;
    letter->is_created = seat->is_created;
    (void)!buffer_append(&letter->rows, cursor); // without memory it is left out
    reason_set(&letter->reason, 0, "%s", remark);
    seat_say(seat, letter, seat->has_begun ? LETTER_MOVED : LETTER_ATTACHED);
    seat->has_begun = true;
    seat->answer = consumer_letter_new(LETTER_ENDED);
}

void seat_say_mark(struct seat *seat, enum letter_kind kind)
{
    struct consumer_letter *letter = consumer_letter_new(kind);
    seat->was_moved |= kind == LETTER_MOVED; // also when there is no memory to say so
    if (letter) {
        seat_say(seat, letter, kind);
    }
}

void seat_end(struct seat *seat, uint32_t reason, enum wire_error error, const char *text)
{
    assert(!seat->attachment && seat->place != SEAT_OVER);
    struct consumer_letter *letter = take_answer(seat);
    seat->place = SEAT_OVER;
    seat_refuse_acks(seat);
    timer_clear(&seat->seats->cluster->service->timers, &seat->retry);
    if (letter) { // else the client hears of it when it says something
        letter->end_reason = reason;
        letter->error = error;
        reason_set(&letter->reason, 0, "%s", text);
        seat_say(seat, letter, LETTER_ENDED);
    }
}

void seat_leave(struct seat *seat)
{
    if (seat->place == SEAT_CREATING && seat->is_creator) {
        seat->is_leaving = true; // it goes when its subscription is created
        return;
    }
    seat_unplace(seat);
    seat_refuse_acks(seat);
    seat_free(seat);
}

// --- What it says ------------------------------------------------------------------------------

static void take_attach(struct seats *seats, struct consumer_letter *letter)
{
    struct seat *seat = seat_new(seats, letter);
    const struct request_attach *attach = &letter->request.attach;
    struct reason reason = {0};
    if (!seat) {
        letter->error = WIRE_BUSY;
        reason_set(&letter->reason, 0, "the node is out of memory");
        letter->kind = LETTER_ENDED;
        consumer_letter_reply(seats->cluster->node, letter);
        return; // DETACH comes from one that has no seat: see take_detach
    }
    enum wire_error wrong =
        check_request(attach->name, attach->create ? &attach->definition : NULL, &reason);
    if (wrong) {
        seat_end(seat, 0, wrong, reason.text);
    } else {
        seat_attach(seat);
    }
}

void seat_give_back(struct seat *seat, enum block_kind kind, struct bytes events)
{
    while (events.length > 0) {
        struct block_run run;
        block_run_next(kind, &events, &run);
        const struct done_range range = {
            .actor = run.actor,
            .first = run.first,
            .last = run.first + run.count - 1,
        };
        if (seat->place == SEAT_HERE) {
            groups_give_back(seat->attachment, &range);
        } else if (seat->place == SEAT_FORWARDED) {
            forward_give_back(seat, &range);
        }
    }
}

// The letter itself comes back as the last one.
static void take_detach(struct seats *seats, struct consumer_letter *letter)
{
    struct seat *seat = consumer_seat(letter->consumer);
    if (!seat) {
        letter->kind = LETTER_GONE;
        consumer_letter_reply(seats->cluster->node, letter);
        return;
    }
    consumer_letter_free(letter);
    bool waits = seat->place == SEAT_FORWARDED &&
                 !(list_is_empty(&seat->unsent) && list_is_empty(&seat->unanswered));
    if (waits) {
        seat->is_leaving = true;
    } else {
        seat_leave(seat);
    }
}

static void take_credit(struct consumer_letter *letter)
{
    struct seat *seat = consumer_seat(letter->consumer);
    uint64_t bytes = letter->request.credit.bytes;
    if (seat) {
        seat_add_credit(seat, bytes);
    }
    if (seat && seat->place == SEAT_HERE) {
        groups_credit(seat->attachment, bytes);
    } else if (seat && seat->place == SEAT_FORWARDED && seat->is_attach_sent) {
        uint64_t room = SUBSCRIPTION_CREDIT_BYTES_MAX - seat->credit_due;
        seat->credit_due += bytes < room ? bytes : room;
        forward_ready(seat);
    }
    consumer_letter_free(letter);
}

// --- Letters -----------------------------------------------------------------------------------

static void take_untaken(struct consumer_letter *letter)
{
    struct seat *seat = consumer_seat(letter->consumer);
    if (seat) {
        seat_give_back(seat, letter->block->kind,
                       bytes_of(letter->block->data + letter->offset, letter->length));
    }
    consumer_letter_free(letter);
}

static void refuse(struct seats *seats, struct consumer_letter *letter)
{
    if (letter->kind == LETTER_DETACH) {
        take_detach(seats, letter);
        return;
    }
    if (letter->kind == LETTER_CREDIT || letter->kind == LETTER_UNTAKEN) {
        consumer_letter_free(letter);
        return;
    }
    letter->error = WIRE_SHUTTING_DOWN;
    reason_set(&letter->reason, 0, "this node is stopping: go on with another one");
    letter->kind = letter->kind == LETTER_ATTACH ? LETTER_ENDED
                   : letter->kind == LETTER_ASK  ? LETTER_ANSWERED
                                                 : LETTER_ACKED;
    consumer_letter_reply(seats->cluster->node, letter);
}

static void take(struct seats *seats, struct consumer_letter *letter)
{
    if (letter->kind == LETTER_ATTACH) {
        take_attach(seats, letter);
    } else if (letter->kind == LETTER_CREDIT) {
        take_credit(letter);
    } else if (letter->kind == LETTER_UNTAKEN) {
        take_untaken(letter);
    } else if (letter->kind == LETTER_ACK || letter->kind == LETTER_NACK) {
        seat_take_ack(seats, consumer_seat(letter->consumer), letter);
    } else if (letter->kind == LETTER_DETACH) {
        take_detach(seats, letter);
    } else {
        assert(letter->kind == LETTER_ASK);
        seats_take_ask(seats, letter);
    }
}

void seats_take_letters(struct seats *seats)
{
    struct consumer_letter *letter;
    for (int i = 0; i < SEAT_LETTERS_PER_TURN_MAX; i++) {
        letter = consumer_mailbox_take(seats->cluster->node);
        if (!letter) {
            return;
        }
        if (seats->is_closed) {
            refuse(seats, letter);
        } else {
            take(seats, letter);
        }
    }
    service_wake(seats->cluster->service);
}

// --- Turns -------------------------------------------------------------------------------------

static bool update_coordinators(struct seats *seats)
{
    const struct cluster *cluster = seats->cluster;
    struct replica_link links[LINKS_MAX];
    uint32_t count = replica_links(cluster->replica, links);
    return coordinators_update(&seats->coordinators, &node_identity(cluster->node)->node, links,
                               count, store_port_vector(cluster->service->port),
                               cluster->service->now);
}

void seats_turn(struct seats *seats)
{
    LIST_FOR_EACH(&seats->cluster->peers, peer_link)
    {
        struct peer *peer = container_of(peer_link, struct peer, link);
        if (peer->state == PEER_ENDED) {
            seats_peer_ended(peer);
        }
    }
    if (update_coordinators(seats)) {
        LIST_FOR_EACH(&seats->all, link)
        {
            seat_look_soon(container_of(link, struct seat, link));
        }
    }
    struct list_node *link;
    for (int i = 0; (link = list_first(&seats->to_look)) != NULL; i++) {
        if (i == SEATS_LOOKED_AT_PER_TURN_MAX) {
            service_wake(seats->cluster->service);
            return;
        }
        list_remove(link);
        seat_look(container_of(link, struct seat, look_link));
    }
}

void seats_close(struct seats *seats)
{
    struct list_node *link;
    if (seats->is_closed) {
        return;
    }
    seats->is_closed = true;
    consumer_mailbox_close(seats->cluster->node);
    seats_take_letters(seats);
    LIST_FOR_EACH(&seats->cluster->peers, peer_link)
    {
        seats_peer_ended(container_of(peer_link, struct peer, link));
    }
    while ((link = list_first(&seats->all)) != NULL) {
        struct seat *seat = container_of(link, struct seat, link);
        assert(!seat->attachment && seat->place != SEAT_CREATING); // the groups have ended them
        if (seat->place != SEAT_OVER) {
            seat_end(seat, END_SHUTDOWN, 0, "");
        }
        seat_free(seat);
    }
}

// --- Links -------------------------------------------------------------------------------------

void seats_peer_open(struct peer *peer)
{
    list_init(&peer->forwards.ready);
    list_init(&peer->forwards.asks);
    list_init(&peer->forwards.asked);
    list_init(&peer->forwards.outbox);
}

void seats_peer_ended(struct peer *peer)
{
    guests_close(peer);
    forwards_close(peer);
}

void seats_peer_free(struct peer *peer)
{
    seats_peer_ended(peer);
    channel_table_deinit(&peer->forwards.own);
    channel_table_deinit(&peer->forwards.guests);
    consumer_letter_free(peer->forwards.taken);
    peer->forwards.taken = NULL;
}

bool seats_peer_next(struct peer *peer, struct peer_item *item_out)
{
    return forwards_next(peer, item_out) || guests_next(peer, item_out);
}

int seats_peer_request(struct peer *peer, uint64_t channel, const struct request *request)
{
    return guests_take_request(peer, channel, request);
}

int seats_peer_reply(struct peer *peer, uint64_t channel, const struct reply *reply)
{
    return forwards_take_reply(peer, channel, reply);
}

int seats_peer_refuse(struct peer *peer, uint64_t channel, uint64_t id, enum wire_error code,
                      const char *text)
{
    return guests_refuse(peer, channel, id, code, text);
}

void seats_peer_end(struct peer *peer, const struct peer_forward_end *end)
{
    if (end->is_senders) {
        guests_take_end(peer, end->channel, end->untaken);
    } else {
        forwards_take_end(peer, end->channel);
    }
}
