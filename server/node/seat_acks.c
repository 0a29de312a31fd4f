// Acknowledgements. Where the group is here they are answered at once. Those for another node are
// kept until it has answered, so that they can be said again to the next one: what they name is
// done there, too, if that node holds it. What is kept is bounded for all consumers together.

#include <assert.h>

#include "server/node/seats_state.h"

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

static void answer(struct seat *seat, struct seats *seats, struct consumer_letter *letter)
{
    letter->kind = LETTER_ACKED;
    if (seat && !seat->consumer) {
        guest_say(seat, letter);
    } else {
        consumer_letter_reply(seats->cluster->node, letter);
    }
}

static void refuse(struct seat *seat, struct seats *seats, struct consumer_letter *letter,
                   enum wire_error error, const char *text)
{
    letter->error = error;
    reason_set(&letter->reason, 0, "%s", text);
    answer(seat, seats, letter);
}

// --- Here --------------------------------------------------------------------------------------

static int acknowledge(struct seat *seat, const struct request *request, uint64_t *count)
{
    const struct version_vector *held = store_port_vector(seat->seats->cluster->service->port);
    bool is_ack = request->kind == REQUEST_ACK;
    struct bytes rest = is_ack ? request->ack.ranges : request->nack.ranges;
    struct done_range range;
    int err = 0;
    if (is_ack && !event_id_is_none(request->ack.up_to)) {
        err = groups_ack(seat->attachment, request->ack.up_to, NULL, 0, count);
    }
    while (err == 0 && rest.length > 0 && done_range_next(&rest, &range) == 0) {
        // what this node does not hold nobody was handed out by it, or before it
        uint64_t last = version_vector_get(held, range.actor);
        range.last = range.last < last ? range.last : last;
        if (range.last < range.first) {
            continue;
        }
        err = is_ack ? groups_ack(seat->attachment, (struct event_id){0}, &range, 1, count)
                     : groups_nack(seat->attachment, &range, 1, duration_ms(request->nack.delay_ms),
                                   request->nack.reason, count);
    }
    return err;
}

void seat_ack_alone(struct consumer_letter *letter)
{
    struct request_ack *ack = &letter->request.ack;
    if (letter->request.kind != REQUEST_ACK || event_id_is_none(ack->up_to)) {
        return;
    }
    if (ack->ranges.length == 0) { // a done_range, as it is encoded
        store_be16(letter->alone, ack->up_to.actor);
        store_be64(letter->alone + 2, ack->up_to.counter);
        store_be64(letter->alone + 10, ack->up_to.counter);
        ack->ranges = bytes_of(letter->alone, sizeof letter->alone);
    }
    ack->up_to = (struct event_id){0};
}

static void take_here(struct seat *seat, struct consumer_letter *letter)
{
    if (seat->was_moved) {
        seat_ack_alone(letter);
    }
    letter->count = 0;
    if (acknowledge(seat, &letter->request, &letter->count)) {
        refuse(seat, seat->seats, letter, WIRE_BUSY, "the node is out of memory: say it again");
    } else if (letter->count == 0) {
        refuse(seat, seat->seats, letter, WIRE_NOT_IN_FLIGHT,
               "none of these events is in flight at this consumer: they were acknowledged "
               "already, or were handed out again");
    } else {
        answer(seat, seat->seats, letter);
    }
}

// --- Kept --------------------------------------------------------------------------------------

static size_t bytes_of_letter(const struct consumer_letter *letter)
{
    return sizeof *letter + letter->text.capacity;
}

static void keep(struct seat *seat, struct consumer_letter *letter)
{
    struct seats *seats = seat->seats;
    size_t bytes = bytes_of_letter(letter);
    if (seats->kept_bytes + bytes > FORWARD_KEPT_BYTES_MAX) {
        refuse(seat, seats, letter, WIRE_BUSY,
               "too many acknowledgements wait for the nodes that coordinate: say it again later");
        return;
    }
    seats->kept_bytes += bytes;
    list_append(&seat->unsent, &letter->link);
    if (seat->place == SEAT_FORWARDED) {
        forward_ready(seat);
    }
}

// The first of the list, no longer kept. NULL: none.
static struct consumer_letter *take_kept(struct seat *seat, struct list_node *list)
{
    struct list_node *link = list_first(list);
    if (!link) {
        return NULL;
    }
    struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
    list_remove(link);
    seat->seats->kept_bytes -= bytes_of_letter(letter);
    return letter;
}

void seat_ack_answer(struct seat *seat, struct consumer_letter *letter)
{
    list_remove(&letter->link);
    seat->seats->kept_bytes -= bytes_of_letter(letter);
    answer(seat, seat->seats, letter);
}

void seat_keep_unanswered(struct seat *seat)
{
    struct list_node *place = list_first(&seat->unsent);
    struct list_node *link;
    while ((link = list_first(&seat->unanswered)) != NULL) {
        list_remove(link);
        list_insert_before(place ? place : &seat->unsent, link);
    }
}

void seat_acks_here(struct seat *seat)
{
    struct consumer_letter *letter;
    while (seat->place == SEAT_HERE && (letter = take_kept(seat, &seat->unsent)) != NULL) {
        take_here(seat, letter);
    }
}

void seat_refuse_acks(struct seat *seat)
{
    struct consumer_letter *letter;
    seat_keep_unanswered(seat);
    while ((letter = take_kept(seat, &seat->unsent)) != NULL) {
        refuse(seat, seat->seats, letter, WIRE_NOT_IN_FLIGHT,
               "this consumer has ended: what it had in flight comes again");
    }
}

// --- What a consumer says ----------------------------------------------------------------------

void seat_take_ack(struct seats *seats, struct seat *seat, struct consumer_letter *letter)
{
    const struct request *request = &letter->request;
    if (!do_ascend(request->kind == REQUEST_ACK ? request->ack.ranges : request->nack.ranges)) {
        refuse(seat, seats, letter, WIRE_INVALID_ARGUMENT,
               "the ranges of ids must ascend, and not overlap");
    } else if (!seat || seat->place == SEAT_OVER) {
        refuse(seat, seats, letter, WIRE_NOT_IN_FLIGHT,
               "this consumer has ended: what it had in flight comes again");
    } else if (seat->place == SEAT_HERE) {
        take_here(seat, letter);
    } else {
        keep(seat, letter);
    }
}
