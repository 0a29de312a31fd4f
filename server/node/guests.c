// Consumers of other nodes, which this one coordinates because it was asked to: a seat for each
// channel, attached to the group here. What is said to them waits in the order in which it was
// said, as letters, until the link takes it. The group gets of a guest's credit only what the
// window leaves, so that a slow link holds up its events in the log and not here; answers are as
// many as were asked for, and bounded.

#include <assert.h>

#include "server/node/seats_state.h"

// --- Credit ------------------------------------------------------------------------------------

static void grant(struct seat *seat)
{
    uint64_t used = seat->granted + seat->waiting;
    uint64_t room = used < FORWARD_WINDOW_BYTES ? FORWARD_WINDOW_BYTES - used : 0;
    uint64_t bytes = seat->credit_due < room ? seat->credit_due : room;
    if (bytes > 0 && seat->place == SEAT_HERE) {
        seat->credit_due -= bytes;
        seat->granted += bytes;
        groups_credit(seat->attachment, bytes);
    }
}

void guest_add_credit(struct seat *seat, uint64_t bytes)
{
    uint64_t room = SUBSCRIPTION_CREDIT_BYTES_MAX - seat->credit_due;
    seat->credit_due += bytes < room ? bytes : room;
    grant(seat);
}

void guest_spent(struct seat *seat, uint64_t bytes)
{
    seat->granted -= bytes < seat->granted ? bytes : seat->granted;
    seat->waiting += bytes;
}

// --- Out ---------------------------------------------------------------------------------------

static void put(struct peer *peer, struct consumer_letter *letter)
{
    if (peer->state != PEER_LINKED) {
        consumer_letter_free(letter);
        return;
    }
    peer->forwards.answers_count += !letter->block;
    list_append(&peer->forwards.outbox, &letter->link);
    peer_mark_ready(peer);
}

void guest_say(struct seat *seat, struct consumer_letter *letter)
{
    bool is_answer = letter->kind == LETTER_ACKED;
    if (!seat->peer) {
        consumer_letter_free(letter);
        return;
    }
    letter->channel = seat->channel;
    if (!is_answer) {
        letter->request.id = seat->request->request.id;
    }
    put(seat->peer, letter);
}

bool guests_next(struct peer *peer, struct peer_item *item_out)
{
    struct peer_forwards *forwards = &peer->forwards;
    struct list_node *link = list_first(&forwards->outbox);
    consumer_letter_free(forwards->taken);
    forwards->taken = NULL;
    if (!link) {
        return false;
    }
    struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
    struct reply *reply = &forwards->reply;
    list_remove(link);
    forwards->taken = letter;
    *reply = (struct reply){.id = letter->request.id};
    consumer_letter_fill(letter, 0, reply);
    *item_out = (struct peer_item){
        .head = {.kind = PEER_FORWARDED, .forward = {.channel = letter->channel}},
        .reply = reply,
    };
    if (!letter->block) {
        forwards->answers_count--;
        if (reply->kind != REPLY_ERROR && reply->kind != REPLY_ATTACHED) {
            reply->cursor = service_cursor(peer->cluster->service);
        }
        return true;
    }
    item_out->block = letter->block; // the reference goes with it
    item_out->offset = letter->offset;
    item_out->length = letter->length;
    letter->block = NULL;
    struct seat *seat = channel_find(&forwards->guests, letter->channel);
    if (seat) {
        seat->waiting -= letter->length < seat->waiting ? letter->length : seat->waiting;
        grant(seat);
    }
    return true;
}

// --- In ----------------------------------------------------------------------------------------

static void send_end(struct peer *peer, uint64_t channel)
{
    const struct peer_message message = {
        .kind = PEER_FORWARD_END,
        .forward_end = {.channel = channel, .is_senders = false},
    };
    peer_send(peer, &message);
}

static int out_of_memory(struct peer *peer)
{
    peer_end(peer, 0, "out of memory for a consumer of it");
    return ERR_MEMORY;
}

static struct consumer_letter *letter_of(enum letter_kind kind, const struct request *request)
{
    struct consumer_letter *letter = consumer_letter_new(kind);
    if (letter && consumer_letter_copy(letter, request)) {
        consumer_letter_free(letter);
        letter = NULL;
    }
    return letter;
}

static int attach(struct peer *peer, uint64_t channel, const struct request *request)
{
    const struct request_attach *attach = &request->attach;
    struct seats *seats = peer->cluster->seats;
    struct consumer_letter *letter = letter_of(LETTER_ATTACH, request);
    struct seat *seat = letter ? seat_new(seats, letter) : NULL;
    struct reason reason = {0};
    if (!seat) {
        consumer_letter_free(letter);
        send_end(peer, channel); // it is tried again
        return 0;
    }
    const struct bytes client = attach->client;
    int length = client.length < REASON_LENGTH_MAX ? (int)client.length : REASON_LENGTH_MAX;
    reason_set(&letter->reason, 0, "%.*s", length, length > 0 ? (const char *)client.data : "");
    seat->peer = peer;
    seat->channel = channel;
    int err = channel_add(&peer->forwards.guests, channel, seat, FORWARD_CHANNELS_MAX);
    if (err) {
        seat->peer = NULL;
        seat_free(seat);
        if (err == ERR_MEMORY) {
            send_end(peer, channel);
            return 0;
        }
        peer_end(peer, REFUSAL_PROTOCOL, "more consumers on the link than there may be");
        return ERR_INVALID;
    }
    enum wire_error wrong =
        check_request(attach->name, attach->create ? &attach->definition : NULL, &reason);
    if (wrong) {
        seat_end(seat, 0, wrong, reason.text);
    } else {
        seat_attach(seat);
    }
    return 0;
}

static int look_up(struct peer *peer, uint64_t channel, const struct request *request)
{
    bool is_change = request->subscriptions.which != SUBSCRIPTIONS_LIST &&
                     request->subscriptions.which != SUBSCRIPTIONS_SHOW;
    struct consumer_letter *letter = letter_of(LETTER_ANSWERED, request);
    if (!letter) {
        return out_of_memory(peer);
    }
    letter->channel = channel;
    if (is_change) {
        letter->error = WIRE_UNSUPPORTED;
        reason_set(&letter->reason, 0, "changes are written by the node that is asked");
    } else {
        seats_look_up(peer->cluster->seats, letter);
    }
    put(peer, letter);
    return 0;
}

static int acknowledge(struct peer *peer, struct seat *seat, const struct request *request)
{
    struct consumer_letter *letter =
        letter_of(request->kind == REQUEST_ACK ? LETTER_ACK : LETTER_NACK, request);
    if (!letter) {
        return out_of_memory(peer);
    }
    seat_take_ack(seat->seats, seat, letter);
    return 0;
}

int guests_take_request(struct peer *peer, uint64_t channel, const struct request *request)
{
    struct seat *seat = channel_find(&peer->forwards.guests, channel);
    if (peer->cluster->is_over) {
        return 0;
    }
    if (peer->forwards.answers_count >= FORWARD_ANSWERS_MAX) {
        peer_end(peer, REFUSAL_PROTOCOL, "it asks faster than it takes answers");
        return ERR_LIMIT;
    }
    if (request->kind == REQUEST_ATTACH) {
        return attach(peer, channel, request);
    }
    if (request->kind == REQUEST_SUBSCRIPTIONS) {
        return look_up(peer, channel, request);
    }
    if (!seat) {
        return 0; // it crossed with the end
    }
    if (request->kind == REQUEST_ACK || request->kind == REQUEST_NACK) {
        return acknowledge(peer, seat, request);
    }
    if (request->kind == REQUEST_CREDIT) {
        guest_add_credit(seat, request->credit.bytes);
        return 0;
    }
    return guests_refuse(peer, channel, request->id, WIRE_UNSUPPORTED,
                         "no such request is forwarded");
}

int guests_refuse(struct peer *peer, uint64_t channel, uint64_t id, enum wire_error code,
                  const char *text)
{
    struct consumer_letter *letter = consumer_letter_new(LETTER_ANSWERED);
    if (!letter || peer->forwards.answers_count >= FORWARD_ANSWERS_MAX) {
        consumer_letter_free(letter);
        return out_of_memory(peer);
    }
    letter->channel = channel;
    letter->request.id = id;
    letter->error = code;
    reason_set(&letter->reason, 0, "%s", text);
    put(peer, letter);
    return 0;
}

// --- The end -----------------------------------------------------------------------------------

// What waits to be sent to it comes again, and is no attempt.
static void give_back(struct seat *seat, const struct consumer_letter *letter)
{
    seat_give_back(seat, letter->block->kind,
                   bytes_of(letter->block->data + letter->offset, letter->length));
}

// What the other node had, and its client never got. Of ranges that overlap, which nobody should
// say, the first counts: each costs as much as there is in it.
static void give_back_untaken(struct seat *seat, struct bytes untaken)
{
    struct done_range before = {0};
    struct done_range range;
    while (untaken.length > 0 && done_range_next(&untaken, &range) == 0) {
        bool ascends = range.actor > before.actor ||
                       (range.actor == before.actor && range.first > before.last);
        if (ascends && seat->place == SEAT_HERE) {
            groups_give_back(seat->attachment, &range);
            before = range;
        }
    }
}

static void give_back_unsent(struct seat *seat, struct peer *peer)
{
    LIST_FOR_EACH(&peer->forwards.outbox, link)
    {
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        if (letter->channel == seat->channel && letter->block) {
            list_remove(link);
            give_back(seat, letter);
            consumer_letter_free(letter);
        }
    }
}

void guest_forget(struct seat *seat)
{
    channel_remove(&seat->peer->forwards.guests, seat->channel);
    seat->peer = NULL;
}

static void leave(struct seat *seat)
{
    if (seat->place == SEAT_CREATING) {
        guest_forget(seat);
    }
    seat_leave(seat);
}

void guests_take_end(struct peer *peer, uint64_t channel, struct bytes untaken)
{
    struct seat *seat = channel_find(&peer->forwards.guests, channel);
    if (seat) {
        give_back_untaken(seat, untaken);
        give_back_unsent(seat, peer);
        leave(seat);
    }
}

void guests_close(struct peer *peer)
{
    struct channel_table *guests = &peer->forwards.guests;
    struct list_node *link;
    while ((link = list_first(&peer->forwards.outbox)) != NULL) {
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        struct seat *seat = letter->block ? channel_find(guests, letter->channel) : NULL;
        list_remove(link);
        if (seat) {
            give_back(seat, letter);
        }
        consumer_letter_free(letter);
    }
    peer->forwards.answers_count = 0;
    while (guests->count > 0) {
        uint32_t count = guests->count;
        leave(guests->channels[count - 1].owner);
        assert(guests->count < count);
    }
}
