// Many connections in one thread: epoll around as many clients.
#pragma once

#include "client-cli/clock.h"
#include "client-cli/command.h"

struct bench_connection {
    struct weir *weir;
    uint32_t index;
    int fd;
    bool polls_output; // the socket was full
};

struct bench_loop {
    const struct cli *cli;
    int epoll_fd;
    uint32_t count;
    struct bench_connection *connections;
    struct instant now; // of the bytes that are being handled
};

// What to do with a notice. Returns 0, or the exit status that ends the loop.
struct bench_handler {
    int (*on_notice)(void *context, struct bench_connection *connection,
                     const struct weir_notice *notice);
    void *context;
};

// Connects `count` of them: all but the first to the address `others`, unless that is NULL. Each
// request has at most `batch` events. 0 or the exit status, after saying why.
int bench_loop_open(struct bench_loop *loop, const struct cli *cli, uint32_t count,
                    const char *others, uint32_t batch);
void bench_loop_close(struct bench_loop *loop);

// Sends what the connection has; call after making requests outside of on_notice.
void bench_loop_send(struct bench_loop *loop, struct bench_connection *connection);

// Waits until something comes or the time is over, hands out the notices. 0 or the exit status.
int bench_loop_turn(struct bench_loop *loop, struct instant until,
                    const struct bench_handler *handler);

// Subscribes, and sends that. 0 or the exit status, after saying why.
int bench_loop_subscribe(struct bench_loop *loop, struct bench_connection *connection,
                         const struct weir_subscribe_options *options);
