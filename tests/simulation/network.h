// A simulated network: streams of bytes between endpoints, with the faults that a real one has.
// What is written arrives later, in order, in pieces; paths between hosts are slow, thin, blocked
// in one direction or both; connections are cut in the middle of a message, or die on one side
// alone.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/list.h"
#include "proto/base/random.h"
#include "tests/simulation/schedule.h"

enum {
    STREAM_WINDOW = 128 * 1024, // written and not yet read
    HOSTS_WITH_PATHS_MAX = 16,  // beyond that all paths are alike and sound
};

struct network;
struct connection;

struct endpoint;
struct endpoint_ops {
    void (*readable)(struct endpoint *endpoint); // bytes have come, or the end has
    void (*writable)(struct endpoint *endpoint); // there is room again
};

struct endpoint {
    const struct endpoint_ops *ops;
    struct connection *connection; // NULL: gone
    unsigned side;
};

// One direction between two hosts.
struct path {
    int64_t latency_ns;
    int64_t jitter_ns;
    int64_t ns_per_kib;           // 0: as wide as it gets
    bool is_blocked;              // nothing arrives until it is not
    struct instant blocked_until; // when it was that last
};

struct network {
    struct schedule *schedule;
    struct random *random;
    struct list_node connections;
    struct path paths[HOSTS_WITH_PATHS_MAX][HOSTS_WITH_PATHS_MAX];
    struct path sound;
    struct path parted;           // between the sides
    unsigned parted_at;           // hosts from it on are on the other side; 0: one side
    uint64_t bytes_between_hosts; // of hosts that are not the same
};

// Clients sit beside a host: their host is the one they talk to.
void network_init(struct network *network, struct schedule *schedule, struct random *random);
void network_deinit(struct network *network); // all endpoints must be closed

struct path *network_path(struct network *network, unsigned from, unsigned to);
bool network_is_blocked(struct network *network, unsigned from, unsigned to); // either direction

// Both endpoints' ops must be set.
void network_connect(struct network *network, struct endpoint *a, unsigned host_a,
                     struct endpoint *b, unsigned host_b);

size_t network_room(const struct endpoint *endpoint);
void network_write(struct endpoint *endpoint, struct bytes bytes); // at most the room

// What has come; valid until the next call for this endpoint.
struct bytes network_readable(const struct endpoint *endpoint);
void network_consume(struct endpoint *endpoint, size_t length);
// The other side has closed and everything is read, or the connection was reset.
bool network_has_ended(const struct endpoint *endpoint);

// Closes this side: the other one learns it behind what was written, if the path lets it through.
void network_close(struct endpoint *endpoint);
// Closes this side, what was written and not arrived is lost; `tells`: the other side learns it.
void network_abort(struct endpoint *endpoint, bool tells);

// --- Faults

// Cuts the connection at a byte of what is under way: both sides learn it.
void network_cut(struct connection *connection);
// A connection between two different hosts, chosen evenly; NULL: there is none. `hosts_only`: not
// one of a client.
struct connection *network_any(struct network *network, bool hosts_only);
// After paths were changed: lets what waited go on.
void network_paths_changed(struct network *network);
