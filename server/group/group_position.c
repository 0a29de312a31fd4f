// Done is what the reader's cursor covers and is in no segment, and what is in done segments. So a
// position costs as much as what is not done, however much is.

#include "proto/base/planted.h"
#include "server/group/group_state.h"

// In the simulator's bug what was handed out counts, too.
static bool counts_as_done(const struct segment *segment)
{
    return segment->state == SEGMENT_DONE || segment->is_done_elsewhere ||
           (IS_PLANTED(PLANTED_CHECKPOINT_AHEAD) && segment->state == SEGMENT_IN_FLIGHT);
}

// What is done of one actor, from its first segment on; *segment becomes the next actor's.
static int add_actor(struct position *position, uint16_t actor, uint64_t cursor,
                     const struct segment **segment)
{
    uint64_t at = 1;
    int err = 0;
    while (*segment && segment_actor(*segment) == actor && err == 0) {
        uint64_t first = segment_first(*segment);
        uint64_t end = first - 1 < cursor ? first - 1 : cursor;
        if (at <= end) {
            err = position_add(position, actor, at, end);
        }
        at = segment_last(*segment) + 1;
        if (err == 0 && counts_as_done(*segment)) {
            err = position_add(position, actor, first, at - 1);
        }
        *segment = segment_next(*segment);
    }
    return err == 0 && at <= cursor ? position_add(position, actor, at, cursor) : err;
}

int group_position(const struct group *group, struct position *position)
{
    const struct segment *segment = segment_of(group->segments.first);
    const struct version_vector *cursor = &group->cursor;
    int err = 0;
    for (uint32_t i = 0; (i < cursor->count || segment) && err == 0;) {
        bool is_in_cursor =
            i < cursor->count && (!segment || cursor->entries[i].actor <= segment_actor(segment));
        uint16_t actor = is_in_cursor ? cursor->entries[i].actor : segment_actor(segment);
        uint64_t counter = is_in_cursor ? cursor->entries[i].counter : 0;
        err = add_actor(position, actor, counter, &segment);
        i += is_in_cursor;
    }
    return err;
}

int group_passed(struct group *group, const struct version_vector *cursor)
{
    struct version_vector *held = &group->cursor;
    uint32_t at = 0;
    for (uint32_t i = 0; i < cursor->count; i++) {
        struct version_entry entry = cursor->entries[i];
        while (at < held->count && held->entries[at].actor < entry.actor) {
            at++;
        }
        bool is_there = at < held->count && held->entries[at].actor == entry.actor;
        uint64_t before = is_there ? held->entries[at].counter : 0;
        if (entry.counter <= before) {
            continue;
        }
        int err = version_vector_set(held, entry.actor, entry.counter);
        if (err) {
            return err;
        }
        group->passed += entry.counter - before;
        if (group->done_segments > 0) {
            segments_cover(group, entry.actor, before + 1, entry.counter);
        }
    }
    return 0;
}

// What is in flight stays so, that its consumer may say so; everything else is not handed out.
static int merge_range(struct group *group, uint16_t actor, uint64_t first, uint64_t last)
{
    uint64_t count = 0;
    uint64_t at = first;
    struct segment *segment;
    while (at <= last && (segment = segment_find(group, actor, at, last)) != NULL) {
        at = segment_last(segment) + 1;
        if (segment->state == SEGMENT_DONE || segment->is_done_elsewhere) {
            continue;
        }
        int err = pool_reserve(&group->segments_pool, SEGMENTS_PER_RANGE);
        if (err) {
            return err;
        }
        segment = segment_cut(group, segment, first, last);
        if (segment->state == SEGMENT_IN_FLIGHT) {
            segment->is_done_elsewhere = true;
        } else {
            segment_done(group, segment);
        }
    }
    return segments_fill_done(group, actor, first, last, &count);
}

int group_merge(struct group *group, const struct position *done, struct instant now)
{
    int err = 0;
    for (uint32_t i = 0; i < done->vector.count && err == 0; i++) {
        const struct version_entry *entry = &done->vector.entries[i];
        err = merge_range(group, entry->actor, 1, entry->counter);
    }
    for (uint32_t i = 0; i < done->ranges_count && err == 0; i++) {
        const struct done_range *range = &done->ranges[i];
        err = merge_range(group, range->actor, range->first, range->last);
    }
    return err;
}
