// Copied whole into each port when something has moved: an entry is smaller than a cache line, and
// there are as many as the cluster ever had members.
#include "storage/strand_ends.h"

#include <assert.h>
#include <stdlib.h>

void strand_ends_deinit(struct strand_ends *ends)
{
    free(ends->entries);
    *ends = (struct strand_ends){0};
}

int strand_ends_reserve(struct strand_ends *ends, size_t count)
{
    if (count <= ends->capacity) {
        return 0;
    }
    size_t capacity = count + count / 2 + 2;
    struct strand_end *entries = realloc(ends->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    ends->entries = entries;
    ends->capacity = (uint32_t)capacity;
    return 0;
}

void strand_ends_set(struct strand_ends *ends, const struct head *head)
{
    uint32_t at = 0;
    if (head->last == 0) {
        return;
    }
    while (at < ends->count && ends->entries[at].actor < head->actor) {
        at++;
    }
    if (at == ends->count || ends->entries[at].actor != head->actor) {
        assert(ends->count < ends->capacity);
        memmove(&ends->entries[at + 1], &ends->entries[at],
                (ends->count - at) * sizeof *ends->entries);
        ends->count++;
    }
    ends->entries[at] =
        (struct strand_end){.actor = head->actor, .last = head->last, .hash = head->hash};
}

int strand_ends_copy(struct strand_ends *to, const struct strand_ends *from)
{
    if (strand_ends_reserve(to, from->count) != 0) {
        return ERR_MEMORY;
    }
    if (from->count > 0) {
        memcpy(to->entries, from->entries, from->count * sizeof *from->entries);
    }
    to->count = from->count;
    return 0;
}
