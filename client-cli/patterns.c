// Checked before anything is connected: the node would refuse it as well.

#include "client-cli/patterns.h"

#include "client/weir.h"

void patterns_add(struct patterns *patterns, const char *pattern, struct argp_state *state)
{
    struct weir_reason reason;
    if (weir_pattern_check(pattern, &reason) != 0) {
        argp_error(state, "'%s' is not a pattern: %s", pattern, reason.text);
        return;
    }
    if (patterns->count == PATTERNS_MAX) {
        argp_error(state, "too many patterns: at most %d", PATTERNS_MAX);
        return;
    }
    patterns->texts[patterns->count++] = pattern;
}
