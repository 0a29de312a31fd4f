// A simulated machine: two disks that survive, and the process of a node that runs on them: the
// production code of store, node and front ends, stepped by the schedule. It can crash at any
// moment, freeze, be wiped, go back to an old copy of its disks, or be copied.
#pragma once

#include "server/node/node_env.h"
#include "server/node/service.h"
#include "storage/disk_memory.h"
#include "storage/identity.h"
#include "storage/store_state.h"
#include "tests/simulation/network.h"
#include "tests/simulation/world.h"

struct machine {
    struct world *world;
    unsigned index;

    // what a crash leaves
    struct disk_medium *log_medium;
    struct disk_medium *index_medium;
    struct identity identity; // the file; node zero: there is none
    uint32_t *held;           // by actor: how many chunks of its strand were published here
    uint32_t held_capacity;
    bool may_have_lost; // its disk was damaged or went back: less may be found than was there
    bool is_rotten;     // chunks of it are damaged
    uint32_t disk_life; // counts how often its disks were lost, or went back
    bool may_fork;      // its disk lied, and nobody told it so
    struct history_strand *branch; // branch.h; NULL: there is none
    uint32_t branch_common;        // its chunks that others hold too
    uint16_t branch_actor;

    // the process
    bool is_up;
    bool is_stopped; // down until somebody starts it
    uint32_t life;   // counts the starts
    struct disk *log;
    struct disk *index_disk;
    struct store *store;
    struct node *node;
    struct service *service;
    struct node_env env;
    struct list_node sockets;
    struct list_node dials;
    uint64_t observed; // ordinal
    bool turn_wanted;
    struct happening loop;
    struct happening commit;
    struct happening read;
    struct happening indexing;
    struct happening scrub;
    struct happening crash; // planned
    struct happening start; // planned
    struct instant frozen_until;
    int64_t wall_offset_ms;
    int64_t commit_ns;           // how long a commit takes, about
    bool crashes_again;          // soon after the next start
    bool is_poisoned;            // its clock is wild
    bool dies_at_save;           // with the next identity that is to be written
    bool is_given_up;            // to be retired and wiped: what it issues may be lost
    bool gets_forged;            // answers of peers may hold other chunks than were asked for
    bool loses_chunks;           // the next chunks that a peer sends do not come
    struct instant writes_since; // it may produce (check_groups.c); INSTANT_NEVER: it may not
};

struct machine *machine_new(struct world *world, unsigned index);
void machine_free(struct machine *machine); // stops it as a crash does

// Starts the process. A log that cannot be opened is a violation.
void machine_start(struct machine *machine);
// The disks and the store alone: `store` is NULL afterwards if that is a violation.
void machine_open_store(struct machine *machine);
// The process ends at once. `has_power`: the machine lives on, the others learn that connections
// are gone, what was written and not synced is still there, and not yet synced.
void machine_crash(struct machine *machine, bool has_power);
// As machine_crash, when the schedule comes to it; and starts again after `down_ns` (0: never).
void machine_plan_crash(struct machine *machine, struct instant at, int64_t down_ns);
void machine_freeze(struct machine *machine, int64_t ns);
void machine_thaw(struct machine *machine); // what was put off happens now

// While it is down: everything is lost; as if it was never there.
void machine_wipe(struct machine *machine);

// The disks and the identity at one time, while it was down.
struct snapshot {
    struct disk_medium *log_medium;
    struct disk_medium *index_medium;
    struct identity identity;
    uint32_t *held;
    uint32_t held_count;
};
struct snapshot *machine_snapshot(struct machine *machine);
// Puts it, or another machine's, in the place of what a machine that is down has; takes it over.
void machine_restore(struct machine *machine, struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot); // NULL is fine

// How far any machine's copy of a strand goes, not of a branch.
uint64_t machines_hold(const struct world *world, uint16_t actor);

bool machine_is_frozen(const struct machine *machine);
void machine_want_turn(struct machine *machine);
void machine_note_work(struct machine *machine); // schedules the steps that have something to do

// A new connection from a client, which has its own endpoint. false: nobody listens.
bool machine_accept(struct machine *machine, struct endpoint *client);

// --- observer.c

// Judges what was published since the last call.
void observe_commit(struct machine *machine);
// What recovery found, against what was published before.
void observe_recovery(struct machine *machine);

// --- socket.c

struct socket;
struct socket *socket_new(struct machine *machine, uint64_t dial);
struct endpoint *socket_endpoint(struct socket *socket);
// In a turn of the loop.
void sockets_receive(struct machine *machine);
void sockets_tick(struct machine *machine);
void sockets_flush(struct machine *machine);
void sockets_ready(struct machine *machine);
struct instant sockets_deadline(const struct machine *machine);
void sockets_close(struct machine *machine, bool tells); // the process is gone

// --- dial.c

void machine_dial(void *context, uint64_t dial, const char *address);
void dials_hasten(struct machine *machine); // those that were put off end now
void dials_drop(struct machine *machine);
