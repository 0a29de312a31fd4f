// The addresses of a name are tried one after the other; how long each and the whole may take is
// the caller's affair.

#include "client/dialing.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/weir.h"

void dialing_stop(struct dialing *dialing)
{
    if (dialing->fd >= 0) {
        close(dialing->fd);
    }
    if (dialing->found) {
        freeaddrinfo(dialing->found);
    }
    *dialing = (struct dialing){.fd = -1};
}

static int failed(struct dialing *dialing, const char *address, struct reason *reason)
{
    int error = dialing->error;
    dialing_stop(dialing);
    return reason_set(reason, ERR_CONNECT,
                      "cannot connect to %s: %s; is weir-server running there?", address,
                      strerror(error));
}

static int connected(struct dialing *dialing, int *fd_out)
{
    int fd = dialing->fd;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // not for Unix sockets
    dialing->fd = -1;
    dialing_stop(dialing);
    *fd_out = fd;
    return 0;
}

// 0: connected; DIALING_WAITS; negative: dialing->error.
static int try_one(struct dialing *dialing, const struct sockaddr *address, socklen_t length)
{
    dialing->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dialing->fd < 0) {
        dialing->error = errno;
        return -1;
    }
    if (connect(dialing->fd, address, length) == 0) {
        return 0;
    }
    if (errno == EINPROGRESS || errno == EINTR) {
        return DIALING_WAITS;
    }
    dialing->error = errno;
    close(dialing->fd);
    dialing->fd = -1;
    return -1;
}

static int try_next(struct dialing *dialing, const char *address, int *fd_out,
                    struct reason *reason)
{
    while (dialing->next) {
        const struct addrinfo *each = dialing->next;
        dialing->next = each->ai_next;
        int outcome = try_one(dialing, each->ai_addr, each->ai_addrlen);
        if (outcome >= 0) {
            return outcome == 0 ? connected(dialing, fd_out) : DIALING_WAITS;
        }
    }
    return failed(dialing, address, reason);
}

static int begin_unix(struct dialing *dialing, const char *path, int *fd_out, struct reason *reason)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        return reason_set(reason, ERR_INVALID, "socket path is too long (at most %zu bytes): %s",
                          sizeof address.sun_path - 1, path);
    }
    memcpy(address.sun_path, path, length + 1);
    int outcome = try_one(dialing, (struct sockaddr *)&address, sizeof address);
    if (outcome < 0) {
        return failed(dialing, path, reason);
    }
    return outcome == 0 ? connected(dialing, fd_out) : DIALING_WAITS;
}

int dialing_begin(struct dialing *dialing, const char *address, int *fd_out, struct reason *reason)
{
    struct weir_address_parts parts;
    struct weir_reason why = {0};
    dialing_stop(dialing);
    int err = weir_address_split(address, &parts, &why);
    if (err != 0) {
        return reason_set(reason, err, "%s", why.text);
    }
    if (parts.host[0] == '/' || parts.host[0] == '.') {
        return begin_unix(dialing, parts.host, fd_out, reason);
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int failure = getaddrinfo(parts.host, parts.port, &hints, &dialing->found);
    if (failure != 0) {
        dialing->found = NULL;
        return reason_set(reason, ERR_CONNECT, "cannot find host %s: %s; check the address",
                          parts.host, gai_strerror(failure));
    }
    dialing->next = dialing->found;
    return try_next(dialing, address, fd_out, reason);
}

static int next_after(struct dialing *dialing, int error, const char *address, int *fd_out,
                      struct reason *reason)
{
    dialing->error = error;
    close(dialing->fd);
    dialing->fd = -1;
    return try_next(dialing, address, fd_out, reason);
}

int dialing_skip(struct dialing *dialing, const char *address, int *fd_out, struct reason *reason)
{
    return next_after(dialing, ETIMEDOUT, address, fd_out, reason);
}

uint32_t dialing_left(const struct dialing *dialing)
{
    uint32_t left = 0;
    for (const struct addrinfo *each = dialing->next; each; each = each->ai_next) {
        left++;
    }
    return left;
}

int dialing_continue(struct dialing *dialing, const char *address, int *fd_out,
                     struct reason *reason)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(dialing->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) {
        error = errno;
    }
    return error == 0 ? connected(dialing, fd_out)
                      : next_after(dialing, error, address, fd_out, reason);
}
