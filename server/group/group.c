// A group holds what the reader has brought and is not done, nothing else: memory follows what is
// open, and every call costs O(log n) for each run that it concerns.

#include "server/group/group.h"

#include <stdlib.h>

#include "server/group/group_state.h"

static const struct instant BEFORE_ALL = {.ns = INT64_MIN};

static void configure(struct group *group, const struct subscription_definition *definition)
{
    assert(definition->concurrency >= 1 && definition->ack_wait_ms >= 1);
    assert(definition->checkpoint_every >= 1 && definition->checkpoint_after_ms >= 1);
    group->has_key = definition->key != GROUP_KEY_NONE;
    group->concurrency = definition->concurrency;
    group->attempts = definition->attempts;
    group->checkpoint_every = definition->checkpoint_every;
    group->queue = definition->queue;
    group->ack_wait = duration_ms(definition->ack_wait_ms);
    group->checkpoint_after = duration_ms(definition->checkpoint_after_ms);
}

static int set_done(struct group *group, const struct position *done)
{
    int err = version_vector_copy(&group->cursor, &done->vector);
    for (uint32_t i = 0; i < done->ranges_count && err == 0; i++) {
        const struct done_range *range = &done->ranges[i];
        uint64_t count = 0;
        err = segments_fill_done(group, range->actor, range->first, range->last, &count);
    }
    return err;
}

int group_new(const struct group_config *config, struct group **group_out)
{
    struct group *group = calloc(1, sizeof *group);
    if (!group) {
        return ERR_MEMORY;
    }
    configure(group, config->definition);
    pool_init(&group->segments_pool, sizeof(struct segment));
    pool_init(&group->lanes_pool, sizeof(struct lane));
    lane_init(&group->plain);
    list_init(&group->lanes);
    list_init(&group->in_flight);
    list_init(&group->to_park);
    group->park_after = BEFORE_ALL;
    group->checkpoint_not_before = BEFORE_ALL;
    group->many_not_before = BEFORE_ALL;
    int err = set_done(group, config->done);
    if (err) {
        group_free(group);
        return err;
    }
    *group_out = group;
    return 0;
}

void group_free(struct group *group)
{
    if (!group) {
        return;
    }
    for (struct tree_node *node = group->segments.first; node; node = node->next) {
        reason_unref(segment_of(node)->reason);
    }
    reason_unref(group->last_reason);
    consumers_free(group);
    pool_deinit(&group->segments_pool);
    pool_deinit(&group->lanes_pool);
    version_vector_deinit(&group->cursor);
    free(group);
}

// --- Events ------------------------------------------------------------------------------------

bool group_wants(const struct group *group)
{
    return group->first_waiting < group->queue &&
           group->first_waiting_bytes < GROUP_WAITING_BYTES_MAX &&
           group->open_events < GROUP_OPEN_MAX;
}

// A part of the run of which nothing is known yet.
static int offer_part(struct group *group, const struct group_run *run, uint64_t first,
                      uint64_t last)
{
    struct lane *lane;
    int err = pool_reserve(&group->segments_pool, 1);
    err = err ? err : lane_get(group, run->key, &lane);
    if (err) {
        return err;
    }
    struct group_run part = *run;
    part.first = first;
    part.count = (uint32_t)(last - first + 1);
    part.bytes = run->bytes * part.count / run->count;
    segment_offer(group, lane, &part);
    return 0;
}

int group_offer(struct group *group, const struct group_run *runs, uint32_t count,
                struct instant now)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct group_run *run = &runs[i];
        assert(run->actor != 0 && run->first != 0 && run->count != 0);
        uint64_t last = run->first + (run->count - 1);
        uint64_t cursor = version_vector_get(&group->cursor, run->actor);
        uint64_t at = run->first > cursor ? run->first : cursor + 1;
        while (at <= last) {
            const struct segment *segment = segment_find(group, run->actor, at, last);
            uint64_t behind = segment ? segment_first(segment) : last + 1;
            int err = at < behind ? offer_part(group, run, at, behind - 1) : 0;
            if (err) {
                return err;
            }
            at = segment ? segment_last(segment) + 1 : last + 1;
        }
    }
    return 0;
}

bool group_has_waiting(struct group *group, uint16_t actor, uint64_t first, uint64_t last)
{
    struct segment *segment = segment_find(group, actor, first, last);
    while (segment && segment->state != SEGMENT_WAITING) {
        segment = segment_in(segment_next(segment), actor, last);
    }
    return segment != NULL;
}

// The first segment of the next actor that is not done; NULL: none is.
static struct segment *first_open(struct segment *segment)
{
    while (segment && segment->state == SEGMENT_DONE) {
        segment = segment_next(segment);
    }
    return segment;
}

uint64_t group_oldest_ms(struct group *group)
{
    uint64_t oldest = 0;
    struct segment *segment = first_open(segment_of(group->segments.first));
    while (segment) {
        uint64_t timestamp_ms = segment->timestamp_ms > 0 ? segment->timestamp_ms : 1;
        oldest = oldest == 0 || timestamp_ms < oldest ? timestamp_ms : oldest;
        struct tree_node *last =
            tree_at_or_below(&group->segments, segment_actor(segment), UINT64_MAX);
        segment = first_open(segment_of(last->next));
    }
    return oldest;
}

// --- What is to be done ------------------------------------------------------------------------

bool group_next_action(struct group *group, struct instant now, struct group_action *action_out)
{
    due_look(group, now);
    if (due_checkpoint(group, now)) {
        *action_out = (struct group_action){.kind = GROUP_CHECKPOINT};
        return true;
    }
    bool is_found = due_park(group, now, action_out) || consumers_deliver(group, now, action_out);
    if (!is_found && group->is_short && instant_reached(group->divide_after, now)) {
        group->is_short = false; // nothing is to be divided any more
    }
    return is_found;
}

const struct version_vector *group_read(const struct group *group)
{
    return &group->cursor;
}

struct group_counts group_counts(const struct group *group)
{
    struct group_counts counts = group->counts;
    counts.waiting = group->first_waiting;
    counts.again = group->open_events - counts.in_flight - counts.waiting;
    return counts;
}
