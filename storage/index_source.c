// A cursor over many namespaces has many sources and one iterator, so a source seeks to its place,
// reads ahead over several windows while the iterator is there, and keeps their hits until they are
// wanted. The first batch after a seek is small, later ones grow: a look at the neighbouring event
// stays cheap, and long reads seek rarely. A batch ends between windows: parts of one window can
// overlap, and only after all of them its hits are sorted.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { HITS_WANTED_FIRST = 8, BATCH_BLOCKS_MAX = 64 };

int index_hit_compare(const struct index_hit *a, const struct index_hit *b)
{
    return event_id_compare((struct event_id){.counter = a->first, .actor = a->actor},
                            (struct event_id){.counter = b->first, .actor = b->actor});
}

static int hit_compare(const void *a, const void *b)
{
    return index_hit_compare(a, b);
}

static struct index_hit *hits_of(const struct buffer *hits)
{
    return (struct index_hit *)(void *)hits->data;
}

static size_t hits_count(const struct buffer *hits)
{
    return hits->length / sizeof(struct index_hit);
}

void index_hits_sort(struct buffer *buffer, size_t from)
{
    struct index_hit *hits = hits_of(buffer);
    size_t count = hits_count(buffer);
    bool is_sorted = true;
    for (size_t i = from + 1; i < count && is_sorted; i++) {
        is_sorted = index_hit_compare(&hits[i - 1], &hits[i]) < 0;
    }
    if (is_sorted) {
        return;
    }
    qsort(hits + from, count - from, sizeof *hits, hit_compare);
    size_t kept = from;
    for (size_t i = from + 1; i < count; i++) {
        if (index_hit_compare(&hits[kept], &hits[i]) == 0) {
            hits[kept].positions |= hits[i].positions;
        } else {
            hits[++kept] = hits[i];
        }
    }
    buffer->length = (kept + 1) * sizeof *hits;
}

void index_source_deinit(struct index_source *source)
{
    buffer_deinit(&source->hits);
}

static void hits_reverse(struct buffer *buffer, size_t from)
{
    struct index_hit *hits = hits_of(buffer);
    size_t end = hits_count(buffer);
    while (from + 1 < end) {
        struct index_hit hit = hits[from];
        hits[from++] = hits[--end];
        hits[end] = hit;
    }
}

// Puts the hits of a window, from `from` on, into the order in which they are read.
static void window_end(struct index_source *source, const struct source_read *read, size_t from)
{
    if (hits_count(&source->hits) <= from) {
        return;
    }
    index_hits_sort(&source->hits, from);
    if (read->direction == INDEX_BACKWARD) {
        hits_reverse(&source->hits, from);
    }
}

static bool is_in_bounds(const struct source_read *read, uint64_t first)
{
    return read->direction == INDEX_FORWARD ? first >= read->first : first <= read->first;
}

static int section_read(struct index_source *source, const struct source_read *read,
                        struct posting_section *section)
{
    struct index_hit hit;
    int result;
    int err = buffer_reserve(&source->hits, sizeof hit);
    while (!err && (result = posting_section_next(section, &hit)) != POSTING_END) {
        err = result;
        if (!err && is_in_bounds(read, hit.first)) {
            err = buffer_append(&source->hits, bytes_of(&hit, sizeof hit));
        }
    }
    return err;
}

static int block_read(struct index_source *source, const struct source_read *read, uint64_t window)
{
    struct posting_block block;
    int result = posting_block_parse(disk_iterator_value(read->iterator), window, &block);
    while (result == 0) {
        uint8_t member;
        struct bytes bytes;
        struct posting_section section;
        result = posting_block_next(&block, &member, &bytes);
        if (result == 0 && bitmap_has(source->members, member)) {
            result = posting_section_parse(&block, bytes, &section);
            result = result ? result : section_read(source, read, &section);
        }
    }
    return result == POSTING_END ? 0 : result;
}

static void source_seek(const struct index_source *source, const struct source_read *read)
{
    struct posting_key key = {
        .group = source->group,
        .slot = source->slot,
        .window = source->window_next,
        .part = read->direction == INDEX_FORWARD ? 0 : UINT32_MAX,
    };
    uint8_t bytes[POSTING_KEY_LENGTH];
    posting_key_encode(&key, bytes);
    if (read->direction == INDEX_FORWARD) {
        disk_iterator_seek(read->iterator, bytes_of(bytes, sizeof bytes));
    } else {
        disk_iterator_seek_for_prev(read->iterator, bytes_of(bytes, sizeof bytes));
    }
}

static void source_step(const struct source_read *read)
{
    if (read->direction == INDEX_FORWARD) {
        disk_iterator_next(read->iterator);
    } else {
        disk_iterator_previous(read->iterator);
    }
}

static bool is_batch_full(const struct index_source *source, uint32_t blocks)
{
    size_t count = hits_count(&source->hits);
    return count >= source->hits_wanted || (count > 0 && blocks >= BATCH_BLOCKS_MAX);
}

// Reads the next batch: at least one hit, or the source is exhausted.
static int source_fill(struct index_source *source, const struct source_read *read)
{
    uint64_t window = source->window_next;
    size_t window_from = 0;
    uint32_t blocks = 0;
    buffer_clear(&source->hits);
    source->at = 0;
    for (source_seek(source, read); disk_iterator_is_valid(read->iterator); source_step(read)) {
        struct posting_key key;
        int err = posting_key_decode(disk_iterator_key(read->iterator), &key);
        if (err) {
            return err;
        }
        if (key.group != source->group || key.slot != source->slot) {
            window_end(source, read, window_from);
            source->is_exhausted = true;
            return 0;
        }
        if (key.window != window) {
            window_end(source, read, window_from);
            window = key.window;
            window_from = hits_count(&source->hits);
            if (is_batch_full(source, blocks)) {
                source->window_next = window;
                return 0;
            }
        }
        blocks++;
        err = key.part < read->parts ? block_read(source, read, window) : 0;
        if (err) {
            return err;
        }
    }
    window_end(source, read, window_from);
    source->is_exhausted = true;
    return disk_iterator_status(read->iterator);
}

// The place in hits from memory, which are ascending whatever the direction.
static void memory_rewind(struct index_source *source, const struct source_read *read)
{
    const struct index_hit *hits = hits_of(&source->hits);
    size_t count = hits_count(&source->hits);
    size_t at = 0;
    if (read->direction == INDEX_FORWARD) {
        while (at < count && hits[at].first < read->first) {
            at++;
        }
        source->at = at;
        return;
    }
    while (at < count && hits[at].first <= read->first) {
        at++;
    }
    source->at = at - 1; // SIZE_MAX: none
}

int index_source_rewind(struct index_source *source, const struct source_read *read)
{
    if (source->is_memory) {
        memory_rewind(source, read);
        return 0;
    }
    uint64_t window = read->first >> POSTING_WINDOW_BITS;
    source->window_next = window > POSTING_WINDOW_MAX ? POSTING_WINDOW_MAX : window;
    source->is_exhausted = false;
    source->hits_wanted = HITS_WANTED_FIRST;
    return source_fill(source, read);
}

const struct index_hit *index_source_hit(const struct index_source *source)
{
    return source->at < hits_count(&source->hits) ? &hits_of(&source->hits)[source->at] : NULL;
}

int index_source_advance(struct index_source *source, const struct source_read *read)
{
    if (source->is_memory) {
        source->at += read->direction == INDEX_FORWARD ? 1 : SIZE_MAX;
        return 0;
    }
    source->at++;
    if (source->at < hits_count(&source->hits) || source->is_exhausted) {
        return 0;
    }
    source->hits_wanted *= 4;
    if (source->hits_wanted > read->hits_wanted_max) {
        source->hits_wanted = read->hits_wanted_max;
    }
    return source_fill(source, read);
}
