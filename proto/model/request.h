// What a client can ask of a node. Requests are values whose views point into the bytes they were
// decoded from (or into the caller's memory); whoever keeps one copies what it needs.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/instant.h"
#include "proto/model/event_id.h"
#include "proto/model/filter.h"
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
    bool is_stable_order;    // refused as UNSUPPORTED until there is a cluster
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
    };
};
