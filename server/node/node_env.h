// The seam between a node and the world. libev implements it in production, the simulator in
// tests. Sending is pulled by the network layer, so it is not here.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/instant.h"

enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
    LOG_TRACE,
};

struct node_env {
    void *context;

    // Monotonic time. The loop's own thread only.
    struct instant (*now)(void *context);

    // Wall clock, UTC milliseconds.
    uint64_t (*wall_ms)(void *context);

    // Asks that service_wake be called soon, in the loop's thread. Any thread; calls coalesce.
    void (*wake)(void *context);

    // Dials "host:port" and opens a peer with that number; peer_dial_failed if there is none after
    // a second. The first loop's thread.
    void (*connect)(void *context, uint64_t dial, const char *address);

    // Fills out[0..length) with bytes that nobody can guess. Any thread.
    void (*random)(void *context, uint8_t *out, size_t length);

    // One line for the log. `part` is a short word: "node", "native", "store". Any thread.
    void (*log)(void *context, enum log_level level, const char *part, const char *format, ...)
        PRINTF_LIKE(4, 5);
};
