// What a node answers and delivers. Views point into the bytes they were decoded from or into
// memory of the sender that stays until it is sent.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/event_id.h"
#include "proto/model/version_vector.h"

enum reply_kind {
    REPLY_HELLO = 65,
    REPLY_PONG = 66,
    REPLY_PRODUCED = 67,
    REPLY_SUBSCRIBED = 68,
    REPLY_EVENTS = 69, // to GET, LAST and NEIGHBOR: slices
    REPLY_NAMESPACES = 70,
    REPLY_STATUS = 71,
    REPLY_ERROR = 72, // to any request; ends a subscription
    REPLY_CLUSTER = 73,
    REPLY_ATTACHED = 74,
    REPLY_ACKED = 75, // to ACK and NACK
    REPLY_SUBSCRIPTIONS = 76,
    DELIVERY_CHUNKS = 80,          // of a subscription: whole chunks back to back
    DELIVERY_SLICES = 81,          // of a subscription: slices back to back
    DELIVERY_MARK = 82,            // of a subscription: see mark_kind
    DELIVERY_END = 83,             // the subscription's last message
    DELIVERY_ASSIGNED = 84,        // to a consumer of a durable subscription: slices
    DELIVERY_ASSIGNED_CHUNKS = 85, // the same: whole chunks back to back
};

// Errors on the wire: frozen numbers, never reused (docs/protocol.md).
enum wire_error {
    WIRE_MALFORMED = 1, // not a message of this protocol: the connection ends
    WIRE_UNKNOWN_MESSAGE = 2,
    WIRE_VERSION = 3,         // no common protocol version: the connection ends
    WIRE_NO_HELLO = 4,        // the first message must be hello: the connection ends
    WIRE_FRAME_TOO_LARGE = 5, // the connection ends
    WIRE_DUPLICATE_ID = 6,    // the request's id is in use
    WIRE_INVALID_NAMESPACE = 16,
    WIRE_INVALID_GLOB = 17,
    WIRE_INVALID_ID = 18,
    WIRE_INVALID_CURSOR = 19,
    WIRE_INVALID_EVENT = 20,
    WIRE_INVALID_ARGUMENT = 21,
    WIRE_TOO_LARGE = 22, // an event or a produce beyond a limit
    WIRE_NOT_FOUND = 32,
    WIRE_TIMEOUT = 33, // `after` was not reached in time
    WIRE_DISK_FULL = 34,
    WIRE_UNKNOWN_OUTCOME = 35, // the events may or may not have been stored
    WIRE_CORRUPT = 36,         // the named chunk is damaged on this node
    WIRE_SHUTTING_DOWN = 37,
    WIRE_BUSY = 38, // a limit of this connection or node is reached
    WIRE_UNSUPPORTED = 39,
    WIRE_INTERNAL = 40,
    WIRE_NOT_MEMBER = 41,    // this node may not produce (now): the text says why
    WIRE_REFUSED = 42,       // a cluster command cannot be done: the text says why
    WIRE_NOT_IN_FLIGHT = 43, // none of these events is in flight at this consumer
    WIRE_EXISTS = 44,        // there is a durable subscription of that name
};
const char *wire_error_name(enum wire_error error); // "invalid_glob"; never NULL

struct reply_hello {
    uint32_t version;
    struct bytes server_version; // "weir 0.1.0"
    uint32_t features;
    uint16_t actor;
    struct bytes cluster_name;
    struct bytes cluster; // uuid, 16 bytes
    struct bytes node;    // uuid, 16 bytes
    uint64_t data_bytes_max;
};

// Bits of reply_produced.remarks.
enum produce_remark {
    REMARK_NOT_AFTER_PARENT = 1 << 0, // the parent was not here in time
    REMARK_REPLICAS_LATE = 1 << 1,    // fewer nodes than asked for hold it; nothing is undone
};

struct reply_produced {
    struct event_id first; // the others follow, counter by counter
    uint32_t count;
    uint32_t nodes_durable; // on how many nodes the events are known to be durable
    uint32_t remarks;
};

enum mark_kind {
    MARK_CAUGHT_UP = 1, // everything the node held when the subscription started is delivered
    MARK_HEARTBEAT = 2,
    MARK_PROGRESS = 3, // a long stretch without a match was passed
    MARK_FRONTIER = 4, // everything up to the mark's id is delivered, nothing can come in between
    MARK_WAITING = 5,  // stable order waits; the mark's id names the member by its actor
    MARK_MOVED = 6,    // another node coordinates: what is in flight may come again
};

enum end_reason {
    END_REACHED = 1,  // the end position or the limit
    END_STOPPED = 2,  // the client asked
    END_SHUTDOWN = 3, // the node stops; resume elsewhere, or here later
    END_DELETED = 4,  // the durable subscription was deleted
};

struct reply_status {
    struct bytes version;
    uint64_t uptime_ms;
    struct bytes cluster_name;
    struct bytes cluster;
    struct bytes node;
    uint16_t actor;
    uint64_t events;
    uint64_t bytes;
    uint64_t namespaces;
    uint64_t connections;
    uint64_t subscriptions;
    uint64_t memory_bytes;
    uint64_t disk_used_bytes;
    uint64_t disk_free_bytes;
    uint64_t index_behind;
    struct bytes alarms; // texts, joined by newlines
};

struct reply_cluster {
    struct bytes cluster_name;
    struct bytes cluster; // uuid
    struct bytes node;    // uuid
    uint16_t actor;       // 0: none yet
    struct bytes phase;   // "member"
    bool may_produce;
    struct bytes why_not; // empty: it may
    uint64_t frontier;
    uint16_t waits_for; // the member that holds the frontier back; 0: none
    uint64_t events_applied;
    uint64_t events_duplicate;
    uint64_t damaged_chunks;
    uint64_t repaired_chunks;
    uint64_t scrub_checked;
    uint64_t scrub_total;
    struct bytes text;    // what a command did; VERIFY: the verdict
    struct bytes members; // cluster rows (cluster_row.h)
    struct bytes alarms;  // "code: text" lines
};

struct reply_attached {
    struct event_id generation; // of the event that made the subscription what it is
    bool is_created;            // by this request
    struct bytes remark;        // for people; "it exists already: ..."
    struct bytes coordinator;   // uuid of the node that hands out the events
};

struct reply {
    uint32_t kind;       // enum reply_kind
    uint64_t id;         // of the request or subscription
    struct bytes cursor; // the node's, or the subscription's (MARK, END, SUBSCRIBED, ATTACHED),
                         // encoded; empty on deliveries of events
    union {
        struct reply_hello hello;
        struct reply_produced produced;
        struct bytes events; // EVENTS, CHUNKS, SLICES
        struct {
            struct bytes rows; // namespace rows (namespace_row.h)
            bool more;
        } namespaces;
        struct reply_status status;
        struct reply_cluster cluster_status;
        struct reply_attached attached;
        struct {
            uint64_t count; // events that are done by it, or will come again
        } acked;
        struct {
            struct bytes text; // for people: what was done
            bool more;
            struct bytes rows;      // subscription rows (subscription_row.h)
            struct bytes consumers; // SHOW: of the one that is shown; empty: none, or not known
        } subscriptions;
        struct {
            uint32_t attempt;    // 1: they come for the first time
            struct bytes slices; // ASSIGNED_CHUNKS: chunks
        } assigned;
        struct {
            uint32_t code; // enum wire_error
            struct bytes text;
        } error;
        struct {
            uint32_t kind;      // enum mark_kind
            uint64_t passed;    // events looked at so far, for progress
            struct event_id at; // FRONTIER, WAITING
        } mark;
        struct {
            uint32_t reason;    // enum end_reason
            uint64_t delivered; // events
        } end;
    };
};
