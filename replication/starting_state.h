// The inside of starting.c (heads are compared before the first produce) and starting_runs.c (which
// run of a node is the newest, and which is a copy).
#pragma once

#include "replication/round.h"

struct known_run {
    uint16_t actor;
    struct uuid node; // an actor that was handed out twice is not one node's copy
    struct run run;
};

// A start of a node that came while the one before still answered.
struct contest {
    uint16_t actor; // 0: none
    uint64_t random;
    struct instant since;
    struct instant tried; // when it greeted last
};

enum { CONTESTS_MAX = LINKS_MAX };

enum starting_phase { STARTING_DONE, STARTING_COMPARING, STARTING_PULLING };

struct starting_state {
    struct known_run *runs; // sorted by actor
    uint32_t runs_count;
    uint32_t runs_capacity;
    struct contest contests[CONTESTS_MAX];
    uint32_t contest_next;
    bool is_copy; // this node is one

    enum starting_phase phase;
    struct round round;
    uint64_t wanted; // of this node's own strand, which somebody holds
    uint16_t holder; // who said so
    bool has_answer;
    struct instant since;
};

// --- starting_runs.c ---------------------------------------------------------------------------

#define RUN_KEY "run/"
#define COPY_KEY "copy"

void runs_record(struct replica *replica, struct bytes key, struct bytes value);
void runs_start(struct replica *replica);
void runs_forget(struct replica *replica); // of another cluster
void runs_link_down(struct replica *replica, const struct link *link);
