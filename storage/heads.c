// A sorted array: a node knows as many actors as its cluster ever had members, and a commit mostly
// touches one of them.
#include "storage/heads.h"

#include <stdlib.h>

void heads_deinit(struct heads *heads)
{
    free(heads->entries);
    *heads = (struct heads){0};
}

static int heads_grow(struct heads *heads)
{
    if (heads->count < heads->capacity) {
        return 0;
    }
    size_t capacity = heads->capacity == 0 ? 4 : heads->capacity * 2;
    struct head *entries = realloc(heads->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    heads->entries = entries;
    heads->capacity = capacity;
    return 0;
}

struct head *heads_get(struct heads *heads, uint16_t actor)
{
    size_t low = 0;
    size_t high = heads->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heads->entries[middle].actor == actor) {
            return &heads->entries[middle];
        }
        if (heads->entries[middle].actor < actor) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (heads_grow(heads) != 0) {
        return NULL;
    }
    memmove(&heads->entries[low + 1], &heads->entries[low],
            (heads->count - low) * sizeof *heads->entries);
    heads->entries[low] = (struct head){.actor = actor};
    heads->count++;
    return &heads->entries[low];
}
