// What is to be produced, from weir_produce to its result: batches, and the calls in them.
#pragma once

#include "client/batch.h"
#include "client/core.h"
#include "client/weir.h"
#include "proto/base/list.h"

// How the events of a call are to be stored; those of one batch agree.
struct produce_settings {
    struct bytes after; // encoded; empty: none
    uint32_t after_timeout_ms;
    uint32_t replicas;
    uint32_t replicas_timeout_ms;
};

enum outgoing_state {
    OUTGOING_OPEN,     // takes events
    OUTGOING_QUEUED,   // waits for a connection
    OUTGOING_SENT,     // or on its way into the socket
    OUTGOING_ANSWERED, // its results are being handed out
};

// One request.
struct outgoing {
    struct list_node node;
    enum outgoing_state state;
    struct batch batch;
    struct buffer after;
    struct produce_settings settings; // its `after` is a view of that
    uint64_t ticket_first;
    uint64_t ticket_end;
    struct instant lingers_until; // while open
    uint64_t stream_end;          // sent: where it ends in the bytes of this connection
    int err;                      // answered
    struct event_id first;
    uint32_t nodes_durable;
    uint32_t remarks;
    struct reason reason;
};

struct ticket {
    weir_on_produced *on_produced;
    void *context;
    uint32_t count;
    uint32_t offset; // of its first event in the batch
    bool is_taken;   // its result was waited for
};

struct produces_limits {
    uint32_t batch_events_max;
    uint32_t batch_bytes_max;
    struct duration linger;
    uint32_t pending_events_max;
    uint64_t pending_bytes_max;
};

enum { PRODUCES_SPARES_MAX = 8 };

struct produces {
    struct produces_limits limits;
    struct list_node batches; // struct outgoing, oldest first
    struct list_node *queued; // nothing before it waits for a connection; NULL: not known
    struct ticket *ring;
    uint64_t ring_capacity; // a power of two, or 0
    uint64_t ticket_front;  // the oldest that is kept; tickets begin with 1
    uint64_t ticket_end;
    uint64_t pending_events;
    uint64_t pending_bytes;
    uint32_t sent_count;                      // batches
    struct batch spares[PRODUCES_SPARES_MAX]; // memory without events
    uint32_t spares_count;
};

void produces_init(struct produces *produces, const struct produces_limits *limits);
void produces_deinit(struct produces *produces);

// A call. ERR_INVALID, ERR_LIMIT, ERR_BUSY, ERR_UNSUPPORTED with a reason, ERR_MEMORY: nothing was
// added. `parent` (NULL: each draft's own) counts for all drafts.
struct produces_call {
    const struct weir_draft *drafts;
    size_t count;
    const struct weir_id *parent;
    struct produce_settings settings;
    weir_on_produced *on_produced;
    void *context;
    uint64_t data_bytes_max;
    struct instant now;
};
int produces_add(struct produces *produces, const struct produces_call *call, uint64_t *ticket_out,
                 struct reason *reason) MUST_CHECK;

// Closes the open batch.
void produces_flush(struct produces *produces);

// Closes it if its time has come; when that is, INSTANT_NEVER: there is none.
void produces_linger(struct produces *produces, struct instant now);
struct instant produces_deadline(const struct produces *produces);

// The oldest batch that waits for a connection, or NULL; and that it was given to a core, whose
// stream of bytes ends at `stream_end` with it.
struct outgoing *produces_queued(struct produces *produces);
void produces_sent(struct produces *produces, struct outgoing *outgoing, uint64_t stream_end);

// Its answer. SHUTTING_DOWN queues it again.
void produces_answered(struct produces *produces, struct outgoing *outgoing,
                       const struct reply *reply);

// The connection is lost, of whose stream `stream_sent` bytes were taken.
void produces_lost(struct produces *produces, uint64_t stream_sent);

// The next result to be handed out, in order; or that of one ticket. Views stay until the next call
// of a function that is not const. False: none is there.
bool produces_take(struct produces *produces, struct weir_produced *produced_out,
                   weir_on_produced **on_produced_out);

// WEIR_NOTHING: no such ticket, or taken; WEIR_LATE: not answered yet.
int produces_take_ticket(struct produces *produces, uint64_t ticket,
                         struct weir_produced *produced_out) MUST_CHECK;
