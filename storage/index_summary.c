// What is in each namespace of a long log must not be counted from all its windows. So every group
// has a summary: the totals of its members over all parts below one. After each part the summaries
// of some groups are brought up to date, in rounds, so that every group's turn comes about once in
// 32 parts; totals are a summary, the windows touched by the parts since (the state's marks), and
// the tail. A summary names the part up to which it counts, so one written twice or before a crash
// is right all the same.
//
// Key: as a block's, behind all windows of the group. Value: part (4, big-endian), then for each
// member the member (1) and varints: events, bytes, hits, first counter, first actor, last counter
// above it, last actor, first time, last time (signed, above it).

#include "storage/index_internal.h"

#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/varint.h"

enum {
    ROUND_PARTS = 32,
    MARKS_MAX = 2048, // beyond it a whole round is made at once
    SAMPLED_MARKS_MAX = 6,
    SUMMARY_ENTRY_LENGTH_MAX = 1 + 9 * VARINT_LENGTH_MAX,
};

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
    struct posting_key key = {.window = POSTING_WINDOW_SUMMARY, .group = group};
    posting_key_encode(&key, out);
}

static int summary_decode(struct bytes value, const uint64_t *wanted, uint32_t *part_out,
                          struct posting_totals totals[GROUP_MEMBERS])
{
    if (value.length < 4) {
        return ERR_CORRUPT;
    }
    *part_out = load_be32(value.data);
    const uint8_t *at = value.data + 4;
    const uint8_t *end = value.data + value.length;
    while (at < end) {
        uint8_t member;
        struct posting_totals entry;
        if (!summary_entry_take(&at, end, &member, &entry)) {
            return ERR_CORRUPT;
        }
        if (!wanted || bitmap_has(wanted, member)) {
            totals[member] = entry;
        }
    }
    return 0;
}

// Reads the group's summary, if there is one: part 0 and no totals if not.
static int summary_read(struct disk_iterator *iterator, uint32_t group, const uint64_t *wanted,
                        uint32_t *part_out, struct posting_totals totals[GROUP_MEMBERS])
{
    uint8_t key[POSTING_KEY_LENGTH];
    summary_key(group, key);
    *part_out = 0;
    disk_iterator_seek(iterator, bytes_of(key, sizeof key));
    if (!disk_iterator_is_valid(iterator)) {
        return disk_iterator_status(iterator);
    }
    if (!bytes_equal(disk_iterator_key(iterator), bytes_of(key, sizeof key))) {
        return 0;
    }
    return summary_decode(disk_iterator_value(iterator), wanted, part_out, totals);
}

static int summary_write(struct index *index, uint32_t group,
                         const struct posting_totals totals[GROUP_MEMBERS])
{
    struct buffer *value = &index->scratch.value;
    uint8_t key[POSTING_KEY_LENGTH];
    summary_key(group, key);
    buffer_clear(value);
    int err = buffer_reserve(value, 4 + (size_t)GROUP_MEMBERS * SUMMARY_ENTRY_LENGTH_MAX);
    if (err) {
        return err;
    }
    store_be32(value->data, index->state.parts);
    uint8_t *out = value->data + 4;
    for (unsigned member = 0; member < GROUP_MEMBERS; member++) {
        if (totals[member].events > 0) {
            out = summary_entry_put(out, (uint8_t)member, &totals[member]);
        }
    }
    value->length = (size_t)(out - value->data);
    return index_batch_put(index, INDEX_POSTINGS, bytes_of(key, sizeof key), buffer_bytes(value));
}

static int totals_section(void *context, uint8_t member, const struct posting_block *block,
                          struct bytes bytes)
{
    struct posting_totals *totals = context;
    struct posting_totals of;
    int err = posting_section_totals(block, bytes, &of);
    if (!err) {
        posting_totals_merge(&totals[member], &of);
    }
    return err;
}

int index_group_totals(struct disk_iterator *iterator, const struct index_view *view,
                       uint32_t group, const uint64_t wanted[GROUP_BITMAP_WORDS],
                       struct posting_totals totals_out[GROUP_MEMBERS])
{
    struct group_walk walk = {
        .iterator = iterator,
        .wanted = wanted,
        .group = group,
        .part_end = view->state.parts,
        .section = totals_section,
        .context = totals_out,
    };
    memset(totals_out, 0, GROUP_MEMBERS * sizeof *totals_out);
    int err = summary_read(iterator, group, wanted, &walk.part_from, totals_out);
    err = err ? err : group_walk_marks(&walk, view->state.marks, view->state.marks_count);
    for (unsigned member = 0; !err && member < GROUP_MEMBERS; member++) {
        if (bitmap_has(wanted, member)) {
            index_tail_totals(view, group * GROUP_MEMBERS + member, &totals_out[member]);
        }
    }
    return err;
}

// Some of the marked windows, evenly, into `sample`; returns how many.
static uint32_t marks_sample(const struct index_state *state, struct window_mark *sample)
{
    uint32_t count = state->marks_count;
    uint32_t sampled = count < SAMPLED_MARKS_MAX ? count : SAMPLED_MARKS_MAX;
    for (uint32_t i = 0; i < sampled; i++) {
        sample[i] = state->marks[(uint64_t)i * count / sampled];
    }
    return sampled;
}

// What is not in the summary is in marked windows.
static struct index_extent extent_of(const struct index_state *state,
                                     const struct posting_totals *summed)
{
    uint64_t marks_first = state->marks_count > 0 ? state->marks[0].window : UINT64_MAX;
    struct index_extent extent = {.window_first = marks_first};
    if (summed->events > 0) {
        uint64_t first = summed->first.counter - (CHUNK_EVENTS_MAX - 1); // of its chunk, at least
        first = summed->first.counter < CHUNK_EVENTS_MAX ? 0 : first >> POSTING_WINDOW_BITS;
        extent.window_first = first < marks_first ? first : marks_first;
        extent.gap_from = (summed->last.counter >> POSTING_WINDOW_BITS) + 1;
        extent.gap_to = marks_first > extent.gap_from ? marks_first : extent.gap_from;
    }
    return extent;
}

int index_number_estimate(struct disk_iterator *iterator, const struct index_view *view,
                          uint32_t number, uint64_t *hits_out, struct index_extent *extent_out)
{
    const struct index_state *state = &view->state;
    uint64_t wanted[GROUP_BITMAP_WORDS] = {0};
    struct posting_totals totals[GROUP_MEMBERS];
    struct posting_totals *of = &totals[number % GROUP_MEMBERS];
    struct group_walk walk = {
        .iterator = iterator,
        .wanted = wanted,
        .group = number / GROUP_MEMBERS,
        .part_end = state->parts,
        .section = totals_section,
        .context = totals,
    };
    bitmap_set(wanted, number % GROUP_MEMBERS);
    *of = (struct posting_totals){0};
    int err = summary_read(iterator, walk.group, wanted, &walk.part_from, totals);
    if (err) {
        return err;
    }
    struct index_extent extent = extent_of(state, of);
    if (walk.part_from > 0) {
        of->hits = of->hits * state->parts / walk.part_from;
    } else if (state->marks_count > 0) {
        struct window_mark sample[SAMPLED_MARKS_MAX];
        uint32_t sampled = marks_sample(state, sample);
        err = group_walk_marks(&walk, sample, sampled);
        of->hits = of->hits * state->marks_count / sampled;
    }
    if (err) {
        return err;
    }
    index_tail_totals(view, number, of);
    *hits_out = of->hits;
    *extent_out = extent;
    return 0;
}

static int fold_group(struct index *index, struct disk_iterator *iterator, uint32_t group)
{
    const struct index_state *state = &index->state;
    struct posting_totals totals[GROUP_MEMBERS] = {0};
    struct group_walk walk = {
        .iterator = iterator,
        .group = group,
        .part_end = state->parts,
        .section = totals_section,
        .context = totals,
    };
    int err = summary_read(iterator, group, NULL, &walk.part_from, totals);
    err = err ? err : group_walk_marks(&walk, state->marks, state->marks_count);
    return err ? err : summary_write(index, group, totals);
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
