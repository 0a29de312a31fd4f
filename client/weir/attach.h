// Durable subscriptions: attaching to them, acknowledging, managing them.
//
// A durable subscription has a name, and its position is kept on the servers. Programs attach to
// it, by any node: those that are attached at one time are its group and share the events. Each
// event goes to one of them, is in flight there until it is acknowledged, and comes again, to any
// of them, if it is not: after the definition's ack_wait, when the program is gone, or when it says
// so. After a failure events may come again that were acknowledged; none is ever skipped.
//
// An attachment lives over lost connections and changes of node, like a subscription. What was in
// flight when the connection was lost comes again; acknowledgements that have no answer are sent
// again on the next one.
#pragma once

#include "client.h"
#include "outcomes.h"
#include "request.h"
#include "subscribe.h"
#include "values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_key {
    WEIR_KEY_NONE = 0,       // any program of the group gets any event
    WEIR_KEY_NAMESPACE = 1,  // events of one namespace go to one program while any is in flight
    WEIR_KEY_COMPONENTS = 2, // those that agree in the first key_components of the namespace
    WEIR_KEY_ATTRIBUTE = 3,  // in the value of key_attribute; without it: the empty value
};

#define WEIR_ATTEMPTS_FOR_EVER UINT32_MAX

// What a durable subscription is, from its creation on.
struct weir_definition {
    size_t size;
    const char *const *patterns; // as those of weir_subscribe
    size_t patterns_count;
    const char *const *names;
    size_t names_count;
    const struct weir_attribute *attributes; // only events that have all of these, by key and value
    size_t attributes_count;                 // at most 16
    uint64_t time_min_ms;                    // only events not before this time; UTC
    enum weir_order order;
    enum weir_key key;
    uint32_t key_components;   // 1 to 64
    const char *key_attribute; // 1 to 255 bytes
    uint32_t concurrency;      // so many programs at one time; 0: 1,024, which is the most
    uint32_t attempts;         // an event is handed out so often, then it is parked in
                               // /$weir/parked/NAME; 0: 10; WEIR_ATTEMPTS_FOR_EVER
    uint32_t ack_wait_ms;      // 0: 30 s
    uint32_t checkpoint_every; // the position is written after so many acknowledgements; 0: 1,000
    uint32_t checkpoint_after_ms; // or so long after the first that it does not cover; 0: 1 s
    uint32_t queue;               // so many events wait to be handed out; 0: 1,000
    enum weir_start start;        // all but LAST; resolved once, when it is created
    struct weir_id start_id;
    const char *start_cursor;
    uint64_t start_time_ms; // UTC
    bool is_transient; // its position is not written: it begins at its start again when it has had
                       // no consumer for 10 s, or another node coordinates it
};

enum weir_ack_mode {
    WEIR_ACK_MANUAL = 0,    // by weir_ack, weir_ack_up_to
    WEIR_ACK_AUTOMATIC = 1, // an event is acknowledged when the next notice is taken after it,
                            // unless weir_nack was called for it
};

struct weir_attach_options {
    size_t size;
    const char *name; // 1 to 200 bytes of UTF-8, without '/', control characters, a dot at first
    const struct weir_definition *definition; // creates it, unless it is there; NULL: it must be
    uint32_t in_flight;    // so many events at most that are not acknowledged; 0: 100; at most
                           // 16,384
    uint64_t credit_bytes; // 0: 4 MiB; at most 1 GiB
    uint32_t heartbeat_ms; // a mark whenever nothing was sent for so long; 0: none
    enum weir_ack_mode ack_mode;
    // Acknowledgements are collected, and sent when there are so many, or the first is so old. (The
    // waits of the blocking layer send them when nothing else is to be done, and after 10 ms.)
    uint32_t ack_batch_max;    // 0: an eighth of in_flight, at least 1
    uint32_t ack_linger_us;    // 0: 5,000; 1: with the next output
    bool has_ack_results;      // WEIR_NOTICE_ACKED for every request, not only what was refused
    const char *after;         // cursor that the first node must hold first; NULL: none
    uint32_t after_timeout_ms; // then it ends with WEIR_ERR_TIMEOUT; 0: the node's default (1 s)
    void *context;             // handed back with its notices
};

struct weir_attached {
    bool is_created;    // this attachment has created it
    const char *remark; // for people: that options were passed over, for it was there; or NULL
    struct weir_id generation; // of the event that created it, or reset it
    const char *coordinator;   // uuid of the node that hands out the events
};

struct weir_id_range {
    uint16_t actor;
    uint64_t first; // counters
    uint64_t last;
};

// What became of one request with acknowledgements, or of a weir_nack.
struct weir_acked {
    bool is_nack;
    bool is_repeated; // was sent before, over a connection that was lost or moved: what is refused
                      // was probably counted then
    int err;          // 0; NOT_FOUND: none of the events is in flight here: they were acknowledged
                      // before, or have gone to others after ack_wait; UNKNOWN: the attachment
                      // has ended without an answer; CLOSED, BUSY: it has, and nothing was done:
                      // it was not sent, the node was busy; or another refusal
    const char *text; // why, for people; NULL: err is 0
    uint64_t events;  // in the request
    uint64_t counted; // by the node, at most; fewer than events: the others are not in flight here
    const struct weir_id_range *ranges; // of the events; ascending
    size_t ranges_count;
};

// Attaches. It need not be connected. *attachment_out is a number as those of subscriptions, never
// 0; weir_cursor knows nothing of it. Its notices are ATTACHED, EVENT, MARK (CAUGHT_UP, HEARTBEAT,
// MOVED), ACKED and END.
//
// It ends with WEIR_ERR_NOT_FOUND (there is none, and no definition), WEIR_ERR_BUSY (as many are
// attached as may be), WEIR_ERR_DENIED (the node may not create it now), WEIR_ERR_TIMEOUT,
// WEIR_ERR_INVALID, WEIR_ERR_UNSUPPORTED; with WEIR_END_DELETED; or WEIR_END_STOPPED. One that was
// attached before, and is refused as NOT_FOUND or BUSY by the next node, is asked for again for
// 10 s: that node may know less, or count the program's lost connection still.
//
// Refused at once: WEIR_ERR_INVALID (the name, a pattern, a cursor, a key: see weir_reason_text),
// WEIR_ERR_LIMIT (a number above its maximum; more than 1,024 together with the subscriptions),
// WEIR_ERR_UNSUPPORTED, WEIR_ERR_MEMORY; or the error with which this client has ended.
WEIR_API int weir_attach(struct weir *weir, const struct weir_attach_options *options,
                         uint64_t *attachment_out) WEIR_MUST_CHECK;

// Leaves: hands out no more events, sends what was acknowledged, then WEIR_NOTICE_END, behind what
// became of that. What was handed out and not acknowledged goes to others, the position stays. In
// automatic mode the last event is acknowledged with the next notice, as ever. A connection that is
// lost meanwhile, or a node that is busy, ends it too: WEIR_NOTICE_ACKED tells of what did not
// count, or perhaps not (weir_wait_acked before weir_detach leaves nothing open). One that is not
// (any more) is no error.
WEIR_API int weir_detach(struct weir *weir, uint64_t attachment) WEIR_MUST_CHECK;

// The event is done. Calling it twice is no error by itself. Returns before it is known to the
// node: see weir_wait_acked and WEIR_NOTICE_ACKED, which tells whenever events were not counted.
// WEIR_NOTHING: no such attachment, or it has ended; WEIR_ERR_INVALID: no id; WEIR_ERR_BUSY: too
// many wait to be sent; WEIR_ERR_MEMORY.
WEIR_API int weir_ack(struct weir *weir, uint64_t attachment, struct weir_id id) WEIR_MUST_CHECK;

// The event and all that were handed out by this attachment before it, and neither acknowledged nor
// refused since, are done. (Of those, the last two times in_flight: what is older has come again.)
// The outcomes of weir_ack; WEIR_ERR_NOT_FOUND: it was not handed out, or is not kept any more.
WEIR_API int weir_ack_up_to(struct weir *weir, uint64_t attachment,
                            struct weir_id id) WEIR_MUST_CHECK;

// The event is to come again, to any program of the group, after so long. `reason` (may be NULL;
// 200 bytes are kept) goes with it if it is parked. It is not repeated if the connection is lost:
// then the event comes again at once. The outcomes of weir_ack.
WEIR_API int weir_nack(struct weir *weir, uint64_t attachment, struct weir_id id, uint32_t delay_ms,
                       const char *reason) WEIR_MUST_CHECK;

// How many events were acknowledged or refused without an answer yet.
WEIR_API uint64_t weir_acks_pending(const struct weir *weir, uint64_t attachment);

// Requests about durable subscriptions (see weir/request.h), by any node. LIST and SHOW only read;
// the others are never repeated: their result is WEIR_ERR_CLOSED when the connection was lost
// before they were sent, WEIR_ERR_UNKNOWN when it was lost before the answer.

// A page of them, in the order of the bytes of their names: those behind `after_name` (empty: from
// the first). If the result has more, ask again behind its last name.
WEIR_API int weir_subscriptions_list(struct weir *weir, struct weir_bytes after_name,
                                     const struct weir_request_options *options,
                                     uint64_t *ticket_out) WEIR_MUST_CHECK;

// One, with what the node that coordinates it knows. The result is WEIR_ERR_NOT_FOUND: there is
// none.
WEIR_API int weir_subscriptions_show(struct weir *weir, const char *name,
                                     const struct weir_request_options *options,
                                     uint64_t *ticket_out) WEIR_MUST_CHECK;

// Creates one; `definition` NULL: everything, from the beginning. The result is WEIR_ERR_DENIED: it
// is there already, or the node may not produce now.
WEIR_API int weir_subscriptions_create(struct weir *weir, const char *name,
                                       const struct weir_definition *definition,
                                       const struct weir_request_options *options,
                                       uint64_t *ticket_out) WEIR_MUST_CHECK;

// Gives it another start, that of `start` (of which nothing else counts), and forgets its position.
// The result is WEIR_ERR_NOT_FOUND or WEIR_ERR_DENIED.
WEIR_API int weir_subscriptions_reset(struct weir *weir, const char *name,
                                      const struct weir_definition *start,
                                      const struct weir_request_options *options,
                                      uint64_t *ticket_out) WEIR_MUST_CHECK;

// Deletes it with its position: those that are attached get WEIR_END_DELETED.
WEIR_API int weir_subscriptions_delete(struct weir *weir, const char *name,
                                       const struct weir_request_options *options,
                                       uint64_t *ticket_out) WEIR_MUST_CHECK;

struct weir_subscription_row {
    struct weir_bytes name;
    struct weir_id generation;                // the event that created it, or reset it
    const struct weir_definition *definition; // without its start
    const char *cursor;  // of its position: all up to it is done, and some above it may be
    uint64_t lag_events; // that the node holds and that are not done. What was not read yet counts
                         // by its counters (so everything where nobody coordinates it): too much
                         // where it does not match, and where actors left counters out
    uint64_t lag_ms; // how old the oldest event is that matches, was read and is not done; while
                     // there is none and the reader is behind, the event that it read last; 0
                     // where nobody coordinates it
    uint32_t voids;  // creations that do not count, because another one came first
    struct weir_id void_last; // the highest of them; zeros: there are none
    bool is_coordinated;      // what follows is known; otherwise it is 0
    uint16_t coordinator;     // actor of the node that hands out the events
    uint32_t consumers;       // that are attached
    uint64_t in_flight;       // events
    uint64_t waiting;         // to be handed out
    uint64_t delivered;       // this and the following: since it is coordinated there
    uint64_t redelivered;     // of these, not for the first time
    uint64_t acked;
    uint64_t parked;
};

// SUBSCRIPTIONS: takes what a result has, as weir_result_event does.
WEIR_API int weir_result_subscription(const struct weir_result *result,
                                      const struct weir_subscription_row **row_out) WEIR_MUST_CHECK;

struct weir_subscription_consumer {
    struct weir_bytes client; // the name in its options and its address, for people; may be empty
    uint64_t number;          // at the node that coordinates
    uint16_t actor;           // of the node that it is connected to
    uint32_t in_flight;       // events
    uint64_t attached_ms;     // for how long it has been there
    uint64_t delivered;
    uint64_t acked;
};

// SUBSCRIPTIONS, of weir_subscriptions_show: who is attached. The same outcomes.
WEIR_API int
weir_result_consumer(const struct weir_result *result,
                     const struct weir_subscription_consumer **consumer_out) WEIR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
