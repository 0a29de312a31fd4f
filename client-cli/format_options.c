// One parser for commands that only ask and print.

#include "client-cli/format_options.h"

enum { OPTION_OUTPUT = 0x200 };

const struct argp_option format_option_table[] = {
    {"output", OPTION_OUTPUT, "FORMAT", 0, "human or json (default: human)", 0},
    {0},
};

const struct argp_child format_option_children[] = {{&connection_options_argp, 0, NULL, 0}, {0}};

error_t format_options_parse(int key, char *argument, struct argp_state *state)
{
    struct format_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
            argp_error(state, "'%s' is not an output: human or json", argument);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
