// A client that produces: batches of events that say which they are, over one connection at a time,
// to a machine that it changes now and then. What it is told goes into the history.
#pragma once

#include "tests/simulation/world.h"

struct producer *producer_new(struct world *world, unsigned index);
void producer_free(struct producer *producer);
void producer_start(struct producer *producer);
void producer_stop(struct producer *producer); // sends nothing more; answers still come
