// Whoever runs the cluster: gives the commands that some situations call for (retire the actor of a
// lost disk, rescue a node that is a copy), again and again until they are done.
#pragma once

#include "proto/model/request.h"
#include "tests/simulation/world.h"

struct admin;

struct admin *admin_new(struct world *world);
void admin_free(struct admin *admin);

// `machine`: whom to ask; UINT32_MAX: anybody but those that the command is about.
// No copy is left of these events.
void admin_order_lost(struct admin *admin, uint16_t actor, uint64_t first, uint64_t last);

void admin_order(struct admin *admin, enum cluster_request_kind which, uint16_t actor,
                 unsigned machine);

// Everything that was ordered is done.
// Whether it is ordered, and not known to be done: members may be fenced, each where it was.
bool admin_is_retiring(const struct admin *admin, uint16_t actor);

bool admin_is_idle(const struct admin *admin);
// For a violation: what is not done, and what was answered last.
const char *admin_last_answer(const struct admin *admin);
