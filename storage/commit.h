// What the committing thread keeps beside the store's other state: how to undo a commit that found
// no memory before it was written.
#pragma once

#include "storage/store_state.h"

struct commit_undo {
    uint64_t clock;
    uint64_t ordinal;
    struct totals totals;
    struct head *heads; // as they were before this commit touched them
    size_t heads_count;
    size_t heads_capacity;
};

int commit_init(struct store *store) MUST_CHECK;
void commit_deinit(struct store *store);
