// The options of `weir consume` that are for durable subscriptions alone.
#pragma once

#include "client-cli/definition_options.h"

struct subscription_options {
    const char *name; // NULL: no durable subscription
    const char *used; // one of the options that need a name; NULL: none
    bool is_existing; // it is not created
    bool is_manual;   // --ack manual
    uint32_t in_flight;
    struct definition_options definition; // how it is shared; the rest is the caller's to fill in
};

// A parser for use as a child, beside sharing_options_argp; its input is a struct
// subscription_options, whose definition was set up and is the other's input.
extern const struct argp subscription_options_argp;
