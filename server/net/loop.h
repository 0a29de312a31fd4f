// One I/O loop: its thread, its connections, its service. Internal to server/net.
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "proto/base/instant.h"
#include "proto/base/list.h"
#include "server/net/net.h"

struct connection;

enum {
    LOOP_ARRIVALS_MAX = 1024, // connections on their way into one loop
    SHUTDOWN_MS = 3000,       // what is accepted is answered within
    SHUTDOWN_STORE_MS = 1000, // and what is in flight in the store comes back within
};

// A complaint that may come thousands of times: lets one through in ten seconds.
struct complaint {
    struct instant next;
};
bool complaint_is_due(struct complaint *complaint, struct instant now);

struct loop {
    struct net *net;
    unsigned index;
    struct ev_loop *ev;
    struct service *service;
    struct node_env env;
    pthread_t thread;
    bool has_thread;
    struct instant now; // of this turn

    ev_prepare end_of_turn;
    ev_check begin_of_turn;
    ev_idle busy;    // active: the loop must not sleep
    ev_async woken;  // by the service's environment
    ev_async called; // by another loop or by net: arrivals, ping, shutdown
    ev_timer tick;   // service_deadline
    struct instant tick_armed;
    ev_timer over;    // the end of the shutdown's time
    bool turn_wanted; // the service has something to do

    struct list_node connections; // all that live here
    struct list_node flush;       // to be flushed at the end of this turn
    struct list_node later;       // in the next: they have had their share
    struct list_node starved;
    struct list_node dead;
    uint8_t *receive; // RECEIVE_BYTES, shared by all connections
    size_t grown_bytes;
    size_t grown_bytes_max;
    unsigned large_count; // connections whose large frame has its memory

    struct complaint not_opened;
    bool is_fatal;
    bool is_shutting_down;
    struct instant shutdown_by;
    bool is_stuck; // ended with something in flight

    // shared with other threads
    atomic_uint connections_count;
    atomic_uint ping;
    atomic_uint pong;
    pthread_mutex_t arrivals_lock;
    struct list_node arrivals;
    unsigned arrivals_count;
};

int loop_init(struct loop *loop, struct net *net, unsigned index) MUST_CHECK;
void loop_deinit(struct loop *loop); // frees what connections are left
int loop_start(struct loop *loop) MUST_CHECK;

// Any thread: lets the loop look at its arrivals, its ping, and whether to shut down.
void loop_call(struct loop *loop);

// Another loop's thread gives it a connection; false: its queue is full, or its time is over.
bool loop_give(struct loop *loop, struct connection *connection);

void loop_log(struct loop *loop, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
