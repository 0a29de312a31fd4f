// The indexer: follows the published log by arrival ordinal and feeds the index. It reads recent
// blocks from the cache, and what has left it from the disk. A chunk that is damaged there is
// passed over and remembered, so that readers do not take the index's silence for its absence, and
// is added when it is repaired. A full window is flushed at once; what is less than a window is
// flushed when a reader waits for it, or after a second, so that single events do not cost a flush
// each.
#include <assert.h>
#include <time.h>

#include "proto/base/limits.h"
#include "storage/store_state.h"

enum { FLUSH_AFTER_MS = 1000, CHUNKS_PER_STEP = 256 };

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

// --- What the index passes over ------------------------------------------------------------------

enum { NOTE_ENTRY_LENGTH = 18 };

// Writes down what is passed over, before the part that covers it.
static int passed_write(struct store *store)
{
    struct buffer chunks = {0};
    struct buffer note = {0};
    uint64_t changes;
    int result = damage_unindexed(&store->damage, &chunks, &changes);
    for (size_t at = 0; result == 0 && at < chunks.length; at += sizeof(struct damaged_chunk)) {
        struct damaged_chunk chunk;
        uint8_t entry[NOTE_ENTRY_LENGTH];
        memcpy(&chunk, chunks.data + at, sizeof chunk);
        store_be16(entry, chunk.actor);
        store_be64(entry + 2, chunk.first);
        store_be64(entry + 10, chunk.last);
        result = buffer_append(&note, bytes_of(entry, sizeof entry));
    }
    if (result == 0) {
        result = index_put_note(store->index, buffer_bytes(&note));
    }
    buffer_deinit(&chunks);
    buffer_deinit(&note);
    return result;
}

int store_load_passed(struct store *store)
{
    struct buffer note = {0};
    int result = index_get_note(store->index, &note);
    if (result == 0 && note.length % NOTE_ENTRY_LENGTH != 0) {
        result = ERR_CORRUPT;
    }
    for (size_t at = 0; result == 0 && at < note.length; at += NOTE_ENTRY_LENGTH) {
        struct damaged_chunk chunk = {.actor = load_be16(note.data + at),
                                      .first = load_be64(note.data + at + 2),
                                      .last = load_be64(note.data + at + 10)};
        result = damage_pass_over(&store->damage, chunk);
    }
    buffer_deinit(&note);
    return result == DISK_NOT_FOUND ? 0 : result;
}

static int indexer_pass_over(struct store *store, uint64_t ordinal, const struct arrival *arrival)
{
    struct damaged_chunk chunk = {.actor = arrival->actor,
                                  .first = arrival->first,
                                  .last = arrival->first + arrival->count - 1};
    int result = damage_pass_over(&store->damage, chunk);
    if (result == 0) {
        result = passed_write(store);
    }
    return result == 0 ? index_pass(store->index, ordinal, chunk.actor, chunk.last) : result;
}

// The note was written, the part that covers the chunk was not: it is added when its turn comes, or
// passed over once more.
static int indexer_forget_passed(struct store *store, struct damaged_chunk chunk)
{
    damage_indexed(&store->damage, chunk);
    return passed_write(store);
}

// Adds a chunk that was passed over and can be read now. 0; ERR_CORRUPT: it cannot; ERR_*.
static int indexer_add_late(struct store *store, struct damaged_chunk chunk)
{
    struct chunk_header header;
    struct reason reason;
    struct bytes body;
    struct buffer *bytes = &store->indexer.chunk;
    buffer_clear(bytes);
    struct chunk_place place;
    struct hash128 ignored;
    int result = strand_chunk_hash(store, chunk.actor, chunk.first, &place, &ignored);
    bool is_gone =
        result == STRAND_NONE || ((result == 0 || result == ERR_CORRUPT) && place.record.is_hollow);
    if (is_gone) {
        return indexer_forget_passed(store, chunk);
    }
    if (result == 0 || result == ERR_CORRUPT) {
        result = chunk_load(store, chunk.actor, chunk.first, bytes, &header, &reason);
    }
    if (result == ERR_CORRUPT) {
        return 0; // known to be damaged from now on
    }
    if (result == 0) {
        result = chunk_body(&header, buffer_bytes(bytes), &store->indexer.scratch, &body);
    }
    if (result == 0) {
        result = index_add_late(store->index, &header, body);
    }
    if (result == 0) {
        damage_indexed(&store->damage, chunk);
        result = passed_write(store);
    }
    return result;
}

// --- From the disk -------------------------------------------------------------------------------

static int indexer_add_arrival(struct store *store, uint64_t ordinal, const struct arrival *arrival)
{
    struct chunk_header header;
    struct reason reason;
    struct bytes body;
    struct buffer *chunk = &store->indexer.chunk;
    buffer_clear(chunk);
    int result = chunk_load(store, arrival->actor, arrival->first, chunk, &header, &reason);
    if (result == 0) {
        result = chunk_body(&header, buffer_bytes(chunk), &store->indexer.scratch, &body);
    }
    if (result == ERR_CORRUPT) {
        return indexer_pass_over(store, ordinal, arrival);
    }
    if (result == 0) {
        result = index_add(store->index, ordinal, &header, body);
    }
    if (result == 0) {
        store->indexer.unflushed_events += header.count;
    }
    return result;
}

// What has left the recent blocks.
static int indexer_add_arrivals(struct store *store, uint64_t from, uint64_t end)
{
    struct disk_iterator *arrivals;
    uint8_t bytes[ARRIVAL_KEY_LENGTH];
    int result = disk_iterator_open(store->log, LOG_ARRIVALS, DISK_READ_POINT, &arrivals);
    if (result != 0) {
        return result;
    }
    store_be64(bytes, from);
    disk_iterator_seek(arrivals, bytes_of(bytes, sizeof bytes));
    bool is_over = false;
    for (unsigned i = 0; result == 0 && !is_over && i < CHUNKS_PER_STEP; i++) {
        struct bytes key =
            disk_iterator_is_valid(arrivals) ? disk_iterator_key(arrivals) : bytes_of(NULL, 0);
        is_over = key.length != ARRIVAL_KEY_LENGTH || load_be64(key.data) > end;
        if (!is_over) {
            struct arrival arrival = arrival_decode(disk_iterator_value(arrivals).data);
            result = indexer_add_arrival(store, load_be64(key.data), &arrival);
            disk_iterator_next(arrivals);
        }
    }
    if (result == 0) {
        result = disk_iterator_status(arrivals);
    }
    disk_iterator_close(arrivals);
    if (result == 0 && is_over && index_added_ordinal(store->index) < end) {
        result = index_pass(store->index, end, 0, 0); // the last of them hold no chunk
    }
    return result;
}

// --- Flushing ------------------------------------------------------------------------------------

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

static void index_behind_lower(struct store *store, uint64_t events)
{
    uint64_t behind = atomic_load(&store->index_behind);
    while (!atomic_compare_exchange_weak(&store->index_behind, &behind,
                                         behind > events ? behind - events : 0)) {
    }
}

// Without memory the index begins again at what is on the disk, a little later; anything else ends
// it.
static void indexer_fail(struct store *store, int error)
{
    if (error != ERR_MEMORY || index_resume(store->index) != 0) {
        indexer_break(store);
        return;
    }
    store->indexer.unflushed_events = 0;
    store->indexer.must_retry = true;
}

static bool indexer_flush(struct store *store)
{
    store->indexer.is_flush_due = false;
    store->indexer.flush_due = (struct timespec){0};
    int result = index_flush(store->index, false);
    if (result != 0) {
        indexer_fail(store, result);
        return false;
    }
    index_behind_lower(store, store->indexer.unflushed_events);
    store->indexer.unflushed_events = 0;
    indexer_flushed(store);
    return true;
}

// Adds what is next, from memory if it is still there.
static int indexer_add_next(struct store *store, uint64_t next, uint64_t end)
{
    struct block *block = recent_find(&store->recent, next);
    if (block == NULL) {
        return indexer_add_arrivals(store, next, end);
    }
    int result = indexer_add_block(store, block, next);
    block_unref(block);
    return result;
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
    store->indexer.must_retry = false;
    uint64_t next = index_added_ordinal(store->index) + 1;
    uint64_t end = published_ordinal(store);
    bool is_unflushed = index_added_ordinal(store->index) > index_ordinal(store->index);
    struct damaged_chunk mended;
    bool is_mended = damage_mended(&store->damage, &mended);
    int result = 0;
    if (is_mended && !index_has_reached(store->index, mended.actor, mended.last)) {
        result = indexer_forget_passed(store, mended);
    } else if (is_mended && !index_is_redoing(store->index)) {
        result = indexer_add_late(store, mended);
    } else if (next <= end) {
        result = indexer_add_next(store, next, end);
    } else {
        return is_unflushed && (is_wanted || store->indexer.is_flush_due) && indexer_flush(store);
    }
    if (result != 0) {
        indexer_fail(store, result);
        return false;
    }
    return !index_wants_flush(store->index) || indexer_flush(store);
}

static bool is_due(const struct timespec *due)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > due->tv_sec || (now.tv_sec == due->tv_sec && now.tv_nsec >= due->tv_nsec);
}

// Whether something waits to be flushed, or to be tried again; from its first event on it waits
// FLUSH_AFTER_MS at most.
static bool flush_is_pending(struct store *store)
{
    struct timespec *due = &store->indexer.flush_due;
    if (atomic_load(&store->indexer.is_broken) ||
        (index_added_ordinal(store->index) == index_ordinal(store->index) &&
         !store->indexer.must_retry)) {
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
