// Subscribing to events.
//
// A subscription hands out every event that matches, once, as long as it lasts: over lost
// connections and changes of node too, by its cursor. The library grants credit as notices are
// taken: a program that takes none receives no more than credit_bytes, and the node keeps nothing
// for it but its place.
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

enum weir_start {
    WEIR_START_BEGINNING = 0,
    WEIR_START_END = 1,      // what comes after what the node holds at that moment
    WEIR_START_AFTER_ID = 2, // behind start_id in canonical order
    WEIR_START_AT_ID = 3,
    WEIR_START_CURSOR = 4,
    WEIR_START_TIME = 5,
    WEIR_START_LAST = 6, // the last start_last events that match
};

enum weir_stop {
    WEIR_STOP_NEVER = 0,  // goes on with events as they come
    WEIR_STOP_NOW = 1,    // what the node holds when the subscription starts
    WEIR_STOP_CURSOR = 2, // the last event in stop_cursor
};

enum weir_order {
    WEIR_ORDER_ARRIVAL = 0, // what is there in canonical order, then as it comes
    WEIR_ORDER_STABLE = 1,  // canonical order only, the same on every node: an event waits until
                            // none can come before it any more
};

struct weir_subscribe_options {
    size_t size;
    const char *const *patterns; // an event that matches any of them, or has one of the names
    size_t patterns_count;       // both together at most 64; none: everything but the system's
    const char *const *names;    // exactly
    size_t names_count;
    const struct weir_attribute *attributes; // only events that have all of these, by key and value
    size_t attributes_count;                 // at most 16
    uint64_t time_min_ms;                    // only events not before this time; UTC
    enum weir_start start;
    struct weir_id start_id;
    const char *start_cursor;
    uint64_t start_time_ms; // UTC; each actor's first event from then on, and all behind it
    uint64_t start_last;    // 1 to 65,536
    enum weir_stop stop;
    const char *stop_cursor;
    enum weir_order order;
    bool has_marks;            // WEIR_MARK_FRONTIER in arrival order too
    uint64_t limit;            // ends after so many events; 0: no limit
    uint64_t credit_bytes;     // 0: 4 MiB; at most 1 GiB
    uint32_t heartbeat_ms;     // a mark whenever nothing was sent for so long; 0: none
    const char *after;         // cursor that the first node must hold first; NULL: none
    uint32_t after_timeout_ms; // then it ends with WEIR_ERR_TIMEOUT; 0: the node's default (1 s)
    void *context;             // handed back with its notices
};

// Begins a subscription; `options` may be NULL: everything from the beginning, for ever. It need
// not be connected. *subscription_out is never 0. WEIR_ERR_INVALID (a pattern, name, attribute or
// cursor that is none: see weir_reason_text), WEIR_ERR_LIMIT (more than 1,024),
// WEIR_ERR_UNSUPPORTED, WEIR_ERR_MEMORY; or the error with which this client has ended.
WEIR_API int weir_subscribe(struct weir *weir, const struct weir_subscribe_options *options,
                            uint64_t *subscription_out) WEIR_MUST_CHECK;

// Ends a subscription: what is on its way may still come, then WEIR_NOTICE_END. One that is not
// (any more) is no error. WEIR_ERR_MEMORY.
WEIR_API int weir_unsubscribe(struct weir *weir, uint64_t subscription) WEIR_MUST_CHECK;

// The subscription's cursor as text ("@1042.1,998.2"): behind everything that was handed out, the
// event of the last notice included. Started from there, on any node of the cluster, a subscription
// goes on with the next event. Keep it once what was handed out is processed. Valid until the next
// call. WEIR_NOTHING: not known yet, or no such subscription (one that has ended remains until the
// call of weir_next after its end); WEIR_ERR_MEMORY.
WEIR_API int weir_cursor(struct weir *weir, uint64_t subscription,
                         const char **cursor_out) WEIR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
