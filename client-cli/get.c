// One event by its id.

#include "client-cli/after_options.h"
#include "client-cli/command.h"
#include "client-cli/print_event.h"

enum { OPTION_OUTPUT = 0x200 };

struct options {
    struct connection_options *connection;
    enum format format;
    struct weir_id id;
    struct after_options after;
};

static const struct argp_option option_table[] = {
    {"output", OPTION_OUTPUT, "FORMAT", 0,
     "human, json or raw (the body and a newline) "
     "(default: human)",
     0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct weir_reason reason;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        state->child_inputs[1] = &options->after;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, true, &options->format)) {
            argp_error(state, "'%s' is not an output: human, json or raw", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "'%s' is too much: one id at a time", argument);
        }
        if (weir_id_parse(argument, &options->id, &reason) != 0) {
            argp_error(state, "'%s' is not an id: %s", argument, reason.text);
        }
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "the id is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&connection_options_argp, 0, NULL, 0}, {&after_options_argp, 0, NULL, 0}, {0}};

static const struct argp get_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "ID",
    .doc = "Print one event.\v"
           "Examples:\n"
           "  weir get 0000000000000000000100001\n"
           "  weir get 1.1 --output json\n"
           "  weir get 1-1 --output raw\n"
           "  weir -p 3001 get 1.1 --after @1.1",
    .children = children,
};

static int print_found(const struct options *options, struct output *output,
                       const struct weir_result *result)
{
    const struct weir_event *event;
    int outcome = weir_result_event(result, &event);
    if (outcome == WEIR_NOTHING) {
        char id[WEIR_ID_TEXT_SIZE];
        weir_id_format(options->id, id);
        cli_say("there is no event %s", id);
        return STATUS_NOT_FOUND;
    }
    return output_end(output, outcome != 0 ? outcome : print_event(output, options->format, event));
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {.connection = &cli->connection};
    argp_parse(&get_argp, argc, argv, 0, NULL, &options);
    struct weir *weir;
    int status = cli_open(cli, WEIR_RECONNECT_NEVER, 0, &weir);
    if (status != 0) {
        return status;
    }
    struct weir_request_options request = {
        .size = sizeof request,
        .after = options.after.cursor,
        .after_timeout_ms = options.after.timeout_ms,
    };
    struct output output;
    const struct weir_result *result;
    uint64_t ticket = 0;
    output_init(&output, cli->signal);
    int err = weir_get(weir, options.id, &request, &ticket);
    status = cli_result(cli, weir, err, ticket, &result);
    if (status == 0) {
        status = print_found(&options, &output, result);
    }
    output_deinit(&output);
    weir_free(weir);
    return status;
}

const struct command command_get = {
    .name = "get",
    .summary = "print one event by its id",
    .argp = &get_argp,
    .run = run,
};
