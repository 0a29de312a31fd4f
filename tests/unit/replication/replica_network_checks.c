// What a test waits for, seen from outside of the replicas.

#include "tests/unit/replication/replica_network.h"

bool network_is_level(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        for (uint16_t actor = 1; actor <= NETWORK_NODES_MAX && network->nodes[i].replica; actor++) {
            if (network->nodes[i].held[actor] != network->strands[actor].length) {
                return false;
            }
        }
    }
    return true;
}

int network_links(const struct network *network, int node)
{
    int count = 0;
    for (uint32_t c = 0; c < network->connections_count; c++) {
        const struct network_connection *connection = &network->connections[c];
        bool is_whole = connection->id[0] && connection->id[1] && !connection->is_broken[0] &&
                        !connection->is_broken[1];
        count += is_whole && (connection->side[0] == node || connection->side[1] == node);
    }
    return count;
}

bool network_is_meshed(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        if (network_links(network, i) != network->count - 1) {
            return false;
        }
    }
    return true;
}

struct hash128 network_hash(uint16_t actor, uint64_t counter, uint8_t branch)
{
    struct hash128 hash = {{0}};
    store_be64(hash.bytes, counter);
    store_be16(hash.bytes + 8, actor);
    hash.bytes[15] = (uint8_t)(branch + 1);
    return hash;
}

uint64_t counter_held_by(const struct replica *replica, uint32_t nodes)
{
    uint64_t held[REPLICAS_MAX];
    replica_held_by(replica, held);
    return held[nodes - 1];
}
