// What the log has brought: which strands have grown, and events that change who is a member. The
// latter are looked for in every chunk that is marked to hold some, by ordinal, so that none is
// missed: in the cache of recent blocks mostly, on the disk where the cache has lost it.

#include <stdlib.h>

#include "proto/model/chunk.h"
#include "proto/model/event.h"
#include "proto/model/slice.h"
#include "server/node/cluster_state.h"
#include "server/node/groups.h"

enum { SCAN_READ_BYTES = 256 * 1024 };

// --- Events of members -------------------------------------------------------------------------

static int tell_member(struct cluster *cluster, struct event_id id, struct bytes data)
{
    struct replica_event event = {.kind = REPLICA_MEMBER_EVENT};
    int err = member_event_decode(data, &event.member);
    if (err == ERR_INVALID || err == ERR_VERSION) {
        char text[EVENT_ID_SHORT_LENGTH_MAX + 1];
        event_id_format_short(id, text);
        cluster_log(cluster, LOG_WARNING,
                    "the event %s about a member is not understood: a newer version wrote it",
                    text);
        return 0;
    }
    event.member.id = id;
    return err ? err : cluster_tell(cluster, &event);
}

static int tell_events(struct cluster *cluster, struct event_id first, struct bytes events)
{
    for (uint64_t i = 0; events.length > 0; i++) {
        struct event event;
        int err = event_next(&events, &event);
        if (err) {
            return 0; // checked when it came in: cannot be
        }
        struct event_id id = {.counter = first.counter + i, .actor = first.actor};
        err = bytes_equal(event.name, bytes_of_text(MEMBERS_NAMESPACE))
                  ? tell_member(cluster, id, event.data)
                  : groups_take_event(cluster->groups, event.name, id, event.data);
        if (err) {
            return err;
        }
    }
    return 0;
}

// The chunks of a block behind an ordinal.
static int tell_chunks(struct cluster *cluster, const struct block *block, uint64_t after)
{
    struct bytes rest = block_bytes(block);
    for (uint64_t ordinal = block->ordinal_first; rest.length > 0; ordinal++) {
        struct chunk_header header;
        chunk_header_load(rest.data, &header);
        size_t length = CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
        if ((header.flags & CHUNK_HAS_SYSTEM) && ordinal > after) {
            struct bytes body;
            int err = chunk_body(&header, bytes_of(rest.data, length), &cluster->scan.body, &body);
            struct event_id first = {.counter = header.first, .actor = header.actor};
            err = err ? err : tell_events(cluster, first, body);
            if (err) {
                return err;
            }
            cluster->scan.ordinal = ordinal;
        }
        rest = bytes_of(rest.data + length, rest.length - length);
    }
    return 0;
}

int cluster_tell_chunk(struct cluster *cluster, struct bytes chunk)
{
    struct chunk_header header;
    struct bytes body;
    chunk_header_load(chunk.data, &header);
    if (!(header.flags & CHUNK_HAS_SYSTEM)) {
        return 0;
    }
    int err = chunk_body(&header, chunk, &cluster->scan.body, &body);
    struct event_id first = {.counter = header.first, .actor = header.actor};
    return err ? err : tell_events(cluster, first, body);
}

static int tell_slices(struct cluster *cluster, const struct block *block)
{
    struct bytes rest = block_bytes(block);
    while (rest.length > 0) {
        struct slice slice;
        int err = slice_next(&rest, &slice);
        struct event_id first = {.counter = slice.first, .actor = slice.actor};
        err = err ? err : tell_events(cluster, first, slice.events);
        if (err) {
            return err;
        }
    }
    return 0;
}

static void scan_step(struct cluster *cluster);

static void scan_completed(struct read_owner *owner)
{
    struct member_scan *scan = container_of(owner, struct member_scan, owner);
    struct cluster *cluster = container_of(scan, struct cluster, scan);
    cluster->service->in_flight--;
    scan->is_reading = false;
    int err = scan->read.result;
    if (err == 0 && scan->read.block) {
        err = tell_slices(cluster, scan->read.block);
    }
    block_unref(scan->read.block);
    scan->read.block = NULL;
    if (err == 0) {
        scan->ordinal = scan->read.done ? scan->read.ordinal_end : scan->read.ordinal - 1;
    }
    if (err || scan->read.done || cluster->is_over) {
        // After an error it is begun again, with the next news.
        read_deinit(&scan->read);
        return;
    }
    scan_step(cluster);
}

static void scan_step(struct cluster *cluster)
{
    cluster->scan.is_reading = true;
    cluster_read(cluster, &cluster->scan.read, &cluster->scan.owner, scan_completed);
}

static void scan_begin(struct cluster *cluster, uint64_t ordinal)
{
    struct member_scan *scan = &cluster->scan;
    const struct filter_entry entries[] = {
        {.text = bytes_of_text(MEMBERS_NAMESPACE), .is_exact = true},
        {.text = bytes_of_text(SUBSCRIPTIONS_NAMESPACE "*")},
    };
    struct reason reason;
    read_init(&scan->read, READ_ARRIVAL);
    if (filter_new(entries, 2, &scan->read.filter, &reason)) {
        read_deinit(&scan->read);
        return;
    }
    scan->read.ordinal = scan->ordinal + 1;
    scan->read.ordinal_end = ordinal;
    scan->read.bytes_max = SCAN_READ_BYTES;
    scan->read.slices_only = true;
    scan_step(cluster);
}

static void scan_members(struct cluster *cluster, uint64_t ordinal)
{
    struct member_scan *scan = &cluster->scan;
    while (!scan->is_reading && scan->ordinal < ordinal && !cluster->is_over) {
        struct block *block = store_recent(cluster->service->port, scan->ordinal + 1);
        if (!block) {
            scan_begin(cluster, ordinal);
            return;
        }
        int err = tell_chunks(cluster, block, scan->ordinal);
        uint64_t last = block->ordinal_first + block->chunks - 1;
        block_unref(block);
        if (err) {
            service_wake(cluster->service);
            return;
        }
        scan->ordinal = last;
    }
}

// --- Heads -------------------------------------------------------------------------------------

static int reserve_ends(struct cluster *cluster, uint32_t count)
{
    if (count <= cluster->ends_capacity) {
        return 0;
    }
    uint32_t capacity = 2 * count;
    struct strand_end *ends = realloc(cluster->ends, capacity * sizeof *ends);
    if (!ends) {
        return ERR_MEMORY;
    }
    cluster->ends = ends;
    struct strand_head *moved = realloc(cluster->moved, capacity * sizeof *moved);
    if (!moved) {
        return ERR_MEMORY;
    }
    cluster->moved = moved;
    cluster->ends_capacity = capacity;
    return 0;
}

static bool is_same_end(const struct strand_end *a, const struct strand_end *b)
{
    return a->actor == b->actor && a->last == b->last && hash128_equal(&a->hash, &b->hash);
}

// Both are sorted by actor.
static uint32_t collect_moved(struct cluster *cluster, const struct strand_end *ends,
                              uint32_t count)
{
    uint32_t moved = 0;
    uint32_t known = 0;
    for (uint32_t i = 0; i < count; i++) {
        while (known < cluster->ends_count && cluster->ends[known].actor < ends[i].actor) {
            known++;
        }
        if (known < cluster->ends_count && is_same_end(&cluster->ends[known], &ends[i])) {
            continue;
        }
        cluster->moved[moved++] = (struct strand_head){
            .actor = ends[i].actor,
            .last = ends[i].last,
            .hash = ends[i].hash,
        };
    }
    return moved;
}

static void tell_heads(struct cluster *cluster)
{
    uint32_t count;
    const struct strand_end *ends = store_port_ends(cluster->service->port, &count);
    cluster->are_ends_stale = true;
    if (reserve_ends(cluster, count)) {
        return;
    }
    struct replica_event event = {
        .kind = REPLICA_COMMITTED,
        .committed =
            {
                .heads = cluster->moved,
                .count = collect_moved(cluster, ends, count),
                .clock = store_clock(cluster->node->store),
            },
    };
    if (event.committed.count > 0 && cluster_tell(cluster, &event)) {
        return; // told in the next turn
    }
    if (count > 0) {
        memcpy(cluster->ends, ends, count * sizeof *ends);
    }
    cluster->ends_count = count;
    cluster->are_ends_stale = false;
}

void cluster_take_news(struct cluster *cluster)
{
    uint64_t ordinal = store_port_ordinal(cluster->service->port);
    scan_members(cluster, ordinal);
    if (ordinal == cluster->ends_ordinal && !cluster->are_ends_stale) {
        return;
    }
    cluster->ends_ordinal = ordinal;
    tell_heads(cluster);
    LIST_FOR_EACH(&cluster->peers, link)
    {
        peer_has_news(container_of(link, struct peer, link));
    }
}

bool cluster_has_all_news(const struct cluster *cluster)
{
    return cluster->scan.ordinal >= store_port_ordinal(cluster->service->port);
}

void cluster_news_deinit(struct cluster *cluster)
{
    if (cluster->scan.is_reading) {
        read_deinit(&cluster->scan.read);
    }
    buffer_deinit(&cluster->scan.body);
    free(cluster->ends);
    free(cluster->moved);
}

// --- At the start ------------------------------------------------------------------------------

static int record_found(void *context, struct bytes key, struct bytes value)
{
    struct replica_event event = {
        .kind = REPLICA_RECORD_FOUND,
        .record = {.key = key, .value = value},
    };
    return cluster_tell(context, &event);
}

static int member_found(void *context, struct bytes space, struct event_id id, struct bytes data)
{
    return tell_member(context, id, data);
}

static int subscription_found(void *context, struct bytes space, struct event_id id,
                              struct bytes data)
{
    const struct cluster *cluster = context;
    return groups_take_event(cluster->groups, space, id, data);
}

int cluster_read_log(struct cluster *cluster, struct reason *reason)
{
    struct store *store = cluster->node->store;
    int err = store_records(store, record_found, cluster);
    if (err == 0) {
        err = store_system_events(store, MEMBERS_NAMESPACE, member_found, cluster);
    }
    if (err == 0) {
        err = store_system_events(store, SUBSCRIPTIONS_NAMESPACE, subscription_found, cluster);
    }
    if (err) {
        return reason_set(reason, err, "what the log holds of the cluster cannot be read: %s",
                          err_text(err));
    }
    cluster->scan.ordinal = store_port_ordinal(cluster->service->port);
    return 0;
}
