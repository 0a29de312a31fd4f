// The last events are a subscription that starts N matching events before the end and ends there.

#include "client-cli/after_options.h"
#include "client-cli/consumer.h"
#include "client-cli/parse.h"
#include "client-cli/patterns.h"

enum { OPTION_OUTPUT = 0x200, LAST_DEFAULT = 10 };

struct options {
    struct connection_options *connection;
    struct consumer_options consumer;
    struct patterns patterns;
    struct after_options after;
};

static const struct argp_option option_table[] = {
    {"namespace", 'n', "GLOB", 0, "Only namespaces that match; repeatable (default: /**/*)", 0},
    {"output", OPTION_OUTPUT, "FORMAT", 0,
     "human, json (one object per line) or raw (each body and a newline) (default: human)", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        state->child_inputs[1] = &options->after;
        return 0;
    case 'n':
        patterns_add(&options->patterns, argument, state);
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, true, &options->consumer.format)) {
            argp_error(state, "'%s' is not an output: human, json or raw", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0 ||
            !parse_number(argument, 1, UINT32_MAX, &options->consumer.subscribe.start_last)) {
            argp_error(state, "'%s' is not a number of events", argument);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&connection_options_argp, 0, NULL, 0}, {&after_options_argp, 0, NULL, 0}, {0}};

static const struct argp last_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "[N]",
    .doc = "Print the last N events (default: 10), the oldest of them first.\v"
           "Examples:\n"
           "  weir last\n"
           "  weir last 1 -n '/food/**' --output json\n"
           "  weir last 100 --output raw",
    .children = children,
};

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {
        .connection = &cli->connection,
        .consumer = {.subscribe = {.start = WEIR_START_LAST,
                                   .start_last = LAST_DEFAULT,
                                   .stop = WEIR_STOP_NOW}},
    };
    argp_parse(&last_argp, argc, argv, 0, NULL, &options);
    struct weir_subscribe_options *subscribe = &options.consumer.subscribe;
    subscribe->patterns = options.patterns.texts;
    subscribe->patterns_count = options.patterns.count;
    subscribe->after = options.after.cursor;
    subscribe->after_timeout_ms = options.after.timeout_ms;
    return consumer_run(cli, &options.consumer);
}

const struct command command_last = {
    .name = "last",
    .summary = "print the last events",
    .argp = &last_argp,
    .run = run,
};
