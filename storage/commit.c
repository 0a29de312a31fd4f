// The commit: everything that is pending becomes chunks, one batch, one sync; then it is published.
//
// Runs of encoded events are handled, never single ones: a chunk's body is a view of the append's
// own bytes wherever its runs lie back to back, and is copied only when several appends share a
// chunk. Nothing is visible before the sync has returned: readers are bounded by the published
// vector, which moves last. A failed write or sync is fatal, because its outcome is unknown; a
// failed allocation before the write undoes the commit.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "storage/commit.h"

struct builder {
    struct store *store;
    uint64_t now_ms;
    struct block *block; // the last of the commit's blocks
    size_t bytes_left;   // estimate of what is still to be built, for the size of blocks
    struct bytes body;   // of the open chunk; count 0: none is open
    uint64_t first;
    uint16_t count;
};

// --- Collect -----------------------------------------------------------------------------------

static bool commit_collect(struct store *store)
{
    struct append_list *appends = &store->commit.appends;
    uint64_t bytes = 0;
    append_list_init(appends);
    pthread_mutex_lock(&store->queue.lock);
    while (store->queue.appends.first != NULL &&
           (bytes == 0 || bytes + store->queue.appends.first->bytes.length <= COMMIT_BYTES_MAX)) {
        struct append *append = append_list_take(&store->queue.appends);
        bytes += append->bytes.length;
        append->result = 0;
        append_list_add(appends, append);
    }
    pthread_mutex_unlock(&store->queue.lock);
    return appends->first != NULL;
}

// --- Lease -------------------------------------------------------------------------------------

// The highest counter that this commit can come to.
static uint64_t commit_counter_bound(struct store *store)
{
    uint64_t bound = atomic_load(&store->clock_seen);
    uint64_t events = 0;
    bound = bound > store->commit.clock ? bound : store->commit.clock;
    for (const struct append *append = store->commit.appends.first; append != NULL;
         append = append->next) {
        events += append->events;
        struct bytes rest = append->bytes;
        struct chunk_header header;
        struct bytes chunk;
        while (append->kind == APPEND_CHUNKS && rest.length > 0 &&
               chunk_next(&rest, &header, &chunk) == 0) {
            bound = chunk_last(&header) > bound ? chunk_last(&header) : bound;
        }
    }
    return bound + events;
}

// Counters are only taken below a lease that is on the disk already. It is renewed in passing, by
// the batch of a commit, when half of it is used; a commit that needs more pays for a sync.
static int commit_renew_lease(struct store *store, uint64_t *renewed_out)
{
    uint64_t bound = commit_counter_bound(store);
    *renewed_out = 0;
    if (bound + COUNTER_LEASE_STEP / 2 <= store->commit.lease) {
        return 0;
    }
    uint64_t lease = bound + COUNTER_LEASE_STEP;
    uint8_t value[8];
    store_be64(value, lease);
    disk_batch_put(store->commit.batch, LOG_META, bytes_of_text(META_LEASE),
                   bytes_of(value, sizeof value));
    *renewed_out = lease;
    if (bound <= store->commit.lease) {
        return 0;
    }
    int result = disk_write(store->log, store->commit.batch);
    if (result == 0) {
        result = disk_sync(store->log);
    }
    disk_batch_clear(store->commit.batch);
    if (result == 0) {
        store->commit.lease = lease;
        *renewed_out = 0;
    }
    return result;
}

// --- Build -------------------------------------------------------------------------------------

// Remembers a head before its first change in this commit.
static struct head *head_touch(struct store *store, uint16_t actor)
{
    struct commit_undo *undo = store->commit.undo;
    struct head *head = heads_get(&store->commit.heads, actor);
    if (head == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < undo->heads_count; i++) {
        if (undo->heads[i].actor == actor) {
            return head;
        }
    }
    if (undo->heads_count == undo->heads_capacity) {
        size_t capacity = undo->heads_capacity == 0 ? 4 : undo->heads_capacity * 2;
        struct head *heads = realloc(undo->heads, capacity * sizeof *heads);
        if (heads == NULL) {
            return NULL;
        }
        undo->heads = heads;
        undo->heads_capacity = capacity;
    }
    undo->heads[undo->heads_count++] = *head;
    return head;
}

static int blocks_add(struct store *store, struct block *block)
{
    if (store->commit.blocks_count == store->commit.blocks_capacity) {
        size_t capacity =
            store->commit.blocks_capacity == 0 ? 16 : store->commit.blocks_capacity * 2;
        struct block **blocks = realloc(store->commit.blocks, capacity * sizeof *blocks);
        if (blocks == NULL) {
            return ERR_MEMORY;
        }
        store->commit.blocks = blocks;
        store->commit.blocks_capacity = capacity;
    }
    store->commit.blocks[store->commit.blocks_count++] = block;
    return 0;
}

// Makes room for a chunk of at most `length` bytes at the end of the builder's block.
static int builder_reserve(struct builder *builder, size_t length)
{
    if (builder->block != NULL && builder->block->capacity - builder->block->length >= length) {
        return 0;
    }
    size_t capacity = builder->bytes_left + length;
    if (capacity > BLOCK_BYTES_MAX) {
        capacity = length > BLOCK_BYTES_MAX ? length : BLOCK_BYTES_MAX;
    }
    struct block *block = block_new(BLOCK_CHUNKS, capacity);
    if (block == NULL) {
        return ERR_MEMORY;
    }
    if (blocks_add(builder->store, block) != 0) {
        block_unref(block);
        return ERR_MEMORY;
    }
    block->ordinal_first = builder->store->commit.ordinal + 1;
    builder->block = block;
    return 0;
}

// Puts the chunk that stands at the end of the builder's block into the batch and moves its head.
static int builder_put(struct builder *builder, const struct chunk_header *header, size_t length)
{
    struct store *store = builder->store;
    struct disk_batch *batch = store->commit.batch;
    const uint8_t *chunk = builder->block->data + builder->block->length - length;
    struct head *head = head_touch(store, header->actor);
    if (head == NULL) {
        return ERR_MEMORY;
    }
    assert(header->prev == head->last && header->first > head->last);
    head->last = chunk_last(header);
    head->hash = chunk_hash(chunk);
    if (header->timestamp_ms > head->timestamp_ms_max) {
        head->timestamp_ms_max = header->timestamp_ms;
    }
    store->commit.ordinal++;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    uint8_t strand_key[STRAND_KEY_LENGTH];
    uint8_t strand_value[STRAND_VALUE_LENGTH];
    uint8_t ordinal[ARRIVAL_KEY_LENGTH];
    uint8_t arrival_value[ARRIVAL_VALUE_LENGTH];
    struct arrival arrival = {
        .actor = header->actor, .first = header->first, .count = header->count};
    struct strand_record record = {.last = head->last,
                                   .timestamp_ms_max = head->timestamp_ms_max,
                                   .ordinal = store->commit.ordinal};
    event_id_encode_key((struct event_id){.counter = header->first, .actor = header->actor}, key);
    strand_key_encode(header->actor, header->first, strand_key);
    strand_record_encode(&record, strand_value);
    store_be64(ordinal, store->commit.ordinal);
    arrival_encode(&arrival, arrival_value);
    disk_batch_put(batch, LOG_CHUNKS, bytes_of(key, sizeof key), bytes_of(chunk, length));
    disk_batch_put(batch, LOG_STRANDS, bytes_of(strand_key, sizeof strand_key),
                   bytes_of(strand_value, sizeof strand_value));
    disk_batch_put(batch, LOG_ARRIVALS, bytes_of(ordinal, sizeof ordinal),
                   bytes_of(arrival_value, sizeof arrival_value));
    builder->block->chunks++;
    builder->block->events += header->count;
    store->commit.totals.chunks++;
    store->commit.totals.events += header->count;
    store->commit.totals.bytes += header->plain_length;
    return 0;
}

// Makes room for a chunk of this node of at most `length` bytes and begins its header.
static int builder_begin_chunk(struct builder *builder, size_t length,
                               struct chunk_header *header_out)
{
    struct store *store = builder->store;
    const struct head *head = head_touch(store, store->config.actor);
    if (head == NULL || builder_reserve(builder, length) != 0) {
        return ERR_MEMORY;
    }
    *header_out = (struct chunk_header){.actor = store->config.actor,
                                        .prev = head->last,
                                        .prev_hash = head->hash,
                                        .timestamp_ms = builder->now_ms};
    return 0;
}

// The chunk was appended through `out`, a view of the builder's block: it is put into the batch.
static int builder_end_chunk(struct builder *builder, const struct chunk_header *header,
                             const struct buffer *out, size_t consumed)
{
    struct block *block = builder->block;
    assert(out->data == block->data && out->length <= block->capacity);
    size_t length = out->length - block->length;
    block->length = out->length;
    builder->bytes_left -= consumed < builder->bytes_left ? consumed : builder->bytes_left;
    return builder_put(builder, header, length);
}

// Closes the open chunk; `open` events of the same produce follow in later ones.
static int builder_close_chunk(struct builder *builder, uint32_t open)
{
    struct chunk_header header;
    if (builder->count == 0) {
        return 0;
    }
    size_t need = CHUNK_HEADER_LENGTH + compress_bound(builder->body.length);
    int result = builder_begin_chunk(builder, need, &header);
    if (result != 0) {
        return result;
    }
    header.count = builder->count;
    header.first = builder->first;
    header.open = open;
    struct block *block = builder->block;
    struct buffer out = {.data = block->data, .length = block->length, .capacity = block->capacity};
    result = chunk_append(&out, &header, builder->body, builder->store->commit.compress_state);
    if (result != 0) {
        return result;
    }
    builder->count = 0;
    return builder_end_chunk(builder, &header, &out, builder->body.length);
}

// Adds bytes to the open chunk's body: in place when they follow it in memory, else by copying.
static int builder_extend_body(struct builder *builder, struct bytes run)
{
    struct buffer *scratch = &builder->store->commit.body;
    if (builder->count == 0) {
        builder->body = run;
        return 0;
    }
    if (builder->body.data + builder->body.length == run.data) {
        builder->body.length += run.length;
        return 0;
    }
    if (builder->body.data != scratch->data) {
        buffer_clear(scratch);
        if (buffer_append(scratch, builder->body) != 0) {
            return ERR_MEMORY;
        }
    }
    if (buffer_append(scratch, run) != 0) {
        return ERR_MEMORY;
    }
    builder->body = buffer_bytes(scratch);
    return 0;
}

// Makes a chunk of a run that came compressed.
static int builder_add_compressed(struct builder *builder, struct append_run run,
                                  const uint8_t *bytes, uint32_t open)
{
    struct chunk_header header;
    int result =
        builder_begin_chunk(builder, CHUNK_HEADER_LENGTH + (size_t)run.compressed_length, &header);
    if (result != 0) {
        return result;
    }
    header.count = run.count;
    header.first = builder->store->commit.clock + 1;
    header.open = open;
    struct block *block = builder->block;
    struct buffer out = {.data = block->data, .length = block->length, .capacity = block->capacity};
    result =
        chunk_append_compressed(&out, &header, bytes_of(bytes, run.compressed_length), run.length);
    if (result != 0) {
        return result;
    }
    builder->store->commit.clock += run.count;
    return builder_end_chunk(builder, &header, &out, run.compressed_length);
}

// Adds a plain run to the open chunk, which has room for it.
static int builder_add_plain(struct builder *builder, struct append_run run, const uint8_t *bytes)
{
    if (builder_extend_body(builder, bytes_of(bytes, run.length)) != 0) {
        return ERR_MEMORY;
    }
    if (builder->count == 0) {
        builder->first = builder->store->commit.clock + 1;
    }
    builder->count += run.count;
    builder->store->commit.clock += run.count;
    return 0;
}

static bool run_fits(const struct builder *builder, struct append_run run)
{
    return run.compressed_length == 0 && builder->count + run.count <= CHUNK_EVENTS_MAX &&
           builder->body.length + run.length <= CHUNK_BODY_BYTES_CLOSE;
}

static int builder_add_produce(struct builder *builder, struct append *append)
{
    uint32_t left = append->events;
    const uint8_t *at = append->bytes.data;
    append->first = builder->store->commit.clock + 1;
    for (uint32_t i = 0; i < append->runs_count; i++) {
        struct append_run run = append->runs[i];
        int result = 0;
        assert(run.count > 0 && run.count <= CHUNK_EVENTS_MAX && run.count <= left);
        if (builder->count > 0 && !run_fits(builder, run)) {
            result = builder_close_chunk(builder, i == 0 ? 0 : left);
        }
        left -= run.count;
        if (result == 0) {
            result = run.compressed_length > 0 ? builder_add_compressed(builder, run, at, left)
                                               : builder_add_plain(builder, run, at);
        }
        if (result != 0) {
            return result;
        }
        at += run.compressed_length > 0 ? run.compressed_length : run.length;
    }
    assert(left == 0 && at == append->bytes.data + append->bytes.length);
    return 0;
}

// Whether these chunks follow what is held of their actor, as a whole: 0, STORE_DUPLICATE (all of
// them are held), STORE_GAP, ERR_*. *skip_out: how many at their front are held already.
static int chunks_follow(struct store *store, struct bytes rest, size_t *skip_out)
{
    struct chunk_header header = {0};
    struct bytes chunk;
    struct head head = {0};
    size_t count = 0;
    size_t skip = 0;
    for (; rest.length > 0; count++) {
        int result = chunk_next(&rest, &header, &chunk);
        if (result != 0) {
            return result;
        }
        if (count == 0) {
            struct head *known = heads_get(&store->commit.heads, header.actor);
            if (known == NULL) {
                return ERR_MEMORY;
            }
            head = *known;
        }
        if (header.actor != head.actor) {
            return ERR_INVALID;
        }
        if (chunk_last(&header) <= head.last) {
            if (skip < count) {
                return ERR_INVALID; // behind one that is not held
            }
            skip++;
            continue;
        }
        if (header.prev != head.last || !hash128_equal(&header.prev_hash, &head.hash)) {
            return STORE_GAP;
        }
        head.last = chunk_last(&header);
        head.hash = chunk_hash(chunk.data);
    }
    *skip_out = skip;
    return count == 0 || header.open != 0 ? ERR_INVALID : skip == count ? STORE_DUPLICATE : 0;
}

static int builder_add_chunk(struct builder *builder, const struct chunk_header *header,
                             struct bytes chunk)
{
    if (builder_reserve(builder, chunk.length) != 0) {
        return ERR_MEMORY;
    }
    memcpy(builder->block->data + builder->block->length, chunk.data, chunk.length);
    builder->block->length += chunk.length;
    int result = builder_put(builder, header, chunk.length);
    if (result == 0 && chunk_last(header) > builder->store->commit.clock) {
        builder->store->commit.clock = chunk_last(header);
    }
    return result;
}

static int builder_add_chunks(struct builder *builder, struct append *append)
{
    struct bytes rest = append->bytes;
    struct chunk_header header;
    struct bytes chunk;
    size_t skip = 0;
    int result = builder_close_chunk(builder, 0);
    if (result != 0) {
        return result;
    }
    append->result = chunks_follow(builder->store, append->bytes, &skip);
    if (append->result != 0) {
        return 0;
    }
    for (size_t i = 0; rest.length > 0 && result == 0; i++) {
        result = chunk_next(&rest, &header, &chunk);
        assert(result == 0);
        if (i >= skip) {
            result = builder_add_chunk(builder, &header, chunk);
        }
    }
    return result;
}

static int commit_put_heads(struct store *store)
{
    const struct commit_undo *undo = store->commit.undo;
    int result = version_vector_copy(&store->commit.vector, &store->published.vector);
    for (size_t i = 0; i < undo->heads_count && result == 0; i++) {
        uint8_t key[HEAD_KEY_LENGTH];
        uint8_t value[HEAD_VALUE_LENGTH];
        const struct head *head = heads_get(&store->commit.heads, undo->heads[i].actor);
        head_key_encode(head->actor, key);
        head_encode(head, value);
        disk_batch_put(store->commit.batch, LOG_META, bytes_of(key, sizeof key),
                       bytes_of(value, sizeof value));
        result = version_vector_set(&store->commit.vector, head->actor, head->last);
    }
    uint8_t totals[TOTALS_LENGTH];
    totals_encode(&store->commit.totals, totals);
    disk_batch_put(store->commit.batch, LOG_META, bytes_of_text(META_TOTALS),
                   bytes_of(totals, sizeof totals));
    return result;
}

static size_t commit_bytes(const struct store *store)
{
    size_t bytes = 0;
    for (const struct append *append = store->commit.appends.first; append != NULL;
         append = append->next) {
        bytes += append->bytes.length + append->runs_count * (size_t)CHUNK_HEADER_LENGTH;
    }
    return bytes;
}

static int commit_build(struct store *store, uint64_t now_ms)
{
    struct builder builder = {.store = store, .now_ms = now_ms, .bytes_left = commit_bytes(store)};
    bool is_full = atomic_load(&store->is_full);
    int result = 0;
    uint64_t seen = atomic_load(&store->clock_seen);
    if (seen > store->commit.clock) {
        store->commit.clock = seen;
    }
    for (struct append *append = store->commit.appends.first; append != NULL && result == 0;
         append = append->next) {
        if (is_full) {
            append->result = ERR_FULL;
        } else if (append->kind == APPEND_PRODUCE) {
            result = builder_add_produce(&builder, append);
        } else {
            result = builder_add_chunks(&builder, append);
        }
    }
    if (result == 0) {
        result = builder_close_chunk(&builder, 0);
    }
    if (result == 0 && store->commit.blocks_count > 0) {
        result = commit_put_heads(store);
    }
    return result;
}

// --- Undo, write, publish ------------------------------------------------------------------------

static void commit_begin(struct store *store)
{
    struct commit_undo *undo = store->commit.undo;
    undo->clock = store->commit.clock;
    undo->ordinal = store->commit.ordinal;
    undo->totals = store->commit.totals;
    undo->heads_count = 0;
    disk_batch_clear(store->commit.batch);
    assert(store->commit.blocks_count == 0);
}

static void commit_undo(struct store *store)
{
    const struct commit_undo *undo = store->commit.undo;
    for (size_t i = 0; i < undo->heads_count; i++) {
        struct head *head = heads_get(&store->commit.heads, undo->heads[i].actor);
        assert(head != NULL);
        *head = undo->heads[i];
    }
    store->commit.clock = undo->clock;
    store->commit.ordinal = undo->ordinal;
    store->commit.totals = undo->totals;
    for (size_t i = 0; i < store->commit.blocks_count; i++) {
        block_unref(store->commit.blocks[i]);
    }
    store->commit.blocks_count = 0;
}

// Hands every append of the commit back to its port; `result` 0 leaves their own results.
static void commit_complete(struct store *store, int result)
{
    struct append *append;
    uint64_t bytes = 0;
    while ((append = append_list_take(&store->commit.appends)) != NULL) {
        bytes += append->bytes.length;
        if (result != 0) {
            append->result = result;
        }
        append_list_add(&append->port->appends_done, append);
    }
    atomic_fetch_sub(&store->appended_bytes, bytes);
}

static void commit_publish(struct store *store)
{
    uint64_t events = store->commit.totals.events - store->commit.undo->totals.events;
    for (size_t i = 0; i < store->commit.blocks_count; i++) {
        recent_add(&store->recent, store->commit.blocks[i]);
        block_unref(store->commit.blocks[i]);
    }
    atomic_fetch_add(&store->index_behind, events);
    pthread_mutex_lock(&store->published.lock);
    if (store->commit.blocks_count > 0) {
        struct version_vector vector = store->published.vector;
        store->published.vector = store->commit.vector;
        store->commit.vector = vector;
        store->published.ordinal = store->commit.ordinal;
        store->published.totals = store->commit.totals;
        store->published.commits++;
    }
    commit_complete(store, 0);
    store_wake_ports(store);
    pthread_mutex_unlock(&store->published.lock);
    if (store->commit.blocks_count > 0) {
        store_signal_index(store);
    }
    store->commit.blocks_count = 0;
}

static void commit_fail(struct store *store, int result, bool is_fatal)
{
    commit_undo(store);
    pthread_mutex_lock(&store->published.lock);
    if (is_fatal && store->published.fatal == 0) {
        store->published.fatal = result;
    }
    commit_complete(store, is_fatal ? ERR_UNKNOWN : result);
    store_wake_ports(store);
    pthread_mutex_unlock(&store->published.lock);
}

bool store_step_commit(struct store *store, uint64_t now_ms)
{
    uint64_t renewed = 0;
    if (!commit_collect(store)) {
        return false;
    }
    if (store->published.fatal != 0) {
        commit_begin(store);
        commit_fail(store, ERR_CLOSED, false);
        return true;
    }
    atomic_store(&store->is_full, disk_free_bytes(store->log) < store->config.reserve_bytes);
    commit_begin(store);
    int result = commit_renew_lease(store, &renewed);
    if (result != 0) {
        commit_fail(store, result, true);
        return true;
    }
    result = commit_build(store, now_ms);
    if (result != 0) {
        commit_fail(store, result, false);
        return true;
    }
    if (store->commit.blocks_count > 0) {
        result = disk_write_synced(store->log, store->commit.batch);
        if (result != 0) {
            commit_fail(store, result, true);
            return true;
        }
        store->commit.lease = renewed > 0 ? renewed : store->commit.lease;
    }
    commit_publish(store);
    return true;
}

void store_wait_commit(struct store *store)
{
    pthread_mutex_lock(&store->queue.lock);
    while (store->queue.appends.first == NULL && !store->queue.interrupted) {
        pthread_cond_wait(&store->queue.changed, &store->queue.lock);
    }
    pthread_mutex_unlock(&store->queue.lock);
}

void commit_deinit(struct store *store)
{
    heads_deinit(&store->commit.heads);
    disk_batch_free(store->commit.batch);
    buffer_deinit(&store->commit.body);
    version_vector_deinit(&store->commit.vector);
    free(store->commit.compress_state);
    free(store->commit.blocks);
    if (store->commit.undo != NULL) {
        free(store->commit.undo->heads);
        free(store->commit.undo);
    }
}

int commit_init(struct store *store)
{
    store->commit.batch = disk_batch_new(store->log);
    store->commit.undo = calloc(1, sizeof *store->commit.undo);
    if (store->config.compress) {
        store->commit.compress_state = malloc(compress_state_bytes());
    }
    return store->commit.batch == NULL || store->commit.undo == NULL ||
                   (store->config.compress && store->commit.compress_state == NULL)
               ? ERR_MEMORY
               : 0;
}
