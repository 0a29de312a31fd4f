// Turns options into events: those of -d as one atomic produce, those of lines and JSON as a
// stream.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-cli/after_options.h"
#include "client-cli/parse.h"
#include "client-cli/produce_input.h"
#include "client-cli/views.h"
#include "proto/base/limits.h"

enum {
    OPTION_ATTRIBUTE = 0x200,
    OPTION_LINES,
    OPTION_JSON,
    OPTION_IN_FLIGHT,
    OPTION_QUIET,
    OPTION_OUTPUT,
    OPTION_REPLICAS,
    OPTION_TIMEOUT,
    IN_FLIGHT_DEFAULT = 4096,
};

struct options {
    struct connection_options *connection;
    const char *name;
    const char **data; // argc of them at most
    size_t data_count;
    struct weir_attribute attributes[ATTRIBUTES_MAX];
    size_t attributes_count;
    struct weir_id parent;
    const char *lines;
    const char *json;
    uint64_t in_flight_max;
    struct after_options after;
    struct producer_options produce;
};

static const struct argp_option option_table[] = {
    {"namespace", 'n', "NS", 0, "Where the events go (with --json: those that do not say)", 0},
    {"data", 'd', "DATA", 0,
     "The body of an event; repeatable: several are stored together or not at all (default: one "
     "event without a body)",
     0},
    {"parent", 'P', "ID", 0, "The event that caused these", 0},
    {"attr", OPTION_ATTRIBUTE, "KEY=VALUE", 0, "An attribute; repeatable", 0},
    {"lines", OPTION_LINES, "FILE|-", 0, "Every line is an event; - is standard input", 1},
    {"json", OPTION_JSON, "FILE|-", 0,
     "Every line is a JSON object: namespace, data or data_base64, parent, attributes; as `weir "
     "consume --output json' prints them",
     1},
    {"in-flight", OPTION_IN_FLIGHT, "N", 0,
     "With --lines or --json: at most N events sent and not acknowledged (default: 4096)", 1},
    {"replicas", OPTION_REPLICAS, "N", 0,
     "Wait until N nodes hold the events durably, this one included (default: 1). If fewer do in "
     "time the events stay stored all the same, and the exit status is 4",
     1},
    {"timeout", OPTION_TIMEOUT, "DURATION", 0, "With --replicas: wait so long (default: 5s)", 1},
    {"quiet", OPTION_QUIET, NULL, 0, "Do not print the ids", 2},
    {"output", OPTION_OUTPUT, "FORMAT", 0, "The ids: human or json (default: human)", 2},
    {0},
};

static void set_name(struct options *options, const char *text, struct argp_state *state)
{
    struct weir_reason reason;
    if (weir_name_check(text, &reason) != 0) {
        argp_error(state, "-n: not a namespace: %s", reason.text);
    }
    if (strncmp(text, "/$", 2) == 0) {
        argp_error(state, "-n: '%s' belongs to the system, as all that begins with /$", text);
    }
    options->name = text;
}

static void add_attribute(struct options *options, const char *text, struct argp_state *state)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        argp_error(state, "--attr: '%s' is not KEY=VALUE", text);
        return;
    }
    if (options->attributes_count == ATTRIBUTES_MAX) {
        argp_error(state, "--attr: too many, at most %d", ATTRIBUTES_MAX);
        return;
    }
    struct bytes key = bytes_of(text, (size_t)(equals - text));
    if (bytes_equal(key, bytes_of_text(ATTRIBUTE_PARENT))) {
        argp_error(state, "--attr: '%s': p is the parent, use -P", text);
    }
    options->attributes[options->attributes_count++] = (struct weir_attribute){
        .key = bytes_to(key),
        .value = weir_text(equals + 1),
        .is_text = true,
    };
}

static void check_together(const struct options *options, struct argp_state *state)
{
    if (options->lines && options->json) {
        argp_error(state, "--lines and --json exclude each other");
    }
    if (options->data_count > 0 && (options->lines || options->json)) {
        argp_error(state, "-d and %s exclude each other", options->lines ? "--lines" : "--json");
    }
    if (options->produce.replicas_timeout_ms > 0 && options->produce.replicas == 0) {
        argp_error(state, "--timeout is for --replicas");
    }
    if (!options->name && !options->json) {
        argp_error(state, "the namespace is missing: -n NS");
    }
}

static void set_replicas(struct options *options, const char *text, struct argp_state *state)
{
    uint64_t replicas = 0;
    if (!parse_number(text, 1, REPLICAS_MAX, &replicas)) {
        argp_error(state, "--replicas: '%s' is not a number from 1 to %d", text, REPLICAS_MAX);
    }
    options->produce.replicas = (uint32_t)replicas;
}

static void set_timeout(struct options *options, const char *text, struct argp_state *state)
{
    uint64_t ms = 0;
    if (!parse_duration_ms(text, &ms) || ms == 0 || ms > UINT32_MAX) {
        argp_error(state, "--timeout: '%s' is not a duration (500ms, 5s, 1m)", text);
    }
    options->produce.replicas_timeout_ms = (uint32_t)ms;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct weir_reason reason;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        state->child_inputs[1] = &options->after;
        return 0;
    case 'n':
        set_name(options, argument, state);
        return 0;
    case 'd':
        options->data[options->data_count++] = argument;
        return 0;
    case 'P':
        if (weir_id_parse(argument, &options->parent, &reason) != 0) {
            argp_error(state, "-P: '%s' is not an id: %s", argument, reason.text);
        }
        return 0;
    case OPTION_ATTRIBUTE:
        add_attribute(options, argument, state);
        return 0;
    case OPTION_LINES:
        options->lines = argument;
        return 0;
    case OPTION_JSON:
        options->json = argument;
        return 0;
    case OPTION_IN_FLIGHT:
        if (!parse_number(argument, 1, PRODUCER_EVENTS_MAX, &options->in_flight_max)) {
            argp_error(state, "--in-flight: '%s' is not a number from 1 to %d", argument,
                       PRODUCER_EVENTS_MAX);
        }
        return 0;
    case OPTION_REPLICAS:
        set_replicas(options, argument, state);
        return 0;
    case OPTION_TIMEOUT:
        set_timeout(options, argument, state);
        return 0;
    case OPTION_QUIET:
        options->produce.is_quiet = true;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->produce.format)) {
            argp_error(state, "'%s' is not an output: human or json", argument);
        }
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is too much; data is given with -d", argument);
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {
    {&connection_options_argp, 0, NULL, 0}, {&after_options_argp, 0, NULL, 0}, {0}};

static const struct argp produce_argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Store events and print their ids, each as soon as it is durable.\v"
           "Examples:\n"
           "  weir produce -n /food/breakfast/eggs -d 'I made some eggs'\n"
           "  weir produce -n /food/lunch/salad -P 1.1 --attr type=green\n"
           "  weir produce -n /orders -d 'two eggs' --replicas 2 --timeout 2s\n"
           "  tail -F access.log | weir produce -n /web/access --lines - --quiet\n"
           "  weir consume --output json | weir -H other.example produce --json -",
    .children = children,
};

static void fill_drafts(const struct options *options, struct weir_draft *drafts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        drafts[i] = (struct weir_draft){
            .size = sizeof *drafts,
            .name = options->name ? options->name : "/",
            .data = weir_text(options->data_count > 0 ? options->data[i] : ""),
            .parent = options->parent,
            .attributes = options->attributes,
            .attributes_count = options->attributes_count,
        };
    }
}

// Whether libweir takes them, before anything is connected. 0, or the exit status after saying what
// is wrong.
static int check_drafts(const struct weir_draft *drafts, size_t count)
{
    struct weir *weir;
    int err = weir_new(NULL, 0, &weir, NULL);
    if (err != 0) {
        cli_say("%s", err_text(err));
        return STATUS_FAILURE;
    }
    err = weir_produce(weir, drafts, count, NULL, NULL);
    if (err == WEIR_ERR_LIMIT && count > 1) {
        cli_say("too much for one produce: %s; use --lines", weir_reason_text(weir));
    } else if (err != 0) {
        cli_say("%s", weir_reason_text(weir));
    }
    weir_free(weir);
    return err == 0 ? 0 : err == WEIR_ERR_MEMORY ? STATUS_FAILURE : STATUS_USAGE;
}

static void say_success(const struct producer *producer, struct bytes name, bool names_several)
{
    fprintf(stderr, "Successfully produced %" PRIu64 " events to %.*s\n", producer->acknowledged,
            names_several ? (int)strlen("several namespaces") : (int)name.length,
            names_several ? "several namespaces" : (const char *)name.data);
}

// What was asked of --replicas. The exit status.
static int say_late(const struct producer *producer)
{
    if (producer->late == 0) {
        return STATUS_OK;
    }
    cli_say("%" PRIu64
            " events are stored, but known to be durable on %u of the %u nodes asked for "
            "only: they reach the others when these can be reached; do not produce them again",
            producer->late, producer->late_nodes, producer->options->replicas);
    return STATUS_FEWER_REPLICAS;
}

static int produce_drafts(struct producer *producer, const struct weir_draft *drafts, size_t count)
{
    int err = producer_add(producer, drafts, count);
    return err != 0 ? cli_failed(producer->weir, err) : producer_finish(producer);
}

static int produce(const struct cli *cli, const struct options *options,
                   const struct weir_draft *drafts, size_t count)
{
    struct buffer name = {0};
    bool names_several = false;
    bool is_stream = options->lines || options->json;
    struct producer producer = {0};
    int status = producer_open(&producer, cli, &options->produce);
    if (status == 0 && is_stream) {
        struct produce_input input = {
            .path = options->json ? options->json : options->lines,
            .is_json = options->json,
            .name = options->name,
            .parent = options->parent,
            .attributes = options->attributes,
            .attributes_count = options->attributes_count,
            .in_flight_max = options->in_flight_max,
        };
        status = produce_input_run(&input, &producer, &name, &names_several);
    } else if (status == 0) {
        status = produce_drafts(&producer, drafts, count);
    }
    producer_close(&producer);
    if (status == 0) {
        struct bytes given = options->name ? bytes_of_text(options->name) : buffer_bytes(&name);
        say_success(&producer, name.length > 0 ? buffer_bytes(&name) : given, names_several);
        status = say_late(&producer);
    } else if (producer.acknowledged > 0) {
        cli_say("%" PRIu64 " events were produced before that", producer.acknowledged);
    }
    buffer_deinit(&name);
    return status;
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {
        .connection = &cli->connection,
        .data = calloc((size_t)argc, sizeof *options.data),
        .in_flight_max = IN_FLIGHT_DEFAULT,
    };
    struct weir_draft *drafts = calloc((size_t)argc, sizeof *drafts);
    if (!options.data || !drafts) {
        cli_say("%s", err_text(ERR_MEMORY));
        free(options.data);
        free(drafts);
        return STATUS_FAILURE;
    }
    argp_parse(&produce_argp, argc, argv, 0, NULL, &options);
    options.produce.after = options.after.cursor;
    options.produce.after_timeout_ms = options.after.timeout_ms;
    options.produce.batch_events_max =
        options.lines || options.json ? produce_input_batch_max(options.in_flight_max) : 0;
    // Also for a stream, whose lines would fail on these options one by one, and only then.
    size_t count = options.data_count > 0 ? options.data_count : 1;
    fill_drafts(&options, drafts, count);
    int status = check_drafts(drafts, count);
    status = status != 0 ? status : produce(cli, &options, drafts, count);
    free(options.data);
    free(drafts);
    return status;
}

const struct command command_produce = {
    .name = "produce",
    .summary = "store events, from options, lines or JSON",
    .argp = &produce_argp,
    .run = run,
};
