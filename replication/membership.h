// The table of members, folded from the events of MEMBERS_NAMESPACE. The same events give the same
// table in whatever order they come: of two admissions that give one actor to two nodes, or two
// actors to one node that is active, the one with the lower id holds; of two seals the higher.
#pragma once

#include "proto/base/limits.h"
#include "proto/model/member_event.h"

struct member {
    struct uuid node;
    uint16_t actor;
    bool is_retired;
    struct event_id admitted; // of the event; none for a founder
    uint64_t seal;            // retired: last counter that counts
    struct hash128 seal_hash;
    bool is_forced;                           // retired without asking everybody
    char address[PEER_ADDRESS_BYTES_MAX + 1]; // the newest that is known, also from gossip
};

// Sorted by actor. Zero-initialised is empty.
struct membership {
    struct member *members;
    uint32_t count;
    uint32_t capacity;
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

// NULL: none. The active one, where a node had several actors.
struct member *membership_of_node(const struct membership *membership, const struct uuid *node);
struct member *membership_of_actor(const struct membership *membership, uint16_t actor);

uint32_t membership_active_count(const struct membership *membership);
uint16_t membership_free_actor(const struct membership *membership); // 0: all are taken
