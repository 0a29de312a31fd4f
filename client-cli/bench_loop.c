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

#include "proto/base/limits.h"

enum { READY_MAX = 64, DESCRIPTORS_EXTRA = 64, PENDING_EVENTS_MAX = 4194304 };

static int watch(struct bench_loop *loop, int operation, struct bench_connection *connection)
{
    struct epoll_event event = {
        .events = EPOLLIN | (connection->polls_output ? (uint32_t)EPOLLOUT : 0),
        .data.ptr = connection,
    };
    return epoll_ctl(loop->epoll_fd, operation, connection->fd, &event);
}

static int open_connection(struct bench_loop *loop, const char *to, uint32_t batch,
                           struct bench_connection *connection)
{
    struct weir_options options = {
        .addresses = to ? &to : NULL,
        .addresses_count = to != NULL,
        .reconnect = WEIR_RECONNECT_NEVER,
        .batch_events_max = batch,
        .batch_bytes_max = PRODUCE_BYTES_MAX,
        .pending_events_max = PENDING_EVENTS_MAX,
        .pending_bytes_max = UINT64_MAX,
    };
    bool wants_output;
    int status = cli_open_with(loop->cli, &options, &connection->weir);
    if (status != 0) {
        return status;
    }
    connection->fd = weir_descriptor(connection->weir, &wants_output);
    if (watch(loop, EPOLL_CTL_ADD, connection) < 0) {
        cli_say("epoll: %s", strerror(errno));
        return STATUS_FAILURE;
    }
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

int bench_loop_open(struct bench_loop *loop, const struct cli *cli, uint32_t count,
                    const char *others, uint32_t batch)
{
    *loop = (struct bench_loop){.cli = cli, .count = count, .epoll_fd = -1};
    int status = set_up(loop);
    for (uint32_t i = 0; status == 0 && i < count; i++) {
        const char *to = i > 0 ? others : NULL;
        status = open_connection(loop, to, batch, &loop->connections[i]);
    }
    loop->now = clock_now();
    return status;
}

void bench_loop_close(struct bench_loop *loop)
{
    for (uint32_t i = 0; loop->connections && i < loop->count; i++) {
        weir_free(loop->connections[i].weir);
    }
    free(loop->connections);
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
}

void bench_loop_send(struct bench_loop *loop, struct bench_connection *connection)
{
    bool polls_output;
    weir_push(connection->weir);
    if (weir_descriptor(connection->weir, &polls_output) != connection->fd) {
        return; // lost: weir_next says so
    }
    if (polls_output != connection->polls_output) {
        connection->polls_output = polls_output;
        (void)watch(loop, EPOLL_CTL_MOD, connection);
    }
}

int bench_loop_subscribe(struct bench_loop *loop, struct bench_connection *connection,
                         const struct weir_subscribe_options *options)
{
    uint64_t subscription;
    int err = weir_subscribe(connection->weir, options, &subscription);
    if (err != 0) {
        return cli_failed(connection->weir, err);
    }
    bench_loop_send(loop, connection);
    return 0;
}

static int on_failure(const struct weir_notice *notice)
{
    bool is_end = notice->kind == WEIR_NOTICE_END && notice->end->err != 0;
    bool is_refused = notice->kind == WEIR_NOTICE_PRODUCED && notice->produced->err != 0;
    int err = is_end ? notice->end->err : is_refused ? notice->produced->err : 0;
    if (err != 0) {
        cli_say("%s", is_end ? notice->end->text : notice->produced->text);
    }
    return cli_status(err);
}

static int handle(struct bench_connection *connection, const struct bench_handler *handler)
{
    for (;;) {
        const struct weir_notice *notice;
        int outcome = weir_next(connection->weir, &notice);
        if (outcome == WEIR_NOTHING) {
            return 0;
        }
        if (outcome < 0) {
            return cli_failed(connection->weir, outcome);
        }
        int status = notice->kind == WEIR_NOTICE_EVENT ? 0 : on_failure(notice);
        status = status != 0 ? status : handler->on_notice(handler->context, connection, notice);
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
        (void)!weir_turn(connection->weir);
        loop->now = clock_now();
        int status = handle(connection, handler);
        if (status != 0) {
            return status;
        }
        bench_loop_send(loop, connection);
    }
    return 0;
}
