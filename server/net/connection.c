// The life of a connection. Every way out leads to the list of the dead: watchers stop at once, but
// the memory stays until the end of the turn, because callbacks further up may still look at it.
//
// A connection that ends is closed in two steps where the peer may still be sending: after the
// last byte the write side is shut, and what comes is thrown away until the peer closes or a
// moment has passed. Closed at once, unread bytes would make the kernel send a reset, and the peer
// would lose the error message that explains why.
#include "server/net/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/frontend/frontend.h"
#include "server/net/address.h"
#include "server/net/net_state.h"
#include "server/node/peer.h"
#include "server/node/service.h"

enum { GREETING_MS = 10000, GREETING_SPARE_MS = 1000, ENDING_MS = 3000, LINGERING_MS = 1000 };

static void on_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    connection_on_readable(container_of(watcher, struct connection, readable));
}

static void on_writable(struct ev_loop *ev, ev_io *watcher, int events)
{
    connection_on_writable(container_of(watcher, struct connection, writable));
}

static void on_timer(struct ev_loop *ev, ev_timer *watcher, int events)
{
    connection_on_timer(container_of(watcher, struct connection, timer));
}

static struct connection *make(struct loop *loop, int fd, const char *peer_name)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        close(fd);
        return NULL;
    }
    list_init(&connection->node);
    list_init(&connection->work);
    list_init(&connection->starved);
    connection->loop = loop;
    connection->fd = fd;
    connection->armed = INSTANT_NEVER;
    snprintf(connection->peer_name, sizeof connection->peer_name, "%s", peer_name);
    ev_io_init(&connection->readable, on_readable, fd, EV_READ);
    ev_io_init(&connection->writable, on_writable, fd, EV_WRITE);
    ev_init(&connection->timer, on_timer);
    list_append(&loop->connections, &connection->node);
    atomic_fetch_add_explicit(&loop->net->connections_count, 1, memory_order_relaxed);
    return connection;
}

struct connection *connection_new(struct loop *loop, int fd, const char *peer_name, bool is_spare)
{
    struct connection *connection = make(loop, fd, peer_name);
    if (connection == NULL) {
        return NULL;
    }
    connection->is_spare = is_spare;
    connection->end_by =
        instant_add(loop->now, duration_ms(is_spare ? GREETING_SPARE_MS : GREETING_MS));
    connection->is_greeting = greeter_add(&loop->net->greeter, connection) == 0;
    if (connection->is_greeting) {
        connection_touch(connection); // sets the timer
    } else {
        connection_kill(connection);
    }
    return connection;
}

struct connection *connection_new_dialed(struct loop *loop, int fd, const char *peer_name,
                                         uint64_t dial)
{
    struct connection *connection = make(loop, fd, peer_name);
    if (connection == NULL) {
        return NULL;
    }
    connection->ops = loop->net->config.peer;
    connection->dial = dial;
    if (connection_become_peer(connection)) {
        connection_attach(connection, loop, bytes_of(NULL, 0));
    } else {
        peer_dial_failed(loop->service, dial, "too many connections of peers");
        connection_kill(connection);
    }
    return connection;
}

bool connection_become_peer(struct connection *connection)
{
    struct net *net = connection->loop->net;
    bool comes_in = connection->dial == 0;
    if (net->peers_count == PEER_CONNECTIONS_MAX ||
        (comes_in && net->peers_come_in_count == PEERS_COME_IN_MAX)) {
        return false;
    }
    net->peers_count++;
    net->peers_come_in_count += comes_in;
    atomic_fetch_sub_explicit(&net->connections_count, 1, memory_order_relaxed);
    connection->is_peer = true;
    return true;
}

static void stop_greeting(struct connection *connection)
{
    if (connection->is_greeting) {
        greeter_remove(&connection->loop->net->greeter, connection);
        connection->is_greeting = false;
    }
}

static void stop_watchers(struct connection *connection)
{
    stop_greeting(connection);
    ev_io_stop(connection->loop->ev, &connection->readable);
    ev_io_stop(connection->loop->ev, &connection->writable);
    ev_timer_stop(connection->loop->ev, &connection->timer);
    connection->armed = INSTANT_NEVER;
}

void connection_detach(struct connection *connection)
{
    assert(connection->frontend == NULL && connection->charged == 0);
    stop_watchers(connection);
    list_remove(&connection->node);
    list_remove(&connection->work);
}

static void open_failed(struct connection *connection, int err)
{
    struct loop *loop = connection->loop;
    if (complaint_is_due(&loop->not_opened, loop->now)) {
        loop_log(loop, LOG_WARNING, "the connection with %s is closed: %s", connection->peer_name,
                 err_text(err));
    }
    if (connection->dial != 0) {
        peer_dial_failed(loop->service, connection->dial, err_text(err));
    }
    connection_kill(connection);
}

void connection_attach(struct connection *connection, struct loop *loop, struct bytes fresh)
{
    struct frontend_config config = {
        .service = loop->service,
        .peer_name = connection->peer_name,
        .owner = connection,
        .dial = connection->dial,
        .is_local = connection->is_peer && net_address_is_local(connection->fd),
    };
    stop_greeting(connection);
    connection->loop = loop;
    if (!connection->is_counted) {
        connection->is_counted = true;
        atomic_fetch_add_explicit(&loop->connections_count, 1, memory_order_relaxed);
    }
    if (list_is_empty(&connection->node)) {
        list_append(&loop->connections, &connection->node);
    }
    int err = connection->ops->open(&config, &connection->frontend);
    if (err != 0) {
        open_failed(connection, err);
        return;
    }
    connection->state = CONNECTION_OPEN;
    if (!connection->is_peer) {
        service_count_connection(loop->service, 1);
    }
    ev_io_start(loop->ev, &connection->readable);
    loop_log(loop, LOG_DEBUG, "%s has connected, loop %u", connection->peer_name, loop->index);
    connection_touch(connection);
    connection_feed(connection, fresh);
}

void connection_touch(struct connection *connection)
{
    if (list_is_empty(&connection->work)) {
        list_append(&connection->loop->flush, &connection->work);
    }
}

void connection_kill(struct connection *connection)
{
    if (connection->state != CONNECTION_DEAD) {
        stop_watchers(connection);
        connection->state = CONNECTION_DEAD;
        list_remove(&connection->work);
        list_append(&connection->loop->dead, &connection->work);
    }
}

void connection_end(struct connection *connection, bool is_refused)
{
    connection->is_refused |= is_refused;
    if (connection->state == CONNECTION_OPEN) {
        ev_io_stop(connection->loop->ev, &connection->readable);
        connection->state = CONNECTION_ENDING;
        connection->end_by = instant_add(connection->loop->now, duration_ms(ENDING_MS));
        connection_touch(connection);
    }
}

static void linger(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if (connection->has_ended || shutdown(connection->fd, SHUT_WR) != 0) {
        connection_kill(connection);
        return;
    }
    connection->state = CONNECTION_LINGERING;
    connection->end_by = instant_add(loop->now, duration_ms(LINGERING_MS));
    ev_io_stop(loop->ev, &connection->writable);
    ev_io_start(loop->ev, &connection->readable);
}

// When something is due. INSTANT_NEVER: not by time.
static struct instant deadline(const struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_GREETING:
    case CONNECTION_ENDING:
    case CONNECTION_LINGERING:
        return connection->end_by;
    case CONNECTION_OPEN:
        return connection->frontend->ops->deadline(connection->frontend);
    case CONNECTION_DEAD:
        return INSTANT_NEVER;
    }
    return INSTANT_NEVER;
}

// Timers move forward lazily: one that fires too early finds out and is set again, so that the
// many that are postponed with every message cost nothing.
static void arm(struct connection *connection)
{
    struct loop *loop = connection->loop;
    struct instant due = deadline(connection);
    if (due.ns >= connection->armed.ns) {
        return;
    }
    double after = due.ns <= loop->now.ns ? 0.0 : (double)(due.ns - loop->now.ns) / 1e9;
    ev_timer_stop(loop->ev, &connection->timer);
    ev_timer_set(&connection->timer, after, 0.0);
    ev_timer_start(loop->ev, &connection->timer);
    connection->armed = due;
}

void connection_on_timer(struct connection *connection)
{
    connection->armed = INSTANT_NEVER;
    connection_touch(connection);
    if (!instant_reached(deadline(connection), connection->loop->now)) {
        return;
    }
    if (connection->state != CONNECTION_OPEN) {
        connection_kill(connection);
    } else if (connection->frontend->ops->tick(connection->frontend, connection->loop->now) < 0) {
        connection_end(connection, true);
    }
}

void connection_on_ready(struct connection *connection)
{
    if (connection->is_saturated && connection->state == CONNECTION_OPEN) {
        connection_feed(connection, bytes_of(NULL, 0));
    }
    if (connection->state != CONNECTION_DEAD) {
        connection_touch(connection);
    }
}

void connection_on_writable(struct connection *connection)
{
    ev_io_stop(connection->loop->ev, &connection->writable);
    connection_touch(connection);
}

// Sends up to a turn's share. Returns whether the front end has nothing more to send.
static bool send_some(struct connection *connection, size_t *sent_out)
{
    struct loop *loop = connection->loop;
    struct frontend *frontend = connection->frontend;
    while (!ev_is_active(&connection->writable)) {
        struct iovec pieces[SEND_PIECES];
        size_t count = frontend->ops->peek(frontend, pieces, SEND_PIECES);
        size_t total = 0;
        for (size_t i = 0; i < count; i++) {
            total += pieces[i].iov_len;
        }
        if (total == 0) {
            return true;
        }
        if (*sent_out >= TURN_BYTES) {
            list_remove(&connection->work);
            list_append(&loop->later, &connection->work);
            return false;
        }
        ssize_t sent = writev(connection->fd, pieces, (int)count);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            connection_kill(connection);
            return false;
        }
        if (sent > 0) {
            frontend->ops->sent(frontend, (size_t)sent);
            *sent_out += (size_t)sent;
        }
        if (sent < 0 ? errno == EAGAIN : (size_t)sent < total) {
            ev_io_start(loop->ev, &connection->writable);
        }
    }
    return false;
}

static bool may_wait(const struct connection *connection)
{
    const struct frontend *frontend = connection->frontend;
    return connection->state == CONNECTION_OPEN && !connection->loop->is_shutting_down &&
           frontend->ops->is_patient != NULL && frontend->ops->is_patient(frontend);
}

void connection_flush(struct connection *connection)
{
    struct loop *loop = connection->loop;
    if ((connection->state == CONNECTION_OPEN && !may_wait(connection)) ||
        connection->state == CONNECTION_ENDING) {
        size_t sent = 0;
        bool is_all = send_some(connection, &sent);
        if (sent > 0 && connection->is_saturated && connection->state == CONNECTION_OPEN) {
            connection_feed(connection, bytes_of(NULL, 0));
            is_all = false; // the feed may have answered; it touched the connection
        }
        bool ends = connection->state == CONNECTION_ENDING ||
                    (connection->state == CONNECTION_OPEN && loop->is_shutting_down);
        if (is_all && ends &&
            (connection->is_refused || connection->frontend->ops->is_idle(connection->frontend))) {
            linger(connection);
        }
    }
    arm(connection);
}

void connection_free(struct connection *connection)
{
    struct loop *loop = connection->loop;
    list_remove(&connection->node);
    list_remove(&connection->work);
    list_remove(&connection->starved);
    loop->grown_bytes -= connection->charged;
    loop->large_count -= connection->is_large ? 1 : 0;
    if (connection->frontend != NULL) {
        connection->frontend->ops->close(connection->frontend);
        if (!connection->is_peer) {
            service_count_connection(loop->service, -1);
        }
        loop_log(loop, LOG_DEBUG, "%s is gone", connection->peer_name);
    }
    if (connection->is_counted) {
        atomic_fetch_sub_explicit(&loop->connections_count, 1, memory_order_relaxed);
    }
    if (connection->is_peer) {
        loop->net->peers_count--;
        loop->net->peers_come_in_count -= connection->dial == 0;
    } else {
        atomic_fetch_sub_explicit(&loop->net->connections_count, 1, memory_order_relaxed);
    }
    inbox_deinit(&connection->inbox);
    close(connection->fd);
    free(connection);
}
