// libweir in an event loop of poll(2): prints COUNT events of a pattern.
// usage: loop_poll PATTERN COUNT [ADDRESS...]

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir.h>

#include "examples/connect.h"

struct loop {
    struct weir *weir;
    int fd;             // -1: none
    bool is_connecting; // fd is not connected yet
    bool is_over;
};

static void lose(struct loop *loop, int err, const char *text)
{
    if (loop->fd >= 0) {
        close(loop->fd);
    }
    loop->fd = -1;
    loop->is_connecting = false;
    weir_disconnected(loop->weir, err, text, weir_clock());
}

// Opens and closes the socket as the core wants it.
static void follow(struct loop *loop)
{
    switch (weir_want(loop->weir)) {
    case WEIR_WANT_CONNECT:
        if (loop->fd < 0) {
            loop->fd = connect_begin(weir_address(loop->weir));
            loop->is_connecting = true;
            if (loop->fd < 0) {
                lose(loop, WEIR_ERR_CONNECT, strerror(errno));
            }
        }
        break;
    case WEIR_WANT_CLOSE:
        lose(loop, WEIR_ERR_CLOSED, NULL);
        break;
    case WEIR_WANT_TIME:
    case WEIR_WANT_BYTES:
    case WEIR_WANT_NOTHING:
        break;
    }
}

static void on_ready(struct loop *loop)
{
    if (loop->is_connecting) {
        int error = connect_error(loop->fd);
        loop->is_connecting = false;
        if (error != 0 || weir_connected(loop->weir, weir_clock()) != 0) {
            lose(loop, WEIR_ERR_CONNECT, strerror(error));
        }
        return;
    }
    void *space;
    size_t length;
    if (weir_space(loop->weir, &space, &length) != 0) {
        return;
    }
    ssize_t received = recv(loop->fd, space, length, 0);
    if (received > 0) {
        weir_received(loop->weir, (size_t)received, weir_clock());
    } else if (received == 0 || (errno != EAGAIN && errno != EINTR)) {
        lose(loop, WEIR_ERR_CLOSED, received == 0 ? "closed by the node" : strerror(errno));
    }
}

static void take_notices(struct loop *loop)
{
    const struct weir_notice *notice;
    int outcome;
    while ((outcome = weir_next(loop->weir, &notice)) == 0) {
        if (notice->kind == WEIR_NOTICE_EVENT) {
            printf("%.*s\n", (int)notice->event->data.length,
                   (const char *)notice->event->data.data);
        } else if (notice->kind == WEIR_NOTICE_DISCONNECTED) {
            fprintf(stderr, "lost: %s\n", notice->connection->text);
        } else if (notice->kind == WEIR_NOTICE_END) {
            loop->is_over = true;
        }
    }
    loop->is_over = loop->is_over || outcome < 0;
}

static void send_output(struct loop *loop)
{
    struct weir_bytes output = weir_output(loop->weir);
    if (output.length > 0) {
        ssize_t sent = send(loop->fd, output.data, output.length, MSG_NOSIGNAL);
        if (sent > 0) {
            weir_sent(loop->weir, (size_t)sent);
        }
    }
}

static void turn(struct loop *loop)
{
    weir_tick(loop->weir, weir_clock());
    follow(loop);
    take_notices(loop);
    send_output(loop);
    fflush(stdout);
    if (loop->is_over) {
        return;
    }
    int64_t deadline = weir_deadline(loop->weir);
    int64_t left_ms = deadline == WEIR_NEVER ? -1 : (deadline - weir_clock()) / 1000000 + 1;
    bool sends = loop->is_connecting || weir_output(loop->weir).length > 0;
    struct pollfd polled = {
        .fd = loop->fd,
        .events = (short)((loop->is_connecting ? 0 : POLLIN) | (sends ? POLLOUT : 0)),
    };
    int timeout = left_ms > 60000 ? 60000 : (int)left_ms;
    if (poll(&polled, 1, deadline != WEIR_NEVER && timeout < 0 ? 0 : timeout) > 0) {
        on_ready(loop);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: loop_poll PATTERN COUNT [ADDRESS...]\n");
        return 2;
    }
    struct weir_options options = {
        .size = sizeof options,
        .addresses = (const char *const *)argv + 3,
        .addresses_count = (size_t)argc - 3,
        .begins_with_first = true,
    };
    const char *patterns[] = {argv[1]};
    struct weir_subscribe_options subscribe = {
        .size = sizeof subscribe,
        .patterns = patterns,
        .patterns_count = 1,
        .limit = strtoull(argv[2], NULL, 10),
    };
    struct loop loop = {.fd = -1};
    struct weir_reason reason;
    uint64_t subscription;
    if (weir_new(&options, weir_clock(), &loop.weir, &reason) != 0) {
        fprintf(stderr, "%s\n", reason.text);
        return 1;
    }
    if (weir_subscribe(loop.weir, &subscribe, &subscription) != 0) {
        fprintf(stderr, "%s\n", weir_reason_text(loop.weir));
        loop.is_over = true;
    }
    while (!loop.is_over) {
        turn(&loop);
    }
    if (loop.fd >= 0) {
        close(loop.fd);
    }
    weir_free(loop.weir);
    return 0;
}
