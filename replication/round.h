// A question to every active member but this node, asked until each has answered: over links as
// they come and go, again after ASK_MS where no answer came or it was "later". A value; zeroed it
// is closed. One of a node's actors that is asked anyway (the one that is to be retired) may be
// left unanswered when there is no link to it.
#pragma once

#include "replication/replica_state.h"

struct round_member {
    struct uuid node;
    uint16_t actor;
    bool is_optional; // only asked when there is a link
    bool is_answered;
    link_id link; // of the open question; 0: none
    uint64_t token;
    struct instant next; // when it may be asked again
};

struct round {
    struct round_member *members;
    uint32_t count;
    uint32_t capacity;
    bool is_followed;         // members are those of the table
    uint64_t members_version; // of the table, then
    bool is_open;
    struct instant since;
    struct instant due; // of the next round_tick
    enum peer_ask_kind kind;
    uint16_t actor;
    uint16_t optional; // actor; 0: none
    struct uuid node;
    char address[PEER_ADDRESS_BYTES_MAX + 1];
};

// Nothing is sent before round_tick. `address` may be NULL.
void round_open(struct replica *replica, struct round *round, enum peer_ask_kind kind,
                uint16_t actor, const struct uuid *node, const char *address);
void round_close(struct round *round); // frees
// Follows the table of members, and asks whom it can. ERR_MEMORY: the next tick tries again.
int round_tick(struct replica *replica, struct round *round) MUST_CHECK;
struct instant round_deadline(const struct round *round);
// Whether the answer is to this round; `is_final`: it is not to be asked again.
bool round_answered(struct replica *replica, struct round *round, const struct ask *ask,
                    bool is_final);
void round_link_down(struct round *round, link_id link);
// Whether everybody has answered; `is_forced`: everybody to whom there is a link.
bool round_is_complete(struct replica *replica, const struct round *round, bool is_forced);
// Whether that node is yet to answer.
bool round_awaits(const struct round *round, const struct uuid *node);
// Who has not, for people: "actor 2 (127.0.0.1:3001), actor 3".
void round_missing(const struct replica *replica, const struct round *round, struct reason *out);
