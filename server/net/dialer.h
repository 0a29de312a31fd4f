// Connections that this node opens: to peers, in the first loop. Internal to server/net.
#pragma once

#include <ev.h>

#include "proto/base/limits.h"
#include "server/net/loop.h"
#include "server/net/resolver.h"

enum {
    DIALS_MAX = 64, // at once
    DIAL_MS = 1000,
};
static_assert(DIALS_MAX > PEER_ADDRESSES_MAX + LINKS_MAX, "whoever a node may want");

struct dialer;

struct dial {
    struct dialer *dialer;
    uint64_t number; // node_env's; 0: this one is free
    ev_io connected;
    ev_timer over; // the time is, or it has failed
    int fd;        // -1: none
    uint16_t port;
    bool is_resolving;
    struct resolved addresses;
    unsigned next; // of the addresses, to be tried
    char address[PEER_ADDRESS_BYTES_MAX + 1];
    char host[PEER_ADDRESS_BYTES_MAX + 1];
    struct reason why; // it has not succeeded yet
};

struct dialer {
    struct loop *loop; // NULL: closed
    struct resolver *resolver;
    ev_async resolved;
    struct dial *dials; // DIALS_MAX
};

int dialer_init(struct dialer *dialer, struct loop *loop) MUST_CHECK; // ERR_MEMORY
// Gives up what is under way, and says nothing about it. Twice is fine.
void dialer_close(struct dialer *dialer);

// node_env's connect: ends in a connection, or in peer_dial_failed, never within this call.
void dialer_dial(struct dialer *dialer, uint64_t number, const char *address);
