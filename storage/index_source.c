// A cursor over many namespaces has many sources and one iterator, so a source reads ahead and
// keeps hits until they are wanted. The first batch after a seek is small, later ones grow: a look
// at the neighbouring event stays cheap. A batch is whole windows: parts of one window can overlap,
// and only after all of them its hits are sorted.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { HITS_WANTED_FIRST = 8, BATCH_WINDOWS_MAX = 64 };

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

struct section_context {
    struct index_source *source;
    const struct source_read *read;
};

static int read_section(void *context, uint8_t member, const struct posting_block *block,
                        struct bytes bytes)
{
    const struct section_context *to = context;
    struct posting_section section;
    struct index_hit hit;
    int result = posting_section_parse(block, bytes, &section);
    while (result == 0 && (result = posting_section_next(&section, &hit)) == 0) {
        if (is_in_bounds(to->read, hit.first)) {
            result = buffer_append(&to->source->hits, bytes_of(&hit, sizeof hit));
        }
    }
    return result == POSTING_END ? 0 : result;
}

// Reads the next window that may have hits, in the direction of the read. 0, GROUP_END, ERR_*.
static int read_window(struct index_source *source, const struct source_read *read,
                       struct group_walk *walk)
{
    const struct index_extent *extent = &source->extent;
    uint64_t window = source->window_next;
    bool is_in_gap = window >= extent->gap_from && window < extent->gap_to;
    int result;
    if (read->direction == INDEX_FORWARD) {
        window = is_in_gap ? extent->gap_to : window;
        window = window < extent->window_first ? extent->window_first : window;
        result = window > POSTING_WINDOW_MAX ? GROUP_END : group_walk_next(walk, window, &window);
        source->window_next = window + 1;
    } else {
        window = is_in_gap ? extent->gap_from - 1 : window;
        bool is_below = window < extent->window_first || window > POSTING_WINDOW_MAX;
        result = is_below ? GROUP_END : group_walk_previous(walk, window, &window);
        source->window_next = window - 1; // below 0: beyond the maximum
    }
    return result;
}

// Reads the next batch: at least one hit, or the source is exhausted.
static int source_fill(struct index_source *source, const struct source_read *read)
{
    struct section_context context = {.source = source, .read = read};
    struct group_walk walk = {
        .iterator = read->iterator,
        .wanted = source->members,
        .group = source->group,
        .part_end = read->parts,
        .section = read_section,
        .context = &context,
    };
    buffer_clear(&source->hits);
    source->at = 0;
    for (uint32_t windows = 1;; windows++) {
        size_t from = hits_count(&source->hits);
        int result = read_window(source, read, &walk);
        if (result) {
            source->is_exhausted = true;
            return result == GROUP_END ? 0 : result;
        }
        window_end(source, read, from);
        size_t count = hits_count(&source->hits);
        if (count >= source->hits_wanted || (count > 0 && windows >= BATCH_WINDOWS_MAX)) {
            return 0;
        }
    }
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
    uint64_t window = read->first >> POSTING_WINDOW_BITS; // at most 46 bits
    source->window_next = window;
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
