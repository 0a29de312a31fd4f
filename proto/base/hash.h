// Checksums, chain hashes and keyed hashes: XXH3, wrapped here and nowhere else.
// Values are XXH3-64 and XXH3-128 in their canonical (big-endian) form, as xxHash's specification
// defines it, so that they are the same on every machine.
#pragma once

#include <stdint.h>

#include "proto/base/bytes.h"

struct hash128 {
    uint8_t bytes[16];
};

uint64_t hash64(struct bytes bytes);

// For hash tables: `seed` is random per process, so that nobody can choose colliding keys.
uint64_t hash64_keyed(struct bytes bytes, uint64_t seed);

struct hash128 hash128(struct bytes bytes);
struct hash128 hash128_keyed(struct bytes bytes, uint64_t seed);

static inline bool hash128_equal(const struct hash128 *a, const struct hash128 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
