// The service of one loop. A turn takes what the store has brought since the last one: the node's
// vector first, so that every reply of the turn may speak of it, then completed appends and reads,
// then the new chunks for the subscriptions that wait for them; last it hands over everything that
// was appended meanwhile, in one piece. All state belongs to the loop's thread; only the store's
// wake comes from others.

#include "server/node/service.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/compress.h"
#include "server/node/cluster.h"
#include "server/node/cluster_mailbox.h"
#include "server/node/consumer.h"
#include "server/node/consumer_letter.h"
#include "server/node/node.h"
#include "server/node/peer.h"
#include "server/node/produce.h"
#include "server/node/service_state.h"
#include "server/node/session.h"
#include "server/node/subscription.h"
#include "server/node/waiter.h"

static void store_has_news(void *context)
{
    struct service *service = context;
    service_wake(service);
}

static void service_init(struct service *service, struct node *node, const struct node_env *env)
{
    service->node = node;
    service->env = *env;
    service->now = env->now(env->context);
    service->is_cursor_stale = true;
    list_init(&service->waiters);
    list_init(&service->sessions);
    list_init(&service->ready);
    list_init(&service->patient);
    list_init(&service->live);
    list_init(&service->congested);
    list_init(&service->peers_ready);
    list_init(&service->cluster_answers);
    list_init(&service->consumer_letters);
    list_init(&service->frontier_readers);
    list_init(&service->replica_waits);
    filter_table_init(&service->filters, node->seed);
    live_blocks_init(&service->live_blocks);
}

int service_new(struct node *node, const struct node_env *env, struct service **service_out)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service) {
        return ERR_MEMORY;
    }
    service_init(service, node, env);
    if (node->compress && !(service->compress_state = malloc(compress_state_bytes()))) {
        free(service);
        return ERR_MEMORY;
    }
    service->counters = node_take_counters(node);
    if (!service->counters) {
        free(service->compress_state);
        free(service);
        return ERR_LIMIT;
    }
    int err = store_port_open(node->store, store_has_news, service, &service->port);
    if (err) {
        node_return_counters(service->counters);
        free(service->compress_state);
        free(service);
        return err;
    }
    service->ordinal = store_port_ordinal(service->port);
    node_add_service(node, service);
    *service_out = service;
    return 0;
}

void service_free(struct service *service)
{
    if (!service) {
        return;
    }
    assert(list_is_empty(&service->sessions) && service->in_flight == 0);
    cluster_free(service);
    node_remove_service(service->node, service);
    store_port_close(service->port);
    timer_clear(&service->timers, &service->congestion);
    timers_deinit(&service->timers);
    live_blocks_clear(&service->live_blocks);
    filter_table_deinit(&service->filters);
    selection_scratch_deinit(&service->selection);
    version_vector_deinit(&service->parents);
    buffer_deinit(&service->cursor);
    buffer_deinit(&service->alarms);
    free(service->compress_state);
    node_return_counters(service->counters);
    free(service);
}

struct bytes service_cursor(struct service *service)
{
    if (service->is_cursor_stale) {
        buffer_clear(&service->cursor);
        service->is_cursor_stale =
            version_vector_encode(store_port_vector(service->port), &service->cursor) != 0;
    }
    return buffer_bytes(&service->cursor);
}

void service_describe(struct service *service, struct reply *hello_out)
{
    const struct identity *identity = node_identity(service->node);
    *hello_out = (struct reply){.kind = REPLY_HELLO, .cursor = service_cursor(service)};
    hello_out->hello = (struct reply_hello){
        .server_version = bytes_of_text("weir " WEIR_VERSION),
        .actor = identity->actor,
        .cluster_name = bytes_of_text(identity->cluster_name),
        .cluster = bytes_of(identity->cluster.bytes, sizeof identity->cluster.bytes),
        .node = bytes_of(identity->node.bytes, sizeof identity->node.bytes),
        .data_bytes_max = service->node->data_bytes_max,
    };
}

// --- Turns -------------------------------------------------------------------------------------

// Each that waits looks once whether something of the new chunks is for it. It may go back into the
// list, so the list is walked from a head of its own.
static void wake_live(struct service *service)
{
    struct list_node waiting;
    if (list_is_empty(&service->live)) {
        return;
    }
    list_init(&waiting);
    list_insert_before(&service->live, &waiting);
    list_remove(&service->live); // the nodes are now in the ring of the local head
    struct list_node *link;
    while ((link = list_first(&waiting)) != NULL) {
        list_remove(link);
        subscription_advance(container_of(link, struct subscription, wait_link));
    }
}

static void adopt_chunks(struct service *service)
{
    uint64_t ordinal = store_port_ordinal(service->port);
    if (ordinal == service->ordinal) {
        frontier_wake(service, false);
        return;
    }
    service->ordinal = ordinal;
    service->is_cursor_stale = true;
    if (service->live_count > 0) {
        live_blocks_update(&service->live_blocks, service->port, ordinal);
    } else {
        live_blocks_skip(&service->live_blocks, ordinal);
    }
    waiters_check(service);
    wake_live(service);
    frontier_wake(service, true);
}

void service_turn(struct service *service, struct instant now)
{
    struct append *append;
    struct read *read;
    service->now = now;
    frontier_latch(service);
    if (service->cluster) {
        consumer_mailbox_latch(service->node);
    }
    store_port_refresh(service->port);
    while ((append = store_port_take_append(service->port)) != NULL) {
        if (cluster_owns(service, append)) {
            cluster_append_completed(append);
        } else {
            produce_completed(append);
        }
    }
    replica_waits_check(service);
    adopt_chunks(service);
    while ((read = store_port_take_read(service->port)) != NULL) {
        struct read_owner *owner = read->owner;
        owner->completed(owner);
    }
    cluster_answers_deliver(service);
    consumer_letters_deliver(service);
    if (service->cluster) {
        cluster_turn(service->cluster);
    } else {
        cluster_nudge(service->node);
    }
    store_port_flush(service->port);
}

struct instant service_deadline(const struct service *service)
{
    return timers_next(&service->timers);
}

void service_tick(struct service *service, struct instant now)
{
    struct timer *timer;
    service->now = now;
    while ((timer = timers_take_expired(&service->timers, now)) != NULL) {
        timer->expired(timer);
    }
    store_port_flush(service->port);
}

static void *take_patient(struct service *service, bool is_idle)
{
    struct list_node *link = list_first(&service->patient);
    struct session *session = link ? container_of(link, struct session, patient_link) : NULL;
    if (!session || (!is_idle && !instant_reached(session->patient_until,
                                                  service->env.now(service->env.context)))) {
        return NULL;
    }
    list_remove(link);
    return session->owner;
}

void *service_take_ready(struct service *service, bool is_idle)
{
    struct list_node *link = list_first(&service->ready);
    if (!link) {
        void *peer = peer_take_ready(service);
        return peer ? peer : take_patient(service, is_idle);
    }
    list_remove(link);
    return container_of(link, struct session, ready_link)->owner;
}

// --- The end -----------------------------------------------------------------------------------

void service_shut_down(struct service *service)
{
    if (service->is_shutting_down) {
        return;
    }
    service->is_shutting_down = true;
    waiters_close(service);
    replica_waits_check(service);
    if (service->cluster) {
        cluster_shut_down(service->cluster);
    }
    LIST_FOR_EACH(&service->sessions, link)
    {
        struct session *session = container_of(link, struct session, link);
        for (uint32_t i = 0; i < session->subscriptions_count; i++) {
            subscription_finish(session->subscriptions[i], END_SHUTDOWN);
        }
        consumers_shut_down(session);
    }
    store_port_flush(service->port);
}

bool service_is_idle(const struct service *service)
{
    return service->in_flight == 0;
}

bool service_is_fatal(const struct service *service, struct reason *fatal_out)
{
    int fatal = store_port_fatal(service->port);
    if (fatal == 0) {
        return false;
    }
    reason_set(fatal_out, fatal,
               "the log cannot be written any more (%s): what was in flight may or may not be "
               "stored; the node must be restarted",
               err_text(fatal));
    return true;
}

void service_count_connection(struct service *service, int change)
{
    atomic_fetch_add_explicit(&service->counters->connections, (unsigned)change,
                              memory_order_relaxed);
}
