// A dial has one second for everything: finding the host's addresses, and trying them one after
// the other. How it ends is always said in a turn of its own, because whoever dials is in the
// middle of something. Keep-alive is left off: peers send heartbeats. Buffers are left to the
// kernel, which lets them grow far beyond a frame where a link needs it; sizes that are set are cut
// to less than that, and never grow.
#include "server/net/dialer.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/net/connection.h"
#include "server/net/net_state.h"
#include "server/node/peer.h"

static void stop(struct dial *dial)
{
    ev_io_stop(dial->dialer->loop->ev, &dial->connected);
    ev_timer_stop(dial->dialer->loop->ev, &dial->over);
    if (dial->fd >= 0) {
        close(dial->fd);
        dial->fd = -1;
    }
    dial->is_resolving = false;
}

static void fail(struct dial *dial)
{
    stop(dial);
    ev_timer_set(&dial->over, 0.0, 0.0);
    ev_timer_start(dial->dialer->loop->ev, &dial->over);
}

static void report(struct dial *dial)
{
    struct loop *loop = dial->dialer->loop;
    uint64_t number = dial->number;
    struct reason why = dial->why;
    stop(dial);
    dial->number = 0;
    loop->turn_wanted = true;
    loop_log(loop, LOG_DEBUG, "cannot connect to %s: %s", dial->address, why.text);
    peer_dial_failed(loop->service, number, why.text);
}

static void try_next(struct dial *dial)
{
    while (dial->next < dial->addresses.count) {
        union net_address *address = &dial->addresses.items[dial->next++];
        net_address_set_port(address, dial->port);
        dial->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (dial->fd >= 0 && (connect(dial->fd, &address->any, net_address_length(address)) == 0 ||
                              errno == EINPROGRESS)) {
            ev_io_set(&dial->connected, dial->fd, EV_WRITE);
            ev_io_start(dial->dialer->loop->ev, &dial->connected);
            return;
        }
        reason_set(&dial->why, 0, "%s", strerror(errno));
        if (dial->fd >= 0) {
            close(dial->fd);
            dial->fd = -1;
        }
    }
    fail(dial);
}

static void succeed(struct dial *dial)
{
    struct loop *loop = dial->dialer->loop;
    uint64_t number = dial->number;
    int fd = dial->fd;
    dial->fd = -1;
    stop(dial);
    dial->number = 0;
    net_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connection_new_dialed(loop, fd, dial->address, number) == NULL) {
        peer_dial_failed(loop->service, number, err_text(ERR_MEMORY));
        loop->turn_wanted = true;
    }
}

static void finish_connect(struct dial *dial)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
    }
    // Where nobody listens, a connection from a port to itself can come about.
    if (error == 0 && net_address_is_self(dial->fd)) {
        error = ECONNREFUSED;
    }
    if (error == 0) {
        succeed(dial);
        return;
    }
    reason_set(&dial->why, 0, "%s", strerror(error));
    ev_io_stop(dial->dialer->loop->ev, &dial->connected);
    close(dial->fd);
    dial->fd = -1;
    try_next(dial);
}

static void resolve(struct dial *dial, bool is_new)
{
    struct dialer *dialer = dial->dialer;
    int err =
        resolver_find(dialer->resolver, dial->host, is_new, dialer->loop->now, &dial->addresses);
    dial->is_resolving = err == RESOLVER_PENDING;
    if (err == RESOLVER_PENDING) {
        reason_set(&dial->why, 0, "the name %.100s is not resolved yet", dial->host);
    } else if (err != 0) {
        reason_set(&dial->why, 0, "the name %.100s is not known", dial->host);
        fail(dial);
    } else {
        reason_set(&dial->why, 0, "no answer within %d ms", DIAL_MS);
        try_next(dial);
    }
}

static void on_connected(struct ev_loop *ev, ev_io *watcher, int events)
{
    finish_connect(container_of(watcher, struct dial, connected));
}

static void on_over(struct ev_loop *ev, ev_timer *watcher, int events)
{
    report(container_of(watcher, struct dial, over));
}

static void look_again(struct dialer *dialer)
{
    for (unsigned i = 0; i < DIALS_MAX; i++) {
        if (dialer->dials[i].number != 0 && dialer->dials[i].is_resolving) {
            resolve(&dialer->dials[i], false);
        }
    }
}

static void on_resolved(struct ev_loop *ev, ev_async *watcher, int events)
{
    look_again(container_of(watcher, struct dialer, resolved));
}

static void notify(void *context)
{
    struct dialer *dialer = context;
    ev_async_send(dialer->loop->ev, &dialer->resolved);
}

int dialer_init(struct dialer *dialer, struct loop *loop)
{
    dialer->dials = calloc(DIALS_MAX, sizeof *dialer->dials);
    if (dialer->dials == NULL || resolver_new(notify, dialer, &dialer->resolver) != 0) {
        free(dialer->dials);
        return ERR_MEMORY;
    }
    for (unsigned i = 0; i < DIALS_MAX; i++) {
        struct dial *dial = &dialer->dials[i];
        dial->dialer = dialer;
        dial->fd = -1;
        ev_init(&dial->connected, on_connected);
        ev_init(&dial->over, on_over);
    }
    dialer->loop = loop;
    ev_async_init(&dialer->resolved, on_resolved);
    ev_async_start(loop->ev, &dialer->resolved);
    return 0;
}

void dialer_close(struct dialer *dialer)
{
    if (dialer->loop == NULL) {
        return;
    }
    resolver_close(dialer->resolver);
    for (unsigned i = 0; i < DIALS_MAX; i++) {
        stop(&dialer->dials[i]);
    }
    ev_async_stop(dialer->loop->ev, &dialer->resolved);
    free(dialer->dials);
    *dialer = (struct dialer){0};
}

void dialer_dial(struct dialer *dialer, uint64_t number, const char *address)
{
    struct dial *dial = NULL;
    if (dialer->loop == NULL) {
        return; // at the end
    }
    for (unsigned i = 0; i < DIALS_MAX && dial == NULL; i++) {
        dial = dialer->dials[i].number == 0 ? &dialer->dials[i] : NULL;
    }
    assert(number != 0 && dial != NULL && strlen(address) < sizeof dial->address);
    dial->number = number;
    dial->addresses.count = 0;
    dial->next = 0;
    memcpy(dial->address, address, strlen(address) + 1);
    if (!net_address_split(address, dial->host, &dial->port)) {
        reason_set(&dial->why, 0, "not an address: host:port and [ipv6]:port are valid");
        fail(dial);
        return;
    }
    ev_now_update(dialer->loop->ev); // the first ones are dialled before the loop runs
    ev_timer_set(&dial->over, DIAL_MS / 1e3, 0.0);
    ev_timer_start(dialer->loop->ev, &dial->over);
    resolve(dial, true);
}
