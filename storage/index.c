// Opening reads one value, the state; everything else is found when it is wanted. An index whose
// state is damaged, of another format, or missing while other keys exist, is not repaired but
// emptied: the log has it all. The state is removed first and written anew last, so that an
// emptying which is cut goes on at the next start.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PART_EVENTS_MIN = 1 << (POSTING_WINDOW_BITS - 1),
    PART_EVENTS_MAX = 1 << (POSTING_WINDOW_BITS + 1),
    EMPTY_BATCH_KEYS = 1000,
};

static const struct name_table NO_TABLE;

static int load_state(struct index *index)
{
    struct buffer value = {0};
    int result = disk_get(index->disk, INDEX_META, INDEX_STATE_KEY, &value);
    if (result == 0) {
        result = index_state_decode(buffer_bytes(&value), &index->state);
    }
    buffer_deinit(&value);
    return result;
}

static int load_intent(struct index *index)
{
    struct buffer value = {0};
    struct index_intent intent;
    int result = disk_get(index->disk, INDEX_META, INDEX_INTENT_KEY, &value);
    if (result == 0) {
        result = index_intent_decode(buffer_bytes(&value), &intent);
    }
    if (result == 0 && intent.part > index->state.parts) {
        result = ERR_CORRUPT; // a later part was begun than the state knows of
    }
    if (result == 0 && intent.part == index->state.parts) {
        index->redo_ordinal = intent.ordinal;
        index->redo_vector_hash = intent.vector_hash;
    }
    buffer_deinit(&value);
    return result == DISK_NOT_FOUND ? 0 : result;
}

static int family_empty(struct index *index, unsigned family)
{
    struct disk_iterator *iterator;
    int err = disk_iterator_open(index->disk, family, DISK_READ_SCAN, &iterator);
    if (err) {
        return err;
    }
    struct disk_batch *batch = index->scratch.batch;
    uint32_t keys = 0;
    disk_iterator_seek(iterator, bytes_of("", 0));
    for (; !err && disk_iterator_is_valid(iterator); disk_iterator_next(iterator)) {
        disk_batch_delete(batch, family, disk_iterator_key(iterator));
        if (++keys % EMPTY_BATCH_KEYS == 0) {
            err = disk_write(index->disk, batch);
            disk_batch_clear(batch);
        }
    }
    int status = disk_iterator_status(iterator);
    disk_iterator_close(iterator);
    if (!err && status != ERR_CORRUPT) {
        err = status;
    }
    if (!err && keys % EMPTY_BATCH_KEYS != 0) {
        err = disk_write(index->disk, batch);
    }
    disk_batch_clear(batch);
    return err ? err : status;
}

static int disk_empty(struct index *index)
{
    disk_batch_clear(index->scratch.batch);
    disk_batch_delete(index->scratch.batch, INDEX_META, INDEX_STATE_KEY);
    int err = disk_write(index->disk, index->scratch.batch);
    disk_batch_clear(index->scratch.batch);
    err = err ? err : family_empty(index, INDEX_POSTINGS);
    err = err ? err : family_empty(index, INDEX_NAMESPACES);
    return err ? err : family_empty(index, INDEX_META);
}

static int is_disk_empty(struct index *index, bool *is_empty_out)
{
    bool is_empty = true;
    for (unsigned family = 0; family < INDEX_FAMILIES; family++) {
        struct disk_iterator *iterator;
        int err = disk_iterator_open(index->disk, family, DISK_READ_POINT, &iterator);
        if (err) {
            return err;
        }
        disk_iterator_seek(iterator, bytes_of("", 0));
        is_empty = is_empty && !disk_iterator_is_valid(iterator);
        err = disk_iterator_status(iterator);
        disk_iterator_close(iterator);
        if (err) {
            return err;
        }
    }
    *is_empty_out = is_empty;
    return 0;
}

// Begins in memory where the state ends.
static int begin_at_state(struct index *index)
{
    accumulator_clear(&index->added);
    name_table_deinit(&index->known);
    name_table_deinit(&index->fresh);
    buffer_clear(&index->fresh_names);
    index->added.ordinal = index->state.ordinal;
    index->names_next = index->state.names;
    index->known_is_complete = index->state.names == 0;
    int err = version_vector_copy(&index->added.vector, &index->state.vector);
    err = err ? err : name_table_init(&index->known, index->memory_bytes_max / 2);
    err = err ? err : name_table_init(&index->fresh, 0);
    struct index_view *view;
    err = err ? err : index_view_new(index, NULL, 0, &view);
    if (!err) {
        index_view_publish(index, view);
        index_account(index);
    }
    return err;
}

static int begin_anew(struct index *index)
{
    struct buffer *value = &index->scratch.value;
    index_state_deinit(&index->state);
    index->redo_ordinal = 0;
    index->redo_vector_hash = 0;
    buffer_clear(value);
    int err = index_state_encode(&index->state, value);
    err = err ? err : index_batch_put(index, INDEX_META, INDEX_STATE_KEY, buffer_bytes(value));
    err = err ? err : index_batch_write(index);
    return err ? err : begin_at_state(index);
}

int index_reset(struct index *index)
{
    int err = disk_empty(index);
    err = err ? err : begin_anew(index);
    index->failed = err;
    return err;
}

int index_resume(struct index *index)
{
    struct index_state state = {0};
    struct buffer value = {0};
    int result = disk_get(index->disk, INDEX_META, INDEX_STATE_KEY, &value);
    if (result == 0) {
        result = index_state_decode(buffer_bytes(&value), &state);
    }
    buffer_deinit(&value);
    if (result == 0) {
        struct index_state before = index->state;
        index->state = state;
        state = before;
        disk_batch_clear(index->scratch.batch);
        index->scratch.batch_keys = 0;
        index->redo_ordinal = 0;
        index->redo_vector_hash = 0;
        result = load_intent(index);
    }
    index_state_deinit(&state);
    if (result == 0) {
        result = begin_at_state(index);
    }
    result = result == DISK_NOT_FOUND ? ERR_CORRUPT : result;
    index->failed = result;
    return result;
}

int index_put_note(struct index *index, struct bytes note)
{
    int err = index_batch_put(index, INDEX_META, INDEX_NOTE_KEY, note);
    return err ? err : index_batch_write(index);
}

int index_get_note(struct index *index, struct buffer *note_out)
{
    return disk_get(index->disk, INDEX_META, INDEX_NOTE_KEY, note_out);
}

static int recover(struct index *index, bool *reset_out)
{
    bool is_new = false;
    int result = load_state(index);
    if (result == 0) {
        result = load_intent(index);
    } else if (result == DISK_NOT_FOUND) {
        int err = is_disk_empty(index, &is_new);
        if (err || is_new) {
            return err ? err : begin_anew(index);
        }
        result = ERR_CORRUPT;
    }
    if (result == ERR_CORRUPT || result == ERR_VERSION) {
        *reset_out = true;
        return index_reset(index);
    }
    return result ? result : begin_at_state(index);
}

int index_open(struct disk *disk, uint64_t memory_bytes_max, uint64_t seed,
               struct index **index_out, bool *reset_out)
{
    struct index *index = calloc(1, sizeof *index);
    if (!index) {
        return ERR_MEMORY;
    }
    index->disk = disk;
    index->memory_bytes_max = memory_bytes_max;
    index->seed = seed;
    index->part_events_min = PART_EVENTS_MIN;
    index->part_events_max = PART_EVENTS_MAX;
    index->known = NO_TABLE;
    index->fresh = NO_TABLE;
    pthread_mutex_init(&index->lock, NULL);
    index->scratch.batch = disk_batch_new(disk);
    bool was_reset = false;
    int err = index->scratch.batch ? recover(index, &was_reset) : ERR_MEMORY;
    if (err) {
        index_close(index);
        return err;
    }
    *index_out = index;
    *reset_out = was_reset;
    return 0;
}

void index_close(struct index *index)
{
    if (!index) {
        return;
    }
    index_view_release(index, index->view);
    pthread_mutex_destroy(&index->lock);
    index_state_deinit(&index->state);
    accumulator_deinit(&index->added);
    name_table_deinit(&index->known);
    name_table_deinit(&index->fresh);
    buffer_deinit(&index->fresh_names);
    buffer_deinit(&index->number_value);
    struct part_scratch *scratch = &index->scratch;
    free(scratch->events[0]);
    free(scratch->events[1]);
    free(scratch->touches);
    posting_builder_deinit(&scratch->shared);
    posting_builder_deinit(&scratch->own);
    buffer_deinit(&scratch->value);
    if (scratch->batch) {
        disk_batch_free(scratch->batch);
    }
    free(index);
}

uint64_t index_ordinal(const struct index *index)
{
    return atomic_load_explicit(&index->ordinal, memory_order_acquire);
}

uint64_t index_added_ordinal(const struct index *index)
{
    return index->added.ordinal;
}

uint64_t index_namespaces_count(const struct index *index)
{
    return atomic_load_explicit(&index->namespaces, memory_order_relaxed);
}

uint64_t index_memory_bytes(const struct index *index)
{
    return atomic_load_explicit(&index->memory_bytes, memory_order_relaxed);
}

void index_account(struct index *index)
{
    const struct part_scratch *scratch = &index->scratch;
    uint64_t bytes = accumulator_bytes(&index->added) + name_table_bytes(&index->known) +
                     name_table_bytes(&index->fresh) + index->fresh_names.capacity +
                     2 * scratch->events_capacity * sizeof *scratch->events[0] +
                     scratch->touches_capacity * sizeof *scratch->touches +
                     scratch->shared.sections.capacity + scratch->own.sections.capacity +
                     scratch->value.capacity;
    for (uint32_t i = 0; i < index->view->segments_count; i++) {
        const struct tail_segment *segment = index->view->segments[i];
        bytes += segment->events_count * sizeof *segment->events +
                 segment->chunks_count * sizeof *segment->chunks;
    }
    atomic_store_explicit(&index->memory_bytes, bytes, memory_order_relaxed);
}
