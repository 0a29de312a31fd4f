// The client's side of the native protocol without I/O: bytes in, bytes out, notices, a deadline.
// It opens nothing and reads no clock, so it fits any event loop. One core is one connection; not
// for several threads at once. It says hello by itself; requests may be made at once, they travel
// behind it. After any negative outcome of weir_core_next the connection is of no further use.
#pragma once

#include "client/batch.h"
#include "client/events.h"
#include "proto/base/instant.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

struct weir_core;

// Zero values mean the defaults.
struct weir_core_config {
    const char *name;          // of the program, for the node's log; copied by the call
    uint32_t hello_timeout_ms; // 10 s
    uint32_t silence_ms;       // fails when nothing was heard for so long while something is
                               // awaited, a ping included: 20 s
};

enum weir_notice_kind {
    WEIR_READY,    // the node has answered hello
    WEIR_ANSWER,   // ping, namespaces, status or cluster: see reply
    WEIR_PRODUCED, // in the order of the produce requests
    WEIR_REFUSED,  // a request failed, or a subscription ended by an error: see reply.error
    WEIR_FOUND,    // events that answer get, last or neighbor
    WEIR_SUBSCRIBED,
    WEIR_EVENTS, // events of a subscription
    WEIR_MARK,   // see reply.mark
    WEIR_END,    // the subscription's last notice
};

// Everything in it is valid until the next call of weir_core_next or weir_core_space.
struct weir_notice {
    enum weir_notice_kind kind;
    uint64_t id;                // of the request or subscription
    uint64_t tag;               // as given with it
    struct reply reply;         // what came, decoded
    struct weir_events *events; // FOUND, EVENTS; what is not taken is passed over
};

// `now` starts the hello timeout. ERR_MEMORY.
int weir_core_new(const struct weir_core_config *config, struct instant now,
                  struct weir_core **core_out) MUST_CHECK;
void weir_core_free(struct weir_core *core);

// --- Bytes -------------------------------------------------------------------------------------

// Room for received bytes, at least 256 KiB, and then how many were put there. ERR_MEMORY.
int weir_core_space(struct weir_core *core, uint8_t **space_out, size_t *length_out) MUST_CHECK;
void weir_core_received(struct weir_core *core, size_t length, struct instant now);

// The same with a copy, for bytes that are elsewhere.
int weir_core_feed(struct weir_core *core, struct bytes bytes, struct instant now) MUST_CHECK;

// The other side has closed, or the connection has failed: what was received is still handed out,
// then weir_core_next returns `err` (ERR_CLOSED, ERR_IO, ...) and weir_core_reason the text.
void weir_core_fail(struct weir_core *core, int err, const char *text);

// What waits to be sent, and how much of it was.
struct bytes weir_core_output(const struct weir_core *core);
void weir_core_sent(struct weir_core *core, size_t length);

// When weir_core_tick wants to be called (INSTANT_NEVER: not). Receive before ticking, lest a
// program that was busy takes its own silence for the node's.
struct instant weir_core_deadline(const struct weir_core *core);
void weir_core_tick(struct weir_core *core, struct instant now);

// --- Notices -----------------------------------------------------------------------------------

enum { WEIR_NOTHING = 1 };

// The next notice; WEIR_NOTHING: receive more. Negative: the connection is over, with a reason:
// ERR_CLOSED, ERR_IO, ERR_TIMEOUT, ERR_CORRUPT, ERR_INVALID (not the protocol), ERR_LIMIT,
// ERR_VERSION, ERR_MEMORY.
int weir_core_next(struct weir_core *core, struct weir_notice *notice_out) MUST_CHECK;
const char *weir_core_reason(const struct weir_core *core);

// The largest event data the node accepts, as it said in hello; a default before.
uint64_t weir_core_data_bytes_max(const struct weir_core *core);

// Requests whose answer is not handed out yet, without subscriptions.
size_t weir_core_pending(const struct weir_core *core);

// The error of an `enum wire_error`: ERR_DENIED for what the cluster's state forbids (NOT_MEMBER,
// REFUSED), whose texts say why and what to do.
int weir_refusal_err(uint32_t wire_error);

// --- Requests ----------------------------------------------------------------------------------
// Each is queued for sending and answered by a notice with its id and tag. What it points to is
// copied. ERR_BUSY: too many are pending; ERR_MEMORY; or the error the connection ended with.

// How a batch is to be stored. Zero values mean the defaults.
struct weir_produce_options {
    struct request_after after;
    uint32_t replicas; // answered when so many nodes hold it durably, this one included: 1
    uint32_t replicas_timeout_ms; // then it is answered anyway, with REMARK_REPLICAS_LATE: 5 s
};

// `options` NULL: the defaults. The answer's nodes_durable says how many nodes are known to hold
// it; whatever that is, the batch is stored.
int weir_core_produce(struct weir_core *core, const struct weir_batch *batch,
                      const struct weir_produce_options *options, uint64_t tag) MUST_CHECK;

// GET, LAST, NEIGHBOR, NAMESPACES, STATUS, CLUSTER, PING: request->id is set here. CLUSTER is
// answered when what was asked for is done, which may take as long as other nodes do.
int weir_core_request(struct weir_core *core, struct request *request, uint64_t tag) MUST_CHECK;

// request->id is set here. Credit (0: 4 MiB) is granted again as events are taken.
int weir_core_subscribe(struct weir_core *core, struct request *request, uint64_t tag) MUST_CHECK;

// Asks for the end; what is on its way still comes, then WEIR_END. Nothing for an unknown id.
int weir_core_stop(struct weir_core *core, uint64_t subscription_id) MUST_CHECK;

// Behind everything of the subscription that was taken: start there to go on, on any node of the
// cluster. NULL: not known yet, or no such subscription (an ended one stays until the next
// weir_core_next). Valid until the next call.
const struct version_vector *weir_core_cursor(struct weir_core *core, uint64_t subscription_id);
