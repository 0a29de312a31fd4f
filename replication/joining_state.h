// The inside of joining.c (how this node becomes a member) and admitting.c (how it admits others).
#pragma once

#include "replication/round.h"

// What a hello said, as long as its link is up.
struct greeting {
    link_id link;
    struct uuid node;
    struct uuid cluster; // zero: fresh
    uint16_t actor;
    uint16_t wanted;
    bool is_founder;
};

enum joining_phase {
    JOINING_NOT,      // a member, or not started
    JOINING_WAITING,  // fresh: for peers, to found or to join
    JOINING_ASKING,   // a member is asked to admit this node
    JOINING_BECOMING, // the identity is being written
    JOINING_TELLING,  // a member is asked to make the admission an event
    JOINING_SETTLING, // until everybody who was asked holds the event
};

// This actor is taken by that node; durable.
struct consent {
    uint16_t actor;
    struct uuid node;
    bool is_own; // this node has asked the others for it, or is about to
};

// A newcomer that this node admits, one at a time.
struct admission {
    bool is_open;
    struct uuid node;
    uint16_t actor;
    uint16_t wanted;
    char address[PEER_ADDRESS_BYTES_MAX + 1];
    link_id link; // of its open question; 0: none
    uint64_t token;
    bool is_joined;  // the open question is ASK_JOINED: its identity is on its disk
    bool is_written; // the event is on its way
    uint32_t refused;
    struct round round;
};

// How many members, and how many of them with a seal, this node has known in its cluster; durable.
struct known_members {
    struct uuid cluster; // zero: none were known
    uint32_t members;
    uint32_t seals;
};

struct joining_state {
    // becoming a member
    enum joining_phase phase;
    struct greeting greetings[LINKS_MAX];
    uint32_t greetings_count;
    struct replica_become become; // BECOMING and later; actor 0: none
    bool is_founding;
    bool is_again;         // a member that needs another actor
    bool is_rescue;        // then: although something was issued under the one it has
    uint16_t alone;        // this actor has said that it was alone before this node came; 0: none
    uint16_t actor_before; // then: the one it had
    link_id asked_link;    // 0: no question is open
    uint64_t asked_token;
    link_id asked_last;  // the link over which was asked last
    struct instant next; // when the next question may go out
    struct instant due;
    char phase_text[REASON_LENGTH_MAX + 1];
    char told[REASON_LENGTH_MAX + 1]; // what the member that was asked answered, when not yes

    // see joining_known.c
    struct known_members known; // as the record has it
    bool is_known_again;        // the events on this disk say as much
    bool has_loss;              // something was given up for lost

    // admitting others
    struct consent *consents;
    uint32_t consents_count;
    uint32_t consents_capacity;
    struct admission admission;
    struct instant admission_heard;
};

// --- joining_known.c ---------------------------------------------------------------------------

void known_record(struct replica *replica, struct bytes key, struct bytes value);
void known_start(struct replica *replica);
void known_member_event(struct replica *replica, const struct member_event *event);
void known_tick(struct replica *replica);

// --- admitting.c -------------------------------------------------------------------------------

#define CONSENT_KEY "consent/"

void admitting_record(struct replica *replica, struct bytes key, struct bytes value);
void admitting_ask_admit(struct replica *replica, struct link *link,
                         const struct peer_ask *question);
void admitting_ask_joined(struct replica *replica, struct link *link,
                          const struct peer_ask *question);
void admitting_ask_consent(struct replica *replica, struct link *link,
                           const struct peer_ask *question);
void admitting_answer(struct replica *replica, const struct ask *ask,
                      const struct peer_answer *answer);
void admitting_member_event(struct replica *replica, const struct member_event *event);
void admitting_link_down(struct replica *replica, const struct link *link);
void admitting_tick(struct replica *replica);
void admitting_free(struct joining_state *state);
