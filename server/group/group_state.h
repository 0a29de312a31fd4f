// The inside of group.h, shared by server/group/*.c and nobody else.
//
// group.c: its life, and what is to be done next; group_open.c: what is not done, by id;
// group_keys.c: lanes, in which order is kept; group_consumers.c: who attaches, and who gets what
// comes next; group_acks.c: what consumers say; group_due.c: what time brings; group_position.c:
// what is done.
#pragma once

#include <assert.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/base/tree.h"
#include "server/group/group.h"
#include "server/group/pool.h"

enum {
    PARKINGS_AT_ONCE = 16,
    CHECKPOINTS_APART_MS = 20, // those that are written because so many are done
    PASSED_MAX = 1000000,      // events that the reader may come on without a checkpoint
    PASSED_LET_GO_MAX = 65536, // the same when the group goes, or has nobody any more
    PARK_RETRY_MS = 1000,      // after one could not be written
    MEMORY_RETRY_MS = 100,     // after a segment could not be divided
    SEGMENTS_PER_RANGE = 3,    // that may have to be taken for one range that is done
    // Runs that follow one another are joined to one segment up to so much: a segment costs as much
    // as many events. Its bytes are shared out evenly where it is divided, and its age is that of
    // its first event: so it stays small.
    JOINED_RUN_MAX = 16, // events of a run that is: a larger one is better handed out as it stands
    JOINED_EVENTS_MAX = 256,
    JOINED_BYTES_MAX = 16384,
    JOINED_MS_MAX = 100,
};

// Why an event was handed out last and is not done: kept once for all that share it.
struct group_reason {
    uint32_t references;
    uint32_t length;
    uint8_t text[GROUP_REASON_BYTES_MAX];
};

// From where a segment goes on; what may follow is beside it.
enum segment_state {
    SEGMENT_WAITING,   // for the first time: IN_FLIGHT
    SEGMENT_IN_FLIGHT, // RETURNED, DELAYED, TO_PARK
    SEGMENT_DELAYED,   // RETURNED
    SEGMENT_RETURNED,  // waits to be handed out again: IN_FLIGHT
    SEGMENT_TO_PARK,   // PARKING
    SEGMENT_PARKING,   // one event that is being written: TO_PARK
    SEGMENT_DONE,      // above the reader's cursor, until that covers it; from everywhere
};

enum segment_end {
    ENDED_REFUSED, // with `reason`, or without words
    ENDED_SILENT,
    ENDED_GONE, // its consumer has left
};

// Events of one actor with consecutive counters that share a fate. Segments do not overlap;
// together they are everything that the reader has brought and is not done, and what is done above
// its cursor.
struct segment {
    struct tree_node by_id;   // of group.segments: the actor, the first counter
    struct tree_node place;   // DELAYED: of group.delayed; RETURNED: of lane.returned
    struct list_node list;    // WAITING: of lane.waiting; IN_FLIGHT: of consumer.in_flight; TO_PARK
    struct list_node by_time; // IN_FLIGHT: of group.in_flight
    uint64_t count;
    uint64_t bytes;
    uint64_t timestamp_ms;
    uint64_t sequence;         // of its first event, in the order in which the reader brought them
    struct lane *lane;         // DONE: NULL
    struct consumer *consumer; // IN_FLIGHT
    struct instant due;        // IN_FLIGHT: when it is silence
    struct group_reason *reason; // REFUSED; NULL: none was given
    uint32_t attempts;           // how often it was handed out
    enum segment_state state;
    enum segment_end ended; // how it was last, when it has come again
    bool is_done_elsewhere; // IN_FLIGHT: does not come again
    bool is_joined;         // of several runs
};

// Events between which order is kept: those of one key. Without a key there is one lane, and no
// order. Gone when nothing in it is not done.
struct lane {
    struct tree_node by_key;
    struct list_node waiting;   // segments
    struct tree returned;       // segments, in the reader's order
    struct list_node ready;     // of `ready_in`
    struct list_node *ready_in; // group.lanes, consumer.lanes, or NULL: nothing can be taken
    struct consumer *owner;     // who has events of it in flight
    uint64_t in_flight;         // events
    uint64_t segments;          // in any state
    uint64_t delayed;           // segments
};

struct consumer {
    struct tree_node by_id;
    struct tree_node ready;     // of group.ready: may take something: in flight, turn
    struct tree_node bound;     // of group.bound: besides, a lane of its own has something
    struct list_node in_flight; // segments, in the order in which they were handed out
    struct list_node lanes;     // its own, that have something
    consumer_id id;
    uint64_t turn; // when it got something last: the lower, the longer it has waited
    int64_t credit;
    uint32_t in_flight_max;
    uint32_t in_flight_count; // events
    uint64_t delivered;
    uint64_t acked;
    bool is_ready; // is in group.ready
    bool is_bound;
};

struct group {
    // what is wanted
    bool has_key;
    uint32_t concurrency;
    uint32_t attempts;
    uint32_t checkpoint_every;
    uint32_t queue;
    struct duration ack_wait;
    struct duration checkpoint_after;

    struct version_vector cursor; // the reader's: what is covered and in no segment is done
    struct tree segments;
    struct pool segments_pool;
    uint64_t done_segments; // how many of them are DONE
    uint64_t open_events;   // in the others
    uint64_t sequence;      // of the next event that the reader brings

    struct lane plain; // without a key
    struct tree lanes_by_key;
    struct pool lanes_pool;
    struct list_node lanes; // of nobody, that have something
    uint64_t takeable;      // events that wait or have returned

    struct tree consumers;
    uint32_t consumers_count;
    struct tree ready;
    uint64_t ready_count;
    uint64_t ready_in_flight; // events that those have
    struct tree bound;
    uint64_t turn;

    uint64_t first_waiting; // events that wait for the first time
    uint64_t first_waiting_bytes;
    struct list_node in_flight; // segments, by when they were handed out
    struct tree delayed;        // segments, by when they are due
    struct list_node to_park;
    uint32_t parkings;           // that are being written
    struct instant park_after;   // nothing is parked before
    struct instant divide_after; // only while is_short: for want of memory
    bool is_short;
    struct group_reason *last_reason; // the same again shares it

    uint64_t uncovered; // done since the last checkpoint
    uint64_t passed;    // events that the cursor has come on since
    struct instant uncovered_since;
    uint64_t covering; // by the checkpoint that is being written
    uint64_t covering_passed;
    bool is_covering;
    bool is_flushing;
    struct instant checkpoint_not_before;
    struct instant many_not_before; // no checkpoint because so many are done

    struct group_counts counts; // but what is of now
};

// --- group_open.c ------------------------------------------------------------------------------

static inline struct segment *segment_of(struct tree_node *by_id)
{
    return by_id ? container_of(by_id, struct segment, by_id) : NULL;
}

static inline uint16_t segment_actor(const struct segment *segment)
{
    return (uint16_t)segment->by_id.high;
}

static inline uint64_t segment_first(const struct segment *segment)
{
    return segment->by_id.low;
}

static inline uint64_t segment_last(const struct segment *segment)
{
    return segment->by_id.low + (segment->count - 1);
}

static inline struct segment *segment_next(const struct segment *segment)
{
    return segment_of(segment->by_id.next);
}

static inline struct group_run segment_run(const struct segment *segment)
{
    return (struct group_run){
        .actor = segment_actor(segment),
        .first = segment_first(segment),
        .count = (uint32_t)segment->count,
        .key = segment->lane->by_key.low,
        .bytes = segment->bytes,
        .is_joined = segment->is_joined && segment->count > 1,
    };
}

// The first segment that holds one of these events; NULL: none does. segment_in: the one after it.
struct segment *segment_find(struct group *group, uint16_t actor, uint64_t first, uint64_t last);
static inline struct segment *segment_in(struct segment *segment, uint16_t actor, uint64_t last)
{
    bool is_in = segment && segment_actor(segment) == actor && segment_first(segment) <= last;
    return is_in ? segment : NULL;
}

// Divides what reaches beyond the range, at most two segments: for both, one must be reserved.
// Returns the part inside.
struct segment *segment_cut(struct group *group, struct segment *segment, uint64_t first,
                            uint64_t last);
// Divides behind the first `count` events; the second part must be reserved.
void segment_divide(struct group *group, struct segment *segment, uint64_t count);

// Takes it out of its state: it must be given another, or be done.
void segment_leave_state(struct group *group, struct segment *segment);
// All of it is done, however it stands. The segment may be gone.
void segment_done(struct group *group, struct segment *segment);
// It was in flight and is not done: it comes again at `due`, is parked when there were enough
// attempts, or was done elsewhere meanwhile. A reference to the reason is taken over.
void segment_again(struct group *group, struct segment *segment, enum segment_end ended,
                   struct group_reason *reason, struct instant due, struct instant now);

// Waits now: as a new one, or as the end of the last that waits. The segment must be reserved.
void segment_offer(struct group *group, struct lane *lane, const struct group_run *run);

// Into the states, from none.
void segment_hand_out(struct group *group, struct segment *segment, struct consumer *consumer,
                      struct instant now);
void segment_return(struct group *group, struct segment *segment);
void segment_park(struct group *group, struct segment *segment);  // TO_PARK
void segment_write(struct group *group, struct segment *segment); // PARKING

// Remembers as done what is above the reader's cursor and in no segment; `count_out` gets how many.
// One segment must be reserved for each gap between others; where only DONE ones are, one in all.
// Beyond GROUP_OPEN_MAX nothing more is remembered. ERR_MEMORY: a part.
int segments_fill_done(struct group *group, uint16_t actor, uint64_t first, uint64_t last,
                       uint64_t *count_out) MUST_CHECK;

// The cursor has come from `first` - 1 to `last`: what is done there is forgotten.
void segments_cover(struct group *group, uint16_t actor, uint64_t first, uint64_t last);

void reason_unref(struct group_reason *reason);

// --- group_keys.c ------------------------------------------------------------------------------

// The lane of a key. ERR_MEMORY.
int lane_get(struct group *group, uint64_t key, struct lane **lane_out) MUST_CHECK;
void lane_init(struct lane *lane);
// Something in it has changed: it may be ready for somebody else, or gone.
void lane_changed(struct group *group, struct lane *lane);
struct segment *lane_head(const struct group *group,
                          const struct lane *lane); // what comes next; NULL: nothing may

// --- group_consumers.c -------------------------------------------------------------------------

struct consumer *consumer_find(struct group *group, consumer_id id); // NULL: it is gone
void consumer_changed(struct group *group, struct consumer *consumer);
// Hands out the next piece. False: there is nobody, or nothing.
bool consumers_deliver(struct group *group, struct instant now, struct group_action *action_out);
void consumers_free(struct group *group);

// --- group_due.c -------------------------------------------------------------------------------

// Divides a segment that is to be handed out or parked. False: not now, for want of memory.
bool due_divide(struct group *group, struct segment *segment, uint64_t count, struct instant now);

// So many events are done by what consumers said, or parked.
void due_done(struct group *group, uint64_t count, struct instant now);
// What was delayed comes back, what was silent ends.
void due_look(struct group *group, struct instant now);
bool due_park(struct group *group, struct instant now, struct group_action *action_out);
bool due_checkpoint(struct group *group, struct instant now);
void due_flush(struct group *group); // a checkpoint soon, if there is anything to say
