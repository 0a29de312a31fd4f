// Connecting to a node without blocking, but for the look-up of its name.
#pragma once

#include <stdint.h>

#include "proto/base/err.h"

struct addrinfo;

// Zero-initialised but for fd, -1: nothing is under way.
struct dialing {
    int fd; // that is being connected: wait until it is writable
    struct addrinfo *found;
    struct addrinfo *next; // to be tried when this one fails
    int error;             // errno of the last that failed
};

// Positive outcome: not yet.
enum { DIALING_WAITS = 1 };

// Looks up an address as weir_address_split understands it, and begins to connect. DIALING_WAITS,
// or 0 with a connected socket that does not block; ERR_CONNECT or ERR_INVALID with a reason.
int dialing_begin(struct dialing *dialing, const char *address, int *fd_out,
                  struct reason *reason) MUST_CHECK;

// The socket is writable, or in error. The same outcomes.
int dialing_continue(struct dialing *dialing, const char *address, int *fd_out,
                     struct reason *reason) MUST_CHECK;

// It has taken too long: goes on with the next address of the name. The same outcomes.
int dialing_skip(struct dialing *dialing, const char *address, int *fd_out,
                 struct reason *reason) MUST_CHECK;

// How many addresses of the name are to be tried after this one.
uint32_t dialing_left(const struct dialing *dialing);

// Gives up, if something is under way.
void dialing_stop(struct dialing *dialing);
