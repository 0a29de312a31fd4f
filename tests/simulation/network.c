// Each direction of a connection is one buffer: what was read, what has arrived, what is under way;
// segments say when the next part of it arrives. A blocked path holds what is under way until it is
// open again, as TCP would send it again and again.
#include "tests/simulation/network.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/simulation/memory.h"

struct segment {
    struct instant at;
    size_t length; // 0: the end of the stream
};

struct stream {
    struct happening arrival;
    struct connection *connection;
    unsigned from; // side
    struct buffer bytes;
    size_t taken;   // read by the receiver
    size_t arrived; // beyond taken
    struct segment *segments;
    uint32_t segments_first;
    uint32_t segments_count;
    uint32_t segments_capacity;
    struct instant busy_until;
    bool has_ended;         // the end has arrived
    bool is_writer_waiting; // for room
};

struct connection {
    struct list_node link;
    struct network *network;
    struct endpoint *ends[2]; // NULL: closed
    unsigned hosts[2];
    struct stream streams[2]; // from side i
    bool was_reset[2];        // side i is to learn it
    bool is_cut;
};

static void on_arrival(struct happening *happening);

void network_init(struct network *network, struct schedule *schedule, struct random *random)
{
    *network = (struct network){.schedule = schedule, .random = random};
    network->sound = (struct path){.latency_ns = 100000, .jitter_ns = 50000};
    network->parted = (struct path){.is_blocked = true};
    list_init(&network->connections);
    for (unsigned a = 0; a < HOSTS_WITH_PATHS_MAX; a++) {
        for (unsigned b = 0; b < HOSTS_WITH_PATHS_MAX; b++) {
            network->paths[a][b] = network->sound;
        }
    }
}

static void connection_free(struct connection *connection)
{
    for (unsigned i = 0; i < 2; i++) {
        schedule_clear(connection->network->schedule, &connection->streams[i].arrival);
        buffer_deinit(&connection->streams[i].bytes);
        free(connection->streams[i].segments);
    }
    list_remove(&connection->link);
    free(connection);
}

void network_deinit(struct network *network)
{
    struct list_node *link;
    while ((link = list_first(&network->connections))) {
        struct connection *connection = container_of(link, struct connection, link);
        assert(!connection->ends[0] && !connection->ends[1]);
        connection_free(connection);
    }
}

struct path *network_path(struct network *network, unsigned from, unsigned to)
{
    if (network->parted_at > 0 && (from < network->parted_at) != (to < network->parted_at)) {
        return &network->parted;
    }
    bool has_own = from != to && from < HOSTS_WITH_PATHS_MAX && to < HOSTS_WITH_PATHS_MAX;
    return has_own ? &network->paths[from][to] : &network->sound;
}

bool network_is_blocked(struct network *network, unsigned from, unsigned to)
{
    return network_path(network, from, to)->is_blocked ||
           network_path(network, to, from)->is_blocked;
}

void network_connect(struct network *network, struct endpoint *a, unsigned host_a,
                     struct endpoint *b, unsigned host_b)
{
    struct connection *connection = memory_new(1, sizeof *connection);
    connection->network = network;
    connection->ends[0] = a;
    connection->ends[1] = b;
    connection->hosts[0] = host_a;
    connection->hosts[1] = host_b;
    list_init(&connection->link);
    list_append(&network->connections, &connection->link);
    for (unsigned i = 0; i < 2; i++) {
        connection->streams[i].connection = connection;
        connection->streams[i].from = i;
        connection->streams[i].arrival.happen = on_arrival;
        connection->ends[i]->connection = connection;
        connection->ends[i]->side = i;
    }
}

// --- Sending -----------------------------------------------------------------------------------

static struct path *path_of(const struct stream *stream)
{
    const struct connection *connection = stream->connection;
    return network_path(connection->network, connection->hosts[stream->from],
                        connection->hosts[1 - stream->from]);
}

static size_t stream_waiting(const struct stream *stream)
{
    return stream->bytes.length - stream->taken;
}

static void arm(struct stream *stream)
{
    if (stream->segments_count == 0 || path_of(stream)->is_blocked) {
        schedule_clear(stream->connection->network->schedule, &stream->arrival);
        return;
    }
    if (!happening_is_set(&stream->arrival)) {
        schedule_set(stream->connection->network->schedule, &stream->arrival,
                     stream->segments[stream->segments_first].at);
    }
}

static void stream_push(struct stream *stream, size_t length)
{
    struct network *network = stream->connection->network;
    const struct path *path = path_of(stream);
    if (stream->segments_first + stream->segments_count == stream->segments_capacity &&
        stream->segments_first > 0) {
        memmove(stream->segments, stream->segments + stream->segments_first,
                stream->segments_count * sizeof *stream->segments);
        stream->segments_first = 0;
    }
    stream->segments =
        memory_grow(stream->segments, &stream->segments_capacity,
                    stream->segments_first + stream->segments_count + 1, sizeof *stream->segments);
    int64_t start = stream->busy_until.ns > network->schedule->now.ns ? stream->busy_until.ns
                                                                      : network->schedule->now.ns;
    stream->busy_until.ns = start + (int64_t)length * path->ns_per_kib / 1024;
    int64_t jitter =
        path->jitter_ns > 0 ? (int64_t)random_below(network->random, (uint64_t)path->jitter_ns) : 0;
    struct instant at = {.ns = stream->busy_until.ns + path->latency_ns + jitter};
    uint32_t end = stream->segments_first + stream->segments_count;
    if (stream->segments_count > 0 && at.ns < stream->segments[end - 1].at.ns) {
        at = stream->segments[end - 1].at;
    }
    stream->segments[end] = (struct segment){.at = at, .length = length};
    stream->segments_count++;
    arm(stream);
}

size_t network_room(const struct endpoint *endpoint)
{
    if (!endpoint->connection || endpoint->connection->is_cut) {
        return 0;
    }
    struct stream *stream = &endpoint->connection->streams[endpoint->side];
    size_t waiting = stream_waiting(stream);
    size_t room = waiting < STREAM_WINDOW ? STREAM_WINDOW - waiting : 0;
    stream->is_writer_waiting |= room == 0;
    return room;
}

void network_write(struct endpoint *endpoint, struct bytes bytes)
{
    struct connection *connection = endpoint->connection;
    struct stream *stream = &connection->streams[endpoint->side];
    assert(bytes.length > 0);
    if (connection->hosts[0] != connection->hosts[1]) {
        connection->network->bytes_between_hosts += bytes.length;
    }
    if (stream->taken > STREAM_WINDOW) {
        buffer_consume(&stream->bytes, stream->taken);
        stream->taken = 0;
    }
    memory_must(buffer_append(&stream->bytes, bytes));
    stream->is_writer_waiting |= stream_waiting(stream) >= STREAM_WINDOW;
    stream_push(stream, bytes.length);
}

// --- Receiving ---------------------------------------------------------------------------------

static void tell(struct endpoint *endpoint)
{
    if (endpoint) {
        endpoint->ops->readable(endpoint);
    }
}

static void reset(struct connection *connection, unsigned side)
{
    connection->was_reset[side] = true;
    tell(connection->ends[side]);
}

static void on_arrival(struct happening *happening)
{
    struct stream *stream = container_of(happening, struct stream, arrival);
    struct connection *connection = stream->connection;
    struct endpoint *receiver = connection->ends[1 - stream->from];
    struct instant now = connection->network->schedule->now;
    while (stream->segments_count > 0 && stream->segments[stream->segments_first].at.ns <= now.ns) {
        struct segment segment = stream->segments[stream->segments_first];
        stream->segments_first++;
        stream->segments_count--;
        stream->arrived += segment.length;
        stream->has_ended |= segment.length == 0;
    }
    if (stream->segments_count == 0) {
        stream->segments_first = 0;
    }
    arm(stream);
    if (receiver) {
        tell(receiver);
    } else if (connection->ends[stream->from]) {
        // Nobody is there any more: the sender learns it.
        reset(connection, stream->from);
    } else if (connection->streams[0].segments_count + connection->streams[1].segments_count == 0) {
        connection_free(connection);
    }
}

static struct stream *incoming(const struct endpoint *endpoint)
{
    return &endpoint->connection->streams[1 - endpoint->side];
}

struct bytes network_readable(const struct endpoint *endpoint)
{
    if (!endpoint->connection || endpoint->connection->was_reset[endpoint->side]) {
        return (struct bytes){0};
    }
    const struct stream *stream = incoming(endpoint);
    return stream->arrived > 0 ? bytes_of(stream->bytes.data + stream->taken, stream->arrived)
                               : (struct bytes){0};
}

void network_consume(struct endpoint *endpoint, size_t length)
{
    struct stream *stream = incoming(endpoint);
    struct endpoint *writer = endpoint->connection->ends[stream->from];
    assert(length <= stream->arrived);
    stream->taken += length;
    stream->arrived -= length;
    if (stream->is_writer_waiting && stream_waiting(stream) < STREAM_WINDOW / 2) {
        stream->is_writer_waiting = false;
        if (writer) {
            writer->ops->writable(writer);
        }
    }
}

bool network_has_ended(const struct endpoint *endpoint)
{
    if (!endpoint->connection) {
        return true;
    }
    const struct stream *stream = incoming(endpoint);
    return endpoint->connection->was_reset[endpoint->side] ||
           (stream->has_ended && stream->arrived == 0);
}

// --- Ends --------------------------------------------------------------------------------------

static void leave(struct endpoint *endpoint)
{
    struct connection *connection = endpoint->connection;
    connection->ends[endpoint->side] = NULL;
    endpoint->connection = NULL;
    bool is_forgotten = !connection->ends[0] && !connection->ends[1] &&
                        connection->streams[0].segments_count == 0 &&
                        connection->streams[1].segments_count == 0;
    if (is_forgotten) {
        connection_free(connection);
    }
}

void network_close(struct endpoint *endpoint)
{
    struct connection *connection = endpoint->connection;
    if (connection) {
        if (connection->ends[1 - endpoint->side] && !connection->is_cut) {
            stream_push(&connection->streams[endpoint->side], 0);
        }
        leave(endpoint);
    }
}

// What is under way is lost.
static void drop(struct stream *stream)
{
    stream->bytes.length = stream->taken + stream->arrived;
    stream->segments_count = 0;
    arm(stream);
}

void network_abort(struct endpoint *endpoint, bool tells)
{
    struct connection *connection = endpoint->connection;
    if (!connection) {
        return;
    }
    drop(&connection->streams[endpoint->side]);
    if (tells && connection->ends[1 - endpoint->side] && !connection->is_cut) {
        stream_push(&connection->streams[endpoint->side], 0);
    }
    leave(endpoint);
}

void network_cut(struct connection *connection)
{
    connection->is_cut = true;
    for (unsigned i = 0; i < 2; i++) {
        struct stream *stream = &connection->streams[i];
        size_t under_way = stream_waiting(stream) - stream->arrived;
        stream->arrived += (size_t)random_below(connection->network->random, under_way + 1);
        stream->has_ended = true;
        drop(stream);
        tell(connection->ends[1 - i]);
    }
}

struct connection *network_any(struct network *network, bool hosts_only)
{
    uint64_t seen = 0;
    struct connection *chosen = NULL;
    LIST_FOR_EACH(&network->connections, link)
    {
        struct connection *connection = container_of(link, struct connection, link);
        bool fits = connection->ends[0] && connection->ends[1] &&
                    (!hosts_only || connection->hosts[0] != connection->hosts[1]);
        if (fits && random_below(network->random, ++seen) == 0) {
            chosen = connection;
        }
    }
    return chosen;
}

void network_paths_changed(struct network *network)
{
    LIST_FOR_EACH(&network->connections, link)
    {
        struct connection *connection = container_of(link, struct connection, link);
        arm(&connection->streams[0]);
        arm(&connection->streams[1]);
    }
}
