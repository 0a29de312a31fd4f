// The options of commands that have none of their own: where the node is, and --output.
#pragma once

#include "client-cli/connection_options.h"
#include "client-cli/print_event.h"

struct format_options {
    struct connection_options *connection;
    enum format format; // human or json
};

// The parts of such a command's struct argp; its input is a struct format_options.
extern const struct argp_option format_option_table[];
extern const struct argp_child format_option_children[];
error_t format_options_parse(int key, char *argument, struct argp_state *state);
