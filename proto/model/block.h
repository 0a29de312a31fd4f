// A block: bytes made once and shared by reference between threads: whole chunks back to back, or
// slices back to back. Deliveries point into blocks, so sending copies nothing.
#pragma once

#include <stdatomic.h>

#include "proto/base/bytes.h"

enum block_kind {
    BLOCK_CHUNKS,
    BLOCK_SLICES,
};

// Written by its maker before it is shared, immutable after.
struct block {
    atomic_uint references;
    enum block_kind kind;
    uint32_t events;        // how many events are in it
    uint32_t chunks;        // BLOCK_CHUNKS: how many chunks
    uint64_t ordinal_first; // BLOCK_CHUNKS in arrival order: ordinal of the first chunk, the others
                            // follow by one; 0 when the block is not in arrival order
    size_t length;
    size_t capacity;
    uint8_t data[];
};

// A block with room for `capacity` bytes and one reference; NULL: no memory.
struct block *block_new(enum block_kind kind, size_t capacity);
struct block *block_ref(struct block *block);
void block_unref(struct block *block); // NULL is fine; the last one frees

static inline struct bytes block_bytes(const struct block *block)
{
    return bytes_of(block->data, block->length);
}
