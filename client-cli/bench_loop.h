// Many connections in one thread: epoll around as many cores.
#pragma once

#include "client-cli/command.h"

struct bench_connection {
    int fd;
    uint32_t index;
    bool is_ready;     // hello is answered
    bool polls_output; // the socket was full
    struct core *core;
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
    int (*on_notice)(void *context, struct bench_connection *connection, struct notice *notice);
    void *context;
};

// Connects them all and waits for their hello: all but the first to `others`, unless that is NULL.
// 0 or the exit status, after saying why.
int bench_loop_open(struct bench_loop *loop, const struct cli *cli, uint32_t count,
                    const struct dial_address *others);
void bench_loop_close(struct bench_loop *loop);

// Sends what the connection's core has; call after making requests outside of on_notice.
void bench_loop_send(struct bench_loop *loop, struct bench_connection *connection);

// Waits until something comes or the time is over, hands out the notices. 0 or the exit status.
int bench_loop_turn(struct bench_loop *loop, struct instant until,
                    const struct bench_handler *handler);
