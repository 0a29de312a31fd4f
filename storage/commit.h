// What the committing thread keeps beside the store's other state, and the parts of building a
// commit: how appends of each kind go into the batch that is about to be written.
#pragma once

#include "proto/model/chunk.h"
#include "storage/store_state.h"

// How to undo a commit that failed before it was written.
struct commit_undo {
    uint64_t clock;
    uint64_t ordinal;
    uint16_t actor;
    struct totals totals;
    struct head *heads; // as they were before this commit touched them
    size_t heads_count;
    size_t heads_capacity;
};

// A commit being built.
struct builder {
    struct store *store;
    uint64_t now_ms;
    struct block *block; // the last of the commit's blocks
    size_t bytes_left;   // estimate of what is still to be built, for the size of blocks
    struct bytes body;   // of the open chunk; count 0: none is open
    uint64_t first;
    uint16_t count;
    uint16_t flags; // of chunks of this node
};

int commit_init(struct store *store) MUST_CHECK;
void commit_deinit(struct store *store);

// Whether the commit being built moves what is published.
static inline bool commit_has_moved(const struct store *store)
{
    return store->commit.ordinal != store->commit.undo->ordinal;
}

// --- commit_build.c: events and chunks. 0, or ERR_*, which fails the whole commit --------------

// The actor's head, remembered before its first change in this commit; NULL: no memory.
struct head *head_touch(struct store *store, uint16_t actor);

// Closes the open chunk; `open` events of the same produce follow in later ones.
int builder_close_chunk(struct builder *builder, uint32_t open) MUST_CHECK;
int builder_add_produce(struct builder *builder, struct append *append) MUST_CHECK;
int builder_add_chunks(struct builder *builder, struct append *append) MUST_CHECK;

// --- commit_cluster.c: everything else ---------------------------------------------------------

int builder_add_records(struct builder *builder, struct append *append) MUST_CHECK;
int builder_add_promise(struct builder *builder, struct append *append) MUST_CHECK;
int builder_add_actor(struct builder *builder, struct append *append) MUST_CHECK;
int builder_add_yield(struct builder *builder, struct append *append) MUST_CHECK;

// --- commit_repair.c ---------------------------------------------------------------------------

int builder_add_repair(struct builder *builder, struct append *append) MUST_CHECK;
int builder_add_hollow(struct builder *builder, struct append *append) MUST_CHECK;
// The commit is durable: takes what it repaired off the list. True: the index is to look at that.
bool commit_note_repairs(struct store *store);
