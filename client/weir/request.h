// Requests: questions to a node, and actions on its cluster.
//
// Each is a question to one node, the one that is connected, and has one result: a notice
// (WEIR_NOTICE_RESULT), unless it is waited for. Results come as they are answered, in any order.
// They need not be connected, and what only reads is asked again at the next node when a connection
// is lost. An action on the cluster is for the node that is connected, and is never repeated.
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

struct weir_request_options {
    size_t size;
    const char *const *patterns; // last, neighbor: of the events that match any of them, or have
    size_t patterns_count;       // one of the names; both together at most 64; none: everything
    const char *const *names;    // but the system's
    size_t names_count;
    const char *after;         // cursor that the node must hold first; NULL: none. Not of cluster,
                               // status and ping
    uint32_t after_timeout_ms; // then the result is WEIR_ERR_TIMEOUT; 0: the node's default (1 s)
    void *context;             // handed back with the result
};

// For all of them: `options` may be NULL; *ticket_out (may be NULL) names the result, and is never
// 0. What is passed in is copied. WEIR_ERR_INVALID (a pattern, name or cursor that is none, see
// weir_reason_text), WEIR_ERR_LIMIT; WEIR_ERR_BUSY: 1,024 have no result yet, or it was not taken;
// WEIR_ERR_UNSUPPORTED, WEIR_ERR_MEMORY; or the error with which this client has ended.

// Whether the node answers.
WEIR_API int weir_ping(struct weir *weir, const struct weir_request_options *options,
                       uint64_t *ticket_out) WEIR_MUST_CHECK;

// The event with this id, if there is one. WEIR_ERR_INVALID: it is zeros.
WEIR_API int weir_get(struct weir *weir, struct weir_id id,
                      const struct weir_request_options *options,
                      uint64_t *ticket_out) WEIR_MUST_CHECK;

// The last events that match, at most `events_max` (1 to 65,536), in canonical order.
WEIR_API int weir_last(struct weir *weir, uint32_t events_max,
                       const struct weir_request_options *options,
                       uint64_t *ticket_out) WEIR_MUST_CHECK;

enum weir_neighbor {
    WEIR_NEIGHBOR_FIRST = 0, // of all; the id is ignored
    WEIR_NEIGHBOR_NEXT = 1,
    WEIR_NEIGHBOR_PREVIOUS = 2,
};

// The event that matches and is next to this id, which need not exist, if there is one.
WEIR_API int weir_neighbor(struct weir *weir, enum weir_neighbor which, struct weir_id id,
                           const struct weir_request_options *options,
                           uint64_t *ticket_out) WEIR_MUST_CHECK;

// A page of the namespaces that match `pattern` (NULL: all), in the order of their bytes: those
// behind `after_name` (empty: from the first), at most `rows_max` (0: as many as the node likes).
// If the result has more, ask again behind its last name.
WEIR_API int weir_namespaces(struct weir *weir, const char *pattern, struct weir_bytes after_name,
                             uint32_t rows_max, const struct weir_request_options *options,
                             uint64_t *ticket_out) WEIR_MUST_CHECK;

// How the node is, and what it holds.
WEIR_API int weir_status(struct weir *weir, const struct weir_request_options *options,
                         uint64_t *ticket_out) WEIR_MUST_CHECK;

enum weir_cluster_kind {
    WEIR_CLUSTER_STATUS = 0,  // what the node knows of its cluster
    WEIR_CLUSTER_VERIFY = 1,  // and whether all members hold the same
    WEIR_CLUSTER_RETIRE = 2,  // `actor` is gone for good: nobody waits for it any more
    WEIR_CLUSTER_LEAVE = 3,   // this node leaves its cluster, in order
    WEIR_CLUSTER_RESCUE = 4,  // this node, whose strand forked or was copied, gets a new actor
    WEIR_CLUSTER_LOST = 5,    // no copy of `actor`'s events `first` to `last` is left anywhere
    WEIR_CLUSTER_FORGIVE = 6, // take in `actor` again, whose counter came from nowhere
};

struct weir_cluster_action {
    size_t size;
    enum weir_cluster_kind kind;
    uint16_t actor;
    uint64_t first;
    uint64_t last;
    bool is_forced; // RETIRE: without the members that cannot be asked
};

// Asks, or has the connected node do something, which may take as long as other nodes do; see
// docs/operations.md. STATUS and VERIFY only read; the others are not repeated, and need a
// connection (WEIR_ERR_CLOSED: there is none). Their result is WEIR_ERR_CLOSED when the connection
// was lost before the action was sent, WEIR_ERR_UNKNOWN when it was lost before the answer,
// WEIR_ERR_DENIED when the node refuses.
WEIR_API int weir_cluster(struct weir *weir, const struct weir_cluster_action *action,
                          const struct weir_request_options *options,
                          uint64_t *ticket_out) WEIR_MUST_CHECK;

enum weir_result_kind {
    WEIR_RESULT_PONG = 1,
    WEIR_RESULT_EVENTS = 2, // get, last, neighbor: weir_result_event
    WEIR_RESULT_NAMESPACES = 3,
    WEIR_RESULT_STATUS = 4,
    WEIR_RESULT_CLUSTER = 5,
    WEIR_RESULT_SUBSCRIPTIONS = 6, // weir_result_subscription
};

struct weir_node_status {
    struct weir_bytes version; // "0.1.0"
    uint64_t uptime_ms;
    struct weir_bytes cluster_name;
    const char *cluster; // uuid
    const char *node;    // uuid
    uint16_t actor;      // 0: none yet
    uint64_t events;
    uint64_t bytes; // plain bytes of these events
    uint64_t namespaces;
    uint64_t connections;
    uint64_t subscriptions;
    uint64_t memory_bytes;
    uint64_t disk_used_bytes;
    uint64_t disk_free_bytes;
    uint64_t index_behind; // events that the index of namespaces lacks
};

struct weir_cluster_status {
    struct weir_bytes cluster_name;
    const char *cluster; // uuid
    const char *node;    // uuid
    uint16_t actor;      // 0: none yet
    struct weir_bytes phase;
    bool may_produce;
    struct weir_bytes why_not; // it may not produce; empty: it may
    uint64_t frontier;
    uint16_t waits_for;        // the member that holds the frontier back; 0: none
    uint64_t events_applied;   // from other nodes
    uint64_t events_duplicate; // that came again
    uint64_t damaged_chunks;
    uint64_t repaired_chunks;
    uint64_t scrub_checked; // of scrub_total chunks
    uint64_t scrub_total;
    struct weir_bytes text; // for people: what an action did, or VERIFY has found
};

// Valid as long as the notice it came in, or until the next call of weir_wait_result.
struct weir_result {
    uint64_t ticket;
    enum weir_result_kind kind; // what was asked for, also when it failed
    int err;                    // 0: answered. TIMEOUT: `after` was not reached in time; BUSY,
                                // CORRUPT, IO, UNSUPPORTED, INVALID, ...; see weir_cluster
    const char *text;           // why, for people; NULL: err is 0
    void *context;              // as given
    bool has_more;              // NAMESPACES: there are more behind the last of these
    const struct weir_node_status *status;     // STATUS
    const struct weir_cluster_status *cluster; // CLUSTER
    const char *remark; // SUBSCRIPTIONS: what was done, for people; NULL: nothing is to be said
};

// These take what a result has, one after the other. What they point to is valid as long as the
// result, the struct itself until the next call of the same function with it. WEIR_NOTHING: no
// more, or it has none; WEIR_ERR_CORRUPT: the node has sent what is none; WEIR_ERR_MEMORY.
WEIR_API int weir_result_event(const struct weir_result *result,
                               const struct weir_event **event_out) WEIR_MUST_CHECK;

struct weir_namespace {
    struct weir_bytes name;
    uint64_t events;
    uint64_t bytes; // plain bytes of these events
    struct weir_id first;
    struct weir_id last;
    uint64_t first_timestamp_ms;
    uint64_t last_timestamp_ms;
};
WEIR_API int weir_result_namespace(const struct weir_result *result,
                                   const struct weir_namespace **row_out) WEIR_MUST_CHECK;

enum weir_member_state {
    WEIR_MEMBER_ACTIVE = 0,
    WEIR_MEMBER_JOINING = 1,
    WEIR_MEMBER_RETIRING = 2,
    WEIR_MEMBER_RETIRED = 3,
};

// What a member holds, against what the node holds.
enum weir_verdict {
    WEIR_VERDICT_UNKNOWN = 0,
    WEIR_VERDICT_EQUAL = 1,
    WEIR_VERDICT_BEHIND = 2,
    WEIR_VERDICT_AHEAD = 3,
    WEIR_VERDICT_DIVERGED = 4,
};

enum { WEIR_UUID_TEXT_SIZE = 37 };

struct weir_member {
    char node[WEIR_UUID_TEXT_SIZE]; // uuid
    uint16_t actor;
    enum weir_member_state state;
    enum weir_verdict verdict;
    bool is_self;
    bool is_connected;
    bool is_source_direct; // its events come from itself
    uint16_t source;       // the member its events are pulled from; 0: none
    uint64_t run;
    uint64_t held;           // counter of its last event that the node has
    uint64_t claimed;        // the highest that anybody has said
    uint64_t lag_ms;         // since when the node is behind; 0: it is not
    uint64_t promised;       // it will not produce below this counter
    uint64_t seal;           // RETIRED: its last counter
    uint16_t diverged_actor; // DIVERGED: in whose events, from which counter on
    uint64_t diverged_since;
    struct weir_bytes address;
    struct weir_bytes version;
};

// CLUSTER: each member, the node itself included.
WEIR_API int weir_result_member(const struct weir_result *result,
                                const struct weir_member **row_out) WEIR_MUST_CHECK;

struct weir_alarm {
    struct weir_bytes line; // "code: text", for people
    struct weir_bytes code; // see docs/operations.md; empty: it has none
    struct weir_bytes text;
};

// STATUS and CLUSTER: what is wrong.
WEIR_API int weir_result_alarm(const struct weir_result *result,
                               const struct weir_alarm **alarm_out) WEIR_MUST_CHECK;

// Up to where the node held everything when it answered, as a cursor. WEIR_NOTHING: it did not say;
// WEIR_ERR_CORRUPT, WEIR_ERR_MEMORY.
WEIR_API int weir_result_cursor(const struct weir_result *result,
                                const char **cursor_out) WEIR_MUST_CHECK;

#ifdef __cplusplus
}
#endif
