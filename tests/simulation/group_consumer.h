// A client that consumes from a durable subscription with others: attaches at some node,
// acknowledges in every way there is, and fails in every way there is.
#pragma once

#include "tests/simulation/ledger.h"

struct group_consumer *group_consumer_new(struct ledger *ledger, unsigned index);
void group_consumer_free(struct group_consumer *consumer);
void group_consumer_start(struct group_consumer *consumer);

// Goes elsewhere, if it is at that machine.
void group_consumer_leave(struct group_consumer *consumer, unsigned machine);
// From now on it stays where it is, and acknowledges everything.
void group_consumer_settle(struct group_consumer *consumer);

// The number of its attachment; 0: it is not attached.
uint64_t group_consumer_attachment(const struct group_consumer *consumer);
