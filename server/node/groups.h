// The durable subscriptions of a node, and the groups that it coordinates (docs/subscriptions.md).
// Part of the cluster's driver: all of it belongs to the first loop's thread.
#pragma once

#include "proto/model/block.h"
#include "proto/model/reply.h"
#include "proto/model/subscription_event.h"
#include "server/group/group.h"

struct attachment;
struct cluster;
struct groups;

// With the cluster, before its log is read. ERR_MEMORY.
int groups_new(struct cluster *cluster, struct groups **groups_out) MUST_CHECK;
void groups_free(struct groups *groups); // nothing may be in flight

// Ends every attachment and writes the last checkpoints: the log closes after them.
void groups_shut_down(struct groups *groups);

// At the end of each turn of the driver.
void groups_turn(struct groups *groups);

// An event of a namespace that begins with SUBSCRIPTIONS_NAMESPACE, at a start or as it comes, in
// any order. ERR_MEMORY: to be given again.
int groups_take_event(struct groups *groups, struct bytes space, struct event_id id,
                      struct bytes data) MUST_CHECK;

// --- Attachments: consumers of the groups that are coordinated here ----------------------------

// Slices or chunks, from `offset` in the block on, that are handed out together.
struct piece {
    struct block *block;
    size_t offset;
    size_t length;
    uint64_t events;
    uint32_t attempt;
};

// Whoever attaches is told by these; never from inside a call of his, but for `ended`.
struct attachment_ops {
    // The reference to the block is the taker's. False: no memory; it is not, and what is there
    // comes again.
    bool (*deliver)(void *context, const struct piece *piece);
    void (*caught_up)(void *context);
    // What was in flight may come again: the group begins anew. NULL: it is ended then.
    void (*renewed)(void *context);
    // The last: END_DELETED, END_SHUTDOWN, an error (reason 0), or neither (groups_release, begun
    // anew). The attachment is gone.
    void (*ended)(void *context, uint32_t reason, enum wire_error error, const char *text);
};

struct attach_options {
    uint32_t in_flight_max;
    uint64_t credit_bytes;
    const struct attachment_ops *ops;
    void *context;
    struct bytes client; // who it is, for people (CONSUMER_CLIENT_BYTES_MAX, cut)
    uint16_t actor;      // of the node that its connection is to
    bool takes_chunks;   // deliveries may be blocks of chunks
};

// ERR_NOT_FOUND: there is no such subscription; ERR_BUSY: as many consumers as it may have; both
// with a reason. ERR_MEMORY. `generation_out`: see subscription_fold.h.
int groups_attach(struct groups *groups, struct bytes name, const struct attach_options *options,
                  struct attachment **attachment_out, struct event_id *generation_out,
                  struct reason *reason) MUST_CHECK;
void groups_detach(struct attachment *attachment); // `ended` is not called

void groups_credit(struct attachment *attachment, uint64_t bytes);

// `up_to`: none, or everything up to it of this attachment; then the ranges. Adds to *counted how
// many events are done by it; nothing: none of them is in flight here. ERR_MEMORY: a part is done,
// the rest is to be said again.
int groups_ack(struct attachment *attachment, struct event_id up_to,
               const struct done_range *ranges, uint32_t count, uint64_t *counted) MUST_CHECK;
// Adds how many ranges had anything in flight here. ERR_MEMORY as above.
int groups_nack(struct attachment *attachment, const struct done_range *ranges, uint32_t count,
                struct duration delay, struct bytes reason, uint64_t *counted) MUST_CHECK;

// Another node coordinates the subscription from now on: the group writes its last checkpoint and
// goes. Attachments that are left are told `ended` with reason 0 and error 0: whoever has them
// attaches them anew, there. Of a name without a group here: nothing.
void groups_release(struct groups *groups, struct bytes name);

// What was delivered and has not come to the client, nor will it: it comes again, and the attempt
// does not count. Before groups_detach.
void groups_give_back(struct attachment *attachment, const struct done_range *range);

// --- Creating, resetting, deleting --------------------------------------------------------------

// Called once, in a later turn. `err`: 0; ERR_BUSY (now), ERR_DENIED (this node may not write),
// ERR_NOT_FOUND, ERR_LIMIT (too many names), or what the log said; then `text` says why.
typedef void groups_done(void *context, int err, const char *text);

// The start is that of a request (start, start_id, start_cursor, start_time_ms, start_last). One
// that is there already is left as it is: 0, and `text` says so. Calls back also when it returns
// nothing but ERR_MEMORY, which it returns instead.
int groups_create(struct groups *groups, struct bytes name,
                  const struct subscription_definition *definition,
                  const struct request_subscribe *start, groups_done *done,
                  void *context) MUST_CHECK;
int groups_reset(struct groups *groups, struct bytes name, const struct request_subscribe *start,
                 groups_done *done, void *context) MUST_CHECK;
int groups_delete(struct groups *groups, struct bytes name, groups_done *done,
                  void *context) MUST_CHECK;

// --- What there is -------------------------------------------------------------------------------

struct group_row {
    struct bytes name;
    struct event_id generation;
    struct subscription_definition definition;
    struct position position; // to be freed by the caller
    uint32_t voids;           // creations that do not hold
    struct event_id void_last;
    bool is_coordinated; // here, with consumers or just now without
    uint32_t consumers;
    struct group_counts counts;
    uint64_t lag_events; // held here and not done; of what was not read the counters in between
    uint64_t lag_ms;     // how old the oldest event is that was read and is not done; 0: none is
};

// The subscription of that name, or with `after` the next one behind it in byte order.
// ERR_NOT_FOUND, ERR_MEMORY. Views are valid until the next turn.
int groups_look(struct groups *groups, struct bytes name, bool after,
                struct group_row *row_out) MUST_CHECK;

// Appends the rows of the consumers of a group that is coordinated here (subscription_row.h), in
// the order in which they came; else none. ERR_MEMORY: a part of them.
int groups_append_consumers(struct groups *groups, struct bytes name,
                            struct buffer *out) MUST_CHECK;
