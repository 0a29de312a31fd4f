// Consumers of this node that another one coordinates. Each has a channel of the link; what is to
// be said on it is made when the link asks for it: the ATTACH, then credit and acknowledgements, in
// turns of one message. Requests without a consumer have a channel each, too.

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/node/seats_state.h"

// What a coordinator may send beyond the credit that the client has left: one delivery may begin
// with little credit, and slices that are divided have more heads than were counted.
#define FORWARD_OVERDRAFT_BYTES_MAX ((int64_t)(FRAME_BYTES_MAX + MIB))

// --- A channel ---------------------------------------------------------------------------------

static bool has_something(const struct seat *seat)
{
    return !seat->is_attach_sent ||
           (seat->is_attached && (seat->credit_due > 0 || !list_is_empty(&seat->unsent)));
}

void forward_ready(struct seat *seat)
{
    if (has_something(seat) && list_is_empty(&seat->ready_link)) {
        list_append(&seat->peer->forwards.ready, &seat->ready_link);
        peer_mark_ready(seat->peer);
    }
}

int forward_begin(struct seat *seat, struct peer *peer)
{
    struct peer_forwards *forwards = &peer->forwards;
    uint64_t channel = forwards->channel_last + 1;
    int err = channel_add(&forwards->own, channel, seat, FORWARD_CHANNELS_MAX);
    if (err) {
        return err;
    }
    forwards->channel_last = channel;
    seat->place = SEAT_FORWARDED;
    seat->peer = peer;
    seat->channel = channel;
    seat->is_attach_sent = false;
    seat->is_attached = false;
    seat->credit_due = 0;
    forward_ready(seat);
    return 0;
}

static void send_end(struct peer *peer, uint64_t channel, struct bytes untaken)
{
    const struct peer_message message = {
        .kind = PEER_FORWARD_END,
        .forward_end = {.channel = channel, .is_senders = true, .untaken = untaken},
    };
    peer_send(peer, &message);
}

// The channel is no more; the seat is nowhere.
static void forget(struct seat *seat)
{
    list_remove(&seat->ready_link);
    buffer_deinit(&seat->untaken);
    channel_remove(&seat->peer->forwards.own, seat->channel);
    seat->peer = NULL;
    seat->place = SEAT_NOWHERE;
    seat_keep_unanswered(seat);
}

void forward_give_back(struct seat *seat, const struct done_range *range)
{
    if (seat->untaken.length < (size_t)ACK_RANGES_MAX * DONE_RANGE_LENGTH) {
        (void)!done_range_append(&seat->untaken, range); // without memory it was an attempt
    }
}

// As they are encoded they sort as numbers do.
static int compare_ranges(const void *a, const void *b)
{
    return memcmp(a, b, DONE_RANGE_LENGTH);
}

void forward_end(struct seat *seat)
{
    struct peer *peer = seat->peer;
    struct buffer untaken = seat->untaken;
    seat->untaken = (struct buffer){0};
    bool is_there = seat->is_attach_sent && peer->state == PEER_LINKED;
    uint64_t channel = seat->channel;
    forget(seat);
    if (is_there) {
        if (untaken.length > 0) {
            qsort(untaken.data, untaken.length / DONE_RANGE_LENGTH, DONE_RANGE_LENGTH,
                  compare_ranges);
        }
        send_end(peer, channel, buffer_bytes(&untaken));
    }
    buffer_deinit(&untaken);
}

// --- Out ---------------------------------------------------------------------------------------

static void fill_attach(struct seat *seat, struct request *request)
{
    struct request_attach *attach = &request->attach;
    const struct durable *durable =
        durable_find(seat->seats->cluster->groups, seat->request->request.attach.name);
    bool is_known = durable && !event_id_is_none(subscription_fold_generation(durable->fold));
    *request = seat->request->request;
    attach->client = bytes_of_text(seat->request->reason.text);
    attach->after = (struct request_after){0};
    attach->heartbeat_ms = 0;                                             // is this node's matter
    attach->credit_bytes = seat->credit > 0 ? (uint64_t)seat->credit : 1; // 0 is the default
    attach->create = attach->create && !seat->has_begun && !is_known;
    seat->is_attach_sent = true;
    seat->credit_due = 0;
}

// The seat's next message. False: it has nothing to say.
static bool fill(struct seat *seat, struct request *request)
{
    struct list_node *link = list_first(&seat->unsent);
    if (!seat->is_attach_sent) {
        fill_attach(seat, request);
    } else if (!seat->is_attached) {
        return false;
    } else if (seat->credit_due > 0) {
        *request = (struct request){.kind = REQUEST_CREDIT, .id = seat->request->request.id};
        request->credit.bytes = seat->credit_due;
        seat->credit_due = 0;
    } else if (link) {
        list_remove(link);
        list_append(&seat->unanswered, link);
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        if (seat->was_moved) {
            seat_ack_alone(letter);
        }
        *request = letter->request;
    } else {
        return false;
    }
    return true;
}

static void give(struct peer *peer, uint64_t channel, struct peer_item *item_out)
{
    *item_out = (struct peer_item){
        .head = {.kind = PEER_FORWARD, .forward = {.channel = channel}},
        .request = &peer->forwards.request,
    };
}

static bool next_ask(struct peer *peer, struct peer_item *item_out)
{
    struct peer_forwards *forwards = &peer->forwards;
    struct list_node *link = list_first(&forwards->asks);
    if (!link) {
        return false;
    }
    struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
    list_remove(link);
    list_append(&forwards->asked, link);
    letter->channel = ++forwards->channel_last;
    forwards->request = letter->request;
    forwards->request.subscriptions.after = (struct request_after){0};
    give(peer, letter->channel, item_out);
    return true;
}

bool forwards_next(struct peer *peer, struct peer_item *item_out)
{
    struct peer_forwards *forwards = &peer->forwards;
    struct list_node *link;
    while ((link = list_first(&forwards->ready)) != NULL) {
        struct seat *seat = container_of(link, struct seat, ready_link);
        list_remove(link);
        if (fill(seat, &forwards->request)) {
            forward_ready(seat); // behind the others
            give(peer, seat->channel, item_out);
            return true;
        }
    }
    return next_ask(peer, item_out);
}

// --- Requests without a consumer ---------------------------------------------------------------

void forward_ask(struct peer *peer, struct consumer_letter *letter)
{
    peer->forwards.asks_count++;
    list_append(&peer->forwards.asks, &letter->link);
    peer_mark_ready(peer);
}

static struct consumer_letter *take_asked(struct peer *peer, uint64_t channel)
{
    LIST_FOR_EACH(&peer->forwards.asked, link)
    {
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        if (letter->channel == channel) {
            list_remove(link);
            peer->forwards.asks_count--;
            return letter;
        }
    }
    return NULL;
}

// As this node sees it.
static void answer_ask_here(struct peer *peer, struct consumer_letter *letter)
{
    seats_look_up(peer->cluster->seats, letter);
    seats_answer_ask(peer->cluster->seats, letter);
}

static void take_ask_reply(struct peer *peer, struct consumer_letter *letter,
                           const struct reply *reply)
{
    bool is_answer = reply->kind == REPLY_SUBSCRIPTIONS &&
                     buffer_append(&letter->rows, reply->subscriptions.rows) == 0 &&
                     buffer_append(&letter->consumers, reply->subscriptions.consumers) == 0;
    if (!is_answer) { // it does not know it yet, or cannot say
        buffer_clear(&letter->rows);
        answer_ask_here(peer, letter);
        return;
    }
    letter->more = reply->subscriptions.more;
    seats_answer_ask(peer->cluster->seats, letter);
}

// --- In ----------------------------------------------------------------------------------------

static struct block *copy_slices(struct bytes slices, uint64_t count)
{
    struct block *block = block_new(BLOCK_SLICES, slices.length);
    if (block) {
        memcpy(block->data, slices.data, slices.length);
        block->length = slices.length;
        block->events = (uint32_t)count;
    }
    return block;
}

static void end(struct seat *seat, uint32_t reason, enum wire_error error, const char *text)
{
    forward_end(seat);
    if (seat->is_leaving) {
        seat_leave(seat);
    } else {
        seat_end(seat, reason, error, text);
    }
}

static void take_assigned(struct seat *seat, const struct reply *reply, uint64_t count)
{
    struct bytes slices = reply->assigned.slices;
    if (seat->is_leaving) {
        seat_give_back(seat, BLOCK_SLICES, slices);
        return;
    }
    struct consumer_letter *letter = consumer_letter_new(LETTER_ASSIGNED);
    seat->credit -= (int64_t)slices.length;
    if (letter) {
        letter->block = copy_slices(slices, count);
    }
    if (!letter || !letter->block) {
        consumer_letter_free(letter);
        seat->credit += (int64_t)slices.length;
        return; // not acknowledged: it comes again
    }
    letter->length = slices.length;
    letter->attempt = reply->assigned.attempt;
    letter->count = count;
    seat_say(seat, letter, LETTER_ASSIGNED);
    if (seat->credit < -FORWARD_OVERDRAFT_BYTES_MAX) {
        end(seat, 0, WIRE_BUSY, "the node that coordinates sends more than there is credit for");
    }
}

static void set_text(struct reason *reason, struct bytes text)
{
    int length = text.length < REASON_LENGTH_MAX ? (int)text.length : REASON_LENGTH_MAX;
    reason_set(reason, 0, "%.*s", length, length > 0 ? (const char *)text.data : "");
}

// What it said is answered; one that leaves goes with its last answer.
static void take_answer(struct seat *seat, const struct reply *reply)
{
    LIST_FOR_EACH(&seat->unanswered, link)
    {
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        if (letter->request.id == reply->id) {
            letter->count = reply->kind == REPLY_ACKED ? reply->acked.count : 0;
            if (reply->kind == REPLY_ERROR) {
                letter->error = reply->error.code;
                set_text(&letter->reason, reply->error.text);
            }
            seat_ack_answer(seat, letter);
            break;
        }
    }
    if (seat->is_leaving && list_is_empty(&seat->unsent) && list_is_empty(&seat->unanswered)) {
        seat_leave(seat);
    }
}

static void take_attached(struct seat *seat, const struct reply_attached *attached,
                          struct bytes cursor)
{
    struct uuid node;
    struct reason remark;
    bool was_there = seat->request->request.attach.create && !attached->is_created;
    if (seat->is_attached) {
        return; // said twice
    }
    memcpy(node.bytes, attached->coordinator.data, sizeof node.bytes);
    reason_set(&remark, 0, "%s",
               was_there ? "it exists already: start and options are those of its creation" : "");
    seat->is_attached = true;
    seat->is_created |= attached->is_created;
    seat->retry_until = INSTANT_NEVER;
    seat_say_attached(seat, attached->generation, cursor, &node, remark.text);
    forward_ready(seat);
}

// It does not attach it, or no longer.
static void take_refusal(struct seat *seat, enum wire_error error, struct bytes text)
{
    struct reason why;
    set_text(&why, text);
    forward_end(seat);
    seat_refused(seat, error, why.text);
}

static void take_mark(struct seat *seat, uint32_t kind)
{
    if (kind == MARK_CAUGHT_UP) {
        seat_say_mark(seat, LETTER_CAUGHT_UP);
    } else if (kind == MARK_MOVED) {
        seat_say_mark(seat, LETTER_MOVED);
    }
}

static int take(struct peer *peer, struct seat *seat, const struct reply *reply)
{
    uint64_t count;
    bool is_its = reply->id == seat->request->request.id; // else of an acknowledgement
    bool is_delivery = reply->kind == DELIVERY_ASSIGNED || reply->kind == DELIVERY_MARK;
    if (is_delivery && !seat->is_attached) {
        return 0; // nobody has been told yet that there would be some
    }
    if (reply->kind == REPLY_ATTACHED) {
        take_attached(seat, &reply->attached, reply->cursor);
    } else if (reply->kind == DELIVERY_ASSIGNED) {
        if (!slices_count(reply->assigned.slices, &count)) {
            peer_end(peer, REFUSAL_MALFORMED, "events for a consumer that are none");
            return ERR_INVALID;
        }
        take_assigned(seat, reply, count);
    } else if (reply->kind == DELIVERY_MARK) {
        take_mark(seat, reply->mark.kind);
    } else if (reply->kind == DELIVERY_END && reply->end.reason == END_DELETED) {
        end(seat, END_DELETED, 0, "");
    } else if (reply->kind == DELIVERY_END) {
        take_refusal(seat, WIRE_SHUTTING_DOWN, bytes_of_text("its node stops"));
    } else if (reply->kind == REPLY_ERROR && is_its) {
        take_refusal(seat, reply->error.code, reply->error.text);
    } else if (reply->kind == REPLY_ACKED || reply->kind == REPLY_ERROR) {
        take_answer(seat, reply);
    }
    return 0;
}

int forwards_take_reply(struct peer *peer, uint64_t channel, const struct reply *reply)
{
    struct seat *seat = channel_find(&peer->forwards.own, channel);
    struct consumer_letter *asked = seat ? NULL : take_asked(peer, channel);
    if (asked) {
        take_ask_reply(peer, asked, reply);
    }
    return seat && seat->is_attach_sent ? take(peer, seat, reply) : 0; // or it crossed with the end
}

void forwards_take_end(struct peer *peer, uint64_t channel)
{
    struct seat *seat = channel_find(&peer->forwards.own, channel);
    struct consumer_letter *asked = seat ? NULL : take_asked(peer, channel);
    if (asked) {
        answer_ask_here(peer, asked);
    }
    if (seat) {
        forget(seat);
        seat_refused(seat, WIRE_SHUTTING_DOWN, "the node that coordinates does not take it");
    }
}

// --- The end -----------------------------------------------------------------------------------

static void answer_all(struct peer *peer, struct list_node *asks)
{
    struct list_node *link;
    while ((link = list_first(asks)) != NULL) {
        list_remove(link);
        peer->forwards.asks_count--;
        answer_ask_here(peer, container_of(link, struct consumer_letter, link));
    }
}

void forwards_close(struct peer *peer)
{
    struct channel_table *own = &peer->forwards.own;
    answer_all(peer, &peer->forwards.asks);
    answer_all(peer, &peer->forwards.asked);
    while (own->count > 0) {
        struct seat *seat = own->channels[own->count - 1].owner;
        forget(seat);
        if (seat->is_leaving) {
            seat_leave(seat);
        } else {
            seat_look_soon(seat);
        }
    }
}
