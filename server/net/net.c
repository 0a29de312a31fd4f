// The loops together. The thread that owns a net watches it through one event descriptor: fatal
// errors, answers to pings and the end all ring it, and the state itself is asked for.
#include <assert.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/net/connection.h"
#include "server/net/net_state.h"

int net_new(const struct net_config *config, struct net **net_out, struct reason *reason)
{
    assert(config->loops_count >= 1 && config->loops_count <= NET_LOOPS_MAX);
    struct net *net = calloc(1, sizeof *net);
    if (net == NULL) {
        return reason_set(reason, ERR_MEMORY, "no memory for the network");
    }
    net->config = *config;
    pthread_mutex_init(&net->fatal_lock, NULL);
    net->greeter.epoll_fd = -1;
    net->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = net->event_fd < 0 ? ERR_IO : 0;
    for (unsigned i = 0; i < config->loops_count && err == 0; i++) {
        err = loop_init(&net->loops[i], net, i);
    }
    if (err == 0) {
        err = greeter_init(&net->greeter, net->loops[0].ev);
    }
    if (err == 0) {
        err = dialer_init(&net->dialer, &net->loops[0]);
    }
    if (err != 0) {
        reason_set(reason, err, "cannot set up the I/O loops: %s", err_text(err));
        net_free(net);
        return err;
    }
    listeners_init(&net->listeners, &net->loops[0]);
    *net_out = net;
    return 0;
}

void net_free(struct net *net)
{
    if (net == NULL) {
        return;
    }
    if (net->listeners.loop != NULL) {
        listeners_close(&net->listeners);
    }
    dialer_close(&net->dialer);
    for (unsigned i = 0; i < net->config.loops_count; i++) {
        if (net->loops[i].net != NULL) {
            loop_deinit(&net->loops[i]);
        }
    }
    greeter_deinit(&net->greeter);
    if (net->event_fd >= 0) {
        close(net->event_fd);
    }
    pthread_mutex_destroy(&net->fatal_lock);
    free(net);
}

const struct node_env *net_env(struct net *net, unsigned loop)
{
    assert(loop < net->config.loops_count);
    return &net->loops[loop].env;
}

void net_set_service(struct net *net, unsigned loop, struct service *service)
{
    assert(loop < net->config.loops_count);
    net->loops[loop].service = service;
}

int net_listen_tcp(struct net *net, const char *host, uint16_t port, struct reason *reason)
{
    return listeners_add_tcp(&net->listeners, host, port, reason);
}

int net_listen_unix(struct net *net, const char *path, struct reason *reason)
{
    return listeners_add_unix(&net->listeners, path, reason);
}

unsigned net_listeners_count(const struct net *net)
{
    return net->listeners.count;
}

const char *net_listener_name(const struct net *net, unsigned listener)
{
    assert(listener < net->listeners.count);
    return net->listeners.items[listener].name;
}

int net_start(struct net *net, struct reason *reason)
{
    atomic_store(&net->running_count, net->config.loops_count);
    listeners_start(&net->listeners);
    for (unsigned i = 0; i < net->config.loops_count; i++) {
        assert(net->loops[i].service != NULL);
        int err = loop_start(&net->loops[i]);
        if (err != 0) {
            atomic_fetch_sub(&net->running_count, net->config.loops_count - i);
            net_shut_down(net);
            net_join(net);
            return reason_set(reason, err, "cannot start a thread for an I/O loop");
        }
    }
    return 0;
}

int net_event_fd(const struct net *net)
{
    return net->event_fd;
}

void net_notify(struct net *net)
{
    eventfd_write(net->event_fd, 1); // fails only when it is full, and then it is readable
}

void net_report_fatal(struct net *net, const struct reason *reason)
{
    pthread_mutex_lock(&net->fatal_lock);
    if (!atomic_load(&net->is_fatal)) {
        net->fatal = *reason;
        atomic_store(&net->is_fatal, true);
    }
    pthread_mutex_unlock(&net->fatal_lock);
    net_notify(net);
}

bool net_is_fatal(struct net *net, struct reason *fatal_out)
{
    pthread_mutex_lock(&net->fatal_lock);
    bool is_fatal = atomic_load(&net->is_fatal);
    if (is_fatal) {
        *fatal_out = net->fatal;
    }
    pthread_mutex_unlock(&net->fatal_lock);
    return is_fatal;
}

void net_ping(struct net *net)
{
    for (unsigned i = 0; i < net->config.loops_count; i++) {
        atomic_fetch_add(&net->loops[i].ping, 1);
        loop_call(&net->loops[i]);
    }
}

bool net_has_answered(const struct net *net)
{
    for (unsigned i = 0; i < net->config.loops_count; i++) {
        if (atomic_load(&net->loops[i].pong) != atomic_load(&net->loops[i].ping)) {
            return false;
        }
    }
    return true;
}

uint64_t net_connections_count(const struct net *net)
{
    return atomic_load_explicit(&net->connections_count, memory_order_relaxed);
}

struct loop *net_choose_loop(struct net *net)
{
    // Among equals the last: the first one also accepts.
    struct loop *best = &net->loops[0];
    unsigned best_count = UINT32_MAX;
    for (unsigned i = net->config.loops_count; i-- > 0;) {
        unsigned count =
            atomic_load_explicit(&net->loops[i].connections_count, memory_order_relaxed);
        if (count < best_count) {
            best = &net->loops[i];
            best_count = count;
        }
    }
    return best;
}

void net_refuse_client(struct net *net)
{
    struct loop *loop = &net->loops[0];
    if (complaint_is_due(&net->too_many_clients, loop->now)) {
        loop_log(loop, LOG_WARNING,
                 "connection refused: %llu are open, that is the maximum (connections_max)",
                 (unsigned long long)net->config.connections_max);
    }
}

void net_refuse_peer(struct net *net)
{
    struct loop *loop = &net->loops[0];
    if (complaint_is_due(&net->too_many_peers, loop->now)) {
        loop_log(
            loop, LOG_WARNING,
            "connection of a peer refused: %d have come in and are open, or %d with those that "
            "were dialled, that is the maximum",
            PEERS_COME_IN_MAX, PEER_CONNECTIONS_MAX);
    }
}

void net_shut_down(struct net *net)
{
    atomic_store(&net->is_shutting_down, true);
    for (unsigned i = 0; i < net->config.loops_count; i++) {
        if (net->loops[i].has_thread) {
            loop_call(&net->loops[i]);
        }
    }
}

bool net_is_finished(const struct net *net)
{
    return atomic_load(&net->running_count) == 0;
}

bool net_join(struct net *net)
{
    bool is_idle = true;
    for (unsigned i = 0; i < net->config.loops_count; i++) {
        struct loop *loop = &net->loops[i];
        if (loop->has_thread) {
            pthread_join(loop->thread, NULL);
            loop->has_thread = false;
            is_idle = is_idle && !loop->is_stuck;
        }
    }
    return is_idle;
}
