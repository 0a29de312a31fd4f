// A client that consumes: one logical subscription to some names, over the client's own core, that
// goes on where it was on whatever machine it is connected to. Each event is judged as it comes.
#pragma once

#include "tests/simulation/world.h"

struct consumer *consumer_new(struct world *world, unsigned index);
void consumer_free(struct consumer *consumer);
void consumer_start(struct consumer *consumer);

// From now on it stays where it is, unless the connection ends.
// Goes elsewhere, if it is at that machine.
void consumer_leave(struct consumer *consumer, unsigned machine);
void consumer_settle(struct consumer *consumer);

// Whether it was given everything that matches and was issued; if not, `what_out` says what not.
bool consumer_has_everything(struct consumer *consumer, struct event_id *what_out);
