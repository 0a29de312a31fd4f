// A subscription is a position, never a queue: it makes its next item when the session is asked for
// one, and what it holds until then is at most one step of a read, and not even that when nobody
// takes it for a while. Everything that can change its state (a read is back, credit, a new chunk,
// an item was taken) ends in subscription_advance, which does what is possible and lists it with
// the session if it has something to say.
//
// Order of its messages: SUBSCRIBED; events of the replay; the mark "caught up"; events as they
// arrive; marks in between when there is nothing else; the END or an error.

#include "server/node/subscription.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/model/slice.h"
#include "server/node/node.h"
#include "server/node/session.h"

enum {
    PROGRESS_EVENTS = 65536, // a mark after so many events without a match
    PROGRESS_MS = 1000,      // or after so long, while there is something to read
    HEARTBEAT_MS_MIN = 10,
};

static const char NODE_IS_STOPPING[] =
    "this node is stopping: go on with another one, or here later";

// --- Life --------------------------------------------------------------------------------------

void subscription_free(struct subscription *subscription)
{
    version_vector_deinit(&subscription->cursor);
    version_vector_deinit(&subscription->upper);
    version_vector_deinit(&subscription->ahead);
    version_vector_deinit(&subscription->end_cursor);
    version_vector_deinit(&subscription->goal);
    block_unref(subscription->step.block);
    version_vector_deinit(&subscription->step.passed);
    read_deinit(&subscription->read);
    shared_filter_put(subscription->filter);
    free(subscription);
}

// Lets go of everything but its id and what its last message says.
static void subscription_let_go(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    bool was_live = subscription->state == SUBSCRIPTION_LIVE;
    subscription->state = SUBSCRIPTION_OVER;
    service->live_count -= was_live;
    waiter_deinit(&subscription->waiter);
    timer_clear(&service->timers, &subscription->heartbeat);
    timer_clear(&service->timers, &subscription->idle);
    subscription_leave_frontier(subscription);
    list_remove(&subscription->wait_link);
    subscription_drop_step(subscription);
    if (!subscription->is_reading) {
        read_park(&subscription->read);
        subscription_return_place(subscription);
    }
}

void subscription_close(struct subscription *subscription)
{
    struct session *session = subscription->session;
    struct service *service = session->service;
    if (subscription->state != SUBSCRIPTION_OVER) {
        subscription_let_go(subscription);
    }
    list_remove(&subscription->ready_link);
    session_remove_subscription(session, subscription);
    atomic_fetch_sub_explicit(&service->counters->subscriptions, 1, memory_order_relaxed);
    subscription->is_closed = true;
    if (!subscription->is_reading) {
        subscription_free(subscription);
    }
}

static void subscription_make_ready(struct subscription *subscription)
{
    struct session *session = subscription->session;
    if (list_is_empty(&subscription->ready_link)) {
        list_append(&session->subscriptions_ready, &subscription->ready_link);
    }
    session_mark_ready(session);
}

// Whether SUBSCRIBED was taken, so that an END has a cursor to tell.
static bool has_begun(const struct subscription *subscription)
{
    return subscription->state != SUBSCRIPTION_WAITING &&
           subscription->state != SUBSCRIPTION_STARTING && !subscription->is_subscribed_due;
}

void subscription_finish(struct subscription *subscription, enum end_reason reason)
{
    if (subscription->state == SUBSCRIPTION_OVER) {
        return;
    }
    if (reason == END_SHUTDOWN && !has_begun(subscription)) {
        subscription_fail(subscription, WIRE_SHUTTING_DOWN, NODE_IS_STOPPING);
        return;
    }
    subscription_let_go(subscription);
    subscription->end_reason = reason;
    subscription_make_ready(subscription);
}

void subscription_fail(struct subscription *subscription, enum wire_error code, const char *text)
{
    if (subscription->state == SUBSCRIPTION_OVER) {
        return;
    }
    subscription_let_go(subscription);
    subscription->error = code;
    reason_set(&subscription->error_text, 0, "%s", text);
    subscription_make_ready(subscription);
}

void subscription_stop(struct subscription *subscription)
{
    subscription_finish(subscription, END_STOPPED);
}

void subscription_credit(struct subscription *subscription, uint64_t bytes)
{
    const int64_t most = SUBSCRIPTION_CREDIT_BYTES_MAX;
    int64_t room = most - subscription->credit;
    subscription->credit = bytes >= (uint64_t)room ? most : subscription->credit + (int64_t)bytes;
    subscription_advance(subscription);
}

// --- Heartbeats --------------------------------------------------------------------------------

// The timer is not moved with each message: when it expires, it looks when the last one was.
static void heartbeat_expired(struct timer *timer)
{
    struct subscription *subscription = container_of(timer, struct subscription, heartbeat);
    struct service *service = subscription->session->service;
    struct instant due = instant_add(subscription->last_sent, subscription->heartbeat_every);
    if (instant_reached(due, service->now)) {
        subscription->is_heartbeat_due = true;
        due = instant_add(service->now, subscription->heartbeat_every);
        subscription_advance(subscription);
    }
    if (subscription->state != SUBSCRIPTION_OVER && timer_set(&service->timers, timer, due)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
    }
}

// --- Position ----------------------------------------------------------------------------------

void subscription_pass(struct subscription *subscription, const struct version_vector *passed)
{
    bool is_bounded = subscription->end == END_CURSOR;
    for (uint32_t i = 0; i < passed->count; i++) {
        struct version_entry entry = passed->entries[i];
        uint64_t before = version_vector_get(&subscription->cursor, entry.actor);
        if (is_bounded) {
            uint64_t end = version_vector_get(&subscription->end_cursor, entry.actor);
            entry.counter = entry.counter < end ? entry.counter : end;
        }
        if (entry.counter <= before) {
            continue;
        }
        if (version_vector_set(&subscription->cursor, entry.actor, entry.counter)) {
            subscription_fail(subscription, WIRE_BUSY, "out of memory");
            return;
        }
        subscription->passed += entry.counter - before;
    }
    const struct service *service = subscription->session->service;
    bool is_long = subscription->passed - subscription->passed_told >= PROGRESS_EVENTS;
    bool is_late = subscription->is_reading || subscription->holds_place;
    is_late = is_late && subscription->passed > subscription->passed_told &&
              instant_reached(instant_add(subscription->last_sent, duration_ms(PROGRESS_MS)),
                              service->now);
    subscription->is_progress_due |= is_long || is_late;
}

void subscription_pass_slices(struct subscription *subscription, const struct block *block)
{
    struct bytes rest = block_bytes(block);
    struct slice slice;
    while (rest.length > 0 && slice_next(&rest, &slice) == 0) {
        struct version_entry entry = {.actor = slice.actor,
                                      .counter = slice.first + slice.count - 1};
        const struct version_vector passed = {.entries = &entry, .count = 1, .capacity = 1};
        subscription_pass(subscription, &passed);
    }
}

bool subscription_must_cut(const struct subscription *subscription, uint32_t events)
{
    bool is_live = subscription->state == SUBSCRIPTION_LIVE;
    bool is_bounded = subscription->end == END_CURSOR || subscription->ahead.count > 0;
    bool is_limited =
        subscription->limit > 0 && events > subscription->limit - subscription->delivered;
    return is_limited || (is_live && is_bounded);
}

bool subscription_cut(struct subscription *subscription, const struct block *block, size_t offset,
                      struct shared_filter *filter, struct block **block_out)
{
    bool is_live = subscription->state == SUBSCRIPTION_LIVE;
    bool is_ahead = is_live && subscription->ahead.count > 0;
    bool has_end = is_live && subscription->end == END_CURSOR;
    const struct selection selection = {
        .filter = filter,
        .above = is_ahead ? &subscription->ahead : NULL,
        .inside = has_end ? &subscription->end_cursor : NULL,
        .events_max = subscription->limit > 0 ? subscription->limit - subscription->delivered : 0,
    };
    struct service *service = subscription->session->service;
    int err = selection_apply(&selection, block, offset, &service->selection, block_out);
    if (err) {
        subscription_fail(subscription, wire_error_of(err), err_text(err));
    }
    return err == 0;
}

// --- Items -------------------------------------------------------------------------------------

// Something is sent: marks that were due say nothing more.
static void note_sent(struct subscription *subscription)
{
    subscription->last_sent = subscription->session->service->now;
    subscription->passed_told = subscription->passed;
    subscription->is_heartbeat_due = false;
    subscription->is_progress_due = false;
}

void subscription_deliver(struct subscription *subscription, struct block *block, size_t offset,
                          uint32_t events, struct session_item *item_out)
{
    *item_out = (struct session_item){
        .head = {.id = subscription->id},
        .block = block,
        .offset = offset,
        .length = block->length - offset,
    };
    item_out->head.kind = block->kind == BLOCK_CHUNKS ? DELIVERY_CHUNKS : DELIVERY_SLICES;
    subscription->credit -= (int64_t)item_out->length;
    subscription->delivered += events;
    note_sent(subscription);
}

static struct bytes encode_cursor(struct subscription *subscription)
{
    struct buffer *encoded = &subscription->session->item_cursor;
    buffer_clear(encoded);
    if (version_vector_encode(&subscription->cursor, encoded)) {
        return (struct bytes){0}; // no memory: the receiver keeps the cursor it has
    }
    return buffer_bytes(encoded);
}

static void fill_mark(struct subscription *subscription, enum mark_kind kind,
                      struct session_item *item_out)
{
    *item_out = (struct session_item){
        .head = {.kind = DELIVERY_MARK, .id = subscription->id},
    };
    item_out->head.cursor = encode_cursor(subscription);
    item_out->head.mark.kind = kind;
    item_out->head.mark.passed = subscription->passed;
    if (kind == MARK_FRONTIER) {
        item_out->head.mark.at =
            (struct event_id){.counter = subscription->frontier_told, .actor = ACTORS_MAX};
        subscription->is_frontier_due = false;
    } else if (kind == MARK_WAITING) {
        item_out->head.mark.at = (struct event_id){.counter = subscription->round_frontier,
                                                   .actor = subscription->waits_told};
        subscription->is_waiting_due = false;
    }
    note_sent(subscription);
}

static void fill_subscribed(struct subscription *subscription, struct session_item *item_out)
{
    *item_out = (struct session_item){
        .head = {.kind = REPLY_SUBSCRIBED, .id = subscription->id},
    };
    item_out->head.cursor = encode_cursor(subscription);
    subscription->is_subscribed_due = false;
    note_sent(subscription);
}

static void fill_last(struct subscription *subscription, struct session_item *item_out)
{
    struct session *session = subscription->session;
    *item_out = (struct session_item){.head = {.id = subscription->id}};
    struct reply *head = &item_out->head;
    if (subscription->end_reason != 0) {
        head->kind = DELIVERY_END;
        head->cursor = encode_cursor(subscription);
        head->end.reason = subscription->end_reason;
        head->end.delivered = subscription->delivered;
        return;
    }
    head->kind = REPLY_ERROR;
    buffer_clear(&session->item_cursor);
    if (buffer_append(&session->item_cursor, service_cursor(session->service)) == 0) {
        head->cursor = buffer_bytes(&session->item_cursor);
    }
    head->error.code = subscription->error;
    buffer_clear(&session->item_text);
    if (buffer_append(&session->item_text, bytes_of_text(subscription->error_text.text)) == 0) {
        head->error.text = buffer_bytes(&session->item_text);
    }
}

static bool take_events(struct subscription *subscription, struct session_item *item_out)
{
    if (subscription->credit <= 0) {
        return false;
    }
    if (subscription->step.block) {
        return subscription_take_step(subscription, item_out);
    }
    return subscription->state == SUBSCRIPTION_LIVE && !subscription->is_catching_up &&
           subscription_take_live(subscription, item_out);
}

// Everything but its last message.
static bool take_item(struct subscription *subscription, struct session_item *item_out)
{
    if (subscription->is_subscribed_due) {
        fill_subscribed(subscription, item_out);
        return true;
    }
    if (subscription->is_caught_up_due) {
        subscription->is_caught_up_due = false;
        fill_mark(subscription, MARK_CAUGHT_UP, item_out);
        return true;
    }
    if (take_events(subscription, item_out)) {
        return true;
    }
    if (subscription->state == SUBSCRIPTION_OVER) {
        return false;
    }
    if (subscription->is_frontier_due || subscription->is_waiting_due) {
        bool is_frontier = subscription->is_frontier_due;
        fill_mark(subscription, is_frontier ? MARK_FRONTIER : MARK_WAITING, item_out);
        return true;
    }
    if (subscription->is_progress_due || subscription->is_heartbeat_due) {
        bool is_progress = subscription->is_progress_due;
        fill_mark(subscription, is_progress ? MARK_PROGRESS : MARK_HEARTBEAT, item_out);
        return true;
    }
    return false;
}

bool subscription_take(struct subscription *subscription, struct session_item *item_out)
{
    subscription->is_rewound = false; // asked: it is read again
    bool is_taken = subscription->state != SUBSCRIPTION_OVER && take_item(subscription, item_out);
    if (!is_taken && subscription->state == SUBSCRIPTION_OVER) {
        fill_last(subscription, item_out);
        subscription_close(subscription);
        return true;
    }
    subscription_advance(subscription);
    return is_taken;
}

static bool has_item(const struct subscription *subscription)
{
    if (subscription->state == SUBSCRIPTION_OVER || subscription->is_subscribed_due ||
        subscription->is_caught_up_due) {
        return true;
    }
    if (subscription->is_frontier_due || subscription->is_waiting_due) {
        return true;
    }
    if (subscription->state == SUBSCRIPTION_WAITING ||
        subscription->state == SUBSCRIPTION_STARTING) {
        return false;
    }
    bool has_events =
        subscription->step.block || subscription->is_rewound || subscription->is_live_due;
    return (has_events && subscription->credit > 0) || subscription->is_progress_due ||
           subscription->is_heartbeat_due;
}

void subscription_advance(struct subscription *subscription)
{
    // Until SUBSCRIBED is taken nothing is done: its cursor is the start.
    if (!subscription->is_subscribed_due) {
        if (subscription->state == SUBSCRIPTION_REPLAY) {
            subscription_replay(subscription);
        }
        if (subscription->state == SUBSCRIPTION_LIVE) {
            subscription_live(subscription);
        }
        if (subscription->state == SUBSCRIPTION_AWAITING) {
            subscription_await_frontier(subscription);
        }
    }
    if (has_item(subscription)) {
        subscription_make_ready(subscription);
    }
}

// --- Requests ----------------------------------------------------------------------------------

static void subscription_resolved(struct waiter *waiter, int result)
{
    struct subscription *subscription = container_of(waiter, struct subscription, waiter);
    if (result == ERR_CLOSED) {
        subscription_fail(subscription, WIRE_SHUTTING_DOWN, NODE_IS_STOPPING);
    } else if (result == ERR_TIMEOUT) {
        subscription_fail(subscription, WIRE_TIMEOUT,
                          "this node does not hold what `after` names, and it did not come in "
                          "time");
    } else {
        subscription_begin(subscription);
    }
}

// What is wrong with the arguments, or NULL.
static const char *arguments_are_wrong(const struct session *session,
                                       const struct request_subscribe *subscribe,
                                       enum wire_error *code_out)
{
    if (session->subscriptions_count >= SESSION_SUBSCRIPTIONS_MAX) {
        *code_out = WIRE_BUSY;
        return "this connection has 1024 subscriptions, more are not allowed: stop some";
    }
    bool has_id = subscribe->start == START_AT_ID || subscribe->start == START_AT_AFTER_ID;
    const struct event_id *id = &subscribe->start_id;
    if (has_id && (id->actor == 0 || id->counter == 0 || id->counter > COUNTER_MAX)) {
        *code_out = WIRE_INVALID_ID;
        return "the start is no id: it has a counter from 1 to 2^63-1 and an actor from 1 to 65535";
    }
    if (subscribe->start == START_LAST && subscribe->start_last > LAST_EVENTS_MAX) {
        *code_out = WIRE_INVALID_ARGUMENT;
        return "a subscription can start with the last 65536 events at most";
    }
    return NULL;
}

static int make_filter(const struct request_subscribe *subscribe, struct filter **filter_out,
                       enum wire_error *code_out, struct reason *reason)
{
    const struct filter_conditions conditions = {
        .attributes = subscribe->attributes,
        .attributes_count = subscribe->attributes_count,
        .timestamp_min_ms = subscribe->timestamp_min_ms,
    };
    *code_out = WIRE_INVALID_ARGUMENT;
    int err = attribute_matches_check(subscribe->attributes, subscribe->attributes_count, reason);
    if (err) {
        return err;
    }
    *code_out = WIRE_INVALID_GLOB;
    return filter_new_with(subscribe->entries, subscribe->entries_count, &conditions, filter_out,
                           reason);
}

static int decode_cursor(struct bytes encoded, struct version_vector *out)
{
    struct bytes rest = encoded;
    int err = version_vector_decode(&rest, out);
    return err == 0 && rest.length > 0 ? ERR_INVALID : err;
}

static struct subscription *subscription_new(struct session *session, uint64_t id,
                                             const struct request_subscribe *subscribe)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (!subscription) {
        return NULL;
    }
    uint64_t credit =
        subscribe->credit_bytes > 0 ? subscribe->credit_bytes : SUBSCRIPTION_CREDIT_BYTES_DEFAULT;
    credit = credit < SUBSCRIPTION_CREDIT_BYTES_MAX ? credit : SUBSCRIPTION_CREDIT_BYTES_MAX;
    subscription->session = session;
    subscription->id = id;
    subscription->credit = (int64_t)credit;
    subscription->slices_only = !session_takes_chunks(session);
    subscription->start = subscribe->start;
    subscription->start_id = subscribe->start_id;
    subscription->start_time_ms = subscribe->start_time_ms;
    subscription->start_last = subscribe->start_last;
    subscription->end = subscribe->end;
    subscription->limit = subscribe->limit;
    subscription->is_stable = subscribe->is_stable_order;
    subscription->wants_marks = subscribe->wants_marks;
    subscription->heartbeat_every = duration_ms(
        subscribe->heartbeat_ms > HEARTBEAT_MS_MIN ? subscribe->heartbeat_ms : HEARTBEAT_MS_MIN);
    subscription->heartbeat.expired = heartbeat_expired;
    subscription->idle.expired = subscription_idle_expired;
    subscription->patience.expired = subscription_patience_expired;
    subscription->owner.completed = subscription_read_completed;
    subscription->last_sent = session->service->now;
    list_init(&subscription->ready_link);
    list_init(&subscription->wait_link);
    list_init(&subscription->frontier_link);
    waiter_init(&subscription->waiter, session, subscription_resolved);
    return subscription;
}

// Takes filter, cursors and `after`, and lists it with the session.
static int subscription_fill(struct subscription *subscription,
                             const struct request_subscribe *subscribe, struct filter *filter,
                             enum wire_error *code_out, struct reason *reason)
{
    struct session *session = subscription->session;
    struct service *service = session->service;
    *code_out = WIRE_INVALID_CURSOR;
    subscription->is_everything = filter_is_everything(filter);
    int err = shared_filter_get(&service->filters, filter, &subscription->filter);
    if (err) {
        return err;
    }
    if (subscribe->start == START_AT_CURSOR) {
        err = decode_cursor(subscribe->start_cursor, &subscription->cursor);
    }
    if (err == 0 && subscribe->end == END_CURSOR) {
        err = decode_cursor(subscribe->end_cursor, &subscription->end_cursor);
    }
    if (err) {
        return reason_set(reason, err, "the start or end is no cursor");
    }
    err = waiter_take_after(&subscription->waiter, &subscribe->after);
    if (err) {
        return reason_set(reason, err, "the cursor in `after` is none");
    }
    if (subscribe->heartbeat_ms > 0) {
        err = timer_set(&service->timers, &subscription->heartbeat,
                        instant_add(service->now, subscription->heartbeat_every));
    }
    return err ? err : session_add_subscription(session, subscription);
}

static void subscription_refuse(struct session *session, uint64_t id, int err, enum wire_error code,
                                const struct reason *reason)
{
    if (err == ERR_MEMORY) {
        session_answer_error(session, id, WIRE_BUSY, "out of memory");
    } else {
        session_answer_error(session, id, code, "%s", reason->text);
    }
}

void subscription_submit(struct session *session, const struct request *request)
{
    const struct request_subscribe *subscribe = &request->subscribe;
    struct service *service = session->service;
    struct reason reason;
    struct filter *filter;
    enum wire_error code;
    const char *wrong = arguments_are_wrong(session, subscribe, &code);
    if (wrong) {
        session_answer_error(session, request->id, code, "%s", wrong);
        return;
    }
    int err = make_filter(subscribe, &filter, &code, &reason);
    if (err) {
        subscription_refuse(session, request->id, err, code, &reason);
        return;
    }
    struct subscription *subscription = subscription_new(session, request->id, subscribe);
    if (!subscription) {
        filter_unref(filter);
        subscription_refuse(session, request->id, ERR_MEMORY, WIRE_BUSY, &reason);
        return;
    }
    err = subscription_fill(subscription, subscribe, filter, &code, &reason);
    if (err) {
        subscription_refuse(session, request->id, err, code, &reason);
        waiter_deinit(&subscription->waiter);
        timer_clear(&service->timers, &subscription->heartbeat);
        subscription_free(subscription);
        return;
    }
    atomic_fetch_add_explicit(&service->counters->subscriptions, 1, memory_order_relaxed);
    session->open_requests--; // it answers for itself
    subscription_read_frontier(subscription);
    if (waiter_is_covered(&subscription->waiter)) {
        subscription_begin(subscription);
    } else if (waiter_begin(&subscription->waiter)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
    }
}
