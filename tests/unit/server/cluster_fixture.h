// Nodes of one cluster in one thread: real services and front ends of peers over memory disks,
// pipes of bytes for a network, a clock that the fixture moves. A test cuts pipes and parts nodes.
#pragma once

#include "proto/base/random.h"
#include "server/frontend/frontend.h"
#include "server/node/cluster.h"
#include "server/node/node.h"
#include "server/node/node_env.h"
#include "server/node/peer.h"
#include "server/node/service.h"
#include "storage/disk_memory.h"
#include "storage/store.h"

enum { CLUSTER_NODES_MAX = 5, CLUSTER_PIPES_MAX = 256 };

struct cluster_fixture;

struct cluster_node {
    struct cluster_fixture *fixture;
    unsigned index;
    bool is_open;
    struct disk_medium *log_medium;
    struct disk_medium *index_medium;
    struct disk *log;
    struct disk *index_disk;
    struct store *store;
    struct identity identity; // the file
    struct node_env env;
    struct node *node;
    struct service *service;
    struct session *session; // a client's
    bool is_woken;
    const char *secret;
    uint64_t request_id;
    uint64_t produced; // answered well
    uint64_t refused;
    bool is_frozen;       // its store and service do nothing
    bool is_store_frozen; // its store commits nothing
    char log_text[1024];  // of warnings: the last
};

// Bytes from one side to the other.
struct cluster_end {
    struct cluster_node *node;
    struct frontend *frontend; // NULL: not opened yet, or closed
    struct buffer unfed;       // has come, not taken
    uint64_t fed_bytes;
    bool has_ended;
};

struct cluster_pipe {
    bool is_open;
    struct cluster_end ends[2]; // the dialer's first
};

struct cluster_fixture {
    struct random random;
    struct instant now;
    uint64_t wall_ms;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    unsigned nodes_count;
    struct cluster_pipe pipes[CLUSTER_PIPES_MAX];
    bool are_parted[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX];
    bool is_local;        // peers are said to be on this machine
    uint64_t cut_after;   // bytes over all pipes until one is cut; 0: never
    uint64_t bytes_moved; // over all pipes
    size_t feed_max;      // at most so many bytes at once; 0: any
};

void cluster_fixture_init(struct cluster_fixture *fixture, unsigned nodes, uint64_t seed);
void cluster_fixture_deinit(struct cluster_fixture *fixture);

// Opens a node with all others as configured peers. `actor` 0: it joins or founds.
void cluster_node_open(struct cluster_fixture *fixture, unsigned index, uint16_t actor,
                       const char *secret);
void cluster_node_close(struct cluster_fixture *fixture, unsigned index);

// Everything that can be done at this moment.
void cluster_settle(struct cluster_fixture *fixture);
void cluster_pass_ms(struct cluster_fixture *fixture, unsigned ms);

// Submits `count` events of `length` bytes of data as one produce.
void cluster_produce(struct cluster_fixture *fixture, unsigned index, unsigned count,
                     size_t length);

// Ends both sides of every pipe between two nodes (of all nodes: UINT_MAX), unsent bytes are lost.
void cluster_cut(struct cluster_fixture *fixture, unsigned a, unsigned b);
void cluster_part(struct cluster_fixture *fixture, unsigned a, unsigned b, bool is_parted);

unsigned cluster_pipes(const struct cluster_fixture *fixture); // that are open
bool cluster_is_equal(struct cluster_fixture *fixture);        // vectors and chain hashes
uint64_t cluster_held(struct cluster_fixture *fixture, unsigned index, uint16_t actor);
