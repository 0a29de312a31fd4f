// The inside of a node: what its services share. Constant once the loops run, but for the counters,
// of which each is written by one loop alone. For server/node only.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "proto/base/bytes.h"
#include "proto/base/instant.h"
#include "server/node/cluster_view.h"
#include "storage/identity.h"

struct cluster_mailbox;
struct consumer_mailbox;
struct service;
struct store;

struct node_counters {
    atomic_uint connections;
    atomic_uint subscriptions;
    bool is_used;
    uint8_t padding[52]; // two loops never write to one cache line
};

// Who the node is, as of some moment. Never changed once it is published.
struct node_identity {
    struct identity identity;
    struct node_identity *previous; // freed with the node: a loop may still read it
};

struct node {
    _Atomic(struct node_identity *) identity;
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
    struct reason why_not;           // under why_lock
    struct buffer cluster_alarms;    // under why_lock: lines, without the last newline
    atomic_bool is_stable_told;      // what the driver knows of view.stable_readers
    struct cluster_mailbox *mailbox; // NULL: no cluster
    struct consumer_mailbox *consumers;
    struct service **services; // services_max, NULL where there is none (yet)
    uint32_t services_max;
    struct node_counters counters[];
};

// Any thread. Stays valid until node_free.
static inline const struct identity *node_identity(const struct node *node)
{
    return &atomic_load_explicit(&node->identity, memory_order_acquire)->identity;
}

static inline uint16_t node_actor(const struct node *node)
{
    return node_identity(node)->actor;
}

// The node is somebody else from now on. The first loop's thread. ERR_MEMORY.
int node_become(struct node *node, const struct identity *identity) MUST_CHECK;

// A service is there, or goes; while no loop runs.
void node_add_service(struct node *node, struct service *service);
void node_remove_service(struct node *node, const struct service *service);

// The counters of a new service, or NULL when there are as many as the node was made for.
struct node_counters *node_take_counters(struct node *node);
void node_return_counters(struct node_counters *counters);

uint64_t node_connections(const struct node *node);
uint64_t node_subscriptions(const struct node *node);
