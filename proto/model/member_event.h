// Events of the namespace `/$weir/members`: who is a member is decided by them alone. Their data is
// a msgpack array whose first element is the kind; further elements at the end are ignored.
// (proto/wire/member_event.c has the codec; docs/protocol.md, "Members", every byte.)
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/hash.h"
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
