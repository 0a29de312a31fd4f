// What the main thread does while a node runs: it waits for signals and for the net, and tells
// systemd that everything is alive.
#pragma once

#include <stdbool.h>

struct logger;
struct net;
struct node;
struct store;
struct store_threads;

struct supervisor {
    struct net *net;
    struct node *node;
    struct store *store;
    struct store_threads *threads;
    struct logger *logger;
    int signal_fd;
};

// Blocks the signals that the supervisor takes, in this thread and those that it will start.
// ERR_IO.
int supervisor_init(struct supervisor *supervisor);
void supervisor_deinit(struct supervisor *supervisor);

// Why supervisor_run has returned.
enum supervisor_end {
    SUPERVISOR_STOPPED, // a signal asked for it, and every loop has ended
    SUPERVISOR_FATAL,   // the store cannot commit any more; it is logged
};
enum supervisor_end supervisor_run(struct supervisor *supervisor);
