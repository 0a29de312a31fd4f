// What a node says of its cluster, for people and as JSON.
#pragma once

#include "client-cli/output.h"
#include "proto/model/reply.h"

// The whole status. ERR_MEMORY; ERR_CORRUPT when its rows are none; ERR_INVALID when a text is not
// UTF-8 (JSON).
int cluster_print_status(struct output *output, const struct reply_cluster *cluster) MUST_CHECK;
int cluster_print_status_json(struct output *output,
                              const struct reply_cluster *cluster) MUST_CHECK;

// A line for each member that counts: all that are not retired, and whoever has diverged. Errors
// as above.
int cluster_print_verdicts(struct output *output, const struct reply_cluster *cluster) MUST_CHECK;
int cluster_print_verdicts_json(struct output *output,
                                const struct reply_cluster *cluster) MUST_CHECK;

// Whether all of those are equal. ERR_CORRUPT.
int cluster_are_equal(const struct reply_cluster *cluster, bool *equal_out) MUST_CHECK;
