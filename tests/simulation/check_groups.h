// What is judged of durable subscriptions over all nodes: what each of them may hold while it
// runs, and what must be so when everything has come to rest.
#pragma once

#include "tests/simulation/world.h"

// Bounds, on every node, at one moment.
void check_groups_bounds(struct world *world);

// Everything that matches was acknowledged or parked, and every node says that it is done.
bool check_groups_are_done(struct world *world);
void check_groups_failed(struct world *world, int64_t waited_ms);
