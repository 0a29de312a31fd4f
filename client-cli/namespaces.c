// Page by page, printed as it comes: there may be millions.

#include <inttypes.h>

#include "client-cli/after_options.h"
#include "client-cli/calendar.h"
#include "client-cli/command.h"
#include "client-cli/json.h"
#include "client-cli/print_event.h"
#include "client-cli/views.h"

enum { OPTION_OUTPUT = 0x200 };

struct options {
    struct connection_options *connection;
    enum format format;
    const char *pattern;
    struct after_options after;
};

static const struct argp_option option_table[] = {
    {"output", OPTION_OUTPUT, "FORMAT", 0, "human or json (one object per line) (default: human)",
     0},
    {0},
};

static void set_pattern(struct options *options, const char *text, struct argp_state *state)
{
    struct weir_reason reason;
    if (weir_pattern_check(text, &reason) != 0) {
        argp_error(state, "'%s' is not a pattern: %s", text, reason.text);
    }
    options->pattern = text;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        state->child_inputs[1] = &options->after;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
            argp_error(state, "'%s' is not an output: human or json", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "'%s' is too much: one pattern", argument);
        }
        set_pattern(options, argument, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&connection_options_argp, 0, NULL, 0}, {&after_options_argp, 0, NULL, 0}, {0}};

static const struct argp namespaces_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "[GLOB]",
    .doc = "List namespaces with what is in them.\v"
           "Examples:\n"
           "  weir namespaces\n"
           "  weir namespaces '/food/**'\n"
           "  weir namespaces --output json | jq -r .namespace",
    .children = children,
};

static int print_header(struct output *output)
{
    return output_text(output, "%12s %15s  %-24s  %s\n", "EVENTS", "BYTES", "LAST", "NAMESPACE");
}

static int print_row_human(struct output *output, const struct weir_namespace *row)
{
    char last[TIMESTAMP_TEXT_LENGTH + 1];
    timestamp_format(row->last_timestamp_ms, last);
    return output_text(output, "%12" PRIu64 " %15" PRIu64 "  %s  %.*s\n", row->events, row->bytes,
                       last, (int)row->name.length, (const char *)row->name.data);
}

static int print_row_json(struct output *output, const struct weir_namespace *row)
{
    char first_id[WEIR_ID_TEXT_SIZE];
    char last_id[WEIR_ID_TEXT_SIZE];
    char first[TIMESTAMP_TEXT_LENGTH + 1];
    char last[TIMESTAMP_TEXT_LENGTH + 1];
    weir_id_format(row->first, first_id);
    weir_id_format(row->last, last_id);
    timestamp_format(row->first_timestamp_ms, first);
    timestamp_format(row->last_timestamp_ms, last);
    int err = json_append(&output->buffer, "{\"namespace\":");
    err = err != 0 ? err : json_append_string(&output->buffer, bytes_from(row->name));
    return err != 0 ? err
                    : output_text(output,
                                  ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
                                  ",\"first\":{\"id\":\"%s\",\"timestamp\":\"%s\"}"
                                  ",\"last\":{\"id\":\"%s\",\"timestamp\":\"%s\"}}\n",
                                  row->events, row->bytes, first_id, first, last_id, last);
}

// Prints a page and keeps its last name. ERR_*, or a positive outcome of flushing.
static int print_page(const struct options *options, struct output *output,
                      const struct weir_result *page, struct buffer *last_name)
{
    const struct weir_namespace *row;
    int outcome;
    while ((outcome = weir_result_namespace(page, &row)) == 0) {
        int err = weir_is_text(row->name) ? 0 : ERR_INVALID;
        if (err == 0) {
            err = options->format == FORMAT_JSON ? print_row_json(output, row)
                                                 : print_row_human(output, row);
        }
        buffer_clear(last_name);
        err = err != 0 ? err : buffer_append(last_name, bytes_from(row->name));
        if (err != 0) {
            cli_say("%s", err_text(err));
            return err;
        }
    }
    if (outcome < 0) {
        cli_say("%s", err_text(outcome));
        return outcome;
    }
    return output_flush(output);
}

static int list(const struct cli *cli, const struct options *options, struct weir *weir,
                struct output *output)
{
    struct weir_request_options request = {
        .size = sizeof request,
        .after = options->after.cursor,
        .after_timeout_ms = options->after.timeout_ms,
    };
    struct buffer last_name = {0};
    int status = STATUS_OK;
    bool has_more = true;
    if (options->format == FORMAT_HUMAN && print_header(output) != 0) {
        return STATUS_FAILURE;
    }
    while (status == STATUS_OK && has_more) {
        const struct weir_result *page;
        uint64_t ticket = 0;
        int err = weir_namespaces(weir, options->pattern, bytes_to(buffer_bytes(&last_name)), 0,
                                  &request, &ticket);
        status = cli_result(cli, weir, err, ticket, &page);
        if (status != STATUS_OK) {
            break;
        }
        has_more = page->has_more;
        int outcome = print_page(options, output, page, &last_name);
        if (outcome != 0) {
            status = outcome == OUTPUT_CLOSED        ? STATUS_OK
                     : outcome == OUTPUT_INTERRUPTED ? cli_status_of_signal(cli)
                                                     : STATUS_FAILURE;
            has_more = false;
        }
    }
    buffer_deinit(&last_name);
    return status;
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {.connection = &cli->connection};
    argp_parse(&namespaces_argp, argc, argv, 0, NULL, &options);
    struct weir *weir;
    int status = cli_open(cli, WEIR_RECONNECT_NEVER, 0, &weir);
    if (status != 0) {
        return status;
    }
    struct output output;
    output_init(&output, cli->signal);
    status = list(cli, &options, weir, &output);
    output_deinit(&output);
    weir_free(weir);
    return status;
}

const struct command command_namespaces = {
    .name = "namespaces",
    .summary = "list namespaces with what is in them",
    .argp = &namespaces_argp,
    .run = run,
};
