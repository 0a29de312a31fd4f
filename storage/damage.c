// A sorted array under one mutex. It is empty nearly always, so what asks often asks for its count
// first.
#include "storage/damage.h"

#include <stdlib.h>

void damage_init(struct damage *damage)
{
    *damage = (struct damage){0};
    pthread_mutex_init(&damage->lock, NULL);
}

void damage_deinit(struct damage *damage)
{
    pthread_mutex_destroy(&damage->lock);
    free(damage->entries);
    *damage = (struct damage){0};
}

void damage_clear(struct damage *damage)
{
    pthread_mutex_lock(&damage->lock);
    damage->count = 0;
    damage->open = 0;
    damage->changes++;
    pthread_mutex_unlock(&damage->lock);
}

static int chunk_compare(struct damaged_chunk a, struct damaged_chunk b)
{
    if (a.actor != b.actor) {
        return a.actor < b.actor ? -1 : 1;
    }
    return a.first < b.first ? -1 : a.first > b.first;
}

// Where the chunk is, or would be.
static uint32_t entries_find(const struct damage *damage, struct damaged_chunk chunk,
                             bool *is_there_out)
{
    uint32_t low = 0;
    uint32_t high = damage->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk_compare(damage->entries[middle].chunk, chunk) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *is_there_out = low < damage->count && chunk_compare(damage->entries[low].chunk, chunk) == 0;
    return low;
}

// The chunk's entry, a new one if there was none; NULL: no memory or no room.
static struct damage_entry *entry_get(struct damage *damage, struct damaged_chunk chunk)
{
    bool is_there;
    uint32_t at = entries_find(damage, chunk, &is_there);
    if (is_there) {
        return &damage->entries[at];
    }
    if (damage->count == DAMAGE_LISTED_MAX) {
        return NULL;
    }
    if (damage->count == damage->capacity) {
        uint32_t capacity = damage->capacity == 0 ? 8 : 2 * damage->capacity;
        struct damage_entry *entries = realloc(damage->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            return NULL;
        }
        damage->entries = entries;
        damage->capacity = capacity;
    }
    memmove(&damage->entries[at + 1], &damage->entries[at],
            (damage->count - at) * sizeof *damage->entries);
    damage->entries[at] = (struct damage_entry){.chunk = chunk};
    damage->count++;
    return &damage->entries[at];
}

static void entry_drop_if_done(struct damage *damage, uint32_t at)
{
    if (!damage->entries[at].is_open && !damage->entries[at].is_unindexed) {
        damage->count--;
        memmove(&damage->entries[at], &damage->entries[at + 1],
                (damage->count - at) * sizeof *damage->entries);
    }
}

bool damage_found(struct damage *damage, struct damaged_chunk chunk, const struct reason *text)
{
    pthread_mutex_lock(&damage->lock);
    struct damage_entry *entry = entry_get(damage, chunk);
    bool is_new = entry == NULL || !entry->is_open;
    if (is_new) {
        damage->found++;
        damage->last = *text;
    }
    if (is_new && entry != NULL) {
        entry->is_open = true;
        entry->chunk.last = chunk.last != 0 ? chunk.last : entry->chunk.last;
        damage->open++;
    }
    pthread_mutex_unlock(&damage->lock);
    return is_new;
}

bool damage_ended(struct damage *damage, struct damaged_chunk range, bool is_repair)
{
    bool is_there;
    bool has_ended = false;
    pthread_mutex_lock(&damage->lock);
    uint32_t at = entries_find(damage, range, &is_there);
    while (at < damage->count && damage->entries[at].chunk.actor == range.actor &&
           damage->entries[at].chunk.first <= range.last) {
        uint32_t count = damage->count;
        damage->open -= damage->entries[at].is_open;
        damage->entries[at].is_open = false;
        has_ended = true;
        entry_drop_if_done(damage, at);
        at += damage->count == count;
    }
    damage->repaired += is_repair;
    pthread_mutex_unlock(&damage->lock);
    return has_ended;
}

bool damage_next(struct damage *damage, struct damaged_chunk after, struct damaged_chunk *out)
{
    bool is_found = false;
    pthread_mutex_lock(&damage->lock);
    uint32_t at = entries_find(damage, after, &is_found);
    at += is_found;
    while (at < damage->count && !damage->entries[at].is_open) {
        at++;
    }
    is_found = at < damage->count;
    if (is_found) {
        *out = damage->entries[at].chunk;
    }
    pthread_mutex_unlock(&damage->lock);
    return is_found;
}

// --- What the index passed over ------------------------------------------------------------------

int damage_pass_over(struct damage *damage, struct damaged_chunk chunk)
{
    pthread_mutex_lock(&damage->lock);
    struct damage_entry *entry = entry_get(damage, chunk);
    if (entry != NULL) {
        entry->is_unindexed = true;
        entry->chunk.last = chunk.last;
        damage->changes++;
    }
    bool is_full = damage->count == DAMAGE_LISTED_MAX;
    pthread_mutex_unlock(&damage->lock);
    return entry != NULL ? 0 : is_full ? ERR_LIMIT : ERR_MEMORY;
}

void damage_indexed(struct damage *damage, struct damaged_chunk chunk)
{
    bool is_there;
    pthread_mutex_lock(&damage->lock);
    uint32_t at = entries_find(damage, chunk, &is_there);
    if (is_there && damage->entries[at].is_unindexed) {
        damage->entries[at].is_unindexed = false;
        damage->changes++;
        entry_drop_if_done(damage, at);
    }
    pthread_mutex_unlock(&damage->lock);
}

bool damage_mended(struct damage *damage, struct damaged_chunk *out)
{
    bool is_found = false;
    pthread_mutex_lock(&damage->lock);
    for (uint32_t at = 0; at < damage->count && !is_found; at++) {
        const struct damage_entry *entry = &damage->entries[at];
        is_found = entry->is_unindexed && !entry->is_open;
        if (is_found) {
            *out = entry->chunk;
        }
    }
    pthread_mutex_unlock(&damage->lock);
    return is_found;
}

static int first_compare(const void *a, const void *b)
{
    const struct damaged_chunk *left = a;
    const struct damaged_chunk *right = b;
    if (left->first != right->first) {
        return left->first < right->first ? -1 : 1;
    }
    return left->actor < right->actor ? -1 : left->actor > right->actor;
}

int damage_unindexed(struct damage *damage, struct buffer *out, uint64_t *changes_out)
{
    int result = 0;
    buffer_clear(out);
    pthread_mutex_lock(&damage->lock);
    *changes_out = damage->changes;
    for (uint32_t at = 0; at < damage->count && result == 0; at++) {
        if (damage->entries[at].is_unindexed) {
            result = buffer_append(
                out, bytes_of(&damage->entries[at].chunk, sizeof damage->entries[at].chunk));
        }
    }
    pthread_mutex_unlock(&damage->lock);
    if (out->length > 0) {
        qsort(out->data, out->length / sizeof(struct damaged_chunk), sizeof(struct damaged_chunk),
              first_compare);
    }
    return result;
}
