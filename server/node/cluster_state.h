// The inside of the cluster's driver, shared by cluster*.c and peer*.c and nobody else. All of it
// belongs to the first loop's thread.
//
// How it hangs together. Whatever happens (a message, an append that is done, a timer) is told to
// the replica by cluster_tell. The actions it gives back go through one queue, in order
// (cluster_actions.c). What an action brings about is not told from inside: it is noted, and told
// when the actions are done.
#pragma once

#include "proto/model/chunk.h"
#include "server/node/cluster.h"
#include "server/node/cluster_mailbox_state.h"
#include "server/node/node.h"
#include "server/node/peer_state.h"
#include "server/node/service_state.h"

enum {
    DIALS_FAILED_MAX = 256,   // between two steps: as many as one may begin
    DEFERRED_MAX = 16384,     // actions behind a slow disk: links end rather than pile up more
    RECORDS_PER_APPEND = 64,  //
    CLUSTER_RETRY_MS = 1000,  // what the disk refused is tried again
    REPAIR_PAUSE_MS = 1000,   // between looks for damage
    REPAIR_BEHIND_MS = 50,    // until the chunk behind is tried, which must be repaired first
    REPAIR_ANSWER_MS = 5000,  // a member that does not answer: the next one is asked
    MEMBERS_COUNTED_MS = 250, // members, alarms: looked at again
    HOLLOWS_MAX = 64,
    COMPLAINTS_MAX = 16,
    COMPLAINT_MS = 60000,
    STEPS_PER_TURN_MAX = 64, // of those that are due at once
    LETTERS_PER_TURN_MAX = 64,
};

// Tokens of questions that the driver asks, not the replica.
#define TOKEN_OF_DRIVER ((uint64_t)1 << 63)

// An append of the driver's. `completed` is called in a turn.
struct cluster_append {
    struct append append; // owner: the cluster_append
    struct cluster *cluster;
    void (*completed)(struct cluster_append *append);
};

// Where the news of the log are looked through for events of members.
struct member_scan {
    uint64_t ordinal; // everything up to it was seen
    struct read_owner owner;
    struct read read; // of what the cache has lost already
    bool is_reading;
    struct buffer body; // scratch
};

struct reissue {
    bool is_running;
    bool is_reading;
    bool is_piece_due;       // the log did not take it
    struct instant retry_at; // INSTANT_NEVER: nothing failed
    uint16_t actor;
    struct read_owner owner;
    struct read read;
    struct cluster_append append;
    struct block *block; // what the last read brought; NULL: nothing
    size_t offset;       // so much of it is built
    size_t piece_end;    // where the piece that was built last ends
    struct buffer events;
    struct buffer attributes;
    struct append_run *runs;
    uint32_t runs_count;
    uint32_t runs_capacity;
    uint64_t events_count; // so far
};

struct repair {
    bool is_open; // a chunk is asked for or being put in place
    bool is_appending;
    struct damaged_chunk damage;
    struct damaged_chunk mended; // the last one, just now; actor 0: none
    uint64_t token;
    link_id asked;          // who was asked last
    struct instant next_at; // when to look again, or to ask the next one
    struct cluster_append append;
    struct buffer chunk;
};

struct cluster {
    struct service *service;
    struct node *node;
    struct groups *groups;
    struct seats *seats;
    struct cluster_config config; // `secret` points to the copy below, peers to nowhere
    struct buffer secret;
    struct replica *replica;
    struct instant due;              // of the replica, since its last step
    struct replica_actions *actions; // of the last step
    struct timer timer;
    bool is_stepping; // in the replica, or doing what it decided
    bool is_settling; // telling what actions have brought about
    bool is_running;  // the first turn has come: the world may be touched
    bool is_over;     // shutting down, or failed
    struct reason failure;

    struct list_node peers;
    uint32_t peers_count;
    link_id link_next;

    // what to tell the replica once the actions are done
    uint64_t raised; // 0: nothing
    uint64_t dials_failed[DIALS_FAILED_MAX];
    uint32_t dials_failed_count;

    // actions that wait their turn, see cluster_actions.c
    struct list_node deferred;
    uint32_t deferred_count;
    bool is_waiting;         // the first one is in the store
    struct instant retry_at; // the first one failed; INSTANT_NEVER: it did not
    struct cluster_append durable;
    struct append_record records[RECORDS_PER_APPEND];
    uint32_t records_count;
    struct append_run run;

    struct cluster_append promise;
    bool is_promising;
    bool is_promise_wanted;

    // what the replica was told last
    struct strand_end *ends;
    uint32_t ends_count;
    uint32_t ends_capacity;
    struct strand_head *moved; // scratch, as many as ends
    uint64_t ends_ordinal;
    bool are_ends_stale;
    bool is_stable_wanted;

    struct member_scan scan;
    struct reissue reissue;
    struct repair repair;
    struct damaged_chunk hollows[HOLLOWS_MAX]; // ranges that are lost everywhere
    uint32_t hollows_next;
    struct list_node letters; // commands that the replica has
    uint64_t token_next;
    struct {
        uint64_t hash;
        struct instant at;
    } complaints[COMPLAINTS_MAX];
    uint32_t complaints_next;
    uint32_t members_counted;
    struct instant members_due;
    struct buffer alarms; // scratch
};

// --- cluster.c ---------------------------------------------------------------------------------

// Tells the replica, and does what it decides. ERR_MEMORY: nothing was decided.
int cluster_tell(struct cluster *cluster, struct replica_event *event) MUST_CHECK;

// As cluster_tell where there is nothing to fall back to: without memory the cluster fails.
void cluster_tell_surely(struct cluster *cluster, struct replica_event *event);

// Does what is left of the actions, from outside of a step.
void cluster_go_on(struct cluster *cluster);

// Something that must not be lost is lost: ends all links, refuses produce until a restart.
void cluster_fail(struct cluster *cluster, const char *what);

struct peer *cluster_peer(struct cluster *cluster, link_id id); // NULL: it is gone

// Where this node's copy of a strand ends, as of the port's last refresh; NULL: nothing is held.
const struct strand_end *cluster_end(const struct cluster *cluster, uint16_t actor);

void cluster_append(struct cluster *cluster, struct cluster_append *append,
                    void (*completed)(struct cluster_append *append));
void cluster_read(struct cluster *cluster, struct read *read, struct read_owner *owner,
                  void (*completed)(struct read_owner *owner));

void cluster_log(struct cluster *cluster, enum log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);

// A warning about a peer that may come again and again: logged once a minute per host and text.
void cluster_complain(struct cluster *cluster, const char *name, const char *text);

// --- cluster_actions.c -------------------------------------------------------------------------

void cluster_do(struct cluster *cluster, const struct replica_actions *actions);
void cluster_drain(struct cluster *cluster); // goes on where it stopped
void cluster_actions_clear(struct cluster *cluster);

// --- cluster_news.c ----------------------------------------------------------------------------

// Reports what a chunk that was damaged at the start says of members; the same twice does no harm.
int cluster_tell_chunk(struct cluster *cluster, struct bytes chunk) MUST_CHECK;
// Tells what the log has brought since the last time.
void cluster_take_news(struct cluster *cluster);
void cluster_news_deinit(struct cluster *cluster);
// Reads what the log holds of earlier runs; at the start.
int cluster_read_log(struct cluster *cluster, struct reason *reason) MUST_CHECK;

// --- cluster_reissue.c -------------------------------------------------------------------------

void cluster_reissue(struct cluster *cluster, uint16_t actor, uint64_t above);
void cluster_reissue_retry(struct cluster *cluster); // if that is due
void cluster_reissue_deinit(struct cluster *cluster);

// --- cluster_repair.c --------------------------------------------------------------------------

void cluster_repair(struct cluster *cluster); // looks whether something is due
void cluster_repair_answer(struct cluster *cluster, struct peer *peer,
                           const struct peer_answer *answer);
struct instant cluster_repair_deadline(const struct cluster *cluster);

// --- cluster_look_up.c -------------------------------------------------------------------------

void cluster_look_up(struct cluster *cluster, uint64_t token, struct event_id at);

// --- cluster_hollow.c --------------------------------------------------------------------------

void cluster_hollow(struct cluster *cluster, uint16_t actor, uint64_t first, uint64_t last);
// A chunk is about to be appended: makes the range in front of it hollow, if that is lost.
void cluster_fill_hollow(struct cluster *cluster, const struct chunk_header *next);
// Makes ranges hollow that end at the seal of a retired actor. Each turn.
void cluster_fill_sealed(struct cluster *cluster);

// --- cluster_reply.c ---------------------------------------------------------------------------

// Answers what is in the mailbox, or gives it to the replica.
void cluster_take_letters(struct cluster *cluster);
void cluster_answer(struct cluster *cluster, uint64_t token, int result, const char *text);
void cluster_refuse_letters(struct cluster *cluster); // all, at the end
void cluster_publish(struct cluster *cluster);        // the view, why not, alarms
