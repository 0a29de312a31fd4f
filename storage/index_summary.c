// What is in each namespace of a long log must not be counted from all its windows. So every group
// has a summary: the totals of its members over all parts below one. After each part the summaries
// of a few groups are brought up to date, in rounds, so that every group's turn comes once in 64
// parts; totals are a summary, the windows touched by the parts since (the state's marks), and the
// tail. A summary names the part up to which it counts, so one written twice or before a crash is
// right all the same.
//
// Key: the group, slot 0xffff, window and part 0. Value: part (4, big-endian), then for each member
// the member (1) and varints: events, bytes, hits, first counter, first actor, last counter above
// it, last actor, first time, last time (signed, above it).

#include "storage/index_internal.h"

#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/varint.h"

enum {
    ROUND_PARTS = 64,
    MARKS_MAX = 2048, // beyond it a whole round is made at once
    SUMMARY_ENTRY_LENGTH_MAX = 1 + 9 * VARINT_LENGTH_MAX,
};

// A count over the blocks of one group.
struct group_count {
    struct disk_iterator *iterator;
    const struct index_state *state;
    const uint64_t *wanted; // NULL: all members
    uint32_t group;
    uint32_t part_from;
    struct posting_totals *totals;
};

static bool is_wanted(const struct group_count *count, uint8_t member)
{
    return !count->wanted || bitmap_has(count->wanted, member);
}

static uint8_t *summary_entry_put(uint8_t *out, uint8_t member, const struct posting_totals *totals)
{
    *out++ = member;
    out = varint_put(out, totals->events);
    out = varint_put(out, totals->bytes);
    out = varint_put(out, totals->hits);
    out = varint_put(out, totals->first.counter);
    out = varint_put(out, totals->first.actor);
    out = varint_put(out, totals->last.counter - totals->first.counter);
    out = varint_put(out, totals->last.actor);
    out = varint_put(out, totals->first_timestamp_ms);
    int64_t later = (int64_t)(totals->last_timestamp_ms - totals->first_timestamp_ms);
    return varint_put(out, zigzag(later));
}

static bool summary_entry_take(const uint8_t **at, const uint8_t *end, uint8_t *member_out,
                               struct posting_totals *totals)
{
    uint64_t first_actor;
    uint64_t last_counter;
    uint64_t last_actor;
    uint64_t later;
    *member_out = *(*at)++;
    if (!varint_take(at, end, &totals->events) || !varint_take(at, end, &totals->bytes) ||
        !varint_take(at, end, &totals->hits) || !varint_take(at, end, &totals->first.counter) ||
        !varint_take(at, end, &first_actor) || !varint_take(at, end, &last_counter) ||
        !varint_take(at, end, &last_actor) || !varint_take(at, end, &totals->first_timestamp_ms) ||
        !varint_take(at, end, &later) || first_actor > ACTORS_MAX || last_actor > ACTORS_MAX) {
        return false;
    }
    totals->first.actor = (uint16_t)first_actor;
    totals->last.counter = totals->first.counter + last_counter;
    totals->last.actor = (uint16_t)last_actor;
    totals->last_timestamp_ms = totals->first_timestamp_ms + (uint64_t)zigzag_inverse(later);
    return totals->events > 0;
}

static void summary_key(uint32_t group, uint8_t out[POSTING_KEY_LENGTH])
{
    struct posting_key key = {.group = group, .slot = POSTING_SLOT_SUMMARY};
    posting_key_encode(&key, out);
}

// Reads the group's summary, if there is one, and sets where counting goes on.
static int summary_read(struct group_count *count)
{
    uint8_t key[POSTING_KEY_LENGTH];
    summary_key(count->group, key);
    disk_iterator_seek(count->iterator, bytes_of(key, sizeof key));
    if (!disk_iterator_is_valid(count->iterator)) {
        return disk_iterator_status(count->iterator);
    }
    if (!bytes_equal(disk_iterator_key(count->iterator), bytes_of(key, sizeof key))) {
        return 0;
    }
    struct bytes value = disk_iterator_value(count->iterator);
    if (value.length < 4) {
        return ERR_CORRUPT;
    }
    count->part_from = load_be32(value.data);
    const uint8_t *at = value.data + 4;
    const uint8_t *end = value.data + value.length;
    while (at < end) {
        uint8_t member;
        struct posting_totals totals;
        if (!summary_entry_take(&at, end, &member, &totals)) {
            return ERR_CORRUPT;
        }
        if (is_wanted(count, member)) {
            count->totals[member] = totals;
        }
    }
    return 0;
}

static int count_block(struct group_count *count, uint64_t window)
{
    struct posting_block block;
    int result = posting_block_parse(disk_iterator_value(count->iterator), window, &block);
    while (result == 0) {
        uint8_t member;
        struct bytes bytes;
        struct posting_section section;
        result = posting_block_next(&block, &member, &bytes);
        if (result == 0 && is_wanted(count, member)) {
            result = posting_section_parse(&block, bytes, &section);
            if (result == 0) {
                posting_totals_merge(&count->totals[member], &section.totals);
            }
        }
    }
    return result == POSTING_END ? 0 : result;
}

static void seek_block(const struct group_count *count, uint16_t slot, uint64_t window)
{
    struct posting_key key = {.group = count->group, .slot = slot, .window = window};
    uint8_t bytes[POSTING_KEY_LENGTH];
    posting_key_encode(&key, bytes);
    disk_iterator_seek(count->iterator, bytes_of(bytes, sizeof bytes));
}

// The key the iterator stands at; false: it is at the end, or behind the group's blocks.
static int block_key(const struct group_count *count, struct posting_key *key_out, bool *is_there)
{
    *is_there = disk_iterator_is_valid(count->iterator);
    if (!*is_there) {
        return disk_iterator_status(count->iterator);
    }
    int err = posting_key_decode(disk_iterator_key(count->iterator), key_out);
    *is_there = !err && key_out->group == count->group && key_out->slot != POSTING_SLOT_SUMMARY;
    return err;
}

// Counts the slot's blocks in the marked windows, by going through them where the marks are close
// and seeking where they are not.
static int count_slot(struct group_count *count, uint16_t slot)
{
    const struct window_mark *marks = count->state->marks;
    const struct window_mark *marks_end = marks + count->state->marks_count;
    while (marks < marks_end && marks->part_last < count->part_from) {
        marks++;
    }
    if (marks == marks_end) {
        return 0;
    }
    seek_block(count, slot, marks->window);
    for (;;) {
        struct posting_key key;
        bool is_there;
        int err = block_key(count, &key, &is_there);
        if (err || !is_there || key.slot != slot) {
            return err;
        }
        while (marks < marks_end &&
               (marks->window < key.window || marks->part_last < count->part_from)) {
            marks++;
        }
        if (marks == marks_end) {
            return 0;
        }
        if (marks->window > key.window) {
            seek_block(count, slot, marks->window);
            continue;
        }
        if (key.part >= count->part_from && key.part < count->state->parts) {
            err = count_block(count, key.window);
            if (err) {
                return err;
            }
        }
        disk_iterator_next(count->iterator);
    }
}

static int count_all_slots(struct group_count *count)
{
    uint16_t slot = POSTING_SLOT_SHARED;
    for (;;) {
        int err = count_slot(count, slot);
        if (err) {
            return err;
        }
        struct posting_key key;
        bool is_there;
        seek_block(count, (uint16_t)(slot + 1), 0);
        err = block_key(count, &key, &is_there);
        if (err || !is_there) {
            return err;
        }
        slot = key.slot;
    }
}

static int count_wanted_slots(struct group_count *count)
{
    int err = count_slot(count, POSTING_SLOT_SHARED);
    for (unsigned member = 0; !err && member < GROUP_MEMBERS; member++) {
        if (bitmap_has(count->wanted, member)) {
            err = count_slot(count, (uint16_t)(POSTING_SLOT_OWN + member));
        }
    }
    return err;
}

int index_group_totals(struct disk_iterator *iterator, const struct index_view *view,
                       uint32_t group, const uint64_t wanted[GROUP_BITMAP_WORDS],
                       struct posting_totals totals_out[GROUP_MEMBERS])
{
    struct group_count count = {
        .iterator = iterator,
        .state = &view->state,
        .wanted = wanted,
        .group = group,
        .totals = totals_out,
    };
    memset(totals_out, 0, GROUP_MEMBERS * sizeof *totals_out);
    int err = summary_read(&count);
    err = err ? err : count_wanted_slots(&count);
    for (unsigned member = 0; !err && member < GROUP_MEMBERS; member++) {
        if (bitmap_has(wanted, member)) {
            index_tail_totals(view, group * GROUP_MEMBERS + member, &totals_out[member]);
        }
    }
    return err;
}

static int summary_write(struct index *index, const struct group_count *count)
{
    struct buffer *value = &index->scratch.value;
    uint8_t key[POSTING_KEY_LENGTH];
    summary_key(count->group, key);
    buffer_clear(value);
    int err = buffer_reserve(value, 4 + (size_t)GROUP_MEMBERS * SUMMARY_ENTRY_LENGTH_MAX);
    if (err) {
        return err;
    }
    store_be32(value->data, index->state.parts);
    uint8_t *out = value->data + 4;
    for (unsigned member = 0; member < GROUP_MEMBERS; member++) {
        if (count->totals[member].events > 0) {
            out = summary_entry_put(out, (uint8_t)member, &count->totals[member]);
        }
    }
    value->length = (size_t)(out - value->data);
    return index_batch_put(index, INDEX_POSTINGS, bytes_of(key, sizeof key), buffer_bytes(value));
}

static int fold_group(struct index *index, struct disk_iterator *iterator, uint32_t group)
{
    struct posting_totals totals[GROUP_MEMBERS] = {0};
    struct group_count count = {
        .iterator = iterator,
        .state = &index->state,
        .group = group,
        .totals = totals,
    };
    int err = summary_read(&count);
    err = err ? err : count_all_slots(&count);
    return err ? err : summary_write(index, &count);
}

// How many groups have their turn after this part.
static uint32_t groups_due(const struct index_state *state, uint32_t groups)
{
    uint64_t parts = state->parts;
    return (uint32_t)(parts * groups / ROUND_PARTS - (parts - 1) * groups / ROUND_PARTS);
}

int index_fold(struct index *index)
{
    struct index_state *state = &index->state;
    uint32_t groups = (state->names + GROUP_MEMBERS - 1) / GROUP_MEMBERS;
    uint32_t due = groups_due(state, groups);
    if (state->marks_count > MARKS_MAX) {
        state->fold_group = 0;
        due = groups;
    }
    if (due == 0) {
        return 0;
    }
    struct disk_iterator *iterator;
    int err = disk_iterator_open(index->disk, INDEX_POSTINGS, DISK_READ_POINT, &iterator);
    if (err) {
        return err;
    }
    for (uint32_t i = 0; !err && i < due; i++) {
        if (state->fold_group == 0) {
            state->fold_start = state->parts;
        }
        err = fold_group(index, iterator, state->fold_group++);
        if (state->fold_group >= groups) {
            state->fold_group = 0;
            state->fold_floor = state->fold_start;
            index_state_prune(state);
        }
    }
    disk_iterator_close(iterator);
    return err ? err : index_batch_write(index);
}
