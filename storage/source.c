// Two streams of chunks, merged by key: the log scanned forward, and the hits of the index. The
// index knows everything inside its watermark, so with a cursor of the index the log is scanned
// above the watermark only, which is a short tail.
//
// Both bounds are vectors, so chunks outside them stand between those wanted. They are skipped; a
// long run of them is jumped over by asking every actor's strand for its next wanted chunk. The
// same question finds where to start.
#include "storage/source.h"

#include <assert.h>
#include <stdlib.h>

#include "storage/store_state.h"

enum { SKIPS_BEFORE_SEEK = 64, PASSES_BEFORE_PAUSE = 4096 };

struct source {
    struct store *store;
    struct version_vector lower;      // what the log is scanned above
    struct version_vector hits_lower; // what hits of the index are wanted above
    struct version_vector upper;
    struct version_vector watermark;
    struct disk_iterator *chunks;
    struct disk_iterator *strands;
    struct index_cursor *cursor; // NULL: scanning only
    unsigned skipped;
    bool scan_ready; // the iterator stands on a wanted chunk, parsed into scan_header
    bool scan_ended;
    struct chunk_header scan_header;
    bool hit_ready;
    bool hits_ended;
    struct index_hit hit;
    struct buffer hit_chunk; // loaded for `hit`
    struct chunk_header hit_header;
    bool at_hit; // the current chunk is the hit's
};

// The bits of those events of the chunk that are above `lower` and not above `upper`.
static uint64_t positions_between(const struct chunk_header *header, uint64_t lower, uint64_t upper)
{
    uint64_t last = chunk_last(header);
    if (last <= lower || header->first > upper) {
        return 0;
    }
    unsigned from = lower >= header->first ? (unsigned)(lower + 1 - header->first) : 0;
    unsigned to = upper >= last ? header->count : (unsigned)(upper + 1 - header->first);
    uint64_t below = to == 64 ? UINT64_MAX : ((uint64_t)1 << to) - 1;
    return below & (UINT64_MAX << from);
}

static uint64_t source_positions(const struct source *source, const struct version_vector *lower,
                                 const struct chunk_header *header)
{
    return positions_between(header, version_vector_get(lower, header->actor),
                             version_vector_get(&source->upper, header->actor));
}

// The first counter of the first chunk of `actor` that ends at or above `from` and whose key is
// not below `key`. 0, STRAND_NONE, ERR_*.
static int strand_next_wanted(struct source *source, uint16_t actor, uint64_t from,
                              struct event_id key, uint64_t *first_out)
{
    struct chunk_place place;
    int result = strand_find(source->strands, actor, from, &place);
    if (result < 0) {
        return result;
    }
    struct event_id found = {.counter = place.first, .actor = actor};
    if (result == STRAND_NONE || place.record.last < from || event_id_compare(found, key) < 0) {
        uint64_t after =
            result == STRAND_NONE || place.record.last < from ? from : place.record.last + 1;
        result = strand_find_from(source->strands, actor, after, &place);
        if (result != 0) {
            return result;
        }
    }
    *first_out = place.first;
    return 0;
}

// The lowest key from `key` on at which a wanted chunk can stand. 0, SOURCE_END, ERR_*.
static int source_lowest(struct source *source, const struct version_vector *lower,
                         struct event_id key, struct event_id *lowest_out)
{
    bool found = false;
    for (uint32_t i = 0; i < source->upper.count; i++) {
        const struct version_entry *entry = &source->upper.entries[i];
        uint64_t from = version_vector_get(lower, entry->actor) + 1;
        uint64_t first;
        if (from > entry->counter) {
            continue;
        }
        from = key.counter > from ? key.counter : from;
        int result = strand_next_wanted(source, entry->actor, from, key, &first);
        if (result < 0) {
            return result;
        }
        struct event_id id = {.counter = first, .actor = entry->actor};
        if (result == 0 && first <= entry->counter &&
            (!found || event_id_compare(id, *lowest_out) < 0)) {
            *lowest_out = id;
            found = true;
        }
    }
    return found ? 0 : SOURCE_END;
}

static int scan_seek(struct source *source, struct event_id key)
{
    struct event_id lowest;
    uint8_t bytes[EVENT_ID_KEY_LENGTH];
    int result = source_lowest(source, &source->lower, key, &lowest);
    source->skipped = 0;
    if (result != 0) {
        source->scan_ended = result == SOURCE_END;
        return result;
    }
    event_id_encode_key(lowest, bytes);
    disk_iterator_seek(source->chunks, bytes_of(bytes, sizeof bytes));
    return 0;
}

static int source_open_iterators(struct source *source, const struct filter *filter)
{
    struct store *store = source->store;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &source->strands);
    if (result == 0) {
        result = disk_iterator_open(store->log, LOG_CHUNKS, DISK_READ_SCAN, &source->chunks);
    }
    if (result == 0 && filter != NULL && !filter_is_everything(filter) && store->index != NULL) {
        result = index_cursor_open(store->index, filter, &source->cursor, &source->watermark);
        if (result == INDEX_SCAN) {
            source->cursor = NULL;
            result = 0;
        }
    }
    return result;
}

static int source_start(struct source *source)
{
    struct event_id lowest;
    source->hits_ended = source->cursor == NULL;
    if (source->cursor != NULL) {
        int result = source_lowest(source, &source->hits_lower, (struct event_id){0}, &lowest);
        if (result < 0) {
            return result;
        }
        if (result == SOURCE_END) {
            source->hits_ended = true;
        } else {
            result = index_cursor_seek(source->cursor, lowest.counter);
            if (result != 0) {
                return result;
            }
        }
        result = version_vector_merge(&source->lower, &source->watermark);
        if (result != 0) {
            return result;
        }
    }
    int result = scan_seek(source, (struct event_id){0});
    return result == SOURCE_END ? 0 : result;
}

int source_open(struct store *store, const struct filter *filter,
                const struct version_vector *lower, const struct version_vector *upper,
                struct source **source_out)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return ERR_MEMORY;
    }
    source->store = store;
    int result = version_vector_copy(&source->lower, lower);
    if (result == 0) {
        result = version_vector_copy(&source->hits_lower, lower);
    }
    if (result == 0) {
        result = version_vector_copy(&source->upper, upper);
    }
    if (result == 0) {
        result = source_open_iterators(source, filter);
    }
    if (result == 0) {
        result = source_start(source);
    }
    if (result != 0) {
        source_close(source);
        return result;
    }
    *source_out = source;
    return 0;
}

void source_close(struct source *source)
{
    if (source == NULL) {
        return;
    }
    index_cursor_close(source->cursor);
    if (source->chunks != NULL) {
        disk_iterator_close(source->chunks);
    }
    if (source->strands != NULL) {
        disk_iterator_close(source->strands);
    }
    version_vector_deinit(&source->lower);
    version_vector_deinit(&source->hits_lower);
    version_vector_deinit(&source->upper);
    version_vector_deinit(&source->watermark);
    buffer_deinit(&source->hit_chunk);
    free(source);
}

// The iterator has failed, and does not say where: names the next wanted chunk, if it is damage.
static int scan_failed(struct source *source, int error, struct reason *reason)
{
    struct event_id next = {.counter = source->scan_header.first,
                            .actor = (uint16_t)(source->scan_header.actor + 1)};
    struct event_id lowest;
    if (error == ERR_CORRUPT && source_lowest(source, &source->lower, next, &lowest) == 0) {
        return store_corrupt(source->store, lowest.actor, lowest.counter, reason);
    }
    return reason_set(reason, error, "the log cannot be read: %s", err_text(error));
}

// Moves the scan to a wanted chunk. 0 (ready or ended), SOURCE_PAUSE, ERR_*.
static int scan_settle(struct source *source, struct reason *reason)
{
    for (unsigned passed = 0; !source->scan_ready && !source->scan_ended; passed++) {
        if (!disk_iterator_is_valid(source->chunks)) {
            source->scan_ended = true;
            int result = disk_iterator_status(source->chunks);
            return result == 0 ? 0 : scan_failed(source, result, reason);
        }
        struct bytes key = disk_iterator_key(source->chunks);
        struct bytes value = disk_iterator_value(source->chunks);
        if (key.length != EVENT_ID_KEY_LENGTH) {
            return reason_set(reason, ERR_CORRUPT,
                              "the log holds a key that is not one of its own");
        }
        struct event_id id = event_id_decode_key(key.data);
        if (chunk_header_parse(value, &source->scan_header) != 0) {
            return store_corrupt(source->store, id.actor, id.counter, reason);
        }
        if (source_positions(source, &source->lower, &source->scan_header) != 0) {
            source->skipped = 0;
            source->scan_ready = true;
            return chunk_check(source->store, id.actor, id.counter, value, &source->scan_header,
                               reason);
        }
        if (passed == PASSES_BEFORE_PAUSE) {
            return SOURCE_PAUSE;
        }
        if (++source->skipped >= SKIPS_BEFORE_SEEK) {
            int result = scan_seek(source, id);
            if (result < 0) {
                return result;
            }
        } else {
            disk_iterator_next(source->chunks);
        }
    }
    return 0;
}

// Moves to the next hit inside the bounds and loads its chunk. 0 (ready or ended), SOURCE_PAUSE.
static int hits_settle(struct source *source, struct reason *reason)
{
    for (unsigned passed = 0; !source->hit_ready && !source->hits_ended; passed++) {
        int result = index_cursor_next(source->cursor, &source->hit);
        if (result == INDEX_END) {
            source->hits_ended = true;
            return 0;
        }
        if (result != 0) {
            return result;
        }
        struct chunk_header bounds = {
            .actor = source->hit.actor, .first = source->hit.first, .count = 64};
        if ((source_positions(source, &source->hits_lower, &bounds) & source->hit.positions) == 0) {
            if (passed == PASSES_BEFORE_PAUSE) {
                return SOURCE_PAUSE;
            }
            continue;
        }
        buffer_clear(&source->hit_chunk);
        result = chunk_load(source->store, source->hit.actor, source->hit.first, &source->hit_chunk,
                            &source->hit_header, reason);
        if (result != 0) {
            return result;
        }
        source->hit_ready = true;
    }
    return 0;
}

int source_current(struct source *source, struct source_chunk *chunk_out, struct reason *reason)
{
    int result = hits_settle(source, reason);
    if (result == 0) {
        result = scan_settle(source, reason);
    }
    if (result != 0) {
        return result;
    }
    if (!source->hit_ready && !source->scan_ready) {
        return SOURCE_END;
    }
    struct event_id hit = {.counter = source->hit.first, .actor = source->hit.actor};
    struct event_id scan = {.counter = source->scan_header.first,
                            .actor = source->scan_header.actor};
    source->at_hit = source->hit_ready && (!source->scan_ready || event_id_compare(hit, scan) < 0);
    if (source->at_hit) {
        uint64_t positions = source_positions(source, &source->hits_lower, &source->hit_header);
        *chunk_out = (struct source_chunk){.header = source->hit_header,
                                           .chunk = buffer_bytes(&source->hit_chunk),
                                           .positions = positions & source->hit.positions,
                                           .is_exact_match = true};
    } else {
        *chunk_out = (struct source_chunk){
            .header = source->scan_header,
            .chunk = disk_iterator_value(source->chunks),
            .positions = source_positions(source, &source->lower, &source->scan_header)};
    }
    return 0;
}

void source_next(struct source *source)
{
    if (source->at_hit) {
        assert(source->hit_ready);
        source->hit_ready = false;
    } else {
        assert(source->scan_ready);
        source->scan_ready = false;
        disk_iterator_next(source->chunks);
    }
}
