// Making a world, and letting time pass in it.
#pragma once

#include "tests/simulation/world.h"

struct world *world_new(const struct options *options, bool is_traced);
void world_free(struct world *world);

// Lets time pass; false: there was a violation.
bool world_pass(struct world *world, int64_t ms);

// Lets time pass until it holds, looking every `poll_ms`; returns after how many ms; negative: it
// does not hold after ms_max, or there was a violation.
int64_t world_pass_until(struct world *world, bool (*holds)(struct world *world), int64_t ms_max,
                         int64_t poll_ms);
