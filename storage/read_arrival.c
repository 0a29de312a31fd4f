// Reading in order of arrival, for what has left the cache of recent blocks: ordinals lead to
// chunks, which go out whole, or as slices of what matches.
#include <assert.h>

#include "proto/base/limits.h"
#include "proto/model/slice.h"
#include "storage/store_state.h"

enum { CHUNKS_PER_STEP_MAX = 2048 };

struct arrival_step {
    struct store *store;
    struct read *read;
    struct filter_cache *cache; // NULL: nothing to match
    bool wants_all;
    bool wants_system;
    struct disk_iterator *arrivals;
    struct buffer chunk;
    struct buffer scratch;
    struct buffer out;
    enum block_kind kind;
    uint32_t events;
    uint32_t chunks;
    uint64_t ordinal_first;
};

static int arrival_add(struct arrival_step *step, const struct chunk_header *header)
{
    struct bytes chunk = buffer_bytes(&step->chunk);
    struct bytes body;
    uint64_t positions = UINT64_MAX >> (64 - header->count);
    bool is_system = (header->flags & CHUNK_HAS_SYSTEM) != 0;
    if ((is_system && !step->wants_system) ||
        filter_excludes_time(step->read->filter, header->timestamp_ms)) {
        return 0;
    }
    if (step->kind == BLOCK_CHUNKS) {
        step->events += header->count;
        step->chunks++;
        return buffer_append(&step->out, chunk);
    }
    int result = chunk_body(header, chunk, &step->scratch, &body);
    if (result != 0) {
        return result;
    }
    if (!step->wants_all || is_system) {
        positions = filter_positions(step->cache, body, header->count);
    }
    step->events += (uint32_t)__builtin_popcountll(positions);
    return positions == 0 ? 0 : slices_append(&step->out, header, body, positions);
}

// Adds the chunk at the iterator, whose ordinal it is. Positive: the step is over.
static int arrival_move(struct arrival_step *step)
{
    struct read *read = step->read;
    if (!disk_iterator_is_valid(step->arrivals)) {
        int result = disk_iterator_status(step->arrivals);
        read->done = result == 0;
        return result == 0 ? 1 : result;
    }
    struct bytes key = disk_iterator_key(step->arrivals);
    struct bytes value = disk_iterator_value(step->arrivals);
    if (key.length != ARRIVAL_KEY_LENGTH || value.length != ARRIVAL_VALUE_LENGTH) {
        return reason_set(&read->reason, ERR_CORRUPT, "the record of an arrival is damaged");
    }
    uint64_t ordinal = load_be64(key.data);
    if (ordinal > read->ordinal_end) {
        read->done = true;
        return 1;
    }
    // Ordinals inside a block follow by one; a gap (an accepted loss, a chunk of the system) begins
    // a new one.
    if (step->chunks > 0 && ordinal != step->ordinal_first + step->chunks) {
        return 1;
    }
    struct chunk_header header;
    struct arrival arrival = arrival_decode(value.data);
    buffer_clear(&step->chunk);
    int result =
        chunk_load(step->store, arrival.actor, arrival.first, &step->chunk, &header, &read->reason);
    if (result == 0) {
        step->ordinal_first = step->chunks == 0 ? ordinal : step->ordinal_first;
        result = arrival_add(step, &header);
    }
    if (result == 0) {
        result = version_vector_raise(&read->vector, arrival.actor, chunk_last(&header));
    }
    if (result == 0) {
        read->ordinal = ordinal + 1;
        read->done = ordinal == read->ordinal_end;
        disk_iterator_next(step->arrivals);
    }
    return result;
}

static int arrival_block(struct arrival_step *step)
{
    if (step->out.length == 0) {
        return 0;
    }
    struct block *block = block_new(step->kind, step->out.length);
    if (block == NULL) {
        return ERR_MEMORY;
    }
    memcpy(block->data, step->out.data, step->out.length);
    block->length = step->out.length;
    block->events = step->events;
    block->chunks = step->chunks;
    block->ordinal_first = step->kind == BLOCK_CHUNKS ? step->ordinal_first : 0;
    step->read->block = block;
    return 0;
}

static int arrival_run(struct arrival_step *step)
{
    struct read *read = step->read;
    uint8_t key[ARRIVAL_KEY_LENGTH];
    int result = 0;
    store_be64(key, read->ordinal);
    disk_iterator_seek(step->arrivals, bytes_of(key, sizeof key));
    for (unsigned moves = 0; result == 0 && !read->done && moves < CHUNKS_PER_STEP_MAX &&
                             step->out.length < read->bytes_max;
         moves++) {
        result = arrival_move(step);
    }
    return result < 0 ? result : arrival_block(step);
}

int read_step_arrival(struct store *store, struct read *read)
{
    bool wants_all = read->filter == NULL || filter_is_everything(read->filter);
    bool wants_system = filter_wants_system(read->filter);
    bool goes_whole = wants_all && !wants_system && !read->slices_only;
    struct arrival_step step = {.store = store,
                                .read = read,
                                .wants_all = wants_all,
                                .wants_system = wants_system,
                                .kind = goes_whole ? BLOCK_CHUNKS : BLOCK_SLICES};
    assert(read->block == NULL && read->bytes_max > 0);
    version_vector_clear(&read->vector);
    read->done = read->ordinal > read->ordinal_end;
    int result = disk_iterator_open(store->log, LOG_ARRIVALS, DISK_READ_POINT, &step.arrivals);
    if (result != 0) {
        return result;
    }
    if (!wants_all || wants_system) {
        step.cache = filter_cache_new(read->filter, store->config.seed);
        result = step.cache == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0) {
        result = arrival_run(&step);
    }
    disk_iterator_close(step.arrivals);
    filter_cache_free(step.cache);
    buffer_deinit(&step.chunk);
    buffer_deinit(&step.scratch);
    buffer_deinit(&step.out);
    return result;
}
