// Written by hand from the comments in the document, not from its hex.

#include "tests/unit/proto/wire/protocol_vectors.h"

#define BYTES(text)                                                                                \
    {                                                                                              \
        .data = (const uint8_t *)(text), .length = sizeof(text) - 1                                \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define CURSOR_EMPTY BYTES("\x80")
#define CURSOR_5_1 BYTES("\x81\x01\x05")
#define CURSOR_900_1 BYTES("\x81\x01\xcd\x03\x84")
#define CURSOR_1000_1_998_2 BYTES("\x82\x01\xcd\x03\xe8\x02\xcd\x03\xe6")
#define CURSOR_1003_1_999_2 BYTES("\x82\x01\xcd\x03\xeb\x02\xcd\x03\xe7")
#define CURSOR_1042_1 BYTES("\x81\x01\xcd\x04\x12")
#define CURSOR_1042_1_998_2 BYTES("\x82\x01\xcd\x04\x12\x02\xcd\x03\xe6")
#define CURSOR_1043_1 BYTES("\x81\x01\xcd\x04\x13")
#define CURSOR_1045_1_998_2 BYTES("\x82\x01\xcd\x04\x15\x02\xcd\x03\xe6")

#define CLUSTER BYTES("\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")
#define NODE BYTES("\x20\x21\x22\x23\x24\x25\x26\x27\x28\x29\x2a\x2b\x2c\x2d\x2e\x2f")

const struct expected_request EXPECTED_REQUESTS[] = {
    {"hello",
     {REQUEST_HELLO, 1,
      .hello = {1, 1, BYTES("example 1.0"), .features = FEATURE_LZ4 | FEATURE_CHUNKS}}},
    {"ping", {REQUEST_PING, 2}},
    {"produce", {REQUEST_PRODUCE, 3, .produce = {.events_count = 1}}},
    {"produce-after",
     {REQUEST_PRODUCE, 4,
      .produce = {.after = {CURSOR_1000_1_998_2, .timeout_ms = 5000}, .events_count = 2}}},
    {"subscribe-everything", {REQUEST_SUBSCRIBE, 5}},
    {"subscribe-filter",
     {REQUEST_SUBSCRIBE, 6,
      .subscribe = {.entries = {{BYTES("/orders/**"), false}, {BYTES("/audit/[1]"), true}},
                    .entries_count = 2,
                    .credit_bytes = 65536}}},
    {"subscribe-end", {REQUEST_SUBSCRIBE, 7, .subscribe = {.start = START_END}}},
    {"subscribe-after-id",
     {REQUEST_SUBSCRIBE, 8, .subscribe = {.start = START_AT_AFTER_ID, .start_id = {1042, 1}}}},
    {"subscribe-at-id",
     {REQUEST_SUBSCRIBE, 8, .subscribe = {.start = START_AT_ID, .start_id = {1042, 1}}}},
    {"subscribe-cursor",
     {REQUEST_SUBSCRIBE, 9,
      .subscribe = {.start = START_AT_CURSOR, .start_cursor = CURSOR_1042_1_998_2}}},
    {"subscribe-time",
     {REQUEST_SUBSCRIBE, 9, .subscribe = {.start = START_AT_TIME, .start_time_ms = 1700000000000}}},
    {"subscribe-last",
     {REQUEST_SUBSCRIBE, 9, .subscribe = {.start = START_LAST, .start_last = 10, .end = END_NOW}}},
    {"subscribe-until",
     {REQUEST_SUBSCRIBE, 9, .subscribe = {.end = END_CURSOR, .end_cursor = CURSOR_1042_1}}},
    {"subscribe-all-options",
     {REQUEST_SUBSCRIBE, 10,
      .subscribe = {.after = {CURSOR_5_1, .timeout_ms = 0},
                    .entries = {{BYTES("**"), false}},
                    .entries_count = 1,
                    .start = START_AT_CURSOR,
                    .start_cursor = CURSOR_EMPTY,
                    .end = END_CURSOR,
                    .end_cursor = CURSOR_5_1,
                    .limit = 100,
                    .credit_bytes = 1048576,
                    .heartbeat_ms = 1000,
                    .is_stable_order = true}}},
    {"credit", {REQUEST_CREDIT, 6, .credit = {32768}}},
    {"stop", {REQUEST_STOP, 6}},
    {"get", {REQUEST_GET, 11, .get = {.event = {1042, 1}}}},
    {"get-after", {REQUEST_GET, 11, .get = {.after = {CURSOR_1042_1}, .event = {1042, 1}}}},
    {"last",
     {REQUEST_LAST, 12,
      .last = {.entries = {{BYTES("/a/*"), false}}, .entries_count = 1, .events_max = 3}}},
    {"neighbor-first", {REQUEST_NEIGHBOR, 13, .neighbor = {.which = NEIGHBOR_FIRST}}},
    {"neighbor-next",
     {REQUEST_NEIGHBOR, 14,
      .neighbor = {.which = NEIGHBOR_NEXT,
                   .event = {1042, 1},
                   .entries = {{BYTES("/a"), true}},
                   .entries_count = 1}}},
    {"neighbor-previous",
     {REQUEST_NEIGHBOR, 15, .neighbor = {.which = NEIGHBOR_PREVIOUS, .event = {1042, 1}}}},
    {"namespaces", {REQUEST_NAMESPACES, 16, .namespaces = {.page_max = 0}}},
    {"namespaces-page",
     {REQUEST_NAMESPACES, 17,
      .namespaces = {.pattern = BYTES("/a/**"), .after_name = BYTES("/a/b"), .page_max = 100}}},
    {"status", {REQUEST_STATUS, 18}},
};
const size_t EXPECTED_REQUESTS_COUNT = COUNT(EXPECTED_REQUESTS);

const struct expected_reply EXPECTED_REPLIES[] = {
    {"hello-reply",
     {REPLY_HELLO, 1, CURSOR_1042_1,
      .hello = {.version = 1,
                .server_version = BYTES("weir 0.1.0"),
                .features = FEATURE_LZ4 | FEATURE_CHUNKS,
                .actor = 1,
                .cluster_name = BYTES("main"),
                .cluster = CLUSTER,
                .node = NODE,
                .data_bytes_max = 1048576}}},
    {"pong", {REPLY_PONG, 2, CURSOR_1042_1}},
    {"produced",
     {REPLY_PRODUCED, 3, CURSOR_1043_1,
      .produced = {.first = {1043, 1}, .count = 1, .nodes_durable = 1}}},
    {"produced-remark",
     {REPLY_PRODUCED, 4, CURSOR_1045_1_998_2,
      .produced = {{1044, 1}, .count = 2, .nodes_durable = 1, .remarks = REMARK_NOT_AFTER_PARENT}}},
    {"subscribed", {REPLY_SUBSCRIBED, 6, CURSOR_EMPTY}},
    {"subscribed-cursor", {REPLY_SUBSCRIBED, 9, CURSOR_1042_1_998_2}},
    {"events", {REPLY_EVENTS, 11, CURSOR_1042_1}},
    {"events-none", {REPLY_EVENTS, 12, CURSOR_1042_1}},
    {"namespaces-reply", {REPLY_NAMESPACES, 17, CURSOR_1042_1, .namespaces = {.more = true}}},
    {"status-reply",
     {REPLY_STATUS, 18, CURSOR_1042_1,
      .status = {.version = BYTES("0.1.0"),
                 .uptime_ms = 86400000,
                 .cluster_name = BYTES("main"),
                 .cluster = CLUSTER,
                 .node = NODE,
                 .actor = 1,
                 .events = 1042,
                 .bytes = 65000,
                 .namespaces = 12,
                 .connections = 3,
                 .subscriptions = 1,
                 .memory_bytes = 48000000,
                 .disk_used_bytes = 2000000,
                 .disk_free_bytes = 10000000000,
                 .index_behind = 0}}},
    {"error",
     {REPLY_ERROR, 11, CURSOR_1042_1, .error = {WIRE_NOT_FOUND, BYTES("no event 7.9 here")}}},
    {"error-connection", {REPLY_ERROR, 0, .error = {WIRE_MALFORMED, BYTES("id is 0")}}},
    {"chunks", {DELIVERY_CHUNKS, 6}},
    {"chunks-lz4", {DELIVERY_CHUNKS, 6}},
    {"slices", {DELIVERY_SLICES, 6}},
    {"mark-caught-up", {DELIVERY_MARK, 6, CURSOR_1003_1_999_2, .mark = {MARK_CAUGHT_UP, 1007}}},
    {"mark-heartbeat", {DELIVERY_MARK, 6, CURSOR_1003_1_999_2, .mark = {MARK_HEARTBEAT, 1007}}},
    {"mark-progress", {DELIVERY_MARK, 6, CURSOR_900_1, .mark = {MARK_PROGRESS, 100000}}},
    {"end-reached", {DELIVERY_END, 6, CURSOR_1003_1_999_2, .end = {END_REACHED, 4}}},
    {"end-stopped", {DELIVERY_END, 6, CURSOR_1003_1_999_2, .end = {END_STOPPED, 4}}},
    {"end-shutdown", {DELIVERY_END, 6, CURSOR_1003_1_999_2, .end = {END_SHUTDOWN, 4}}},
};
const size_t EXPECTED_REPLIES_COUNT = COUNT(EXPECTED_REPLIES);

#define NA_10 "nananananananananana"

const struct expected_event EXPECTED_EVENTS[] = {
    {"produce", {0, 0}, "/greetings", "hello"},
    {"produce-after", {0, 0}, "/a", ""},
    {"produce-after", {0, 0}, "/b/c", "two"},
    {"events", {1042, 1}, "/a", "x"},
    {"chunks", {1001, 1}, "/a", "x"},
    {"chunks", {1002, 1}, "/b", "y"},
    {"chunks-lz4", {1003, 1}, "/log/lines", NA_10 NA_10 NA_10 NA_10 NA_10 NA_10},
    {"slices", {1002, 1}, "/b", "y"},
    {"slices", {998, 2}, "/b", "z"},
    {"slices", {999, 2}, "/b", ""},
};
const size_t EXPECTED_EVENTS_COUNT = COUNT(EXPECTED_EVENTS);
