// Nodes that do what a test says, for a client of the public API: no sockets, a clock that stands.
#pragma once

#include "client/weir.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"
#include "tests/unit/client/scripted_node.h"

struct scripted_cluster {
    struct weir *weir;
    int64_t now;            // nanoseconds
    struct buffer received; // over this connection, not read yet
    char cluster;           // the uuid is sixteen of it
    char node;              // so is that of the node that answers
};

// A client of "a:1" and "b:2", in this order; `options` may be NULL. Not connected.
void cluster_init(struct scripted_cluster *cluster, const struct weir_options *options);
void cluster_deinit(struct scripted_cluster *cluster);

// Lets the pause pass, if there is one; the client must want to connect to that address. Connects.
void cluster_connect(struct scripted_cluster *cluster, const char *address);

// The same, and the node answers hello; the client must say CONNECTED.
const struct weir_connection *cluster_greet(struct scripted_cluster *cluster, const char *address);
void cluster_say_hello(struct scripted_cluster *cluster);

// The connection is closed by the node.
void cluster_lose(struct scripted_cluster *cluster);

// The next request that the client sent; it must have. Views stay until the next call.
struct request cluster_take(struct scripted_cluster *cluster, enum request_kind kind);
bool cluster_has_request(struct scripted_cluster *cluster);

// Answers and deliveries.
void cluster_reply(struct scripted_cluster *cluster, const struct reply *reply);
void cluster_produced(struct scripted_cluster *cluster, uint64_t id, uint64_t first,
                      uint32_t count);
void cluster_error(struct scripted_cluster *cluster, uint64_t id, enum wire_error code);
void cluster_position(struct scripted_cluster *cluster, enum reply_kind kind, uint64_t id,
                      const char *cursor, uint32_t detail);
void cluster_slice(struct scripted_cluster *cluster, uint64_t id, uint16_t actor, uint64_t first,
                   uint16_t count);
void cluster_chunk(struct scripted_cluster *cluster, uint64_t id, uint16_t actor, uint64_t first,
                   uint16_t count);

void cluster_attached(struct scripted_cluster *cluster, uint64_t id, uint64_t generation);
void cluster_assigned(struct scripted_cluster *cluster, uint64_t id, uint32_t attempt,
                      uint16_t actor, uint64_t first, uint16_t count);
void cluster_assigned_chunk(struct scripted_cluster *cluster, uint64_t id, uint32_t attempt,
                            uint16_t actor, uint64_t first, uint16_t count);
void cluster_acked(struct scripted_cluster *cluster, uint64_t id, uint64_t count);

// The client's next notice.
const struct weir_notice *cluster_expect(struct scripted_cluster *cluster,
                                         enum weir_notice_kind kind);
void cluster_expect_event(struct scripted_cluster *cluster, uint16_t actor, uint64_t counter);
void cluster_expect_nothing(struct scripted_cluster *cluster);
void cluster_expect_cursor(struct scripted_cluster *cluster, uint64_t subscription,
                           const char *expected);

// Subscribes with such options (NULL: none); the name of the subscription, and the id of the
// request, which has been read.
uint64_t cluster_subscribe(struct scripted_cluster *cluster,
                           const struct weir_subscribe_options *options, uint64_t *id_out);

// Produces one event; the ticket.
uint64_t cluster_produce(struct scripted_cluster *cluster, const char *name);
