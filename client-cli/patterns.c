// A pattern is compiled only to be checked: the node compiles it again.

#include "client-cli/patterns.h"

#include "proto/model/glob.h"

void patterns_add(struct patterns *patterns, const char *pattern, struct argp_state *state)
{
    struct reason reason = {0};
    struct glob *glob;
    struct bytes text = bytes_of_text(pattern);
    if (glob_compile(text, &glob, &reason) != 0) {
        argp_error(state, "'%s' is not a pattern: %s", pattern, reason.text);
        return;
    }
    glob_free(glob);
    if (patterns->count == PATTERNS_TOTAL_MAX) {
        argp_error(state, "too many patterns: at most %d", PATTERNS_TOTAL_MAX);
        return;
    }
    patterns->entries[patterns->count++] = (struct filter_entry){.text = text};
}
