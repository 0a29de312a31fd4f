// Notices: from the results of produces, from connections that drain, from the one that stands.

#include <assert.h>
#include <stdlib.h>

#include "client/event_view.h"
#include "client/weir_state.h"

static void tell_made(struct weir *weir, const struct reply_hello *hello, const struct uuid *node)
{
    struct connection_news *made = &weir->made;
    made->is_due = true;
    uuid_format(&weir->cluster, made->cluster);
    uuid_format(node, made->node);
    made->news = (struct weir_connection){
        .address = roster_address(&weir->roster),
        .cluster = made->cluster,
        .node = made->node,
        .actor = hello->actor,
        .is_switch = !uuid_is_zero(&weir->node) && !uuid_equal(&weir->node, node),
    };
}

void weir_on_ready(struct weir *weir, const struct reply_hello *hello)
{
    struct uuid cluster;
    struct uuid node;
    memcpy(cluster.bytes, hello->cluster.data, sizeof cluster.bytes);
    memcpy(node.bytes, hello->node.data, sizeof node.bytes);
    // A node that founds or joins has none yet.
    if (!uuid_is_zero(&cluster)) {
        if (!uuid_is_zero(&weir->cluster) && !uuid_equal(&weir->cluster, &cluster)) {
            char text[UUID_TEXT_LENGTH + 1];
            struct reason reason;
            uuid_format(&cluster, text);
            reason_set(&reason, ERR_FOREIGN,
                       "the node at %s belongs to another cluster, %s; check the addresses",
                       roster_address(&weir->roster), text);
            weir_drop(weir, ERR_FOREIGN, reason.text);
            return;
        }
        weir->cluster = cluster;
    }
    tell_made(weir, hello, &node);
    weir->node = node;
    weir->data_bytes_max = core_data_bytes_max(weir->connection->core);
    weir->is_ready = true;
    weir->was_ready = true;
    weir->ready_at = weir->now;
    weir_resume(weir);
}

void weir_on_answer(struct weir *weir, const struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    bool is_error = reply->kind == REPLY_ERROR;
    bool stops = is_error && refusal_err(reply->error.code) == ERR_CLOSED;
    void *asked = (void *)(uintptr_t)notice->tag;
    weir->is_run = false;
    if (notice->request == REQUEST_PRODUCE) {
        produces_answered(&weir->produces, asked, reply);
    } else if (notice->request == REQUEST_ACK || notice->request == REQUEST_NACK) {
        weir_on_acked(weir, notice);
    } else {
        requests_answered(&weir->requests, asked, notice);
    }
    weir->is_good = weir->is_good || !is_error;
    if (stops) {
        weir_begin_leaving(weir, "the node is shutting down");
    }
    weir_check_leaving(weir);
}

void weir_note_ends(struct weir *weir, struct standing *standing)
{
    if (!standing->is_over && standing_settle(standing)) {
        weir->ends_due++;
        if (standing->attachment && list_is_empty(&standing->attachment->telling)) {
            list_append(&weir->telling, &standing->attachment->telling);
        }
    }
}

void weir_resume(struct weir *weir)
{
    bool is_serving = weir_is_serving(weir);
    weir->retry_at = INSTANT_NEVER;
    LIST_FOR_EACH(&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->core) {
            continue;
        }
        weir_note_ends(weir, standing);
        if (!is_serving || standing->is_over) {
            continue;
        }
        const struct attachment *attachment = standing->attachment;
        if (attachment && !instant_reached(attachment->retry_at, weir->now)) {
            weir->retry_at = instant_earlier(weir->retry_at, attachment->retry_at);
            continue;
        }
        if (!attachment && !list_is_empty(&weir->draining)) {
            continue; // it goes on behind what it has received
        }
        int err = standing_begin(standing, weir->connection->core);
        if (err != 0) {
            weir_drop(weir, err, "no memory to resume a subscription");
            return;
        }
    }
}

void weir_drained(struct weir *weir, struct connection *connection)
{
    LIST_FOR_EACH(&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->core != connection->core) {
            continue;
        }
        if (standing_leave(standing) != 0) {
            weir->err = reason_set(&weir->reason, ERR_MEMORY, "no memory to keep a cursor");
            weir->want = WEIR_WANT_NOTHING;
            standing->core = NULL;
        }
    }
    list_remove(&connection->node);
    core_free(connection->core);
    free(connection);
    weir_resume(weir);
}

struct standing *weir_find_served(const struct weir *weir, const struct core *core, uint64_t id)
{
    LIST_FOR_EACH(&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->core == core && standing->core_id == id) {
            return standing;
        }
    }
    return NULL;
}

static int hand_out(struct weir *weir, enum weir_notice_kind kind, const struct standing *standing)
{
    weir->notice = (struct weir_notice){.kind = kind};
    if (standing) {
        weir->notice.subscription = standing->number;
        weir->notice.context = standing->context;
    }
    return 0;
}

static int hand_out_end(struct weir *weir, struct standing *standing)
{
    weir->ends_due--;
    weir->ended = standing;
    weir->standings_count--;
    list_remove(&standing->node);
    weir->walked = weir->walked == standing ? NULL : weir->walked;
    weir->held = weir->held == standing ? NULL : weir->held;
    hand_out(weir, WEIR_NOTICE_END, standing);
    weir->notice.end = &standing->end;
    return 0;
}

static int on_mark(struct weir *weir, const struct standing *standing, const struct reply *reply)
{
    weir->mark = (struct weir_mark){
        .kind = (enum weir_mark_kind)reply->mark.kind,
        .passed = reply->mark.passed,
        .at = {.counter = reply->mark.at.counter, .actor = reply->mark.at.actor},
    };
    hand_out(weir, WEIR_NOTICE_MARK, standing);
    weir->notice.mark = &weir->mark;
    return 0;
}

// A subscription that its connection has ended: it goes on elsewhere, or is over.
static int on_end(struct weir *weir, struct standing *standing, const struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    bool is_error = reply->kind == REPLY_ERROR;
    int err = is_error ? refusal_err(reply->error.code) : 0;
    bool goes_on =
        is_error ? err == ERR_CLOSED || err == ERR_BUSY : reply->end.reason == END_SHUTDOWN;
    bool is_current = weir->connection && weir->connection->core == standing->core;
    if (standing_leave(standing) != 0) {
        return reason_set(&weir->reason, ERR_MEMORY, "no memory to keep a cursor");
    }
    if (goes_on) {
        weir_note_ends(weir, standing);
        if (is_current) {
            weir->is_refused = err == ERR_BUSY;
            weir_begin_leaving(weir, err == ERR_BUSY ? "the node takes no more subscriptions now"
                                                     : "the node is shutting down");
            weir_check_leaving(weir);
        }
        return WEIR_QUIET;
    }
    if (is_error) {
        standing_end(standing, WEIR_END_ERROR, err, reply->error.text);
    } else {
        enum weir_end_reason reason =
            reply->end.reason == END_STOPPED ? WEIR_END_STOPPED : WEIR_END_REACHED;
        standing_end(standing, reason, 0, (struct bytes){0});
    }
    weir->ends_due++;
    return hand_out_end(weir, standing);
}

static void note_attempt(struct standing *standing, const struct reply *reply)
{
    if (standing->attachment) {
        standing->attachment->attempt = reply->assigned.attempt;
    }
}

static int translate(struct weir *weir, const struct core *core, const struct notice *notice)
{
    struct standing *standing = weir_find_served(weir, core, notice->id);
    bool is_current = weir->connection && weir->connection->core == core;
    if (!standing && !is_current) {
        return WEIR_QUIET; // produces of a lost connection have their results
    }
    if (weir_on_attachment(weir, standing, notice)) {
        return WEIR_QUIET;
    }
    switch (notice->kind) {
    case NOTICE_READY:
        weir_on_ready(weir, &notice->reply.hello);
        return WEIR_QUIET;
    case NOTICE_PRODUCED:
        weir_on_answer(weir, notice);
        return WEIR_QUIET;
    case NOTICE_REFUSED:
        if (!standing) {
            weir_on_answer(weir, notice);
            return WEIR_QUIET;
        }
        return on_end(weir, standing, notice);
    case NOTICE_SUBSCRIBED:
        assert(standing);
        return hand_out(weir, WEIR_NOTICE_SUBSCRIBED, standing);
    case NOTICE_EVENTS:
        if (standing) { // else what an attachment that has ended since had received
            weir->walk = notice->events;
            weir->walked = standing;
            note_attempt(standing, &notice->reply);
        }
        return WEIR_QUIET;
    case NOTICE_MARK:
        return !standing ? WEIR_QUIET : on_mark(weir, standing, &notice->reply);
    case NOTICE_END:
        assert(standing);
        return on_end(weir, standing, notice);
    case NOTICE_ATTACHED:
        return WEIR_QUIET;
    case NOTICE_ANSWER:
        weir_on_answer(weir, notice);
        return WEIR_QUIET;
    }
    return WEIR_QUIET;
}

static int next_event(struct weir *weir)
{
    struct received_event received;
    if (events_next(weir->walk, &received) != 0) {
        weir->walk = NULL; // what is wrong with the events, the core says next
        return WEIR_QUIET;
    }
    struct standing *standing = weir->walked;
    if (!weir_hands_out(weir, standing, received.id)) {
        return WEIR_QUIET;
    }
    event_view(&received, standing->attachment ? standing->attachment->attempt : 0, &weir->event);
    standing->delivered++;
    weir->is_good = true;
    hand_out(weir, WEIR_NOTICE_EVENT, standing);
    weir->notice.event = &weir->event;
    weir->is_run = !standing->attachment;
    return 0;
}

// The next event of a run: nothing but the event changes.
static bool next_of_run(struct weir *weir)
{
    struct received_event received;
    if (events_next(weir->walk, &received) != 0) {
        weir->is_run = false;
        weir->walk = NULL; // what is wrong with the events, the core says next
        return false;
    }
    event_view(&received, 0, &weir->event);
    weir->walked->delivered++;
    return true;
}

static int next_result(struct weir *weir)
{
    weir_on_produced *on_produced;
    while (produces_take(&weir->produces, &weir->produced, &on_produced)) {
        if (!on_produced) {
            hand_out(weir, WEIR_NOTICE_PRODUCED, NULL);
            weir->notice.produced = &weir->produced;
            weir->notice.context = weir->produced.context;
            return 0;
        }
        struct weir_produced produced = weir->produced;
        on_produced(weir, &produced);
    }
    struct asked *asked = requests_take(&weir->requests);
    if (!asked) {
        return WEIR_NOTHING;
    }
    weir->requests.told = asked;
    hand_out(weir, WEIR_NOTICE_RESULT, NULL);
    weir->notice.result = &asked->result;
    weir->notice.context = asked->result.context;
    return 0;
}

static int next_news(struct weir *weir)
{
    struct connection_news *news = weir->lost.is_due ? &weir->lost : &weir->made;
    if (!news->is_due) {
        return WEIR_NOTHING;
    }
    news->is_due = false;
    hand_out(weir, news == &weir->lost ? WEIR_NOTICE_DISCONNECTED : WEIR_NOTICE_CONNECTED, NULL);
    weir->notice.connection = &news->news;
    return 0;
}

static int next_end(struct weir *weir)
{
    LIST_FOR_EACH(&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->is_over) {
            return hand_out_end(weir, standing);
        }
    }
    return WEIR_NOTHING;
}

static int next_of_draining(struct weir *weir)
{
    struct list_node *node = list_first(&weir->draining);
    if (!node) {
        return WEIR_NOTHING;
    }
    struct connection *connection = container_of(node, struct connection, node);
    struct notice notice;
    if (core_next(connection->core, &notice) != 0) {
        weir_drained(weir, connection);
        return WEIR_QUIET;
    }
    return translate(weir, connection->core, &notice);
}

static int next_of_connection(struct weir *weir)
{
    if (weir->want != WEIR_WANT_BYTES) {
        return WEIR_NOTHING;
    }
    struct core *core = weir->connection->core;
    struct notice notice;
    int outcome = core_next(core, &notice);
    if (outcome == CORE_NOTHING) {
        return WEIR_NOTHING;
    }
    if (outcome < 0) {
        weir_drop(weir, outcome, core_reason(core));
        return WEIR_NOTHING;
    }
    return translate(weir, core, &notice);
}

static int next_step(struct weir *weir)
{
    int outcome = next_result(weir);
    if (outcome == WEIR_NOTHING && weir->walk) {
        return next_event(weir);
    }
    if (outcome == WEIR_NOTHING) {
        outcome = next_of_draining(weir);
    }
    if (outcome == WEIR_NOTHING) {
        outcome = next_news(weir);
    }
    if (outcome == WEIR_NOTHING && !list_is_empty(&weir->telling)) {
        outcome = weir_next_told(weir);
    }
    if (outcome == WEIR_NOTHING && weir->ends_due > 0) {
        outcome = next_end(weir);
    }
    if (outcome == WEIR_NOTHING) {
        outcome = weir->err != 0 ? weir->err : next_of_connection(weir);
    }
    return outcome;
}

int weir_next(struct weir *weir, const struct weir_notice **notice_out)
{
    if (weir->is_run && next_of_run(weir)) {
        *notice_out = &weir->notice;
        return 0;
    }
    weir->is_run = false;
    standing_free(weir->ended);
    weir->ended = NULL;
    asked_free(weir->requests.told);
    weir->requests.told = NULL;
    int err = weir_ack_held(weir);
    for (;;) {
        int outcome = err ? err : next_step(weir);
        if (outcome == 0) {
            *notice_out = &weir->notice;
            return 0;
        }
        if (outcome == WEIR_QUIET) {
            continue;
        }
        if (outcome < 0) {
            weir->err = outcome;
            weir->want = WEIR_WANT_NOTHING;
        }
        return outcome;
    }
}
