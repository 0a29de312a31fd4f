// A ring of references in order of ordinals, searched by bisection. One mutex, held for a few
// dozen instructions: the commit adds once per block, loops look up once per block.
#include "storage/recent.h"

#include <assert.h>
#include <stdlib.h>

enum { RING_CAPACITY_FIRST = 256, RING_CAPACITY_MAX = 1 << 16 };

int recent_init(struct recent *recent, uint64_t bytes_max)
{
    *recent = (struct recent){.bytes_max = bytes_max, .capacity = RING_CAPACITY_FIRST};
    recent->ring = calloc(recent->capacity, sizeof(struct block *));
    if (recent->ring == NULL) {
        return ERR_MEMORY;
    }
    pthread_mutex_init(&recent->lock, NULL);
    return 0;
}

static struct block *recent_at(const struct recent *recent, size_t i)
{
    return recent->ring[(recent->start + i) % recent->capacity];
}

static void recent_drop_oldest(struct recent *recent)
{
    struct block *block = recent_at(recent, 0);
    recent->bytes -= sizeof(struct block) + block->capacity;
    recent->start = (recent->start + 1) % recent->capacity;
    recent->count--;
    block_unref(block);
}

void recent_deinit(struct recent *recent)
{
    if (recent->ring == NULL) {
        return;
    }
    while (recent->count > 0) {
        recent_drop_oldest(recent);
    }
    free(recent->ring);
    recent->ring = NULL;
    pthread_mutex_destroy(&recent->lock);
}

static void recent_make_room(struct recent *recent)
{
    if (recent->count < recent->capacity) {
        return;
    }
    size_t capacity = recent->capacity * 2;
    struct block **ring =
        capacity <= RING_CAPACITY_MAX ? calloc(capacity, sizeof(struct block *)) : NULL;
    if (ring == NULL) {
        recent_drop_oldest(recent);
        return;
    }
    for (size_t i = 0; i < recent->count; i++) {
        ring[i] = recent_at(recent, i);
    }
    free(recent->ring);
    recent->ring = ring;
    recent->capacity = capacity;
    recent->start = 0;
}

void recent_add(struct recent *recent, struct block *block)
{
    assert(block->kind == BLOCK_CHUNKS && block->ordinal_first > 0 && block->chunks > 0);
    pthread_mutex_lock(&recent->lock);
    recent_make_room(recent);
    recent->ring[(recent->start + recent->count) % recent->capacity] = block_ref(block);
    recent->count++;
    recent->bytes += sizeof(struct block) + block->capacity;
    while (recent->bytes > recent->bytes_max && recent->count > 1) {
        recent_drop_oldest(recent);
    }
    pthread_mutex_unlock(&recent->lock);
}

struct block *recent_find(struct recent *recent, uint64_t ordinal)
{
    struct block *found = NULL;
    pthread_mutex_lock(&recent->lock);
    size_t low = 0;
    size_t high = recent->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct block *block = recent_at(recent, middle);
        if (ordinal < block->ordinal_first) {
            high = middle;
        } else if (ordinal >= block->ordinal_first + block->chunks) {
            low = middle + 1;
        } else {
            found = block_ref(block);
            break;
        }
    }
    pthread_mutex_unlock(&recent->lock);
    return found;
}

uint64_t recent_bytes(struct recent *recent)
{
    pthread_mutex_lock(&recent->lock);
    uint64_t bytes = recent->bytes;
    pthread_mutex_unlock(&recent->lock);
    return bytes;
}
