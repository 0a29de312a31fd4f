// How long to wait before connecting again: longer from try to try, with jitter, so that many
// clients of a node that restarts do not come back in one moment.
#pragma once

#include "proto/base/instant.h"
#include "proto/base/random.h"

struct backoff {
    uint32_t tries;
    struct random random;
};

void backoff_init(struct backoff *backoff, uint64_t seed);

// After a success.
void backoff_reset(struct backoff *backoff);

// The next wait: between half of and all of 50 ms, 100 ms, ... 5 s.
struct duration backoff_next(struct backoff *backoff);
