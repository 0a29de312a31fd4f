// A block is one allocation, header and bytes together. The count of references is the only thing
// that changes after it is shared; the last release is ordered after every other thread's reads.

#include "proto/model/block.h"

#include <assert.h>
#include <stdlib.h>

struct block *block_new(enum block_kind kind, size_t capacity)
{
    if (capacity > SIZE_MAX / 2) {
        return NULL;
    }
    struct block *block = malloc(sizeof *block + capacity);
    if (block) {
        *block = (struct block){.kind = kind, .capacity = capacity};
        atomic_init(&block->references, 1);
    }
    return block;
}

struct block *block_ref(struct block *block)
{
    unsigned before = atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    assert(before > 0 && before < UINT32_MAX);
    return block;
}

void block_unref(struct block *block)
{
    if (!block) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        free(block);
    }
}
