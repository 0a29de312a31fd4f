// The inside of a node: what its services share. Constant once the loops run, but for the counters,
// of which each is written by one loop alone. For server/node only.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "proto/base/instant.h"
#include "server/node/cluster_view.h"
#include "storage/identity.h"

struct store;

struct node_counters {
    atomic_uint connections;
    atomic_uint subscriptions;
    bool is_used;
    uint8_t padding[52]; // two loops never write to one cache line
};

struct node {
    struct identity identity;
    struct store *store;
    uint64_t data_bytes_max;
    uint64_t append_bytes_max;
    bool compress;
    atomic_uint_fast64_t append_bytes; // of produces of all sessions that are not answered
    uint32_t after_timeout_ms;
    uint64_t seed;
    struct instant started;
    struct cluster_view view;
    pthread_mutex_t why_lock;
    struct reason why_not; // under why_lock
    uint32_t services_max;
    struct node_counters counters[];
};

static inline uint16_t node_actor(const struct node *node)
{
    return node->identity.actor;
}

// The counters of a new service, or NULL when there are as many as the node was made for.
struct node_counters *node_take_counters(struct node *node);
void node_return_counters(struct node_counters *counters);

uint64_t node_connections(const struct node *node);
uint64_t node_subscriptions(const struct node *node);
