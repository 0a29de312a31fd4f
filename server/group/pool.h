// Memory for many things of one size, taken in slabs that double: taking one costs no allocation
// when it was reserved before, so that what must not fail half-way reserves first.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct pool_slab;
struct pool_item;

struct pool {
    size_t item_bytes; // at least a pointer, a multiple of its alignment
    struct pool_slab *slabs;
    struct pool_item *free;
    size_t free_count;
    size_t used_count;
};

void pool_init(struct pool *pool, size_t item_bytes);
void pool_deinit(struct pool *pool); // what was taken is gone, too

// pool_reserve where there are not enough.
int pool_grow(struct pool *pool, size_t count) MUST_CHECK;

// The next `count` calls of pool_take succeed. ERR_MEMORY.
static inline MUST_CHECK int pool_reserve(struct pool *pool, size_t count)
{
    return count <= pool->free_count ? 0 : pool_grow(pool, count);
}

// One that was reserved; its bytes are unspecified.
void *pool_take(struct pool *pool);

// The last one that comes back takes the memory with it, but for the first slab: up to 32 stay
// reserved.
void pool_give(struct pool *pool, void *item);
