// They mean nothing without a name, and then it is said.

#include "client-cli/subscription_options.h"

#include <inttypes.h>
#include <string.h>

#include "client-cli/parse.h"

enum {
    OPTION_SUBSCRIPTION = 0x500,
    OPTION_NO_CREATE,
    OPTION_ACK,
    OPTION_IN_FLIGHT,
    IN_FLIGHT_MAX = 16384,
};

static const struct argp_option option_table[] = {
    {"subscription", OPTION_SUBSCRIPTION, "NAME", 0,
     "Consume this durable subscription, whose position the cluster keeps, together with all that "
     "do the same at the time; it is created unless it is there. Waits for new events, as -t",
     5},
    {"no-create", OPTION_NO_CREATE, NULL, 0, "Fail if there is no such subscription", 5},
    {"ack", OPTION_ACK, "HOW", 0,
     "auto: an event is acknowledged when it is printed; manual: when standard input says so, a "
     "line each: ID, up-to ID, or nack ID [DELAY] [REASON] (default: auto)",
     5},
    {"in-flight", OPTION_IN_FLIGHT, "N", 0,
     "Take so many events at most that are not acknowledged (default: 100)", 5},
    {0},
};

static void set_in_flight(struct subscription_options *options, const char *text,
                          struct argp_state *state)
{
    uint64_t number = 0;
    if (!parse_number(text, 1, IN_FLIGHT_MAX, &number)) {
        argp_error(state, "--in-flight: '%s' is not a number from 1 to %d", text, IN_FLIGHT_MAX);
    }
    options->in_flight = (uint32_t)number;
    options->used = "--in-flight";
}

static void check_together(const struct subscription_options *options, struct argp_state *state)
{
    const char *used = options->definition.shared ? options->definition.shared : options->used;
    if (!options->name && used) {
        argp_error(state, "%s is for --subscription", used);
    }
    if (options->is_existing && options->definition.shared) {
        argp_error(state, "--no-create: %s, an option of a creation, is of no use with it",
                   options->definition.shared);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct subscription_options *options = state->input;
    switch (key) {
    case OPTION_SUBSCRIPTION:
        options->name = argument;
        return 0;
    case OPTION_NO_CREATE:
        options->is_existing = true;
        options->used = "--no-create";
        return 0;
    case OPTION_ACK:
        options->used = "--ack";
        options->is_manual = strcmp(argument, "manual") == 0;
        if (!options->is_manual && strcmp(argument, "auto") != 0) {
            argp_error(state, "--ack: '%s' is neither auto nor manual", argument);
        }
        return 0;
    case OPTION_IN_FLIGHT:
        set_in_flight(options, argument, state);
        return 0;
    case ARGP_KEY_END:
        check_together(options, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp subscription_options_argp = {.options = option_table, .parser = parse};
