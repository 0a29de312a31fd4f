// What every loop may read of the cluster at any time, without locks. The driver (cluster.c) writes
// all of it but the readers' own counters, and then wakes those loops in which somebody waits.
#pragma once

#include <stdatomic.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

struct node;

struct cluster_view {
    atomic_bool has_cluster; // false: a node without a driver, as in tests: what it holds is stable
    atomic_bool may_produce;
    atomic_bool compress; // every member reads LZ4
    atomic_uint_fast64_t frontier;
    atomic_uint waits_for;                          // actor, 0: none
    atomic_uint_fast64_t held_by[REPLICAS_MAX + 1]; // [n]: own counter that n nodes hold, from 1 on
    atomic_uint held_actor;                         // whose counters those are; set before them
    atomic_uint members;                            // not retired, this one included

    // what loops want to be woken for
    atomic_uint stable_readers;  // subscriptions in stable order, or with marks of the frontier
    atomic_uint replica_waiters; // produces that wait for other nodes
};

// Why produce is refused now, as the driver last said. Any thread.
void cluster_why_not(struct node *node, struct reason *why_out);
// The driver: sets the reason, and whether produce is allowed (an empty reason).
void cluster_set_why_not(struct node *node, const char *why);
