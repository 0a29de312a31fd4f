// Reading in canonical order: chunks come by first counter, and where chunks of several actors
// overlap in counters their events are merged through a heap of open chunks.
//
// A chunk that overlaps with nothing, lies wholly inside the bounds and needs no filter goes out as
// it stands on the disk. Everything else goes out as slices. What a step has passed raises the
// read's `lower`, so a read that was parked, or cut off with its connection, goes on exactly there:
// canonical order above a vector is the same whoever asks.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/slice.h"
#include "storage/source.h"
#include "storage/store_state.h"

enum { CHUNKS_PER_STEP_MAX = 2048, OPEN_CHUNKS_MAX = 1024, OPEN_CHUNKS_KEPT = 8 };

struct open_chunk {
    struct chunk_header header;
    uint64_t positions;                     // still to go out
    uint32_t offsets[CHUNK_EVENTS_MAX + 1]; // of events in body
    struct buffer body;                     // plain
};

struct canonical {
    struct read_state base;
    struct source *source;
    struct filter_cache *cache; // NULL: no filter, or everything
    bool wants_all;             // nothing to match but the bounds, and the system
    bool wants_system;
    struct open_chunk *heap[OPEN_CHUNKS_MAX]; // a binary heap by next id
    size_t open_count;
    struct open_chunk *spare[OPEN_CHUNKS_KEPT];
    size_t spare_count;
    struct buffer slices;  // of this step
    struct buffer encoded; // a whole chunk taken back out of a block
    uint32_t slices_events;
    unsigned looked_at; // chunks in this step
};

static void canonical_free(struct read_state *state)
{
    struct canonical *canonical = (struct canonical *)state;
    source_close(canonical->source);
    filter_cache_free(canonical->cache);
    for (size_t i = 0; i < canonical->open_count; i++) {
        buffer_deinit(&canonical->heap[i]->body);
        free(canonical->heap[i]);
    }
    for (size_t i = 0; i < canonical->spare_count; i++) {
        buffer_deinit(&canonical->spare[i]->body);
        free(canonical->spare[i]);
    }
    buffer_deinit(&canonical->slices);
    buffer_deinit(&canonical->encoded);
    free(canonical);
}

static int canonical_open(struct store *store, struct read *read)
{
    struct canonical *canonical = calloc(1, sizeof *canonical);
    if (canonical == NULL) {
        return ERR_MEMORY;
    }
    canonical->base.free = canonical_free;
    canonical->wants_all = read->filter == NULL || filter_is_everything(read->filter);
    canonical->wants_system = filter_wants_system(read->filter);
    int result = 0;
    if (!canonical->wants_all || canonical->wants_system) {
        canonical->cache = filter_cache_new(read->filter, store->config.seed);
        result = canonical->cache == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0) {
        result = source_open(store, read->filter, &read->lower, &read->upper, &canonical->source);
    }
    if (result != 0) {
        canonical_free(&canonical->base);
        return result;
    }
    read->state = &canonical->base;
    return 0;
}

// --- The heap ------------------------------------------------------------------------------------

static struct event_id open_chunk_next(const struct open_chunk *open)
{
    return (struct event_id){.counter =
                                 open->header.first + (unsigned)__builtin_ctzll(open->positions),
                             .actor = open->header.actor};
}

static bool heap_less(const struct canonical *canonical, size_t a, size_t b)
{
    return event_id_compare(open_chunk_next(canonical->heap[a]),
                            open_chunk_next(canonical->heap[b])) < 0;
}

static void heap_swap(struct canonical *canonical, size_t a, size_t b)
{
    struct open_chunk *open = canonical->heap[a];
    canonical->heap[a] = canonical->heap[b];
    canonical->heap[b] = open;
}

static void heap_sift_down(struct canonical *canonical)
{
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= canonical->open_count) {
            return;
        }
        if (child + 1 < canonical->open_count && heap_less(canonical, child + 1, child)) {
            child++;
        }
        if (!heap_less(canonical, child, at)) {
            return;
        }
        heap_swap(canonical, child, at);
        at = child;
    }
}

static void heap_add(struct canonical *canonical, struct open_chunk *open)
{
    size_t at = canonical->open_count++;
    canonical->heap[at] = open;
    while (at > 0 && heap_less(canonical, at, (at - 1) / 2)) {
        heap_swap(canonical, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void open_chunk_release(struct canonical *canonical, struct open_chunk *open)
{
    if (canonical->spare_count < OPEN_CHUNKS_KEPT) {
        canonical->spare[canonical->spare_count++] = open;
        return;
    }
    buffer_deinit(&open->body);
    free(open);
}

static void heap_remove_first(struct canonical *canonical)
{
    struct open_chunk *open = canonical->heap[0];
    canonical->heap[0] = canonical->heap[--canonical->open_count];
    heap_sift_down(canonical);
    open_chunk_release(canonical, open);
}

// The lowest id behind the first open chunk's that may come next: of another open chunk, or of the
// chunk at which the source stands. None: {UINT64_MAX, ..}.
static struct event_id heap_bound(const struct canonical *canonical, const struct event_id *next)
{
    struct event_id bound = next != NULL ? *next : (struct event_id){.counter = UINT64_MAX};
    for (size_t child = 1; child <= 2 && child < canonical->open_count; child++) {
        struct event_id id = open_chunk_next(canonical->heap[child]);
        bound = event_id_compare(id, bound) < 0 ? id : bound;
    }
    return bound;
}

// --- Opening and passing chunks
// --------------------------------------------------------------------

// Everything of a chunk is delivered or did not match: up to the read's upper bound.
static int read_pass(struct read *read, const struct chunk_header *header)
{
    uint64_t upper = version_vector_get(&read->upper, header->actor);
    uint64_t last = chunk_last(header);
    return version_vector_raise(&read->lower, header->actor, last < upper ? last : upper);
}

static struct open_chunk *open_chunk_new(struct canonical *canonical)
{
    if (canonical->spare_count > 0) {
        return canonical->spare[--canonical->spare_count];
    }
    return calloc(1, sizeof(struct open_chunk));
}

static int open_chunk_take_body(struct open_chunk *open, struct bytes chunk)
{
    struct bytes body;
    buffer_clear(&open->body);
    int result = chunk_body(&open->header, chunk, &open->body, &body);
    if (result == 0 && open->header.encoding == CHUNK_PLAIN) {
        result = buffer_append(&open->body, body);
    }
    return result;
}

// Where each of its events begins.
static int open_chunk_walk(struct open_chunk *open)
{
    struct bytes rest = buffer_bytes(&open->body);
    for (unsigned i = 0; i < open->header.count; i++) {
        struct event event;
        open->offsets[i] = (uint32_t)(rest.data - open->body.data);
        if (event_next(&rest, &event) != 0) {
            return ERR_CORRUPT;
        }
    }
    open->offsets[open->header.count] = (uint32_t)open->body.length;
    return rest.length == 0 ? 0 : ERR_CORRUPT;
}

// Opens a chunk for merging, or passes it when nothing in it matches.
static int canonical_open_chunk(struct store *store, struct read *read,
                                const struct source_chunk *chunk)
{
    struct canonical *canonical = read->state;
    bool is_system = (chunk->header.flags & CHUNK_HAS_SYSTEM) != 0;
    if ((is_system && !canonical->wants_system) ||
        filter_excludes_time(read->filter, chunk->header.timestamp_ms)) {
        return read_pass(read, &chunk->header);
    }
    if (canonical->open_count == OPEN_CHUNKS_MAX) {
        return reason_set(&read->reason, ERR_LIMIT, "more than %d chunks overlap", OPEN_CHUNKS_MAX);
    }
    struct open_chunk *open = open_chunk_new(canonical);
    if (open == NULL) {
        return ERR_MEMORY;
    }
    open->header = chunk->header;
    open->positions = chunk->positions;
    int result = open_chunk_take_body(open, chunk->chunk);
    result = result == 0 ? open_chunk_walk(open) : result;
    if (result == ERR_CORRUPT) {
        result = store_corrupt(store, open->header.actor, open->header.first, &read->reason);
    }
    bool must_match = !chunk->is_exact_match && (is_system || !canonical->wants_all);
    if (result == 0 && must_match) {
        open->positions &=
            filter_positions(canonical->cache, buffer_bytes(&open->body), open->header.count);
    } else if (result == 0 && chunk->is_exact_match) {
        open->positions = filter_narrow(read->filter, buffer_bytes(&open->body), open->header.count,
                                        open->positions);
    }
    if (result != 0) {
        open_chunk_release(canonical, open);
        return result;
    }
    if (open->positions == 0) {
        result = read_pass(read, &open->header);
        open_chunk_release(canonical, open);
        return result;
    }
    heap_add(canonical, open);
    return 0;
}

// --- Going out
// -------------------------------------------------------------------------------------

// Keeps only the lowest `count` bits.
static uint64_t positions_first(uint64_t positions, uint64_t count)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < count && positions != 0; i++) {
        kept |= positions & (~positions + 1);
        positions &= positions - 1;
    }
    return kept;
}

static int canonical_emit(struct canonical *canonical, const struct open_chunk *open,
                          uint64_t positions)
{
    canonical->slices_events += (uint32_t)__builtin_popcountll(positions);
    while (positions != 0) {
        unsigned begin = (unsigned)__builtin_ctzll(positions);
        uint64_t after = ~(positions >> begin);
        unsigned count = after != 0 ? (unsigned)__builtin_ctzll(after) : 64;
        uint32_t from = open->offsets[begin];
        uint32_t to = open->offsets[begin + count];
        struct slice slice = {.actor = open->header.actor,
                              .count = (uint16_t)count,
                              .first = open->header.first + begin,
                              .timestamp_ms = open->header.timestamp_ms,
                              .events = bytes_of(open->body.data + from, to - from)};
        int result = slice_append(&canonical->slices, &slice);
        if (result != 0) {
            return result;
        }
        positions = begin + count < 64 ? positions & (UINT64_MAX << (begin + count)) : 0;
    }
    return 0;
}

static int canonical_emit_whole(struct canonical *canonical, const struct open_chunk *open)
{
    struct slice slice = {.actor = open->header.actor,
                          .count = open->header.count,
                          .first = open->header.first,
                          .timestamp_ms = open->header.timestamp_ms,
                          .events = buffer_bytes(&open->body)};
    canonical->slices_events += slice.count;
    return slice_append(&canonical->slices, &slice);
}

// Sends the first open chunk's events that come before `bound`, and passes it when that was all.
static int canonical_emit_first(struct read *read, struct event_id bound)
{
    struct canonical *canonical = read->state;
    struct open_chunk *open = canonical->heap[0];
    uint64_t positions = open->positions;
    uint64_t ahead = bound.counter - open->header.first + (open->header.actor < bound.actor);
    if (bound.counter >= open->header.first && ahead < open->header.count) {
        positions &= ((uint64_t)1 << ahead) - 1;
    }
    assert(positions != 0);
    if (read->events_max > 0) {
        positions = positions_first(positions, read->events_max);
    }
    int result = canonical_emit(canonical, open, positions);
    if (result != 0) {
        return result;
    }
    if (read->events_max > 0) {
        read->events_max -= (unsigned)__builtin_popcountll(positions);
        read->done = read->events_max == 0;
    }
    open->positions &= ~positions;
    if (open->positions == 0 && !read->done) {
        result = read_pass(read, &open->header);
        heap_remove_first(canonical);
        return result;
    }
    uint64_t last = open->header.first + 63 - (unsigned)__builtin_clzll(positions);
    result = version_vector_raise(&read->lower, open->header.actor, last);
    if (open->positions == 0) {
        heap_remove_first(canonical);
    } else {
        heap_sift_down(canonical);
    }
    return result;
}

// --- Whole chunks
// ----------------------------------------------------------------------------------

static bool chunk_is_wanted_whole(const struct canonical *canonical, const struct read *read,
                                  const struct source_chunk *chunk)
{
    uint64_t all = UINT64_MAX >> (64 - chunk->header.count);
    return canonical->wants_all && (chunk->header.flags & CHUNK_HAS_SYSTEM) == 0 &&
           canonical->open_count == 0 && chunk->positions == all &&
           (read->events_max == 0 || read->events_max >= chunk->header.count);
}

static int chunk_passed_whole(struct read *read, const struct chunk_header *header)
{
    if (read->events_max > 0) {
        read->events_max -= header->count;
        read->done = read->events_max == 0;
    }
    return read_pass(read, header);
}

// It is merged with what may overlap with it.
static int canonical_open_whole(struct store *store, struct read *read, struct open_chunk *open)
{
    int result = open_chunk_walk(open);
    if (result != 0) {
        result = store_corrupt(store, open->header.actor, open->header.first, &read->reason);
        open_chunk_release(read->state, open);
        return result;
    }
    heap_add(read->state, open);
    return 0;
}

// A chunk that is wanted whole becomes one slice without a look at its events, unless the next one
// overlaps with it: then it is opened.
static int canonical_emit_chunk(struct store *store, struct read *read,
                                const struct source_chunk *chunk)
{
    struct canonical *canonical = read->state;
    struct open_chunk *open = open_chunk_new(canonical);
    if (open == NULL) {
        return ERR_MEMORY;
    }
    open->header = chunk->header;
    open->positions = chunk->positions;
    int result = open_chunk_take_body(open, chunk->chunk);
    if (result == ERR_CORRUPT) {
        result = store_corrupt(store, open->header.actor, open->header.first, &read->reason);
    }
    if (result == 0) {
        struct source_chunk behind;
        source_next(canonical->source);
        result = source_current(canonical->source, &behind, &read->reason);
        if (result == SOURCE_PAUSE ||
            (result == 0 && behind.header.first <= chunk_last(&open->header))) {
            return canonical_open_whole(store, read, open);
        }
    }
    if (result >= 0) {
        result = canonical_emit_whole(canonical, open);
    }
    result = result == 0 ? chunk_passed_whole(read, &open->header) : result;
    open_chunk_release(canonical, open);
    return result;
}

// Positive: the block is full, the chunk is for the next step.
static int block_add_chunk(struct read *read, const struct source_chunk *chunk)
{
    if (read->block == NULL) {
        size_t capacity =
            chunk->chunk.length > read->bytes_max ? chunk->chunk.length : read->bytes_max;
        read->block = block_new(BLOCK_CHUNKS, capacity);
        if (read->block == NULL) {
            return ERR_MEMORY;
        }
    }
    struct block *block = read->block;
    if (block->capacity - block->length < chunk->chunk.length) {
        return 1;
    }
    memcpy(block->data + block->length, chunk->chunk.data, chunk->chunk.length);
    block->length += chunk->chunk.length;
    block->chunks++;
    block->events += chunk->header.count;
    return 0;
}

// Takes a chunk out of the block again because the next one overlaps with it, and opens it.
static int canonical_take_back(struct store *store, struct read *read, struct source_chunk *chunk)
{
    struct canonical *canonical = read->state;
    struct block *block = read->block;
    size_t length = CHUNK_HEADER_LENGTH + (size_t)chunk->header.encoded_length;
    block->length -= length;
    block->chunks--;
    block->events -= chunk->header.count;
    buffer_clear(&canonical->encoded);
    int result = buffer_append(&canonical->encoded, bytes_of(block->data + block->length, length));
    if (result == 0) {
        chunk->chunk = buffer_bytes(&canonical->encoded);
        result = canonical_open_chunk(store, read, chunk);
    }
    if (block->length == 0) {
        block_unref(block);
        read->block = NULL;
    }
    return result;
}

// --- The step
// --------------------------------------------------------------------------------------

// One move: a chunk goes out whole, is opened, or events of open ones go out. Positive: this step
// is over (full, paused, done).
static int canonical_move(struct store *store, struct read *read)
{
    struct canonical *canonical = read->state;
    struct source_chunk chunk;
    int result = source_current(canonical->source, &chunk, &read->reason);
    if (result < 0) {
        return result;
    }
    if (result == SOURCE_PAUSE) {
        return 1;
    }
    bool has_chunk = result == 0;
    struct event_id key = {.counter = chunk.header.first, .actor = chunk.header.actor};
    if (!has_chunk && canonical->open_count == 0) {
        read->done = true;
        return 1;
    }
    if (!has_chunk || (canonical->open_count > 0 &&
                       event_id_compare(open_chunk_next(canonical->heap[0]), key) < 0)) {
        if (read->block != NULL) {
            return 1; // slices go into the next step's block
        }
        return canonical_emit_first(read, heap_bound(canonical, has_chunk ? &key : NULL));
    }
    canonical->looked_at++;
    bool is_whole = chunk_is_wanted_whole(canonical, read, &chunk);
    if (is_whole && (read->slices_only || canonical->slices.length > 0)) {
        return canonical_emit_chunk(store, read, &chunk);
    }
    if (!is_whole) {
        result = canonical_open_chunk(store, read, &chunk);
        source_next(canonical->source);
        return result;
    }
    result = block_add_chunk(read, &chunk);
    if (result != 0) {
        return result;
    }
    source_next(canonical->source);
    struct source_chunk behind;
    result = source_current(canonical->source, &behind, &read->reason);
    if (result == 0 && behind.header.first <= chunk_last(&chunk.header)) {
        return canonical_take_back(store, read, &chunk);
    }
    int passed = chunk_passed_whole(read, &chunk.header);
    return passed != 0 ? passed : result < 0 ? result : 0;
}

static bool step_is_full(const struct canonical *canonical, const struct read *read)
{
    size_t length = canonical->slices.length + (read->block != NULL ? read->block->length : 0);
    return read->done || length >= read->bytes_max || canonical->looked_at >= CHUNKS_PER_STEP_MAX;
}

static int canonical_finish(struct read *read)
{
    struct canonical *canonical = read->state;
    if (canonical->slices.length > 0) {
        assert(read->block == NULL);
        read->block = block_new(BLOCK_SLICES, canonical->slices.length);
        if (read->block == NULL) {
            return ERR_MEMORY;
        }
        memcpy(read->block->data, canonical->slices.data, canonical->slices.length);
        read->block->length = canonical->slices.length;
        read->block->events = canonical->slices_events;
    }
    return version_vector_copy(&read->vector, &read->lower);
}

int read_step_canonical(struct store *store, struct read *read)
{
    read->done = false;
    assert(read->block == NULL && read->bytes_max > 0);
    if (read->state == NULL) {
        int result = canonical_open(store, read);
        if (result != 0) {
            return result;
        }
    }
    struct canonical *canonical = read->state;
    buffer_clear(&canonical->slices);
    canonical->slices_events = 0;
    canonical->looked_at = 0;
    int result = 0;
    while (result == 0 && !step_is_full(canonical, read)) {
        result = canonical_move(store, read);
    }
    if (result >= 0) {
        result = canonical_finish(read);
    }
    return result;
}
