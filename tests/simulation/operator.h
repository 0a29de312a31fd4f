// Whoever runs the cluster: gives the commands that some situations call for (retire the actor of a
// lost disk, rescue a node that is a copy), again and again until they are done.
#pragma once

#include "proto/model/request.h"
#include "tests/simulation/world.h"

struct operator;

struct operator* operator_new(struct world *world);
void operator_free(struct operator* operator);

// `machine`: whom to ask; UINT32_MAX: anybody but those that the command is about.
void operator_order(struct operator* operator, enum cluster_request_kind which, uint16_t actor,
                    unsigned machine);

// Everything that was ordered is done.
bool operator_is_idle(const struct operator* operator);
// For a violation: what is not done, and what was answered last.
const char *operator_last_answer(const struct operator* operator);
