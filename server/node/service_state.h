// The inside of a service, shared by the files of server/node and nobody else.
#pragma once

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "server/node/filter_table.h"
#include "server/node/live_blocks.h"
#include "server/node/node_env.h"
#include "server/node/selection.h"
#include "server/node/timer.h"
#include "storage/store.h"

struct cluster;
struct node;
struct node_counters;

// Runs of the largest produce: each but the last is full of events, or with its successor's first
// event above CHUNK_BODY_BYTES_CLOSE.
enum {
    RUNS_MAX = PRODUCE_EVENTS_MAX / CHUNK_EVENTS_MAX +
               2 * (PRODUCE_BYTES_MAX / CHUNK_BODY_BYTES_CLOSE) + 2,
};

struct service {
    struct node *node;
    struct node_counters *counters;
    struct node_env env;
    struct store_port *port;
    struct instant now; // of the last call that told it
    uint64_t ordinal;   // of the newest chunk that this turn knows
    bool is_shutting_down;
    uint64_t in_flight; // appends and reads in the store

    struct buffer cursor; // the node's vector, encoded
    bool is_cursor_stale;

    struct timers timers;
    struct list_node waiters;
    struct list_node sessions;
    struct list_node ready;
    struct list_node patient;   // sessions, the longest waiting first
    struct list_node live;      // subscriptions that wait for the next chunk
    struct list_node congested; // sessions whose produce waits for the node
    struct list_node peers_ready;
    struct cluster *cluster;           // the first loop's, else NULL
    struct list_node cluster_answers;  // the mailbox's, under its lock
    uint32_t cluster_asked;            // requests to the cluster that are not answered
    struct list_node consumer_letters; // under the lock of their mailbox
    struct timer congestion;

    // the frontier as of the begin of the turn, before the port was refreshed: all that it speaks
    // of is in the port's vector
    uint64_t frontier;
    uint64_t frontier_version; // counts changes
    bool is_frontier_new;
    struct list_node frontier_readers;

    struct list_node replica_waits; // produces that wait for other nodes
    struct filter_table filters;
    struct live_blocks live_blocks;
    uint32_t live_count; // subscriptions past their replay

    // scratch
    struct selection_scratch selection;
    struct append_run runs[RUNS_MAX];
    void *compress_state; // NULL: bodies stay plain
    struct version_vector parents;
    struct buffer alarms;
};

// The node's vector as cursor; the view stays valid until the next turn.
struct bytes service_cursor(struct service *service);

// Asks for another turn.
static inline void service_wake(struct service *service)
{
    service->env.wake(service->env.context);
}

// Reads the frontier; before the port is refreshed.
void frontier_latch(struct service *service);
// Lets those go on that wait for it, if it has moved.
void frontier_wake(struct service *service, bool has_chunks);

// Who gets a read back: embedded by its owner, read.owner points to it.
struct read_owner {
    void (*completed)(struct read_owner *owner);
};
