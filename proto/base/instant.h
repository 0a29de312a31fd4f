// Time values. Instants are monotonic nanoseconds since an arbitrary origin and never mix with
// wall-clock milliseconds, which only ever stamp events. This module reads no clock: time comes
// in as an argument everywhere but at the edges (server/net, the command line, storage threads).
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct instant {
    int64_t ns;
};

struct duration {
    int64_t ns;
};

#define INSTANT_NEVER ((struct instant){.ns = INT64_MAX})

static inline struct duration duration_ms(int64_t ms)
{
    return (struct duration){.ns = ms * 1000000};
}

static inline struct instant instant_add(struct instant at, struct duration after)
{
    return at.ns > INT64_MAX - after.ns ? INSTANT_NEVER : (struct instant){.ns = at.ns + after.ns};
}

static inline bool instant_reached(struct instant at, struct instant now)
{
    return at.ns <= now.ns;
}

static inline struct instant instant_earlier(struct instant a, struct instant b)
{
    return a.ns < b.ns ? a : b;
}
