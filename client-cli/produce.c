// Turns options into events: those of -d as one atomic produce, those of lines and JSON as a
// stream.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client-cli/after_options.h"
#include "client-cli/parse.h"
#include "client-cli/produce_input.h"
#include "proto/base/limits.h"
#include "proto/model/namespace.h"

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
    IN_FLIGHT_MAX = 1000000,
};

struct options {
    struct connection_options *connection;
    const char *name;
    const char **data; // argc of them at most
    size_t data_count;
    struct attribute attributes[ATTRIBUTES_MAX];
    size_t attributes_count;
    struct event_id parent;
    const char *lines;
    const char *json;
    uint64_t in_flight_max;
    bool is_quiet;
    struct after_options after;
    struct produce_options produce;
    enum format format;
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
    struct reason reason = {0};
    struct bytes name = bytes_of_text(text);
    if (namespace_validate(name, &reason) != 0) {
        argp_error(state, "-n: not a namespace: %s", reason.text);
    }
    if (namespace_is_system(name)) {
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
    options->attributes[options->attributes_count++] = (struct attribute){
        .key = key,
        .value = bytes_of_text(equals + 1),
        .value_is_text = true,
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
    struct reason reason = {0};
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
        if (event_id_parse(bytes_of_text(argument), &options->parent, &reason) != 0) {
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
        if (!parse_number(argument, 1, IN_FLIGHT_MAX, &options->in_flight_max)) {
            argp_error(state, "--in-flight: '%s' is not a number from 1 to %d", argument,
                       IN_FLIGHT_MAX);
        }
        return 0;
    case OPTION_REPLICAS:
        set_replicas(options, argument, state);
        return 0;
    case OPTION_TIMEOUT:
        set_timeout(options, argument, state);
        return 0;
    case OPTION_QUIET:
        options->is_quiet = true;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, false, &options->format)) {
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

// Everything of -d in one batch. STATUS_USAGE after saying what is wrong.
static int build(const struct options *options, struct bytes attributes, struct batch *batch)
{
    struct reason reason = {0};
    struct bytes name = bytes_of_text(options->name);
    size_t count = options->data_count > 0 ? options->data_count : 1;
    for (size_t i = 0; i < count; i++) {
        struct bytes data = bytes_of_text(options->data_count > 0 ? options->data[i] : "");
        int outcome = batch_add(batch, name, data, attributes, EVENT_DATA_BYTES_CEILING, &reason);
        if (outcome == BATCH_FULL) {
            cli_say("too much for one produce: at most %d events and %d MiB; use --lines",
                    PRODUCE_EVENTS_MAX, (int)(PRODUCE_BYTES_MAX / MIB));
            return STATUS_USAGE;
        }
        if (outcome != 0) {
            cli_say("%s", reason.text[0] ? reason.text : err_text(outcome));
            return outcome == ERR_MEMORY ? STATUS_FAILURE : STATUS_USAGE;
        }
    }
    return 0;
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
            producer->late, producer->late_nodes, producer->produce.replicas);
    return STATUS_FEWER_REPLICAS;
}

static int produce(const struct cli *cli, const struct options *options, struct bytes attributes)
{
    struct batch batch = {0};
    struct buffer name = {0};
    bool names_several = false;
    bool is_stream = options->lines || options->json;
    // Also for a stream, whose lines would fail on these options one by one, and only then.
    struct options checked = *options;
    checked.name = options->name ? options->name : "/";
    int status = build(&checked, attributes, &batch);
    if (status != 0) {
        batch_deinit(&batch);
        return status;
    }
    struct producer producer = {0};
    status = producer_open(&producer, cli, options->format, options->is_quiet, &options->produce);
    if (status == 0 && is_stream) {
        struct produce_input input = {
            .path = options->json ? options->json : options->lines,
            .is_json = options->json,
            .name = options->name ? bytes_of_text(options->name) : (struct bytes){0},
            .parent = options->parent,
            .attributes = options->attributes,
            .attributes_count = options->attributes_count,
            .attributes_encoded = attributes,
            .in_flight_max = options->in_flight_max,
        };
        status = produce_input_run(&input, &producer, &name, &names_several);
    } else if (status == 0) {
        status = producer_send(&producer, &batch);
        status = status != 0 ? status : producer_finish(&producer);
    }
    producer_close(&producer);
    if (status == 0) {
        struct bytes given = options->name ? bytes_of_text(options->name) : buffer_bytes(&name);
        say_success(&producer, name.length > 0 ? buffer_bytes(&name) : given, names_several);
        status = say_late(&producer);
    } else if (producer.acknowledged > 0) {
        cli_say("%" PRIu64 " events were produced before that", producer.acknowledged);
    }
    batch_deinit(&batch);
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
    if (!options.data) {
        cli_say("%s", err_text(ERR_MEMORY));
        return STATUS_FAILURE;
    }
    argp_parse(&produce_argp, argc, argv, 0, NULL, &options);
    options.produce.after = options.after.after;
    struct buffer attributes = {0};
    int err = 0;
    if (options.attributes_count > 0 || !event_id_is_none(options.parent)) {
        err = attributes_append(&attributes, options.attributes, options.attributes_count,
                                options.parent);
    }
    if (err != 0) {
        cli_say("%s", err_text(err));
    }
    int status = err != 0 ? STATUS_FAILURE : produce(cli, &options, buffer_bytes(&attributes));
    buffer_deinit(&attributes);
    after_options_deinit(&options.after);
    free(options.data);
    return status;
}

const struct command command_produce = {
    .name = "produce",
    .summary = "store events, from options, lines or JSON",
    .argp = &produce_argp,
    .run = run,
};
