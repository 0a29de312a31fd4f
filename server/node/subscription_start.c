// Every kind of start becomes one thing, the vector of what lies before it. What the node holds at
// that moment is noted with it: the replay goes up to there, and the first live chunk is the one
// that arrived next; so nothing is missed or repeated between the two, however long the search for
// the start takes.

#include "server/node/session.h"
#include "server/node/subscription.h"

static void begin_read(struct subscription *subscription, enum read_kind kind)
{
    struct read *read = &subscription->read;
    read_deinit(read);
    read_init(read, kind);
    if (version_vector_copy(&read->upper, &subscription->upper)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    if (kind == READ_LAST) {
        read->filter = filter_ref(subscription->filter->filter);
        read->events_max = subscription->start_last;
    }
}

static void launch(struct subscription *subscription)
{
    if (subscription->state == SUBSCRIPTION_STARTING) {
        subscription_launch(subscription);
    }
}

static void find_from_id(struct subscription *subscription, struct event_id id)
{
    begin_read(subscription, READ_START);
    subscription->read.start = START_FROM_ID;
    subscription->read.position = id;
    launch(subscription);
}

static void find_cursor(struct subscription *subscription)
{
    begin_read(subscription, READ_START);
    subscription->read.start = START_CURSOR;
    subscription->read.lower = subscription->cursor;
    subscription->cursor = (struct version_vector){0};
    launch(subscription);
}

static void begin_at_end(struct subscription *subscription)
{
    if (version_vector_copy(&subscription->cursor, &subscription->upper)) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    subscription_begin_replay(subscription);
}

void subscription_begin(struct subscription *subscription)
{
    const struct service *service = subscription->session->service;
    subscription->state = SUBSCRIPTION_STARTING;
    subscription->ordinal_next = service->ordinal + 1;
    if (version_vector_copy(&subscription->upper, store_port_vector(service->port))) {
        subscription_fail(subscription, WIRE_BUSY, "out of memory");
        return;
    }
    switch (subscription->start) {
    case START_BEGINNING:
        subscription_begin_replay(subscription);
        return;
    case START_END:
        begin_at_end(subscription);
        return;
    case START_AT_ID:
        find_from_id(subscription, subscription->start_id);
        return;
    case START_AT_AFTER_ID:
        begin_read(subscription, READ_START);
        subscription->read.start = START_AFTER_ID;
        subscription->read.position = subscription->start_id;
        launch(subscription);
        return;
    case START_AT_CURSOR:
        if (subscription->session->begins_anywhere) {
            subscription_begin_replay(subscription);
            return;
        }
        find_cursor(subscription);
        return;
    case START_AT_TIME:
        begin_read(subscription, READ_START);
        subscription->read.start = START_TIME;
        subscription->read.time_ms = subscription->start_time_ms;
        launch(subscription);
        return;
    case START_LAST:
        if (subscription->start_last == 0) {
            begin_at_end(subscription);
            return;
        }
        begin_read(subscription, READ_LAST);
        launch(subscription);
        return;
    }
}

void subscription_started(struct subscription *subscription)
{
    struct read *read = &subscription->read;
    if (read->result < 0) {
        bool is_cursor = read->kind == READ_START && read->start == START_CURSOR;
        bool is_invalid = read->result == ERR_INVALID && is_cursor;
        subscription_fail(subscription,
                          is_invalid ? WIRE_INVALID_CURSOR : wire_error_of(read->result),
                          read->reason.text);
        return;
    }
    if (read->kind == READ_LAST && !read->done) {
        subscription_launch(subscription); // a long way without a match
        return;
    }
    if (read->kind == READ_LAST) {
        if (event_id_is_none(read->found)) {
            subscription_begin_replay(subscription); // fewer than N: all of them
        } else {
            find_from_id(subscription, read->found);
        }
        return;
    }
    version_vector_deinit(&subscription->cursor);
    subscription->cursor = read->vector;
    read->vector = (struct version_vector){0};
    subscription_begin_replay(subscription);
}
