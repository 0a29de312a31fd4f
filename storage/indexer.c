// The indexer: follows the published log by arrival ordinal and feeds the index. It reads recent
// blocks from the cache, and what has left it from the disk. A full window is flushed at once; what
// is less than a window is flushed when a reader waits for it, or after a second, so that single
// events do not cost a flush each.
#include <assert.h>
#include <time.h>

#include "proto/base/limits.h"
#include "storage/store_state.h"

enum { FLUSH_AFTER_MS = 1000 };

void store_signal_index(struct store *store)
{
    pthread_mutex_lock(&store->indexer.lock);
    store->indexer.has_news = true;
    pthread_mutex_unlock(&store->indexer.lock);
    pthread_cond_signal(&store->indexer.changed);
}

static uint64_t published_ordinal(struct store *store)
{
    pthread_mutex_lock(&store->published.lock);
    uint64_t ordinal = store->published.ordinal;
    pthread_mutex_unlock(&store->published.lock);
    return ordinal;
}

// The block that holds the next ordinal. 0 (block NULL: there is none any more), ERR_*.
static int indexer_block(struct store *store, uint64_t ordinal, uint64_t end,
                         struct block **block_out)
{
    struct read *read = &store->indexer.arrivals;
    struct block *block = recent_find(&store->recent, ordinal);
    if (block == NULL) {
        read->ordinal = ordinal;
        read->ordinal_end = end;
        int result = read_step_arrival(store, read);
        if (result != 0) {
            return result;
        }
        block = read->block;
        read->block = NULL;
    }
    *block_out = block;
    return 0;
}

static int indexer_add_block(struct store *store, const struct block *block, uint64_t from)
{
    struct bytes rest = block_bytes(block);
    uint64_t ordinal = block->ordinal_first;
    while (rest.length > 0) {
        struct chunk_header header;
        struct bytes chunk;
        struct bytes body;
        int result = chunk_next(&rest, &header, &chunk);
        assert(result == 0);
        if (ordinal >= from) {
            result = chunk_body(&header, chunk, &store->indexer.scratch, &body);
            if (result == 0) {
                result = index_add(store->index, ordinal, &header, body);
            }
            if (result != 0) {
                return result;
            }
            store->indexer.unflushed_events += header.count;
        }
        ordinal++;
    }
    return 0;
}

static void indexer_flushed(struct store *store)
{
    struct read_list ready;
    struct read *read;
    bool is_broken = atomic_load(&store->indexer.is_broken);
    read_list_init(&ready);
    pthread_mutex_lock(&store->indexer.lock);
    struct read_list waiting = {0};
    read_list_init(&waiting);
    while ((read = read_list_take(&store->indexer.waiting)) != NULL) {
        bool is_ready = is_broken || index_ordinal(store->index) >= read->ordinal_end;
        read_list_add(is_ready ? &ready : &waiting, read);
    }
    while ((read = read_list_take(&waiting)) != NULL) {
        read_list_add(&store->indexer.waiting, read);
    }
    store->indexer.is_wanted = store->indexer.waiting.first != NULL;
    pthread_mutex_unlock(&store->indexer.lock);
    pthread_mutex_lock(&store->reads.lock);
    while ((read = read_list_take(&ready)) != NULL) {
        read_list_add(&store->reads.waiting, read);
    }
    pthread_mutex_unlock(&store->reads.lock);
    pthread_cond_signal(&store->reads.changed);
}

// The index is derived: when it cannot be written the log goes on without it, readers scan, and
// the next start builds it again.
static void indexer_break(struct store *store)
{
    pthread_mutex_lock(&store->indexer.lock);
    atomic_store(&store->indexer.is_broken, true);
    pthread_mutex_unlock(&store->indexer.lock);
    indexer_flushed(store);
}

static void indexer_flush(struct store *store)
{
    store->indexer.is_flush_due = false;
    store->indexer.flush_due = (struct timespec){0};
    if (index_flush(store->index, false) != 0) {
        indexer_break(store);
        return;
    }
    atomic_fetch_sub(&store->index_behind, store->indexer.unflushed_events);
    store->indexer.unflushed_events = 0;
    indexer_flushed(store);
}

bool store_step_index(struct store *store)
{
    pthread_mutex_lock(&store->indexer.lock);
    bool is_wanted = store->indexer.is_wanted;
    store->indexer.has_news = false;
    pthread_mutex_unlock(&store->indexer.lock);
    if (atomic_load(&store->indexer.is_broken)) {
        return false;
    }
    uint64_t next = index_added_ordinal(store->index) + 1;
    uint64_t end = published_ordinal(store);
    bool is_unflushed = index_added_ordinal(store->index) > index_ordinal(store->index);
    if (next > end) {
        if (is_unflushed && (is_wanted || store->indexer.is_flush_due)) {
            indexer_flush(store);
            return true;
        }
        return false;
    }
    struct block *block = NULL;
    int result = indexer_block(store, next, end, &block);
    if (result == 0 && block != NULL) {
        result = indexer_add_block(store, block, next);
        block_unref(block);
    }
    if (result != 0 || block == NULL) {
        indexer_break(store);
        return false;
    }
    if (index_wants_flush(store->index)) {
        indexer_flush(store);
    }
    return true;
}

static bool is_due(const struct timespec *due)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > due->tv_sec || (now.tv_sec == due->tv_sec && now.tv_nsec >= due->tv_nsec);
}

// Whether something waits to be flushed; from its first event on it waits FLUSH_AFTER_MS at most.
static bool flush_is_pending(struct store *store)
{
    struct timespec *due = &store->indexer.flush_due;
    if (atomic_load(&store->indexer.is_broken) ||
        index_added_ordinal(store->index) == index_ordinal(store->index)) {
        return false;
    }
    if (due->tv_sec == 0) {
        clock_gettime(CLOCK_MONOTONIC, due);
        due->tv_sec += FLUSH_AFTER_MS / 1000;
    }
    return true;
}

void store_wait_index(struct store *store)
{
    bool is_pending = flush_is_pending(store);
    int result = 0;
    pthread_mutex_lock(&store->indexer.lock);
    while (!store->indexer.has_news && !store->indexer.is_wanted && !store->indexer.interrupted &&
           result == 0) {
        result = is_pending ? pthread_cond_timedwait(&store->indexer.changed, &store->indexer.lock,
                                                     &store->indexer.flush_due)
                            : pthread_cond_wait(&store->indexer.changed, &store->indexer.lock);
    }
    pthread_mutex_unlock(&store->indexer.lock);
    store->indexer.is_flush_due = is_pending && is_due(&store->indexer.flush_due);
}
