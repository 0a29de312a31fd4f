// Producing events.
//
// Events are collected in a batch, which is sent as one atomic request. An event is stored when its
// result says so, not before.
//
// The protocol cannot tell a produce that is repeated from a new one. So, when a connection is
// lost: what was not handed over to the socket to its last byte cannot have been stored, and is
// sent on the next connection; a node that stops says of each request it refuses that it did
// nothing, and these are sent again too; all else that has no answer ends with WEIR_ERR_UNKNOWN,
// and is not repeated: the events may or may not be there. The program decides: look, repeat, or
// give them an attribute by which consumers notice repetitions.
#pragma once

#include "client.h"
#include "outcomes.h"
#include "values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// An event to be. `size` is that of the struct, and the same in a whole array.
struct weir_draft {
    size_t size;
    const char *name; // namespace: 1 to 1024 bytes of UTF-8 without control characters; not "/$..."
    struct weir_bytes data;
    struct weir_id parent; // zeros: none
    const struct weir_attribute *attributes;
    size_t attributes_count; // at most 64
};

// A result. The views are valid as long as the notice it comes in, or the callback.
struct weir_produced {
    uint64_t ticket;      // of the call of weir_produce
    int err;              // 0: stored. WEIR_ERR_UNKNOWN: perhaps. Otherwise: not stored, and why:
                          // INVALID, LIMIT, FULL, TIMEOUT (`after` was not reached in time), BUSY,
                          // DENIED (the node may not accept events now), IO
    const char *text;     // why, for people; NULL: err is 0
    struct weir_id first; // of the first event; the others follow, counter by counter
    uint32_t count;       // of events in the call
    uint32_t nodes_durable;   // on how many nodes they are known to be durable
    bool is_not_after_parent; // its parent did not reach the node in time: it may sort before it
    bool is_replicas_late; // fewer nodes hold it than asked for, in the time allowed; it is stored
    void *context;         // as given
};

typedef void weir_on_produced(struct weir *weir, const struct weir_produced *produced);

// Events whose `after` or `replicas` differ do not share a batch.
struct weir_produce_options {
    size_t size;
    weir_on_produced *on_produced; // called from weir_next and the waits; NULL: the result is a
                                   // notice, unless it is waited for. A callback may call anything
                                   // but weir_next, the waits and weir_free
    void *context;                 // handed back with the result
    const char *after;             // cursor that the node must hold first; NULL: none
    uint32_t after_timeout_ms;     // 0: the node's default (1 s)
    uint32_t replicas;             // answered when so many nodes hold it durably; 0: 1; at most 16
    uint32_t replicas_timeout_ms;  // then it is answered all the same; 0: 5 s
};

// Adds `count` events (1 to 65,536, together at most 16 MiB, or one larger one), which are stored
// together or not at all, to the batch. They need not be connected. Results come in the order of
// the calls. `options` may be NULL; *ticket_out (may be NULL) names the result.
// WEIR_ERR_INVALID and WEIR_ERR_LIMIT: an event that no node would accept, see weir_reason_text;
// nothing was added. WEIR_ERR_BUSY: too much waits for its result: take results, try again.
// WEIR_ERR_UNSUPPORTED, WEIR_ERR_MEMORY; or the error with which this client has ended.
WEIR_API int weir_produce(struct weir *weir, const struct weir_draft *drafts, size_t count,
                          const struct weir_produce_options *options,
                          uint64_t *ticket_out) WEIR_MUST_CHECK;

// weir_produce with the event's id as the parent of each draft, whatever these say.
WEIR_API int weir_respond(struct weir *weir, const struct weir_event *event,
                          const struct weir_draft *drafts, size_t count,
                          const struct weir_produce_options *options,
                          uint64_t *ticket_out) WEIR_MUST_CHECK;

// Closes the batch: it goes out as soon as the connection takes it.
WEIR_API void weir_flush(struct weir *weir);

// How many events have no result yet, those whose result was not handed out included.
WEIR_API uint64_t weir_pending(const struct weir *weir);

// The largest data of an event that the node accepts, as it said last; 1 MiB before.
WEIR_API uint64_t weir_data_bytes_max(const struct weir *weir);

// Why the last call on this client was refused, for people; valid until the next call. Never NULL.
WEIR_API const char *weir_reason_text(const struct weir *weir);

#ifdef __cplusplus
}
#endif
