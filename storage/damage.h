// Chunks that are damaged, from when they are found until they are repaired; and those that the
// index had to pass over, until it has them. Bounded: what does not fit is counted only, and found
// again. Thread-safe.
#pragma once

#include <pthread.h>

#include "storage/store.h"

enum { DAMAGE_LISTED_MAX = 1024 };

struct damage_entry {
    struct damaged_chunk chunk;
    bool is_open;      // found, not repaired yet
    bool is_unindexed; // passed over by the index
};

// Sorted by actor, first.
struct damage {
    pthread_mutex_t lock;
    struct damage_entry *entries;
    uint32_t count;
    uint32_t capacity;
    uint32_t found;    // since the start
    uint32_t open;     // of the listed ones
    uint32_t repaired; // since the start
    uint64_t changes;  // of what is unindexed
    struct reason last;
};

void damage_init(struct damage *damage);
void damage_deinit(struct damage *damage);
void damage_clear(struct damage *damage);

// A chunk was found damaged. False: it was known before.
bool damage_found(struct damage *damage, struct damaged_chunk chunk, const struct reason *text);
// What begins in that range was repaired (which counts), or is gone for good. False: none was
// listed.
bool damage_ended(struct damage *damage, struct damaged_chunk range, bool is_repair);
bool damage_next(struct damage *damage, struct damaged_chunk after, struct damaged_chunk *out);

// --- What the index passed over ----------------------------------------------------------------

// ERR_MEMORY, ERR_LIMIT: it is not remembered.
int damage_pass_over(struct damage *damage, struct damaged_chunk chunk) MUST_CHECK;
void damage_indexed(struct damage *damage, struct damaged_chunk chunk);
// One that is not (or no longer) known to be damaged, so that the index can have it now.
bool damage_mended(struct damage *damage, struct damaged_chunk *out);
// All that the index has not: appended to `out` as struct damaged_chunk, sorted by first, actor.
// *changes_out tells two moments apart.
int damage_unindexed(struct damage *damage, struct buffer *out, uint64_t *changes_out) MUST_CHECK;
