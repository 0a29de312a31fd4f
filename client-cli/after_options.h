// The option that makes a request wait until the node has caught up: reading what was written
// elsewhere.
#pragma once

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

// Zero-initialised: nothing was given.
struct after_options {
    const char *cursor;
    uint32_t timeout_ms;
};

// A parser for use as a child; its input is a struct after_options.
extern const struct argp after_options_argp;
