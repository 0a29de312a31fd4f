// Names are in byte order on the disk, so a pattern's literal beginning is a range of them. A walk
// goes through the union of the ranges of a filter's patterns: from a name that is in none of them
// it jumps to where the nearest one begins. So names that no pattern can match cost nothing.

#include "storage/index_internal.h"

#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/namespace.h"

enum { PAGE_EXAMINED_MAX = 16384 };

int name_walk_open(struct name_walk *walk, struct disk *disk, const struct filter *filter,
                   uint32_t names, uint64_t examined_max)
{
    *walk = (struct name_walk){.filter = filter, .names = names, .examined_max = examined_max};
    return disk_iterator_open(disk, INDEX_NAMESPACES, DISK_READ_POINT, &walk->iterator);
}

void name_walk_close(struct name_walk *walk)
{
    if (walk->iterator) {
        disk_iterator_close(walk->iterator);
    }
    walk->iterator = NULL;
}

void name_walk_seek(struct name_walk *walk, struct bytes name)
{
    disk_iterator_seek(walk->iterator, name);
    if (name.length > 0 && disk_iterator_is_valid(walk->iterator) &&
        bytes_equal(disk_iterator_key(walk->iterator), name)) {
        disk_iterator_next(walk->iterator);
    }
    walk->is_begun = true;
}

static bool has_prefix(struct bytes name, struct bytes prefix)
{
    return name.length >= prefix.length && bytes_equal(bytes_of(name.data, prefix.length), prefix);
}

enum range_place { RANGE_INSIDE, RANGE_AHEAD, RANGE_BEHIND };

static enum range_place place_in_range(struct bytes name, struct bytes prefix, bool is_exact)
{
    if (is_exact ? bytes_equal(name, prefix) : has_prefix(name, prefix)) {
        return RANGE_INSIDE;
    }
    return bytes_compare(name, prefix) < 0 ? RANGE_AHEAD : RANGE_BEHIND;
}

// Whether the name lies in a range; if not, where the nearest one ahead begins.
static enum range_place place_in_ranges(const struct filter *filter, struct bytes name,
                                        struct bytes *begin_out)
{
    if (!filter || filter_is_every_name(filter)) {
        return RANGE_INSIDE;
    }
    enum range_place place = RANGE_BEHIND;
    for (size_t i = 0; i < filter_globs_count(filter); i++) {
        bool is_exact;
        struct bytes prefix = glob_prefix(filter_glob(filter, i), &is_exact);
        switch (place_in_range(name, prefix, is_exact)) {
        case RANGE_INSIDE:
            return RANGE_INSIDE;
        case RANGE_AHEAD:
            if (place == RANGE_BEHIND || bytes_compare(prefix, *begin_out) < 0) {
                *begin_out = prefix;
            }
            place = RANGE_AHEAD;
            break;
        case RANGE_BEHIND:
            break;
        }
    }
    return place;
}

static int name_check(const struct name_walk *walk, struct bytes name, bool *is_match_out,
                      uint32_t *number_out)
{
    uint32_t number;
    int err = index_number_decode(disk_iterator_value(walk->iterator), &number);
    if (err) {
        return err;
    }
    bool matches = walk->filter ? filter_matches(walk->filter, name) : !namespace_is_system(name);
    *is_match_out = number < walk->names && matches;
    *number_out = number;
    return 0;
}

int name_walk_next(struct name_walk *walk, struct bytes *name_out, uint32_t *number_out)
{
    struct disk_iterator *iterator = walk->iterator;
    if (walk->is_begun) {
        walk->is_begun = false;
    } else {
        disk_iterator_next(iterator);
    }
    while (disk_iterator_is_valid(iterator)) {
        struct bytes name = disk_iterator_key(iterator);
        struct bytes begin = {0};
        switch (place_in_ranges(walk->filter, name, &begin)) {
        case RANGE_BEHIND:
            return NAME_WALK_END;
        case RANGE_AHEAD:
            disk_iterator_seek(iterator, begin);
            continue;
        case RANGE_INSIDE:
            break;
        }
        bool is_match;
        *name_out = name;
        int err = name_check(walk, name, &is_match, number_out);
        if (err || is_match) {
            return err;
        }
        if (++walk->examined >= walk->examined_max) {
            return NAME_WALK_PAUSE;
        }
        disk_iterator_next(iterator);
    }
    int err = disk_iterator_status(iterator);
    return err ? err : NAME_WALK_END;
}

// A page: its names first, so that groups are looked at once each, then the rows.
struct page_entry {
    size_t name_at; // in names
    uint16_t name_length;
    uint32_t number;
    struct posting_totals totals;
};

struct page {
    struct page_entry *entries;
    struct page_entry **by_number;
    uint32_t count;
    struct buffer names;
    bool more;
};

static void page_deinit(struct page *page)
{
    free(page->entries);
    free(page->by_number);
    buffer_deinit(&page->names);
}

static int page_add(struct page *page, struct bytes name, uint32_t number)
{
    struct page_entry *entry = &page->entries[page->count];
    *entry = (struct page_entry){
        .name_at = page->names.length,
        .name_length = (uint16_t)name.length,
        .number = number,
    };
    page->by_number[page->count] = entry;
    page->count++;
    return buffer_append(&page->names, name);
}

// Gathers names; the name to go on behind, when there are more, goes to `next_name`.
static int page_gather(struct page *page, struct name_walk *walk, uint32_t rows_max,
                       struct buffer *next_name)
{
    for (;;) {
        struct bytes name;
        uint32_t number;
        int result = name_walk_next(walk, &name, &number);
        if (result < 0 || result == NAME_WALK_END) {
            return result < 0 ? result : 0;
        }
        if (result == NAME_WALK_PAUSE) {
            page->more = true;
            buffer_clear(next_name);
            return buffer_append(next_name, name);
        }
        if (page->count == rows_max) {
            const struct page_entry *last = &page->entries[page->count - 1];
            page->more = true;
            buffer_clear(next_name);
            return buffer_append(next_name,
                                 bytes_of(page->names.data + last->name_at, last->name_length));
        }
        result = page_add(page, name, number);
        if (result) {
            return result;
        }
    }
}

static int compare_numbers(const void *left, const void *right)
{
    const struct page_entry *a = *(struct page_entry *const *)left;
    const struct page_entry *b = *(struct page_entry *const *)right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static int page_count(struct page *page, struct disk_iterator *postings,
                      const struct index_view *view)
{
    qsort(page->by_number, page->count, sizeof(struct page_entry *), compare_numbers);
    uint32_t i = 0;
    int err = 0;
    while (!err && i < page->count) {
        struct posting_totals totals[GROUP_MEMBERS];
        uint64_t wanted[GROUP_BITMAP_WORDS] = {0};
        uint32_t group = page->by_number[i]->number / GROUP_MEMBERS;
        uint32_t end = i;
        for (; end < page->count && page->by_number[end]->number / GROUP_MEMBERS == group; end++) {
            bitmap_set(wanted, page->by_number[end]->number % GROUP_MEMBERS);
        }
        err = index_group_totals(postings, view, group, wanted, totals);
        for (; !err && i < end; i++) {
            page->by_number[i]->totals = totals[page->by_number[i]->number % GROUP_MEMBERS];
        }
    }
    return err;
}

static int page_rows(const struct page *page, struct buffer *rows_out)
{
    size_t length_before = rows_out->length;
    for (uint32_t i = 0; i < page->count; i++) {
        const struct page_entry *entry = &page->entries[i];
        const struct posting_totals *totals = &entry->totals;
        struct namespace_row row = {
            .name = bytes_of(page->names.data + entry->name_at, entry->name_length),
            .events = totals->events,
            .bytes = totals->bytes,
            .first = totals->first,
            .last = totals->last,
            .first_timestamp_ms = totals->first_timestamp_ms,
            .last_timestamp_ms = totals->last_timestamp_ms,
        };
        int err = namespace_row_append(rows_out, &row);
        if (err) {
            rows_out->length = length_before;
            return err;
        }
    }
    return 0;
}

static int page_read(struct page *page, struct disk_iterator *postings,
                     const struct index_view *view, struct name_walk *walk, uint32_t rows_max,
                     struct buffer *next_name_out)
{
    page->entries = calloc(rows_max, sizeof *page->entries);
    page->by_number = calloc(rows_max, sizeof(struct page_entry *));
    if (!page->entries || !page->by_number) {
        return ERR_MEMORY;
    }
    int err = page_gather(page, walk, rows_max, next_name_out);
    return err ? err : page_count(page, postings, view);
}

int index_names_page(struct index *index, const struct filter *filter, struct bytes after_name,
                     uint32_t rows_max, struct buffer *rows_out, bool *more_out,
                     struct buffer *next_name_out)
{
    struct page page = {0};
    struct name_walk walk = {0};
    rows_max = rows_max < 1 ? 1 : rows_max > NAMESPACES_PAGE_MAX ? NAMESPACES_PAGE_MAX : rows_max;
    struct index_view *view;
    struct disk_iterator *postings;
    int err = index_view_take_summed(index, &view, &postings);
    if (err) {
        return err;
    }
    err = name_walk_open(&walk, index->disk, filter, view->state.names, PAGE_EXAMINED_MAX);
    if (!err) {
        name_walk_seek(&walk, after_name);
        err = page_read(&page, postings, view, &walk, rows_max, next_name_out);
    }
    err = err ? err : page_rows(&page, rows_out);
    if (!err) {
        *more_out = page.more;
    }
    name_walk_close(&walk);
    page_deinit(&page);
    disk_iterator_close(postings);
    index_view_release(index, view);
    return err;
}
