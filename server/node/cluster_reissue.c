// A rescue: what this node's branch of a forked strand has beyond the last common chunk is stored
// again, in order, under the actor that the node has now. Each event gets the attribute `was`, its
// old id. Piece by piece, a piece being what one read of the strand brings: whole produces, which
// stay whole.

#include <stdlib.h>

#include "proto/model/chunk.h"
#include "proto/model/event.h"
#include "server/node/cluster_state.h"

#define ATTRIBUTE_WAS "was"

enum {
    REISSUE_READ_BYTES = 256 * 1024,
    WAS_BYTES_MAX = 5 + sizeof ATTRIBUTE_WAS + 5 + EVENT_ID_KEY_LENGTH, // encoded
};

static void piece_next(struct cluster *cluster);

static void pause(struct cluster *cluster, const char *what, int err)
{
    cluster->reissue.retry_at = instant_add(cluster->service->now, duration_ms(CLUSTER_RETRY_MS));
    cluster_log(cluster, LOG_WARNING, "the rescue waits: %s (%s)", what, err_text(err));
}

static void finish(struct cluster *cluster)
{
    struct reissue *reissue = &cluster->reissue;
    struct replica_event event = {.kind = REPLICA_REISSUED};
    reissue->is_running = false;
    read_deinit(&reissue->read);
    cluster_log(cluster, LOG_INFO, "%llu events of the forked strand of actor %u are stored again",
                (unsigned long long)reissue->events_count, reissue->actor);
    cluster_tell_surely(cluster, &event);
}

// --- Events ------------------------------------------------------------------------------------

// The event's attributes and one more; the parent has a place of its own. An event that has no room
// for one more is stored without: beyond the limits no member would take it.
static int attributes_with_was(struct reissue *reissue, const struct event *event,
                               struct event_id id)
{
    struct attribute attributes[ATTRIBUTES_MAX];
    uint8_t key[EVENT_ID_KEY_LENGTH];
    size_t count = 0;
    size_t left = 0;
    struct bytes rest = event->attributes;
    int err = rest.length > 0 ? attributes_begin(&rest, &left) : 0;
    for (; err == 0 && left > 0 && count < ATTRIBUTES_MAX; left--) {
        err = attributes_next(&rest, &attributes[count]);
        count += !bytes_equal(attributes[count].key, bytes_of_text(ATTRIBUTE_PARENT));
    }
    bool has_parent = !event_id_is_none(event_parent(event));
    if (err == 0 && count + has_parent < ATTRIBUTES_MAX &&
        event->attributes.length + WAS_BYTES_MAX <= ATTRIBUTES_BYTES_MAX) {
        event_id_encode_key(id, key);
        attributes[count++] = (struct attribute){
            .key = bytes_of_text(ATTRIBUTE_WAS),
            .value = bytes_of(key, sizeof key),
        };
    }
    buffer_clear(&reissue->attributes);
    return err ? err
               : attributes_append(&reissue->attributes, attributes, count, event_parent(event));
}

static int run_for(struct reissue *reissue, size_t length, struct append_run **run_out)
{
    struct append_run *last =
        reissue->runs_count > 0 ? &reissue->runs[reissue->runs_count - 1] : NULL;
    if (last && last->count < CHUNK_EVENTS_MAX && last->length + length <= CHUNK_BODY_BYTES_CLOSE) {
        *run_out = last;
        return 0;
    }
    if (reissue->runs_count == reissue->runs_capacity) {
        uint32_t capacity = reissue->runs_capacity > 0 ? 2 * reissue->runs_capacity : 64;
        struct append_run *runs = realloc(reissue->runs, capacity * sizeof *runs);
        if (!runs) {
            return ERR_MEMORY;
        }
        reissue->runs = runs;
        reissue->runs_capacity = capacity;
    }
    *run_out = &reissue->runs[reissue->runs_count++];
    **run_out = (struct append_run){0};
    return 0;
}

static int add_event(struct reissue *reissue, const struct event *event, struct event_id id)
{
    size_t before = reissue->events.length;
    struct append_run *run;
    int err = attributes_with_was(reissue, event, id);
    if (err == 0) {
        err = event_append(&reissue->events, event->name, event->data,
                           buffer_bytes(&reissue->attributes));
    }
    size_t length = reissue->events.length - before;
    err = err ? err : run_for(reissue, length, &run);
    if (err == 0) {
        run->count++;
        run->length += (uint32_t)length;
    }
    return err;
}

static int add_chunk(struct reissue *reissue, const struct chunk_header *header, struct bytes chunk,
                     struct buffer *scratch)
{
    struct bytes body;
    if (header->flags & CHUNK_HAS_SYSTEM) {
        return 0; // what the system said under the old actor is its business
    }
    int err = chunk_body(header, chunk, scratch, &body);
    for (uint16_t i = 0; i < header->count && err == 0; i++) {
        struct event event;
        struct event_id id = {.counter = header->first + i, .actor = header->actor};
        err = event_next(&body, &event);
        err = err ? err : add_event(reissue, &event, id);
    }
    return err;
}

// --- Pieces ------------------------------------------------------------------------------------

static void piece_completed(struct cluster_append *done)
{
    struct cluster *cluster = done->cluster;
    if (cluster->is_over) {
        return;
    }
    if (done->append.result != 0) {
        cluster->reissue.is_piece_due = true;
        pause(cluster, "the log does not take its events", done->append.result);
        return;
    }
    cluster->reissue.events_count += done->append.events;
    piece_next(cluster);
}

static void piece_submit(struct cluster *cluster)
{
    struct reissue *reissue = &cluster->reissue;
    uint32_t events = 0;
    for (uint32_t i = 0; i < reissue->runs_count; i++) {
        events += reissue->runs[i].count;
    }
    reissue->is_piece_due = false;
    reissue->append.append = (struct append){
        .kind = APPEND_PRODUCE,
        .bytes = buffer_bytes(&reissue->events),
        .runs = reissue->runs,
        .runs_count = reissue->runs_count,
        .events = events,
    };
    cluster_append(cluster, &reissue->append, piece_completed);
}

// A whole produce of the strand.
struct produce {
    struct bytes chunks;
    uint32_t events;
    uint64_t length; // with the ids that are added
};

static int produce_next(struct bytes *rest, struct produce *out)
{
    struct chunk_header header = {.open = 1};
    struct bytes chunk;
    *out = (struct produce){.chunks = {.data = rest->data}};
    while (rest->length > 0 && header.open > 0) {
        int err = chunk_next(rest, &header, &chunk);
        if (err) {
            return err;
        }
        out->chunks.length += chunk.length;
        out->events += header.count;
        out->length += header.plain_length + (uint64_t)header.count * WAS_BYTES_MAX;
    }
    return 0;
}

static int add_produce(struct reissue *reissue, const struct produce *produce,
                       struct buffer *scratch)
{
    struct bytes rest = produce->chunks;
    int err = 0;
    while (rest.length > 0 && err == 0) {
        struct chunk_header header;
        struct bytes chunk;
        err = chunk_next(&rest, &header, &chunk);
        err = err ? err : add_chunk(reissue, &header, chunk, scratch);
    }
    return err;
}

// As many produces of the block as may be one, and at least one.
static int piece_build(struct reissue *reissue)
{
    struct bytes rest = block_bytes(reissue->block);
    struct buffer scratch = {0};
    uint32_t events = 0;
    uint64_t length = 0;
    int err = 0;
    rest = bytes_of(rest.data + reissue->offset, rest.length - reissue->offset);
    buffer_clear(&reissue->events);
    reissue->runs_count = 0;
    while (rest.length > 0 && err == 0) {
        struct produce produce;
        err = produce_next(&rest, &produce);
        events += produce.events;
        length += produce.length;
        bool is_first = events == produce.events;
        if (err || (!is_first && (events > PRODUCE_EVENTS_MAX || length > PRODUCE_BYTES_MAX))) {
            break;
        }
        err = add_produce(reissue, &produce, &scratch);
        reissue->piece_end = (size_t)(rest.data - reissue->block->data);
    }
    buffer_deinit(&scratch);
    return err;
}

static void read_step(struct cluster *cluster);

static void block_drop(struct reissue *reissue)
{
    block_unref(reissue->block);
    reissue->block = NULL;
    reissue->offset = 0;
}

// What is left of the block, piece by piece; then the next read.
static void piece_next(struct cluster *cluster)
{
    struct reissue *reissue = &cluster->reissue;
    while (reissue->block && reissue->offset < reissue->block->length) {
        int err = piece_build(reissue);
        if (err == ERR_MEMORY) {
            cluster_fail(cluster, "out of memory in a rescue");
            return;
        }
        if (err) {
            pause(cluster, "what was read makes no sense", err);
            return;
        }
        reissue->offset = reissue->piece_end;
        if (reissue->runs_count > 0) {
            piece_submit(cluster);
            return;
        }
    }
    block_drop(reissue);
    read_step(cluster);
}

static void read_completed(struct read_owner *owner)
{
    struct reissue *reissue = container_of(owner, struct reissue, owner);
    struct cluster *cluster = container_of(reissue, struct cluster, reissue);
    struct read *read = &reissue->read;
    cluster->service->in_flight--;
    reissue->is_reading = false;
    reissue->block = read->block;
    read->block = NULL;
    if (cluster->is_over) {
        read_deinit(read);
        reissue->is_running = false;
    } else if (read->result == ERR_MEMORY) {
        cluster_fail(cluster, "out of memory in a rescue");
    } else if (read->result != 0) {
        block_drop(reissue);
        pause(cluster, read->reason.text, read->result < 0 ? read->result : ERR_CORRUPT);
    } else if (!reissue->block) {
        finish(cluster);
    } else {
        piece_next(cluster);
    }
}

static void read_step(struct cluster *cluster)
{
    struct reissue *reissue = &cluster->reissue;
    reissue->is_reading = true;
    cluster_read(cluster, &reissue->read, &reissue->owner, read_completed);
}

void cluster_reissue(struct cluster *cluster, uint16_t actor, uint64_t above)
{
    struct reissue *reissue = &cluster->reissue;
    const struct strand_end *end = cluster_end(cluster, actor);
    if (reissue->is_running) {
        return;
    }
    reissue->is_running = true;
    reissue->retry_at = INSTANT_NEVER;
    reissue->actor = actor;
    reissue->events_count = 0;
    read_init(&reissue->read, READ_STRAND);
    reissue->read.position = (struct event_id){.counter = above, .actor = actor};
    reissue->read.bytes_max = REISSUE_READ_BYTES;
    if (version_vector_set(&reissue->read.upper, actor, end ? end->last : 0)) {
        cluster_fail(cluster, "out of memory in a rescue");
        return;
    }
    read_step(cluster);
}

void cluster_reissue_retry(struct cluster *cluster)
{
    struct reissue *reissue = &cluster->reissue;
    if (!reissue->is_running || !instant_reached(reissue->retry_at, cluster->service->now)) {
        return;
    }
    reissue->retry_at = INSTANT_NEVER;
    if (reissue->is_piece_due) {
        piece_submit(cluster);
    } else {
        piece_next(cluster);
    }
}

void cluster_reissue_deinit(struct cluster *cluster)
{
    struct reissue *reissue = &cluster->reissue;
    if (reissue->is_running) {
        read_deinit(&reissue->read);
    }
    block_drop(reissue);
    buffer_deinit(&reissue->events);
    buffer_deinit(&reissue->attributes);
    free(reissue->runs);
}
