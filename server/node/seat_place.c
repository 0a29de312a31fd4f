// Where a consumer is attached: at the group here, or over the link to the node that coordinates
// it. A consumer that has begun is moved without a word but a mark; what is refused on the way is
// tried again for a while, since others may not have seen yet what this node has (a link that is
// dead, a subscription that is new).

#include <assert.h>

#include "server/node/seats_state.h"

static const char WAS_THERE[] = "it exists already: start and options are those of its creation";

enum wire_error attach_error(int err)
{
    return err == ERR_NOT_FOUND ? WIRE_NOT_FOUND
           : err == ERR_INVALID ? WIRE_INVALID_ARGUMENT
                                : WIRE_BUSY;
}

void start_of(const struct request_start *from, struct request_subscribe *to)
{
    *to = (struct request_subscribe){
        .start = from->kind,
        .start_id = from->id,
        .start_cursor = from->cursor,
        .start_time_ms = from->time_ms,
    };
}

enum wire_error check_request(struct bytes name, const struct subscription_definition *definition,
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

struct peer *seats_coordinator(const struct seats *seats, struct bytes name)
{
    link_id link = coordinators_choose(&seats->coordinators, name);
    struct peer *peer = link != 0 ? cluster_peer(seats->cluster, link) : NULL;
    return peer && peer->state == PEER_LINKED ? peer : NULL;
}

// --- Here --------------------------------------------------------------------------------------

static void here_ended(void *context, uint32_t reason, enum wire_error error, const char *text)
{
    struct seat *seat = context;
    seat->attachment = NULL;
    seat->place = SEAT_NOWHERE;
    if (reason == 0 && error == 0) { // another node coordinates it, or it has begun anew
        seat_refused(seat, WIRE_SHUTTING_DOWN,
                     "the group has gone to another node, or begins anew");
    } else {
        seat_end(seat, reason, error, text);
    }
}

static bool here_deliver(void *context, const struct piece *piece)
{
    struct seat *seat = context;
    struct consumer_letter *letter = consumer_letter_new(LETTER_ASSIGNED);
    if (!letter) {
        return false;
    }
    letter->block = piece->block;
    letter->offset = piece->offset;
    letter->length = piece->length;
    letter->count = piece->events;
    letter->attempt = piece->attempt;
    seat->credit -= (int64_t)piece->length;
    if (!seat->consumer) {
        guest_spent(seat, piece->length);
    }
    seat_say(seat, letter, LETTER_ASSIGNED);
    return true;
}

static void here_caught_up(void *context)
{
    seat_say_mark(context, LETTER_CAUGHT_UP);
}

static void here_renewed(void *context)
{
    seat_say_mark(context, LETTER_MOVED);
}

static const struct attachment_ops HERE_OPS = {
    .deliver = here_deliver,
    .caught_up = here_caught_up,
    .renewed = here_renewed,
    .ended = here_ended,
};

// Of the position, for a client that is told for the first time. Empty without memory.
static struct buffer position_cursor(const struct seat *seat)
{
    struct group_row row = {0};
    struct buffer cursor = {0};
    if (!seat->has_begun &&
        groups_look(seat->seats->cluster->groups, seat_name(seat), false, &row) == 0) {
        (void)!version_vector_encode(&row.position.vector, &cursor);
    }
    position_deinit(&row.position);
    return cursor;
}

// A guest attaches again when the group begins anew: what its node said before that, and may have
// said to another coordinator since, must not count for the new generation.
static const struct attachment_ops GUEST_OPS = {
    .deliver = here_deliver,
    .caught_up = here_caught_up,
    .ended = here_ended,
};

// To a group of this node, whose subscription there may be.
static void attach_here(struct seat *seat)
{
    struct seats *seats = seat->seats;
    const struct request_attach *attach = &seat->request->request.attach;
    struct attach_options options = {
        .in_flight_max = attach->in_flight > 0 ? attach->in_flight : ATTACH_IN_FLIGHT_DEFAULT,
        .credit_bytes = seat->consumer && seat->credit > 0 ? (uint64_t)seat->credit : 0,
        .ops = seat->consumer ? &HERE_OPS : &GUEST_OPS,
        .context = seat,
        .client = bytes_of_text(seat->request->reason.text),
        .takes_chunks = seat->consumer && seat->request->takes_chunks,
        .actor = seat->consumer ? node_actor(seats->cluster->node)
                                : seat->peer->hello->message.hello.actor,
    };
    struct event_id generation;
    struct reason reason = {0};
    if (options.in_flight_max > GROUP_IN_FLIGHT_MAX) {
        options.in_flight_max = GROUP_IN_FLIGHT_MAX;
    }
    int err = groups_attach(seats->cluster->groups, attach->name, &options, &seat->attachment,
                            &generation, &reason);
    if (err) {
        seat->attachment = NULL;
        seat_refused(seat, attach_error(err), reason.text);
        return;
    }
    seat->place = SEAT_HERE;
    seat->retry_until = INSTANT_NEVER;
    if (!seat->consumer) {
        guest_add_credit(seat, seat->credit > 0 ? (uint64_t)seat->credit : 0);
    }
    struct buffer cursor = position_cursor(seat);
    seat_say_attached(seat, generation, buffer_bytes(&cursor),
                      &node_identity(seats->cluster->node)->node,
                      attach->create && !seat->is_created ? WAS_THERE : "");
    buffer_deinit(&cursor);
    seat_acks_here(seat);
}

static bool is_known(const struct seats *seats, struct bytes name)
{
    const struct durable *durable = durable_find(seats->cluster->groups, name);
    return durable && !event_id_is_none(subscription_fold_generation(durable->fold));
}

static void create_ended(struct seat *seat, int err, const char *text)
{
    list_remove(&seat->create_link);
    seat->place = SEAT_NOWHERE;
    if (seat->is_leaving) {
        seat_leave(seat);
    } else if (err) {
        seat_end(seat, 0, err == ERR_DENIED ? WIRE_NOT_MEMBER : attach_error(err), text);
    } else {
        seat->is_created = seat->is_creator && text[0] == '\0';
        attach_here(seat);
        seat_look_soon(seat);
    }
}

static void created(void *context, int err, const char *text)
{
    struct seat *creator = context;
    struct seats *seats = creator->seats;
    uint8_t copy[SUBSCRIPTION_NAME_BYTES_MAX];
    struct bytes name = bytes_of(copy, seat_name(creator).length);
    memcpy(copy, seat_name(creator).data, name.length);
    create_ended(creator, err, text);
    LIST_FOR_EACH(&seats->creating, link)
    {
        struct seat *seat = container_of(link, struct seat, create_link);
        if (!seat->is_creator && bytes_equal(seat_name(seat), name)) {
            create_ended(seat, err, text);
        }
    }
}

static bool is_being_created(const struct seats *seats, struct bytes name)
{
    LIST_FOR_EACH(&seats->creating, link)
    {
        const struct seat *seat = container_of(link, struct seat, create_link);
        if (seat->is_creator && bytes_equal(seat_name(seat), name)) {
            return true;
        }
    }
    return false;
}

// Of several that come at one time one creates it: the others' creations would all be void.
static void create_here(struct seat *seat)
{
    struct seats *seats = seat->seats;
    const struct request_attach *attach = &seat->request->request.attach;
    struct request_subscribe start;
    seat->is_creator = !is_being_created(seats, attach->name);
    seat->place = SEAT_CREATING;
    list_append(&seats->creating, &seat->create_link);
    if (!seat->is_creator) {
        return;
    }
    start_of(&attach->start, &start);
    if (groups_create(seats->cluster->groups, attach->name, &attach->definition, &start, created,
                      seat)) {
        created(seat, ERR_MEMORY, err_text(ERR_MEMORY));
    }
}

// --- Where it belongs --------------------------------------------------------------------------

void seat_attach(struct seat *seat)
{
    assert(seat->place == SEAT_NOWHERE);
    const struct request_attach *attach = &seat->request->request.attach;
    struct peer *peer = seat->consumer ? seats_coordinator(seat->seats, attach->name) : NULL;
    int err = peer ? forward_begin(seat, peer) : 0;
    if (err) {
        seat_refused(seat, WIRE_BUSY,
                     err == ERR_BUSY ? "as many consumers are forwarded to its node as may be: "
                                       "attach to another one, or to that one itself"
                                     : "the node is out of memory");
    } else if (!peer) {
        bool is_new = attach->create && !seat->has_begun && !is_known(seat->seats, attach->name);
        if (is_new) {
            create_here(seat);
        } else {
            attach_here(seat);
        }
    }
}

void seat_unplace(struct seat *seat)
{
    if (seat->place == SEAT_HERE) {
        groups_detach(seat->attachment);
        seat->attachment = NULL;
        seat->place = SEAT_NOWHERE;
    } else if (seat->place == SEAT_FORWARDED) {
        forward_end(seat);
        seat->place = SEAT_NOWHERE;
    }
    if (!seat->consumer && seat->peer) {
        guest_forget(seat);
    }
}

void seat_look(struct seat *seat)
{
    bool is_fixed = !seat->consumer || seat->is_leaving || seat->place == SEAT_CREATING ||
                    seat->place == SEAT_OVER;
    if (is_fixed) {
        return;
    }
    const struct peer *peer = seats_coordinator(seat->seats, seat_name(seat));
    if ((seat->place == SEAT_HERE && !peer) ||
        (seat->place == SEAT_FORWARDED && peer == seat->peer)) {
        return;
    }
    timer_clear(&seat->seats->cluster->service->timers, &seat->retry);
    seat_unplace(seat);
    seat_attach(seat);
}

void seat_look_soon(struct seat *seat)
{
    if (list_is_empty(&seat->look_link)) {
        list_append(&seat->seats->to_look, &seat->look_link);
        service_wake(seat->seats->cluster->service);
    }
}

// --- Again -------------------------------------------------------------------------------------

static bool is_deleted(const struct seats *seats, struct bytes name)
{
    const struct durable *durable = durable_find(seats->cluster->groups, name);
    return durable && event_id_is_none(subscription_fold_generation(durable->fold));
}

// Whether it may be another answer soon.
static bool is_passing(const struct seat *seat, enum wire_error error)
{
    if (!seat->consumer || seat->seats->is_closed) {
        return false;
    }
    return error == WIRE_SHUTTING_DOWN ||
           (error == WIRE_NOT_FOUND &&
            (seat->has_begun || is_known(seat->seats, seat_name(seat)))) ||
           (error == WIRE_BUSY && seat->has_begun);
}

static void retry_later(struct seat *seat)
{
    struct service *service = seat->seats->cluster->service;
    struct instant due = instant_add(service->now, duration_ms(SEAT_RETRY_MS));
    if (timer_set(&service->timers, &seat->retry, due)) {
        seat_look_soon(seat); // without memory: at once
    }
}

void seat_refused(struct seat *seat, enum wire_error error, const char *text)
{
    struct seats *seats = seat->seats;
    struct instant now = seats->cluster->service->now;
    assert(seat->place == SEAT_NOWHERE);
    if (seat->retry_until.ns == INSTANT_NEVER.ns) {
        seat->retry_until = instant_add(now, duration_ms(SEAT_RETRIES_MS));
    }
    if (seat->is_leaving) {
        seat_leave(seat);
    } else if (error == WIRE_NOT_FOUND && seat->has_begun && is_deleted(seats, seat_name(seat))) {
        seat_end(seat, END_DELETED, 0, "");
    } else if (is_passing(seat, error) && !instant_reached(seat->retry_until, now)) {
        retry_later(seat);
    } else {
        seat_end(seat, 0, error, text);
    }
}
