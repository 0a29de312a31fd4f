// What a client can ask of a node. Requests are values whose views point into the bytes they were
// decoded from (or into the caller's memory); whoever keeps one copies what it needs.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/instant.h"
#include "proto/model/attribute_match.h"
#include "proto/model/event_id.h"
#include "proto/model/filter.h"
#include "proto/model/subscription_definition.h"
#include "proto/model/version_vector.h"

enum request_kind {
    REQUEST_HELLO = 1,
    REQUEST_PING = 2,
    REQUEST_PRODUCE = 3,
    REQUEST_SUBSCRIBE = 4,
    REQUEST_CREDIT = 5,
    REQUEST_STOP = 6,
    REQUEST_GET = 7,
    REQUEST_LAST = 8,
    REQUEST_NEIGHBOR = 9,
    REQUEST_NAMESPACES = 10,
    REQUEST_STATUS = 11,
    REQUEST_CLUSTER = 12,
    REQUEST_ATTACH = 13,        // become a consumer of a durable subscription
    REQUEST_ACK = 14,           // events that it delivered are done
    REQUEST_NACK = 15,          // or are to come again
    REQUEST_SUBSCRIPTIONS = 16, // list, show, create, reset, delete durable subscriptions
};

// Features that a client announces in hello; bits.
enum feature {
    FEATURE_LZ4 = 1 << 0,    // reads LZ4 bodies: may be sent whole chunks as they are stored
    FEATURE_CHUNKS = 1 << 1, // reads whole chunks; without it everything comes as slices
};

struct request_hello {
    uint32_t version_min; // protocol versions spoken
    uint32_t version_max;
    struct bytes client_name;
    uint32_t features;
};

// `after`: the request is served once the node holds this cursor, or fails with TIMEOUT. As
// encoded (version_vector_decode); empty: none.
struct request_after {
    struct bytes cursor;
    uint32_t timeout_ms; // 0: the node's default (1 s)
};

struct request_produce {
    struct request_after after;
    uint32_t events_count;
    struct bytes events; // encoded events back to back (event.h)
    uint32_t replicas;   // answered when so many nodes hold it durably, this one included; 0: 1
    uint32_t replicas_timeout_ms; // then it is answered anyway; 0: the default (5 s)
};

enum start_kind {
    START_BEGINNING = 0,
    START_END = 1, // what the node holds at that moment is behind the start
    START_AT_AFTER_ID = 2,
    START_AT_ID = 3,
    START_AT_CURSOR = 4,
    START_AT_TIME = 5,
    START_LAST = 6, // the last N matching events
};

enum end_kind {
    END_NEVER = 0,  // tail
    END_NOW = 1,    // what the node holds when the subscription starts
    END_CURSOR = 2, // everything inside this cursor
};

enum { PATTERNS_TOTAL_MAX = 64 };

struct request_subscribe {
    struct request_after after;
    struct filter_entry entries[PATTERNS_TOTAL_MAX];
    uint32_t entries_count; // 0: everything
    enum start_kind start;
    struct event_id start_id;
    struct bytes start_cursor; // encoded
    uint64_t start_time_ms;
    uint64_t start_last;
    enum end_kind end;
    struct bytes end_cursor; // encoded
    uint64_t limit;          // events; 0: none
    uint64_t credit_bytes;   // first window; 0: the default
    uint32_t heartbeat_ms;   // 0: none
    bool is_stable_order;    // canonical order only: up to the frontier
    bool wants_marks;        // arrival order: frontier marks
    struct attribute_match attributes[ATTRIBUTE_MATCHES_MAX]; // to be checked; all must match
    uint32_t attributes_count;
    uint64_t timestamp_min_ms; // events before it do not match; 0: no bound
};

struct request_credit {
    uint64_t bytes; // more of them
};

struct request_get {
    struct request_after after;
    struct event_id event;
};

struct request_last {
    struct request_after after;
    struct filter_entry entries[PATTERNS_TOTAL_MAX];
    uint32_t entries_count;
    uint32_t events_max; // 1 .. LAST_EVENTS_MAX
};

enum neighbor_kind {
    NEIGHBOR_FIRST = 0, // of the log; the id is ignored
    NEIGHBOR_NEXT = 1,
    NEIGHBOR_PREVIOUS = 2,
};

struct request_neighbor {
    struct request_after after;
    enum neighbor_kind which;
    struct event_id event; // need not exist
    struct filter_entry entries[PATTERNS_TOTAL_MAX];
    uint32_t entries_count;
};

struct request_namespaces {
    struct request_after after;
    struct bytes pattern;    // empty: everything
    struct bytes after_name; // names behind this one, in byte order; empty: from the first
    uint32_t page_max;       // 0: NAMESPACES_PAGE_MAX
};

enum cluster_request_kind {
    CLUSTER_STATUS = 0,
    CLUSTER_VERIFY = 1,
    CLUSTER_RETIRE = 2,  // actor
    CLUSTER_LEAVE = 3,   // this node
    CLUSTER_RESCUE = 4,  // this node's strand forked, or was copied: go on under a new actor id
    CLUSTER_LOST = 5,    // actor, first, last
    CLUSTER_FORGIVE = 6, // actor: lift the quarantine of a counter from nowhere
};

// STATUS and VERIFY are answered with CLUSTER; the others too, once done, or with an error.
struct request_cluster {
    enum cluster_request_kind which;
    uint16_t actor;
    uint64_t first;
    uint64_t last;
    bool is_forced;
};

// Where a durable subscription begins.
struct request_start {
    enum start_kind kind; // not LAST
    struct event_id id;   // AT_ID, AT_AFTER_ID
    struct bytes cursor;  // AT_CURSOR: encoded
    uint64_t time_ms;     // AT_TIME
};

struct request_attach {
    struct request_after after;
    struct bytes name;     // see subscription_name_is_valid
    uint32_t in_flight;    // events at most; 0: the default (ATTACH_IN_FLIGHT_DEFAULT)
    uint64_t credit_bytes; // first window; 0: the default
    uint32_t heartbeat_ms; // 0: none
    bool create;           // make it from what follows, unless it is there
    struct bytes client;   // of one that is forwarded: who it is, for people; else passed over
    struct request_start start;
    struct subscription_definition definition; // to be checked: subscription_definition_check
};

enum { ATTACH_IN_FLIGHT_DEFAULT = 100 };

// Ranges of ids stand back to back (done_range_next); decoded, they are sound.
struct request_ack {
    uint64_t attachment;   // id of the ATTACH
    struct event_id up_to; // and all that was delivered before it there; none: the ranges alone
    struct bytes ranges;   // at most ACK_RANGES_MAX
};

struct request_nack {
    uint64_t attachment;
    struct bytes ranges;
    uint32_t delay_ms;   // then they come again
    struct bytes reason; // goes with an event that is parked; any length, cut
};

enum subscriptions_request_kind {
    SUBSCRIPTIONS_LIST = 0,   // names behind after_name, in byte order
    SUBSCRIPTIONS_SHOW = 1,   // name
    SUBSCRIPTIONS_CREATE = 2, // name, definition, start
    SUBSCRIPTIONS_RESET = 3,  // name, start
    SUBSCRIPTIONS_DELETE = 4, // name
};

struct request_subscriptions {
    struct request_after after;
    enum subscriptions_request_kind which;
    struct bytes name;
    struct bytes after_name; // LIST; empty: from the first
    struct request_start start;
    struct subscription_definition definition; // to be checked
};

// `id` is the client's: unique among its open requests; a subscription keeps its id until its end.
struct request {
    enum request_kind kind;
    uint64_t id;
    union {
        struct request_hello hello;
        struct request_produce produce;
        struct request_subscribe subscribe;
        struct request_credit credit;
        struct request_get get;
        struct request_last last;
        struct request_neighbor neighbor;
        struct request_namespaces namespaces;
        struct request_cluster cluster;
        struct request_attach attach;
        struct request_ack ack;
        struct request_nack nack;
        struct request_subscriptions subscriptions;
    };
};
