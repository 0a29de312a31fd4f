// A cursor selects the namespaces that its filter matches, once, and merges their sources in a
// heap by chunk key. It is opened only when that promises to be cheaper than scanning the log:
// estimates say how many chunks would be fetched, and the groups how many blocks looked at.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"

enum {
    SELECTED_MAX = 4096,
    EXAMINED_MIN = 65536, // names; beyond it as many as a scan of the log is worth
    EXAMINED_EVENTS = 64,
    SAMPLED_MAX = 64,       // namespaces whose hits are estimated
    HITS_AHEAD_MAX = 65536, // over all sources
    HITS_AHEAD_EACH_MAX = 1024,
    HITS_AHEAD_EACH_MIN = 16,
};

// Nanoseconds, measured roughly; only their ratios matter.
enum { COST_SCAN_EVENT = 50, COST_SCAN_CHUNK = 300, COST_HIT = 8000, COST_BLOCK = 1000 };

struct index_cursor {
    struct index *index;
    struct index_view *view;
    struct source_read read;
    struct index_source *sources;
    struct index_source **heap;
    uint32_t sources_count;
    uint32_t heap_count;
    bool is_placed;
    int failed;
};

struct selection {
    uint32_t *numbers; // ascending
    uint32_t count;
    uint64_t hits;                            // estimated
    struct index_extent extents[SAMPLED_MAX]; // of all numbers, if they are not more
};

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

// The numbers of all names that match. INDEX_SCAN: too many of them, or too many to look at.
static int select_names(struct index *index, const struct index_view *view,
                        const struct filter *filter, struct selection *selection)
{
    struct name_walk walk;
    uint64_t examined_max = view->state.events / EXAMINED_EVENTS;
    examined_max = examined_max < EXAMINED_MIN ? EXAMINED_MIN : examined_max;
    int result = name_walk_open(&walk, index->disk, filter, view->state.names, examined_max);
    if (result) {
        return result;
    }
    name_walk_seek(&walk, bytes_of("", 0));
    struct bytes name;
    uint32_t number;
    while ((result = name_walk_next(&walk, &name, &number)) == 0) {
        if (selection->count == SELECTED_MAX) {
            result = NAME_WALK_PAUSE;
            break;
        }
        selection->numbers[selection->count++] = number;
    }
    name_walk_close(&walk);
    qsort(selection->numbers, selection->count, sizeof *selection->numbers, compare_numbers);
    return result < 0 ? result : result == NAME_WALK_PAUSE ? INDEX_SCAN : 0;
}

// The end of the run of numbers in one group that begins at `from`.
static uint32_t group_end(const struct selection *selection, uint32_t from,
                          uint64_t members_out[GROUP_BITMAP_WORDS])
{
    uint32_t group = selection->numbers[from] / GROUP_MEMBERS;
    uint32_t end = from;
    memset(members_out, 0, GROUP_BITMAP_WORDS * sizeof *members_out);
    for (; end < selection->count && selection->numbers[end] / GROUP_MEMBERS == group; end++) {
        bitmap_set(members_out, selection->numbers[end] % GROUP_MEMBERS);
    }
    return end;
}

static uint32_t groups_count(const struct selection *selection)
{
    uint64_t members[GROUP_BITMAP_WORDS];
    uint32_t groups = 0;
    for (uint32_t i = 0; i < selection->count; i = group_end(selection, i, members)) {
        groups++;
    }
    return groups;
}

// About how many chunks hold matching events, from a sample of the namespaces.
static int estimate_hits(const struct index_cursor *cursor, struct selection *selection)
{
    uint32_t count = selection->count;
    uint32_t sampled = count < SAMPLED_MAX ? count : SAMPLED_MAX;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < sampled; i++) {
        uint32_t number = selection->numbers[(uint64_t)i * count / sampled];
        uint64_t hits;
        int err = index_number_estimate(cursor->read.iterator, cursor->view, number, &hits,
                                        &selection->extents[i]);
        if (err) {
            return err;
        }
        sum += hits;
    }
    selection->hits = sampled == 0 ? 0 : sum * count / sampled;
    return 0;
}

static int decide(const struct index_cursor *cursor, const struct selection *selection)
{
    const struct index_state *state = &cursor->view->state;
    uint32_t groups = groups_count(selection);
    uint64_t scan = state->events * COST_SCAN_EVENT + state->chunks * COST_SCAN_CHUNK;
    uint64_t merge = selection->hits * COST_HIT + (uint64_t)groups * state->parts * COST_BLOCK;
    return merge > scan ? INDEX_SCAN : 0;
}

static int add_tail_source(struct index_cursor *cursor, const struct selection *selection)
{
    struct index_source *source = &cursor->sources[cursor->sources_count];
    source->is_memory = true;
    source->is_exhausted = true;
    for (uint32_t i = 0; i < selection->count; i++) {
        int err = index_tail_hits(cursor->view, selection->numbers[i], &source->hits);
        if (err) {
            index_source_deinit(source);
            return err;
        }
    }
    index_hits_sort(&source->hits, 0);
    cursor->sources_count++;
    return 0;
}

// What holds for each of several namespaces; there is a gap only where all have it.
static struct index_extent group_extent(const struct selection *selection, uint32_t from,
                                        uint32_t end)
{
    struct index_extent extent = {0};
    if (selection->count > SAMPLED_MAX) {
        return extent; // not all are known
    }
    assert(from < end && end <= SAMPLED_MAX);
    extent = selection->extents[from];
    for (uint32_t i = from + 1; i < end; i++) {
        const struct index_extent *other = &selection->extents[i];
        if (other->window_first < extent.window_first) {
            extent.window_first = other->window_first;
        }
        extent.gap_from = other->gap_from > extent.gap_from ? other->gap_from : extent.gap_from;
        extent.gap_to = other->gap_to < extent.gap_to ? other->gap_to : extent.gap_to;
    }
    return extent;
}

// For each group one source, and one over the tail.
static int add_sources(struct index_cursor *cursor, const struct selection *selection)
{
    size_t count_max = (size_t)selection->count + 1;
    cursor->sources = calloc(count_max, sizeof *cursor->sources);
    cursor->heap = calloc(count_max, sizeof(struct index_source *));
    if (!cursor->sources || !cursor->heap) {
        return ERR_MEMORY;
    }
    uint32_t end;
    for (uint32_t i = 0; i < selection->count; i = end) {
        struct index_source *source = &cursor->sources[cursor->sources_count++];
        source->group = selection->numbers[i] / GROUP_MEMBERS;
        end = group_end(selection, i, source->members);
        source->extent = group_extent(selection, i, end);
    }
    size_t ahead = HITS_AHEAD_MAX / (cursor->sources_count + 1);
    ahead = ahead > HITS_AHEAD_EACH_MAX ? HITS_AHEAD_EACH_MAX : ahead;
    cursor->read.hits_wanted_max = ahead < HITS_AHEAD_EACH_MIN ? HITS_AHEAD_EACH_MIN : ahead;
    return add_tail_source(cursor, selection);
}

static int cursor_build(struct index_cursor *cursor, const struct filter *filter, bool may_scan)
{
    struct index *index = cursor->index;
    struct selection selection = {
        .numbers = malloc(SELECTED_MAX * sizeof *selection.numbers),
    };
    if (!selection.numbers) {
        return ERR_MEMORY;
    }
    int result = select_names(index, cursor->view, filter, &selection);
    if (result == 0) {
        result = disk_iterator_open(index->disk, INDEX_POSTINGS, DISK_READ_POINT,
                                    &cursor->read.iterator);
    }
    if (result == 0) {
        result = estimate_hits(cursor, &selection);
    }
    if (result == 0 && may_scan) {
        result = decide(cursor, &selection);
    }
    if (result == 0) {
        result = add_sources(cursor, &selection);
    }
    free(selection.numbers);
    return result;
}

static int cursor_open(struct index *index, const struct filter *filter, bool may_scan,
                       struct index_cursor **cursor_out, struct version_vector *watermark_out)
{
    struct index_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor) {
        return ERR_MEMORY;
    }
    cursor->index = index;
    cursor->view = index_view_take(index);
    cursor->read.parts = cursor->view->state.parts;
    int result = cursor_build(cursor, filter, may_scan);
    if (result == 0) {
        result = version_vector_copy(watermark_out, &cursor->view->state.vector);
    }
    if (result) {
        index_cursor_close(cursor);
        return result;
    }
    *cursor_out = cursor;
    return 0;
}

int index_cursor_open(struct index *index, const struct filter *filter,
                      struct index_cursor **cursor_out, struct version_vector *watermark_out)
{
    if (!filter || filter_is_every_name(filter)) {
        return INDEX_SCAN;
    }
    return cursor_open(index, filter, true, cursor_out, watermark_out);
}

int index_cursor_open_merging(struct index *index, const struct filter *filter,
                              struct index_cursor **cursor_out,
                              struct version_vector *watermark_out)
{
    return cursor_open(index, filter, false, cursor_out, watermark_out);
}

void index_cursor_close(struct index_cursor *cursor)
{
    if (!cursor) {
        return;
    }
    for (uint32_t i = 0; i < cursor->sources_count; i++) {
        index_source_deinit(&cursor->sources[i]);
    }
    free(cursor->sources);
    free(cursor->heap);
    if (cursor->read.iterator) {
        disk_iterator_close(cursor->read.iterator);
    }
    index_view_release(cursor->index, cursor->view);
    free(cursor);
}

// Whether a's hit is read before b's.
static bool is_before(const struct index_cursor *cursor, const struct index_source *a,
                      const struct index_source *b)
{
    int order = index_hit_compare(index_source_hit(a), index_source_hit(b));
    return cursor->read.direction == INDEX_FORWARD ? order < 0 : order > 0;
}

static void sift_down(struct index_cursor *cursor, uint32_t at)
{
    struct index_source **heap = cursor->heap;
    for (;;) {
        uint32_t next = 2 * at + 1;
        if (next >= cursor->heap_count) {
            return;
        }
        if (next + 1 < cursor->heap_count && is_before(cursor, heap[next + 1], heap[next])) {
            next++;
        }
        if (!is_before(cursor, heap[next], heap[at])) {
            return;
        }
        struct index_source *source = heap[at];
        heap[at] = heap[next];
        heap[next] = source;
        at = next;
    }
}

static int cursor_seek(struct index_cursor *cursor, uint64_t first, enum index_direction direction)
{
    cursor->read.first = first;
    cursor->read.direction = direction;
    cursor->heap_count = 0;
    cursor->is_placed = true;
    cursor->failed = 0;
    for (uint32_t i = 0; i < cursor->sources_count; i++) {
        struct index_source *source = &cursor->sources[i];
        int err = index_source_rewind(source, &cursor->read);
        if (err) {
            cursor->failed = err;
            return err;
        }
        if (index_source_hit(source)) {
            cursor->heap[cursor->heap_count++] = source;
        }
    }
    for (uint32_t i = cursor->heap_count / 2; i-- > 0;) {
        sift_down(cursor, i);
    }
    return 0;
}

int index_cursor_seek(struct index_cursor *cursor, uint64_t first)
{
    return cursor_seek(cursor, first, INDEX_FORWARD);
}

int index_cursor_seek_backward(struct index_cursor *cursor, uint64_t first)
{
    return cursor_seek(cursor, first, INDEX_BACKWARD);
}

static int advance_top(struct index_cursor *cursor)
{
    struct index_source *top = cursor->heap[0];
    int err = index_source_advance(top, &cursor->read);
    if (err) {
        cursor->failed = err;
        return err;
    }
    if (!index_source_hit(top)) {
        cursor->heap[0] = cursor->heap[--cursor->heap_count];
    }
    sift_down(cursor, 0);
    return 0;
}

// An error in the middle of a chunk's hits must not show a part of them as the whole.
static int cursor_take(struct index_cursor *cursor, struct index_hit *hit_out)
{
    if (cursor->failed) {
        return cursor->failed;
    }
    if (cursor->heap_count == 0) {
        return INDEX_END;
    }
    struct index_hit hit = *index_source_hit(cursor->heap[0]);
    for (;;) {
        int err = advance_top(cursor);
        if (err) {
            return err;
        }
        if (cursor->heap_count == 0) {
            break;
        }
        const struct index_hit *next = index_source_hit(cursor->heap[0]);
        if (index_hit_compare(next, &hit) != 0) {
            break;
        }
        hit.positions |= next->positions;
    }
    *hit_out = hit;
    return 0;
}

int index_cursor_next(struct index_cursor *cursor, struct index_hit *hit_out)
{
    if (!cursor->is_placed) {
        int err = cursor_seek(cursor, 0, INDEX_FORWARD);
        if (err) {
            return err;
        }
    }
    assert(cursor->read.direction == INDEX_FORWARD);
    return cursor_take(cursor, hit_out);
}

int index_cursor_previous(struct index_cursor *cursor, struct index_hit *hit_out)
{
    if (!cursor->is_placed) {
        int err = cursor_seek(cursor, UINT64_MAX, INDEX_BACKWARD);
        if (err) {
            return err;
        }
    }
    assert(cursor->read.direction == INDEX_BACKWARD);
    return cursor_take(cursor, hit_out);
}
