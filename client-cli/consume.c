// Turns options into one subscription; consumer.c follows it.

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-cli/after_options.h"
#include "client-cli/consumer.h"
#include "client-cli/group_consumer.h"
#include "client-cli/option_number.h"
#include "client-cli/parse.h"
#include "client-cli/patterns.h"
#include "client-cli/subscription_options.h"
#include "proto/base/limits.h"

enum {
    OPTION_FROM = 0x200,
    OPTION_SINCE,
    OPTION_LAST,
    OPTION_HEARTBEAT,
    OPTION_CURSOR_FILE,
    OPTION_OUTPUT,
    OPTION_NO_RECONNECT,
    OPTION_ORDER,
    OPTION_MARKS,
    OPTION_ATTRIBUTE,
    OPTION_NOT_BEFORE,
};

enum { ATTRIBUTES_MATCHED_MAX = 16 }; // what libweir takes

struct options {
    struct connection_options *connection;
    struct consumer_options consumer;
    struct patterns patterns;
    struct weir_attribute attributes[ATTRIBUTES_MATCHED_MAX];
    struct after_options after;
    struct subscription_options durable;
    const char *start; // the option that said where to start
};

static const struct argp_option option_table[] = {
    {"namespace", 'n', "GLOB", 0, "Only namespaces that match; repeatable (default: /**/*)", 0},
    {"attr", OPTION_ATTRIBUTE, "KEY=VALUE", 0,
     "Only events with this attribute; repeatable: with all of them", 0},
    {"not-before", OPTION_NOT_BEFORE, "TIME", 0,
     "Only events from this time on, wherever it starts; a time as for --since", 0},
    {"start-after", 's', "ID|CURSOR", 0, "Start behind this event, or behind this cursor", 1},
    {"from", OPTION_FROM, "WHERE", 0,
     "Start at beginning (the default), end, this ID, or behind this CURSOR", 1},
    {"since", OPTION_SINCE, "TIME", 0,
     "Start at a time, RFC 3339, or so long ago: 10m, 1h30m, 2d (units ms s m h d w)", 1},
    {"last", OPTION_LAST, "N", 0, "Start with the last N events that match", 1},
    {"limit", 'l', "N", 0, "End after N events", 2},
    {"tail", 't', NULL, 0, "Wait for new events instead of ending", 2},
    {"order", OPTION_ORDER, "ORDER", 0,
     "arrival: first all that the node holds, then what arrives; stable: only what no event can "
     "come in front of any more, the same sequence on every node; -v says for which member it "
     "waits (default: arrival)",
     2},
    {"marks", OPTION_MARKS, NULL, 0,
     "In order of arrival: say up to which id everything was printed and nothing can come in "
     "between any more, on stderr, or in JSON between the events: "
     "{\"mark\":\"frontier\",\"at\":ID}",
     2},
    {"batch", 'b', "N", 0,
     "Let about N events travel ahead of what is printed: a window of N KiB (default: 4096)", 3},
    {"heartbeat", OPTION_HEARTBEAT, "MS", 0,
     "Say on stderr when nothing came for so long, with the cursor; notice a dead node sooner", 3},
    {"cursor-file", OPTION_CURSOR_FILE, "FILE", 0,
     "Go on behind the cursor in FILE, if it exists, whatever the options say about the start; "
     "keep it up to date (every 100 ms) with what was printed",
     3},
    {"no-reconnect", OPTION_NO_RECONNECT, NULL, 0,
     "Fail when the connection is lost, instead of going on with a new one", 3},
    {"output", OPTION_OUTPUT, "FORMAT", 0,
     "human, json (one object per line) or raw (each body and a newline) (default: human)", 4},
    {0},
};

static void set_start(struct options *options, enum weir_start start, const char *option,
                      struct argp_state *state)
{
    if (options->start) {
        argp_error(state, "%s and %s both say where to start", options->start, option);
    }
    options->start = option;
    options->consumer.subscribe.start = start;
}

static void set_start_id(struct options *options, enum weir_start start, const char *text,
                         const char *option, struct argp_state *state)
{
    struct weir_subscribe_options *subscribe = &options->consumer.subscribe;
    struct weir_reason reason;
    if (text[0] == '@') {
        if (weir_cursor_check(text, &reason) != 0) {
            argp_error(state, "%s: '%s' is not a cursor: %s", option, text, reason.text);
        }
        subscribe->start_cursor = text;
        set_start(options, WEIR_START_CURSOR, option, state);
        return;
    }
    if (weir_id_parse(text, &subscribe->start_id, &reason) != 0) {
        argp_error(state, "%s: '%s' is neither an id nor a cursor: %s", option, text, reason.text);
    }
    set_start(options, start, option, state);
}

static void set_from(struct options *options, const char *text, struct argp_state *state)
{
    if (strcmp(text, "beginning") == 0) {
        set_start(options, WEIR_START_BEGINNING, "--from", state);
    } else if (strcmp(text, "end") == 0) {
        set_start(options, WEIR_START_END, "--from", state);
    } else {
        set_start_id(options, WEIR_START_AT_ID, text, "--from", state);
    }
}

// Milliseconds, UTC.
static uint64_t time_of(const char *text, const char *option, struct argp_state *state)
{
    uint64_t ms = 0;
    if (parse_duration_ms(text, &ms)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        ms = ms < now_ms ? now_ms - ms : 0;
    } else if (!parse_timestamp_ms(text, &ms)) {
        argp_error(state,
                   "%s: '%s' is neither a duration (10m, 1h30m) nor a time of RFC 3339 "
                   "(2026-11-21T10:00:00Z)",
                   option, text);
    }
    return ms;
}

static void set_since(struct options *options, const char *text, struct argp_state *state)
{
    options->consumer.subscribe.start_time_ms = time_of(text, "--since", state);
    set_start(options, WEIR_START_TIME, "--since", state);
}

// As libweir finds it, before anything is connected.
static int check_attribute(const struct weir_attribute *attribute, struct weir_reason *reason)
{
    struct weir_subscribe_options options = {
        .size = sizeof options, .attributes = attribute, .attributes_count = 1};
    struct weir *weir;
    uint64_t subscription;
    int err = weir_new(NULL, 0, &weir, reason);
    if (err != 0) {
        return err;
    }
    err = weir_subscribe(weir, &options, &subscription);
    snprintf(reason->text, sizeof reason->text, "%s", weir_reason_text(weir));
    weir_free(weir);
    return err;
}

static void add_attribute(struct options *options, const char *text, struct argp_state *state)
{
    struct weir_subscribe_options *subscribe = &options->consumer.subscribe;
    const char *equals = strchr(text, '=');
    struct weir_reason reason;
    if (!equals) {
        argp_error(state, "--attr: '%s' is not KEY=VALUE", text);
        return;
    }
    if (subscribe->attributes_count == ATTRIBUTES_MATCHED_MAX) {
        argp_error(state, "--attr: '%s' is one too many, at most %d", text, ATTRIBUTES_MATCHED_MAX);
        return;
    }
    struct weir_attribute *attribute = &options->attributes[subscribe->attributes_count++];
    *attribute = (struct weir_attribute){
        .key = {.data = text, .length = (size_t)(equals - text)},
        .value = weir_text(equals + 1),
        .is_text = true,
    };
    if (check_attribute(attribute, &reason) != 0) {
        argp_error(state, "--attr: '%s': %s", text, reason.text);
    }
}

static void set_order(struct weir_subscribe_options *subscribe, const char *text,
                      struct argp_state *state)
{
    bool is_stable = strcmp(text, "stable") == 0;
    subscribe->order = is_stable ? WEIR_ORDER_STABLE : WEIR_ORDER_ARRIVAL;
    if (!is_stable && strcmp(text, "arrival") != 0) {
        argp_error(state, "--order: '%s' is not an order: arrival or stable", text);
    }
}

// Options that say how events come, not which.
static error_t parse_delivery(int key, char *argument, struct options *options,
                              struct argp_state *state)
{
    struct weir_subscribe_options *subscribe = &options->consumer.subscribe;
    switch (key) {
    case 'b':
        subscribe->credit_bytes =
            KIB * option_number(argument, 1, SUBSCRIPTION_CREDIT_BYTES_MAX / KIB, "-b", state);
        return 0;
    case OPTION_HEARTBEAT:
        subscribe->heartbeat_ms =
            (uint32_t)option_number(argument, 1, INT32_MAX, "--heartbeat", state);
        options->consumer.says_heartbeats = true;
        return 0;
    case OPTION_CURSOR_FILE:
        options->consumer.cursor_file = argument;
        return 0;
    case OPTION_NO_RECONNECT:
        options->consumer.reconnects = false;
        return 0;
    case OPTION_OUTPUT:
        if (!format_parse(argument, true, &options->consumer.format)) {
            argp_error(state, "'%s' is not an output: human, json or raw", argument);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void check_together(const struct options *options, struct argp_state *state)
{
    const struct weir_subscribe_options *subscribe = &options->consumer.subscribe;
    if (subscribe->has_marks && subscribe->order == WEIR_ORDER_STABLE) {
        argp_error(state, "--marks is for order of arrival: in stable order every event is one");
    }
    if (!options->durable.name) {
        return;
    }
    const char *unfit = options->consumer.cursor_file         ? "--cursor-file"
                        : subscribe->has_marks                ? "--marks"
                        : subscribe->start == WEIR_START_LAST ? "--last"
                                                              : NULL;
    if (unfit) {
        argp_error(state, "%s is not for --subscription, whose position the cluster keeps", unfit);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct weir_subscribe_options *subscribe = &options->consumer.subscribe;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options->connection;
        state->child_inputs[1] = &options->after;
        state->child_inputs[2] = &options->durable;
        state->child_inputs[3] = &options->durable.definition;
        return 0;
    case 'n':
        patterns_add(&options->patterns, argument, state);
        return 0;
    case 's':
        set_start_id(options, WEIR_START_AFTER_ID, argument, "-s", state);
        return 0;
    case OPTION_FROM:
        set_from(options, argument, state);
        return 0;
    case OPTION_SINCE:
        set_since(options, argument, state);
        return 0;
    case OPTION_ATTRIBUTE:
        add_attribute(options, argument, state);
        return 0;
    case OPTION_NOT_BEFORE:
        subscribe->time_min_ms = time_of(argument, "--not-before", state);
        return 0;
    case OPTION_LAST:
        set_start(options, WEIR_START_LAST, "--last", state);
        subscribe->start_last = option_number(argument, 1, UINT32_MAX, "--last", state);
        return 0;
    case 'l':
        subscribe->limit = option_number(argument, 1, INT64_MAX, "-l", state);
        return 0;
    case 't':
        subscribe->stop = WEIR_STOP_NEVER;
        return 0;
    case OPTION_ORDER:
        set_order(subscribe, argument, state);
        return 0;
    case OPTION_MARKS:
        subscribe->has_marks = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is too much; a namespace is given with -n", argument);
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    default:
        return parse_delivery(key, argument, options, state);
    }
}

static const struct argp_child children[] = {{&connection_options_argp, 0, NULL, 0},
                                             {&after_options_argp, 0, NULL, 0},
                                             {&subscription_options_argp, 0, NULL, 0},
                                             {&sharing_options_argp, 0, NULL, 0},
                                             {0}};

static const struct argp consume_argp = {
    .options = option_table,
    .parser = parse,
    .doc = "Print events: all there are, or from any place on, to the end or for ever.\v"
           "Examples:\n"
           "  weir consume -n '/food/**' --output json\n"
           "  weir consume --tail --from end\n"
           "  weir consume --tail --cursor-file ~/food.cursor -n '/food/*/bacon'\n"
           "  weir consume --since 1h30m -l 100\n"
           "  weir consume --tail -n '/orders/**' --attr type=new --attr user=7\n"
           "  weir -H a,b,c consume --tail --order stable\n"
           "  weir consume --subscription mail -n '/orders/**' --group-key 2\n"
           "  weir -p 3001 consume -n /config --after @7.1",
    .children = children,
};

// Of a durable subscription.
static int run_group(const struct cli *cli, struct options *options)
{
    const struct weir_subscribe_options *subscribe = &options->consumer.subscribe;
    struct subscription_options *durable = &options->durable;
    struct weir_definition *definition = &durable->definition.definition;
    struct weir_reason reason = {0};
    definition->patterns = subscribe->patterns;
    definition->patterns_count = subscribe->patterns_count;
    definition->attributes = subscribe->attributes;
    definition->attributes_count = subscribe->attributes_count;
    definition->time_min_ms = subscribe->time_min_ms;
    definition->order = subscribe->order;
    definition->start = subscribe->start;
    definition->start_id = subscribe->start_id;
    definition->start_cursor = subscribe->start_cursor;
    definition->start_time_ms = subscribe->start_time_ms;
    int err = definition_options_check(durable->name, definition, &reason);
    if (err != 0) {
        cli_say("%s", reason.text);
        return err == WEIR_ERR_INVALID ? STATUS_USAGE : cli_status(err);
    }
    struct group_consumer_options group = {
        .attach = {.size = sizeof group.attach,
                   .name = durable->name,
                   .definition = durable->is_existing ? NULL : definition,
                   .in_flight = durable->in_flight,
                   .credit_bytes = subscribe->credit_bytes,
                   .heartbeat_ms = subscribe->heartbeat_ms,
                   .after = subscribe->after,
                   .after_timeout_ms = subscribe->after_timeout_ms},
        .format = options->consumer.format,
        .limit = subscribe->limit,
        .is_manual = durable->is_manual,
        .reconnects = options->consumer.reconnects,
        .says_heartbeats = options->consumer.says_heartbeats,
        .says_remark = options->start || subscribe->patterns_count > 0 ||
                       subscribe->attributes_count > 0 || subscribe->time_min_ms > 0 ||
                       subscribe->order != WEIR_ORDER_ARRIVAL || durable->definition.shared,
    };
    return group_consumer_run(cli, &group);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct options options = {
        .connection = &cli->connection,
        .consumer = {.subscribe = {.stop = WEIR_STOP_NOW}, .reconnects = true},
    };
    definition_options_init(&options.durable.definition);
    argp_parse(&consume_argp, argc, argv, 0, NULL, &options);
    struct weir_subscribe_options *subscribe = &options.consumer.subscribe;
    subscribe->patterns = options.patterns.texts;
    subscribe->patterns_count = options.patterns.count;
    subscribe->attributes = options.attributes;
    subscribe->after = options.after.cursor;
    subscribe->after_timeout_ms = options.after.timeout_ms;
    return options.durable.name ? run_group(cli, &options) : consumer_run(cli, &options.consumer);
}

const struct command command_consume = {
    .name = "consume",
    .summary = "print events, all or by pattern, to the end or for ever",
    .argp = &consume_argp,
    .run = run,
};
