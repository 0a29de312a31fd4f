// Non-blocking connects with poll, so that a host that swallows packets costs the time allowed and
// not the kernel's two minutes. The time that is left is shared evenly between the addresses left.

#include "client/dial.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct instant clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct instant){.ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
}

static int wait_ms(struct instant until)
{
    int64_t left_ms = (until.ns - clock_now().ns + 999999) / 1000000;
    return left_ms < 0 ? 0 : left_ms > 1000000 ? 1000000 : (int)left_ms;
}

// 0, or an errno; EINTR when woken.
static int wait_connected(int fd, struct instant until, int wake_fd)
{
    struct pollfd polled[2] = {{.fd = fd, .events = POLLOUT}, {.fd = wake_fd, .events = POLLIN}};
    for (;;) {
        int count = poll(polled, 2, wait_ms(until));
        if (count < 0 && errno != EINTR) {
            return errno;
        }
        if (count == 0) {
            return ETIMEDOUT;
        }
        if (count > 0 && polled[1].revents) {
            return EINTR;
        }
        if (count > 0 && polled[0].revents) {
            break;
        }
    }
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

// 0, or an errno.
static int try_address(const struct sockaddr *address, socklen_t length, struct instant until,
                       int wake_fd, int *fd_out)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int error = connect(fd, address, length) == 0 ? 0 : errno;
    if (error == EINPROGRESS || error == EINTR) {
        error = wait_connected(fd, until, wake_fd);
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    int on = 1;
    if (address->sa_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    *fd_out = fd;
    return 0;
}

static int open_unix(const char *path, struct instant until, int wake_fd, int *fd_out,
                     struct reason *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static_assert(DIAL_SOCKET_PATH_MAX + 1 == sizeof address.sun_path, "as the kernel has it");
    if (strlen(path) > DIAL_SOCKET_PATH_MAX) {
        return reason_set(reason, ERR_INVALID, "socket path is too long (at most %d bytes): %s",
                          DIAL_SOCKET_PATH_MAX, path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int error = try_address((struct sockaddr *)&address, sizeof address, until, wake_fd, fd_out);
    if (error == EINTR) {
        return DIAL_WOKEN;
    }
    if (error != 0) {
        return reason_set(reason, ERR_CONNECT,
                          "cannot connect to %s: %s; is weir-server running with --socket?", path,
                          strerror(error));
    }
    return 0;
}

static int open_tcp(const struct dial_address *where, struct instant until, int wake_fd,
                    int *fd_out, struct reason *reason)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int failure = getaddrinfo(where->host, where->port, &hints, &found);
    if (failure != 0) {
        return reason_set(reason, ERR_CONNECT, "cannot find host %s: %s; check -H and -p",
                          where->host, gai_strerror(failure));
    }
    int64_t left = 0;
    for (const struct addrinfo *each = found; each; each = each->ai_next) {
        left++;
    }
    int error = 0;
    for (const struct addrinfo *each = found; each; each = each->ai_next, left--) {
        struct instant now = clock_now();
        int64_t share_ns = until.ns > now.ns ? (until.ns - now.ns) / left : 0;
        struct instant share = instant_add(now, (struct duration){.ns = share_ns});
        error = try_address(each->ai_addr, each->ai_addrlen, share, wake_fd, fd_out);
        if (error == 0 || error == EINTR) {
            break;
        }
    }
    freeaddrinfo(found);
    if (error == EINTR) {
        return DIAL_WOKEN;
    }
    if (error != 0) {
        return reason_set(reason, ERR_CONNECT,
                          "cannot connect to %s port %s: %s; is weir-server running there?",
                          where->host, where->port, strerror(error));
    }
    return 0;
}

int dial_open(const struct dial_address *address, struct instant until, int wake_fd, int *fd_out,
              struct reason *reason)
{
    if (address->socket_path) {
        return open_unix(address->socket_path, until, wake_fd, fd_out, reason);
    }
    return open_tcp(address, until, wake_fd, fd_out, reason);
}
