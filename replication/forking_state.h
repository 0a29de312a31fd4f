// The inside of forking.c (quarantine, the search for the last common chunk), rescuing.c (a new
// actor for a node whose strand forked) and verifying.c (commands that only ask and tell).
#pragma once

#include "replication/round.h"

enum {
    QUARANTINES_MAX = 64,
    FOUND_MAX = 32,    // look-ups under way
    COMMANDS_MAX = 16, // of a kind, waiting
    SEARCH_STEPS_MAX = 80,
};

// Two histories carry one actor's ids. Up to `common` they are the same.
struct quarantine {
    uint16_t actor; // 0: free
    bool is_known;  // `common` is the last common chunk, and durable
    uint64_t common;

    // the search, over the link of somebody who has the other branch: the last common chunk is at
    // or above `common` and below `high`; the other side has no chunk that ends in (common, low]
    link_id link;
    uint64_t low;
    uint64_t high;
    uint64_t middle;     // what was asked for
    uint64_t token;      // of the question; 0: none is open
    uint64_t look_up;    // token of the look-up here; 0: none
    uint64_t theirs;     // what the question brought: where their chunk ends
    struct hash128 hash; //
    uint32_t steps;
    struct instant asked;
};

// A look-up for somebody else.
struct look_up {
    uint64_t token; // 0: free
    link_id link;
    uint64_t asked; // token of the question
    uint16_t actor;
};

enum rescue_phase {
    RESCUE_NOT,
    RESCUE_ADMITTING, // a new actor is asked for
    RESCUE_REISSUING, // this node's branch is stored again under it
    RESCUE_RETIRING,  // the old actor
};

struct rescue {
    enum rescue_phase phase;
    uint16_t actor; // the old one
    uint64_t common;
    uint64_t command;  // 0: none waits
    bool is_reissuing; // it was pushed in this run
    bool is_alone;     // nobody else to ask
    link_id asked_link;
    uint64_t asked_token;
    struct instant next;
};

struct verify {
    uint64_t command; // 0: free
    struct instant until;
};

// A command that is answered when its event is seen.
struct pending {
    uint64_t command; // 0: free
    enum member_event_kind kind;
    uint16_t actor;
    uint64_t first;
    uint64_t last;
};

struct forking_state {
    struct quarantine quarantines[QUARANTINES_MAX];
    struct look_up look_ups[FOUND_MAX];
    uint64_t look_up_next;
    struct rescue rescue;
    struct verify verifies[COMMANDS_MAX];
    struct round verify_round; // for all of them: the newest asks everybody again
    struct pending pendings[COMMANDS_MAX];
    struct instant due;
};

struct quarantine *quarantine_of(const struct replica *replica, uint16_t actor); // NULL: none
void quarantine_lift(struct replica *replica, uint16_t actor);

// --- rescuing.c --------------------------------------------------------------------------------

#define RESCUE_KEY "rescue"

void rescuing_record(struct replica *replica, struct bytes value);
void rescuing_command(struct replica *replica, const struct replica_command *command);
void rescuing_became(struct replica *replica);
// How far the strand that is given up is everybody's; COUNTER_MAX: no branch of it is known.
uint64_t rescuing_common(const struct replica *replica);
void rescuing_member_event(struct replica *replica, const struct member_event *event);
void rescuing_link_down(struct replica *replica, const struct link *link);
void rescuing_tick(struct replica *replica);

// --- verifying.c -------------------------------------------------------------------------------

void verifying_command(struct replica *replica, const struct replica_command *command);
void verifying_member_event(struct replica *replica, const struct member_event *event);
void verifying_tick(struct replica *replica);
