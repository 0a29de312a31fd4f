// The option that makes a request wait until the node has caught up: reading what was written
// elsewhere.
#pragma once

#include <argp.h>

#include "proto/model/request.h"

// Zero-initialised: nothing was given.
struct after_options {
    struct buffer cursor;       // what `after` points to
    struct request_after after; // for a request
    bool has_timeout;
};

// A parser for use as a child; its input is a struct after_options.
extern const struct argp after_options_argp;

void after_options_deinit(struct after_options *options);
