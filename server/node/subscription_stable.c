// Stable order: canonical order alone, and nothing is delivered before it is certain that nothing
// with a lower id can still come (the frontier, docs/replication.md). It is a replay in rounds: the
// store says how far this node's events go inside the frontier without cutting a produce in two,
// the events up to there are read and delivered, and then the frontier is waited for.
//
// Marks of the frontier, in either order, are told when everything up to it has been delivered.

#include "server/node/node.h"
#include "server/node/session.h"
#include "server/node/subscription.h"

enum { PATIENCE_MS = 1000 }; // before it is said for whom stable order waits

static const struct cluster_view *view_of(const struct service *service)
{
    return &service->node->view;
}

// --- The frontier as this loop sees it -----------------------------------------------------------

void frontier_latch(struct service *service)
{
    uint64_t frontier = atomic_load(&view_of(service)->frontier);
    service->is_frontier_new |= frontier != service->frontier;
    service->frontier = frontier;
}

// Without a cluster everything that is held is stable.
static uint64_t frontier_counter(const struct service *service)
{
    if (atomic_load(&view_of(service)->has_cluster)) {
        return service->frontier;
    }
    uint64_t highest = 0;
    const struct version_vector *vector = store_port_vector(service->port);
    for (uint32_t i = 0; i < vector->count; i++) {
        uint64_t counter = vector->entries[i].counter;
        highest = counter > highest ? counter : highest;
    }
    return highest;
}

void frontier_wake(struct service *service, bool has_chunks)
{
    bool is_alone = !atomic_load(&view_of(service)->has_cluster);
    if (!service->is_frontier_new && !(is_alone && has_chunks)) {
        return;
    }
    service->is_frontier_new = false;
    service->frontier_version++;
    // Walked from a head of its own: advancing one may end another.
    struct list_node readers;
    struct list_node *link;
    if (list_is_empty(&service->frontier_readers)) {
        return;
    }
    list_init(&readers);
    list_insert_before(&service->frontier_readers, &readers);
    list_remove(&service->frontier_readers);
    while ((link = list_first(&readers)) != NULL) {
        struct subscription *subscription = container_of(link, struct subscription, frontier_link);
        list_remove(link);
        list_append(&service->frontier_readers, link);
        if (subscription->state == SUBSCRIPTION_AWAITING ||
            subscription->state == SUBSCRIPTION_LIVE) {
            subscription_advance(subscription);
        }
    }
}

void subscription_read_frontier(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    if (subscription->is_stable || subscription->wants_marks) {
        list_append(&service->frontier_readers, &subscription->frontier_link);
        atomic_fetch_add(&service->node->view.stable_readers, 1);
    }
}

void subscription_leave_frontier(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    timer_clear(&service->timers, &subscription->patience);
    if (!list_is_empty(&subscription->frontier_link)) {
        list_remove(&subscription->frontier_link);
        atomic_fetch_sub(&service->node->view.stable_readers, 1);
    }
}

void subscription_reached(struct subscription *subscription, uint64_t frontier)
{
    if (subscription->wants_marks && frontier > subscription->frontier_told) {
        subscription->frontier_told = frontier;
        subscription->is_frontier_due = true;
    }
}

void subscription_note_frontier(struct subscription *subscription)
{
    const struct service *service = subscription->session->service;
    if (subscription->wants_marks) {
        subscription_reached(subscription, frontier_counter(service));
    }
}

// --- Rounds ------------------------------------------------------------------------------------

void subscription_patience_expired(struct timer *timer)
{
    struct subscription *subscription = container_of(timer, struct subscription, patience);
    struct service *service = subscription->session->service;
    if (subscription->state != SUBSCRIPTION_AWAITING) {
        return;
    }
    uint16_t waits_for = (uint16_t)atomic_load(&view_of(service)->waits_for);
    bool is_behind =
        !version_vector_includes(&subscription->cursor, store_port_vector(service->port));
    if (is_behind && waits_for != subscription->waits_told) {
        subscription->waits_told = waits_for;
        subscription->is_waiting_due = waits_for != 0;
        subscription_advance(subscription);
    }
    if (timer_set(&service->timers, timer, instant_add(service->now, duration_ms(PATIENCE_MS)))) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
    }
}

// Asks the store how far this round goes.
static void begin_round(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    struct read *read = &subscription->read;
    subscription->round_version = service->frontier_version;
    subscription->round_frontier = frontier_counter(service);
    subscription->has_round = true;
    read_deinit(read);
    read_init(read, READ_START);
    read->start = START_STABLE;
    read->position =
        (struct event_id){.counter = subscription->round_frontier, .actor = ACTORS_MAX};
    if (version_vector_copy(&read->upper, store_port_vector(service->port))) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    subscription->state = SUBSCRIPTION_BOUNDING;
    subscription_launch(subscription);
}

void subscription_await_frontier(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    if (!subscription->has_round || subscription->round_version != service->frontier_version) {
        begin_round(subscription);
        return;
    }
    if (!timer_is_set(&subscription->patience) &&
        timer_set(&service->timers, &subscription->patience,
                  instant_add(service->now, duration_ms(PATIENCE_MS)))) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
    }
}

void subscription_round_done(struct subscription *subscription)
{
    bool has_goal = version_vector_includes(&subscription->cursor, &subscription->goal);
    subscription->state = SUBSCRIPTION_AWAITING;
    if ((subscription->end == END_NOW && has_goal) || subscription_has_end(subscription)) {
        subscription_finish(subscription, END_REACHED);
        return;
    }
    if (has_goal && !subscription->has_caught_up) {
        subscription->has_caught_up = true;
        subscription->is_caught_up_due = true;
    }
    subscription_reached(subscription, subscription->round_frontier);
    subscription_await_frontier(subscription);
}

void subscription_bounded(struct subscription *subscription)
{
    struct read *read = &subscription->read;
    if (read->result < 0) {
        subscription_fail(subscription, wire_error_of(read->result), read->reason.text);
        return;
    }
    version_vector_deinit(&subscription->upper);
    subscription->upper = read->vector;
    read->vector = (struct version_vector){0};
    if (subscription_prepare_replay(subscription)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    subscription->waits_told = 0;
    subscription->state = SUBSCRIPTION_REPLAY;
    subscription->is_read_done =
        version_vector_includes(&subscription->cursor, &subscription->upper);
    subscription_advance(subscription);
}
