// A network of pure replicas in one process: virtual time, one seed, strands that are lists of
// counters instead of chunks. Everything a driver does is done here in the simplest form: what is
// appended is durable at once, a connection keeps order and loses everything behind the first loss.
#pragma once

#include "proto/base/random.h"
#include "replication/replica.h"

enum {
    NETWORK_NODES_MAX = 48,
    NETWORK_CONNECTIONS_MAX = 4096,
    NETWORK_STRAND_MAX = 4096,
    NETWORK_RECORDS_MAX = 64,
};

// One actor's strand, as long as the longest copy: every chunk is one event.
struct network_strand {
    uint64_t counters[NETWORK_STRAND_MAX];
    struct member_event events[NETWORK_STRAND_MAX]; // kind 0: an ordinary event
    uint32_t length;
};

struct network_record {
    uint8_t key[128];
    size_t key_length;
    uint8_t *value;
    size_t value_length;
};

struct network_node {
    struct replica *replica; // NULL: it is not running
    struct uuid node;
    struct uuid cluster;
    uint16_t actor;
    struct run run;
    uint64_t runs[RUNS_REMEMBERED_MAX];
    uint32_t runs_count;
    uint64_t clock;
    struct instant deadline;                // the replica's
    uint32_t held[NETWORK_NODES_MAX + 1];   // chunks of each actor's strand
    uint8_t branch[NETWORK_NODES_MAX + 1];  // other than 0: its copy has other hashes
    uint64_t common[NETWORK_NODES_MAX + 1]; // behind this counter
    bool is_frozen;                         // takes nothing in, sends nothing
    bool is_slow;                           // its disk: a promise does not come back
    struct network_record records[NETWORK_RECORDS_MAX];
    uint32_t records_count;
    struct promise promise; // the last it made
    uint16_t wanted;        // the actor that it asks for
    uint32_t unread;        // abilities that it lacks
    bool bootstrap;
    bool has_produce;        // of a client's, on its way to the log when it is to become another
    uint16_t reissued;       // the actor whose branch it issued again
    uint64_t reissued_above; // this counter
    uint32_t hollowed;       // how often it was to give up a range
    uint64_t chunks_in;      // events that came over links, duplicates included
    uint64_t sent[256];      // messages by kind
    uint64_t links_up;
    uint64_t drops[32]; // by refusal
    int answer;         // of the last command; see answer_text
    bool has_answer;
    struct reason answer_text;
};

struct network_connection {
    link_id id[2];                             // 0: that side does not have it (any more)
    int side[2];                               // nodes: of the dialer, of the other
    uint64_t dial;                             // of the dialer
    bool is_broken[2];                         // nothing more arrives at this side
    struct instant last[2];                    // when the last message arrives there
    uint32_t pulled[2][NETWORK_NODES_MAX + 1]; // sent to this side up to there, plus 1; 0: not
};

struct network {
    struct network_node nodes[NETWORK_NODES_MAX];
    struct network_strand strands[NETWORK_NODES_MAX + 1]; // by actor
    int count;
    struct instant now;
    struct random random;
    struct network_connection *connections;
    uint32_t connections_count;
    struct network_item *queue; // a heap
    uint32_t queue_count;
    uint32_t queue_capacity;
    uint64_t sequence;
    link_id link_last;
    int64_t latency_ms;
    bool is_blocked[NETWORK_NODES_MAX][NETWORK_NODES_MAX]; // from, to
    bool is_dark[NETWORK_NODES_MAX][NETWORK_NODES_MAX];    // chunks alone are lost: a sick sender
    bool is_dark_actor[NETWORK_NODES_MAX + 1];             // those of that actor, everywhere
    struct replica_actions actions;
    bool is_loud; // prints reports
};

// `count` nodes that know each other's addresses; actor of node i is i + 1 and all are members when
// `are_members`, else fresh. None runs.
struct network *network_new(int count, uint64_t seed, bool are_members);
void network_free(struct network *network);

struct replica_config network_config(struct network *network, int node,
                                     struct replica_address peers[PEER_ADDRESSES_MAX]);
void network_start(struct network *network, int node); // with the next run, knowing what it holds
void network_start_all(struct network *network);
void network_stop(struct network *network, int node); // its connections are closed
void network_step(struct network *network, int node, struct replica_event *event);

void network_run(struct network *network, int64_t ms);
// Runs until it holds, at most so long; whether it does.
bool network_run_until(struct network *network, bool (*holds)(struct network *network), int64_t ms);

void network_produce(struct network *network, int node, const struct member_event *event);
void network_quicken(struct network *network, int node);                    // what was slow is done
void network_block(struct network *network, int a, int b, bool is_blocked); // both ways
void network_send(struct network *network, int from, int to, const struct peer_message *message);

uint64_t network_held(const struct network *network, int node, uint16_t actor); // the counter
// The highest counter of the replica's own strand that so many nodes hold.
uint64_t counter_held_by(const struct replica *replica, uint32_t nodes);
struct hash128 network_hash(uint16_t actor, uint64_t counter, uint8_t branch);
bool network_is_level(struct network *network); // all that run hold the same
bool network_is_meshed(struct network *network);
int network_links(const struct network *network, int node); // that both sides have
