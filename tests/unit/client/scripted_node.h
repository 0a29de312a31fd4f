// A node that does what a test says: it reads what a core sends and feeds it replies, no sockets.
#pragma once

#include "client/core.h"
#include "tests/unit/check_main.h"

struct scripted_node {
    struct core *core;
    struct instant now;
    struct buffer received; // from the core, not read yet
};

// With a core that has said hello; `says_hello`: and got its answer.
void node_init(struct scripted_node *node, bool says_hello);
void node_deinit(struct scripted_node *node);

// The next request that the core has sent; it must have. Views stay until the next call.
struct request node_take(struct scripted_node *node);
bool node_has_request(struct scripted_node *node);

// Feeds a reply.
void node_reply(struct scripted_node *node, const struct reply *reply);
void node_reply_bytes(struct scripted_node *node, struct bytes bytes);
void node_error(struct scripted_node *node, uint64_t id, uint32_t code);
void node_produced(struct scripted_node *node, uint64_t id, uint64_t first, uint32_t count);
// SUBSCRIBED, MARK or END with a cursor given as text.
void node_position(struct scripted_node *node, enum reply_kind kind, uint64_t id,
                   const char *cursor, uint32_t detail);
// Deliveries (or REPLY_EVENTS) of already encoded chunks or slices.
void node_events(struct scripted_node *node, enum reply_kind kind, uint64_t id,
                 struct bytes events);

// The core's next notice must be of this kind / must not exist yet / must be this error.
struct notice expect_notice(struct scripted_node *node, enum notice_kind kind);
void expect_nothing(struct scripted_node *node);
void expect_failure(struct scripted_node *node, int err);

// The text of the subscription's cursor, to be freed; NULL: none.
char *node_cursor(struct scripted_node *node, uint64_t subscription);

// Subscribes with default options; the id. The request is read.
uint64_t node_subscribe(struct scripted_node *node, uint64_t credit_bytes);

// `count` events "/a/<counter>" with data "data <counter>", one chunk or one slice.
void append_sample_chunk(struct buffer *out, uint16_t actor, uint64_t first, uint16_t count,
                         bool is_compressed);
void append_sample_slice(struct buffer *out, uint16_t actor, uint64_t first, uint16_t count);
enum { SAMPLE_TIMESTAMP_MS = 1700000000 };

// Checks that the next event of the walk is that one.
void expect_event(struct events *events, uint16_t actor, uint64_t counter);
