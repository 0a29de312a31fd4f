// Who may take something is in a tree by how much he has in flight and by who waited longest, so
// the first of it gets the next. With keys there are two: when all that waits belongs to keys that
// somebody has, only those are asked who have one of them.
//
// Runs are handed out whole as long as there is enough for everybody; without a key a run is
// divided when consumers would go empty, so that a few slow events do not end up with one of them.

#include <stdlib.h>

#include "proto/base/planted.h"
#include "server/group/group_state.h"

struct consumer *consumer_find(struct group *group, consumer_id id)
{
    struct tree_node *node = tree_at_or_below(&group->consumers, 0, id);
    return node && node->low == id ? container_of(node, struct consumer, by_id) : NULL;
}

static void take_place(struct tree *tree, struct tree_node *node, bool *is_in, bool is_to_be_in,
                       const struct consumer *consumer)
{
    bool is_right = node->high == consumer->in_flight_count && node->low == consumer->turn;
    if (*is_in && (!is_to_be_in || !is_right)) {
        tree_remove(tree, node);
        *is_in = false;
    }
    if (is_to_be_in && !*is_in) {
        node->high = consumer->in_flight_count;
        node->low = consumer->turn;
        tree_insert(tree, node);
        *is_in = true;
    }
}

void consumer_changed(struct group *group, struct consumer *consumer)
{
    bool is_ready = consumer->credit > 0 && consumer->in_flight_count < consumer->in_flight_max;
    bool is_bound = is_ready && !list_is_empty(&consumer->lanes);
    if (consumer->is_ready) {
        group->ready_count--;
        group->ready_in_flight -= consumer->ready.high;
    }
    take_place(&group->ready, &consumer->ready, &consumer->is_ready, is_ready, consumer);
    take_place(&group->bound, &consumer->bound, &consumer->is_bound, is_bound, consumer);
    if (consumer->is_ready) {
        group->ready_count++;
        group->ready_in_flight += consumer->ready.high;
    }
}

// --- Coming and going --------------------------------------------------------------------------

int group_join(struct group *group, const struct group_consumer *joining, struct instant now)
{
    assert(joining->id != 0 && !consumer_find(group, joining->id));
    assert(joining->in_flight_max >= 1 && joining->in_flight_max <= GROUP_IN_FLIGHT_MAX);
    if (group->consumers_count >= group->concurrency) {
        return ERR_BUSY;
    }
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (!consumer) {
        return ERR_MEMORY;
    }
    consumer->id = joining->id;
    consumer->in_flight_max = joining->in_flight_max;
    consumer->turn = ++group->turn;
    list_init(&consumer->in_flight);
    list_init(&consumer->lanes);
    consumer->by_id.low = consumer->id;
    tree_insert(&group->consumers, &consumer->by_id);
    group->consumers_count++;
    return 0;
}

void group_credit(struct group *group, consumer_id id, uint64_t bytes)
{
    struct consumer *consumer = consumer_find(group, id);
    if (!consumer) {
        return;
    }
    // Never above the maximum, so that no sum overflows.
    int64_t room = (int64_t)SUBSCRIPTION_CREDIT_BYTES_MAX - consumer->credit;
    consumer->credit += bytes < (uint64_t)room ? (int64_t)bytes : room;
    consumer_changed(group, consumer);
}

void group_spend(struct group *group, consumer_id id, uint64_t bytes)
{
    struct consumer *consumer = consumer_find(group, id);
    if (consumer) {
        consumer->credit -= (int64_t)bytes;
        consumer_changed(group, consumer);
    }
}

void group_leave(struct group *group, consumer_id id, struct instant now)
{
    struct consumer *consumer = consumer_find(group, id);
    if (!consumer) {
        return;
    }
    struct list_node *link;
    while ((link = list_first(&consumer->in_flight)) != NULL) {
        struct segment *segment = container_of(link, struct segment, list);
        segment->is_done_elsewhere |= IS_PLANTED(PLANTED_DEAD_CONSUMER_DONE);
        segment_again(group, segment, ENDED_GONE, NULL, now, now);
    }
    assert(consumer->in_flight_count == 0 && list_is_empty(&consumer->lanes));
    consumer->credit = 0;
    consumer_changed(group, consumer);
    tree_remove(&group->consumers, &consumer->by_id);
    free(consumer);
    group->consumers_count--;
    if (group->consumers_count == 0) {
        due_flush(group);
    }
}

void consumers_free(struct group *group)
{
    struct tree_node *node = group->consumers.first;
    while (node) {
        struct consumer *consumer = container_of(node, struct consumer, by_id);
        node = node->next;
        free(consumer);
    }
}

uint32_t group_consumers(const struct group *group, struct group_consumer_counts *out, uint32_t max)
{
    uint32_t count = 0;
    for (struct tree_node *node = group->consumers.first; node && count < max; node = node->next) {
        const struct consumer *consumer = container_of(node, struct consumer, by_id);
        out[count++] = (struct group_consumer_counts){
            .id = consumer->id,
            .in_flight = consumer->in_flight_count,
            .delivered = consumer->delivered,
            .acked = consumer->acked,
        };
    }
    return group->consumers_count;
}

// --- Handing out -------------------------------------------------------------------------------

static struct lane *lane_of(struct list_node *ready)
{
    return ready ? container_of(ready, struct lane, ready) : NULL;
}

// Of the lanes of nobody and those of the consumer, the one whose next event came first.
static struct lane *choose_lane(const struct group *group, const struct consumer *consumer)
{
    struct lane *free_lane = lane_of(list_first(&group->lanes));
    struct lane *own = lane_of(list_first(&consumer->lanes));
    if (!free_lane || !own) {
        return free_lane ? free_lane : own;
    }
    bool is_own_first = lane_head(group, own)->sequence < lane_head(group, free_lane)->sequence;
    return is_own_first ? own : free_lane;
}

// Credit may be overdrawn by a run as it was offered, not by several.
static uint64_t with_credit(const struct consumer *consumer, const struct segment *segment)
{
    if (!segment->is_joined || (int64_t)segment->bytes <= consumer->credit) {
        return segment->count;
    }
    uint64_t count = segment->count * (uint64_t)consumer->credit / segment->bytes;
    return count > 0 ? count : 1;
}

// How many events of the segment the consumer gets now: without a key as many as it has then when
// all that may take something have equally many.
static uint64_t piece(const struct group *group, const struct consumer *consumer,
                      const struct segment *segment)
{
    uint64_t count = consumer->in_flight_max - consumer->in_flight_count;
    uint64_t affordable = with_credit(consumer, segment);
    count = affordable < count ? affordable : count;
    if (!group->has_key) {
        uint64_t total = group->takeable + group->ready_in_flight;
        // It has the fewest, so the average is not below what it has.
        uint64_t missing = total / group->ready_count - consumer->in_flight_count;
        missing = missing > 0 ? missing : 1;
        count = missing < count ? missing : count;
    }
    return count;
}

static void hand_out(struct group *group, struct consumer *consumer, struct segment *segment,
                     struct instant now)
{
    struct lane *lane = segment->lane;
    segment_leave_state(group, segment);
    consumer->turn = ++group->turn;
    consumer->credit -= (int64_t)segment->bytes;
    consumer->delivered += segment->count;
    segment_hand_out(group, segment, consumer, now);
    consumer_changed(group, consumer);
    group->counts.delivered += segment->count;
    group->counts.redelivered += segment->attempts > 1 ? segment->count : 0;
    if (lane->ready_in) { // others first
        list_remove(&lane->ready);
        list_append(lane->ready_in, &lane->ready);
    }
}

bool consumers_deliver(struct group *group, struct instant now, struct group_action *action_out)
{
    struct consumer *consumer = NULL;
    if (!list_is_empty(&group->lanes) && group->ready.first) {
        consumer = container_of(group->ready.first, struct consumer, ready);
    } else if (group->bound.first) {
        consumer = container_of(group->bound.first, struct consumer, bound);
    }
    if (!consumer) {
        return false;
    }
    struct segment *segment = lane_head(group, choose_lane(group, consumer));
    uint64_t count = piece(group, consumer, segment);
    if (count < segment->count && !due_divide(group, segment, count, now)) {
        return false;
    }
    hand_out(group, consumer, segment, now);
    *action_out = (struct group_action){
        .kind = GROUP_DELIVER,
        .consumer = consumer->id,
        .run = segment_run(segment),
        .attempt = segment->attempts,
    };
    return true;
}
