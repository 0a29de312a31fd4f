// The patterns of -n, checked as they are read.
#pragma once

#include <argp.h>

#include "proto/model/request.h"

struct patterns {
    struct filter_entry entries[PATTERNS_TOTAL_MAX];
    uint32_t count;
};

// Ends the program with a usage error when the pattern is none, or one too many.
void patterns_add(struct patterns *patterns, const char *pattern, struct argp_state *state);
