// The client's side of the native protocol without I/O: bytes in, bytes out, notices, a deadline.
// It opens nothing and reads no clock, so it fits any event loop. One core is one connection; not
// for several threads at once. It says hello by itself; requests may be made at once, they travel
// behind it. After any negative outcome of core_next the connection is of no further use.
#pragma once

#include "client/batch.h"
#include "client/events.h"
#include "proto/base/instant.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

struct core;

// Zero values mean the defaults.
struct core_config {
    const char *name;          // of the program, for the node's log; copied by the call
    uint32_t hello_timeout_ms; // 10 s
    uint32_t silence_ms;       // fails when nothing was heard for so long while something is
                               // awaited, a ping included: 20 s
};

enum notice_kind {
    NOTICE_READY,    // the node has answered hello
    NOTICE_ANSWER,   // to any other request: see reply, and message for what its views point into
    NOTICE_PRODUCED, // in the order of the produce requests
    NOTICE_REFUSED,  // a request failed, or a subscription ended by an error: see reply.error
    NOTICE_SUBSCRIBED,
    NOTICE_ATTACHED, // see reply.attached
    NOTICE_EVENTS,   // events of a subscription
    NOTICE_MARK,     // see reply.mark
    NOTICE_END,      // the subscription's last notice
};

// Everything in it is valid until the next call of core_next or core_space.
struct notice {
    enum notice_kind kind;
    uint64_t id;               // of the request or subscription
    uint64_t tag;              // as given with it
    enum request_kind request; // what is answered; 0: a delivery
    struct bytes message;      // what came
    struct reply reply;        // the same, decoded
    struct events *events;     // EVENTS; what is not taken is passed over
};

// `now` starts the hello timeout. ERR_MEMORY.
int core_new(const struct core_config *config, struct instant now,
             struct core **core_out) MUST_CHECK;
void core_free(struct core *core);

// --- Bytes -------------------------------------------------------------------------------------

// Room for received bytes, at least 256 KiB, and then how many were put there. ERR_MEMORY.
int core_space(struct core *core, uint8_t **space_out, size_t *length_out) MUST_CHECK;
void core_received(struct core *core, size_t length, struct instant now);

// The same with a copy, for bytes that are elsewhere.
int core_feed(struct core *core, struct bytes bytes, struct instant now) MUST_CHECK;

// The other side has closed, or the connection has failed: what was received is still handed out,
// then core_next returns `err` (ERR_CLOSED, ERR_IO, ...) and core_reason the text.
void core_fail(struct core *core, int err, const char *text);

// What waits to be sent, and how much of it was.
struct bytes core_output(const struct core *core);
void core_sent(struct core *core, size_t length);

// When core_tick wants to be called (INSTANT_NEVER: not). Receive before ticking, lest a
// program that was busy takes its own silence for the node's.
struct instant core_deadline(const struct core *core);
void core_tick(struct core *core, struct instant now);

// --- Notices -----------------------------------------------------------------------------------

enum { CORE_NOTHING = 1 };

// The next notice; CORE_NOTHING: receive more. Negative: the connection is over, with a reason:
// ERR_CLOSED, ERR_IO, ERR_TIMEOUT, ERR_CORRUPT, ERR_INVALID (not the protocol), ERR_LIMIT,
// ERR_VERSION, ERR_MEMORY.
int core_next(struct core *core, struct notice *notice_out) MUST_CHECK;
const char *core_reason(const struct core *core);

// The next notice of those that no program waits with: READY, the answers to requests, and what is
// said of attachments but for their events and most marks. Other
// messages before it are kept for core_next; the notice that this returned last stays as it is.
// CORE_NOTHING, also when the connection is over: core_next says so behind all that is kept.
int core_next_urgent(struct core *core, struct notice *notice_out) MUST_CHECK;

// Why the connection is over, even if core_next has not come to that yet; 0: it is not.
int core_err(const struct core *core);

// Whether core_next_urgent has kept messages for core_next, or events handed out are not all taken.
bool core_has_rest(const struct core *core);

// The largest event data the node accepts, as it said in hello; a default before.
uint64_t core_data_bytes_max(const struct core *core);

// Requests whose answer is not handed out yet, without subscriptions.
size_t core_pending(const struct core *core);

// The error of an `enum wire_error`: ERR_DENIED for what the cluster's state forbids (NOT_MEMBER,
// REFUSED), whose texts say why and what to do.
int refusal_err(uint32_t wire_error);

// --- Requests ----------------------------------------------------------------------------------
// Each is queued for sending and answered by a notice with its id and tag. What it points to is
// copied. ERR_BUSY: too many are pending; ERR_MEMORY; or the error the connection ended with.

// How a batch is to be stored. Zero values mean the defaults.
struct produce_options {
    struct request_after after;
    uint32_t replicas; // answered when so many nodes hold it durably, this one included: 1
    uint32_t replicas_timeout_ms; // then it is answered anyway, with REMARK_REPLICAS_LATE: 5 s
};

// `options` NULL: the defaults. The answer's nodes_durable says how many nodes are known to hold
// it; whatever that is, the batch is stored.
int core_produce(struct core *core, const struct batch *batch,
                 const struct produce_options *options, uint64_t tag) MUST_CHECK;

// GET, LAST, NEIGHBOR, NAMESPACES, STATUS, CLUSTER, PING: request->id is set here. CLUSTER is
// answered when what was asked for is done, which may take as long as other nodes do.
int core_request(struct core *core, struct request *request, uint64_t tag) MUST_CHECK;

// request->id is set here. Credit (0: 4 MiB) is granted again as events are taken.
int core_subscribe(struct core *core, struct request *request, uint64_t tag) MUST_CHECK;

// ATTACH: the same, with NOTICE_ATTACHED; it has no cursor. ACK and NACK are plain requests.
int core_attach(struct core *core, struct request *request, uint64_t tag) MUST_CHECK;

// The answer to the request, which may never come, is of no account any more.
void core_forget(struct core *core, uint64_t request_id);

// Asks for the end; what is on its way still comes, then NOTICE_END. Nothing for an unknown id.
int core_stop(struct core *core, uint64_t subscription_id) MUST_CHECK;

// Behind everything of the subscription that was taken: start there to go on, on any node of the
// cluster. NULL: not known yet, or no such subscription (an ended one stays until the next
// core_next). Valid until the next call.
const struct version_vector *core_cursor(struct core *core, uint64_t subscription_id);
