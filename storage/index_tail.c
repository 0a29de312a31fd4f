// What is added but not yet a part is shown to readers as a few sorted segments in memory, so that
// a trickle of events costs no write each and leaves no small parts behind. A new segment swallows
// those before it that are not more than twice its size, so there are few of them and an event is
// sorted again only a few times. Segments are shared between views and freed with the last one.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

// Takes ownership of nothing; NULL: no memory.
static struct tail_segment *segment_alloc(size_t events, size_t chunks)
{
    struct tail_segment *segment = calloc(1, sizeof *segment);
    if (!segment) {
        return NULL;
    }
    atomic_init(&segment->references, 1);
    segment->events_count = events;
    segment->chunks_count = chunks;
    segment->events = malloc(events * sizeof *segment->events);
    segment->chunks = malloc(chunks * sizeof *segment->chunks);
    if (!segment->events || !segment->chunks) {
        tail_segment_unref(segment);
        return NULL;
    }
    return segment;
}

int tail_segment_new(const struct accumulator *added, size_t chunks_from,
                     struct tail_segment **segment_out)
{
    assert(chunks_from < added->chunks_count);
    size_t chunks = added->chunks_count - chunks_from;
    size_t events = added->events_count - added->chunks[chunks_from].events_at;
    struct tail_segment *segment = segment_alloc(events, chunks);
    struct event_record *other = malloc(events * sizeof *other);
    if (!segment || !other) {
        free(other);
        tail_segment_unref(segment);
        return ERR_MEMORY;
    }
    memcpy(segment->chunks, added->chunks + chunks_from, chunks * sizeof *segment->chunks);
    chunk_records_sort(segment->chunks, chunks);
    struct event_record *sorted =
        event_records_sort(added->events, segment->chunks, chunks, segment->events, other);
    if (sorted == other) {
        free(segment->events);
        segment->events = other;
    } else {
        free(other);
    }
    *segment_out = segment;
    return 0;
}

struct tail_segment *tail_segment_ref(struct tail_segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

void tail_segment_unref(struct tail_segment *segment)
{
    if (segment && atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) == 1) {
        free(segment->events);
        free(segment->chunks);
        free(segment);
    }
}

// The first record of the number, or where it would be.
static size_t segment_find(const struct tail_segment *segment, uint32_t number)
{
    size_t low = 0;
    size_t high = segment->events_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->events[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void totals_add(const struct tail_segment *segment, const struct event_record *record,
                       bool is_new_chunk, struct posting_totals *totals)
{
    const struct chunk_record *chunk = &segment->chunks[record->place >> 6];
    struct event_id id = {.counter = chunk->first + (record->place & 63), .actor = chunk->actor};
    struct posting_totals one = {
        .events = 1,
        .bytes = record->bytes,
        .hits = is_new_chunk,
        .first = id,
        .last = id,
        .first_timestamp_ms = chunk->timestamp_ms,
        .last_timestamp_ms = chunk->timestamp_ms,
    };
    posting_totals_merge(totals, &one);
}

void index_tail_totals(const struct index_view *view, uint32_t number,
                       struct posting_totals *totals)
{
    for (uint32_t i = 0; i < view->segments_count; i++) {
        const struct tail_segment *segment = view->segments[i];
        uint32_t chunk_before = UINT32_MAX;
        for (size_t at = segment_find(segment, number);
             at < segment->events_count && segment->events[at].number == number; at++) {
            uint32_t chunk = segment->events[at].place >> 6;
            totals_add(segment, &segment->events[at], chunk != chunk_before, totals);
            chunk_before = chunk;
        }
    }
}

int index_tail_hits(const struct index_view *view, uint32_t number, struct buffer *hits)
{
    for (uint32_t i = 0; i < view->segments_count; i++) {
        const struct tail_segment *segment = view->segments[i];
        size_t at = segment_find(segment, number);
        while (at < segment->events_count && segment->events[at].number == number) {
            uint32_t place = segment->events[at].place >> 6;
            const struct chunk_record *chunk = &segment->chunks[place];
            struct index_hit hit = {.first = chunk->first, .actor = chunk->actor};
            for (; at < segment->events_count && segment->events[at].number == number &&
                   segment->events[at].place >> 6 == place;
                 at++) {
                hit.positions |= (uint64_t)1 << (segment->events[at].place & 63);
            }
            int err = buffer_append(hits, bytes_of(&hit, sizeof hit));
            if (err) {
                return err;
            }
        }
    }
    return 0;
}
