// A skip list of keys, and under each key its versions, newest first.

#include "storage/versioned_map.h"

#include <assert.h>
#include <stdlib.h>

// The last key below `key` (NULL: none), and the links behind it on every level.
static struct versioned_key *find_below(struct versioned_map *map, struct bytes key,
                                        struct versioned_key **links[VERSIONED_LEVELS_MAX])
{
    struct versioned_key *below = NULL;
    for (int level = VERSIONED_LEVELS_MAX - 1; level >= 0; level--) {
        struct versioned_key **link = below ? &below->next[level] : &map->head[level];
        while (*link && bytes_compare(versioned_key_bytes(*link), key) < 0) {
            below = *link;
            link = &below->next[level];
        }
        links[level] = link;
    }
    return below;
}

struct versioned_key *versioned_map_below(struct versioned_map *map, struct bytes key)
{
    struct versioned_key **links[VERSIONED_LEVELS_MAX];
    return find_below(map, key, links);
}

struct versioned_key *versioned_map_from(struct versioned_map *map, struct bytes key)
{
    struct versioned_key **links[VERSIONED_LEVELS_MAX];
    find_below(map, key, links);
    return *links[0];
}

struct versioned_key *versioned_map_last(struct versioned_map *map)
{
    struct versioned_key *last = NULL;
    for (int level = VERSIONED_LEVELS_MAX - 1; level >= 0; level--) {
        struct versioned_key **link = last ? &last->next[level] : &map->head[level];
        while (*link) {
            last = *link;
            link = &last->next[level];
        }
    }
    return last;
}

struct versioned_key *versioned_map_find(struct versioned_map *map, struct bytes key)
{
    struct versioned_key *found = versioned_map_from(map, key);
    return found && bytes_equal(versioned_key_bytes(found), key) ? found : NULL;
}

// Each level holds a quarter of the one below it.
static unsigned random_levels(struct versioned_map *map)
{
    map->random = map->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t bits = (uint32_t)(map->random >> 32) | UINT32_C(1) << 31;
    unsigned levels = 1 + (unsigned)__builtin_ctz(bits) / 2;
    return levels < VERSIONED_LEVELS_MAX ? levels : VERSIONED_LEVELS_MAX;
}

struct versioned_key *versioned_map_insert(struct versioned_map *map, struct bytes key)
{
    struct versioned_key **links[VERSIONED_LEVELS_MAX];
    find_below(map, key, links);
    struct versioned_key *found = *links[0];
    if (found && bytes_equal(versioned_key_bytes(found), key)) {
        return found;
    }
    unsigned levels = random_levels(map);
    size_t head_bytes = sizeof *found + levels * sizeof found->next[0];
    struct versioned_key *inserted = malloc(head_bytes + key.length);
    if (!inserted) {
        return NULL;
    }
    *inserted = (struct versioned_key){.length = key.length, .levels = levels};
    inserted->data = (uint8_t *)inserted + head_bytes;
    memcpy(inserted->data, key.data, key.length);
    for (unsigned level = 0; level < levels; level++) {
        inserted->next[level] = *links[level];
        *links[level] = inserted;
    }
    return inserted;
}

static struct version *version_at(const struct versioned_key *key, uint64_t number)
{
    struct version *version = key->newest;
    while (version && version->number > number) {
        version = version->older;
    }
    return version;
}

struct version *versioned_key_at(const struct versioned_key *key, uint64_t number)
{
    struct version *version = version_at(key, number);
    return version && !version->is_deletion ? version : NULL;
}

void versions_free(struct version *version)
{
    while (version) {
        struct version *older = version->older;
        free(version);
        version = older;
    }
}

void versioned_map_take(struct versioned_map *map, struct version *version)
{
    struct versioned_key *key = version->key;
    assert(!key->newest || key->newest->number <= version->number);
    version->older = key->newest;
    key->newest = version;
    map->used_bytes += key->length + version->length;
}

// Unlinks all versions from `version` on.
static void forget(struct versioned_map *map, const struct versioned_key *key,
                   struct version **link)
{
    for (struct version *version = *link; version; version = version->older) {
        map->used_bytes -= key->length + version->length;
    }
    versions_free(*link);
    *link = NULL;
}

void versioned_map_forget_old(struct versioned_map *map, struct versioned_key *key, uint64_t number)
{
    struct version *version = version_at(key, number);
    if (version) {
        forget(map, key, &version->older);
    }
}

void versioned_map_forget_new(struct versioned_map *map, struct versioned_key *key, uint64_t number)
{
    while (key->newest && key->newest->number > number) {
        struct version *version = key->newest;
        key->newest = version->older;
        version->older = NULL;
        forget(map, key, &version);
    }
}

struct version *versioned_map_steal(struct versioned_map *map, struct versioned_key *key)
{
    struct version *stolen = key->newest;
    for (struct version *version = stolen; version; version = version->older) {
        map->used_bytes -= key->length + version->length;
    }
    key->newest = NULL;
    return stolen;
}

void versioned_map_purge(struct versioned_map *map, uint64_t number)
{
    struct versioned_key **ends[VERSIONED_LEVELS_MAX];
    for (unsigned level = 0; level < VERSIONED_LEVELS_MAX; level++) {
        ends[level] = &map->head[level];
    }
    struct versioned_key *next;
    for (struct versioned_key *key = map->head[0]; key; key = next) {
        next = key->next[0];
        bool is_empty = !key->newest || (key->newest->is_deletion && key->newest->number <= number);
        for (unsigned level = 0; level < key->levels; level++) {
            *ends[level] = is_empty ? key->next[level] : key;
            ends[level] = is_empty ? ends[level] : &key->next[level];
        }
        if (is_empty) {
            forget(map, key, &key->newest);
            free(key);
        }
    }
}

void versioned_map_deinit(struct versioned_map *map)
{
    struct versioned_key *next;
    for (struct versioned_key *key = map->head[0]; key; key = next) {
        next = key->next[0];
        forget(map, key, &key->newest);
        free(key);
    }
    assert(map->used_bytes == 0);
    *map = (struct versioned_map){0};
}
