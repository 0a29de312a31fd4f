// What the words mean is for the library to say: it checks a definition without any connection, so
// nothing is checked twice, or differently, here.

#include "client-cli/definition_options.h"

#include <string.h>
#include <time.h>

#include "client-cli/option_number.h"
#include "client-cli/parse.h"

enum {
    OPTION_FROM = 0x400,
    OPTION_SINCE,
    OPTION_ATTRIBUTE,
    OPTION_NOT_BEFORE,
    OPTION_ORDER,
    OPTION_GROUP_KEY,
    OPTION_CONCURRENCY,
    OPTION_ATTEMPTS,
    OPTION_ACK_WAIT,
    OPTION_CHECKPOINT_EVERY,
    OPTION_CHECKPOINT_AFTER,
    OPTION_QUEUE,
    OPTION_TRANSIENT,
    COMPONENTS_MAX = 64,
    CONCURRENCY_MAX = 1024,
};

void definition_options_init(struct definition_options *options)
{
    *options = (struct definition_options){.definition = {.size = sizeof options->definition}};
}

bool definition_options_are_given(const struct definition_options *options)
{
    return options->start || options->wanted || options->shared;
}

// A time, or so long ago.
static uint64_t moment_ms(const char *text, const char *option, struct argp_state *state)
{
    uint64_t ms = 0;
    if (parse_duration_ms(text, &ms)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        return ms < now_ms ? now_ms - ms : 0;
    }
    if (!parse_timestamp_ms(text, &ms)) {
        argp_error(state,
                   "%s: '%s' is neither a duration (10m, 1h30m) nor a time of RFC 3339 "
                   "(2026-11-21T10:00:00Z)",
                   option, text);
    }
    return ms;
}

// --- Where it begins ---------------------------------------------------------------------------

static const struct argp_option start_table[] = {
    {"start-after", 's', "ID|CURSOR", 0, "Start behind this event, or behind this cursor", 10},
    {"from", OPTION_FROM, "WHERE", 0,
     "Start at beginning (the default), end, this ID, or behind this CURSOR", 10},
    {"since", OPTION_SINCE, "TIME", 0,
     "Start at a time, RFC 3339, or so long ago: 10m, 1h30m, 2d (units ms s m h d w)", 10},
    {0},
};

static void set_start(struct definition_options *options, enum weir_start start, const char *option,
                      struct argp_state *state)
{
    if (options->start) {
        argp_error(state, "%s and %s both say where to start", options->start, option);
    }
    options->start = option;
    options->definition.start = start;
}

static void set_start_id(struct definition_options *options, enum weir_start start,
                         const char *text, const char *option, struct argp_state *state)
{
    struct weir_reason reason = {0};
    if (text[0] == '@') {
        options->definition.start_cursor = text;
        set_start(options, WEIR_START_CURSOR, option, state);
        return;
    }
    if (weir_id_parse(text, &options->definition.start_id, &reason) != 0) {
        argp_error(state, "%s: '%s' is neither an id nor a cursor: %s", option, text, reason.text);
    }
    set_start(options, start, option, state);
}

static error_t parse_start(int key, char *argument, struct argp_state *state)
{
    struct definition_options *options = state->input;
    switch (key) {
    case 's':
        set_start_id(options, WEIR_START_AFTER_ID, argument, "-s", state);
        return 0;
    case OPTION_FROM:
        if (strcmp(argument, "beginning") == 0) {
            set_start(options, WEIR_START_BEGINNING, "--from", state);
        } else if (strcmp(argument, "end") == 0) {
            set_start(options, WEIR_START_END, "--from", state);
        } else {
            set_start_id(options, WEIR_START_AT_ID, argument, "--from", state);
        }
        return 0;
    case OPTION_SINCE:
        options->definition.start_time_ms = moment_ms(argument, "--since", state);
        set_start(options, WEIR_START_TIME, "--since", state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp start_options_argp = {.options = start_table, .parser = parse_start};

// --- What it wants -----------------------------------------------------------------------------

static const struct argp_option selection_table[] = {
    {"namespace", 'n', "GLOB", 0, "Only namespaces that match; repeatable (default: /**/*)", 11},
    {"attr", OPTION_ATTRIBUTE, "KEY=VALUE", 0,
     "Only events that have this attribute; repeatable: all of them", 11},
    {"not-before", OPTION_NOT_BEFORE, "TIME", 0, "Only events that are not older than that", 11},
    {"order", OPTION_ORDER, "ORDER", 0,
     "arrival, or stable: only what no event can come in front of any more (default: arrival)", 11},
    {0},
};

void definition_options_add_pattern(struct definition_options *options, const char *pattern,
                                    struct argp_state *state)
{
    struct weir_definition *definition = &options->definition;
    if (definition->patterns_count == DEFINITION_PATTERNS_MAX) {
        argp_error(state, "too many patterns: at most %d", DEFINITION_PATTERNS_MAX);
        return;
    }
    options->patterns[definition->patterns_count++] = pattern;
    definition->patterns = options->patterns;
    options->wanted = "-n";
}

static void add_attribute(struct definition_options *options, const char *text,
                          struct argp_state *state)
{
    struct weir_definition *definition = &options->definition;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) {
        argp_error(state, "--attr: '%s' is not KEY=VALUE", text);
        return;
    }
    if (definition->attributes_count == DEFINITION_ATTRIBUTES_MAX) {
        argp_error(state, "too many attributes: at most %d", DEFINITION_ATTRIBUTES_MAX);
        return;
    }
    options->attributes[definition->attributes_count++] = (struct weir_attribute){
        .key = {.data = text, .length = (size_t)(equals - text)},
        .value = weir_text(equals + 1),
        .is_text = true,
    };
    definition->attributes = options->attributes;
    options->wanted = "--attr";
}

static error_t parse_selection(int key, char *argument, struct argp_state *state)
{
    struct definition_options *options = state->input;
    switch (key) {
    case 'n':
        definition_options_add_pattern(options, argument, state);
        return 0;
    case OPTION_ATTRIBUTE:
        add_attribute(options, argument, state);
        return 0;
    case OPTION_NOT_BEFORE:
        options->definition.time_min_ms = moment_ms(argument, "--not-before", state);
        options->wanted = "--not-before";
        return 0;
    case OPTION_ORDER:
        options->definition.order =
            strcmp(argument, "stable") == 0 ? WEIR_ORDER_STABLE : WEIR_ORDER_ARRIVAL;
        options->wanted = "--order";
        if (options->definition.order == WEIR_ORDER_ARRIVAL && strcmp(argument, "arrival") != 0) {
            argp_error(state, "--order: '%s' is not an order: arrival or stable", argument);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp selection_options_argp = {.options = selection_table, .parser = parse_selection};

// --- How it is shared --------------------------------------------------------------------------

static const struct argp_option sharing_table[] = {
    {"group-key", OPTION_GROUP_KEY, "KEY", 0,
     "Events of one key go to one consumer at a time, in order: namespace, N (its first N "
     "components), attribute:KEY (that attribute's value) or none (default: none)",
     12},
    {"concurrency", OPTION_CONCURRENCY, "N", 0, "So many consumers at one time (default: 1024)",
     12},
    {"attempts", OPTION_ATTEMPTS, "N", 0,
     "Park an event in /$weir/parked/NAME when it was handed out so often in vain; 0: never "
     "(default: 10)",
     12},
    {"ack-wait", OPTION_ACK_WAIT, "DURATION", 0,
     "An event that was not acknowledged for so long is handed out again (default: 30s)", 12},
    {"checkpoint-every", OPTION_CHECKPOINT_EVERY, "N", 0,
     "Write the position after so many acknowledgements (default: 1000)", 12},
    {"checkpoint-after", OPTION_CHECKPOINT_AFTER, "DURATION", 0,
     "Or so long after the first that is not written (default: 1s)", 12},
    {"queue", OPTION_QUEUE, "N", 0, "So many events wait to be handed out (default: 1000)", 12},
    {"transient", OPTION_TRANSIENT, NULL, 0,
     "Do not write the position: without consumers for 10 s it begins at its start again", 12},
    {0},
};

bool definition_options_parse_key(const char *text, struct weir_definition *definition)
{
    static const char attribute[] = "attribute:";
    uint64_t components;
    if (strcmp(text, "none") == 0) {
        definition->key = WEIR_KEY_NONE;
    } else if (strcmp(text, "namespace") == 0) {
        definition->key = WEIR_KEY_NAMESPACE;
    } else if (parse_number(text, 1, COMPONENTS_MAX, &components)) {
        definition->key = WEIR_KEY_COMPONENTS;
        definition->key_components = (uint32_t)components;
    } else if (strncmp(text, attribute, strlen(attribute)) == 0) {
        const char *key = text + strlen(attribute);
        if (!*key || strlen(key) > DEFINITION_KEY_BYTES_MAX) {
            return false;
        }
        definition->key = WEIR_KEY_ATTRIBUTE;
        definition->key_attribute = key;
    } else {
        return false;
    }
    return true;
}

// Each of these keeps which option it was.
static void set_key(struct definition_options *options, const char *text, struct argp_state *state)
{
    options->shared = "--group-key";
    if (!definition_options_parse_key(text, &options->definition)) {
        argp_error(state,
                   "--group-key: '%s' is not a key: none, namespace, a number of components "
                   "from 1 to %d, or attribute:KEY",
                   text, COMPONENTS_MAX);
    }
}

static uint32_t number(struct definition_options *options, const char *text, uint64_t min,
                       uint64_t max, const char *option, struct argp_state *state)
{
    options->shared = option;
    return (uint32_t)option_number(text, min, max, option, state);
}

static uint32_t duration(struct definition_options *options, const char *text, const char *option,
                         struct argp_state *state)
{
    uint64_t ms;
    options->shared = option;
    if (!parse_duration_ms(text, &ms) || ms == 0 || ms > UINT32_MAX) {
        argp_error(state, "%s: '%s' is not a duration (500ms, 30s, 5m)", option, text);
        return 0;
    }
    return (uint32_t)ms;
}

static error_t parse_sharing(int key, char *argument, struct argp_state *state)
{
    struct definition_options *options = state->input;
    struct weir_definition *definition = &options->definition;
    switch (key) {
    case OPTION_GROUP_KEY:
        set_key(options, argument, state);
        return 0;
    case OPTION_CONCURRENCY:
        definition->concurrency =
            number(options, argument, 1, CONCURRENCY_MAX, "--concurrency", state);
        return 0;
    case OPTION_ATTEMPTS:
        definition->attempts = number(options, argument, 0, INT32_MAX, "--attempts", state);
        if (definition->attempts == 0) {
            definition->attempts = WEIR_ATTEMPTS_FOR_EVER;
        }
        return 0;
    case OPTION_ACK_WAIT:
        definition->ack_wait_ms = duration(options, argument, "--ack-wait", state);
        return 0;
    case OPTION_CHECKPOINT_EVERY:
        definition->checkpoint_every =
            number(options, argument, 1, UINT32_MAX, "--checkpoint-every", state);
        return 0;
    case OPTION_CHECKPOINT_AFTER:
        definition->checkpoint_after_ms = duration(options, argument, "--checkpoint-after", state);
        return 0;
    case OPTION_QUEUE:
        definition->queue = number(options, argument, 1, UINT32_MAX, "--queue", state);
        return 0;
    case OPTION_TRANSIENT:
        definition->is_transient = true;
        options->shared = "--transient";
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp sharing_options_argp = {.options = sharing_table, .parser = parse_sharing};

int definition_options_check(const char *name, const struct weir_definition *definition,
                             struct weir_reason *reason)
{
    struct weir_attach_options attach = {
        .size = sizeof attach, .name = name, .definition = definition};
    struct weir *weir;
    uint64_t attachment;
    int err = weir_new(NULL, 0, &weir, reason);
    if (err != 0) {
        return err;
    }
    err = weir_attach(weir, &attach, &attachment);
    if (err != 0) {
        strncat(memset(reason->text, 0, sizeof reason->text), weir_reason_text(weir),
                sizeof reason->text - 1);
    }
    weir_free(weir);
    return err;
}
