// One durable subscription at its coordinator: who has what, what comes next, what is done
// (docs/subscriptions.md, "The group"). Pure: no clock, no I/O, no randomness; every call carries
// the time. What is to be done comes out of group_next_action; between calls nothing happens.
//
// Not thread-safe: it belongs to one loop.
#pragma once

#include "proto/base/instant.h"
#include "proto/base/limits.h"
#include "proto/model/position.h"
#include "proto/model/subscription_event.h"

struct group;

typedef uint64_t consumer_id; // the driver's; never 0

struct group_config {
    const struct subscription_definition *definition; // copied, as far as it concerns the group
    const struct position *done;                      // copied: what is not to be handed out
};

int group_new(const struct group_config *config, struct group **group_out) MUST_CHECK;
void group_free(struct group *group);

// --- Consumers ---------------------------------------------------------------------------------

struct group_consumer {
    consumer_id id;
    uint32_t in_flight_max; // events; 1 .. GROUP_IN_FLIGHT_MAX
};

// ERR_BUSY: `concurrency` consumers are attached. ERR_MEMORY.
int group_join(struct group *group, const struct group_consumer *consumer,
               struct instant now) MUST_CHECK;

// Bytes of credit that came; group_join begins with none. What is handed out costs its bytes; any
// credit above zero allows one delivery. It never rises above SUBSCRIPTION_CREDIT_BYTES_MAX.
void group_credit(struct group *group, consumer_id id, uint64_t bytes);
// What was handed out took so many bytes more than its run said.
void group_spend(struct group *group, consumer_id id, uint64_t bytes);

// What it had in flight comes again. One that has left already changes nothing.
void group_leave(struct group *group, consumer_id id, struct instant now);

// --- Events ------------------------------------------------------------------------------------

// A run of events with consecutive counters that the reader brought and that match. With a key each
// run has one key: the driver cuts them so (group_key_hash).
struct group_run {
    uint16_t actor;
    uint64_t first;
    uint32_t count;
    uint64_t key;   // hash; ignored without a key
    uint64_t bytes; // of all its events as they are sent
    uint64_t timestamp_ms;
    bool is_joined; // to be handed out: it may be of several that were offered
};

// Whether more events may be offered now: otherwise the reader is given no credit.
bool group_wants(const struct group *group);

// What the reader brought, in its order; what is done already is passed over. Always taken, also
// when group_wants is false (what was on its way). ERR_MEMORY: a part was taken; offer all of it
// again, before anything else.
int group_offer(struct group *group, const struct group_run *runs, uint32_t count,
                struct instant now) MUST_CHECK;

// All that the reader's cursor covers has been offered, or did not match. A cursor below the last
// one (of a reader that began again) changes nothing. ERR_MEMORY: a part was taken; say it again.
int group_passed(struct group *group, const struct version_vector *cursor) MUST_CHECK;

// Whether one of these events waits to be handed out for the first time: what the driver keeps of
// the others is of no use any more.
bool group_has_waiting(struct group *group, uint16_t actor, uint64_t first, uint64_t last);

// The key's hash of an event; 0 without a key. `attributes` as in event.h.
uint64_t group_key_hash(const struct subscription_definition *definition, struct bytes space,
                        struct bytes attributes);

// --- What consumers say ------------------------------------------------------------------------

enum group_ack_result {
    GROUP_ACKED = 0,
    GROUP_NOT_IN_FLIGHT = 1, // of no event here, or done already
    GROUP_NO_MEMORY = 2,     // nothing was changed: to be said again
};

// One range of one actor. Counts what is not done, whether it is in flight at this consumer (which
// may have left) or another, or waits (see the document), and what is above the reader's cursor and
// was not offered: the driver checks that the log has it. That is passed over when it comes, as
// long as there are not more than GROUP_OPEN_MAX ranges of it. `counted_out` gets how many events
// are done by it. NOT_IN_FLIGHT: none.
enum group_ack_result group_ack(struct group *group, consumer_id id, const struct done_range *range,
                                struct instant now, uint64_t *counted_out);

// Everything that was handed out to this consumer up to that event, in the order in which it was.
// NOT_IN_FLIGHT: that event is not in flight there; nothing is done.
enum group_ack_result group_ack_up_to(struct group *group, consumer_id id, struct event_id event,
                                      struct instant now, uint64_t *counted_out);

// What is in flight at this consumer comes again after the delay. NOT_IN_FLIGHT: nothing in the
// range is. `reason` is kept for parking (GROUP_REASON_BYTES_MAX, cut). It looks at everything in
// the range that is not done, whoever has it: the driver refuses messages whose ranges overlap.
enum group_ack_result group_nack(struct group *group, consumer_id id,
                                 const struct done_range *range, struct duration delay,
                                 struct bytes reason, struct instant now);

// What is in flight at this consumer, in this attempt (0: in any), has not come to its client, nor
// will it: it comes again after the delay, as if it had not been handed out this time. False: there
// is no memory, and it stays in flight.
bool group_give_back(struct group *group, consumer_id id, const struct done_range *range,
                     uint32_t attempt, struct duration delay, struct instant now);

// The parked copy is durable (GROUP_PARK): it is done. False: it could not be written; it is asked
// for again after a second.
void group_parked(struct group *group, struct event_id event, bool is_durable, struct instant now);

// --- What is to be done ------------------------------------------------------------------------

enum group_action_kind {
    GROUP_DELIVER,    // hand the run to the consumer; it is in flight from now on
    GROUP_PARK,       // write the event to the namespace of parked ones, then group_parked; at most
                      // 16 are asked for at a time
    GROUP_CHECKPOINT, // write group_position, then group_checkpointed
};

struct group_action {
    enum group_action_kind kind;
    consumer_id consumer; // DELIVER
    struct group_run run; // DELIVER, PARK (count 1)
    uint32_t attempt;     // DELIVER: 1 for the first time; PARK: how many there were
    struct bytes reason;  // PARK: valid until the next call
};

// The next one; false: nothing is due now. The driver goes on until there is none.
bool group_next_action(struct group *group, struct instant now, struct group_action *action_out);

// When group_next_action may have something although nothing else happens.
struct instant group_deadline(const struct group *group);

// --- Position ----------------------------------------------------------------------------------

// What is done now. `position` must be empty.
int group_position(const struct group *group, struct position *position) MUST_CHECK;

// A checkpoint of the position as it was when GROUP_CHECKPOINT came out is durable, or failed: then
// it comes out again after `checkpoint_after`, or group_flush.
void group_checkpointed(struct group *group, bool is_durable, struct instant now);

// Asks for a checkpoint now, if anything was done since the last, or the reader has come far (the
// driver lets the group go).
void group_flush(struct group *group);

// Whether all that was done is in a checkpoint, or in one that is being written, and the reader has
// not come far since.
bool group_is_covered(const struct group *group);

// Another coordinator's checkpoint has come: what is done there is not handed out here any more.
// What is in flight here stays so until it ends, without coming again. ERR_MEMORY: a part was
// taken; say it again.
int group_merge(struct group *group, const struct position *done, struct instant now) MUST_CHECK;

// --- For status --------------------------------------------------------------------------------

struct group_counts {
    uint64_t delivered;   // redelivered ones included
    uint64_t redelivered; //
    uint64_t acked;
    uint64_t parked;
    uint64_t waiting;   // now: to be handed out for the first time
    uint64_t in_flight; // now
    uint64_t again;     // now: was handed out and is to be again, or to be parked
};
struct group_counts group_counts(const struct group *group);

// Up to where everything was offered, or passed. Valid until the group changes.
const struct version_vector *group_read(const struct group *group);

// The timestamp of the oldest event that was offered and is not done, as far as actors write theirs
// in the order of time; 0: there is none. For status: it costs a search for each actor.
uint64_t group_oldest_ms(struct group *group);

struct group_consumer_counts {
    consumer_id id;
    uint32_t in_flight;
    uint64_t delivered;
    uint64_t acked;
};
// Returns how many there are; fills at most `max`.
uint32_t group_consumers(const struct group *group, struct group_consumer_counts *out,
                         uint32_t max);
