// The cluster as one node sees it: drives the replica (replication/replica.h) with what the first
// loop's service, its peers and the store bring, and does what it decides. Lives in the first loop.
// What other loops need is published in `struct cluster_view`.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/model/reply.h"
#include "replication/replica.h"
#include "server/node/cluster_view.h"
#include "storage/identity.h"

struct append;
struct cluster;
struct node;
struct service;
struct session;
struct store;

struct cluster_config {
    struct identity identity; // as read at the start, run raised; actor 0: joins or founds
    uint16_t wanted_actor;
    bool bootstrap;
    bool was_clean;
    uint32_t start_wait_ms;
    struct replica_address advertise;
    const struct replica_address *peers;
    uint32_t peers_count;
    struct bytes secret; // empty: none; then peers must be on this machine
    // Writes the identity file and syncs it; blocks for a moment, which only happens when a node
    // becomes a member or is rescued. Called in the first loop.
    int (*save_identity)(void *context, const struct identity *identity);
    void *save_context;
};

// With the first service of the node, before its loop runs: reads the member events and records of
// the log (blocking; at the start), makes the replica. ERR_MEMORY, ERR_IO, ERR_CORRUPT.
int cluster_new(struct service *service, const struct cluster_config *config,
                struct reason *reason) MUST_CHECK;
void cluster_free(struct service *service);

// Called by the first service: at the end of each of its turns, and by its timer.
void cluster_turn(struct cluster *cluster);

// Whether everything that the first loop's port knows of was looked through for events of members
// and durable subscriptions.
bool cluster_has_all_news(const struct cluster *cluster);

// Ends every link, answers every request, and decides nothing more.
void cluster_shut_down(struct cluster *cluster);

// Any loop's service: whether this append is the driver's, which then takes it back.
bool cluster_owns(const struct service *service, const struct append *append);
void cluster_append_completed(struct append *append);

// Any loop: calls the driver when what readers want of it has changed.
void cluster_nudge(struct node *node);

// Any loop: adds the alarms to those of status, as lines.
void cluster_alarms(struct node *node, struct buffer *out);
