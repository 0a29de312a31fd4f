// A named durable subscription as an observer knows it who sees the log, every node and every
// client: what is wanted, what was written about it, which of its events were given to whom, and
// what was said of them. What is wrong with that is said as soon as it is seen.
//
// ledger.c: what is wanted, its life; ledger_written.c: what was written about it;
// ledger_judge.c: what its consumers are given, and say.
#pragma once

#include "proto/base/random.h"
#include "proto/model/position.h"
#include "proto/model/request.h"
#include "proto/model/subscription_event.h"
#include "tests/simulation/network.h"
#include "tests/simulation/world.h"

struct group_consumer;
struct group_operator;

enum {
    LEDGER_KEYS_MAX = 16,
    LEDGER_CONSUMERS_MAX = 4,
    LEDGER_ACTORS_MAX = 64, // beyond that less is looked at
    COORDINATOR_UNKNOWN = UINT32_MAX,
};

// One event of the log, as far as this subscription's consumers have seen it.
struct ledger_item {
    int64_t counts_until_ns;  // an acknowledgement of it may have counted up to then; 0: none
    int64_t given_ns;         // last
    int64_t parked_ns;        // when its copy was ledger; 0: it is not parked
    int64_t acked_ns;         // when one was answered that counted for certain; 0: none was
    int64_t nacked_ns;        // when it was refused last; 0: never
    uint64_t acked_epoch;     // by whom; 0: nobody, or it is not certain
    uint64_t acked_for;       // the attachment
    uint64_t epoch;           // of who handed it out last; 0: nobody, or nobody knows
    int64_t overtaken_ns;     // when another of its key was given to somebody else before it
    uint64_t overtaken_epoch; // by whom; 0: nobody
    uint64_t attachment;      // of who got it last
    uint32_t attempt;
    uint32_t place;   // in `open`, from 1; 0: it is not
    uint16_t unknown; // acknowledgements that are not answered
    uint8_t holder;   // the consumer that got it last
    uint8_t key;      // the same for events of one key
};

// An event by its place in the history.
struct ledger_place {
    uint16_t actor;
    uint32_t index;
};

// Something that was written about the subscription.
struct ledger_record {
    struct event_id id;
    enum subscription_event_kind kind;
    struct event_id generation;            // CHECKPOINT
    struct position position;              // what is done by it; CREATED, RESET: the start
    uint32_t chunk;                        // of its strand
    int64_t at_ns;                         // when it was written
    int64_t held_ns[HOSTS_WITH_PATHS_MAX]; // by machine: since when it holds it
};

struct ledger_records {
    struct ledger_record *items;
    uint32_t count;
    uint32_t capacity;
};

// A machine, as far as it coordinates this subscription.
struct ledger_view {
    uint64_t epoch;     // another one when its group may be another one
    uint32_t life;      // of the machine
    uint32_t attached;  // consumers that know to be coordinated by it
    int64_t idle_ns;    // since when nobody is attached
    int64_t changed_ns; // when it came to hold another creation, reset or deletion
    uint64_t first_epoch;
    struct event_id first_last[LEDGER_KEYS_MAX]; // by key: what was handed out first, last
    int64_t first_ns[LEDGER_KEYS_MAX];           // when that was
    uint64_t first_by_actor[LEDGER_KEYS_MAX][LEDGER_ACTORS_MAX];
    int64_t first_by_actor_ns[LEDGER_KEYS_MAX][LEDGER_ACTORS_MAX];
};

struct ledger {
    struct world *world;
    unsigned index;
    char name[16];
    struct random random; // its own: nothing else depends on what happens here
    struct subscription_definition definition;
    struct request_start start;
    const char *patterns[2]; // none: everything
    unsigned patterns_count;
    bool matches_name[NAMES_COUNT + 1];
    struct group_consumer *consumers[LEDGER_CONSUMERS_MAX];
    unsigned consumers_count;
    struct group_operator *operator;

    struct ledger_item **items; // by actor, by index in its strand
    uint32_t *items_capacity;   // by actor
    uint32_t actors;
    struct ledger_place *open; // given, and not acknowledged
    uint32_t open_count;
    uint32_t open_capacity;
    uint64_t epoch;
    uint64_t attachment;
    struct ledger_view views[HOSTS_WITH_PATHS_MAX];

    struct ledger_records changes;
    struct ledger_records checkpoints;
    struct event_id clean_generation; // for which `clean` holds
    uint32_t *clean;                  // by actor: events below this index are done, or not wanted
    uint32_t clean_capacity;

    uint64_t given; // for the trace
    uint64_t acked;
};

struct ledger *ledger_new(struct world *world, unsigned index);
void ledger_free(struct ledger *ledger);
void ledger_start(struct ledger *ledger);
void ledger_settle(struct ledger *ledger); // its consumers stay, and acknowledge everything
void ledger_leave(struct ledger *ledger, unsigned machine);

// Attributes of the events of a produce, encoded; empty: none. `text` is where its value goes.
enum { LEDGER_VALUES = 5 };
#define LEDGER_ATTRIBUTE "k"
bool ledger_attribute(uint32_t produce, char text[2]);

bool ledger_matches(const struct ledger *ledger, const struct history_event *event);
struct ledger_item *ledger_item(struct ledger *ledger, struct ledger_place place);
// The event's place; false: there is no such event.
bool ledger_find(const struct ledger *ledger, struct event_id id, struct ledger_place *place_out);
struct event_id ledger_id(const struct ledger *ledger, struct ledger_place place);
bool ledger_is_disturbed(const struct world *world, unsigned machine, int64_t since_ns);
// Whether what a coordinator said since then may have been held up: there, at the node of the
// consumer, or on the way, where a path that is blocked holds what is on it.
bool ledger_was_held_up(struct world *world, unsigned coordinator, unsigned machine,
                        int64_t since_ns);

// --- ledger_written.c
// -----------------------------------------------------------------------------

// An event of the system that some machine holds for the first time.
void ledgers_take_event(struct world *world, struct event_id id, uint32_t chunk,
                        const struct event *event);
// A machine holds a chunk from now on.
void ledgers_hold(struct world *world, unsigned machine, uint16_t actor, uint32_t chunk);

// The record that made the generation; NULL: there is no subscription. Of what this machine holds
// since before `before_ns`; UINT32_MAX: of everything that is not lost.
const struct ledger_record *ledger_generation(const struct ledger *ledger, unsigned machine,
                                              int64_t before_ns);
// Whether the machine holds a checkpoint of that generation, since before `before_ns`, by which the
// event is done.
bool ledger_is_covered(const struct ledger *ledger, unsigned machine, struct event_id generation,
                       struct event_id id, int64_t before_ns);
// The last checkpoint of each writer, and the start, united. `position` must be empty.
void ledger_position(const struct ledger *ledger, const struct ledger_record *generation,
                     struct position *position);
// The first event that matches, is behind the start and was neither acknowledged nor parked since
// that generation was made, and that `position` says is done (NULL: whatever it says). False: none.
bool ledger_first_undone(struct ledger *ledger, const struct ledger_record *generation,
                         const struct position *position, struct event_id *id_out);
// Whether all that matches is done in the position; if not, which event is not.
bool ledger_is_all_in(const struct ledger *ledger, const struct position *position,
                      struct event_id *id_out);

// --- ledger_judge.c ---------------------------------------------------------------------------

struct ledger_delivery {
    uint8_t consumer;
    unsigned machine;     // to which the consumer is connected
    unsigned coordinator; // or COORDINATOR_UNKNOWN
    uint64_t attachment;
    int64_t asked_ns;    // when it asked to be attached
    int64_t attached_ns; // when it heard that it is
    uint32_t life;       // of the coordinator then
    uint32_t attempt;
    struct event_id id;
    struct bytes name;
    struct bytes data;
};

// Returns false after a violation.
bool ledger_give(struct ledger *ledger, const struct ledger_delivery *delivery,
                 struct ledger_place *place_out);

// Parked, or an acknowledgement of it was under way when it was given last, from whomever.
bool ledger_may_be_done(const struct ledger_item *item);

// A refusal of it may have been under way when it was given last: then it is in flight no more.
bool ledger_may_be_refused(const struct ledger_item *item);

// A consumer has attached, or its attachment was renewed: the number of the attachment.
uint64_t ledger_attached(struct ledger *ledger, unsigned coordinator);
// `machine`: to which the consumer was connected.
void ledger_detached(struct ledger *ledger, unsigned coordinator, unsigned machine,
                     uint64_t attachment);

// An acknowledgement was sent; then either of the others for each of its events.
void ledger_ack(struct ledger *ledger, struct ledger_place place);
// `counted_for`: the attachment for which it is done by it for certain; 0: it may be.
void ledger_acked(struct ledger *ledger, struct ledger_place place, unsigned coordinator,
                  uint64_t counted_for);
void ledger_not_acked(struct ledger *ledger, struct ledger_place place); // refused
void ledger_ack_lost(struct ledger *ledger, struct ledger_place place);  // nobody knows
void ledger_nack(struct ledger *ledger, struct ledger_place place);      // a refusal was sent

// What is said to be done was acknowledged or parked.
void ledger_judge_checkpoint(struct ledger *ledger, const struct ledger_record *checkpoint);
void ledger_judge_parked(struct ledger *ledger, struct event_id was, struct bytes attempts);
