// Reading from the store in steps, for the replay and for a live subscription that has fallen
// behind the cache. When a step is taken the next one is read while that is sent, so that disk and
// network work at the same time. A subscription without credit reads nothing and gives its
// iterators back; what is read and not taken for a second is dropped, and read again when the
// session asks: the position is all that a stalled client costs.
//
// Few subscriptions of a session read at once; the others wait for a place, and one that holds a
// place passes it on after some steps.

#include <assert.h>

#include "proto/base/planted.h"
#include "server/node/session.h"
#include "server/node/subscription.h"

enum {
    PLACE_STEPS_MAX = 16, // steps before a place is passed on, if others wait
    IDLE_MS = 1000,       // what is not taken for so long is dropped
};

// --- Places ------------------------------------------------------------------------------------

static void hand_out_places(struct session *session)
{
    struct list_node *link;
    if (session->is_handing_out || session->is_closed) {
        return;
    }
    session->is_handing_out = true;
    while (session->readers_count < SESSION_READERS_MAX &&
           (link = list_first(&session->readers_waiting)) != NULL) {
        struct subscription *next = container_of(link, struct subscription, wait_link);
        list_remove(link);
        subscription_advance(next);
    }
    session->is_handing_out = false;
}

static bool take_place(struct subscription *subscription)
{
    struct session *session = subscription->session;
    if (subscription->holds_place) {
        return true;
    }
    if (session->readers_count < SESSION_READERS_MAX) {
        session->readers_count++;
        subscription->holds_place = true;
        subscription->place_steps = 0;
        list_remove(&subscription->wait_link);
        return true;
    }
    if (list_is_empty(&subscription->wait_link)) {
        list_append(&session->readers_waiting, &subscription->wait_link);
    }
    return false;
}

void subscription_return_place(struct subscription *subscription)
{
    struct session *session = subscription->session;
    if (!subscription->holds_place) {
        return;
    }
    subscription->holds_place = false;
    session->readers_count--;
    hand_out_places(session);
}

// --- Steps -------------------------------------------------------------------------------------

void subscription_launch(struct subscription *subscription)
{
    struct session *session = subscription->session;
    assert(!subscription->is_reading);
    subscription->is_reading = true;
    subscription->read.owner = &subscription->owner;
    session_launched(session);
    store_read(session->service->port, &subscription->read);
}

// Whether there is a reason to read on now.
static bool wants_step(const struct subscription *subscription)
{
    return subscription->credit > 0 &&
           (subscription->limit == 0 || subscription->delivered < subscription->limit);
}

static bool must_pass_on(const struct subscription *subscription)
{
    return subscription->holds_place && subscription->place_steps >= PLACE_STEPS_MAX &&
           !list_is_empty(&subscription->session->readers_waiting);
}

static void rest(struct subscription *subscription)
{
    read_park(&subscription->read);
    subscription_return_place(subscription);
}

// Drops what was read and not taken. The next step begins again where the cursor is.
static void rewind_step(struct subscription *subscription)
{
    struct read *read = &subscription->read;
    if (version_vector_copy(&read->lower, &subscription->cursor)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    if (read->kind == READ_CANONICAL && !subscription->is_everything && subscription->limit > 0) {
        read->events_max = subscription->limit - subscription->delivered;
    }
    read->ordinal = subscription->ordinal_next;
    subscription_drop_step(subscription);
    subscription->is_read_done = false;
    subscription->is_rewound = true;
    rest(subscription);
}

// The timer is not moved with each step: when it expires, it looks how long this one has waited.
static void watch_idle(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    struct instant due = instant_add(subscription->step.since, duration_ms(IDLE_MS));
    if (!timer_is_set(&subscription->idle) &&
        timer_set(&service->timers, &subscription->idle, due)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
    }
}

void subscription_idle_expired(struct timer *timer)
{
    struct subscription *subscription = container_of(timer, struct subscription, idle);
    const struct service *service = subscription->session->service;
    if (!subscription->step.block) {
        return;
    }
    struct instant due = instant_add(subscription->step.since, duration_ms(IDLE_MS));
    if (instant_reached(due, service->now)) {
        rewind_step(subscription);
    } else {
        watch_idle(subscription);
    }
}

void subscription_read_next(struct subscription *subscription)
{
    if (subscription->is_reading || subscription->is_read_done || subscription->step.block) {
        return;
    }
    if (!wants_step(subscription)) {
        rest(subscription);
        return;
    }
    if (must_pass_on(subscription)) {
        rest(subscription);
    }
    if (take_place(subscription)) {
        subscription->place_steps++;
        subscription_launch(subscription);
    }
}

// Keeps what the read brought until it is taken; without events, it is passed at once.
static void keep_step(struct subscription *subscription)
{
    struct read *read = &subscription->read;
    struct subscription_step *step = &subscription->step;
    uint64_t ordinal_next = read->done ? read->ordinal_end + 1 : read->ordinal;
    assert(!step->block);
    if (read->block) {
        struct version_vector passed = step->passed;
        step->block = read->block;
        step->passed = read->vector;
        step->ordinal_next = ordinal_next;
        read->block = NULL;
        read->vector = passed;
        version_vector_clear(&read->vector);
        step->since = subscription->session->service->now;
        watch_idle(subscription);
        return;
    }
    if (subscription->state == SUBSCRIPTION_LIVE) {
        subscription->ordinal_next = ordinal_next;
    }
    subscription_pass(subscription, &read->vector);
}

static void step_completed(struct subscription *subscription)
{
    struct read *read = &subscription->read;
    if (read->result < 0) {
        subscription_fail(subscription, wire_error_of(read->result), read->reason.text);
        return;
    }
    subscription->is_read_done = read->done;
    keep_step(subscription);
    if (subscription->state != SUBSCRIPTION_OVER) {
        subscription_advance(subscription);
    }
}

void subscription_read_completed(struct read_owner *owner)
{
    struct subscription *subscription = container_of(owner, struct subscription, owner);
    struct session *session = subscription->session;
    subscription->is_reading = false;
    switch (subscription->state) {
    case SUBSCRIPTION_STARTING:
        subscription_started(subscription);
        break;
    case SUBSCRIPTION_BOUNDING:
        subscription_bounded(subscription);
        break;
    case SUBSCRIPTION_REPLAY:
    case SUBSCRIPTION_LIVE:
        step_completed(subscription);
        break;
    case SUBSCRIPTION_OVER:
        read_park(&subscription->read);
        subscription_return_place(subscription);
        if (subscription->is_closed) {
            subscription_free(subscription);
        }
        break;
    case SUBSCRIPTION_WAITING:
    case SUBSCRIPTION_AWAITING:
        assert(false);
    }
    session_landed(session);
}

void subscription_drop_step(struct subscription *subscription)
{
    block_unref(subscription->step.block);
    subscription->step.block = NULL;
}

bool subscription_take_step(struct subscription *subscription, struct session_item *item_out)
{
    struct subscription_step *step = &subscription->step;
    struct block *block = step->block;
    bool has_system = subscription->is_everything && block_has_system(block, 0);
    bool is_cut = subscription_must_cut(subscription, block->events);
    bool is_limited = false;
    step->block = NULL;
    if (is_cut || has_system) {
        struct block *cut = NULL;
        bool is_done = subscription_cut(subscription, block, 0,
                                        has_system ? subscription->filter : NULL, &cut);
        block_unref(block);
        block = cut;
        if (!is_done) {
            return false;
        }
    }
    if (block) {
        subscription_deliver(subscription, block, 0, block->events, item_out);
        is_limited = subscription->limit > 0 && subscription->delivered == subscription->limit;
    }
    if (subscription->state == SUBSCRIPTION_LIVE) {
        subscription->ordinal_next = step->ordinal_next;
    }
    if (is_limited && is_cut) {
        subscription_pass_slices(subscription, block);
    } else {
        subscription_pass(subscription, &step->passed);
    }
    if (is_limited ||
        (subscription->state == SUBSCRIPTION_LIVE && subscription_has_end(subscription))) {
        subscription_finish(subscription, END_REACHED);
    }
    return block != NULL;
}

// --- The replay --------------------------------------------------------------------------------

// What the node held at the start, but nothing behind the end.
static int bound_upper(struct subscription *subscription)
{
    if (subscription->end != END_CURSOR) {
        return 0;
    }
    struct version_vector bounded = {0};
    int err = 0;
    for (uint32_t i = 0; i < subscription->end_cursor.count && err == 0; i++) {
        struct version_entry entry = subscription->end_cursor.entries[i];
        uint64_t here = version_vector_get(&subscription->upper, entry.actor);
        uint64_t counter = here < entry.counter ? here : entry.counter;
        err = counter > 0 ? version_vector_set(&bounded, entry.actor, counter) : 0;
    }
    version_vector_deinit(&subscription->upper);
    subscription->upper = bounded;
    return err;
}

int subscription_prepare_replay(struct subscription *subscription)
{
    struct read *read = &subscription->read;
    if (!version_vector_includes(&subscription->upper, &subscription->cursor) &&
        !IS_PLANTED(PLANTED_CURSOR_AHEAD_RESET)) {
        int err = version_vector_copy(&subscription->ahead, &subscription->cursor);
        if (err) {
            return err;
        }
    }
    int err = bound_upper(subscription);
    read_deinit(read);
    read_init(read, READ_CANONICAL);
    read->slices_only = subscription->slices_only;
    if (!subscription->is_everything) {
        // The store counts what matches. Of everything it would count the system's events too.
        read->filter = filter_ref(subscription->filter->filter);
        read->events_max =
            subscription->limit > 0 ? subscription->limit - subscription->delivered : 0;
    }
    if (err == 0) {
        err = version_vector_copy(&read->lower, &subscription->cursor);
    }
    return err ? err : version_vector_copy(&read->upper, &subscription->upper);
}

void subscription_begin_replay(struct subscription *subscription)
{
    subscription->is_subscribed_due = true;
    if (subscription->is_stable) {
        if (bound_upper(subscription) ||
            version_vector_copy(&subscription->goal, &subscription->upper)) {
            subscription_fail(subscription, WIRE_BUSY, "out of memory");
            return;
        }
        subscription->state = SUBSCRIPTION_AWAITING;
        subscription_advance(subscription);
        return;
    }
    if (subscription_prepare_replay(subscription)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    subscription->state = SUBSCRIPTION_REPLAY;
    subscription->is_read_done =
        version_vector_includes(&subscription->cursor, &subscription->upper);
    subscription_advance(subscription);
}

void subscription_replay(struct subscription *subscription)
{
    bool is_done = subscription->is_read_done && !subscription->is_reading;
    if (!is_done) {
        subscription_read_next(subscription);
        return;
    }
    if (subscription->step.block) {
        return;
    }
    read_park(&subscription->read);
    subscription_pass(subscription, &subscription->upper);
    subscription_return_place(subscription);
    if (subscription->state == SUBSCRIPTION_OVER) {
        return;
    }
    if (subscription->is_stable) {
        subscription_round_done(subscription);
        return;
    }
    if (subscription->end == END_NOW || subscription_has_end(subscription)) {
        subscription_finish(subscription, END_REACHED);
        return;
    }
    subscription->is_caught_up_due = true;
    subscription_begin_live(subscription);
}
