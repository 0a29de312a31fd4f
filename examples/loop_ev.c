// libweir in libev: copies every event below /in to /out, whose parent it is, COUNT times.
// usage: loop_ev COUNT [ADDRESS...]

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir.h>

#include "examples/connect.h"

struct loop {
    struct ev_loop *ev;
    ev_io io;       // the socket, while there is one
    ev_timer timer; // the core's deadline
    ev_prepare prepare;
    struct weir *weir;
    int fd;
    bool is_connecting;
    unsigned long left; // answers that are not stored yet
};

static void lose(struct loop *loop, int err, const char *text)
{
    ev_io_stop(loop->ev, &loop->io);
    if (loop->fd >= 0) {
        close(loop->fd);
    }
    loop->fd = -1;
    loop->is_connecting = false;
    weir_disconnected(loop->weir, err, text, weir_clock());
}

static void receive(struct loop *loop)
{
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

static void on_io(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct loop *loop = watcher->data;
    if (loop->is_connecting) {
        int error = connect_error(loop->fd);
        loop->is_connecting = false;
        if (error != 0 || weir_connected(loop->weir, weir_clock()) != 0) {
            lose(loop, WEIR_ERR_CONNECT, strerror(error));
        }
    } else if (events & EV_READ) {
        receive(loop);
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *watcher, int events)
{
    (void)ev, (void)watcher, (void)events; // on_prepare ticks
}

static void on_produced(struct weir *weir, const struct weir_produced *produced)
{
    struct loop *loop = produced->context;
    if (produced->err != 0) {
        fprintf(stderr, "%s\n", produced->text);
    }
    if (--loop->left == 0) {
        ev_break(loop->ev, EVBREAK_ALL);
    }
}

static void copy(struct loop *loop, const struct weir_event *event)
{
    struct weir_draft draft = {.size = sizeof draft, .name = "/out", .data = event->data};
    struct weir_produce_options options = {
        .size = sizeof options, .on_produced = on_produced, .context = loop};
    if (weir_respond(loop->weir, event, &draft, 1, &options, NULL) != 0) {
        fprintf(stderr, "%s\n", weir_reason_text(loop->weir));
    }
}

static void follow(struct loop *loop)
{
    enum weir_want want = weir_want(loop->weir);
    if (want == WEIR_WANT_CLOSE) {
        lose(loop, WEIR_ERR_CLOSED, NULL);
    } else if (want == WEIR_WANT_CONNECT && loop->fd < 0) {
        loop->fd = connect_begin(weir_address(loop->weir));
        if (loop->fd < 0) {
            lose(loop, WEIR_ERR_CONNECT, strerror(errno));
            return;
        }
        loop->is_connecting = true;
        ev_io_set(&loop->io, loop->fd, EV_WRITE);
        ev_io_start(loop->ev, &loop->io);
    }
}

static void send_output(struct loop *loop)
{
    struct weir_bytes output = weir_output(loop->weir);
    ssize_t sent =
        output.length == 0 ? 0 : send(loop->fd, output.data, output.length, MSG_NOSIGNAL);
    if (sent > 0) {
        weir_sent(loop->weir, (size_t)sent);
    }
    if (loop->fd >= 0 && !loop->is_connecting) {
        bool sends = weir_output(loop->weir).length > 0;
        ev_io_stop(loop->ev, &loop->io);
        ev_io_set(&loop->io, loop->fd, EV_READ | (sends ? EV_WRITE : 0));
        ev_io_start(loop->ev, &loop->io);
    }
}

// Before each wait: everything that can be done is done.
static void on_prepare(struct ev_loop *ev, ev_prepare *watcher, int events)
{
    struct loop *loop = watcher->data;
    weir_tick(loop->weir, weir_clock());
    follow(loop);
    const struct weir_notice *notice;
    int outcome;
    while ((outcome = weir_next(loop->weir, &notice)) == 0) {
        if (notice->kind == WEIR_NOTICE_EVENT) {
            copy(loop, notice->event);
        } else if (notice->kind == WEIR_NOTICE_DISCONNECTED) {
            fprintf(stderr, "lost: %s\n", notice->connection->text);
        }
    }
    if (outcome < 0) {
        fprintf(stderr, "%s\n", weir_reason_text(loop->weir));
        ev_break(ev, EVBREAK_ALL);
    }
    send_output(loop);
    int64_t deadline = weir_deadline(loop->weir);
    ev_timer_stop(ev, &loop->timer);
    if (deadline != WEIR_NEVER) {
        int64_t left = deadline - weir_clock();
        ev_timer_set(&loop->timer, left > 0 ? (double)left / 1e9 : 0., 0.);
        ev_timer_start(ev, &loop->timer);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: loop_ev COUNT [ADDRESS...]\n");
        return 2;
    }
    struct weir_options options = {
        .size = sizeof options,
        .addresses = (const char *const *)argv + 2,
        .addresses_count = (size_t)argc - 2,
        .begins_with_first = true,
    };
    struct loop loop = {.ev = ev_loop_new(EVFLAG_AUTO), .fd = -1};
    loop.left = strtoul(argv[1], NULL, 10);
    struct weir_reason reason;
    if (weir_new(&options, weir_clock(), &loop.weir, &reason) != 0) {
        fprintf(stderr, "%s\n", reason.text);
        return 1;
    }
    const char *patterns[] = {"/in/**"};
    struct weir_subscribe_options subscribe = {
        .size = sizeof subscribe,
        .patterns = patterns,
        .patterns_count = 1,
        .limit = loop.left,
    };
    uint64_t subscription;
    if (weir_subscribe(loop.weir, &subscribe, &subscription) == 0) {
        ev_io_init(&loop.io, on_io, -1, EV_READ);
        ev_timer_init(&loop.timer, on_timer, 0., 0.);
        ev_prepare_init(&loop.prepare, on_prepare);
        loop.io.data = loop.timer.data = loop.prepare.data = &loop;
        ev_prepare_start(loop.ev, &loop.prepare);
        ev_run(loop.ev, 0);
    }
    if (loop.fd >= 0) {
        close(loop.fd);
    }
    weir_free(loop.weir);
    ev_loop_destroy(loop.ev);
    return loop.left > 0;
}
