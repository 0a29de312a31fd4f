// What the loops share. Internal to server/net.
#pragma once

#include "server/net/dialer.h"
#include "server/net/greeter.h"
#include "server/net/listener.h"
#include "server/net/loop.h"

struct net {
    struct net_config config;
    struct loop loops[NET_LOOPS_MAX];
    struct greeter greeter;       // the first loop's
    struct listeners listeners;   // the first loop's
    struct dialer dialer;         // the first loop's
    unsigned peers_count;         // only the first loop looks
    unsigned peers_come_in_count; // of those, not dialled
    struct complaint too_many_clients;
    struct complaint too_many_peers;
    int event_fd;
    atomic_bool is_shutting_down;
    atomic_bool is_fatal;
    atomic_uint running_count;
    atomic_ullong connections_count;
    pthread_mutex_t fatal_lock;
    struct reason fatal;
};

// Any loop's thread.
void net_report_fatal(struct net *net, const struct reason *reason);
void net_notify(struct net *net);
// The loop with the fewest connections.
struct loop *net_choose_loop(struct net *net);
// Say in the log that there are too many; the first loop's thread.
void net_refuse_client(struct net *net);
void net_refuse_peer(struct net *net);
