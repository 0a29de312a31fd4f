// The addresses of a client, and when to connect to which.
#pragma once

#include <stdbool.h>

#include "client/backoff.h"
#include "proto/base/err.h"

enum { ROSTER_ADDRESSES_MAX = 64 };

struct roster {
    char *addresses[ROSTER_ADDRESSES_MAX]; // in the order in which they are tried
    bool is_useless[ROSTER_ADDRESSES_MAX]; // another protocol, or another cluster
    uint32_t count;
    uint32_t at;
    uint32_t failures; // since the last success
    struct backoff backoff;
};

// Copies the addresses; `is_ordered`: they are tried in this order, else in a random one.
// ERR_MEMORY, or ERR_INVALID with a reason. Deinit in either case.
int roster_init(struct roster *roster, const char *const *addresses, uint32_t count,
                bool is_ordered, uint64_t seed, struct reason *reason) MUST_CHECK;
void roster_deinit(struct roster *roster);

const char *roster_address(const struct roster *roster);

// The connection to the current address could not be made, or is over; `was_good`: it was of some
// use. Turns to the next address that may be of use. How long to wait before it is tried.
struct duration roster_lost(struct roster *roster, bool was_good);

// The current address is of no use for good. Whether no other is left.
bool roster_give_up(struct roster *roster);
