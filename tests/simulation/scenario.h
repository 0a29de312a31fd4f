// What chance alone would hardly ever put together: sequences of faults that aim at one promise
// of the cluster, over and over during the phase of faults. A seed has one of them or none.
#pragma once

#include "tests/simulation/world.h"

struct scenario;

struct scenario *scenario_new(struct world *world);
void scenario_free(struct scenario *scenario);
void scenario_start(struct scenario *scenario);
// Before everything is healed.
void scenario_end(struct scenario *scenario);
