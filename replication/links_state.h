// The inside of links.c, links_dial.c and links_gossip.c, shared by these alone: where nodes can be
// dialled, and what others were told of members.
#pragma once

#include "replication/replica_state.h"

// An address, and who answers there.
struct target {
    struct uuid node; // zero: not known yet
    char address[PEER_ADDRESS_BYTES_MAX + 1];
    uint64_t address_run; // members: the run of the node that the address is known from
    uint64_t dial;        // on its way; 0: none
    struct instant next;  // not dialled before
    uint32_t failures;    // in a row
    uint32_t briefs;      // links in a row that ended within LINK_BRIEF_MS
    uint32_t abilities;   // as its last hello said; 0: not heard
    uint64_t version;     // members: of links_state, when something of it changed last
    bool is_self;
    bool was_linked;
    struct verdict {
        int verified;
        uint16_t diverged_actor;
        uint64_t diverged_since;
        struct instant at; // zero: none
    } verdict;             // members: see links_judged
};

struct links_state {
    struct target configured[PEER_ADDRESSES_MAX]; // as replica->peers
    struct target *members;                       // sorted by node
    uint32_t members_count;
    uint32_t members_capacity;
    uint32_t next_random; // where the choice of a random member starts
    uint64_t dial_last;
    uint64_t version;           // rises with every change that is gossiped
    struct instant changed_at;  // the first that some link was not told; NEVER: none
    struct instant random_next; // large clusters: the next dial at a random member
    bool must_sync;             // the table of members has changed
};

// --- links_dial.c --------------------------------------------------------------------------------

void links_dial(struct replica *replica); // what is due; as many as the list takes
struct instant links_dial_deadline(const struct replica *replica);
struct target *target_of_dial(struct replica *replica, uint64_t dial);           // NULL: none
struct target *target_of_node(struct replica *replica, const struct uuid *node); // members; NULL
struct target *target_add(struct replica *replica, const struct uuid *node);     // NULL: no memory
void target_failed(struct replica *replica, struct target *target, uint32_t refusal);
// Its link has gone; what was refused is not dialled again at once, and what ends again and again
// soon after it has come up ever later.
void targets_of_node_due(struct replica *replica, const struct uuid *node, bool is_refused,
                         bool is_brief);
void targets_sync(struct replica *replica); // with the table of members
bool is_large(const struct replica *replica);
uint32_t links_settled_count(const struct replica *replica); // that are there to stay

// --- links_alarms.c ------------------------------------------------------------------------------

// An alarm stands for an address that answers and is no peer; nothing for the other refusals.
void target_refused(struct replica *replica, const struct target *target, uint32_t refusal);
void target_proved(struct replica *replica,
                   const struct target *target); // who answers has the secret
void target_fits(struct replica *replica, const struct target *target); // and is of this cluster
void link_announce(struct replica *replica, struct link *link);         // once, when it is time
struct instant link_announced_at(const struct replica *replica, const struct link *link);
void link_announce_end(struct replica *replica, const struct link *link); // if it was

// --- links_gossip.c ------------------------------------------------------------------------------

void gossip_changed(struct replica *replica, const struct uuid *node);
void gossip_address(struct replica *replica, const struct uuid *node, struct bytes address,
                    uint64_t run);
void links_gossip(struct replica *replica);
struct instant links_gossip_deadline(const struct replica *replica);
