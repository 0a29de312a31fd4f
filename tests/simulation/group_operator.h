// Resets and deletes a durable subscription now and then, at any node.
#pragma once

#include "tests/simulation/ledger.h"

struct group_operator *group_operator_new(struct ledger *ledger);
void group_operator_free(struct group_operator *operator);
void group_operator_start(struct group_operator *operator);
void group_operator_stop(struct group_operator *operator);
