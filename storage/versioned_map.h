// An ordered map that keeps the versions of its values, each under the number of the write that
// made it, so that any earlier moment can still be read and gone back to. For the memory disk.
#pragma once

#include "proto/base/bytes.h"

enum { VERSIONED_LEVELS_MAX = 16 };

struct version {
    struct version *older;
    struct versioned_key *key;
    uint64_t number;
    unsigned family; // the user's
    bool is_deletion;
    size_t length;
    uint8_t value[];
};

struct versioned_key {
    struct version *newest; // NULL: never written, or all of it is forgotten
    size_t length;
    uint8_t *data;
    unsigned levels;
    struct versioned_key *next[];
};

// Zero-initialised is empty. Keys stay where they are until versioned_map_purge.
struct versioned_map {
    struct versioned_key *head[VERSIONED_LEVELS_MAX];
    uint64_t random;
    uint64_t used_bytes; // of all versions, each with its key
};

static inline struct bytes versioned_key_bytes(const struct versioned_key *key)
{
    return bytes_of(key->data, key->length);
}

// The value as the write `number` left it; NULL: not there.
struct version *versioned_key_at(const struct versioned_key *key, uint64_t number);

// The last key below `key`, the first not below it, the last of all, the one that is equal; NULL:
// none. Whether they have a value is another question.
struct versioned_key *versioned_map_below(struct versioned_map *map, struct bytes key);
struct versioned_key *versioned_map_from(struct versioned_map *map, struct bytes key);
struct versioned_key *versioned_map_last(struct versioned_map *map);
struct versioned_key *versioned_map_find(struct versioned_map *map, struct bytes key);

// NULL: no memory.
struct versioned_key *versioned_map_insert(struct versioned_map *map, struct bytes key);

// Links a version, made with malloc, under its key; the map owns it.
void versioned_map_take(struct versioned_map *map, struct version *version);

// Frees the versions that a reader of `number` or later cannot see.
void versioned_map_forget_old(struct versioned_map *map, struct versioned_key *key,
                              uint64_t number);
// Goes back to `number`.
void versioned_map_forget_new(struct versioned_map *map, struct versioned_key *key,
                              uint64_t number);
// Takes all versions out of the map; they become the caller's.
struct version *versioned_map_steal(struct versioned_map *map, struct versioned_key *key);

// Frees keys that have no version, and those whose newest is a deletion not above `number`. No one
// may point at keys.
void versioned_map_purge(struct versioned_map *map, uint64_t number);

void versioned_map_deinit(struct versioned_map *map);

void versions_free(struct version *version); // and all older ones
