// Durable subscriptions as a whole: what there are, how far each is, and changing them.

#include <string.h>

#include "client-cli/after_options.h"
#include "client-cli/command.h"
#include "client-cli/confirm.h"
#include "client-cli/definition_options.h"
#include "client-cli/print_event.h"
#include "client-cli/subscriptions_print.h"

enum { OPTION_OUTPUT = 0x200, OPTION_YES, QUESTION_LENGTH = 512, SHOWN_AT_ONCE = 64 };

enum action { ACTION_LIST, ACTION_SHOW, ACTION_CREATE, ACTION_RESET, ACTION_DELETE };

struct options {
    struct connection_options *connection;
    struct definition_options definition;
    struct after_options after;
    enum format format;
    const char *word; // the action's; NULL: not given
    enum action action;
    const char *name;
    bool is_sure;
};

static const struct argp_option option_table[] = {
    {"output", OPTION_OUTPUT, "FORMAT", 0, "human or json (one object per line) (default: human)",
     0},
    {"yes", OPTION_YES, NULL, 0, "delete: do not ask", 0},
    {0},
};

static const char *const words[] = {
    [ACTION_LIST] = "list",   [ACTION_SHOW] = "show",     [ACTION_CREATE] = "create",
    [ACTION_RESET] = "reset", [ACTION_DELETE] = "delete",
};

static void set_action(struct options *options, const char *text, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], text) == 0) {
            options->word = words[i];
            options->action = (enum action)i;
            return;
        }
    }
    argp_error(state, "'%s' is not what can be done: list, show, create, reset or delete", text);
}

static void set_word(struct options *options, const char *text, struct argp_state *state)
{
    if (!options->word) {
        set_action(options, text, state);
    } else if (options->action != ACTION_LIST && !options->name) {
        options->name = text;
    } else {
        argp_error(state, "'%s' is too much", text);
    }
}

static void check_together(const struct options *options, struct argp_state *state)
{
    const struct definition_options *definition = &options->definition;
    const char *given = definition->start    ? definition->start
                        : definition->wanted ? definition->wanted
                                             : definition->shared;
    if (!options->word) {
        return;
    }
    if (options->action != ACTION_LIST && !options->name) {
        argp_error(state, "%s: the name is missing", options->word);
    }
    if (options->action == ACTION_RESET && (definition->wanted || definition->shared)) {
        argp_error(state, "%s is not for reset, which changes nothing but the start",
                   definition->wanted ? definition->wanted : definition->shared);
    }
    if (options->action == ACTION_RESET && !definition->start) {
        argp_error(state, "reset: where to is missing: --from, --start-after or --since");
    }
    if (options->action != ACTION_RESET && options->action != ACTION_CREATE && given) {
        argp_error(state, "%s is not for %s", given, options->word);
    }
    if (options->is_sure && options->action != ACTION_DELETE) {
        argp_error(state, "--yes is not for %s, which does no harm", options->word);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        state->child_inputs[4] = &options->after;
        for (int i = 1; i <= 3; i++) {
            state->child_inputs[i] = &options->definition;
        }
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
            argp_error(state, "'%s' is not an output: human or json", argument);
        }
        return 0;
    case OPTION_YES:
        options->is_sure = true;
        return 0;
    case ARGP_KEY_ARG:
        set_word(options, argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "what to do is missing: list, show, create, reset or delete");
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&connection_options_argp, 0, NULL, 0}, {&start_options_argp, 0, NULL, 0},
    {&selection_options_argp, 0, NULL, 0},  {&sharing_options_argp, 0, NULL, 0},
    {&after_options_argp, 0, NULL, 0},      {0}};

static const struct argp subscriptions_argp = {
    .options = option_table,
    .parser = parse,
    .args_doc = "list\n"
                "show NAME\n"
                "create NAME [START] [WHAT] [HOW]\n"
                "reset NAME START\n"
                "delete NAME [--yes]",
    .doc = "See durable subscriptions, and change them. Their position is kept by the cluster.\v"
           "list    all of them, and how far behind each is\n"
           "show    one: what it is, its position, and what its coordinator knows\n"
           "create  one; consume --subscription and exec create theirs by themselves\n"
           "reset   give it another start, and forget its position\n"
           "delete  forget it; a later consumer of that name begins anew\n\n"
           "Examples:\n"
           "  weir subscriptions list\n"
           "  weir subscriptions create mail -n '/orders/**' --group-key 2 --attempts 5\n"
           "  weir subscriptions show mail --output json | jq .lag_events\n"
           "  weir subscriptions reset mail --since 1h",
    .children = children,
};

// What flushing has said, as an exit status; -1: go on.
static int status_of_flush(const struct cli *cli, int outcome)
{
    return outcome == 0                    ? -1
           : outcome == OUTPUT_CLOSED      ? STATUS_OK
           : outcome == OUTPUT_INTERRUPTED ? cli_status_of_signal(cli)
                                           : STATUS_FAILURE;
}

static int print_row(struct output *output, const struct options *options,
                     const struct weir_subscription_row *row, const struct weir_result *result)
{
    bool is_list = options->action == ACTION_LIST;
    if (options->format == FORMAT_JSON) {
        return subscriptions_print_json(output, row, is_list ? NULL : result);
    }
    return is_list ? subscriptions_print_line(output, row)
                   : subscriptions_print_whole(output, row, result);
}

// Prints the rows of a result and keeps the last name. 0 or ERR_*, after saying so.
static int print_rows(const struct options *options, struct output *output,
                      const struct weir_result *result, struct buffer *last_name)
{
    const struct weir_subscription_row *row;
    int outcome;
    while ((outcome = weir_result_subscription(result, &row)) == 0) {
        buffer_clear(last_name);
        int err = buffer_append(last_name, bytes_of(row->name.data, row->name.length));
        err = err != 0 ? err : print_row(output, options, row, result);
        if (err != 0) {
            cli_say("%s", err_text(err));
            return err;
        }
    }
    if (outcome < 0) {
        cli_say("%s", weir_err_text(outcome));
    }
    return outcome < 0 ? outcome : 0;
}

static struct weir_request_options request_options(const struct options *options)
{
    return (struct weir_request_options){
        .size = sizeof(struct weir_request_options),
        .after = options->after.cursor,
        .after_timeout_ms = options->after.timeout_ms,
    };
}

// Names behind each other, each with its zero. 0 or ERR_*.
static int keep_names(const struct weir_result *result, struct buffer *names)
{
    const struct weir_subscription_row *row;
    int outcome;
    buffer_clear(names);
    while ((outcome = weir_result_subscription(result, &row)) == 0) {
        int err = buffer_append(names, bytes_of(row->name.data, row->name.length));
        err = err != 0 ? err : buffer_append(names, bytes_of("", 1));
        if (err != 0) {
            return err;
        }
    }
    return outcome < 0 ? outcome : 0;
}

// Asks for the first of them, up to SHOWN_AT_ONCE, and takes them off. Returns how many, or the
// library's error.
static int ask_for_some(struct weir *weir, struct bytes *names, uint64_t tickets[SHOWN_AT_ONCE])
{
    const struct weir_request_options how = {.size = sizeof how};
    int count = 0;
    while (names->length > 0 && count < SHOWN_AT_ONCE) {
        const char *name = (const char *)names->data;
        int err = weir_subscriptions_show(weir, name, &how, &tickets[count]);
        if (err != 0) {
            return err;
        }
        size_t taken = strlen(name) + 1;
        *names = bytes_of(names->data + taken, names->length - taken);
        count++;
    }
    return count;
}

// -1: go on.
static int list_one(const struct cli *cli, const struct options *options, struct weir *weir,
                    uint64_t ticket, struct output *output)
{
    const struct weir_result *result = NULL;
    struct buffer name = {0};
    int outcome = weir_wait_result(weir, ticket, -1, &result);
    if (outcome == WEIR_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (outcome < 0) {
        return cli_failed(weir, outcome);
    }
    if (result->err == WEIR_ERR_NOT_FOUND) {
        return -1; // deleted meanwhile
    }
    if (result->err != 0) {
        cli_say("%s", result->text);
        return cli_status(result->err);
    }
    int err = print_rows(options, output, result, &name);
    buffer_deinit(&name);
    return err != 0 ? cli_status(err) : status_of_flush(cli, output_flush(output));
}

// Each is asked for, since its numbers are those of its coordinator. -1: go on.
static int list_names(const struct cli *cli, const struct options *options, struct weir *weir,
                      struct bytes names, struct output *output)
{
    uint64_t tickets[SHOWN_AT_ONCE];
    int status = -1;
    while (names.length > 0 && status < 0) {
        int count = ask_for_some(weir, &names, tickets);
        status = count < 0 ? cli_failed(weir, count) : -1;
        for (int i = 0; i < count && status < 0; i++) {
            status = list_one(cli, options, weir, tickets[i], output);
        }
    }
    return status;
}

static struct weir_bytes last_of(struct bytes names)
{
    if (names.length == 0) {
        return (struct weir_bytes){0};
    }
    size_t start = names.length - 1;
    while (start > 0 && names.data[start - 1] != 0) {
        start--;
    }
    return (struct weir_bytes){.data = names.data + start, .length = names.length - 1 - start};
}

static int list(const struct cli *cli, const struct options *options, struct weir *weir,
                struct output *output)
{
    struct weir_request_options how = request_options(options);
    struct buffer names = {0};
    int status = -1;
    if (options->format == FORMAT_HUMAN && subscriptions_print_head(output) != 0) {
        return STATUS_FAILURE;
    }
    for (bool has_more = true; has_more && status < 0;) {
        const struct weir_result *result = NULL;
        uint64_t ticket = 0;
        struct weir_bytes after = last_of(buffer_bytes(&names));
        int err = weir_subscriptions_list(weir, after, &how, &ticket);
        status = cli_result(cli, weir, err, ticket, &result);
        if (status == STATUS_OK) {
            has_more = result->has_more;
            err = keep_names(result, &names);
            status = err != 0 ? cli_status(err)
                              : list_names(cli, options, weir, buffer_bytes(&names), output);
        }
    }
    buffer_deinit(&names);
    return status < 0 ? output_end(output, 0) : status;
}

static int request(struct weir *weir, const struct options *options, uint64_t *ticket_out)
{
    const struct weir_definition *definition = &options->definition.definition;
    struct weir_request_options how = request_options(options);
    switch (options->action) {
    case ACTION_LIST:
        break;
    case ACTION_SHOW:
        return weir_subscriptions_show(weir, options->name, &how, ticket_out);
    case ACTION_CREATE:
        return weir_subscriptions_create(weir, options->name, definition, &how, ticket_out);
    case ACTION_RESET:
        return weir_subscriptions_reset(weir, options->name, definition, &how, ticket_out);
    case ACTION_DELETE:
        return weir_subscriptions_delete(weir, options->name, &how, ticket_out);
    }
    return WEIR_ERR_INVALID;
}

static const char *done_text(const struct options *options)
{
    return options->action == ACTION_CREATE  ? "created"
           : options->action == ACTION_RESET ? "reset"
                                             : "deleted";
}

static int act(const struct cli *cli, const struct options *options, struct weir *weir,
               struct output *output)
{
    const struct weir_result *result = NULL;
    struct buffer last_name = {0};
    uint64_t ticket = 0;
    int err = request(weir, options, &ticket);
    int outcome = err != 0 ? err : weir_wait_result(weir, ticket, -1, &result);
    if (outcome == WEIR_WOKEN) {
        return cli_status_of_signal(cli);
    }
    if (outcome < 0) {
        return cli_failed(weir, outcome);
    }
    if (result->err != 0) {
        bool is_named = !options->name || result->err == WEIR_ERR_NOT_FOUND; // by the text
        cli_say("%s%s%s", is_named ? "" : options->name, is_named ? "" : ": ", result->text);
        return cli_status(result->err);
    }
    if (result->remark) {
        cli_say("%s", result->remark);
    }
    if (options->action == ACTION_SHOW || options->format == FORMAT_JSON) {
        err = print_rows(options, output, result, &last_name);
        buffer_deinit(&last_name);
        return err != 0 ? cli_status(err) : output_end(output, 0);
    }
    return output_end(output, output_text(output, "%s %s\n", done_text(options), options->name));
}

static int make_sure(const struct cli *cli, const struct options *options)
{
    char question[QUESTION_LENGTH];
    struct weir_reason reason = {0};
    if (options->name) {
        int err = definition_options_check(options->name, &options->definition.definition, &reason);
        if (err != 0) {
            cli_say("%s", reason.text);
            return err == WEIR_ERR_INVALID ? STATUS_USAGE : cli_status(err);
        }
    }
    if (options->action != ACTION_DELETE) {
        return 0;
    }
    snprintf(question, sizeof question,
             "How far the subscription %s has got is forgotten, and its consumers end. Delete it?",
             options->name);
    return confirm(cli, question, options->is_sure);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {.connection = &cli->connection};
    definition_options_init(&options.definition);
    argp_parse(&subscriptions_argp, argc, argv, 0, NULL, &options);
    struct weir *weir = NULL;
    int status = make_sure(cli, &options);
    status = status != 0 ? status : cli_open(cli, WEIR_RECONNECT_NEVER, 0, &weir);
    if (status != 0) {
        return status;
    }
    struct output output;
    output_init(&output, cli->signal);
    status = options.action == ACTION_LIST ? list(cli, &options, weir, &output)
                                           : act(cli, &options, weir, &output);
    output_deinit(&output);
    weir_free(weir);
    return status;
}

const struct command command_subscriptions = {
    .name = "subscriptions",
    .summary = "list, show, create, reset, delete durable subscriptions",
    .argp = &subscriptions_argp,
    .run = run,
};
