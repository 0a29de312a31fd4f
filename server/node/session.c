// A session counts what its client has asked for, and holds the replies until they are taken. Each
// open request has a place in the ring of replies from the start, so that no reply can fail for
// lack of memory; what a client can pile up is bounded by the limits of session_is_full, beyond
// which nothing more is taken from it until half of that is gone.
//
// Events are not queued here: subscriptions with something to deliver are in a list, take turns,
// and make their next item when it is asked for.

#include "server/node/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/node/cluster_ask.h"
#include "server/node/cluster_mailbox.h"
#include "server/node/consumer.h"
#include "server/node/consumer_letter.h"
#include "server/node/node.h"
#include "server/node/produce.h"
#include "server/node/query.h"
#include "server/node/service_state.h"
#include "server/node/status.h"
#include "server/node/subscription.h"

enum {
    ANSWERS_CAPACITY_MIN = 8,
    ANSWERS_CAPACITY_KEPT = 256, // a larger ring is given back when it is empty
    ANSWERS_IN_ROW_MAX = 64,     // then a subscription has its turn
};

int session_open(struct service *service, void *owner, struct session **session_out)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session) {
        return ERR_MEMORY;
    }
    session->service = service;
    session->owner = owner;
    list_init(&session->link);
    list_init(&session->ready_link);
    list_init(&session->patient_link);
    list_init(&session->congested_link);
    list_init(&session->produces);
    list_init(&session->produces_held);
    list_init(&session->queries);
    list_init(&session->queries_queued);
    list_init(&session->subscriptions_ready);
    list_init(&session->consumers);
    list_init(&session->consumers_ready);
    list_init(&session->consumers_stopped);
    list_init(&session->asks);
    list_init(&session->readers_waiting);
    list_append(&service->sessions, &session->link);
    *session_out = session;
    return 0;
}

static void answer_release(struct answer *answer)
{
    switch ((enum reply_kind)answer->kind) {
    case REPLY_ERROR:
        free(answer->text);
        break;
    case REPLY_EVENTS:
        block_unref(answer->block);
        break;
    case REPLY_NAMESPACES:
        buffer_deinit(&answer->rows);
        break;
    case REPLY_CLUSTER:
        cluster_reply_free(answer->cluster);
        break;
    case REPLY_ACKED:
    case REPLY_SUBSCRIPTIONS:
        consumer_letter_free(answer->letter);
        break;
    case REPLY_HELLO:
    case REPLY_PONG:
    case REPLY_PRODUCED:
    case REPLY_SUBSCRIBED:
    case REPLY_STATUS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
    case DELIVERY_MARK:
    case DELIVERY_END:
    case REPLY_ATTACHED:
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        break;
    }
    *answer = (struct answer){0};
}

static size_t answer_bytes(const struct answer *answer)
{
    if (answer->kind == REPLY_ERROR) {
        return answer->text ? strlen(answer->text) : 0;
    }
    if (answer->kind == REPLY_EVENTS) {
        return answer->block ? answer->block->length : 0;
    }
    return answer->kind == REPLY_NAMESPACES ? answer->rows.length : 0;
}

static struct answer *answers_take(struct session *session)
{
    struct answer *answer = &session->answers[session->answers_first];
    session->answers_first = (session->answers_first + 1) & (session->answers_capacity - 1);
    session->answers_count--;
    return answer;
}

static void session_free(struct session *session)
{
    buffer_deinit(&session->item_cursor);
    buffer_deinit(&session->item_text);
    free(session->answers);
    free(session->subscriptions);
    free(session);
}

void session_close(struct session *session)
{
    if (!session) {
        return;
    }
    assert(!session->is_closed);
    session->is_closed = true;
    session->in_flight++; // held until everything below is done
    session->service->in_flight++;
    while (session->subscriptions_count > 0) {
        subscription_close(session->subscriptions[session->subscriptions_count - 1]);
    }
    consumers_close(session);
    queries_close(session);
    produces_close(session);
    while (session->answers_count > 0) {
        answer_release(answers_take(session));
    }
    answer_release(&session->taken);
    list_remove(&session->link);
    list_remove(&session->ready_link);
    list_remove(&session->patient_link);
    list_remove(&session->congested_link);
    assert(session->waiters_count == 0);
    session_landed(session);
}

void session_set_client(struct session *session, const char *text)
{
    (void)snprintf(session->client, sizeof session->client, "%s", text);
}

void session_set_features(struct session *session, uint32_t features)
{
    session->features = features;
}

void session_mark_ready(struct session *session)
{
    if (session->is_closed) {
        return;
    }
    if (session->on_ready) {
        session->on_ready(session);
    } else if (list_is_empty(&session->ready_link)) {
        list_remove(&session->patient_link);
        list_append(&session->service->ready, &session->ready_link);
    }
}

// The client has what it needs, and waits for nothing but more events. Not when older answers are
// there: they are about to go out, and do not begin to wait anew.
static void mark_patient(struct session *session)
{
    struct service *service = session->service;
    if (session->on_ready || !list_is_empty(&session->consumers_stopped)) {
        session_mark_ready(session);
    } else if (list_is_empty(&session->ready_link) && session->answers_count == 1) {
        session->patient_until =
            instant_add(service->env.now(service->env.context), duration_ms(SESSION_PATIENCE_MS));
        list_append(&service->patient, &session->patient_link);
    }
}

void session_launched(struct session *session)
{
    session->in_flight++;
    session->service->in_flight++;
}

void session_landed(struct session *session)
{
    assert(session->in_flight > 0 && session->service->in_flight > 0);
    session->service->in_flight--;
    if (--session->in_flight == 0 && session->is_closed) {
        session_free(session);
    }
}

bool session_is_idle(const struct session *session)
{
    // Consumers do not count: one whose client says nothing more can acknowledge nothing, and what
    // it holds is for another.
    return session->open_requests == 0 && session->subscriptions_count == 0;
}

// --- Saturation --------------------------------------------------------------------------------

// Whether one of the limits is reached, each divided by `part`.
static bool session_is_full(const struct session *session, uint32_t part)
{
    return session->open_requests >= SESSION_REQUESTS_MAX / part ||
           session->answer_bytes >= SESSION_OUT_BYTES_MAX / part ||
           session->waiters_count >= SESSION_WAITERS_MAX / part ||
           session->queries_count >= SESSION_QUERIES_MAX / part;
}

void session_relieve(struct session *session)
{
    if (session->is_saturated && list_is_empty(&session->congested_link) &&
        !session_is_full(session, 2) && session->append_bytes <= SESSION_APPEND_BYTES_MAX / 2) {
        session->is_saturated = false;
        session_mark_ready(session);
    }
}

// --- Replies -----------------------------------------------------------------------------------

static int answers_grow(struct session *session)
{
    uint32_t capacity =
        session->answers_capacity > 0 ? 2 * session->answers_capacity : ANSWERS_CAPACITY_MIN;
    struct answer *answers = malloc(capacity * sizeof *answers);
    if (!answers) {
        return ERR_MEMORY;
    }
    uint32_t count = session->answers_count;
    for (uint32_t i = 0; i < count; i++) {
        answers[i] = *answers_take(session);
    }
    free(session->answers);
    session->answers = answers;
    session->answers_capacity = capacity;
    session->answers_first = 0;
    session->answers_count = count;
    return 0;
}

int session_admit(struct session *session)
{
    if (session->open_requests >= session->answers_capacity) {
        int err = answers_grow(session);
        if (err) {
            return err;
        }
    }
    session->open_requests++;
    return 0;
}

void session_answer(struct session *session, struct answer *answer)
{
    if (session->is_closed) {
        answer_release(answer);
        return;
    }
    assert(session->answers_count < session->answers_capacity);
    uint32_t place =
        (session->answers_first + session->answers_count) & (session->answers_capacity - 1);
    session->answers[place] = *answer;
    session->answers_count++;
    session->answers_total++;
    session->answer_bytes += answer_bytes(answer);
    if (answer->kind == REPLY_ACKED) {
        session->answers_acked++;
        mark_patient(session);
    } else {
        session_mark_ready(session);
    }
}

bool session_is_patient(const struct session *session)
{
    return !list_is_empty(&session->patient_link) &&
           session->answers_count == session->answers_acked &&
           list_is_empty(&session->consumers_stopped) &&
           list_is_empty(&session->subscriptions_ready) && list_is_empty(&session->consumers_ready);
}

void session_answer_error(struct session *session, uint64_t id, enum wire_error code,
                          const char *format, ...)
{
    struct reason reason;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason.text, sizeof reason.text, format, arguments);
    va_end(arguments);
    struct answer answer = {
        .id = id, .kind = REPLY_ERROR, .code = code, .text = strdup(reason.text)};
    session_answer(session, &answer);
}

enum wire_error wire_error_of(int err)
{
    switch ((enum err)err) {
    case ERR_MEMORY:
    case ERR_BUSY:
        return WIRE_BUSY;
    case ERR_CORRUPT:
        return WIRE_CORRUPT;
    case ERR_FULL:
        return WIRE_DISK_FULL;
    case ERR_UNKNOWN:
        return WIRE_UNKNOWN_OUTCOME;
    case ERR_CLOSED:
        return WIRE_SHUTTING_DOWN;
    case ERR_TIMEOUT:
        return WIRE_TIMEOUT;
    case ERR_NOT_FOUND:
        return WIRE_NOT_FOUND;
    case ERR_LIMIT:
    case ERR_INVALID:
        return WIRE_INVALID_ARGUMENT;
    case ERR_UNSUPPORTED:
        return WIRE_UNSUPPORTED;
    case ERR_NONE:
    case ERR_IO:
    case ERR_LOCKED:
    case ERR_VERSION:
    case ERR_FOREIGN:
    case ERR_DENIED:
    case ERR_CONNECT:
        break;
    }
    return WIRE_INTERNAL;
}

// --- Requests ----------------------------------------------------------------------------------

static bool is_about_subscription(const struct request *request)
{
    return request->kind == REQUEST_CREDIT || request->kind == REQUEST_STOP;
}

static void submit_about_subscription(struct session *session, const struct request *request)
{
    struct subscription *subscription = session_subscription(session, request->id);
    struct consumer *consumer = subscription ? NULL : session_consumer(session, request->id);
    if (consumer && request->kind == REQUEST_STOP) {
        consumer_stop(consumer);
    } else if (consumer) {
        consumer_add_credit(consumer, request->credit.bytes);
    }
    if (!subscription) {
        return; // or it crossed with the end
    }
    if (request->kind == REQUEST_STOP) {
        subscription_stop(subscription);
    } else {
        subscription_credit(subscription, request->credit.bytes);
    }
}

static void submit_admitted(struct session *session, const struct request *request)
{
    struct answer answer = {.id = request->id};
    switch (request->kind) {
    case REQUEST_PING:
        answer.kind = REPLY_PONG;
        session_answer(session, &answer);
        return;
    case REQUEST_STATUS:
        answer.kind = REPLY_STATUS;
        session_answer(session, &answer);
        return;
    case REQUEST_PRODUCE:
        produce_submit(session, request);
        return;
    case REQUEST_SUBSCRIBE:
        subscription_submit(session, request);
        return;
    case REQUEST_GET:
    case REQUEST_LAST:
    case REQUEST_NEIGHBOR:
    case REQUEST_NAMESPACES:
        query_submit(session, request);
        return;
    case REQUEST_CLUSTER:
        cluster_ask_submit(session, request);
        return;
    case REQUEST_ATTACH:
    case REQUEST_ACK:
    case REQUEST_NACK:
    case REQUEST_SUBSCRIPTIONS:
        consumer_submit(session, request);
        return;
    case REQUEST_HELLO:
    case REQUEST_CREDIT:
    case REQUEST_STOP:
        break;
    }
    session_answer_error(session, request->id, WIRE_UNSUPPORTED,
                         "requests of kind %u are not for here", (unsigned)request->kind);
}

static int session_saturated(struct session *session)
{
    session->is_saturated = true;
    return SESSION_SATURATED;
}

int session_submit(struct session *session, const struct request *request, struct instant now)
{
    struct service *service = session->service;
    assert(!session->is_closed);
    service->now = now;
    if (is_about_subscription(request)) {
        submit_about_subscription(session, request);
        return 0;
    }
    if (session_is_full(session, 1) ||
        (request->kind == REQUEST_PRODUCE && produce_must_wait(session, request))) {
        return session_saturated(session);
    }
    int err = session_admit(session);
    if (err) {
        return err;
    }
    if (service->is_shutting_down) {
        session_answer_error(session, request->id, WIRE_SHUTTING_DOWN,
                             "this node is stopping: go on with another one, or here later");
    } else if ((session->subscriptions_count > 0 && session_subscription(session, request->id)) ||
               session_consumer(session, request->id)) {
        session_answer_error(session, request->id, WIRE_DUPLICATE_ID,
                             "the id %llu is in use by a subscription, which goes on: use another",
                             (unsigned long long)request->id);
    } else {
        submit_admitted(session, request);
    }
    return 0;
}

int session_refuse(struct session *session, uint64_t id, enum wire_error code, const char *text)
{
    if (session_is_full(session, 1)) {
        return session_saturated(session);
    }
    int err = session_admit(session);
    if (err) {
        return err;
    }
    session_answer_error(session, id, code, "%s", text);
    return 0;
}

// --- Taking ------------------------------------------------------------------------------------

static void fill_head(struct session *session, struct session_item *item)
{
    const struct answer *answer = &session->taken;
    struct reply *head = &item->head;
    switch ((enum reply_kind)answer->kind) {
    case REPLY_PRODUCED:
        head->produced.first = answer->first;
        head->produced.count = answer->code;
        head->produced.nodes_durable = answer->nodes;
        head->produced.remarks = answer->remarks;
        return;
    case REPLY_EVENTS:
        item->block = answer->block ? block_ref(answer->block) : NULL;
        item->length = answer->block ? answer->block->length : 0;
        return;
    case REPLY_NAMESPACES:
        head->namespaces.rows = buffer_bytes(&answer->rows);
        head->namespaces.more = answer->code != 0;
        return;
    case REPLY_STATUS:
        status_fill(session->service, &head->status);
        return;
    case REPLY_CLUSTER:
        head->cluster_status = answer->cluster->status;
        return;
    case REPLY_ACKED:
    case REPLY_SUBSCRIPTIONS:
        consumer_letter_fill(answer->letter, 0, head);
        return;
    case REPLY_ERROR:
        head->error.code = answer->code;
        head->error.text = bytes_of_text(answer->text ? answer->text : "");
        return;
    case REPLY_HELLO:
    case REPLY_PONG:
    case REPLY_SUBSCRIBED:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
    case DELIVERY_MARK:
    case DELIVERY_END:
    case REPLY_ATTACHED:
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        return;
    }
}

static void take_answer(struct session *session, struct session_item *item_out)
{
    session->taken = *answers_take(session);
    session->answer_bytes -= answer_bytes(&session->taken);
    session->open_requests--;
    session->answers_acked -= session->taken.kind == REPLY_ACKED;
    if (session->answers_count == 0) {
        list_remove(&session->patient_link);
    }
    if (session->answers_count == 0 && session->open_requests == 0 &&
        session->answers_capacity > ANSWERS_CAPACITY_KEPT) {
        free(session->answers);
        session->answers = NULL;
        session->answers_capacity = 0;
        session->answers_first = 0;
    }
    *item_out = (struct session_item){
        .head = {.kind = session->taken.kind, .id = session->taken.id},
    };
    buffer_clear(&session->item_cursor);
    if (buffer_append(&session->item_cursor, service_cursor(session->service)) == 0) {
        item_out->head.cursor = buffer_bytes(&session->item_cursor);
    }
    fill_head(session, item_out);
    queries_start(session);
    session_relieve(session);
    consumers_answered(session);
}

bool session_take(struct session *session, struct session_item *item_out)
{
    assert(!session->is_closed);
    answer_release(&session->taken);
    bool is_delivery_due = (!list_is_empty(&session->subscriptions_ready) ||
                            !list_is_empty(&session->consumers_ready)) &&
                           session->answers_in_row >= ANSWERS_IN_ROW_MAX;
    if (session->answers_count > 0 && !is_delivery_due) {
        session->answers_in_row++;
        take_answer(session, item_out);
        return true;
    }
    session->answers_in_row = 0;
    struct list_node *link;
    while ((link = list_first(&session->subscriptions_ready)) != NULL) {
        list_remove(link);
        if (subscription_take(subscription_of_ready_link(link), item_out)) {
            return true;
        }
    }
    while ((link = list_first(&session->consumers_ready)) != NULL) {
        list_remove(link);
        if (consumer_take(link, item_out)) {
            return true;
        }
    }
    if (session->answers_count > 0) {
        take_answer(session, item_out);
        return true;
    }
    return false;
}

// --- Subscriptions by id -----------------------------------------------------------------------

// The place of the first subscription whose id is not below `id`.
static uint32_t subscriptions_find(const struct session *session, uint64_t id)
{
    uint32_t low = 0;
    uint32_t high = session->subscriptions_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (subscription_id(session->subscriptions[middle]) < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct subscription *session_subscription(const struct session *session, uint64_t id)
{
    uint32_t place = subscriptions_find(session, id);
    bool is_there = place < session->subscriptions_count &&
                    subscription_id(session->subscriptions[place]) == id;
    return is_there ? session->subscriptions[place] : NULL;
}

int session_add_subscription(struct session *session, struct subscription *subscription)
{
    if (session->subscriptions_count == session->subscriptions_capacity) {
        uint32_t capacity =
            session->subscriptions_capacity > 0 ? 2 * session->subscriptions_capacity : 4;
        struct subscription **grown =
            realloc(session->subscriptions, capacity * sizeof(struct subscription *));
        if (!grown) {
            return ERR_MEMORY;
        }
        session->subscriptions = grown;
        session->subscriptions_capacity = capacity;
    }
    uint32_t place = subscriptions_find(session, subscription_id(subscription));
    struct subscription **at = session->subscriptions + place;
    memmove(at + 1, at, (session->subscriptions_count - place) * sizeof(struct subscription *));
    *at = subscription;
    session->subscriptions_count++;
    return 0;
}

void session_remove_subscription(struct session *session, struct subscription *subscription)
{
    uint32_t place = subscriptions_find(session, subscription_id(subscription));
    assert(place < session->subscriptions_count && session->subscriptions[place] == subscription);
    session->subscriptions_count--;
    struct subscription **at = session->subscriptions + place;
    memmove(at, at + 1, (session->subscriptions_count - place) * sizeof(struct subscription *));
}
