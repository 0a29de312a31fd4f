// Everything is one tree of segments by actor and counter, so that a range from outside (offered,
// acknowledged, refused, merged) meets what it concerns side by side, whatever its state. Each
// state has a second place for the segment: a list or tree in which it is found when its turn
// comes. What an event costs is a segment's share: runs stay whole until somebody treats a part of
// them apart.
//
// What is done leaves no trace below the reader's cursor: there everything is done that is in no
// segment. Above it, done segments are kept until the cursor has come; those that touch become one.

#include "proto/base/planted.h"
#include "server/group/group_state.h"

#include <stdlib.h>

// --- By id -------------------------------------------------------------------------------------

struct segment *segment_find(struct group *group, uint16_t actor, uint64_t first, uint64_t last)
{
    struct tree_node *node = tree_at_or_below(&group->segments, actor, first);
    struct segment *segment = segment_of(node);
    if (!segment || segment_actor(segment) != actor || segment_last(segment) < first) {
        segment = segment_of(node ? node->next : group->segments.first);
    }
    return segment_in(segment, actor, last);
}

// In order as numbers, also before the origin of time.
static uint64_t instant_number(struct instant at)
{
    return (uint64_t)at.ns ^ (uint64_t)1 << 63;
}

static void place(struct tree *tree, struct segment *segment, uint64_t high)
{
    segment->place.high = high;
    segment->place.low = segment->sequence;
    tree_insert(tree, &segment->place);
}

// The part of the bytes of `total` events that belongs to `count` of them, as far as is known.
static uint64_t share_of(uint64_t bytes, uint64_t count, uint64_t total)
{
    return bytes / total * count + bytes % total * count / total;
}

static struct segment *segment_take(struct group *group)
{
    return pool_take(&group->segments_pool);
}

static void segment_give(struct group *group, struct segment *segment)
{
    tree_remove(&group->segments, &segment->by_id);
    pool_give(&group->segments_pool, segment);
}

// The second part stands behind the first wherever that is.
static void join_state(struct group *group, const struct segment *first, struct segment *second)
{
    list_init(&second->list);
    list_init(&second->by_time);
    switch (first->state) {
    case SEGMENT_IN_FLIGHT:
        list_insert_before(first->by_time.next, &second->by_time);
        list_insert_before(first->list.next, &second->list);
        break;
    case SEGMENT_WAITING:
    case SEGMENT_TO_PARK:
        list_insert_before(first->list.next, &second->list);
        break;
    case SEGMENT_DELAYED:
        second->lane->delayed++;
        place(&group->delayed, second, first->place.high);
        break;
    case SEGMENT_RETURNED:
        place(&second->lane->returned, second, 0);
        break;
    case SEGMENT_PARKING:
    case SEGMENT_DONE:
        assert(false); // one event; never divided
        break;
    }
}

void segment_divide(struct group *group, struct segment *segment, uint64_t count)
{
    assert(count > 0 && count < segment->count);
    struct segment *second = segment_take(group);
    *second = *segment;
    second->by_id.low += count;
    second->count -= count;
    second->sequence += count;
    segment->bytes = share_of(segment->bytes, count, segment->count);
    segment->count = count;
    second->bytes -= segment->bytes;
    second->lane->segments++;
    if (second->reason) {
        second->reason->references++;
    }
    tree_insert(&group->segments, &second->by_id);
    join_state(group, segment, second);
}

struct segment *segment_cut(struct group *group, struct segment *segment, uint64_t first,
                            uint64_t last)
{
    if (segment_first(segment) < first) {
        segment_divide(group, segment, first - segment_first(segment));
        segment = segment_next(segment);
    }
    if (segment_last(segment) > last) {
        segment_divide(group, segment, last - segment_first(segment) + 1);
    }
    return segment;
}

// --- States ------------------------------------------------------------------------------------

static bool is_small(const struct segment *segment)
{
    return segment->is_joined || segment->count <= JOINED_RUN_MAX;
}

// What was brought last and waits in the lane, if the run goes on from it and both are small. They
// need not be of one chunk: the driver finds out when they are handed out.
static struct segment *continued(const struct group *group, const struct lane *lane,
                                 const struct group_run *run)
{
    struct list_node *node = list_last(&lane->waiting);
    struct segment *last = node ? container_of(node, struct segment, list) : NULL;
    bool goes_on = last && segment_actor(last) == run->actor &&
                   segment_last(last) + 1 == run->first &&
                   last->sequence + last->count == group->sequence;
    bool fits = goes_on && is_small(last) && run->count <= JOINED_RUN_MAX &&
                last->count + run->count <= JOINED_EVENTS_MAX &&
                last->bytes + run->bytes <= JOINED_BYTES_MAX &&
                run->timestamp_ms >= last->timestamp_ms &&
                run->timestamp_ms - last->timestamp_ms <= JOINED_MS_MAX;
    return fits ? last : NULL;
}

static void new_segment(struct group *group, struct lane *lane, const struct group_run *run)
{
    struct segment *segment = segment_take(group);
    *segment = (struct segment){
        .by_id = {.high = run->actor, .low = run->first},
        .count = run->count,
        .bytes = run->bytes,
        .timestamp_ms = run->timestamp_ms,
        .sequence = group->sequence,
        .lane = lane,
        .state = SEGMENT_WAITING,
    };
    list_init(&segment->list);
    list_init(&segment->by_time);
    tree_insert(&group->segments, &segment->by_id);
    list_append(&lane->waiting, &segment->list);
    lane->segments++;
}

void segment_offer(struct group *group, struct lane *lane, const struct group_run *run)
{
    struct segment *before = continued(group, lane, run);
    if (before) {
        before->count += run->count;
        before->bytes += run->bytes;
        before->is_joined = true;
    } else {
        new_segment(group, lane, run);
    }
    group->sequence += run->count;
    group->open_events += run->count;
    group->takeable += run->count;
    group->first_waiting += run->count;
    group->first_waiting_bytes += run->bytes;
    lane_changed(group, lane);
}

static void land(struct group *group, struct segment *segment)
{
    struct consumer *consumer = segment->consumer;
    list_remove(&segment->list);
    list_remove(&segment->by_time);
    consumer->in_flight_count -= (uint32_t)segment->count;
    group->counts.in_flight -= segment->count;
    segment->consumer = NULL;
    segment->lane->in_flight -= segment->count;
    if (segment->lane->in_flight == 0) {
        segment->lane->owner = NULL;
    }
    consumer_changed(group, consumer);
}

void segment_leave_state(struct group *group, struct segment *segment)
{
    switch (segment->state) {
    case SEGMENT_WAITING:
        list_remove(&segment->list);
        group->takeable -= segment->count;
        group->first_waiting -= segment->count;
        group->first_waiting_bytes -= segment->bytes;
        break;
    case SEGMENT_IN_FLIGHT:
        land(group, segment);
        break;
    case SEGMENT_DELAYED:
        tree_remove(&group->delayed, &segment->place);
        segment->lane->delayed--;
        break;
    case SEGMENT_RETURNED:
        tree_remove(&segment->lane->returned, &segment->place);
        group->takeable -= segment->count;
        break;
    case SEGMENT_TO_PARK:
        list_remove(&segment->list);
        break;
    case SEGMENT_PARKING:
        group->parkings--;
        break;
    case SEGMENT_DONE:
        group->done_segments--;
        break;
    }
}

void segment_hand_out(struct group *group, struct segment *segment, struct consumer *consumer,
                      struct instant now)
{
    struct lane *lane = segment->lane;
    segment->state = SEGMENT_IN_FLIGHT;
    segment->consumer = consumer;
    segment->attempts++;
    segment->due = instant_add(now, group->ack_wait);
    list_append(&consumer->in_flight, &segment->list);
    list_append(&group->in_flight, &segment->by_time);
    consumer->in_flight_count += (uint32_t)segment->count;
    group->counts.in_flight += segment->count;
    lane->in_flight += segment->count;
    lane->owner = group->has_key ? consumer : NULL;
    lane_changed(group, lane);
}

void segment_return(struct group *group, struct segment *segment)
{
    segment->state = SEGMENT_RETURNED;
    place(&segment->lane->returned, segment, 0);
    group->takeable += segment->count;
    lane_changed(group, segment->lane);
}

static void segment_delay(struct group *group, struct segment *segment, struct instant due)
{
    segment->state = SEGMENT_DELAYED;
    segment->due = due;
    place(&group->delayed, segment, instant_number(due));
    segment->lane->delayed++;
    lane_changed(group, segment->lane);
}

void segment_park(struct group *group, struct segment *segment)
{
    segment->state = SEGMENT_TO_PARK;
    list_append(&group->to_park, &segment->list);
    lane_changed(group, segment->lane);
}

void segment_write(struct group *group, struct segment *segment)
{
    segment->state = SEGMENT_PARKING;
    group->parkings++;
}

void segment_again(struct group *group, struct segment *segment, enum segment_end ended,
                   struct group_reason *reason, struct instant due, struct instant now)
{
    reason_unref(segment->reason);
    segment->reason = reason;
    segment->ended = ended;
    if (segment->is_done_elsewhere) {
        segment_done(group, segment);
        return;
    }
    segment_leave_state(group, segment);
    if (group->attempts > 0 && segment->attempts >= group->attempts) {
        segment_park(group, segment);
    } else if (instant_reached(due, now)) {
        segment_return(group, segment);
    } else {
        segment_delay(group, segment,
                      IS_PLANTED(PLANTED_REDELIVERY_FORGOTTEN) ? INSTANT_NEVER : due);
    }
}

// --- Done --------------------------------------------------------------------------------------

void reason_unref(struct group_reason *reason)
{
    if (reason && --reason->references == 0) {
        free(reason);
    }
}

// `second` becomes a part of `first` if both are done and nothing is between them.
static void unite_done(struct group *group, struct segment *first, struct segment *second)
{
    if (first && second && first->state == SEGMENT_DONE && second->state == SEGMENT_DONE &&
        segment_actor(first) == segment_actor(second) &&
        segment_last(first) + 1 == segment_first(second)) {
        first->count += second->count;
        group->done_segments--;
        segment_give(group, second);
    }
}

static void unite_neighbours(struct group *group, struct segment *segment)
{
    unite_done(group, segment, segment_next(segment));
    unite_done(group, segment_of(segment->by_id.previous), segment);
}

static void set_done(struct group *group, struct segment *segment)
{
    segment->state = SEGMENT_DONE;
    segment->lane = NULL;
    segment->reason = NULL;
    group->done_segments++;
}

// Nothing of the segment is at or below the counter; false: it is gone.
static bool keep_above(struct group *group, struct segment *segment, uint64_t counter)
{
    if (segment_last(segment) <= counter) {
        segment_give(group, segment);
        return false;
    }
    if (segment_first(segment) <= counter) {
        segment->count = segment_last(segment) - counter;
        segment->by_id.low = counter + 1;
    }
    return true;
}

void segment_done(struct group *group, struct segment *segment)
{
    struct lane *lane = segment->lane;
    assert(segment->state != SEGMENT_DONE);
    segment_leave_state(group, segment);
    reason_unref(segment->reason);
    group->open_events -= segment->count;
    uint64_t cursor = version_vector_get(&group->cursor, segment_actor(segment));
    if (keep_above(group, segment, cursor)) {
        set_done(group, segment);
        unite_neighbours(group, segment);
    }
    lane->segments--;
    lane_changed(group, lane);
}

// The gap is part of the done segment before it, or of one of its own.
static int fill_gap(struct group *group, uint16_t actor, uint64_t first, uint64_t last,
                    uint64_t *count)
{
    struct segment *before = segment_of(tree_at_or_below(&group->segments, actor, first));
    bool touches = before && before->state == SEGMENT_DONE && segment_actor(before) == actor &&
                   segment_last(before) + 1 == first;
    if (!touches && group->done_segments >= GROUP_OPEN_MAX) {
        return 0;
    }
    if (touches) {
        before->count += last - first + 1;
    } else {
        int err = pool_reserve(&group->segments_pool, 1);
        if (err) {
            return err;
        }
        before = segment_take(group);
        *before = (struct segment){
            .by_id = {.high = actor, .low = first},
            .count = last - first + 1,
        };
        set_done(group, before);
        tree_insert(&group->segments, &before->by_id);
    }
    *count += last - first + 1;
    unite_neighbours(group, before);
    return 0;
}

int segments_fill_done(struct group *group, uint16_t actor, uint64_t first, uint64_t last,
                       uint64_t *count_out)
{
    uint64_t cursor = version_vector_get(&group->cursor, actor);
    uint64_t at = first > cursor ? first : cursor + 1;
    int err = 0;
    while (at <= last && err == 0) {
        struct segment *segment = segment_find(group, actor, at, last);
        uint64_t behind = segment ? segment_first(segment) : last + 1;
        uint64_t next = segment ? segment_last(segment) + 1 : last + 1;
        if (at < behind) {
            err = fill_gap(group, actor, at, behind - 1, count_out);
        }
        at = next;
    }
    return err;
}

void segments_cover(struct group *group, uint16_t actor, uint64_t first, uint64_t last)
{
    struct segment *segment = segment_find(group, actor, first, last);
    while (segment) {
        struct segment *next = segment_next(segment);
        if (segment->state == SEGMENT_DONE && !keep_above(group, segment, last)) {
            group->done_segments--;
        }
        segment = segment_in(next, actor, last);
    }
}
