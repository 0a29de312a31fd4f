// A table from the keyed hashes of names to their numbers, without the names: sixteen bytes each.
// Ninety-six bits decide, so two names are never taken for one in practice, and nobody who lacks
// the key can find two that are.
#pragma once

#include "proto/base/hash.h"

struct name_slot;

// Owns `slots`.
struct name_table {
    struct name_slot *slots;
    uint32_t buckets;
    uint32_t buckets_max;
    uint64_t count;
    uint64_t dropped; // how many entries had to make room
    bool is_bounded;
};

// `bytes_max`: beyond it older entries make room for newer ones; 0: it grows as needed.
int name_table_init(struct name_table *table, uint64_t bytes_max) MUST_CHECK;
void name_table_deinit(struct name_table *table);

// Gets the memory that name_table_find will look at on its way.
void name_table_prefetch(const struct name_table *table, const struct hash128 *hash);

bool name_table_find(const struct name_table *table, const struct hash128 *hash,
                     uint32_t *number_out);

// Adds a name that is not in it. ERR_MEMORY only without a bound.
int name_table_add(struct name_table *table, const struct hash128 *hash,
                   uint32_t number) MUST_CHECK;

void name_table_clear(struct name_table *table);
uint64_t name_table_bytes(const struct name_table *table);
