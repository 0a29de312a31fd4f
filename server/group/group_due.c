// What time brings: silence, the end of a delay, parking, checkpoints. Everything in flight waits
// equally long, so the order in which it was handed out is the order in which it is due.

#include "server/group/group_state.h"

static const char SILENT_TEXT[] = "it was not acknowledged in time";
static const char GONE_TEXT[] = "its consumer has gone";
static const char REFUSED_TEXT[] = "it was refused";

static struct segment *delayed_first(const struct group *group)
{
    struct tree_node *first = group->delayed.first;
    return first ? container_of(first, struct segment, place) : NULL;
}

static struct segment *in_flight_first(const struct group *group)
{
    bool is_empty = list_is_empty(&group->in_flight);
    return is_empty ? NULL : container_of(group->in_flight.next, struct segment, by_time);
}

void due_look(struct group *group, struct instant now)
{
    struct segment *segment;
    while ((segment = in_flight_first(group)) != NULL && instant_reached(segment->due, now)) {
        segment_again(group, segment, ENDED_SILENT, NULL, now, now);
    }
    while ((segment = delayed_first(group)) != NULL && instant_reached(segment->due, now)) {
        segment_leave_state(group, segment);
        segment_return(group, segment);
    }
}

bool due_divide(struct group *group, struct segment *segment, uint64_t count, struct instant now)
{
    if (group->is_short && !instant_reached(group->divide_after, now)) {
        return false;
    }
    group->is_short = pool_reserve(&group->segments_pool, 1) != 0;
    if (group->is_short) {
        group->divide_after = instant_add(now, duration_ms(MEMORY_RETRY_MS));
        return false;
    }
    segment_divide(group, segment, count);
    return true;
}

// --- Parking -----------------------------------------------------------------------------------

static struct bytes reason_of(const struct segment *segment)
{
    if (segment->reason) {
        return bytes_of(segment->reason->text, segment->reason->length);
    }
    switch (segment->ended) {
    case ENDED_REFUSED:
        return bytes_of_text(REFUSED_TEXT);
    case ENDED_SILENT:
        return bytes_of_text(SILENT_TEXT);
    case ENDED_GONE:
        return bytes_of_text(GONE_TEXT);
    }
    return (struct bytes){0};
}

static bool may_park(const struct group *group)
{
    return !list_is_empty(&group->to_park) && group->parkings < PARKINGS_AT_ONCE;
}

bool due_park(struct group *group, struct instant now, struct group_action *action_out)
{
    if (!may_park(group) || !instant_reached(group->park_after, now)) {
        return false;
    }
    struct segment *segment = container_of(group->to_park.next, struct segment, list);
    if (segment->count > 1 && !due_divide(group, segment, 1, now)) {
        return false;
    }
    segment_leave_state(group, segment);
    segment_write(group, segment);
    *action_out = (struct group_action){
        .kind = GROUP_PARK,
        .run = segment_run(segment),
        .attempt = segment->attempts,
        .reason = reason_of(segment),
    };
    return true;
}

// --- Checkpoints -------------------------------------------------------------------------------

void due_done(struct group *group, uint64_t count, struct instant now)
{
    if (group->uncovered == 0) {
        group->uncovered_since = now;
    }
    group->uncovered += count;
}

// Whether a failover would read much again of which nothing, or little, matched.
static bool has_passed_far(const struct group *group)
{
    return group->passed >= (group->is_flushing ? PASSED_LET_GO_MAX : PASSED_MAX);
}

// When one is due; never, while one is being written or nothing was done.
static struct instant checkpoint_due(const struct group *group)
{
    bool is_far = has_passed_far(group);
    if (group->is_covering || (group->uncovered == 0 && !is_far)) {
        return INSTANT_NEVER;
    }
    struct instant due = instant_add(group->uncovered_since, group->checkpoint_after);
    struct instant not_before = group->checkpoint_not_before;
    if (group->is_flushing || is_far) {
        return not_before;
    }
    if (group->uncovered >= group->checkpoint_every) {
        due = instant_earlier(due, group->many_not_before);
    }
    return due.ns > not_before.ns ? due : not_before;
}

bool due_checkpoint(struct group *group, struct instant now)
{
    if (!instant_reached(checkpoint_due(group), now)) {
        return false;
    }
    group->is_covering = true;
    group->is_flushing = false;
    group->many_not_before = instant_add(now, duration_ms(CHECKPOINTS_APART_MS));
    group->covering = group->uncovered;
    group->covering_passed = group->passed;
    group->uncovered = 0;
    group->passed = 0;
    return true;
}

void group_checkpointed(struct group *group, bool is_durable, struct instant now)
{
    assert(group->is_covering);
    group->is_covering = false;
    if (!is_durable) {
        group->uncovered += group->covering;
        group->passed += group->covering_passed;
        group->is_flushing = true;
        group->checkpoint_not_before = instant_add(now, group->checkpoint_after);
    }
    group->covering = 0;
    group->covering_passed = 0;
}

bool group_is_covered(const struct group *group)
{
    return group->uncovered == 0 && group->passed < PASSED_LET_GO_MAX;
}

void due_flush(struct group *group)
{
    group->is_flushing = !group_is_covered(group);
}

void group_flush(struct group *group)
{
    due_flush(group);
    group->checkpoint_not_before = (struct instant){.ns = INT64_MIN};
}

struct instant group_deadline(const struct group *group)
{
    struct instant due = checkpoint_due(group);
    const struct segment *silent = in_flight_first(group);
    const struct segment *delayed = delayed_first(group);
    if (silent) {
        due = instant_earlier(due, silent->due);
    }
    if (delayed) {
        due = instant_earlier(due, delayed->due);
    }
    if (may_park(group)) {
        due = instant_earlier(due, group->park_after);
    }
    if (group->is_short) {
        due = instant_earlier(due, group->divide_after);
    }
    return due;
}
