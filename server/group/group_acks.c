// What is said about a range meets the segments of that range, whoever has them: an acknowledgement
// counts for each event that is not done. Memory that dividing them may need is reserved first, so
// that nothing fails half-way.

#include <stdlib.h>

#include "proto/base/planted.h"
#include "server/group/group_state.h"

// Ranges come from outside: cut to what can be a counter. False: nothing is left.
static bool sensible(const struct done_range *range, uint64_t *first_out, uint64_t *last_out)
{
    *first_out = range->first > 0 ? range->first : 1;
    *last_out = range->last < COUNTER_MAX ? range->last : COUNTER_MAX;
    return range->actor != 0 && *first_out <= *last_out;
}

static enum group_ack_result acked(struct group *group, struct consumer *consumer, uint64_t count,
                                   struct instant now, uint64_t *counted_out)
{
    if (count == 0) {
        return GROUP_NOT_IN_FLIGHT;
    }
    group->counts.acked += count;
    if (consumer) {
        consumer->acked += count;
    }
    due_done(group, count, now);
    *counted_out = count;
    return GROUP_ACKED;
}

enum group_ack_result group_ack(struct group *group, consumer_id id, const struct done_range *range,
                                struct instant now, uint64_t *counted_out)
{
    uint64_t at;
    uint64_t last;
    uint64_t count = 0;
    if (!sensible(range, &at, &last)) {
        return GROUP_NOT_IN_FLIGHT;
    }
    if (pool_reserve(&group->segments_pool, SEGMENTS_PER_RANGE)) {
        return GROUP_NO_MEMORY;
    }
    uint64_t first = at;
    struct segment *segment;
    while (at <= last && (segment = segment_find(group, range->actor, at, last)) != NULL) {
        if (segment->state != SEGMENT_DONE) {
            segment = segment_cut(group, segment, first, last);
            at = segment_last(segment) + 1;
            count += segment->count;
            segment_done(group, segment);
        } else {
            at = segment_last(segment) + 1;
        }
    }
    int err = segments_fill_done(group, range->actor, first, last, &count);
    assert(err == 0); // only done ones are there now
    return acked(group, consumer_find(group, id), count, now, counted_out);
}

// What was handed out next after the ones that are done; in the simulator's bug, to whomever.
static struct segment *first_in_flight(const struct group *group, const struct consumer *consumer)
{
    if (IS_PLANTED(PLANTED_ACK_UP_TO_OF_ALL)) {
        return container_of(group->in_flight.next, struct segment, by_time);
    }
    return container_of(consumer->in_flight.next, struct segment, list);
}

enum group_ack_result group_ack_up_to(struct group *group, consumer_id id, struct event_id event,
                                      struct instant now, uint64_t *counted_out)
{
    struct consumer *consumer = consumer_find(group, id);
    struct segment *last = segment_find(group, event.actor, event.counter, event.counter);
    if (!consumer || !last || last->state != SEGMENT_IN_FLIGHT || last->consumer != consumer) {
        return GROUP_NOT_IN_FLIGHT;
    }
    if (last->attempts > 1) {
        // It may mean an earlier delivery, before which others were delivered than before the last.
        struct done_range only = {event.actor, event.counter, event.counter};
        return group_ack(group, id, &only, now, counted_out);
    }
    if (pool_reserve(&group->segments_pool, SEGMENTS_PER_RANGE)) {
        return GROUP_NO_MEMORY;
    }
    last = segment_cut(group, last, segment_first(last), event.counter);
    uint64_t count = 0;
    struct segment *segment;
    do {
        segment = first_in_flight(group, consumer);
        count += segment->count;
        segment_done(group, segment);
    } while (segment != last);
    return acked(group, consumer, count, now, counted_out);
}

// A reference; the words that were said last are kept once. NULL with *err_out 0: none were said.
static struct group_reason *keep_reason(struct group *group, struct bytes text, int *err_out)
{
    struct group_reason *reason = group->last_reason;
    text.length = text.length < GROUP_REASON_BYTES_MAX ? text.length : GROUP_REASON_BYTES_MAX;
    *err_out = 0;
    if (text.length == 0) {
        return NULL;
    }
    if (!reason || !bytes_equal(bytes_of(reason->text, reason->length), text)) {
        reason = malloc(sizeof *reason);
        if (!reason) {
            *err_out = ERR_MEMORY;
            return NULL;
        }
        reason->references = 1; // the group's
        reason->length = (uint32_t)text.length;
        memcpy(reason->text, text.data, text.length);
        reason_unref(group->last_reason);
        group->last_reason = reason;
    }
    reason->references++;
    return reason;
}

enum group_ack_result group_nack(struct group *group, consumer_id id,
                                 const struct done_range *range, struct duration delay,
                                 struct bytes text, struct instant now)
{
    const struct consumer *consumer = consumer_find(group, id);
    uint64_t at;
    uint64_t last;
    int err;
    if (!consumer || !sensible(range, &at, &last)) {
        return GROUP_NOT_IN_FLIGHT;
    }
    if (pool_reserve(&group->segments_pool, SEGMENTS_PER_RANGE)) {
        return GROUP_NO_MEMORY;
    }
    struct group_reason *reason = keep_reason(group, text, &err);
    if (err) {
        return GROUP_NO_MEMORY;
    }
    enum group_ack_result result = GROUP_NOT_IN_FLIGHT;
    uint64_t first = at;
    struct segment *segment;
    while (at <= last && (segment = segment_find(group, range->actor, at, last)) != NULL) {
        at = segment_last(segment) + 1;
        if (segment->state == SEGMENT_IN_FLIGHT && segment->consumer == consumer) {
            segment = segment_cut(group, segment, first, last);
            if (reason) {
                reason->references++;
            }
            segment_again(group, segment, ENDED_REFUSED, reason, instant_add(now, delay), now);
            result = GROUP_ACKED;
        }
    }
    reason_unref(reason);
    return result;
}

bool group_give_back(struct group *group, consumer_id id, const struct done_range *range,
                     uint32_t attempt, struct duration delay, struct instant now)
{
    const struct consumer *consumer = consumer_find(group, id);
    uint64_t at;
    uint64_t last;
    if (!consumer || !sensible(range, &at, &last)) {
        return true;
    }
    if (pool_reserve(&group->segments_pool, SEGMENTS_PER_RANGE)) {
        return false;
    }
    uint64_t first = at;
    struct segment *segment;
    while (at <= last && (segment = segment_find(group, range->actor, at, last)) != NULL) {
        at = segment_last(segment) + 1;
        bool is_it = segment->state == SEGMENT_IN_FLIGHT && segment->consumer == consumer;
        if (is_it && (attempt == 0 || segment->attempts == attempt)) {
            segment = segment_cut(group, segment, first, last);
            struct group_reason *reason = segment->reason;
            segment->reason = NULL;
            segment->attempts--;
            segment_again(group, segment, segment->ended, reason, instant_add(now, delay), now);
        }
    }
    return true;
}

void group_parked(struct group *group, struct event_id event, bool is_durable, struct instant now)
{
    struct segment *segment = segment_find(group, event.actor, event.counter, event.counter);
    if (!segment || segment->state != SEGMENT_PARKING) {
        return; // acknowledged meanwhile
    }
    if (is_durable) {
        group->counts.parked++;
        segment_done(group, segment);
        due_done(group, 1, now);
        return;
    }
    segment_leave_state(group, segment);
    segment_park(group, segment);
    group->park_after = instant_add(now, duration_ms(PARK_RETRY_MS));
}
