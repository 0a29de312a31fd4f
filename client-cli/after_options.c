// The cursor is sent as it was given: whether the node holds it is the node's to say.

#include "client-cli/after_options.h"

#include "client-cli/parse.h"
#include "client/weir.h"

enum { OPTION_AFTER = 0x300, OPTION_AFTER_TIMEOUT };

static const struct argp_option option_table[] = {
    {"after", OPTION_AFTER, "CURSOR", 0,
     "Wait until the node holds what this cursor names: read what was written on another node", 80},
    {"after-timeout", OPTION_AFTER_TIMEOUT, "DURATION", 0,
     "With --after: fail when that takes longer (default: 1s)", 80},
    {0},
};

static void set_cursor(struct after_options *after, const char *text, struct argp_state *state)
{
    struct weir_reason reason;
    if (weir_cursor_check(text, &reason) != 0) {
        argp_error(state, "--after: '%s' is not a cursor: %s", text, reason.text);
    }
    after->cursor = text;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct after_options *after = state->input;
    uint64_t ms;
    switch (key) {
    case OPTION_AFTER:
        set_cursor(after, argument, state);
        return 0;
    case OPTION_AFTER_TIMEOUT:
        if (!parse_duration_ms(argument, &ms) || ms == 0 || ms > UINT32_MAX) {
            argp_error(state, "--after-timeout: '%s' is not a duration (500ms, 10s, 1m)", argument);
        }
        after->timeout_ms = (uint32_t)ms;
        return 0;
    case ARGP_KEY_END:
        if (after->timeout_ms > 0 && !after->cursor) {
            argp_error(state, "--after-timeout is for --after");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp after_options_argp = {.options = option_table, .parser = parse};
