// A strand that forks: a machine whose disk lied, and that was alone when it started, issues other
// events under ids that others hold. Its branch is a strand of its own, which nobody else may take;
// a rescue issues its events again.
#pragma once

#include "tests/simulation/machine.h"

// What this machine should hold of an actor: its branch, or what all others know. Never NULL.
struct history_strand *branch_strand(const struct machine *machine, uint16_t actor);

// The next chunk that the machine takes of its own strand: whether it leaves those that are known.
// From then on the machine has a branch, which begins with what it holds.
void branch_look(struct machine *machine, const struct chunk_header *header,
                 const struct hash128 *hash);

// Whether the machine has left the strand of this actor below this id.
bool branch_lacks(const struct machine *machine, struct event_id id);

void branch_drop(struct machine *machine); // with its disk
