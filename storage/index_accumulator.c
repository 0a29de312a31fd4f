// Adding an event appends twelve bytes; everything else is done once per part. Sorting by number
// is a stable radix sort over the bits that numbers use, so the order of arrival, which is nearly
// always the order of keys, is kept within a number.

#include "storage/index_internal.h"

#include <stdlib.h>

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, CAPACITY_MIN = 1024 };

void accumulator_deinit(struct accumulator *added)
{
    free(added->events);
    free(added->chunks);
    version_vector_deinit(&added->vector);
    *added = (struct accumulator){0};
}

void accumulator_clear(struct accumulator *added)
{
    added->events_count = 0;
    added->chunks_count = 0;
    added->is_window_full = false;
}

static size_t capacity_for(size_t capacity, size_t wanted)
{
    capacity = capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity;
    while (capacity < wanted) {
        capacity += capacity / 2;
    }
    return capacity;
}

int accumulator_reserve(struct accumulator *added, size_t events)
{
    size_t wanted = added->events_count + events;
    if (wanted > added->events_capacity) {
        size_t capacity = capacity_for(added->events_capacity, wanted);
        struct event_record *records = realloc(added->events, capacity * sizeof *records);
        if (!records) {
            return ERR_MEMORY;
        }
        added->events = records;
        added->events_capacity = capacity;
    }
    if (added->chunks_count == added->chunks_capacity) {
        size_t capacity = capacity_for(added->chunks_capacity, added->chunks_count + 1);
        struct chunk_record *records = realloc(added->chunks, capacity * sizeof *records);
        if (!records) {
            return ERR_MEMORY;
        }
        added->chunks = records;
        added->chunks_capacity = capacity;
    }
    return 0;
}

uint64_t accumulator_bytes(const struct accumulator *added)
{
    return added->events_capacity * sizeof *added->events +
           added->chunks_capacity * sizeof *added->chunks;
}

static int chunk_record_compare(const void *left, const void *right)
{
    const struct chunk_record *a = left;
    const struct chunk_record *b = right;
    return event_id_compare((struct event_id){.counter = a->first, .actor = a->actor},
                            (struct event_id){.counter = b->first, .actor = b->actor});
}

void chunk_records_sort(struct chunk_record *chunks, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (chunk_record_compare(&chunks[i - 1], &chunks[i]) > 0) {
            qsort(chunks, count, sizeof *chunks, chunk_record_compare);
            return;
        }
    }
}

static void sort_by_digit(const struct event_record *from, struct event_record *to, size_t count,
                          unsigned shift)
{
    uint32_t ends[DIGITS] = {0};
    for (size_t i = 0; i < count; i++) {
        ends[from[i].number >> shift & (DIGITS - 1)]++;
    }
    uint32_t begin = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        uint32_t here = ends[i];
        ends[i] = begin;
        begin += here;
    }
    for (size_t i = 0; i < count; i++) {
        to[ends[from[i].number >> shift & (DIGITS - 1)]++] = from[i];
    }
}

struct event_record *event_records_sort(const struct event_record *events,
                                        const struct chunk_record *chunks, size_t chunks_count,
                                        struct event_record *a, struct event_record *b)
{
    size_t count = 0;
    uint32_t numbers = 0;
    for (size_t i = 0; i < chunks_count; i++) {
        for (uint32_t j = 0; j < chunks[i].count; j++) {
            struct event_record record = events[chunks[i].events_at + j];
            record.place |= (uint32_t)(i << 6);
            numbers |= record.number;
            a[count++] = record;
        }
    }
    for (unsigned shift = 0; shift < 32 && numbers >> shift != 0; shift += DIGIT_BITS) {
        sort_by_digit(a, b, count, shift);
        struct event_record *sorted = b;
        b = a;
        a = sorted;
    }
    return a;
}
