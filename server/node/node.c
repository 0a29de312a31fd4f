// A node is little more than its configuration. The counters are how loops tell each other what
// status needs: plain stores by their owner, sums by whoever asks.

#include "server/node/node.h"

#include <assert.h>
#include <stdlib.h>

#include "server/node/service.h"

int node_new(const struct node_config *config, struct node **node_out)
{
    assert(config->services_max > 0);
    struct node *node =
        calloc(1, sizeof *node + config->services_max * sizeof(struct node_counters));
    if (!node) {
        return ERR_MEMORY;
    }
    node->services = calloc(config->services_max, sizeof(struct service *));
    if (!node->services || node_become(node, config->identity)) {
        free(node->services);
        free(node);
        return ERR_MEMORY;
    }
    node->store = config->store;
    node->data_bytes_max = config->data_bytes_max;
    node->compress = config->compress;
    node->append_bytes_max = config->append_bytes_max > 0 ? config->append_bytes_max : UINT64_MAX;
    node->after_timeout_ms = config->after_timeout_ms;
    node->seed = config->seed;
    node->started = config->started;
    node->services_max = config->services_max;
    pthread_mutex_init(&node->why_lock, NULL);
    atomic_init(&node->view.may_produce, true);
    atomic_init(&node->view.compress, config->compress);
    atomic_init(&node->view.frontier, COUNTER_MAX);
    atomic_init(&node->view.members, 1);
    *node_out = node;
    return 0;
}

void node_free(struct node *node)
{
    if (!node) {
        return;
    }
    struct node_identity *identity = atomic_load(&node->identity);
    while (identity) {
        struct node_identity *previous = identity->previous;
        free(identity);
        identity = previous;
    }
    pthread_mutex_destroy(&node->why_lock);
    buffer_deinit(&node->cluster_alarms);
    free(node->services);
    free(node);
}

int node_become(struct node *node, const struct identity *identity)
{
    struct node_identity *fresh = malloc(sizeof *fresh);
    if (!fresh) {
        return ERR_MEMORY;
    }
    fresh->identity = *identity;
    fresh->previous = atomic_load(&node->identity);
    atomic_store_explicit(&node->identity, fresh, memory_order_release);
    return 0;
}

void node_add_service(struct node *node, struct service *service)
{
    for (uint32_t i = 0; i < node->services_max; i++) {
        if (!node->services[i]) {
            node->services[i] = service;
            return;
        }
    }
    assert(false);
}

void node_remove_service(struct node *node, const struct service *service)
{
    for (uint32_t i = 0; i < node->services_max; i++) {
        if (node->services[i] == service) {
            node->services[i] = NULL;
        }
    }
}

void cluster_why_not(struct node *node, struct reason *why_out)
{
    pthread_mutex_lock(&node->why_lock);
    *why_out = node->why_not;
    pthread_mutex_unlock(&node->why_lock);
}

void cluster_set_why_not(struct node *node, const char *why)
{
    pthread_mutex_lock(&node->why_lock);
    reason_set(&node->why_not, 0, "%s", why);
    pthread_mutex_unlock(&node->why_lock);
    atomic_store(&node->view.may_produce, why[0] == '\0');
}

struct node_counters *node_take_counters(struct node *node)
{
    for (uint32_t i = 0; i < node->services_max; i++) {
        if (!node->counters[i].is_used) {
            node->counters[i].is_used = true;
            return &node->counters[i];
        }
    }
    return NULL;
}

void node_return_counters(struct node_counters *counters)
{
    atomic_store(&counters->connections, 0);
    atomic_store(&counters->subscriptions, 0);
    counters->is_used = false;
}

uint64_t node_connections(const struct node *node)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < node->services_max; i++) {
        sum += atomic_load_explicit(&node->counters[i].connections, memory_order_relaxed);
    }
    return sum;
}

uint64_t node_subscriptions(const struct node *node)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < node->services_max; i++) {
        sum += atomic_load_explicit(&node->counters[i].subscriptions, memory_order_relaxed);
    }
    return sum;
}
