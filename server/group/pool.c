// Free items are linked through their first bytes. A slab is given back only when nothing at all is
// taken: a group that once had much in flight does not keep the memory for ever, and no slab has to
// know how many of its items are free.

#include "server/group/pool.h"

#include <assert.h>
#include <stdlib.h>

enum { SLAB_ITEMS_MIN = 32, SLAB_ITEMS_MAX = 4096 };

struct pool_item {
    struct pool_item *next;
};

struct pool_slab {
    struct pool_slab *next; // older ones
    size_t count;
    _Alignas(16) uint8_t bytes[];
};

void pool_init(struct pool *pool, size_t item_bytes)
{
    assert(item_bytes >= sizeof(struct pool_item) && item_bytes % sizeof(void *) == 0);
    *pool = (struct pool){.item_bytes = item_bytes};
}

void pool_deinit(struct pool *pool)
{
    while (pool->slabs) {
        struct pool_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    pool_init(pool, pool->item_bytes);
}

// All items of the slab are free; the first of it is taken first.
static void release_items(struct pool *pool, struct pool_slab *slab)
{
    for (size_t i = slab->count; i > 0; i--) {
        struct pool_item *item =
            (struct pool_item *)(void *)(slab->bytes + (i - 1) * pool->item_bytes);
        item->next = pool->free;
        pool->free = item;
    }
    pool->free_count += slab->count;
}

int pool_grow(struct pool *pool, size_t count)
{
    while (pool->free_count < count) {
        size_t items = pool->slabs ? 2 * pool->slabs->count : SLAB_ITEMS_MIN;
        items = items > SLAB_ITEMS_MAX ? SLAB_ITEMS_MAX : items;
        struct pool_slab *slab = malloc(sizeof *slab + items * pool->item_bytes);
        if (!slab) {
            return ERR_MEMORY;
        }
        slab->next = pool->slabs;
        slab->count = items;
        pool->slabs = slab;
        release_items(pool, slab);
    }
    return 0;
}

void *pool_take(struct pool *pool)
{
    struct pool_item *item = pool->free;
    assert(item);
    pool->free = item->next;
    pool->free_count--;
    pool->used_count++;
    return item;
}

void pool_give(struct pool *pool, void *given)
{
    struct pool_item *item = given;
    item->next = pool->free;
    pool->free = item;
    pool->free_count++;
    pool->used_count--;
    if (pool->used_count > 0 || !pool->slabs->next) {
        return;
    }
    while (pool->slabs->next) {
        struct pool_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    pool->free = NULL;
    pool->free_count = 0;
    release_items(pool, pool->slabs);
}
