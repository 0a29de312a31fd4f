// The commit: everything that is pending becomes chunks, one batch, one sync; then it is published.
//
// It is built first (commit_build.c); then it is known which counters it comes to, and the lease is
// renewed before anything of it is written. Nothing is visible before the sync has returned:
// readers are bounded by the published vector, which moves last. A failed write or sync is fatal,
// because its outcome is unknown; a failed allocation before the write undoes the commit.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "proto/base/planted.h"
#include "storage/commit.h"

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

static int lease_write(struct store *store, uint64_t lease)
{
    struct disk_batch *batch = store->commit.lease_batch;
    uint8_t value[8];
    store_be64(value, lease);
    disk_batch_put(batch, LOG_META, bytes_of_text(META_LEASE), bytes_of(value, sizeof value));
    int result = IS_PLANTED(PLANTED_SKIP_SYNC) ? disk_write(store->log, batch)
                                               : disk_write_synced(store->log, batch);
    disk_batch_clear(batch);
    return result;
}

// Counters are only taken, and promised, below a lease that is on the disk already. It is renewed
// in passing, by the batch of a commit, when half of it is used; a commit that needs more pays for
// a sync. *renewed_out: what the lease is once the batch is written, 0: as it was.
static int commit_renew_lease(struct store *store, uint64_t *renewed_out)
{
    uint64_t clock = store->commit.clock;
    uint64_t lease =
        clock > COUNTER_MAX - COUNTER_LEASE_STEP ? COUNTER_MAX : clock + COUNTER_LEASE_STEP;
    bool is_needed = clock > store->commit.lease;
    bool is_low = clock + COUNTER_LEASE_STEP / 2 > store->commit.lease;
    *renewed_out = 0;
    if (is_needed && !IS_PLANTED(PLANTED_NO_LEASE) &&
        !(IS_PLANTED(PLANTED_PROMISE_ABOVE_LEASE) && !commit_has_moved(store))) {
        int result = lease_write(store, lease);
        if (result == 0) {
            store->commit.lease = lease;
        }
        return result;
    }
    if (is_low && store->commit.must_write) {
        uint8_t value[8];
        store_be64(value, lease);
        disk_batch_put(store->commit.batch, LOG_META, bytes_of_text(META_LEASE),
                       bytes_of(value, sizeof value));
        *renewed_out = lease;
    }
    return 0;
}

// --- Build -------------------------------------------------------------------------------------

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
    if (result == 0) {
        pthread_mutex_lock(&store->published.lock);
        result = strand_ends_reserve(&store->published.ends, store->commit.heads.count);
        pthread_mutex_unlock(&store->published.lock);
    }
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

static int builder_add(struct builder *builder, struct append *append)
{
    switch (append->kind) {
    case APPEND_PRODUCE:
    case APPEND_SYSTEM:
        return builder_add_produce(builder, append);
    case APPEND_CHUNKS:
        return builder_add_chunks(builder, append);
    case APPEND_RECORDS:
        return builder_add_records(builder, append);
    case APPEND_PROMISE:
        return builder_add_promise(builder, append);
    case APPEND_ACTOR:
        return builder_add_actor(builder, append);
    case APPEND_YIELD:
        return builder_add_yield(builder, append);
    case APPEND_REPAIR:
        return builder_add_repair(builder, append);
    case APPEND_HOLLOW:
        return builder_add_hollow(builder, append);
    }
    append->result = ERR_INVALID;
    return 0;
}

// Whether it fills the disk: the rest is small and keeps the cluster going.
static bool append_needs_space(const struct append *append)
{
    return append->kind == APPEND_PRODUCE || append->kind == APPEND_CHUNKS;
}

static int commit_build(struct store *store, uint64_t now_ms)
{
    struct builder builder = {.store = store, .now_ms = now_ms, .bytes_left = commit_bytes(store)};
    bool is_full = atomic_load(&store->is_full);
    int result = 0;
    uint64_t seen = atomic_load(&store->clock_seen);
    if (seen > store->commit.clock) {
        assert(seen - store->commit.clock <= COUNTER_JUMP_MAX && seen <= COUNTER_MAX);
        store->commit.clock = seen;
    }
    for (struct append *append = store->commit.appends.first; append != NULL && result == 0;
         append = append->next) {
        if (is_full && append_needs_space(append)) {
            append->result = ERR_FULL;
        } else {
            result = builder_add(&builder, append);
        }
    }
    if (result == 0) {
        result = builder_close_chunk(&builder, 0);
    }
    if (result == 0 && commit_has_moved(store)) {
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
    undo->actor = store->config.actor;
    undo->totals = store->commit.totals;
    undo->heads_count = 0;
    store->commit.must_write = false;
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
    actor_set(store, undo->actor);
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

// Under published.lock.
static void commit_publish_heads(struct store *store)
{
    const struct commit_undo *undo = store->commit.undo;
    struct version_vector vector = store->published.vector;
    store->published.vector = store->commit.vector;
    store->commit.vector = vector;
    for (size_t i = 0; i < undo->heads_count; i++) {
        const struct head *head = heads_get(&store->commit.heads, undo->heads[i].actor);
        strand_ends_set(&store->published.ends, head);
    }
    store->published.ordinal = store->commit.ordinal;
    store->published.totals = store->commit.totals;
    store->published.commits++;
}

static void commit_publish(struct store *store)
{
    bool has_moved = commit_has_moved(store);
    uint64_t events = store->commit.totals.events - store->commit.undo->totals.events;
    for (size_t i = 0; i < store->commit.blocks_count; i++) {
        recent_add(&store->recent, store->commit.blocks[i]);
        block_unref(store->commit.blocks[i]);
    }
    store->commit.blocks_count = 0;
    atomic_fetch_add(&store->index_behind, events);
    atomic_store(&store->clock, store->commit.clock);
    bool has_repaired = commit_note_repairs(store);
    pthread_mutex_lock(&store->published.lock);
    if (has_moved) {
        commit_publish_heads(store);
    }
    commit_complete(store, 0);
    store_wake_ports(store);
    pthread_mutex_unlock(&store->published.lock);
    if (has_moved || has_repaired) {
        store_signal_index(store);
    }
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

// Whether a planted bug leaves the sync of this commit to a later one.
static bool sync_is_put_off(const struct store *store)
{
    bool has_own = false;
    bool has_chunks = false;
    for (const struct append *append = store->commit.appends.first; append != NULL;
         append = append->next) {
        has_own |= append->kind == APPEND_PRODUCE;
        has_chunks |= append->kind == APPEND_CHUNKS;
    }
    return IS_PLANTED(PLANTED_SKIP_SYNC) ||
           (IS_PLANTED(PLANTED_VECTOR_EARLY) && has_chunks && !has_own) ||
           (IS_PLANTED(PLANTED_ACK_BEFORE_SYNC) && has_own);
}

static int commit_write(struct store *store)
{
    if (sync_is_put_off(store)) {
        return disk_write(store->log, store->commit.batch);
    }
    return disk_write_synced(store->log, store->commit.batch);
}

bool store_step_commit(struct store *store, uint64_t now_ms)
{
    uint64_t renewed = 0;
    if (!commit_collect(store)) {
        return false;
    }
    commit_begin(store);
    if (store->published.fatal != 0) {
        commit_fail(store, ERR_CLOSED, false);
        return true;
    }
    atomic_store(&store->is_full, disk_free_bytes(store->log) < store->config.reserve_bytes);
    int result = commit_build(store, now_ms);
    if (result != 0) {
        commit_fail(store, result, false);
        return true;
    }
    result = commit_renew_lease(store, &renewed);
    if (result == 0 && store->commit.must_write) {
        if (atomic_exchange(&store->scrub.is_save_due, false)) {
            scrub_save(store, store->commit.batch);
        }
        result = commit_write(store);
    }
    if (result != 0) {
        commit_fail(store, result, true);
        return true;
    }
    store->commit.lease = renewed > 0 ? renewed : store->commit.lease;
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
    disk_batch_free(store->commit.lease_batch);
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
    store->commit.lease_batch = disk_batch_new(store->log);
    store->commit.undo = calloc(1, sizeof *store->commit.undo);
    if (store->config.compress) {
        store->commit.compress_state = malloc(compress_state_bytes());
    }
    return store->commit.batch == NULL || store->commit.lease_batch == NULL ||
                   store->commit.undo == NULL ||
                   (store->config.compress && store->commit.compress_state == NULL)
               ? ERR_MEMORY
               : 0;
}
