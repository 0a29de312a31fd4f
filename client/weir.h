// libweir: produce events to a weir cluster, and consume them, from C or C++.
//
// Two layers in one library. The core does no I/O and reads no clock: bytes go in, bytes come out,
// notices are taken, a deadline is told, so that it fits any event loop (weir_new, "the connection"
// below). The blocking layer brings its own socket (weir_open, "blocking" below). What is between
// them, producing and subscribing, is the same for both.
//
// Threads: no global state. A struct weir, and all that came from it, is used by one thread at a
// time; different ones have nothing to do with each other.
//
// Outcomes: functions return int: 0 done; positive: an outcome that is no error; negative: an
// enum weir_err. Where an outcome is not mentioned it does not occur. Outputs are written only on
// success. WEIR_ERR_MEMORY leaves everything as it was.
//
// Texts are UTF-8. What is passed in is copied, unless it is said otherwise. What the network
// brings is checked: no bytes can make the library abort. Wrong use by the program can: a NULL
// where none is allowed, more bytes said to be sent than there were.
//
// Growth: a struct that the program fills in begins with its size; the rest is zero for the
// defaults (C: `= {.size = sizeof options}`; C++: `weir_options options{}; options.size = sizeof
// options;`). Structs that the library fills in are handed out by pointer, and may become longer.
// Enums may get more values: pass over kinds of notices that you do not know.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define WEIR_API
#define WEIR_MUST_CHECK
#endif

// --- Outcomes ----------------------------------------------------------------------------------

enum weir_err {
    WEIR_ERR_MEMORY = -1,       // an allocation failed
    WEIR_ERR_IO = -2,           // the operating system, or the node's disk, refused
    WEIR_ERR_CORRUPT = -3,      // bytes that contradict themselves, or were damaged
    WEIR_ERR_INVALID = -4,      // not what it must be: an id, cursor, pattern, name, option
    WEIR_ERR_LIMIT = -5,        // beyond a limit (docs/protocol.md, "Limits")
    WEIR_ERR_FULL = -6,         // the node's disk is full: it can still be read from
    WEIR_ERR_VERSION = -8,      // no protocol version in common
    WEIR_ERR_FOREIGN = -9,      // a node of another cluster
    WEIR_ERR_NOT_FOUND = -10,   // what was asked for is not there
    WEIR_ERR_TIMEOUT = -11,     // did not happen in the time allowed
    WEIR_ERR_CLOSED = -12,      // the node has closed the connection, or stops
    WEIR_ERR_UNKNOWN = -13,     // outcome unknown: it may or may not have happened
    WEIR_ERR_BUSY = -14,        // a bounded resource is taken: try again later
    WEIR_ERR_DENIED = -15,      // the state of the node or cluster does not permit it
    WEIR_ERR_CONNECT = -16,     // cannot connect
    WEIR_ERR_UNSUPPORTED = -17, // known, but not by this node or this version of the library
};

// Positive outcomes.
enum {
    WEIR_NOTHING = 1, // there is none (any more, or now)
    WEIR_LATE = 2,    // the time is over
    WEIR_WOKEN = 3,   // wake_fd is readable
};

// A short name ("corrupt"), and a sentence for people. Never NULL.
WEIR_API const char *weir_err_name(int err);
WEIR_API const char *weir_err_text(int err);

// Why something was refused, for people. A value; written only on failure.
struct weir_reason {
    char text[256];
};

// The version of the library: "0.1.0".
WEIR_API const char *weir_version(void);

// --- Values ------------------------------------------------------------------------------------

// A view: valid as long as what it points to. data may be NULL when length is 0.
struct weir_bytes {
    const void *data;
    size_t length;
};

// A view of a C string, without its NUL.
WEIR_API struct weir_bytes weir_text(const char *text);

// Whether the bytes are UTF-8.
WEIR_API bool weir_is_text(struct weir_bytes bytes);

// An event's id: unique, for ever, the same on every node. Zeros: none.
struct weir_id {
    uint64_t counter; // 1 to 2^63-1
    uint16_t actor;   // 1 to 65535: the node that accepted it
};

// <0, 0, >0 in canonical order, the same on every node.
WEIR_API int weir_id_compare(struct weir_id a, struct weir_id b);

// 25 digits and NUL: sorts as text as the events do.
enum { WEIR_ID_TEXT_SIZE = 26 };
WEIR_API void weir_id_format(struct weir_id id, char out[WEIR_ID_TEXT_SIZE]);

// Reads the 25 digits, "counter.actor" or "counter-actor". WEIR_ERR_INVALID with a reason (which
// may be NULL).
WEIR_API int weir_id_parse(const char *text, struct weir_id *id_out,
                           struct weir_reason *reason) WEIR_MUST_CHECK;

// Whether the text is the name of a namespace / a pattern / a cursor. WEIR_ERR_INVALID,
// WEIR_ERR_LIMIT with a reason (which may be NULL); WEIR_ERR_MEMORY.
WEIR_API int weir_name_check(const char *name, struct weir_reason *reason) WEIR_MUST_CHECK;
WEIR_API int weir_pattern_check(const char *pattern, struct weir_reason *reason) WEIR_MUST_CHECK;
WEIR_API int weir_cursor_check(const char *cursor, struct weir_reason *reason) WEIR_MUST_CHECK;

// Attributes are small pairs beside the data, in order; keys may repeat.
struct weir_attribute {
    struct weir_bytes key;   // 1 to 255 bytes of UTF-8; "p" and what begins with '$' are weir's
    struct weir_bytes value; // any bytes, or text
    bool is_text;
};

// An event that was received. Views are valid as long as the notice it came in.
struct weir_event {
    struct weir_id id;
    struct weir_id parent;        // the event that caused it; zeros: none
    uint64_t timestamp_ms;        // UTC, by the clock of the node that accepted it
    struct weir_bytes name;       // its namespace
    struct weir_bytes data;       // not ended by a NUL
    struct weir_bytes attributes; // encoded, see below; the parent is among them, with key "p"
    uint32_t attempt; // of an attachment: 1 when it is handed out for the first time; otherwise 0
};

// Takes the attributes one after the other: *position is 0 at first, and stays the library's.
// WEIR_NOTHING: no more; WEIR_ERR_CORRUPT.
WEIR_API int weir_event_attribute(const struct weir_event *event, size_t *position,
                                  struct weir_attribute *attribute_out) WEIR_MUST_CHECK;

// The first with this key. WEIR_NOTHING: none; WEIR_ERR_CORRUPT.
WEIR_API int weir_event_find(const struct weir_event *event, const char *key,
                             struct weir_attribute *attribute_out) WEIR_MUST_CHECK;

// --- Data as msgpack ----------------------------------------------------------------------------
// Data is any bytes. These write and read msgpack; for JSON see weir_json.h (libweir-json).

// A writer that grows. NULL: no memory. Its first error sticks, weir_pack_data tells.
struct weir_pack;
WEIR_API struct weir_pack *weir_pack_new(void);
WEIR_API void weir_pack_free(struct weir_pack *pack);
WEIR_API void weir_pack_clear(struct weir_pack *pack);

WEIR_API void weir_pack_nil(struct weir_pack *pack);
WEIR_API void weir_pack_bool(struct weir_pack *pack, bool value);
WEIR_API void weir_pack_int(struct weir_pack *pack, int64_t value);
WEIR_API void weir_pack_uint(struct weir_pack *pack, uint64_t value);
WEIR_API void weir_pack_double(struct weir_pack *pack, double value);
WEIR_API void weir_pack_text(struct weir_pack *pack, struct weir_bytes text); // below 4 GiB
WEIR_API void weir_pack_bytes(struct weir_pack *pack, struct weir_bytes bytes);
WEIR_API void weir_pack_array(struct weir_pack *pack, uint32_t count); // so many values follow
WEIR_API void weir_pack_map(struct weir_pack *pack, uint32_t count);   // so many pairs

// What was written: valid until the next call on the writer. WEIR_ERR_MEMORY, WEIR_ERR_LIMIT.
WEIR_API int weir_pack_data(const struct weir_pack *pack,
                            struct weir_bytes *data_out) WEIR_MUST_CHECK;

enum weir_type {
    WEIR_TYPE_NIL = 1,
    WEIR_TYPE_BOOL = 2,
    WEIR_TYPE_UINT = 3, // every integer that is not negative
    WEIR_TYPE_INT = 4,  // every negative one
    WEIR_TYPE_DOUBLE = 5,
    WEIR_TYPE_TEXT = 6, // UTF-8 by convention: not checked
    WEIR_TYPE_BYTES = 7,
    WEIR_TYPE_ARRAY = 8,
    WEIR_TYPE_MAP = 9,
    WEIR_TYPE_EXTENSION = 10,
};

struct weir_value {
    enum weir_type type;
    bool boolean;
    uint64_t number;         // UINT
    int64_t negative;        // INT
    double real;             // DOUBLE
    struct weir_bytes bytes; // TEXT, BYTES, EXTENSION: a view of what is read
    uint32_t count; // ARRAY: values that follow; MAP: pairs. Never more than bytes are left
    int8_t extension;
};

// Takes one value off the front of *rest; those inside an array or map are taken next, one by one.
// WEIR_NOTHING: *rest is empty; WEIR_ERR_CORRUPT: not msgpack, *rest is as it was.
WEIR_API int weir_unpack(struct weir_bytes *rest, struct weir_value *value_out) WEIR_MUST_CHECK;

// Passes one value with everything inside, however deep. The same outcomes.
WEIR_API int weir_unpack_skip(struct weir_bytes *rest) WEIR_MUST_CHECK;

// --- A client ----------------------------------------------------------------------------------

// One client of one cluster: a connection to one of its nodes at a time, made again as often as
// needed, to whichever node answers; subscriptions and produces live longer than connections.
struct weir;

// When it connects again. A client that does not has ended, with the error of the last attempt or
// of the connection: what was received is handed out, then weir_next says so.
enum weir_reconnect {
    WEIR_RECONNECT_ALWAYS = 0,
    WEIR_RECONNECT_LATER = 1, // not if every address was tried once, and none could be connected
    WEIR_RECONNECT_NEVER = 2, // nor when the connection is lost
};

struct weir_options {
    size_t size;

    // Of nodes of one cluster: "host:port", "host", "[::1]:3000", "/path/of/a/unix/socket",
    // "./path".
    const char *const *addresses; // NULL: localhost
    size_t addresses_count;       // at most 64
    // They are tried in turn, beginning with a random one, so that clients spread over the nodes;
    // or with the first.
    bool begins_with_first;

    const char *name;    // of the program, for the nodes' logs: at most 128 bytes
    const char *cluster; // uuid that nodes must have; NULL: that of the first node that answers.
                         // Nodes of other clusters are not used: cursors are of no use there

    uint32_t connect_timeout_ms; // to stand, and then to answer hello; 0: 5 s each
    uint32_t silence_ms; // a node of which nothing is heard for so long while something is awaited
                         // (it is asked in between) is left; 0: 20 s

    // A batch of events is sent when it has so many events or bytes, or is so old; see "producing".
    uint32_t batch_events_max; // 0: 4096; at most 65,536
    uint32_t batch_bytes_max;  // 0: 256 KiB; at most 16 MiB
    uint32_t linger_us;        // 0: it is sent with the next output

    // What may wait for its result: beyond it, weir_produce returns WEIR_ERR_BUSY.
    uint32_t pending_events_max; // 0: 262,144; at most 4,194,304
    uint64_t pending_bytes_max;  // 0: 64 MiB

    uint64_t seed; // for the jitter of back-offs and the first address; 0: weir_open takes a random
                   // one, weir_new one made of the time

    int wake_fd; // blocking layer: ends its waits when it becomes readable; 0: none

    enum weir_reconnect reconnect;
};

// A client without I/O. Nothing happens before weir_tick. `now_ns`: see "the connection".
// WEIR_ERR_INVALID with a reason (which may be NULL), WEIR_ERR_UNSUPPORTED (an option of a later
// version of the library), WEIR_ERR_MEMORY.
WEIR_API int weir_new(const struct weir_options *options, int64_t now_ns, struct weir **weir_out,
                      struct weir_reason *reason) WEIR_MUST_CHECK;

// Frees it, and closes the socket of one that blocks. What has no result yet gets none: callbacks
// are not called. NULL is allowed. Not from inside a callback.
WEIR_API void weir_free(struct weir *weir);

// --- Producing ---------------------------------------------------------------------------------
// Events are collected in a batch, which is sent as one atomic request. An event is stored when its
// result says so, not before.
//
// The protocol cannot tell a produce that is repeated from a new one. So, when a connection is
// lost: what was not handed over to the socket to its last byte cannot have been stored, and is
// sent on the next connection; a node that stops says of each request it refuses that it did
// nothing, and these are sent again too; all else that has no answer ends with WEIR_ERR_UNKNOWN,
// and is not repeated: the events may or may not be there. The program decides: look, repeat, or
// give them an attribute by which consumers notice repetitions.

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

// --- Subscribing -------------------------------------------------------------------------------
// A subscription hands out every event that matches, once, as long as it lasts: over lost
// connections and changes of node too, by its cursor. The library grants credit as notices are
// taken: a program that takes none receives no more than credit_bytes, and the node keeps nothing
// for it but its place.

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

// --- Requests ----------------------------------------------------------------------------------
// Each is a question to one node, the one that is connected, and has one result: a notice
// (WEIR_NOTICE_RESULT), unless it is waited for. Results come as they are answered, in any order.
// They need not be connected, and what only reads is asked again at the next node when a connection
// is lost. An action on the cluster is for the node that is connected, and is never repeated.

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

// --- Durable subscriptions ---------------------------------------------------------------------
// A durable subscription has a name, and its position is kept on the servers. Programs attach to
// it, by any node: those that are attached at one time are its group and share the events. Each
// event goes to one of them, is in flight there until it is acknowledged, and comes again, to any
// of them, if it is not: after the definition's ack_wait, when the program is gone, or when it says
// so. After a failure events may come again that were acknowledged; none is ever skipped.
//
// An attachment lives over lost connections and changes of node, like a subscription. What was in
// flight when the connection was lost comes again; acknowledgements that have no answer are sent
// again on the next one.

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
                      // before, or have gone to others after ack_wait; or another refusal
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
// automatic mode the last event is acknowledged with the next notice, as ever. One that is not (any
// more) is no error.
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

// Requests about durable subscriptions (see "requests"), by any node. LIST and SHOW only read; the
// others are never repeated: their result is WEIR_ERR_CLOSED when the connection was lost before
// they were sent, WEIR_ERR_UNKNOWN when it was lost before the answer.

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
    const char *cursor;       // of its position: all up to it is done, and some above it may be
    uint64_t lag_events;      // that the node holds and that are not done, matching or not
    uint64_t lag_ms;          // how old the oldest is that matches, was read and is not done
    uint32_t voids;           // creations that do not count, because another one came first
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

// --- Notices -----------------------------------------------------------------------------------

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

// --- The connection: for event loops -----------------------------------------------------------
// The program owns the socket; the core says what it wants of it. One turn of the loop:
//
//   weir_tick                when weir_deadline has come (or always)
//   weir_want                open or close the socket, if it says so
//   weir_space, weir_received    what the socket has
//   weir_next                until WEIR_NOTHING
//   weir_output, weir_sent   what the socket takes
//   weir_deadline            and wait for it, or for the socket
//
// Times are nanoseconds of a clock that never steps back, with any origin: weir_clock is one.

enum weir_want {
    WEIR_WANT_TIME = 0,    // no connection: wait until weir_deadline
    WEIR_WANT_CONNECT = 1, // connect to weir_address, then call weir_connected or weir_disconnected
    WEIR_WANT_BYTES = 2,   // send and receive
    WEIR_WANT_CLOSE = 3,   // close the socket or give up connecting, then call weir_disconnected
    WEIR_WANT_NOTHING = 4, // the client has ended: see weir_next
};

#define WEIR_NEVER INT64_MAX

WEIR_API enum weir_want weir_want(const struct weir *weir);

// Where to connect, as in the options; "localhost" when these had none. Host and port: see
// weir_address_split. Valid as long as the client.
WEIR_API const char *weir_address(const struct weir *weir);

// Splits an address. `host` and `port` are texts with NUL; a Unix socket, which begins with a slash
// or a dot, has an empty port. Without port: 3000. WEIR_ERR_INVALID, with a reason (which may be
// NULL).
struct weir_address_parts {
    char host[256];
    char port[8];
};
WEIR_API int weir_address_split(const char *address, struct weir_address_parts *parts_out,
                                struct weir_reason *reason) WEIR_MUST_CHECK;

// The connection that was wanted stands. WEIR_ERR_MEMORY: close it, call weir_disconnected.
WEIR_API int weir_connected(struct weir *weir, int64_t now_ns) WEIR_MUST_CHECK;

// The connection is over: it could not be made, was closed by the node, has failed, or was closed
// as wanted. `err` (CONNECT, CLOSED, IO, ...; of no account when closing was wanted) and `text`
// (may be NULL) are for the notice. What was received is still handed out.
WEIR_API void weir_disconnected(struct weir *weir, int err, const char *text, int64_t now_ns);

// Room for received bytes, at least 256 KiB, and then how many were put there; only while bytes are
// wanted. WEIR_ERR_MEMORY.
WEIR_API int weir_space(struct weir *weir, void **space_out, size_t *length_out) WEIR_MUST_CHECK;
WEIR_API void weir_received(struct weir *weir, size_t length, int64_t now_ns);

// The same with a copy, for bytes that are elsewhere. WEIR_ERR_MEMORY.
WEIR_API int weir_feed(struct weir *weir, const void *data, size_t length,
                       int64_t now_ns) WEIR_MUST_CHECK;

// What waits to be sent now, valid until the next call, and how much of it was. Empty unless bytes
// are wanted. Asking for it sends the batch, unless it lingers.
WEIR_API struct weir_bytes weir_output(struct weir *weir);
WEIR_API void weir_sent(struct weir *weir, size_t length);

// When weir_tick wants to be called; WEIR_NEVER: not. It may have passed already. Receive before
// ticking, lest a program that was busy takes its own silence for the node's.
WEIR_API int64_t weir_deadline(const struct weir *weir);
WEIR_API void weir_tick(struct weir *weir, int64_t now_ns);

// --- Blocking: for simple programs -------------------------------------------------------------
// Timeouts are milliseconds; -1: for ever; 0: without waiting. With such a client the functions of
// "the connection" are not called, but weir_deadline.

// Makes a client that brings its socket, and waits until it is connected. WEIR_ERR_TIMEOUT: no node
// has answered in time, the reason (may be NULL) says why the last did not; WEIR_WOKEN; the errors
// of weir_new and weir_next (with WEIR_RECONNECT_LATER and NEVER: of the last attempt). (It lingers
// as the options say, but a wait sends what there is.)
WEIR_API int weir_open(const struct weir_options *options, int64_t timeout_ms,
                       struct weir **weir_out, struct weir_reason *reason) WEIR_MUST_CHECK;

// Sends, receives and connects as needed until there is a notice. WEIR_LATE, WEIR_WOKEN, or the
// errors of weir_next.
WEIR_API int weir_wait_next(struct weir *weir, int64_t timeout_ms,
                            const struct weir_notice **notice_out) WEIR_MUST_CHECK;

// Sends the batch and waits for a result, which is then handed out neither as a notice nor to a
// callback. Notices that come meanwhile wait for weir_wait_next. WEIR_NOTHING: it was handed out
// before, or there is no such ticket; WEIR_LATE, WEIR_WOKEN; the errors of weir_next.
// The outcome of the produce itself is in produced_out->err; the views are valid until the next
// call.
WEIR_API int weir_wait_produced(struct weir *weir, uint64_t ticket, int64_t timeout_ms,
                                struct weir_produced *produced_out) WEIR_MUST_CHECK;

// Sends the batch and waits until at most `events_max` produced events have no result (0: all have
// one). Callbacks are called; results without one are taken here: if one says that its events are
// not stored, this returns its err as soon as it comes, and weir_reason_text says why. Notices that
// come meanwhile wait for weir_wait_next. WEIR_LATE, WEIR_WOKEN, or the errors of weir_next.
WEIR_API int weir_wait_settled(struct weir *weir, uint64_t events_max,
                               int64_t timeout_ms) WEIR_MUST_CHECK;

// Sends the request and waits for its result, which is then not handed out as a notice. Notices
// that come meanwhile wait for weir_wait_next. WEIR_NOTHING: it was handed out before, or there is
// no such ticket; WEIR_LATE, WEIR_WOKEN; the errors of weir_next. The outcome of the request itself
// is in the result, which is valid until the next call of weir_wait_result.
WEIR_API int weir_wait_result(struct weir *weir, uint64_t ticket, int64_t timeout_ms,
                              const struct weir_result **result_out) WEIR_MUST_CHECK;

// Sends what was acknowledged and waits until all of it is answered; refusals come as notices.
// Notices that come meanwhile wait for weir_wait_next. WEIR_NOTHING: no such attachment, or it has
// ended; WEIR_LATE, WEIR_WOKEN; the errors of weir_next.
WEIR_API int weir_wait_acked(struct weir *weir, uint64_t attachment,
                             int64_t timeout_ms) WEIR_MUST_CHECK;

// A client of weir_open within another loop, of many clients, or with other descriptors to wait
// for:
//
//   weir_turn                connects, sends, receives, all without waiting; when its descriptor is
//                            ready, or weir_deadline has come
//   weir_next                until WEIR_NOTHING
//   weir_push                sends what has come of that
//   weir_descriptor          and wait for it, or for weir_deadline
//
// (To find the address of a host's name may take its time all the same.)
// 0: something has come, see weir_next; WEIR_NOTHING.
WEIR_API int weir_turn(struct weir *weir);
WEIR_API void weir_push(struct weir *weir);

// The socket, to be waited for until it is readable, and if so said until it is writable; -1: there
// is none now. Another one after every connection. Asking for it sends the batch to its queue,
// unless it lingers.
WEIR_API int weir_descriptor(struct weir *weir, bool *wants_output_out);

// The clock of the blocking layer: CLOCK_MONOTONIC in nanoseconds.
WEIR_API int64_t weir_clock(void);

#ifdef __cplusplus
}
#endif
