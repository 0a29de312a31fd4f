// A connected socket to a node, TCP or Unix, without blocking once it stands.
#pragma once

#include "proto/base/err.h"
#include "proto/base/instant.h"

enum { DIAL_SOCKET_PATH_MAX = 107 };

// Where a node is. socket_path counts when it is set.
struct dial_address {
    const char *host; // a name or an address, IPv4 or IPv6
    const char *port;
    const char *socket_path;
};

// Connects, trying each address of the host in turn, until `until`; `wake_fd` (-1: none) ends the
// wait when it becomes readable (DIAL_WOKEN). ERR_CONNECT with a reason that says what to do;
// ERR_INVALID when the address is none.
enum { DIAL_WOKEN = 1 };
int dial_open(const struct dial_address *address, struct instant until, int wake_fd, int *fd_out,
              struct reason *reason) MUST_CHECK;

// The monotonic clock.
struct instant clock_now(void);
