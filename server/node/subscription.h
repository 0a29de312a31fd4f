// A subscription: from its start through the replay to live events, to its end. For server/node
// only; subscription.c holds its life, subscription_start.c how its start is found,
// subscription_replay.c what is read from the store, subscription_live.c what is not.
#pragma once

#include "proto/base/list.h"
#include "proto/model/event_id.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"
#include "server/node/service_state.h"
#include "server/node/waiter.h"

struct session;
struct session_item;

enum subscription_state {
    SUBSCRIPTION_WAITING,  // for `after`
    SUBSCRIPTION_STARTING, // the store looks for the start
    SUBSCRIPTION_REPLAY,   // canonical order, up to what was here at the start
    SUBSCRIPTION_LIVE,     // order of arrival
    SUBSCRIPTION_BOUNDING, // stable order: the store looks how far the next round goes
    SUBSCRIPTION_AWAITING, // stable order: for the frontier
    SUBSCRIPTION_OVER,     // its last message is due
};

// What one step of a read brought, until it is taken.
struct subscription_step {
    struct block *block;          // NULL: there is none
    struct version_vector passed; // the cursor rises by it
    uint64_t ordinal_next;        // LIVE
    struct instant since;         // when it came
};

struct subscription {
    struct session *session;
    uint64_t id;
    enum subscription_state state;
    struct list_node ready_link; // of the session's that have an item
    struct list_node wait_link;  // of those that wait for a place to read, or for the next chunk
    struct waiter waiter;

    // what is wanted
    struct shared_filter *filter;
    bool is_everything;
    bool slices_only;
    enum start_kind start;
    struct event_id start_id;
    uint64_t start_time_ms;
    uint64_t start_last;
    enum end_kind end;
    struct version_vector end_cursor;
    uint64_t limit; // 0: none
    bool is_stable;
    bool wants_marks; // of the frontier

    // where it is
    struct version_vector cursor; // all in it is delivered, did not match, or is before the start
    struct version_vector upper;  // REPLAY: up to here
    struct version_vector ahead;  // a start beyond what is here: what it covers is not delivered
    uint64_t ordinal_next;        // LIVE
    uint64_t delivered;
    uint64_t passed;
    uint64_t passed_told;
    int64_t credit;

    // the frontier (subscription_stable.c)
    struct list_node frontier_link; // of the service's that read it
    struct version_vector goal;     // stable: what was here at the start
    bool has_caught_up;
    bool has_round;
    uint64_t round_version;
    uint64_t round_frontier;
    uint64_t frontier_told;
    uint16_t waits_told;
    struct timer patience;

    // reading
    struct read_owner owner;
    struct read read;
    bool is_reading;     // a step is in the store
    bool is_read_done;   // no further step
    bool is_catching_up; // LIVE: chunks that are not cached any more are read
    bool holds_place;    // of the session's places to read
    uint32_t place_steps;
    struct subscription_step step;
    bool is_rewound;   // what was read and not taken was dropped, to be read again
    struct timer idle; // drops it when nobody takes

    // due
    bool is_subscribed_due;
    bool is_caught_up_due;
    bool is_heartbeat_due;
    bool is_progress_due;
    bool is_frontier_due;
    bool is_waiting_due;
    bool is_live_due;       // the next chunk may hold something
    bool is_recent_missing; // it is not cached: to be read
    struct duration heartbeat_every;
    struct timer heartbeat;
    struct instant last_sent;

    // OVER
    bool is_closed;      // freed when its read comes back
    uint32_t end_reason; // enum end_reason; 0: an error
    enum wire_error error;
    struct reason error_text;
};

static inline uint64_t subscription_id(const struct subscription *subscription)
{
    return subscription->id;
}

static inline struct subscription *subscription_of_ready_link(struct list_node *link)
{
    return container_of(link, struct subscription, ready_link);
}

// --- For the session ---------------------------------------------------------------------------

// Takes an admitted request: either answers it, or opens a subscription, which answers for itself.
void subscription_submit(struct session *session, const struct request *request);

// Its session ends, or its last item was taken: frees it, now or when its read comes back.
void subscription_close(struct subscription *subscription);

void subscription_stop(struct subscription *subscription);
void subscription_credit(struct subscription *subscription, uint64_t bytes);

// The next item of one that was in the list of those that are ready (and is taken out of it).
// Puts itself back if there may be more. May free the subscription.
bool subscription_take(struct subscription *subscription, struct session_item *item_out);

// --- Among its files ---------------------------------------------------------------------------

void subscription_free(struct subscription *subscription); // closed, nothing in the store

// Does what can be done now, and makes it ready when it has an item. Never frees it.
void subscription_advance(struct subscription *subscription);

// Ends it: its last message will be an END with that reason, or an error.
void subscription_finish(struct subscription *subscription, enum end_reason reason);
void subscription_fail(struct subscription *subscription, enum wire_error code, const char *text);

// Raises the cursor, up to its end. Failing ends the subscription.
void subscription_pass(struct subscription *subscription, const struct version_vector *passed);

// Whether events must be cut out one by one: a start ahead of the node, an end, a limit.
bool subscription_must_cut(const struct subscription *subscription, uint32_t events);

// The events of `block`, from byte `offset` on, that go to it, when it must cut or the block holds
// events of the system. NULL: none. `filter`: NULL if the block is filtered already.
// False: it has failed.
bool subscription_cut(struct subscription *subscription, const struct block *block, size_t offset,
                      struct shared_filter *filter, struct block **block_out);

// Fills the item with a delivery and counts it. `block` is taken over; `events` are in it from
// `offset` on. The cursor is the caller's to raise.
void subscription_deliver(struct subscription *subscription, struct block *block, size_t offset,
                          uint32_t events, struct session_item *item_out);

// Raises the cursor by the events of a block of slices alone: when a limit cut it off.
void subscription_pass_slices(struct subscription *subscription, const struct block *block);

static inline bool subscription_has_end(const struct subscription *subscription)
{
    return subscription->end == END_CURSOR &&
           version_vector_includes(&subscription->cursor, &subscription->end_cursor);
}

// start
void subscription_begin(struct subscription *subscription);   // once `after` is covered
void subscription_started(struct subscription *subscription); // a read of the start is back

// replay
void subscription_begin_replay(struct subscription *subscription);
void subscription_replay(struct subscription *subscription); // what REPLAY can do now
void subscription_read_next(struct subscription *subscription);
void subscription_read_completed(struct read_owner *owner);
void subscription_launch(struct subscription *subscription);
bool subscription_take_step(struct subscription *subscription, struct session_item *item_out);
void subscription_drop_step(struct subscription *subscription);
void subscription_return_place(struct subscription *subscription);
void subscription_idle_expired(struct timer *timer);

int subscription_prepare_replay(struct subscription *subscription) MUST_CHECK;

// stable order and marks of the frontier
void subscription_read_frontier(struct subscription *subscription); // from now on, if it wants to
void subscription_leave_frontier(struct subscription *subscription);
void subscription_await_frontier(struct subscription *subscription); // what AWAITING can do now
void subscription_bounded(struct subscription *subscription);        // BOUNDING's read is back
void subscription_round_done(struct subscription *subscription);
void subscription_note_frontier(struct subscription *subscription); // all that is here is passed
void subscription_reached(struct subscription *subscription, uint64_t frontier);
void subscription_patience_expired(struct timer *timer);

// live
void subscription_begin_live(struct subscription *subscription);
void subscription_live(struct subscription *subscription); // what LIVE can do now
bool subscription_take_live(struct subscription *subscription, struct session_item *item_out);
