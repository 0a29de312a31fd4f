// Ranges stay sorted, so lookups bisect, and one that is added changes its neighbours only. What
// changes many (a vector that rises, another position) sweeps over all ranges once, in order.

#include "proto/model/position.h"

#include <assert.h>
#include <stdlib.h>

enum {
    RANGES_CAPACITY_MIN = 8,
    HEAD_LENGTH = 8,   // how many entries of the vector, how many ranges
    ENTRY_LENGTH = 10, // of the vector: actor 2, counter 8
};

static_assert(HEAD_LENGTH + ACTORS_MAX * ENTRY_LENGTH <= POSITION_BYTES_MAX,
              "every vector fits into an event");

static int reserve(struct position *position, size_t count)
{
    if (count <= position->ranges_capacity) {
        return 0;
    }
    size_t capacity = 2 * (size_t)position->ranges_capacity;
    capacity = capacity < RANGES_CAPACITY_MIN ? RANGES_CAPACITY_MIN : capacity;
    capacity = capacity < count ? count : capacity;
    struct done_range *ranges = realloc(position->ranges, capacity * sizeof *ranges);
    if (!ranges) {
        return ERR_MEMORY;
    }
    position->ranges = ranges;
    position->ranges_capacity = (uint32_t)capacity;
    return 0;
}

void position_deinit(struct position *position)
{
    version_vector_deinit(&position->vector);
    free(position->ranges);
    *position = (struct position){0};
}

void position_clear(struct position *position)
{
    version_vector_clear(&position->vector);
    position->ranges_count = 0;
}

int position_copy(struct position *to, const struct position *from)
{
    if (to == from) {
        return 0;
    }
    int err = reserve(to, from->ranges_count);
    err = err ? err : version_vector_copy(&to->vector, &from->vector);
    if (err) {
        return err;
    }
    if (from->ranges_count > 0) {
        memcpy(to->ranges, from->ranges, from->ranges_count * sizeof *from->ranges);
    }
    to->ranges_count = from->ranges_count;
    return 0;
}

static bool is_behind(const struct done_range *range, uint16_t actor, uint64_t counter)
{
    return range->actor != actor ? range->actor < actor : range->last < counter;
}

// The index of the first range that does not end before this event.
static uint32_t find(const struct position *position, uint16_t actor, uint64_t counter)
{
    uint32_t begin = 0;
    uint32_t left = position->ranges_count;
    while (left > 0) {
        uint32_t half = left / 2;
        bool is_before = is_behind(&position->ranges[begin + half], actor, counter);
        begin = is_before ? begin + half + 1 : begin;
        left = is_before ? left - half - 1 : half;
    }
    return begin;
}

// How many ranges from `begin` on, which is not behind this event of the actor, begin at or before
// it.
static uint32_t count_reached(const struct position *position, uint32_t begin, uint16_t actor,
                              uint64_t counter)
{
    uint32_t end = find(position, actor, counter);
    if (end < position->ranges_count && position->ranges[end].actor == actor &&
        position->ranges[end].first <= counter) {
        end++;
    }
    return end - begin;
}

static void remove_ranges(struct position *position, uint32_t begin, uint32_t count)
{
    uint32_t behind = position->ranges_count - begin - count;
    if (count > 0 && behind > 0) {
        struct done_range *at = position->ranges + begin;
        memmove(at, at + count, behind * sizeof *at);
    }
    position->ranges_count -= count;
}

static int insert_range(struct position *position, uint32_t i, struct done_range range)
{
    int err = reserve(position, (size_t)position->ranges_count + 1);
    if (err) {
        return err;
    }
    struct done_range *at = position->ranges + i;
    memmove(at + 1, at, (position->ranges_count - i) * sizeof *at);
    *at = range;
    position->ranges_count++;
    return 0;
}

int position_add(struct position *position, uint16_t actor, uint64_t first, uint64_t last)
{
    assert(actor != 0 && first != 0 && first <= last && last <= COUNTER_MAX);
    uint64_t covered = version_vector_get(&position->vector, actor);
    if (last <= covered) {
        return 0;
    }
    // Those that overlap or touch it.
    bool is_at_vector = first <= covered + 1;
    uint32_t begin = find(position, actor, is_at_vector ? 0 : first - 1);
    uint32_t count = count_reached(position, begin, actor, last + 1);
    if (count > 0) {
        struct done_range *lowest = &position->ranges[begin];
        uint64_t highest = position->ranges[begin + count - 1].last;
        first = lowest->first < first ? lowest->first : first;
        last = highest > last ? highest : last;
    }
    if (is_at_vector) {
        int err = version_vector_raise(&position->vector, actor, last);
        if (err == 0) {
            remove_ranges(position, begin, count);
        }
        return err;
    }
    struct done_range range = {.actor = actor, .first = first, .last = last};
    if (count == 0) {
        return insert_range(position, begin, range);
    }
    position->ranges[begin] = range;
    remove_ranges(position, begin + 1, count - 1);
    return 0;
}

// Puts the next of a sweep behind the first *count of `ranges`, or makes it part of the vector or
// of the last of them. Ranges come in the order of their first events.
static void sweep(struct version_vector *vector, struct done_range *ranges, uint32_t *count,
                  struct done_range range)
{
    uint64_t covered = version_vector_get(vector, range.actor);
    if (range.last <= covered) {
        return;
    }
    if (range.first <= covered + 1) {
        int err = version_vector_set(vector, range.actor, range.last);
        assert(err == 0 && covered > 0); // its entry is there
        return;
    }
    struct done_range *before = *count > 0 ? &ranges[*count - 1] : NULL;
    if (before && before->actor == range.actor && range.first <= before->last + 1) {
        before->last = range.last > before->last ? range.last : before->last;
        return;
    }
    ranges[(*count)++] = range;
}

int position_cover(struct position *position, const struct version_vector *vector)
{
    int err = version_vector_merge(&position->vector, vector);
    if (err) {
        return err;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < position->ranges_count; i++) {
        sweep(&position->vector, position->ranges, &kept, position->ranges[i]);
    }
    position->ranges_count = kept;
    return 0;
}

static bool comes_first(const struct done_range *a, const struct done_range *b)
{
    return a->actor != b->actor ? a->actor < b->actor : a->first < b->first;
}

int position_merge(struct position *to, const struct position *from)
{
    if (to == from) {
        return 0;
    }
    int err = position_cover(to, &from->vector);
    if (err || from->ranges_count == 0) {
        return err;
    }
    size_t capacity = (size_t)to->ranges_count + from->ranges_count;
    struct done_range *ranges = malloc(capacity * sizeof *ranges);
    if (!ranges) {
        return ERR_MEMORY;
    }
    uint32_t count = 0;
    uint32_t in_to = 0;
    uint32_t in_from = 0;
    while (in_to < to->ranges_count || in_from < from->ranges_count) {
        bool is_of_to =
            in_from == from->ranges_count ||
            (in_to < to->ranges_count && comes_first(&to->ranges[in_to], &from->ranges[in_from]));
        struct done_range next = is_of_to ? to->ranges[in_to++] : from->ranges[in_from++];
        sweep(&to->vector, ranges, &count, next);
    }
    free(to->ranges);
    to->ranges = ranges;
    to->ranges_count = count;
    to->ranges_capacity = (uint32_t)capacity;
    return 0;
}

bool position_is_done(const struct position *position, struct event_id id)
{
    if (version_vector_covers(&position->vector, id)) {
        return true;
    }
    uint32_t i = find(position, id.actor, id.counter);
    return i < position->ranges_count && position->ranges[i].actor == id.actor &&
           position->ranges[i].first <= id.counter;
}

uint64_t position_run(const struct position *position, uint16_t actor, uint64_t first,
                      uint64_t last, bool *is_done_out)
{
    *is_done_out = false;
    if (last < first) {
        return 0;
    }
    uint64_t end = version_vector_get(&position->vector, actor);
    *is_done_out = first <= end;
    if (!*is_done_out) {
        uint32_t i = find(position, actor, first);
        bool is_there = i < position->ranges_count && position->ranges[i].actor == actor;
        *is_done_out = is_there && position->ranges[i].first <= first;
        end = !is_there      ? last
              : *is_done_out ? position->ranges[i].last
                             : position->ranges[i].first - 1;
    }
    return (end < last ? end : last) - first + 1;
}

bool position_equal(const struct position *a, const struct position *b)
{
    if (!version_vector_equal(&a->vector, &b->vector) || a->ranges_count != b->ranges_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->ranges_count; i++) {
        if (a->ranges[i].actor != b->ranges[i].actor || a->ranges[i].first != b->ranges[i].first ||
            a->ranges[i].last != b->ranges[i].last) {
            return false;
        }
    }
    return true;
}

// --- Bytes -------------------------------------------------------------------------------------

static void store_range(uint8_t *at, const struct done_range *range)
{
    store_be16(at, range->actor);
    store_be64(at + 2, range->first);
    store_be64(at + 10, range->last);
}

static struct done_range load_range(const uint8_t *at)
{
    return (struct done_range){
        .actor = load_be16(at), .first = load_be64(at + 2), .last = load_be64(at + 10)};
}

static bool range_makes_sense(const struct done_range *range)
{
    return range->actor != 0 && range->first != 0 && range->first <= range->last &&
           range->last <= COUNTER_MAX;
}

int done_range_append(struct buffer *out, const struct done_range *range)
{
    uint8_t bytes[DONE_RANGE_LENGTH];
    assert(range_makes_sense(range));
    store_range(bytes, range);
    return buffer_append(out, bytes_of(bytes, sizeof bytes));
}

int done_range_next(struct bytes *rest, struct done_range *range_out)
{
    if (rest->length < DONE_RANGE_LENGTH) {
        return ERR_INVALID;
    }
    struct done_range range = load_range(rest->data);
    if (!range_makes_sense(&range)) {
        return ERR_INVALID;
    }
    *range_out = range;
    *rest = bytes_of(rest->data + DONE_RANGE_LENGTH, rest->length - DONE_RANGE_LENGTH);
    return 0;
}

int position_encode(const struct position *position, struct buffer *out)
{
    const struct version_vector *vector = &position->vector;
    size_t fixed = HEAD_LENGTH + (size_t)vector->count * ENTRY_LENGTH;
    size_t room = (POSITION_BYTES_MAX - fixed) / DONE_RANGE_LENGTH;
    uint32_t ranges = position->ranges_count < room ? position->ranges_count : (uint32_t)room;
    size_t length = fixed + (size_t)ranges * DONE_RANGE_LENGTH;
    int err = buffer_reserve(out, length);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    store_be32(at, vector->count);
    store_be32(at + 4, ranges);
    at += HEAD_LENGTH;
    for (uint32_t i = 0; i < vector->count; i++) {
        store_be16(at, vector->entries[i].actor);
        store_be64(at + 2, vector->entries[i].counter);
        at += ENTRY_LENGTH;
    }
    for (uint32_t i = 0; i < ranges; i++) {
        store_range(at, &position->ranges[i]);
        at += DONE_RANGE_LENGTH;
    }
    out->length += length;
    return 0;
}

// Where the parts of an encoded position are.
struct parts {
    const uint8_t *entries;
    const uint8_t *ranges;
    uint32_t entries_count;
    uint32_t ranges_count;
    struct bytes behind;
};

static bool find_parts(struct bytes bytes, struct parts *parts)
{
    if (bytes.length < HEAD_LENGTH) {
        return false;
    }
    parts->entries_count = load_be32(bytes.data);
    parts->ranges_count = load_be32(bytes.data + 4);
    size_t left = bytes.length - HEAD_LENGTH;
    if (parts->entries_count > ACTORS_MAX || parts->entries_count > left / ENTRY_LENGTH) {
        return false;
    }
    parts->entries = bytes.data + HEAD_LENGTH;
    parts->ranges = parts->entries + (size_t)parts->entries_count * ENTRY_LENGTH;
    left -= (size_t)parts->entries_count * ENTRY_LENGTH;
    if (parts->ranges_count > left / DONE_RANGE_LENGTH) {
        return false;
    }
    size_t length = (size_t)parts->ranges_count * DONE_RANGE_LENGTH;
    parts->behind = bytes_of(parts->ranges + length, left - length);
    return true;
}

static struct version_entry load_entry(const struct parts *parts, uint32_t i)
{
    const uint8_t *at = parts->entries + (size_t)i * ENTRY_LENGTH;
    return (struct version_entry){.actor = load_be16(at), .counter = load_be64(at + 2)};
}

static bool entries_make_sense(const struct parts *parts)
{
    uint16_t before = 0;
    for (uint32_t i = 0; i < parts->entries_count; i++) {
        struct version_entry entry = load_entry(parts, i);
        if (entry.actor <= before || entry.counter == 0 || entry.counter > COUNTER_MAX) {
            return false;
        }
        before = entry.actor;
    }
    return true;
}

static bool ranges_make_sense(const struct parts *parts)
{
    struct done_range before = {0};
    uint32_t entry = 0;
    for (uint32_t i = 0; i < parts->ranges_count; i++) {
        struct done_range range = load_range(parts->ranges + (size_t)i * DONE_RANGE_LENGTH);
        if (!range_makes_sense(&range) || range.actor < before.actor) {
            return false;
        }
        uint64_t end = range.actor == before.actor ? before.last : 0;
        while (entry < parts->entries_count && load_entry(parts, entry).actor < range.actor) {
            entry++;
        }
        if (end == 0 && entry < parts->entries_count &&
            load_entry(parts, entry).actor == range.actor) {
            end = load_entry(parts, entry).counter;
        }
        if (range.first - 1 <= end) { // overlaps or touches what is below
            return false;
        }
        before = range;
    }
    return true;
}

static int take_parts(struct bytes *rest, struct parts *parts)
{
    if (!find_parts(*rest, parts) || !entries_make_sense(parts) || !ranges_make_sense(parts)) {
        return ERR_INVALID;
    }
    *rest = parts->behind;
    return 0;
}

int position_skip(struct bytes *rest)
{
    struct parts parts;
    return take_parts(rest, &parts);
}

int position_decode(struct bytes *rest, struct position *position)
{
    assert(position->vector.count == 0 && position->ranges_count == 0);
    struct bytes left = *rest;
    struct parts parts;
    int err = take_parts(&left, &parts);
    err = err ? err : reserve(position, parts.ranges_count);
    for (uint32_t i = 0; i < parts.entries_count && err == 0; i++) {
        struct version_entry entry = load_entry(&parts, i);
        err = version_vector_set(&position->vector, entry.actor, entry.counter);
    }
    if (err) {
        position_clear(position);
        return err;
    }
    for (uint32_t i = 0; i < parts.ranges_count; i++) {
        position->ranges[i] = load_range(parts.ranges + (size_t)i * DONE_RANGE_LENGTH);
    }
    position->ranges_count = parts.ranges_count;
    *rest = left;
    return 0;
}
