// One thread, because the server it measures shares the machine, and level-triggered epoll, so that
// one receive per readiness is enough. Waits have nanoseconds: an open-loop sender must not be late
// by a scheduler's rounding.

#include "client-cli/bench_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { READY_MAX = 64, CONNECT_TIMEOUT_MS = 10000, DESCRIPTORS_EXTRA = 64 };

static int watch(struct bench_loop *loop, int operation, struct bench_connection *connection)
{
    struct epoll_event event = {
        .events = EPOLLIN | (connection->polls_output ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = connection,
    };
    return epoll_ctl(loop->epoll_fd, operation, connection->fd, &event);
}

static int open_connection(struct bench_loop *loop, const struct dial_address *address,
                           struct bench_connection *connection)
{
    struct reason reason = {0};
    struct core_config config = {.name = "weir bench " WEIR_VERSION};
    struct instant until = instant_add(clock_now(), duration_ms(CONNECT_TIMEOUT_MS));
    int err = dial_open(address, until, loop->cli->wake_fd, &connection->fd, &reason);
    if (err == DIAL_WOKEN) {
        return cli_status_of_signal(loop->cli);
    }
    if (err == 0) {
        err = core_new(&config, clock_now(), &connection->core);
    }
    if (err == 0 && watch(loop, EPOLL_CTL_ADD, connection) < 0) {
        err = reason_set(&reason, ERR_IO, "epoll: %s", strerror(errno));
    }
    if (err != 0) {
        cli_say("%s", reason.text[0] ? reason.text : err_text(err));
        return cli_status(err);
    }
    bench_loop_send(loop, connection);
    return 0;
}

static int set_up(struct bench_loop *loop)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < loop->count + DESCRIPTORS_EXTRA) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    loop->connections = calloc(loop->count, sizeof *loop->connections);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wake = {.events = EPOLLIN};
    if (!loop->connections || loop->epoll_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->cli->wake_fd, &wake) < 0) {
        cli_say("cannot set up: %s", strerror(errno));
        return STATUS_FAILURE;
    }
    for (uint32_t i = 0; i < loop->count; i++) {
        loop->connections[i] = (struct bench_connection){.fd = -1, .index = i};
    }
    return 0;
}

static int ignore_notice(void *context, struct bench_connection *connection, struct notice *notice)
{
    return 0;
}

int bench_loop_open(struct bench_loop *loop, const struct cli *cli, uint32_t count,
                    const struct dial_address *others)
{
    *loop = (struct bench_loop){.cli = cli, .count = count, .epoll_fd = -1};
    struct dial_address address = connection_options_address(&cli->connection);
    struct bench_handler ignore = {.on_notice = ignore_notice};
    int status = set_up(loop);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        const struct dial_address *to = i > 0 && others ? others : &address;
        status = open_connection(loop, to, &loop->connections[i]);
        while (status == 0 && !loop->connections[i].is_ready) {
            status = bench_loop_turn(loop, core_deadline(loop->connections[i].core), &ignore);
            core_tick(loop->connections[i].core, clock_now());
        }
    }
    return status;
}

void bench_loop_close(struct bench_loop *loop)
{
    for (uint32_t i = 0; loop->connections && i < loop->count; i++) {
        core_free(loop->connections[i].core);
        if (loop->connections[i].fd >= 0) {
            close(loop->connections[i].fd);
        }
    }
    free(loop->connections);
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
}

void bench_loop_send(struct bench_loop *loop, struct bench_connection *connection)
{
    struct bytes output = core_output(connection->core);
    ssize_t sent = output.length > 0 ? write(connection->fd, output.data, output.length) : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE && errno != ECONNRESET) {
        core_fail(connection->core, ERR_IO, strerror(errno));
        return;
    }
    core_sent(connection->core, sent > 0 ? (size_t)sent : 0);
    bool polls_output = core_output(connection->core).length > 0;
    if (polls_output != connection->polls_output) {
        connection->polls_output = polls_output;
        (void)watch(loop, EPOLL_CTL_MOD, connection);
    }
}

static void receive(struct bench_loop *loop, struct bench_connection *connection)
{
    uint8_t *space;
    size_t length;
    if (core_space(connection->core, &space, &length) != 0) {
        core_fail(connection->core, ERR_MEMORY, "no memory to receive");
        return;
    }
    ssize_t received = read(connection->fd, space, length);
    loop->now = clock_now();
    if (received > 0) {
        core_received(connection->core, (size_t)received, loop->now);
    } else if (received == 0) {
        core_fail(connection->core, ERR_CLOSED, "the node has closed the connection");
    } else if (errno != EAGAIN && errno != EINTR) {
        core_fail(connection->core, ERR_IO, strerror(errno));
    }
}

static int handle(struct bench_connection *connection, const struct bench_handler *handler)
{
    for (;;) {
        struct notice notice;
        int outcome = core_next(connection->core, &notice);
        if (outcome == CORE_NOTHING) {
            return 0;
        }
        if (outcome < 0) {
            cli_say("%s", core_reason(connection->core));
            return cli_status(outcome);
        }
        int status = 0;
        if (notice.kind == NOTICE_READY) {
            connection->is_ready = true;
        } else if (notice.kind == NOTICE_REFUSED) {
            status = cli_refused(&notice);
        } else {
            status = handler->on_notice(handler->context, connection, &notice);
        }
        if (status != 0) {
            return status;
        }
    }
}

int bench_loop_turn(struct bench_loop *loop, struct instant until,
                    const struct bench_handler *handler)
{
    struct epoll_event ready[READY_MAX];
    int64_t left_ns = until.ns == INSTANT_NEVER.ns ? 0 : until.ns - clock_now().ns;
    left_ns = left_ns > 0 ? left_ns : 0;
    struct timespec wait = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
    int count = epoll_pwait2(loop->epoll_fd, ready, READY_MAX,
                             until.ns == INSTANT_NEVER.ns ? NULL : &wait, NULL);
    if (*loop->cli->signal) {
        return cli_status_of_signal(loop->cli);
    }
    if (count < 0 && errno != EINTR) {
        cli_say("epoll: %s", strerror(errno));
        return STATUS_FAILURE;
    }
    for (int i = 0; i < count; i++) {
        struct bench_connection *connection = ready[i].data.ptr;
        if (!connection) {
            continue;
        }
        if (ready[i].events & ~(uint32_t)EPOLLOUT) {
            receive(loop, connection);
        }
        int status = handle(connection, handler);
        if (status != 0) {
            return status;
        }
        bench_loop_send(loop, connection);
    }
    return 0;
}
