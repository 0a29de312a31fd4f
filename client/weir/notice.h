// Notices: what has happened, one by one.
#pragma once

#include "attach.h"
#include "client.h"
#include "outcomes.h"
#include "produce.h"
#include "request.h"
#include "values.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_notice_kind {
    WEIR_NOTICE_EVENT = 1,
    WEIR_NOTICE_PRODUCED = 2,     // the result of a produce without a callback
    WEIR_NOTICE_SUBSCRIBED = 3,   // a node serves the subscription: at first, and after each switch
    WEIR_NOTICE_MARK = 4,         // how far a subscription is
    WEIR_NOTICE_END = 5,          // a subscription's last
    WEIR_NOTICE_CONNECTED = 6,    // to a node: the first, or another one, or the same again
    WEIR_NOTICE_DISCONNECTED = 7, // from a node, or an attempt has failed: the next one is tried
    WEIR_NOTICE_RESULT = 8,       // of a request that is not waited for
    WEIR_NOTICE_ATTACHED = 9,     // a node serves the attachment: at first, and after each switch
    WEIR_NOTICE_ACKED = 10,       // what became of acknowledgements
};

enum weir_mark_kind {
    WEIR_MARK_CAUGHT_UP = 1, // all that the node held when it began to serve it is handed out
    WEIR_MARK_HEARTBEAT = 2,
    WEIR_MARK_PROGRESS = 3, // a long stretch was passed in which nothing matched
    WEIR_MARK_FRONTIER = 4, // everything up to `at` is handed out, nothing can come in between
    WEIR_MARK_WAITING = 5,  // stable order waits for the member at.actor, known up to at.counter
    WEIR_MARK_MOVED = 6,    // another node coordinates the durable subscription: what is in flight
                            // may come again
};

struct weir_mark {
    enum weir_mark_kind kind;
    uint64_t passed;   // events that the node has looked at, since it serves the subscription
    struct weir_id at; // FRONTIER, WAITING
};

enum weir_end_reason {
    WEIR_END_REACHED = 1, // the stop or the limit
    WEIR_END_STOPPED = 2, // weir_unsubscribe, weir_detach
    WEIR_END_ERROR = 3,   // see err and text
    WEIR_END_DELETED = 4, // the durable subscription was deleted
};

struct weir_end {
    enum weir_end_reason reason;
    int err;            // ERROR: INVALID, TIMEOUT, CORRUPT, UNSUPPORTED, BUSY, ...
    const char *text;   // ERROR: why, for people; otherwise NULL
    uint64_t delivered; // events, from all nodes that served it
};

struct weir_connection {
    const char *address; // as in the options
    const char *cluster; // uuid; "" when disconnected
    const char *node;    // uuid; "" when disconnected
    uint16_t actor;      // of the node; 0: it has none yet
    bool is_switch;      // CONNECTED: to another node than before
    int err;             // DISCONNECTED: CONNECT, CLOSED, IO, TIMEOUT, VERSION, FOREIGN, ...
    const char *text;    // DISCONNECTED: why, for people
};

// Only what belongs to its kind is set. Everything in it is valid until the next call of weir_next,
// weir_wait_next or weir_free, whatever else is called in between.
struct weir_notice {
    enum weir_notice_kind kind;
    uint64_t subscription; // EVENT, SUBSCRIBED, MARK, END; ATTACHED, ACKED: the attachment, whose
                           // events, marks and end come as those of a subscription
    void *context;         // of the subscription or attachment
    const struct weir_event *event;
    const struct weir_produced *produced;
    const struct weir_mark *mark;
    const struct weir_end *end;
    const struct weir_connection *connection;
    const struct weir_result *result; // RESULT
    const struct weir_attached *attached;
    const struct weir_acked *acked;
};

// Takes the next notice. WEIR_NOTHING: go on with the connection. Negative: the client has ended,
// of no further use, and weir_reason_text says why: WEIR_ERR_MEMORY; WEIR_ERR_VERSION and
// WEIR_ERR_FOREIGN when no address is left that could do; why it is not connected any more, if it
// does not reconnect.
WEIR_API int weir_next(struct weir *weir, const struct weir_notice **notice_out) WEIR_MUST_CHECK;

// Leaves the node and goes on with the next address. For programs that know better, for example
// that have got WEIR_ERR_FULL or WEIR_ERR_DENIED.
WEIR_API void weir_leave(struct weir *weir, int64_t now_ns);

#ifdef __cplusplus
}
#endif
