// A simulated cluster: machines, the network between them, clients, the history of what they saw,
// and one source of randomness. One seed decides everything.
#pragma once

#include "proto/base/random.h"
#include "tests/simulation/history.h"
#include "tests/simulation/network.h"
#include "tests/simulation/options.h"
#include "tests/simulation/schedule.h"

struct machine;
struct producer;
struct consumer;
struct ledger;
struct admin;

enum { MESSAGE_KINDS = 128 };

// What members said to each other, by kind (enum peer_kind).
struct messages_sent {
    uint64_t messages[MESSAGE_KINDS];
    uint64_t bytes[MESSAGE_KINDS]; // of whole frames
};

struct violation {
    const char *check; // NULL: none
    struct instant at;
    char text[600];
};

struct world {
    struct options options;
    struct schedule schedule;
    struct random random;
    struct network network;
    struct machine **machines;
    unsigned machines_count;
    struct producer **producers;
    unsigned producers_count;
    struct consumer **consumers;
    unsigned consumers_count;
    struct ledger **ledgers; // of durable subscriptions
    unsigned ledgers_count;
    struct happening look; // at what nodes hold of groups
    struct admin *admin;
    struct machine *lone; // the only member, when it was put back to a backup
    struct history history;
    struct messages_sent sent;
    struct violation violation;
    bool is_calm;     // no more faults, everything is healed
    bool is_traced;   // printed as it happens
    uint64_t trace;   // hash of all that happened
    uint64_t wall_ms; // of instant 0
};

// The first violation counts; the run ends with it.
void world_violation(struct world *world, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Something happened: goes into the hash, and is printed when traced.
void world_trace(struct world *world, const char *what, uint64_t a, uint64_t b, uint64_t c);

static inline struct instant world_after(const struct world *world, int64_t ns)
{
    return (struct instant){.ns = world->schedule.now.ns + ns};
}

static inline struct instant world_after_ms(const struct world *world, int64_t ms)
{
    return world_after(world, ms * 1000000);
}

// low <= result < high
static inline int64_t world_between(struct world *world, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&world->random, (uint64_t)(high - low));
}

static inline bool world_chance(struct world *world, unsigned percent)
{
    return random_below(&world->random, 100) < percent;
}
