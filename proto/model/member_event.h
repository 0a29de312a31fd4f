// Events of the namespace `/$weir/members`: who is a member is decided by them alone. Their data
// has a fixed layout (docs/protocol.md, "Members"): version 1, kind 1, actor 2, flags 2, node 16,
// by 16, seal 8, seal hash 16, first 8, last 8, length of the address 2, the address; big-endian.
// What follows is ignored.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/model/event_id.h"
#include "proto/model/uuid.h"

#define MEMBERS_NAMESPACE "/$weir/members"

enum member_event_kind {
    MEMBER_ADMITTED = 1, // `node` is `actor` for life; made by a member, which is named too
    MEMBER_RETIRED = 2,  // `actor` issues nothing beyond the seal
    MEMBER_LOST = 3,     // no copy of `actor`'s chunks from `first` to `last` is left: hollow
    MEMBER_FORGIVEN = 4, // the quarantine of `actor` for a counter from nowhere is lifted
};

struct member_event {
    enum member_event_kind kind;
    struct event_id id; // of the event itself; not encoded
    uint16_t actor;
    struct uuid node;         // ADMITTED: of the newcomer
    struct uuid by;           // ADMITTED: of the member that admits
    struct bytes address;     // ADMITTED: of the newcomer
    bool is_forced;           // ADMITTED, RETIRED: not every member was asked
    uint64_t seal;            // RETIRED: last counter of the actor
    struct hash128 seal_hash; // RETIRED: of the chunk that ends there
    uint64_t first;           // LOST
    uint64_t last;            // LOST
};

// ERR_MEMORY leaves `out` as it was. The address may be at most PEER_ADDRESS_BYTES_MAX bytes.
int member_event_encode(const struct member_event *event, struct buffer *out) MUST_CHECK;

// The address points into `data`. ERR_INVALID (also an unknown kind, which is passed over: a newer
// member wrote it), ERR_VERSION.
int member_event_decode(struct bytes data, struct member_event *event_out) MUST_CHECK;
