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

#include "proto/base/planted.h"
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
    bool is_loaded; // the wanted chunk is in scan_chunk: the iterator met damage before it
    bool must_seek; // behind it
    struct buffer scan_chunk;
    bool hit_ready;
    bool hits_ended;
    struct index_hit hit;
    struct buffer hit_chunk; // loaded for `hit`
    struct chunk_header hit_header;
    bool at_hit;       // the current chunk is the hit's
    bool cursor_ready; // a hit of the index that is not `hit` yet
    struct index_hit cursor_hit;
    struct buffer passed; // struct damaged_chunk: what the index passed over, sorted by key
    size_t passed_at;     // the next of them
    bool is_passed;       // `hit` is one of them, not matched yet
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

static int index_hit_order(const struct index_hit *a, const struct index_hit *b)
{
    return event_id_compare((struct event_id){.counter = a->first, .actor = a->actor},
                            (struct event_id){.counter = b->first, .actor = b->actor});
}

int index_open_with_passed(struct store *store, const struct filter *filter,
                           struct index_cursor **cursor_out, struct version_vector *watermark_out,
                           struct buffer *passed_out)
{
    // What is passed over or added late between the two looks would be missing in both.
    for (;;) {
        uint64_t before;
        uint64_t after;
        int result = damage_unindexed(&store->damage, passed_out, &before);
        if (result == 0) {
            result = index_cursor_open(store->index, filter, cursor_out, watermark_out);
        }
        if (result != 0) {
            return result;
        }
        result = damage_unindexed(&store->damage, passed_out, &after);
        if (result == 0 && before == after) {
            return 0;
        }
        index_cursor_close(*cursor_out);
        *cursor_out = NULL;
        if (result != 0) {
            return result;
        }
    }
}

static int source_open_iterators(struct source *source, const struct filter *filter)
{
    struct store *store = source->store;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &source->strands);
    if (result == 0) {
        result = disk_iterator_open(store->log, LOG_CHUNKS, DISK_READ_SCAN, &source->chunks);
    }
    if (result == 0 && filter != NULL && !filter_is_every_name(filter) && store->index != NULL) {
        result = index_open_with_passed(store, filter, &source->cursor, &source->watermark,
                                        &source->passed);
        if (result == INDEX_SCAN) {
            source->cursor = NULL;
            buffer_clear(&source->passed);
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
    buffer_deinit(&source->scan_chunk);
    buffer_deinit(&source->passed);
    free(source);
}

// The lowest key behind the chunk that the scan has passed.
static struct event_id scan_next_key(const struct source *source)
{
    return (struct event_id){.counter = source->scan_header.first,
                             .actor = (uint16_t)(source->scan_header.actor + 1)};
}

// The iterator has failed, and does not say where. Where a block of the disk is damaged chunks that
// were mended since lie elsewhere too: the next wanted one is loaded by itself. 0 (ready or ended),
// ERR_*.
static int scan_failed(struct source *source, int error, struct reason *reason)
{
    struct event_id lowest = scan_next_key(source);
    struct chunk_place place = {.record.is_hollow = true};
    int result = error == ERR_CORRUPT ? 0 : error;
    while (result == 0 && place.record.is_hollow) { // there nothing is missing
        result = source_lowest(source, &source->lower, lowest, &lowest);
        if (result == 0) {
            result = strand_find(source->strands, lowest.actor, lowest.counter, &place);
        }
        lowest.actor += result == 0 && place.record.is_hollow;
    }
    if (result == SOURCE_END) {
        source->scan_ended = true;
        return 0;
    }
    if (result != 0) {
        return reason_set(reason, error, "the log cannot be read: %s", err_text(error));
    }
    buffer_clear(&source->scan_chunk);
    result = chunk_load(source->store, lowest.actor, lowest.counter, &source->scan_chunk,
                        &source->scan_header, reason);
    source->is_loaded = result == 0;
    source->scan_ready = result == 0;
    return result;
}

// Moves the scan to a wanted chunk. 0 (ready or ended), SOURCE_PAUSE, ERR_*.
static int scan_settle(struct source *source, struct reason *reason)
{
    if (source->must_seek) {
        int result = scan_seek(source, scan_next_key(source));
        if (result < 0) {
            return result;
        }
        source->must_seek = false;
    }
    for (unsigned passed = 0; !source->scan_ready && !source->scan_ended; passed++) {
        if (!disk_iterator_is_valid(source->chunks)) {
            int result = disk_iterator_status(source->chunks);
            source->scan_ended = result == 0;
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
            if (IS_PLANTED(PLANTED_SWALLOW_READ_ERROR)) {
                disk_iterator_next(source->chunks);
                continue;
            }
            return store_corrupt(source->store, id.actor, id.counter, reason);
        }
        if (source_positions(source, &source->lower, &source->scan_header) != 0) {
            source->skipped = 0;
            int result = chunk_check(source->store, id.actor, id.counter, value,
                                     &source->scan_header, reason);
            source->scan_ready = result == 0;
            return result;
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

// The next chunk inside the bounds that the index passed over. False: there is none.
static bool passed_next(struct source *source, struct damaged_chunk *chunk_out)
{
    for (; source->passed_at < source->passed.length;
         source->passed_at += sizeof(struct damaged_chunk)) {
        memcpy(chunk_out, source->passed.data + source->passed_at, sizeof *chunk_out);
        uint64_t lower = version_vector_get(&source->hits_lower, chunk_out->actor);
        uint64_t covered = version_vector_get(&source->watermark, chunk_out->actor);
        uint64_t upper = version_vector_get(&source->upper, chunk_out->actor);
        if (chunk_out->last > lower && chunk_out->first <= upper && chunk_out->last <= covered) {
            return true;
        }
    }
    return false;
}

// Moves the index's cursor to its next hit inside the bounds. 0 (there is one, or they have ended),
// SOURCE_PAUSE, ERR_*.
static int cursor_settle(struct source *source)
{
    for (unsigned passed = 0; !source->cursor_ready && !source->hits_ended; passed++) {
        int result = index_cursor_next(source->cursor, &source->cursor_hit);
        if (result == INDEX_END) {
            source->hits_ended = true;
            return 0;
        }
        if (result != 0) {
            return result;
        }
        struct chunk_header bounds = {
            .actor = source->cursor_hit.actor, .first = source->cursor_hit.first, .count = 64};
        uint64_t positions = source_positions(source, &source->hits_lower, &bounds);
        source->cursor_ready = (positions & source->cursor_hit.positions) != 0;
        if (!source->cursor_ready && passed == PASSES_BEFORE_PAUSE) {
            return SOURCE_PAUSE;
        }
    }
    return 0;
}

// Takes the next hit, of the cursor or of what the index passed over, and loads its chunk. 0 (ready
// or ended), SOURCE_PAUSE, ERR_*.
static int hits_settle(struct source *source, struct reason *reason)
{
    struct damaged_chunk passed;
    if (source->hit_ready || source->cursor == NULL) {
        return 0;
    }
    int result = cursor_settle(source);
    if (result != 0) {
        return result;
    }
    source->hit = source->cursor_hit;
    source->is_passed = passed_next(source, &passed);
    if (source->is_passed) {
        struct index_hit hit = {
            .first = passed.first, .actor = passed.actor, .positions = UINT64_MAX};
        int order = source->cursor_ready ? index_hit_order(&hit, &source->cursor_hit) : -1;
        source->is_passed = order <= 0;
        source->hit = source->is_passed ? hit : source->hit;
        source->cursor_ready &= order != 0; // the index has it meanwhile; once is enough
    }
    if (!source->is_passed && !source->cursor_ready) {
        return 0;
    }
    buffer_clear(&source->hit_chunk);
    result = chunk_load(source->store, source->hit.actor, source->hit.first, &source->hit_chunk,
                        &source->hit_header, reason);
    if (result != 0) {
        return result;
    }
    source->hit_ready = true;
    if (source->is_passed) {
        source->passed_at += sizeof(struct damaged_chunk);
    } else {
        source->cursor_ready = false;
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
                                           .is_exact_match = !source->is_passed};
    } else {
        *chunk_out = (struct source_chunk){
            .header = source->scan_header,
            .chunk = source->is_loaded ? buffer_bytes(&source->scan_chunk)
                                       : disk_iterator_value(source->chunks),
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
        source->must_seek = source->is_loaded;
        if (!source->is_loaded) {
            disk_iterator_next(source->chunks);
        }
        source->is_loaded = false;
    }
}
