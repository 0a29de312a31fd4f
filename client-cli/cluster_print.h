// What a node says of its cluster, for people and as JSON.
#pragma once

#include "client-cli/output.h"
#include "client/weir.h"

// The answer with all its rows side by side: some prints walk them more than once. Valid as long as
// the result.
struct cluster_table {
    const struct weir_cluster_status *status;
    struct weir_member *members;
    size_t members_count;
    struct weir_alarm *alarms;
    size_t alarms_count;
};

// ERR_MEMORY, ERR_CORRUPT: deinit in either case.
int cluster_table_read(struct cluster_table *table, const struct weir_result *result) MUST_CHECK;
void cluster_table_deinit(struct cluster_table *table);

// The whole status. ERR_MEMORY; ERR_INVALID when a text is not UTF-8 (JSON).
int cluster_print_status(struct output *output, const struct cluster_table *table) MUST_CHECK;
int cluster_print_status_json(struct output *output, const struct cluster_table *table) MUST_CHECK;

// A line for each member that counts: all that are not retired, and whoever has diverged. Errors
// as above.
int cluster_print_verdicts(struct output *output, const struct cluster_table *table) MUST_CHECK;
int cluster_print_verdicts_json(struct output *output,
                                const struct cluster_table *table) MUST_CHECK;

// Whether all of those are equal.
bool cluster_are_equal(const struct cluster_table *table);
