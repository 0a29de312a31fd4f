// One event by its id.

#include "client-cli/after_options.h"
#include "client-cli/command.h"
#include "client-cli/print_event.h"

enum { OPTION_OUTPUT = 0x200 };

struct options {
    struct connection_options *connection;
    enum format format;
    struct event_id id;
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
    struct reason reason = {0};
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
        if (event_id_parse(bytes_of_text(argument), &options->id, &reason) != 0) {
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

static int print_found(const struct options *options, struct output *output, struct bytes found)
{
    struct buffer scratch = {0};
    struct events events;
    struct received_event event;
    events_init(&events, found, false, &scratch, NULL);
    int outcome = events_next(&events, &event);
    if (outcome == EVENTS_END) {
        char id[EVENT_ID_TEXT_LENGTH + 1];
        event_id_format(options->id, id);
        cli_say("there is no event %s", id);
        return STATUS_NOT_FOUND;
    }
    return output_end(output,
                      outcome != 0 ? outcome : print_event(output, options->format, &event));
}

static int get(const struct cli *cli, const struct options *options)
{
    struct client *client;
    int status = cli_connect(cli, 0, &client);
    if (status != 0) {
        return status;
    }
    struct output output;
    struct notice notice;
    struct request request = {.kind = REQUEST_GET,
                              .get = {.after = options->after.after, .event = options->id}};
    output_init(&output, cli->signal);
    int err = core_request(client_core(client), &request, 0);
    status = err != 0 ? cli_status(err) : cli_answer(cli, client, &notice);
    if (status == 0) {
        status = print_found(options, &output, notice.reply.events);
    }
    output_deinit(&output);
    client_close(client);
    return status;
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {.connection = &cli->connection};
    argp_parse(&get_argp, argc, argv, 0, NULL, &options);
    int status = get(cli, &options);
    after_options_deinit(&options.after);
    return status;
}

const struct command command_get = {
    .name = "get",
    .summary = "print one event by its id",
    .argp = &get_argp,
    .run = run,
};
