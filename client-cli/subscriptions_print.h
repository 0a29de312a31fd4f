// What `weir subscriptions` prints: rows for people, and as JSON.
#pragma once

#include "client-cli/output.h"
#include "client/weir.h"

// The head of the table, and a line of it. ERR_MEMORY, ERR_INVALID: what the node sent is no text.
int subscriptions_print_head(struct output *output) MUST_CHECK;
int subscriptions_print_line(struct output *output,
                             const struct weir_subscription_row *row) MUST_CHECK;

// All that is known of one, for people, with the consumers that the result has. The same errors,
// and ERR_CORRUPT.
int subscriptions_print_whole(struct output *output, const struct weir_subscription_row *row,
                              const struct weir_result *result) MUST_CHECK;

// The same as one object on one line; `result` NULL: without consumers.
int subscriptions_print_json(struct output *output, const struct weir_subscription_row *row,
                             const struct weir_result *result) MUST_CHECK;
