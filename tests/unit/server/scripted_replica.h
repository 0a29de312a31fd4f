// A replica that decides almost nothing, in place of the real one: tests of the driver and of links
// see what these do, and nothing else. It dials every configured peer until there is a link, pulls
// from each what that peer has issued, and believes everything.
#pragma once

#include "replication/replica.h"

// What the tests want to know of it, and change in it; one for all nodes of a test.
struct scripted {
    unsigned links_up;
    unsigned links_down;
    uint32_t refusal; // of the last link that went down with one
    unsigned applied;
    unsigned duplicates;
    unsigned others;     // outcomes that are neither
    bool drops_chunks;   // nothing is wanted
    bool pulls_nothing;  // links, but no chunks
    uint64_t send_limit; // 0: none
    unsigned saved;      // records
    unsigned member_events;
    unsigned reissued;
    unsigned promises;                 // messages
    link_id link;                      // of actor 1, the last that came up to actor 2
    struct replica_found found;        // the last
    const struct version_vector *held; // what every link says it holds; NULL: nothing is said
    uint64_t durable; // the highest own counter that a peer has said is durable there
};
extern struct scripted scripted;

// The next step of the replica of that actor (0: of any) gives these actions, too.
void scripted_do(uint16_t actor, const struct replica_action *actions, uint32_t count);
