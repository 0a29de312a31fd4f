// The cursor is sent as it was given: whether the node holds it is the node's to say.

#include "client-cli/after_options.h"

#include "client-cli/parse.h"
#include "proto/model/version_vector.h"

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
    struct version_vector cursor = {0};
    struct reason reason = {0};
    if (version_vector_parse(bytes_of_text(text), &cursor, &reason) != 0) {
        argp_error(state, "--after: '%s' is not a cursor: %s", text, reason.text);
    }
    buffer_clear(&after->cursor);
    if (version_vector_encode(&cursor, &after->cursor) != 0) {
        argp_failure(state, 1, 0, "%s", err_text(ERR_MEMORY));
    }
    version_vector_deinit(&cursor);
    after->after.cursor = buffer_bytes(&after->cursor);
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
        after->after.timeout_ms = (uint32_t)ms;
        after->has_timeout = true;
        return 0;
    case ARGP_KEY_END:
        if (after->has_timeout && after->cursor.length == 0) {
            argp_error(state, "--after-timeout is for --after");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp after_options_argp = {.options = option_table, .parser = parse};

void after_options_deinit(struct after_options *options)
{
    buffer_deinit(&options->cursor);
}
