// The heap is an array; a connection keeps order because nothing arrives before what was sent
// before.

#include "tests/unit/replication/replica_network_queue.h"

#include <assert.h>
#include <stdlib.h>

// --- The heap ----------------------------------------------------------------------------------

static bool is_before(const struct network_item *a, const struct network_item *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->sequence < b->sequence;
}

void network_push(struct network *network, struct network_item item)
{
    if (network->queue_count == network->queue_capacity) {
        network->queue_capacity = network->queue_capacity ? 2 * network->queue_capacity : 256;
        network->queue = realloc(network->queue, network->queue_capacity * sizeof *network->queue);
        assert(network->queue);
    }
    item.sequence = ++network->sequence;
    uint32_t i = network->queue_count++;
    for (; i > 0 && is_before(&item, &network->queue[(i - 1) / 2]); i = (i - 1) / 2) {
        network->queue[i] = network->queue[(i - 1) / 2];
    }
    network->queue[i] = item;
}

struct network_item network_pop(struct network *network)
{
    struct network_item first = network->queue[0];
    struct network_item last = network->queue[--network->queue_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= network->queue_count) {
            break;
        }
        if (child + 1 < network->queue_count &&
            is_before(&network->queue[child + 1], &network->queue[child])) {
            child++;
        }
        if (!is_before(&network->queue[child], &last)) {
            break;
        }
        network->queue[i] = network->queue[child];
        i = child;
    }
    network->queue[i] = last;
    return first;
}

// --- Messages ----------------------------------------------------------------------------------

void *network_copy(const void *data, size_t length)
{
    void *copy = malloc(length + 1);
    assert(copy);
    if (length > 0) {
        memcpy(copy, data, length);
    }
    return copy;
}

static void copy_bytes(struct network_item *item, int i, struct bytes *bytes)
{
    item->memory[i] = network_copy(bytes->data, bytes->length);
    bytes->data = item->memory[i];
}

static void copy_members(struct network_item *item)
{
    struct peer_members *members = &item->message.members;
    size_t length = members->count * sizeof *members->entries;
    size_t texts = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        texts += members->entries[i].address.length;
    }
    struct member_note *entries = malloc(length + texts + 1);
    assert(entries);
    uint8_t *text = (uint8_t *)entries + length;
    for (uint32_t i = 0; i < members->count; i++) {
        entries[i] = members->entries[i];
        if (entries[i].address.length > 0) {
            memcpy(text, entries[i].address.data, entries[i].address.length);
        }
        entries[i].address.data = text;
        text += entries[i].address.length;
    }
    members->entries = entries;
    item->memory[0] = entries;
}

void network_copy_message(struct network_item *item, const struct peer_message *message)
{
    item->message = *message;
    struct peer_message *copy = &item->message;
    if (copy->kind == PEER_NOTE) {
        item->memory[0] =
            network_copy(copy->note.entries, copy->note.count * sizeof *copy->note.entries);
        copy->note.entries = item->memory[0];
    } else if (copy->kind == PEER_PROMISES) {
        item->memory[0] =
            network_copy(copy->promises.entries, copy->promises.count * sizeof(struct promise));
        copy->promises.entries = item->memory[0];
    } else if (copy->kind == PEER_MEMBERS) {
        copy_members(item);
    } else if (copy->kind == PEER_ASK) {
        copy_bytes(item, 0, &copy->ask.address);
    } else if (copy->kind == PEER_ANSWER) {
        copy_bytes(item, 0, &copy->answer.text);
        copy_bytes(item, 1, &copy->answer.chunk);
    }
}

void network_item_free(struct network_item *item)
{
    free(item->memory[0]);
    free(item->memory[1]);
}

// --- On its way --------------------------------------------------------------------------------

struct instant network_later(struct network *network, int64_t ms)
{
    int64_t ns = ms * 1000000 + (int64_t)random_below(&network->random, 500000);
    return (struct instant){.ns = network->now.ns + ns};
}

void network_transmit(struct network *network, uint32_t c, int side, struct network_item item)
{
    struct network_connection *connection = &network->connections[c];
    int from = connection->side[1 - side];
    int to = connection->side[side];
    if (network->is_blocked[from][to] || network->nodes[from].is_frozen) {
        connection->is_broken[side] = true;
    }
    if (connection->is_broken[side]) {
        network_item_free(&item);
        return;
    }
    struct instant at = network_later(network, network->latency_ms);
    if (at.ns <= connection->last[side].ns) {
        at.ns = connection->last[side].ns + 1;
    }
    connection->last[side] = at;
    item.at = at;
    item.connection = c;
    item.side = side;
    network_push(network, item);
}
