// Listening and accepting. A name may stand for several addresses; each is a listener of its own,
// and IPv6 sockets take IPv6 only, so that "every address" is one socket per family.
//
// Accepting can fail for want of files or memory while the connection stays in the queue, so the
// socket stays readable: then all listeners rest for a moment instead of spinning.
#include "server/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/net/address.h"
#include "server/net/connection.h"
#include "server/net/net_state.h"

enum {
    PAUSE_MS = 100,
    ACCEPTS_PER_TURN = 64,
    KEEPALIVE_IDLE_SECONDS = 60,
    KEEPALIVE_INTERVAL_SECONDS = 10,
    KEEPALIVE_PROBES = 4,
};

static void name_peer(const struct listener *listener, int fd, const union net_address *address,
                      socklen_t length, char out[PEER_NAME_MAX + 1])
{
    if (!listener->is_unix) {
        net_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        net_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        net_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS);
        net_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
        net_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
        net_address_format(address, length, out, PEER_NAME_MAX + 1);
        return;
    }
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        peer.pid = 0;
    }
    snprintf(out, PEER_NAME_MAX + 1, "unix:pid %d", (int)peer.pid);
}

static void rest(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        ev_io_stop(listeners->loop->ev, &listeners->items[i].acceptable);
    }
    ev_timer_set(&listeners->pause, PAUSE_MS / 1e3, 0.0);
    ev_timer_start(listeners->loop->ev, &listeners->pause);
}

// Returns whether to go on accepting.
static bool accept_failed(struct listeners *listeners)
{
    if (errno == EAGAIN) {
        return false;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (complaint_is_due(&listeners->no_files, listeners->loop->now)) {
            loop_log(listeners->loop, LOG_WARNING,
                     "cannot accept connections: %s; they wait until others end", strerror(errno));
        }
        rest(listeners);
        return false;
    }
    return true; // the connection itself is at fault, and gone
}

static bool accept_one(struct listener *listener)
{
    struct loop *loop = listener->all->loop;
    struct net *net = loop->net;
    union net_address address = {0};
    socklen_t length = sizeof address;
    int fd = accept4(listener->fd, &address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return accept_failed(listener->all);
    }
    uint64_t open = atomic_load_explicit(&net->connections_count, memory_order_relaxed);
    if (open >= net->config.connections_max + SPARE_CONNECTIONS_MAX) {
        net_refuse_client(net);
        close(fd);
        return true;
    }
    char peer_name[PEER_NAME_MAX + 1];
    name_peer(listener, fd, &address, length, peer_name);
    return connection_new(loop, fd, peer_name, open >= net->config.connections_max) != NULL;
}

static void accept_some(struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(listener); i++) {
    }
}

static void on_acceptable(struct ev_loop *ev, ev_io *watcher, int events)
{
    accept_some(container_of(watcher, struct listener, acceptable));
}

static void on_pause_over(struct ev_loop *ev, ev_timer *watcher, int events)
{
    listeners_start(container_of(watcher, struct listeners, pause));
}

void listeners_init(struct listeners *listeners, struct loop *loop)
{
    listeners->loop = loop;
    listeners->count = 0;
    ev_init(&listeners->pause, on_pause_over);
}

void listeners_start(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++) {
        ev_io_start(listeners->loop->ev, &listeners->items[i].acceptable);
    }
}

static void remove_socket_file(const struct listener *listener)
{
    const char *path = listener->name + strlen("unix:");
    struct stat status;
    if (lstat(path, &status) == 0 && status.st_dev == listener->device &&
        status.st_ino == listener->inode) {
        unlink(path);
    }
}

void listeners_close(struct listeners *listeners)
{
    ev_timer_stop(listeners->loop->ev, &listeners->pause);
    for (unsigned i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->items[i];
        ev_io_stop(listeners->loop->ev, &listener->acceptable);
        if (listener->is_unix && listener->fd >= 0) {
            remove_socket_file(listener);
        }
        if (listener->fd >= 0) {
            close(listener->fd);
            listener->fd = -1;
        }
    }
}

static struct listener *add(struct listeners *listeners, int fd, const char *name)
{
    struct listener *listener = &listeners->items[listeners->count++];
    *listener = (struct listener){.all = listeners, .fd = fd};
    snprintf(listener->name, sizeof listener->name, "%s", name);
    ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
    return listener;
}

static int listen_failed(const char *name, struct reason *reason)
{
    switch (errno) {
    case EADDRINUSE:
        return reason_set(reason, ERR_BUSY,
                          "cannot listen on %s: the port is in use by another process; stop that, "
                          "or choose another with --port (0: any free one)",
                          name);
    case EACCES:
    case EPERM:
        return reason_set(
            reason, ERR_DENIED,
            "cannot listen on %s: not permitted; choose a port above 1023 with --port", name);
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return reason_set(reason, ERR_INVALID,
                          "cannot listen on %s: this machine has no such address; correct --listen",
                          name);
    default:
        return reason_set(reason, ERR_IO, "cannot listen on %s: %s", name, strerror(errno));
    }
}

// Whether the port, or when that is taken and any would do, another one, could be bound.
static bool bind_port(int fd, const struct addrinfo *info, uint16_t port, bool is_any)
{
    union net_address address = {0};
    memcpy(&address, info->ai_addr, info->ai_addrlen);
    net_address_set_port(&address, port);
    if (bind(fd, &address.any, info->ai_addrlen) == 0) {
        return true;
    }
    net_address_set_port(&address, 0);
    return errno == EADDRINUSE && is_any && bind(fd, &address.any, info->ai_addrlen) == 0;
}

static int add_address(struct listeners *listeners, const struct addrinfo *info, uint16_t port,
                       bool is_any, struct reason *reason)
{
    union net_address address = {0};
    socklen_t length = info->ai_addrlen;
    char name[LISTENER_NAME_MAX + 1];
    memcpy(&address, info->ai_addr, length);
    net_address_format(&address, length, name, sizeof name);
    if (listeners->count == LISTENERS_MAX) {
        return reason_set(reason, ERR_LIMIT, "cannot listen on %s: more than %d addresses", name,
                          LISTENERS_MAX);
    }
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return listen_failed(name, reason);
    }
    net_set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (info->ai_family == AF_INET6) {
        net_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (!bind_port(fd, info, port, is_any) || listen(fd, SOMAXCONN) != 0) {
        int err = listen_failed(name, reason);
        close(fd);
        return err;
    }
    length = sizeof address;
    if (getsockname(fd, &address.any, &length) == 0) {
        net_address_format(&address, length, name, sizeof name);
    }
    add(listeners, fd, name);
    return 0;
}

static uint16_t port_of(int fd)
{
    union net_address address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0) {
        return 0;
    }
    return net_address_port(&address);
}

int listeners_add_tcp(struct listeners *listeners, const char *host, uint16_t port,
                      struct reason *reason)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *infos = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, service, &hints, &infos);
    if (failed != 0) {
        return reason_set(reason, ERR_INVALID, "cannot listen on %s: %s; correct --listen", host,
                          gai_strerror(failed));
    }
    int err = 0;
    unsigned before = listeners->count;
    bool is_any = port == 0;
    for (struct addrinfo *info = infos; info != NULL && err == 0; info = info->ai_next) {
        struct reason why = {0};
        err = add_address(listeners, info, port, is_any, &why);
        // A name may have an address of a family that this machine has switched off.
        bool is_spare = err == ERR_INVALID && (info->ai_next != NULL || listeners->count > before);
        if (err != 0 && !is_spare) {
            reason_set(reason, err, "%s", why.text);
        }
        err = is_spare ? 0 : err;
        if (is_any && port == 0 && listeners->count > before) {
            port = port_of(listeners->items[before].fd);
        }
    }
    freeaddrinfo(infos);
    return err;
}

// Removes a socket file that a process left behind. ERR_BUSY: somebody answers on it.
static int clear_stale(const struct sockaddr_un *address, struct reason *reason)
{
    struct stat status;
    const char *path = address->sun_path;
    if (lstat(path, &status) != 0) {
        return 0;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return reason_set(reason, ERR_FOREIGN,
                          "cannot listen on unix:%s: the file exists and is not a socket; remove "
                          "it or choose another path with --socket",
                          path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return reason_set(reason, ERR_IO, "cannot listen on unix:%s: %s", path, strerror(errno));
    }
    bool is_stale =
        connect(fd, (const struct sockaddr *)(const void *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED;
    close(fd);
    if (!is_stale) {
        return reason_set(reason, ERR_BUSY,
                          "cannot listen on unix:%s: another process answers on it; stop that or "
                          "choose another path with --socket",
                          path);
    }
    unlink(path);
    return 0;
}

int listeners_add_unix(struct listeners *listeners, const char *path, struct reason *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[LISTENER_NAME_MAX + 1];
    struct stat status;
    if (strlen(path) >= sizeof address.sun_path || listeners->count == LISTENERS_MAX) {
        return reason_set(reason, ERR_LIMIT,
                          "cannot listen on unix:%s: the path is longer than %zu bytes", path,
                          sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int err = clear_stale(&address, reason);
    if (err != 0) {
        return err;
    }
    snprintf(name, sizeof name, "unix:%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Nobody can connect before listen, so the mode is right from the first moment.
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&address, sizeof address) != 0 ||
        chmod(path, 0660) != 0 || listen(fd, SOMAXCONN) != 0 || lstat(path, &status) != 0) {
        err = reason_set(reason, errno == EACCES || errno == EROFS ? ERR_DENIED : ERR_IO,
                         "cannot listen on %s: %s; choose another path with --socket", name,
                         strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    struct listener *listener = add(listeners, fd, name);
    listener->is_unix = true;
    listener->device = status.st_dev;
    listener->inode = status.st_ino;
    return 0;
}
