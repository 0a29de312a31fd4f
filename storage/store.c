// A store's life: open and recover, close or abandon, and what it says of itself. The work is done
// by the steps: commit.c, reader.c (and read_*.c), indexer.c.
#include <stdlib.h>

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "storage/commit.h"

const char *const LOG_FAMILY_NAMES[LOG_FAMILIES] = {"chunks", "strands", "arrivals", "meta"};
const char *const INDEX_FAMILY_NAMES[INDEX_FAMILIES] = {"meta", "namespaces", "postings"};

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct store *store_new(const struct store_config *config, struct disk *log,
                               struct disk *index)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return NULL;
    }
    if (recent_init(&store->recent, config->recent_bytes_max) != 0) {
        free(store);
        return NULL;
    }
    damage_init(&store->damage);
    store->config = *config;
    store->log = log;
    store->index_disk = index;
    append_list_init(&store->queue.appends);
    append_list_init(&store->commit.appends);
    read_list_init(&store->reads.waiting);
    read_list_init(&store->indexer.waiting);
    pthread_mutex_init(&store->queue.lock, NULL);
    pthread_mutex_init(&store->published.lock, NULL);
    pthread_mutex_init(&store->reads.lock, NULL);
    pthread_mutex_init(&store->indexer.lock, NULL);
    condition_init(&store->queue.changed);
    condition_init(&store->reads.changed);
    condition_init(&store->indexer.changed);
    return store;
}

void store_abandon(struct store *store)
{
    if (store == NULL) {
        return;
    }
    index_close(store->index);
    buffer_deinit(&store->indexer.chunk);
    buffer_deinit(&store->indexer.scratch);
    commit_deinit(store);
    damage_deinit(&store->damage);
    scrub_deinit(store);
    version_vector_deinit(&store->published.vector);
    strand_ends_deinit(&store->published.ends);
    recent_deinit(&store->recent);
    pthread_mutex_destroy(&store->queue.lock);
    pthread_mutex_destroy(&store->published.lock);
    pthread_mutex_destroy(&store->reads.lock);
    pthread_mutex_destroy(&store->indexer.lock);
    pthread_cond_destroy(&store->queue.changed);
    pthread_cond_destroy(&store->reads.changed);
    pthread_cond_destroy(&store->indexer.changed);
    free(store);
}

// The index is only as good as the log it was made from: after an accepted loss, or when it knows
// of arrivals that the log does not, it is built again.
static int store_open_index(struct store *store, bool lost, struct reason *reason)
{
    bool was_reset = false;
    int result = index_open(store->index_disk, store->config.index_bytes_max, store->config.seed,
                            &store->index, &was_reset);
    if (result == 0 && (lost || index_ordinal(store->index) > store->commit.ordinal)) {
        result = index_reset(store->index);
    }
    if (result == 0) {
        result = store_load_passed(store);
        if (result == ERR_CORRUPT || result == ERR_LIMIT) {
            result = index_reset(store->index);
        }
    }
    if (result != 0) {
        return reason_set(reason, result,
                          "the index of namespaces cannot be opened (%s): stop the node and remove "
                          "the directory \"index\" in its data directory, it will be built again",
                          err_text(result));
    }
    return 0;
}

// How many events the indexer has still to read: those of arrivals above its watermark.
static int store_count_behind(struct store *store)
{
    struct disk_iterator *arrivals;
    uint8_t key[ARRIVAL_KEY_LENGTH];
    uint64_t events = 0;
    int result = disk_iterator_open(store->log, LOG_ARRIVALS, DISK_READ_POINT, &arrivals);
    if (result != 0) {
        return result;
    }
    store_be64(key, index_ordinal(store->index) + 1);
    for (disk_iterator_seek(arrivals, bytes_of(key, sizeof key)); disk_iterator_is_valid(arrivals);
         disk_iterator_next(arrivals)) {
        struct bytes value = disk_iterator_value(arrivals);
        events += value.length == ARRIVAL_VALUE_LENGTH ? arrival_decode(value.data).count : 0;
    }
    result = disk_iterator_status(arrivals);
    disk_iterator_close(arrivals);
    atomic_store(&store->index_behind, events);
    return result;
}

int store_open(const struct store_config *config, struct disk *log, struct disk *index,
               struct store **store_out, struct store_recovery *recovery_out, struct reason *reason)
{
    bool lost = false;
    struct store *store = store_new(config, log, index);
    *recovery_out = (struct store_recovery){0};
    reason_clear(reason);
    if (store == NULL) {
        return reason_set(reason, ERR_MEMORY, "no memory to open the log");
    }
    int result = commit_init(store);
    if (result != 0) {
        reason_set(reason, result, "no memory to open the log");
    } else {
        result = store_recover(store, recovery_out, &lost, reason);
    }
    if (result == 0) {
        result = store_open_index(store, lost, reason);
    }
    if (result == 0) {
        result = store_count_behind(store);
        if (result != 0) {
            reason_set(reason, result, "the order of arrivals cannot be read: %s",
                       err_text(result));
        }
    }
    if (result != 0) {
        store_abandon(store);
        return result;
    }
    *store_out = store;
    return 0;
}

int store_close(struct store *store)
{
    int result = store->published.fatal;
    if (result == 0 && !atomic_load(&store->indexer.is_broken)) {
        result = index_flush(store->index, true);
    }
    if (result == 0) {
        result = store_mark_clean(store);
    }
    if (result == 0) {
        result = disk_flush(store->log);
    }
    store_abandon(store);
    return result;
}

bool store_next_damage(struct store *store, struct damaged_chunk after,
                       struct damaged_chunk *damage_out)
{
    return damage_next(&store->damage, after, damage_out);
}

void store_interrupt(struct store *store)
{
    pthread_mutex_lock(&store->queue.lock);
    store->queue.interrupted = true;
    pthread_mutex_unlock(&store->queue.lock);
    pthread_cond_broadcast(&store->queue.changed);
    pthread_mutex_lock(&store->reads.lock);
    store->reads.interrupted = true;
    pthread_mutex_unlock(&store->reads.lock);
    pthread_cond_broadcast(&store->reads.changed);
    pthread_mutex_lock(&store->indexer.lock);
    store->indexer.interrupted = true;
    pthread_mutex_unlock(&store->indexer.lock);
    pthread_cond_broadcast(&store->indexer.changed);
}

void store_status(struct store *store, struct store_status *status_out)
{
    struct store_status status = {0};
    pthread_mutex_lock(&store->published.lock);
    status.events = store->published.totals.events;
    status.bytes = store->published.totals.bytes;
    status.chunks = store->published.totals.chunks;
    status.commits = store->published.commits;
    status.counter_next = version_vector_get(&store->published.vector, store->config.actor) + 1;
    pthread_mutex_unlock(&store->published.lock);
    pthread_mutex_lock(&store->damage.lock);
    status.corrupt_chunks = store->damage.found;
    status.damaged_chunks = store->damage.open;
    status.repaired_chunks = store->damage.repaired;
    status.last_corruption = store->damage.last;
    pthread_mutex_unlock(&store->damage.lock);
    scrub_status(store, &status);
    status.namespaces = index_namespaces_count(store->index);
    status.disk_used_bytes = disk_used_bytes(store->log) + disk_used_bytes(store->index_disk);
    status.disk_free_bytes = disk_free_bytes(store->log);
    status.memory_bytes = disk_memory_bytes(store->log) + disk_memory_bytes(store->index_disk) +
                          recent_bytes(&store->recent) + index_memory_bytes(store->index) +
                          atomic_load(&store->appended_bytes);
    status.index_behind = atomic_load(&store->index_behind);
    status.is_full = atomic_load(&store->is_full);
    *status_out = status;
}
