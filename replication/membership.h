// The table of members, folded from the events of MEMBERS_NAMESPACE. The same events give the same
// table in whatever order they come: of two admissions that give one actor to two nodes the one
// with the lower id holds, and any against a member without one; of two seals the higher. What lies
// behind the seal of the member that made it is void, for not every node gets it: it holds only
// where nothing else does. A node that was rescued has several actors.
#pragma once

#include "proto/base/limits.h"
#include "proto/model/member_event.h"

struct member {
    struct uuid node;
    uint16_t actor;
    bool is_retired;          // sealed or void
    bool is_sealed;           // by an event
    bool is_void;             // every admission of it lies beyond the seal of who made that
    struct event_id admitted; // the event that holds; none for a founder
    struct uuid claimed;      // the node of a founder; zero: it is none
    uint64_t seal;            // retired: last counter that counts
    struct hash128 seal_hash;
    bool is_forced;                           // retired without asking everybody
    char address[PEER_ADDRESS_BYTES_MAX + 1]; // the newest that is known, also from gossip
};

// An event that may hold: of those of one maker for one actor the lowest, for it is void only if
// the others are.
struct member_admission {
    uint16_t actor;
    struct event_id id;
    struct uuid node;
    char address[PEER_ADDRESS_BYTES_MAX + 1];
};

// A member, found by its node.
struct member_node {
    struct uuid node;
    uint16_t actor;
};

// Members and admissions are sorted by actor, nodes by node and actor. Zero-initialised is empty.
struct membership {
    struct member *members;
    uint32_t count;
    uint32_t capacity; // of nodes too
    struct member_node *nodes;
    uint32_t nodes_count;
    struct member_admission *admissions;
    uint32_t admissions_count;
    uint32_t admissions_capacity;
    uint64_t version; // rises when something of it changes
};

void membership_deinit(struct membership *membership);

// A member without an event: this node itself as a founder, or whoever admitted somebody. Does
// nothing when the actor is known. ERR_MEMORY, ERR_LIMIT.
int membership_add_founder(struct membership *membership, uint16_t actor, const struct uuid *node,
                           const char *address) MUST_CHECK;

// Positive outcomes: the event changes nothing; it gives an actor that another node has (the one
// whose admission has the higher id must join again).
enum { MEMBERSHIP_SAME = 1, MEMBERSHIP_CONFLICT = 2 };
int membership_apply(struct membership *membership, const struct member_event *event) MUST_CHECK;

// NULL: none. Where a node has several actors the active one that was admitted last, if any is.
struct member *membership_of_node(const struct membership *membership, const struct uuid *node);
struct member *membership_of_actor(const struct membership *membership, uint16_t actor);

uint32_t membership_active_count(const struct membership *membership);
uint16_t membership_free_actor(const struct membership *membership); // 0: all are taken
