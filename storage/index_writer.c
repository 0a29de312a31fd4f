// Adding a chunk goes over its events twice: first it parses them and hashes their names, so that
// the table's memory is on its way when the second pass looks up the numbers. An event whose name
// is that of the event before, the usual case where producers write in batches, costs neither.

#include "storage/index_internal.h"

#include <assert.h>

#include "proto/base/hash.h"
#include "proto/base/limits.h"

struct chunk_names {
    struct bytes names[CHUNK_EVENTS_MAX];
    struct hash128 hashes[CHUNK_EVENTS_MAX];
    uint32_t bytes[CHUNK_EVENTS_MAX];
    uint64_t repeated; // bit i: the name of i - 1
};

static void parse_chunk(const struct index *index, uint16_t count, struct bytes body,
                        struct chunk_names *names)
{
    names->repeated = 0;
    for (uint16_t i = 0; i < count; i++) {
        struct event event;
        event_next_trusted(&body, &event);
        names->names[i] = event.name;
        names->bytes[i] = (uint32_t)event.encoded.length;
        if (i > 0 && bytes_equal(event.name, names->names[i - 1])) {
            names->repeated |= (uint64_t)1 << i;
            continue;
        }
        names->hashes[i] = hash128_keyed(event.name, index->seed);
        name_table_prefetch(&index->known, &names->hashes[i]);
    }
    assert(body.length == 0);
}

static int append_events(struct index *index, const struct chunk_names *names, uint16_t count)
{
    struct event_record *records = index->added.events + index->added.events_count;
    uint32_t number = 0;
    for (uint16_t i = 0; i < count; i++) {
        if (!(names->repeated >> i & 1)) {
            int err = index_number(index, names->names[i], &names->hashes[i], &number);
            if (err) {
                return err;
            }
        }
        records[i] = (struct event_record){.number = number, .place = i, .bytes = names->bytes[i]};
    }
    return 0;
}

static bool ends_window(const struct chunk_header *header)
{
    return (chunk_last(header) + 1) >> POSTING_WINDOW_BITS != header->first >> POSTING_WINDOW_BITS;
}

static bool redo_is_due(const struct index *index)
{
    return index->redo_ordinal != 0 && index->added.ordinal >= index->redo_ordinal;
}

static int append_chunk(struct index *index, const struct chunk_header *header, struct bytes body)
{
    struct accumulator *added = &index->added;
    struct chunk_names names;
    int err = accumulator_reserve(added, header->count);
    if (err) {
        return err;
    }
    parse_chunk(index, header->count, body, &names);
    err = append_events(index, &names, header->count);
    err = err ? err : version_vector_raise(&added->vector, header->actor, chunk_last(header));
    if (err) {
        return err;
    }
    added->chunks[added->chunks_count++] = (struct chunk_record){
        .first = header->first,
        .timestamp_ms = header->timestamp_ms,
        .events_at = (uint32_t)added->events_count,
        .actor = header->actor,
        .count = header->count,
    };
    added->events_count += header->count;
    return 0;
}

int index_pass(struct index *index, uint64_t ordinal, uint16_t actor, uint64_t last)
{
    struct accumulator *added = &index->added;
    assert(ordinal > added->ordinal);
    int err = index->failed;
    if (!err && redo_is_due(index)) {
        err = index_part_write(index);
    }
    if (!err && actor != 0) {
        err = version_vector_raise(&added->vector, actor, last);
    }
    if (!err) {
        added->ordinal = ordinal;
    }
    return err;
}

bool index_is_redoing(const struct index *index)
{
    return index->redo_ordinal != 0;
}

bool index_has_reached(const struct index *index, uint16_t actor, uint64_t last)
{
    return version_vector_get(&index->added.vector, actor) >= last;
}

int index_add_late(struct index *index, const struct chunk_header *header, struct bytes body)
{
    assert(index->redo_ordinal == 0);
    // the vector would cover what lies before the chunk, and is not there
    assert(index_has_reached(index, header->actor, chunk_last(header)));
    int err = index->failed;
    err = err ? err : append_chunk(index, header, body);
    if (!err) {
        err = index_part_write(index);
        index->failed = err;
    }
    return err;
}

int index_add(struct index *index, uint64_t ordinal, const struct chunk_header *header,
              struct bytes body)
{
    struct accumulator *added = &index->added;
    assert(ordinal > added->ordinal && header->count >= 1 && header->count <= CHUNK_EVENTS_MAX);
    int err = index->failed;
    if (!err && redo_is_due(index)) {
        err = index_part_write(index);
    }
    err = err ? err : append_chunk(index, header, body);
    if (err) {
        return err;
    }
    added->ordinal = ordinal;
    added->is_window_full = ends_window(header);
    return 0;
}

// What sorting and showing the tail will take is counted with what there is.
static uint64_t accumulated_bytes(const struct index *index)
{
    const struct accumulator *added = &index->added;
    return added->events_count * 4 * sizeof *added->events +
           added->chunks_count * 2 * sizeof *added->chunks + index->fresh_names.length +
           name_table_bytes(&index->fresh);
}

bool index_wants_flush(const struct index *index)
{
    const struct accumulator *added = &index->added;
    if (added->chunks_count == 0) {
        return false;
    }
    if (index->redo_ordinal != 0) {
        return redo_is_due(index);
    }
    return added->events_count >= index->part_events_max ||
           (added->events_count >= index->part_events_min && added->is_window_full) ||
           accumulated_bytes(index) >= index->memory_bytes_max / 4;
}

// Shows readers what is accumulated: a segment of everything that the view does not have, and of
// those last segments that are small beside it.
static int show_tail(struct index *index)
{
    struct index_view *old = index->view;
    uint32_t kept = old->segments_count;
    bool has_new = false;
    size_t chunks = 0;
    size_t events = 0;
    for (uint32_t i = 0; i < kept; i++) {
        chunks += old->segments[i]->chunks_count;
        events += old->segments[i]->events_count;
    }
    has_new = chunks < index->added.chunks_count; // if not, chunks were passed over only
    while (has_new && kept > 0 &&
           old->segments[kept - 1]->events_count <= 2 * (index->added.events_count - events)) {
        kept--;
        chunks -= old->segments[kept]->chunks_count;
        events -= old->segments[kept]->events_count;
    }
    assert(kept < TAIL_SEGMENTS_MAX);
    struct index_view *view;
    int err = index_numbers_put(index);
    err = err ? err : index_batch_write(index);
    err = err ? err : index_numbers_settle(index);
    err = err ? err : index_view_new(index, old, kept, &view);
    if (err) {
        return err;
    }
    if (has_new) {
        err = tail_segment_new(&index->added, chunks, &view->segments[kept]);
        if (err) {
            index_view_release(index, view);
            return err;
        }
        view->segments_count = kept + 1;
    }
    index_view_publish(index, view);
    return 0;
}

int index_flush(struct index *index, bool durable)
{
    int err = index->failed;
    if (!err && index_wants_flush(index)) {
        err = index_part_write(index);
    } else if (!err && index->added.ordinal > index_ordinal(index)) {
        err = show_tail(index);
    }
    if (!err && durable) {
        err = disk_flush(index->disk);
    }
    index_account(index);
    index->failed = err;
    return err;
}
