// The options that say where the node is: the same before and behind the subcommand.
#pragma once

#include <argp.h>
#include <stdbool.h>

#include "client/dial.h"

struct connection_options {
    const char *host; // NULL: not given
    const char *port;
    const char *socket_path;
    bool is_verbose;
};

// A parser for use as a child; its input is a struct connection_options.
extern const struct argp connection_options_argp;

// What was given, else WEIR_HOST, WEIR_PORT, WEIR_SOCKET, else localhost and 3000.
struct dial_address connection_options_address(const struct connection_options *options);
