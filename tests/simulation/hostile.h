// Somebody who connects to a machine and says nonsense.
#pragma once

#include "tests/simulation/world.h"

struct hostile;

struct hostile *hostile_new(struct world *world);
void hostile_free(struct hostile *hostile);
void hostile_connect(struct hostile *hostile); // says something, and hangs up a moment later
