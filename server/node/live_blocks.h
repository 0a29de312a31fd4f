// The newest published blocks, at hand in the loop for all of its live subscriptions.
#pragma once

#include "proto/model/version_vector.h"
#include "server/node/filter_table.h"

struct selection_scratch;
struct store_port;

struct live_block {
    uint64_t sequence; // counts the blocks that were taken in, from 1
    uint64_t ordinal_first;
    uint64_t ordinal_last;
    struct block *block;
    struct version_vector last; // of each actor the highest counter in it
    bool has_system;            // a chunk of it holds events of the system
    struct list_node results;   // of filters, those that are not empty
};

// What a filter selects from several blocks that follow one another, as one block.
struct live_joined {
    uint64_t filter; // its serial; 0: nothing is kept here
    uint64_t from;   // sequence of the first
    uint64_t newest; // when it was made: the last one, or what came behind did not fit
    uint64_t ordinal_last;
    struct block *block;        // slices; NULL: nothing matches
    struct version_vector last; // as of a live_block
};

enum { LIVE_JOINED_KEPT = 16 };

struct live_blocks {
    struct live_block ring[LIVE_BLOCKS_MAX]; // by sequence
    uint64_t sequence;                       // of the newest, 0: none yet
    uint32_t count;
    uint64_t ordinal_next; // the first chunk that is not taken in
    size_t bytes;
    struct live_joined joined[LIVE_JOINED_KEPT]; // by the filter's serial
};

void live_blocks_init(struct live_blocks *live);
void live_blocks_clear(struct live_blocks *live);

// Takes in what was published up to `ordinal`; old blocks leave. Blocks that the store no longer
// caches, or for which there is no memory, are left out.
void live_blocks_update(struct live_blocks *live, struct store_port *port, uint64_t ordinal);

// Goes on behind `ordinal` without what was before: nobody needed it.
void live_blocks_skip(struct live_blocks *live, uint64_t ordinal);

// The block that holds the chunk of this ordinal; NULL: not at hand.
struct live_block *live_blocks_find(struct live_blocks *live, uint64_t ordinal);

// The slices that the filter selects from a whole block, computed once; *block_out stays the
// filter's, NULL: nothing matches. ERR_MEMORY, ERR_CORRUPT.
int live_block_filtered(struct live_block *live_block, struct shared_filter *filter,
                        struct selection_scratch *scratch, struct block **block_out) MUST_CHECK;

// The same from this block and those that follow it, as many as make one of a moderate size. Stays
// here until the next call. ERR_MEMORY, ERR_CORRUPT.
int live_blocks_join(struct live_blocks *live, struct live_block *first,
                     struct shared_filter *filter, struct selection_scratch *scratch,
                     const struct live_joined **joined_out) MUST_CHECK;

// Whether a chunk of the block, from byte `offset` on, holds events of the system, which nobody
// sees who did not ask for them.
bool block_has_system(const struct block *block, size_t offset);
