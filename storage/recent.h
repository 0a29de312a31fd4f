// The cache of recent blocks: the newest published blocks in order of arrival, bounded in bytes.
// Live subscriptions and the indexer read here; what has left it is read from the disk.
// Thread-safe.
#pragma once

#include <pthread.h>

#include "proto/model/block.h"

struct recent {
    pthread_mutex_t lock;
    struct block **ring; // positions (start + i) % capacity, i < count
    size_t capacity;
    size_t start;
    size_t count;
    uint64_t bytes;
    uint64_t bytes_max;
};

int recent_init(struct recent *recent, uint64_t bytes_max) MUST_CHECK;
void recent_deinit(struct recent *recent);

// Adds the next block (ordinals go on where the newest block ended, or jump); takes a reference of
// its own. The oldest blocks leave until the rest fits bytes_max. Never fails: without memory for
// a larger ring the oldest leaves.
void recent_add(struct recent *recent, struct block *block);

// The block that holds the chunk of this ordinal, with a reference for the caller, or NULL.
struct block *recent_find(struct recent *recent, uint64_t ordinal);

uint64_t recent_bytes(struct recent *recent);
