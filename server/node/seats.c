// One seat for each consumer that attaches, in the first loop: what it says is told to the group,
// what the group says goes back as letters. Also requests about subscriptions, which no consumer
// makes.

#include "server/node/seats.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/model/subscription_row.h"
#include "server/node/consumer_letter.h"
#include "server/node/groups_state.h"

enum { SEAT_LETTERS_PER_TURN_MAX = 4096, ROWS_PAGE_MAX = 1000 };

struct seats {
    struct cluster *cluster;
    struct list_node all;
    bool is_closed;
};

struct seat {
    struct list_node link;
    struct seats *seats;
    struct consumer *consumer;
    struct service *service;
    struct attachment *attachment;  // NULL: not yet, or it has ended
    struct consumer_letter *attach; // while its subscription is being created
    struct consumer_letter *gone;   // made ahead
    bool is_left;                   // DETACH came while it was being created
};

int seats_new(struct cluster *cluster, struct seats **seats_out)
{
    struct seats *seats = calloc(1, sizeof *seats);
    if (!seats) {
        return ERR_MEMORY;
    }
    seats->cluster = cluster;
    list_init(&seats->all);
    *seats_out = seats;
    return 0;
}

void seats_free(struct seats *seats)
{
    if (seats) {
        assert(list_is_empty(&seats->all));
        free(seats);
    }
}

static struct node *node_of(const struct seat *seat)
{
    return seat->seats->cluster->node;
}

// Takes over the letter.
static void reply(struct seat *seat, struct consumer_letter *letter, enum letter_kind kind)
{
    letter->kind = kind;
    letter->consumer = seat->consumer;
    letter->service = seat->service;
    consumer_letter_reply(node_of(seat), letter);
}

// --- What the group says -----------------------------------------------------------------------

static void seat_ended(void *context, uint32_t reason, enum wire_error error, const char *text)
{
    struct seat *seat = context;
    struct consumer_letter *letter = consumer_letter_new(LETTER_ENDED);
    seat->attachment = NULL;
    if (!letter) {
        return; // the client hears of it when it says something
    }
    letter->end_reason = reason;
    letter->error = error;
    reason_set(&letter->reason, 0, "%s", text);
    reply(seat, letter, LETTER_ENDED);
}

static void seat_deliver(void *context, struct block *block, size_t offset, size_t length,
                         uint32_t attempt)
{
    struct seat *seat = context;
    struct consumer_letter *letter = consumer_letter_new(LETTER_ASSIGNED);
    if (!letter) {
        block_unref(block);
        return; // not acknowledged: it comes again
    }
    letter->block = block;
    letter->offset = offset;
    letter->length = length;
    letter->attempt = attempt;
    struct bytes rest = bytes_of(block->data + offset, length);
    struct slice slice;
    while (rest.length > 0 && slice_next(&rest, &slice) == 0) {
        letter->count += slice.count;
    }
    reply(seat, letter, LETTER_ASSIGNED);
}

static void say(struct seat *seat, enum letter_kind kind)
{
    struct consumer_letter *letter = consumer_letter_new(kind);
    if (letter) {
        reply(seat, letter, kind);
    }
}

static void seat_caught_up(void *context)
{
    say(context, LETTER_CAUGHT_UP);
}

static void seat_renewed(void *context)
{
    say(context, LETTER_MOVED);
}

static const struct attachment_ops SEAT_OPS = {
    .deliver = seat_deliver,
    .caught_up = seat_caught_up,
    .renewed = seat_renewed,
    .ended = seat_ended,
};

// --- Attaching ---------------------------------------------------------------------------------

static void seat_free(struct seat *seat)
{
    list_remove(&seat->link);
    consumer_letter_free(seat->attach);
    if (seat->gone) {
        reply(seat, seat->gone, LETTER_GONE);
    }
    free(seat);
}

static enum wire_error attach_error(int err)
{
    return err == ERR_NOT_FOUND ? WIRE_NOT_FOUND
           : err == ERR_INVALID ? WIRE_INVALID_ARGUMENT
                                : WIRE_BUSY;
}

// Takes over the letter.
static void seat_attach(struct seat *seat, struct consumer_letter *letter, bool is_created,
                        const char *remark)
{
    const struct request_attach *attach = &letter->request.attach;
    struct attach_options options = {
        .in_flight_max = attach->in_flight > 0 ? attach->in_flight : ATTACH_IN_FLIGHT_DEFAULT,
        .credit_bytes =
            attach->credit_bytes > 0 ? attach->credit_bytes : SUBSCRIPTION_CREDIT_BYTES_DEFAULT,
        .ops = &SEAT_OPS,
        .context = seat,
    };
    struct reason reason = {0};
    if (options.in_flight_max > GROUP_IN_FLIGHT_MAX) {
        options.in_flight_max = GROUP_IN_FLIGHT_MAX;
    }
    int err = groups_attach(seat->seats->cluster->groups, attach->name, &options, &seat->attachment,
                            &letter->generation, &reason);
    if (err) {
        seat->attachment = NULL;
        letter->end_reason = 0;
        letter->error = attach_error(err);
        letter->reason = reason;
        reply(seat, letter, LETTER_ENDED);
        return;
    }
    letter->is_created = is_created;
    reason_set(&letter->reason, 0, "%s", remark);
    reply(seat, letter, LETTER_ATTACHED);
}

static void seat_created(void *context, int err, const char *text)
{
    struct seat *seat = context;
    struct consumer_letter *letter = seat->attach;
    seat->attach = NULL;
    if (seat->is_left) {
        consumer_letter_free(letter);
        seat_free(seat);
    } else if (err) {
        letter->error = err == ERR_DENIED ? WIRE_NOT_MEMBER : attach_error(err);
        reason_set(&letter->reason, 0, "%s", text);
        reply(seat, letter, LETTER_ENDED);
    } else {
        seat_attach(seat, letter, text[0] == '\0', text);
    }
}

static void start_of(const struct request_start *from, struct request_subscribe *to)
{
    *to = (struct request_subscribe){
        .start = from->kind,
        .start_id = from->id,
        .start_cursor = from->cursor,
        .start_time_ms = from->time_ms,
    };
}

// Which of the members that this node has a link to, and itself, coordinates: the highest hash.
// False and why not: another one does, and consumers have to go there.
static bool is_coordinator(const struct seats *seats, struct bytes name, struct reason *reason)
{
    const struct replica *replica = seats->cluster->replica;
    const struct uuid *self = &node_identity(seats->cluster->node)->node;
    uint64_t best = hash64_keyed(name, hash64(bytes_of(self->bytes, sizeof self->bytes)));
    bool is_self = true;
    for (uint32_t i = 0; i < replica_members_count(replica); i++) {
        struct replica_member member;
        replica_member_at(replica, i, &member);
        if (member.is_self || !member.is_connected || member.actor == 0) {
            continue;
        }
        struct bytes node = bytes_of(member.node.bytes, sizeof member.node.bytes);
        uint64_t hash = hash64_keyed(name, hash64(node));
        if (hash > best) {
            best = hash;
            is_self = false;
            reason_set(reason, ERR_FOREIGN,
                       "actor %u at %.100s coordinates this subscription: attach there",
                       (unsigned)member.actor, member.address ? member.address : "");
        }
    }
    return is_self;
}

// What is wrong with a request, or 0.
static enum wire_error check_request(struct bytes name,
                                     const struct subscription_definition *definition,
                                     struct reason *reason)
{
    struct filter *filter;
    if (!subscription_name_is_valid(name, reason)) {
        return WIRE_INVALID_ARGUMENT;
    }
    if (!definition) {
        return 0;
    }
    if (subscription_definition_check(definition, reason)) {
        return WIRE_INVALID_ARGUMENT;
    }
    int err = filter_new(definition->entries, definition->entries_count, &filter, reason);
    if (err == 0) {
        filter_unref(filter);
    }
    return err == ERR_MEMORY ? WIRE_BUSY : err ? WIRE_INVALID_GLOB : 0;
}

// Nothing comes of an ATTACH.
static void refuse_attach(struct seat *seat, struct consumer_letter *letter, enum wire_error error,
                          const struct reason *reason)
{
    letter->error = error;
    letter->reason = *reason;
    reply(seat, letter, LETTER_ENDED);
}

static void take_attach(struct seats *seats, struct consumer_letter *letter)
{
    struct seat *seat = calloc(1, sizeof *seat);
    struct consumer_letter *gone = consumer_letter_new(LETTER_GONE);
    const struct request_attach *attach = &letter->request.attach;
    if (!seat || !gone) {
        free(seat);
        consumer_letter_free(gone);
        letter->error = WIRE_BUSY;
        reason_set(&letter->reason, 0, "the node is out of memory");
        letter->kind = LETTER_ENDED;
        consumer_letter_reply(seats->cluster->node, letter);
        return; // DETACH comes from one that has no seat: see take_detach
    }
    *seat = (struct seat){
        .seats = seats,
        .consumer = letter->consumer,
        .service = letter->service,
        .gone = gone,
    };
    list_init(&seat->link);
    list_append(&seats->all, &seat->link);
    struct reason reason = {0};
    enum wire_error wrong =
        check_request(attach->name, attach->create ? &attach->definition : NULL, &reason);
    if (wrong == 0 && !is_coordinator(seats, attach->name, &reason)) {
        wrong = WIRE_REFUSED;
    }
    if (wrong) {
        refuse_attach(seat, letter, wrong, &reason);
        return;
    }
    struct group_row row = {0};
    bool is_there = groups_look(seats->cluster->groups, attach->name, false, &row) == 0;
    position_deinit(&row.position);
    if (!attach->create || is_there) {
        seat_attach(
            seat, letter, false,
            attach->create ? "it exists already: start and options are those of its creation" : "");
        return;
    }
    struct request_subscribe start;
    start_of(&attach->start, &start);
    seat->attach = letter;
    if (groups_create(seats->cluster->groups, attach->name, &attach->definition, &start,
                      seat_created, seat)) {
        seat_created(seat, ERR_MEMORY, err_text(ERR_MEMORY));
    }
}

// --- What consumers say ------------------------------------------------------------------------

static struct seat *seat_of(const struct seats *seats, const struct consumer *consumer)
{
    LIST_FOR_EACH(&seats->all, link)
    {
        struct seat *seat = container_of(link, struct seat, link);
        if (seat->consumer == consumer) {
            return seat;
        }
    }
    return NULL;
}

// The letter itself comes back as the last one.
static void take_detach(struct seats *seats, struct consumer_letter *letter)
{
    struct seat *seat = seat_of(seats, letter->consumer);
    if (!seat) {
        letter->kind = LETTER_GONE;
        consumer_letter_reply(seats->cluster->node, letter);
        return;
    }
    consumer_letter_free(letter);
    if (seat->attachment) {
        groups_detach(seat->attachment);
        seat->attachment = NULL;
    }
    if (seat->attach) {
        seat->is_left = true; // freed when its subscription is created
    } else {
        seat_free(seat);
    }
}

// Whether the ranges ascend: each costs as much as there is in it that is not done.
static bool do_ascend(struct bytes rest)
{
    struct done_range before = {0};
    struct done_range range;
    while (rest.length > 0 && done_range_next(&rest, &range) == 0) {
        if (range.actor < before.actor ||
            (range.actor == before.actor && range.first <= before.last)) {
            return false;
        }
        before = range;
    }
    return true;
}

static void take_ack(struct seats *seats, struct consumer_letter *letter)
{
    struct seat *seat = seat_of(seats, letter->consumer);
    bool is_ack = letter->kind == LETTER_ACK;
    struct bytes rest = is_ack ? letter->request.ack.ranges : letter->request.nack.ranges;
    uint64_t count = 0;
    int err = 0;
    if (!do_ascend(rest)) {
        letter->kind = LETTER_ACKED;
        letter->error = WIRE_INVALID_ARGUMENT;
        reason_set(&letter->reason, 0, "the ranges of ids must ascend, and not overlap");
        consumer_letter_reply(seats->cluster->node, letter);
        return;
    }
    if (seat && seat->attachment && is_ack && !event_id_is_none(letter->request.ack.up_to)) {
        err = groups_ack(seat->attachment, letter->request.ack.up_to, NULL, 0, &count);
    }
    while (seat && seat->attachment && rest.length > 0 && err == 0) {
        struct done_range range;
        if (done_range_next(&rest, &range)) {
            break;
        }
        // what this node does not hold nobody was handed out by it, or before it
        uint64_t held =
            version_vector_get(store_port_vector(seats->cluster->service->port), range.actor);
        range.last = range.last < held ? range.last : held;
        if (range.last < range.first) {
            continue;
        }
        err = is_ack ? groups_ack(seat->attachment, (struct event_id){0}, &range, 1, &count)
                     : groups_nack(seat->attachment, &range, 1,
                                   duration_ms(letter->request.nack.delay_ms),
                                   letter->request.nack.reason, &count);
    }
    letter->count = count;
    if (err) {
        letter->error = WIRE_BUSY;
        reason_set(&letter->reason, 0, "the node is out of memory: say it again");
    } else if (count == 0) {
        letter->error = WIRE_NOT_IN_FLIGHT;
        reason_set(&letter->reason, 0,
                   "none of these events is in flight at this consumer: they were acknowledged "
                   "already, or were handed out again");
    }
    letter->kind = LETTER_ACKED;
    consumer_letter_reply(seats->cluster->node, letter);
}

static void take_credit(struct seats *seats, struct consumer_letter *letter)
{
    struct seat *seat = seat_of(seats, letter->consumer);
    if (seat && seat->attachment) {
        groups_credit(seat->attachment, letter->request.credit.bytes);
    } else if (seat && seat->attach) {
        seat->attach->request.attach.credit_bytes += letter->request.credit.bytes;
    }
    consumer_letter_free(letter);
}

// --- Requests about subscriptions --------------------------------------------------------------

static void answer(struct seats *seats, struct consumer_letter *letter, enum wire_error error,
                   const char *text)
{
    letter->kind = LETTER_ANSWERED;
    letter->error = error;
    reason_set(&letter->reason, 0, "%s", text);
    consumer_letter_reply(seats->cluster->node, letter);
}

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

// Everything that is held here and not done, matching or not.
static uint64_t lag_of(const struct version_vector *vector, const struct position *done)
{
    uint64_t lag = 0;
    for (uint32_t i = 0; i < vector->count; i++) {
        uint64_t counter = version_vector_get(&done->vector, vector->entries[i].actor);
        lag += vector->entries[i].counter > counter ? vector->entries[i].counter - counter : 0;
    }
    for (uint32_t i = 0; i < done->ranges_count; i++) {
        uint64_t covered = done->ranges[i].last - done->ranges[i].first + 1;
        lag -= covered < lag ? covered : lag;
    }
    return lag;
}

static int append_row(const struct seats *seats, const struct group_row *row, struct buffer *rows)
{
    struct service *service = seats->cluster->service;
    struct buffer cursor = {0};
    int err = version_vector_encode(&row->position.vector, &cursor);
    struct subscription_row out = {
        .name = row->name,
        .generation = row->generation,
        .definition = row->definition,
        .cursor = buffer_bytes(&cursor),
        .lag_events = lag_of(store_port_vector(service->port), &row->position),
        .voids = row->voids,
        .void_last = row->void_last,
    };
    if (row->is_coordinated) {
        out.flags = SUBSCRIPTION_ROW_COORDINATED;
        out.coordinator = node_actor(seats->cluster->node);
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

static void look(struct seats *seats, struct consumer_letter *letter)
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
    if (err == ERR_NOT_FOUND && !is_list) {
        answer(seats, letter, WIRE_NOT_FOUND, "there is no such subscription");
    } else if (err && err != ERR_NOT_FOUND) {
        answer(seats, letter, WIRE_BUSY, "the node is out of memory: try again");
    } else {
        answer(seats, letter, 0, "");
    }
}

static void take_ask(struct seats *seats, struct consumer_letter *letter)
{
    switch (letter->request.subscriptions.which) {
    case SUBSCRIPTIONS_LIST:
    case SUBSCRIPTIONS_SHOW:
        look(seats, letter);
        return;
    case SUBSCRIPTIONS_CREATE:
    case SUBSCRIPTIONS_RESET:
    case SUBSCRIPTIONS_DELETE:
        change(seats, letter);
        return;
    }
}

// --- Turns -------------------------------------------------------------------------------------

static void refuse(struct seats *seats, struct consumer_letter *letter)
{
    if (letter->kind == LETTER_DETACH) {
        take_detach(seats, letter);
    } else if (letter->kind == LETTER_CREDIT) {
        consumer_letter_free(letter);
    } else if (letter->kind == LETTER_ASK) {
        answer(seats, letter, WIRE_SHUTTING_DOWN, "this node is stopping");
    } else {
        letter->error = WIRE_SHUTTING_DOWN;
        reason_set(&letter->reason, 0, "this node is stopping: go on with another one");
        letter->kind = letter->kind == LETTER_ATTACH ? LETTER_ENDED : LETTER_ACKED;
        consumer_letter_reply(seats->cluster->node, letter);
    }
}

static void take(struct seats *seats, struct consumer_letter *letter)
{
    if (letter->kind == LETTER_ATTACH) {
        take_attach(seats, letter);
    } else if (letter->kind == LETTER_CREDIT) {
        take_credit(seats, letter);
    } else if (letter->kind == LETTER_ACK || letter->kind == LETTER_NACK) {
        take_ack(seats, letter);
    } else if (letter->kind == LETTER_DETACH) {
        take_detach(seats, letter);
    } else {
        assert(letter->kind == LETTER_ASK);
        take_ask(seats, letter);
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

void seats_close(struct seats *seats)
{
    struct list_node *link;
    if (seats->is_closed) {
        return;
    }
    seats->is_closed = true;
    consumer_mailbox_close(seats->cluster->node);
    seats_take_letters(seats);
    while ((link = list_first(&seats->all)) != NULL) {
        struct seat *seat = container_of(link, struct seat, link);
        assert(!seat->attachment && !seat->attach); // the groups have ended them
        seat_free(seat);
    }
}
