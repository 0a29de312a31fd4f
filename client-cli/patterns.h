// The patterns of -n, checked as they are read.
#pragma once

#include <argp.h>
#include <stddef.h>

#include "proto/base/limits.h"

struct patterns {
    const char *texts[PATTERNS_MAX];
    size_t count;
};

// Ends the program with a usage error when the pattern is none, or one too many.
void patterns_add(struct patterns *patterns, const char *pattern, struct argp_state *state);
