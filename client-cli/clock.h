// The clock of libweir, as an instant.
#pragma once

#include "client/weir.h"
#include "proto/base/instant.h"

static inline struct instant clock_now(void)
{
    return (struct instant){.ns = weir_clock()};
}

// For the waits of libweir: milliseconds from now, rounded up; -1: for ever.
static inline int64_t clock_timeout_ms(struct instant until)
{
    int64_t left_ns = until.ns - weir_clock();
    return until.ns == INSTANT_NEVER.ns ? -1 : left_ns <= 0 ? 0 : (left_ns - 1) / 1000000 + 1;
}
