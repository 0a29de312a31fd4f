// A consumer lives as long as its connection wants it and the first loop knows it: the one says so
// by DETACH, the other by GONE, which is the last letter. Until then its session stays.

#include "server/node/consumer.h"

#include <assert.h>
#include <stdlib.h>

#include "server/node/consumer_letter.h"
#include "server/node/node.h"
#include "server/node/service_state.h"
#include "server/node/session.h"
#include "server/node/waiter.h"

// SUBSCRIPTIONS, until the node holds what `after` names.
struct ask {
    struct list_node link; // of the session's
    struct waiter waiter;
    struct consumer_letter *letter;
};

struct consumer {
    struct list_node link;       // of the session's
    struct list_node ready_link; // of those with an item
    struct list_node stop_link;  // of those whose END waits for answers
    struct session *session;
    uint64_t id;
    struct list_node inbox;         // letters that are to become items
    struct consumer_letter *taken;  // the last item points into it
    struct consumer_letter *last;   // DETACH, made ahead; NULL: it is on its way
    struct waiter waiter;           // for what `after` names
    struct consumer_letter *attach; // until then
    uint64_t delivered;             // events
    uint64_t answers_ahead;         // of the session: those that END follows
    uint32_t acks_open;             // in the first loop
    uint32_t heartbeat_ms;
    struct timer heartbeat;
    bool is_heartbeat_due;
    bool is_over;      // END, or an error, was taken: nothing more is said
    bool is_stopped;   // the client asked
    bool is_known;     // in the first loop
    bool is_closed;    // by its session
    struct seat *seat; // the first loop's
};

uint64_t consumer_id_of(const struct consumer *consumer)
{
    return consumer->id;
}

struct seat *consumer_seat(const struct consumer *consumer)
{
    return consumer->seat;
}

void consumer_set_seat(struct consumer *consumer, struct seat *seat)
{
    consumer->seat = seat;
}

struct consumer *session_consumer(const struct session *session, uint64_t id)
{
    LIST_FOR_EACH(&session->consumers, link)
    {
        struct consumer *consumer = container_of(link, struct consumer, link);
        if (consumer->id == id) {
            return consumer;
        }
    }
    return NULL;
}

// --- Life --------------------------------------------------------------------------------------

static void consumer_free(struct consumer *consumer)
{
    struct list_node *link;
    while ((link = list_first(&consumer->inbox)) != NULL) {
        list_remove(link);
        consumer_letter_free(container_of(link, struct consumer_letter, link));
    }
    timer_clear(&consumer->session->service->timers, &consumer->heartbeat);
    waiter_deinit(&consumer->waiter);
    consumer_letter_free(consumer->attach);
    consumer_letter_free(consumer->taken);
    consumer_letter_free(consumer->last);
    list_remove(&consumer->link);
    list_remove(&consumer->ready_link);
    list_remove(&consumer->stop_link);
    free(consumer);
}

static void free_if_done(struct consumer *consumer)
{
    struct session *session = consumer->session;
    if (consumer->is_closed && !consumer->is_known) {
        consumer_free(consumer);
        session_landed(session);
    }
}

static void make_ready(struct consumer *consumer)
{
    if (!consumer->is_closed && list_is_empty(&consumer->ready_link)) {
        list_append(&consumer->session->consumers_ready, &consumer->ready_link);
        session_mark_ready(consumer->session);
    }
}

// The first loop is to forget it.
static void detach(struct consumer *consumer)
{
    struct consumer_letter *letter = consumer->last;
    if (!letter || !consumer->is_known) {
        return;
    }
    consumer->last = NULL;
    if (!consumer_letter_send(consumer->session->service->node, letter)) {
        // the first loop has closed: GONE is on its way, or has come
        consumer_letter_free(letter);
    }
}

// What is here yet never went to the client: handing it out was no attempt.
static void give_back(struct consumer *consumer)
{
    LIST_FOR_EACH(&consumer->inbox, link)
    {
        struct consumer_letter *letter = container_of(link, struct consumer_letter, link);
        if (letter->kind == LETTER_ASSIGNED && consumer->is_known) {
            list_remove(link);
            letter->kind = LETTER_UNTAKEN;
            if (!consumer_letter_send(consumer->session->service->node, letter)) {
                consumer_letter_free(letter);
            }
        }
    }
}

// Nothing more is said to the client.
static void consumer_close(struct consumer *consumer)
{
    struct session *session = consumer->session;
    consumer->is_closed = true;
    list_remove(&consumer->ready_link);
    list_remove(&consumer->stop_link);
    list_remove(&consumer->link);
    atomic_fetch_sub_explicit(&session->service->counters->subscriptions, 1, memory_order_relaxed);
    give_back(consumer);
    detach(consumer);
    free_if_done(consumer);
}

static void ask_free(struct ask *ask)
{
    list_remove(&ask->link);
    waiter_deinit(&ask->waiter);
    consumer_letter_free(ask->letter);
    free(ask);
}

void consumers_close(struct session *session)
{
    LIST_FOR_EACH(&session->asks, link)
    {
        ask_free(container_of(link, struct ask, link));
    }
    LIST_FOR_EACH(&session->consumers, link)
    {
        consumer_close(container_of(link, struct consumer, link));
    }
}

// What ends it, as a letter that the first loop did not write. Without memory it ends silently.
static void end_here(struct consumer *consumer, uint32_t reason, enum wire_error error,
                     const char *text)
{
    struct consumer_letter *letter = consumer_letter_new(LETTER_ENDED);
    if (!letter) {
        return;
    }
    letter->consumer = consumer;
    letter->end_reason = reason;
    letter->error = error;
    reason_set(&letter->reason, 0, "%s", text);
    list_append(&consumer->inbox, &letter->link);
    make_ready(consumer);
}

// END follows the answers to what was acknowledged before it, and nothing is handed out meanwhile:
// a client that has acknowledged, and leaves, knows what counted.
static bool waits_to_end(const struct consumer *consumer)
{
    return !list_is_empty(&consumer->stop_link);
}

static void end_if_answered(struct consumer *consumer)
{
    uint64_t taken = session_answers_taken(consumer->session);
    if (consumer->acks_open == 0 && taken >= consumer->answers_ahead) {
        list_remove(&consumer->stop_link);
        give_back(consumer);
        end_here(consumer, END_STOPPED, 0, "");
    }
}

void consumers_answered(struct session *session)
{
    LIST_FOR_EACH(&session->consumers_stopped, link)
    {
        end_if_answered(container_of(link, struct consumer, stop_link));
    }
}

void consumer_stop(struct consumer *consumer)
{
    struct session *session = consumer->session;
    if (!consumer->is_stopped && !consumer->is_over) {
        consumer->is_stopped = true;
        consumer->answers_ahead = session->answers_total;
        waiter_stop(&consumer->waiter);
        list_append(&session->consumers_stopped, &consumer->stop_link);
        session_mark_ready(session); // answers that wait for more go out now
        end_if_answered(consumer);
    }
}

void consumers_shut_down(struct session *session)
{
    LIST_FOR_EACH(&session->consumers, link)
    {
        struct consumer *consumer = container_of(link, struct consumer, link);
        if (!consumer->is_stopped && !consumer->is_over) {
            consumer->is_stopped = true;
            end_here(consumer, END_SHUTDOWN, 0, "");
        }
    }
}

static void heartbeat_expired(struct timer *timer)
{
    struct consumer *consumer = container_of(timer, struct consumer, heartbeat);
    consumer->is_heartbeat_due = true;
    make_ready(consumer);
}

static void arm_heartbeat(struct consumer *consumer)
{
    struct service *service = consumer->session->service;
    if (consumer->heartbeat_ms > 0) {
        struct instant due = instant_add(service->now, duration_ms(consumer->heartbeat_ms));
        if (timer_set(&service->timers, &consumer->heartbeat, due)) {
            consumer->heartbeat_ms = 0; // without memory it is silent
        }
    }
}

// --- Requests ----------------------------------------------------------------------------------

static void answer_no_memory(struct session *session, uint64_t id)
{
    session_answer_error(session, id, WIRE_BUSY, "the node is out of memory: try again");
}

static enum wire_error closed_error(const struct service *service)
{
    return service->node->consumers ? WIRE_SHUTTING_DOWN : WIRE_UNSUPPORTED;
}

static const char *closed_text(const struct service *service)
{
    return service->node->consumers ? "this node is stopping: go on with another one"
                                    : "this node runs without a cluster";
}

static void answer_closed(struct session *session, uint64_t id)
{
    session_answer_error(session, id, closed_error(session->service), "%s",
                         closed_text(session->service));
}

// A wait for `after` is over, and not because the node holds it.
static enum wire_error wait_error(int result)
{
    return result == ERR_CLOSED ? WIRE_SHUTTING_DOWN : WIRE_TIMEOUT;
}

static const char *wait_text(int result)
{
    return result == ERR_CLOSED
               ? "this node is stopping: go on with another one"
               : "this node does not hold what `after` names, and it did not come in time";
}

// It could not even begin to wait.
static void answer_not_waiting(struct session *session, uint64_t id, int err)
{
    if (err == ERR_INVALID) {
        session_answer_error(session, id, WIRE_INVALID_CURSOR, "the cursor in `after` is none");
    } else {
        answer_no_memory(session, id);
    }
}

static struct consumer_letter *letter_of(struct session *session, enum letter_kind kind,
                                         const struct request *request)
{
    struct consumer_letter *letter = consumer_letter_new(kind);
    if (letter && consumer_letter_copy(letter, request)) {
        consumer_letter_free(letter);
        letter = NULL;
    }
    if (letter) {
        letter->service = session->service;
    }
    return letter;
}

static void attach_resolved(struct waiter *waiter, int result);

// So that no sum overflows.
static uint64_t sensible_credit(uint64_t bytes)
{
    return bytes < SUBSCRIPTION_CREDIT_BYTES_MAX ? bytes : SUBSCRIPTION_CREDIT_BYTES_MAX;
}

static struct consumer *consumer_new(struct session *session, const struct request *request)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (!consumer) {
        return NULL;
    }
    list_init(&consumer->link);
    list_init(&consumer->ready_link);
    list_init(&consumer->stop_link);
    list_init(&consumer->inbox);
    consumer->session = session;
    consumer->id = request->id;
    consumer->heartbeat_ms = request->attach.heartbeat_ms;
    consumer->heartbeat.expired = heartbeat_expired;
    waiter_init(&consumer->waiter, session, attach_resolved);
    consumer->last = consumer_letter_new(LETTER_DETACH);
    consumer->attach = letter_of(session, LETTER_ATTACH, request);
    if (!consumer->last || !consumer->attach) {
        consumer_free(consumer);
        return NULL;
    }
    consumer->last->service = session->service;
    consumer->last->consumer = consumer;
    consumer->attach->consumer = consumer;
    consumer->attach->takes_chunks = session_takes_chunks(session);
    reason_set(&consumer->attach->reason, 0, "%s", session->client);
    uint64_t *credit = &consumer->attach->request.attach.credit_bytes;
    *credit = *credit > 0 ? sensible_credit(*credit) : SUBSCRIPTION_CREDIT_BYTES_DEFAULT;
    return consumer;
}

// The letter that was to attach it says why it does not.
static void end_attach(struct consumer *consumer, enum wire_error error, const char *text)
{
    struct consumer_letter *letter = consumer->attach;
    consumer->attach = NULL;
    letter->kind = LETTER_ENDED;
    letter->error = error;
    reason_set(&letter->reason, 0, "%s", text);
    list_append(&consumer->inbox, &letter->link);
    make_ready(consumer);
}

static void post_attach(struct consumer *consumer)
{
    const struct service *service = consumer->session->service;
    if (!consumer_letter_send(service->node, consumer->attach)) {
        end_attach(consumer, closed_error(service), closed_text(service));
        return;
    }
    consumer->attach = NULL;
    consumer->is_known = true;
    arm_heartbeat(consumer);
}

static void attach_resolved(struct waiter *waiter, int result)
{
    struct consumer *consumer = container_of(waiter, struct consumer, waiter);
    if (result != 0) {
        end_attach(consumer, wait_error(result), wait_text(result));
    } else {
        post_attach(consumer);
    }
}

static void attach(struct session *session, const struct request *request)
{
    struct consumer *consumer = consumer_new(session, request);
    int err = consumer ? waiter_take_after(&consumer->waiter, &request->attach.after) : ERR_MEMORY;
    bool waits = err == 0 && !waiter_is_covered(&consumer->waiter);
    if (waits) {
        err = waiter_begin(&consumer->waiter);
    }
    if (err) {
        if (consumer) {
            consumer_free(consumer);
        }
        answer_not_waiting(session, request->id, err);
        return;
    }
    consumer->attach->until = consumer->waiter.deadline;
    session_launched(session);
    list_append(&session->consumers, &consumer->link);
    atomic_fetch_add_explicit(&session->service->counters->subscriptions, 1, memory_order_relaxed);
    session->open_requests--; // it answers for itself
    if (!waits) {
        post_attach(consumer);
    }
}

// ACK and NACK. The answer comes back with the letter.
static void submit_ack(struct session *session, const struct request *request)
{
    bool is_ack = request->kind == REQUEST_ACK;
    uint64_t id = is_ack ? request->ack.attachment : request->nack.attachment;
    struct consumer *consumer = session_consumer(session, id);
    if (!consumer || consumer->is_over) {
        session_answer_error(session, request->id, WIRE_NOT_IN_FLIGHT,
                             "there is no consumer %llu on this connection (any more)",
                             (unsigned long long)id);
        return;
    }
    struct consumer_letter *letter = letter_of(session, is_ack ? LETTER_ACK : LETTER_NACK, request);
    if (!letter) {
        answer_no_memory(session, request->id);
        return;
    }
    letter->consumer = consumer;
    if (consumer_letter_send(session->service->node, letter)) {
        consumer->acks_open++;
    } else {
        consumer_letter_free(letter);
        answer_closed(session, request->id);
    }
}

static void post_ask(struct ask *ask)
{
    struct session *session = ask->letter->session;
    if (consumer_letter_send(session->service->node, ask->letter)) {
        ask->letter = NULL;
        session_launched(session);
    } else {
        answer_closed(session, ask->letter->request.id);
    }
    ask_free(ask);
}

static void ask_resolved(struct waiter *waiter, int result)
{
    struct ask *ask = container_of(waiter, struct ask, waiter);
    if (result == 0) {
        post_ask(ask);
        return;
    }
    session_answer_error(ask->letter->session, ask->letter->request.id, wait_error(result), "%s",
                         wait_text(result));
    ask_free(ask);
}

static void submit_ask(struct session *session, const struct request *request)
{
    struct ask *ask = calloc(1, sizeof *ask);
    if (!ask) {
        answer_no_memory(session, request->id);
        return;
    }
    list_init(&ask->link);
    waiter_init(&ask->waiter, session, ask_resolved);
    ask->letter = letter_of(session, LETTER_ASK, request);
    int err =
        ask->letter ? waiter_take_after(&ask->waiter, &request->subscriptions.after) : ERR_MEMORY;
    bool waits = err == 0 && !waiter_is_covered(&ask->waiter);
    if (waits) {
        err = waiter_begin(&ask->waiter);
    }
    if (err) {
        ask_free(ask);
        answer_not_waiting(session, request->id, err);
        return;
    }
    ask->letter->session = session;
    ask->letter->until = ask->waiter.deadline;
    list_append(&session->asks, &ask->link);
    if (!waits) {
        post_ask(ask);
    }
}

void consumer_submit(struct session *session, const struct request *request)
{
    if (request->kind == REQUEST_ATTACH) {
        attach(session, request);
    } else if (request->kind == REQUEST_SUBSCRIPTIONS) {
        submit_ask(session, request);
    } else {
        assert(request->kind == REQUEST_ACK || request->kind == REQUEST_NACK);
        submit_ack(session, request);
    }
}

void consumer_add_credit(struct consumer *consumer, uint64_t bytes)
{
    struct session *session = consumer->session;
    struct request request = {.kind = REQUEST_CREDIT, .id = consumer->id};
    bytes = sensible_credit(bytes);
    if (consumer->attach) { // it waits
        uint64_t *credit = &consumer->attach->request.attach.credit_bytes;
        *credit = sensible_credit(*credit + bytes);
        return;
    }
    request.credit.bytes = bytes;
    struct consumer_letter *letter = letter_of(session, LETTER_CREDIT, &request);
    if (!letter) {
        end_here(consumer, 0, WIRE_BUSY, "the node is out of memory");
        return;
    }
    letter->consumer = consumer;
    if (!consumer_letter_send(session->service->node, letter)) {
        consumer_letter_free(letter);
    }
}

// --- Letters -----------------------------------------------------------------------------------

static void answer_request(struct session *session, struct consumer_letter *letter)
{
    uint64_t id = letter->request.id;
    if (letter->error) {
        session_answer_error(session, id, letter->error, "%s", letter->reason.text);
        consumer_letter_free(letter);
        return;
    }
    struct answer answer = {
        .id = id,
        .kind = letter->kind == LETTER_ACKED ? REPLY_ACKED : REPLY_SUBSCRIPTIONS,
        .letter = letter,
    };
    session_answer(session, &answer);
}

static void deliver_acked(struct consumer *consumer, struct consumer_letter *letter)
{
    struct session *session = consumer->session;
    answer_request(session, letter);
    consumer->acks_open--;
    consumer->answers_ahead = session->answers_total;
    if (waits_to_end(consumer)) {
        end_if_answered(consumer);
    }
}

static void deliver(struct consumer_letter *letter)
{
    struct consumer *consumer = letter->consumer;
    if (letter->kind == LETTER_GONE) {
        consumer_letter_free(letter);
        consumer->is_known = false;
        consumer_letter_free(consumer->last);
        consumer->last = NULL;
        free_if_done(consumer);
    } else if (letter->kind == LETTER_ACKED) {
        deliver_acked(consumer, letter);
    } else if (consumer->is_closed) {
        consumer_letter_free(letter);
    } else {
        list_append(&consumer->inbox, &letter->link);
        make_ready(consumer);
    }
}

void consumer_letters_deliver(struct service *service)
{
    struct consumer_letter *letter;
    while ((letter = consumer_letters_take(service)) != NULL) {
        if (letter->kind == LETTER_ANSWERED) {
            struct session *session = letter->session;
            answer_request(session, letter);
            session_landed(session);
        } else {
            deliver(letter);
        }
    }
}

// --- Taking ------------------------------------------------------------------------------------

static void fill(struct consumer *consumer, struct consumer_letter *letter,
                 struct session_item *item)
{
    consumer_letter_fill(letter, consumer->delivered, &item->head);
    if (letter->kind == LETTER_ASSIGNED) {
        item->block = letter->block; // the reference goes with it
        item->offset = letter->offset;
        item->length = letter->length;
        letter->block = NULL;
        consumer->delivered += letter->count;
    } else {
        consumer->is_over = letter->kind == LETTER_ENDED;
    }
}

bool consumer_take(struct list_node *ready_link, struct session_item *item_out)
{
    struct consumer *consumer = container_of(ready_link, struct consumer, ready_link);
    consumer_letter_free(consumer->taken);
    consumer->taken = NULL;
    if (consumer->is_over) {
        consumer_close(consumer); // its last item was sent
        return false;
    }
    if (waits_to_end(consumer)) {
        return false;
    }
    *item_out = (struct session_item){.head = {.id = consumer->id}};
    struct list_node *link = list_first(&consumer->inbox);
    if (!link && !consumer->is_heartbeat_due) {
        return false;
    }
    consumer->is_heartbeat_due = false;
    arm_heartbeat(consumer);
    make_ready(consumer); // for what follows, or to be closed
    if (!link) {
        item_out->head.kind = DELIVERY_MARK;
        item_out->head.mark.kind = MARK_HEARTBEAT;
        return true;
    }
    list_remove(link);
    consumer->taken = container_of(link, struct consumer_letter, link);
    fill(consumer, consumer->taken, item_out);
    return true;
}
