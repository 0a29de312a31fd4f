// What is on its way in a network of replicas: a heap of items, by time, then by age. Items own
// deep copies of messages. For replica_network.c alone.
#pragma once

#include "tests/unit/replication/replica_network.h"

enum item_kind { ITEM_MESSAGE, ITEM_CHUNKS, ITEM_OPEN, ITEM_CLOSE, ITEM_DIAL_FAILED };

struct network_item {
    struct instant at;
    uint64_t sequence;
    enum item_kind kind;
    uint32_t connection;
    int side; // of the connection; DIAL_FAILED: the node
    uint64_t dial;
    uint32_t refusal;
    uint16_t actor;
    uint32_t first; // CHUNKS: indexes, [first, end)
    uint32_t end;
    struct peer_message message;
    void *memory[2];
};

void network_push(struct network *network, struct network_item item);
struct network_item network_pop(struct network *network);
void network_item_free(struct network_item *item); // what it owns

void *network_copy(const void *data, size_t length);
void network_copy_message(struct network_item *item, const struct peer_message *message);

// So late, and a little at random.
struct instant network_later(struct network *network, int64_t ms);

// Puts it on its way to one side of a connection; lost, and with it all that follows, when the way
// is blocked.
void network_transmit(struct network *network, uint32_t connection, int side,
                      struct network_item item);
