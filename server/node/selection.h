// A selection: which events of a block go to a subscription, when not all of them do.
#pragma once

#include "proto/model/block.h"
#include "proto/model/version_vector.h"

struct shared_filter;

struct selection {
    struct shared_filter *filter;        // NULL: everything, the system's too
    const struct version_vector *above;  // only events that it does not cover; NULL: no bound
    const struct version_vector *inside; // only events that it covers; NULL: no bound
    uint64_t events_max;                 // 0: no limit
};

struct selection_scratch {
    struct buffer body;
    struct buffer slices;
};
void selection_scratch_deinit(struct selection_scratch *scratch);

// Builds a block of slices of the selected events of `block` (chunks or slices), from byte `offset`
// on, which is where a chunk begins; NULL when none is selected. ERR_MEMORY, ERR_CORRUPT.
int selection_apply(const struct selection *selection, const struct block *block, size_t offset,
                    struct selection_scratch *scratch, struct block **block_out) MUST_CHECK;
