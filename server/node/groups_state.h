// The inside of groups.h, shared by groups.c and group_*.c and nobody else.
//
// groups.c: which subscriptions there are, from events; group_change.c: creating and the like;
// group_host.c: the life of a group that is coordinated here, its consumers; group_reader.c: what
// is read for it; group_deliver.c: what goes out; group_writer.c: checkpoints and parked events.
#pragma once

#include "proto/base/list.h"
#include "proto/base/tree.h"
#include "proto/model/slice.h"
#include "proto/model/subscription_fold.h"
#include "proto/model/subscription_row.h"
#include "server/node/block_run.h"
#include "server/node/cluster_state.h"
#include "server/node/groups.h"

enum {
    REDELIVERIES_MAX = 64, // reads of one group for what comes again, at once
    PARKINGS_MAX = 16,     // events of one group that are being parked, at once
    HOST_IDLE_MS = 10000,  // a group without consumers is let go after that
    HOST_RETRY_MS = 1000,  // after the log or the reader failed
    // Groups that go on in one turn; the others in the next ones. As with connections that are
    // flushed, a round of all is as long, but what each finds to do meanwhile costs it once.
    HOSTS_PER_TURN_MAX = 32,
    HOST_PARTS_PER_TURN_MAX = 64, // deliveries of the reader that are taken in one turn
    HELD_BYTES_MAX = 2 * GROUP_WAITING_BYTES_MAX,
    HELD_SWEEP_BYTES = 64 * 1024, // held at least, before it is looked what of it still waits
};

// One name.
struct durable {
    struct groups *groups;
    struct subscription_fold *fold;
    struct hosting *hosting; // NULL: not coordinated here
    uint32_t name_length;
    char name[SUBSCRIPTION_NAME_BYTES_MAX];
};

// A block that the reader has brought, while its events wait.
struct held {
    struct list_node link;
    struct block *block;
    size_t offset; // nothing before it waits any more
    size_t end;
    size_t bytes; // memory that it is counted with
    // of its events, the lowest and the highest counter of any actor
    uint64_t first;
    uint64_t last;
};

struct hosting {
    struct list_node link;       // of the groups'
    struct list_node ready_link; // of those that have something to do in this turn
    struct groups *groups;
    struct durable *durable; // NULL: closed; freed when nothing is in flight
    struct event_id generation;
    struct subscription_definition definition;
    struct buffer definition_text; // what it points into
    struct filter *system_filter;  // to read events of the system again; NULL: it wants none
    struct group *group;
    struct list_node attachments;
    struct tree attachments_by_id;
    uint32_t attachments_count;
    uint32_t untold_count; // of them: not told yet that the group has caught up
    uint32_t in_flight;    // reads and appends
    struct timer timer;
    struct instant idle_since; // INSTANT_NEVER: somebody is attached

    // reading
    struct session *session; // NULL: to be opened
    struct instant open_at;  // not before
    uint64_t reader_at_ms;   // timestamp of what it brought last; 0: nothing
    bool has_caught_up;      // the reader; what it brought may wait yet
    struct list_node held;
    size_t held_bytes;
    size_t sweep_bytes;     // when so much is held it is looked what still waits
    struct held *find_held; // where the last run was found
    size_t find_offset;

    // going out: pieces that follow each other in one block
    struct attachment *piece_to; // NULL: none
    struct piece piece;
    bool is_short; // one of the attachments is

    struct list_node redeliveries;
    uint32_t redeliveries_reading;
    struct list_node parkings;

    struct checkpoint *checkpoint; // that is being written; NULL: none
};

struct attachment {
    struct list_node link;
    struct tree_node by_id; // of the hosting's: 0, the id
    struct hosting *hosting;
    consumer_id id;
    uint32_t in_flight_max;
    uint16_t actor; // of the node that its connection is to
    struct instant since;
    char client[CONSUMER_CLIENT_BYTES_MAX + 1];
    bool takes_chunks;
    bool is_told;    // that the group has caught up
    uint64_t credit; // so much was given and not spent: for a group that begins anew
    const struct attachment_ops *ops;
    void *context;
    uint32_t redeliveries; // to it, that have not gone out: what follows waits behind them
    bool is_short;         // there was no memory for what goes to it: it is detached soon
};

struct groups {
    struct cluster *cluster;
    struct durable **durables; // sorted by name
    uint32_t durables_count;
    uint32_t durables_capacity;
    struct list_node hostings;
    struct list_node ready;
    struct list_node changes; // group_change.c
    consumer_id consumer_last;
    bool is_over;
};

// --- groups.c ----------------------------------------------------------------------------------

struct durable *durable_find(struct groups *groups, struct bytes name); // NULL: none
static inline struct bytes durable_name(const struct durable *durable)
{
    return bytes_of(durable->name, durable->name_length);
}

// --- group_host.c ------------------------------------------------------------------------------

// Opens the group of a subscription that there is. ERR_MEMORY.
int host_open(struct durable *durable, struct hosting **hosting_out) MUST_CHECK;

// The subscription's state has changed: another generation, or none; or what another coordinator
// has done: `done`, else NULL.
void host_changed(struct hosting *hosting, const struct position *done);

// Something is to be looked at in this turn, or in one soon.
void host_mark(struct hosting *hosting);
void host_turn(struct hosting *hosting);
// Without a generation any more, or with its last checkpoint on the way.
void host_close(struct hosting *hosting, uint32_t reason, enum wire_error error, const char *text);
void host_landed(struct hosting *hosting); // a read or append is back; may free it

// These events are lost everywhere: they are done, nobody can get them.
void host_lost(struct hosting *hosting, struct done_range range);

struct attachment *host_attachment(struct hosting *hosting, consumer_id id); // NULL: it is gone

// --- group_reader.c ----------------------------------------------------------------------------

void reader_run(struct hosting *hosting); // takes what there is, as far as the group wants it
void reader_close(struct hosting *hosting);
void reader_note(struct hosting *hosting); // how far it has come, for whoever asks now
// Lets go of blocks of which nothing waits any more.
void reader_drop_held(struct hosting *hosting);

// The chunk or slice in which an event waits; false: it is held no more.
struct held_run {
    struct block *block;
    size_t offset; // of its header
    struct block_run run;
};
bool reader_find(struct hosting *hosting, struct event_id event, struct held_run *out);

// --- group_deliver.c ---------------------------------------------------------------------------

void deliver_run(struct hosting *hosting, const struct group_action *action);
void deliver_flush(struct hosting *hosting);
void deliver_close(struct hosting *hosting);

// --- group_writer.c ----------------------------------------------------------------------------

void writer_checkpoint(struct hosting *hosting);
// What no checkpoint covers yet, before the group goes: nobody waits for it.
void writer_last_checkpoint(struct hosting *hosting);
void writer_park(struct hosting *hosting, const struct group_action *action);
void writer_close(struct hosting *hosting);

// One event of a system namespace in `out` (cleared). ERR_MEMORY.
int writer_event(struct buffer *out, const char *prefix, struct bytes name, struct bytes data,
                 struct bytes attributes) MUST_CHECK;
// Appends what writer_event built; `append`, `run` and the bytes are the caller's until it is done.
void writer_append(struct cluster *cluster, struct cluster_append *append, struct append_run *run,
                   struct bytes event, void (*completed)(struct cluster_append *append));
bool writer_may_write(const struct groups *groups);

// --- group_change.c ----------------------------------------------------------------------------

// That event has come: `err` 0, or it is passed over, and why.
void changes_look(struct groups *groups, struct event_id id, int err, const char *text);
void changes_run(struct groups *groups); // those whose start is found
void changes_close(struct groups *groups);
