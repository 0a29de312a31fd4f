// Where connections wait for their first bytes, in the first loop. Internal to server/net.
#pragma once

#include <ev.h>

#include "proto/base/err.h"

struct connection;

struct greeter {
    ev_io readable;
    int epoll_fd;
};

int greeter_init(struct greeter *greeter, struct ev_loop *ev) MUST_CHECK; // ERR_IO
void greeter_deinit(struct greeter *greeter); // after its loop and all connections

// connection_on_readable is called when bytes have come, until it is removed. ERR_IO.
int greeter_add(struct greeter *greeter, struct connection *connection) MUST_CHECK;
// From now on nothing in this thread looks at its descriptor.
void greeter_remove(struct greeter *greeter, struct connection *connection);
