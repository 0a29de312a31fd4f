// What a run is like: taken from its seed, or from the command line.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SIMULATION_NODES_MAX = 1000 };

// A sequence of faults that aims at one promise (scenario.h).
enum scenario_kind {
    SCENARIO_NONE,
    SCENARIO_ALONE,  // a node starts with nobody to ask
    SCENARIO_LIE,    // a disk loses what it had synced
    SCENARIO_RETIRE, // a member is retired that some still reach
    SCENARIO_MESH,   // not everybody reaches everybody
    SCENARIO_GAPS,   // a peer leaves out chunks
    SCENARIO_FORK,   // a disk loses what it had synced, and its machine starts alone
    SCENARIOS,
};

struct options {
    uint64_t seed;
    unsigned nodes;
    unsigned producers;
    unsigned consumers;
    unsigned ledgers;   // durable subscriptions
    int64_t faults_ms;  // how long the phase of faults lasts
    int64_t steady_ms;  // how long is measured at the end
    unsigned think_ms;  // between the produces of one producer, on average
    unsigned batch_max; // events
    unsigned event_bytes_max;
    unsigned stable_percent; // of consumers
    int64_t start_wait_ms;
    bool compress;
    bool has_secret;
    bool is_large; // many nodes: convergence is measured, there are no faults
    uint64_t recent_bytes;
    uint64_t walk_bytes;
    enum scenario_kind scenario;
    // which faults there are
    bool crashes;
    bool partitions;
    bool cuts;
    bool slow_paths;
    bool freezes;
    bool slow_disks;
    bool disk_faults;
    bool clock_jumps;
    bool wiped_disks;
    bool old_disks;
    bool cloned_disks;
    bool hostile;
    bool poison;   // a machine's clock goes wild
    bool damage;   // chunks rot on one disk
    bool is_heavy; // much data: credit is used up
};

void options_from_seed(struct options *options, uint64_t seed, unsigned nodes);
