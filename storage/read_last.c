// Reading backwards: where the last N matching events begin, and the event before an id.
//
// Candidates are gathered from the newest chunk down, into a heap that keeps the N highest ids.
// Chunks come by first counter, and a chunk holds ids up to 63 above it, so the search ends when
// the lowest id kept is above everything that a further chunk can hold. With the index, what lies
// above its watermark is gathered first, by scanning that short tail. Where little matches this is
// a long way: it is gone in steps, and between two the state of the search stays with the read.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/source.h"
#include "storage/store_state.h"

enum { CHUNKS_PER_STEP_MAX = 2048 };

enum { BACKWARD_PAUSE = 1 }; // positive outcome: the step is over, the search is not

enum backward_phase {
    BACKWARD_SCAN, // without the index: the log, backwards
    BACKWARD_TAIL, // with it: what it does not know yet, forward
    BACKWARD_HITS,
    BACKWARD_PASSED, // what it passed over
    BACKWARD_DONE,
};

struct backward {
    struct read_state base;
    struct store *store;
    struct read *read;
    struct filter_cache *cache; // NULL: everything matches but the system
    bool wants_all;
    bool wants_system;
    struct event_id bound; // only ids below it
    struct buffer chunk;
    struct buffer scratch;
    struct buffer passed; // struct damaged_chunk: what the index passed over
    struct event_id *ids; // a heap, the lowest on top
    size_t ids_count;
    size_t ids_max;
    enum backward_phase phase;
    struct disk_iterator *chunks; // SCAN
    struct source *tail;
    struct index_cursor *cursor;
    struct version_vector watermark; // of the index
    size_t passed_at;                // the next of `passed` to look at
    unsigned looked_at;              // chunks in this step
};

static void ids_sift_down(struct backward *backward)
{
    struct event_id *ids = backward->ids;
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= backward->ids_count) {
            return;
        }
        if (child + 1 < backward->ids_count && event_id_compare(ids[child + 1], ids[child]) < 0) {
            child++;
        }
        if (event_id_compare(ids[at], ids[child]) <= 0) {
            return;
        }
        struct event_id id = ids[at];
        ids[at] = ids[child];
        ids[child] = id;
        at = child;
    }
}

static void ids_add(struct backward *backward, struct event_id id)
{
    struct event_id *ids = backward->ids;
    if (backward->ids_count == backward->ids_max) {
        if (event_id_compare(id, ids[0]) > 0) {
            ids[0] = id;
            ids_sift_down(backward);
        }
        return;
    }
    size_t at = backward->ids_count++;
    while (at > 0 && event_id_compare(id, ids[(at - 1) / 2]) < 0) {
        ids[at] = ids[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    ids[at] = id;
}

// Counts a chunk; true: there were enough for this step.
static bool backward_pauses(struct backward *backward)
{
    if (backward->looked_at == CHUNKS_PER_STEP_MAX) {
        return true;
    }
    backward->looked_at++;
    return false;
}

static bool backward_is_complete(const struct backward *backward, uint64_t first)
{
    return backward->ids_count == backward->ids_max &&
           backward->ids[0].counter > first + CHUNK_EVENTS_MAX - 1;
}

static void backward_add(struct backward *backward, uint16_t actor, uint64_t first,
                         uint64_t positions)
{
    uint64_t upper = version_vector_get(&backward->read->upper, actor);
    while (positions != 0) {
        unsigned at = 63 - (unsigned)__builtin_clzll(positions);
        struct event_id id = {.counter = first + at, .actor = actor};
        positions ^= (uint64_t)1 << at;
        if (id.counter <= upper && event_id_compare(id, backward->bound) < 0) {
            ids_add(backward, id);
        }
    }
}

// Which events of a chunk match. 0 or ERR_*.
static int backward_match(struct backward *backward, const struct chunk_header *header,
                          struct bytes chunk, uint64_t *positions_out)
{
    struct bytes body;
    bool is_system = (header->flags & CHUNK_HAS_SYSTEM) != 0;
    *positions_out = UINT64_MAX >> (64 - header->count);
    if ((is_system && !backward->wants_system) ||
        filter_excludes_time(backward->read->filter, header->timestamp_ms)) {
        *positions_out = 0;
        return 0;
    }
    if (!is_system && backward->wants_all) {
        return 0;
    }
    int result = chunk_body(header, chunk, &backward->scratch, &body);
    if (result == 0) {
        *positions_out = filter_positions(backward->cache, body, header->count);
    }
    return result;
}

// The chunk at the iterator.
static int backward_scan_chunk(struct backward *backward, struct event_id id)
{
    struct bytes value = disk_iterator_value(backward->chunks);
    struct chunk_header header;
    uint64_t positions;
    if (id.counter > version_vector_get(&backward->read->upper, id.actor)) {
        return 0;
    }
    int result =
        chunk_check(backward->store, id.actor, id.counter, value, &header, &backward->read->reason);
    if (result == 0) {
        result = backward_match(backward, &header, value, &positions);
    }
    if (result == 0) {
        backward_add(backward, id.actor, id.counter, positions);
    }
    return result;
}

static int backward_scan(struct backward *backward)
{
    while (disk_iterator_is_valid(backward->chunks)) {
        struct bytes at = disk_iterator_key(backward->chunks);
        if (backward_pauses(backward)) {
            return BACKWARD_PAUSE;
        }
        if (at.length != EVENT_ID_KEY_LENGTH) {
            return ERR_CORRUPT;
        }
        struct event_id id = event_id_decode_key(at.data);
        if (backward_is_complete(backward, id.counter)) {
            return 0;
        }
        int result = backward_scan_chunk(backward, id);
        if (result != 0) {
            return result;
        }
        disk_iterator_previous(backward->chunks);
    }
    return disk_iterator_status(backward->chunks);
}

// Everything above the watermark, forward.
static int backward_scan_tail(struct backward *backward)
{
    struct source_chunk chunk;
    int result;
    while ((result = source_current(backward->tail, &chunk, &backward->read->reason)) == 0) {
        uint64_t positions;
        if (backward_pauses(backward)) {
            return BACKWARD_PAUSE;
        }
        result = backward_match(backward, &chunk.header, chunk.chunk, &positions);
        if (result != 0) {
            return result;
        }
        backward_add(backward, chunk.header.actor, chunk.header.first, positions & chunk.positions);
        source_next(backward->tail);
    }
    return result == SOURCE_END ? 0 : result == SOURCE_PAUSE ? BACKWARD_PAUSE : result;
}

// Whether the index passed over this chunk; if it has it meanwhile, once is enough.
static bool is_passed(const struct backward *backward, const struct index_hit *hit)
{
    for (size_t at = 0; at < backward->passed.length; at += sizeof(struct damaged_chunk)) {
        struct damaged_chunk chunk;
        memcpy(&chunk, backward->passed.data + at, sizeof chunk);
        if (chunk.actor == hit->actor && chunk.first == hit->first) {
            return true;
        }
    }
    return false;
}

// The index answers for names alone: what else the filter wants is in the chunk.
static int backward_add_hit(struct backward *backward, const struct index_hit *hit)
{
    struct chunk_header header;
    uint64_t positions;
    if (hit->first > version_vector_get(&backward->read->upper, hit->actor)) {
        return 0;
    }
    if (!filter_has_conditions(backward->read->filter)) {
        backward_add(backward, hit->actor, hit->first, hit->positions);
        return 0;
    }
    buffer_clear(&backward->chunk);
    int result = chunk_load(backward->store, hit->actor, hit->first, &backward->chunk, &header,
                            &backward->read->reason);
    if (result == 0) {
        result = backward_match(backward, &header, buffer_bytes(&backward->chunk), &positions);
    }
    if (result == 0) {
        backward_add(backward, hit->actor, hit->first, hit->positions & positions);
    }
    return result;
}

static int backward_hits(struct backward *backward)
{
    struct index_hit hit;
    for (;;) {
        if (backward_pauses(backward)) {
            return BACKWARD_PAUSE;
        }
        int result = index_cursor_previous(backward->cursor, &hit);
        if (result == INDEX_END || (result == 0 && backward_is_complete(backward, hit.first))) {
            return 0;
        }
        if (result == 0 && !is_passed(backward, &hit)) {
            result = backward_add_hit(backward, &hit);
        }
        if (result != 0) {
            return result;
        }
    }
}

// One that the index passed over, if events in it could be among those that are looked for.
static int backward_passed_chunk(struct backward *backward, const struct damaged_chunk *chunk)
{
    struct chunk_header header;
    uint64_t positions;
    if (backward_is_complete(backward, chunk->first) ||
        chunk->first > version_vector_get(&backward->read->upper, chunk->actor) ||
        chunk->first > backward->bound.counter ||
        chunk->last > version_vector_get(&backward->watermark, chunk->actor)) {
        return 0;
    }
    buffer_clear(&backward->chunk);
    int result = chunk_load(backward->store, chunk->actor, chunk->first, &backward->chunk, &header,
                            &backward->read->reason);
    if (result == 0) {
        result = backward_match(backward, &header, buffer_bytes(&backward->chunk), &positions);
    }
    if (result == 0) {
        backward_add(backward, chunk->actor, chunk->first, positions);
    }
    return result;
}

static int backward_passed(struct backward *backward)
{
    int result = 0;
    while (backward->passed_at < backward->passed.length && result == 0) {
        struct damaged_chunk chunk;
        if (backward_pauses(backward)) {
            return BACKWARD_PAUSE;
        }
        memcpy(&chunk, backward->passed.data + backward->passed_at, sizeof chunk);
        backward->passed_at += sizeof chunk;
        result = backward_passed_chunk(backward, &chunk);
    }
    return result;
}

// --- The search ----------------------------------------------------------------------------------

static void backward_free(struct read_state *state)
{
    struct backward *backward = (struct backward *)state;
    if (backward->chunks != NULL) {
        disk_iterator_close(backward->chunks);
    }
    source_close(backward->tail);
    index_cursor_close(backward->cursor);
    version_vector_deinit(&backward->watermark);
    free(backward->ids);
    filter_cache_free(backward->cache);
    buffer_deinit(&backward->chunk);
    buffer_deinit(&backward->scratch);
    buffer_deinit(&backward->passed);
    free(backward);
}

static int backward_open_scan(struct backward *backward)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    int result =
        disk_iterator_open(backward->store->log, LOG_CHUNKS, DISK_READ_SCAN, &backward->chunks);
    if (result == 0) {
        event_id_encode_key(backward->bound, key);
        disk_iterator_seek_for_prev(backward->chunks, bytes_of(key, sizeof key));
        backward->phase = BACKWARD_SCAN;
    }
    return result;
}

// By the index, if it is of use.
static int backward_open_ways(struct backward *backward)
{
    struct store *store = backward->store;
    const struct read *read = backward->read;
    if (backward->cache == NULL || store->index == NULL) {
        return backward_open_scan(backward);
    }
    int result = index_open_with_passed(store, read->filter, &backward->cursor,
                                        &backward->watermark, &backward->passed);
    if (result == INDEX_SCAN) {
        return backward_open_scan(backward);
    }
    if (result == 0) {
        result = source_open(store, NULL, &backward->watermark, &read->upper, &backward->tail);
    }
    if (result == 0) {
        result = index_cursor_seek_backward(backward->cursor, backward->bound.counter);
    }
    backward->phase = BACKWARD_TAIL;
    return result;
}

static int backward_open(struct store *store, struct read *read, struct event_id bound,
                         size_t count)
{
    struct backward *backward = calloc(1, sizeof *backward);
    if (backward == NULL) {
        return ERR_MEMORY;
    }
    read->state = &backward->base;
    backward->base.free = backward_free;
    backward->store = store;
    backward->read = read;
    backward->bound = bound;
    backward->ids_max = count;
    backward->ids = malloc(count * sizeof *backward->ids);
    backward->wants_all = read->filter == NULL || filter_is_everything(read->filter);
    backward->wants_system = filter_wants_system(read->filter);
    bool is_filtered = !backward->wants_all || backward->wants_system;
    if (is_filtered) {
        backward->cache = filter_cache_new(read->filter, store->config.seed);
    }
    if (backward->ids == NULL || (is_filtered && backward->cache == NULL)) {
        return ERR_MEMORY;
    }
    return backward_open_ways(backward);
}

static int backward_run_phase(struct backward *backward)
{
    switch (backward->phase) {
    case BACKWARD_SCAN:
        return backward_scan(backward);
    case BACKWARD_TAIL:
        return backward_scan_tail(backward);
    case BACKWARD_HITS:
        return backward_hits(backward);
    case BACKWARD_PASSED:
        return backward_passed(backward);
    case BACKWARD_DONE:
        break;
    }
    return 0;
}

// A step towards the `count` highest matching ids below `bound`; when read->done, the lowest of
// them is in read->found, or the none id when there are fewer.
static int backward_find(struct store *store, struct read *read, struct event_id bound,
                         size_t count)
{
    read->done = false;
    read->found = (struct event_id){0};
    int result = read->state == NULL ? backward_open(store, read, bound, count) : 0;
    struct backward *backward = (struct backward *)read->state;
    if (result == 0) {
        backward->looked_at = 0;
    }
    while (result == 0 && backward->phase != BACKWARD_DONE) {
        result = backward_run_phase(backward);
        if (result == 0) {
            bool is_scan = backward->phase == BACKWARD_SCAN;
            backward->phase = is_scan ? BACKWARD_DONE : backward->phase + 1;
        }
    }
    if (result == BACKWARD_PAUSE) {
        return 0;
    }
    if (result == 0) {
        read->done = true;
        read->found = backward->ids_count == count ? backward->ids[0] : (struct event_id){0};
    }
    read_park(read);
    return result;
}

int read_step_last(struct store *store, struct read *read)
{
    struct event_id end = {.counter = UINT64_MAX, .actor = UINT16_MAX};
    assert(read->events_max > 0 && read->events_max <= LAST_EVENTS_MAX);
    return backward_find(store, read, end, read->events_max);
}

int read_step_event(struct store *store, struct read *read)
{
    struct disk_iterator *strands;
    struct chunk_place place;
    struct chunk_header header;
    struct buffer chunk = {0};
    struct event_id id = read->position;
    if (id.counter > version_vector_get(&read->upper, id.actor)) {
        return STORE_NOT_FOUND;
    }
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    result = strand_find(strands, id.actor, id.counter, &place);
    disk_iterator_close(strands);
    if (result == STRAND_NONE ||
        (result == 0 && (place.record.last < id.counter || place.record.is_hollow))) {
        return STORE_NOT_FOUND;
    }
    if (result == 0) {
        result = chunk_load(store, place.actor, place.first, &chunk, &header, &read->reason);
    }
    if (result == 0) {
        read->found = id;
        result = block_of_event(&header, buffer_bytes(&chunk),
                                (uint64_t)1 << (id.counter - place.first), &read->block);
    }
    buffer_deinit(&chunk);
    return result;
}

// The first matching event behind the id, by a canonical read of one event.
static int neighbor_next(struct store *store, struct read *read)
{
    int result = 0;
    read->done = false;
    if (read->state == NULL) {
        result = vector_up_to(store, read->position, false, &read->upper, &read->lower);
        read->events_max = 1;
        read->slices_only = true;
        read->bytes_max = BLOCK_BYTES_MAX;
    }
    if (result == 0) {
        result = read_step_canonical(store, read);
    }
    if (result != 0 || (!read->done && read->block == NULL)) {
        return result;
    }
    read->done = true;
    read_park(read);
    return read->block == NULL ? STORE_NOT_FOUND : 0;
}

int read_step_neighbor(struct store *store, struct read *read)
{
    if (read->direction > 0) {
        return neighbor_next(store, read);
    }
    int result = backward_find(store, read, read->position, 1);
    if (result != 0 || !read->done) {
        return result;
    }
    if (event_id_is_none(read->found)) {
        return STORE_NOT_FOUND;
    }
    read->position = read->found;
    return read_step_event(store, read);
}
