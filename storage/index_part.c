// A part is everything accumulated, window by window, sorted by number: one pass over it builds
// the blocks. A namespace with many events in a window gets a block of its own, so that reading one
// with few events does not read past those with many; the others of a group share one.
//
// Order of writing: intent, names, blocks, state. What a crash leaves of that is a beginning; after
// it the same part is made again from the same chunks, with the same numbers and keys.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { OWN_BLOCK_EVENTS_MIN = 32 };

// One window of the part that is written.
struct part_window {
    struct index *index;
    uint64_t window;
    const struct chunk_record *chunks;
    size_t chunks_count;
    uint64_t timestamp_base_ms;
    uint16_t actor; // 0: several
};

static int scratch_reserve(struct part_scratch *scratch, size_t events)
{
    if (events <= scratch->events_capacity) {
        return 0;
    }
    size_t capacity = events + events / 4;
    scratch->events_capacity = 0;
    for (int i = 0; i < 2; i++) {
        free(scratch->events[i]);
        scratch->events[i] = malloc(capacity * sizeof *scratch->events[i]);
    }
    if (!scratch->events[0] || !scratch->events[1]) {
        return ERR_MEMORY;
    }
    scratch->events_capacity = capacity;
    return 0;
}

static int touches_reserve(struct part_scratch *scratch, size_t count)
{
    if (count <= scratch->touches_capacity) {
        return 0;
    }
    size_t capacity = count + count / 2 + 64;
    struct posting_touch *touches = realloc(scratch->touches, capacity * sizeof *touches);
    if (!touches) {
        return ERR_MEMORY;
    }
    scratch->touches = touches;
    scratch->touches_capacity = capacity;
    return 0;
}

static int block_put(const struct part_window *window, const struct posting_builder *builder,
                     uint32_t group, uint16_t slot)
{
    struct index *index = window->index;
    struct posting_key key = {
        .group = group,
        .slot = slot,
        .window = window->window,
        .part = index->state.parts,
    };
    uint8_t key_bytes[POSTING_KEY_LENGTH];
    posting_key_encode(&key, key_bytes);
    int err = posting_builder_finish(builder, &index->scratch.value);
    if (err) {
        return err;
    }
    return index_batch_put(index, INDEX_POSTINGS, bytes_of(key_bytes, sizeof key_bytes),
                           buffer_bytes(&index->scratch.value));
}

// The events of one number into one block's next section.
static int section_add(const struct part_window *window, struct posting_builder *builder,
                       const struct event_record *events, size_t count)
{
    struct part_scratch *scratch = &window->index->scratch;
    int err = touches_reserve(scratch, count);
    if (err) {
        return err;
    }
    size_t touches_count = 0;
    uint64_t bytes = 0;
    uint32_t chunk_before = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        uint32_t place = events[i].place >> 6;
        if (place != chunk_before) {
            const struct chunk_record *chunk = &window->chunks[place];
            scratch->touches[touches_count++] = (struct posting_touch){
                .hit = {.first = chunk->first, .actor = chunk->actor},
                .timestamp_ms = chunk->timestamp_ms,
            };
            chunk_before = place;
        }
        scratch->touches[touches_count - 1].hit.positions |= (uint64_t)1 << (events[i].place & 63);
        bytes += events[i].bytes;
    }
    uint8_t member = (uint8_t)(events[0].number % GROUP_MEMBERS);
    return posting_builder_add(builder, member, scratch->touches, touches_count, bytes);
}

static int own_block_write(const struct part_window *window, const struct event_record *events,
                           size_t count)
{
    struct posting_builder *own = &window->index->scratch.own;
    uint32_t group = events[0].number / GROUP_MEMBERS;
    uint16_t slot = (uint16_t)(POSTING_SLOT_OWN + events[0].number % GROUP_MEMBERS);
    posting_builder_begin(own, window->window, window->timestamp_base_ms, window->actor);
    int err = section_add(window, own, events, count);
    return err ? err : block_put(window, own, group, slot);
}

static int shared_block_end(const struct part_window *window, uint32_t group)
{
    struct posting_builder *shared = &window->index->scratch.shared;
    int err = 0;
    if (shared->members_count > 0) {
        err = block_put(window, shared, group, POSTING_SLOT_SHARED);
    }
    posting_builder_begin(shared, window->window, window->timestamp_base_ms, window->actor);
    return err;
}

static int blocks_write(const struct part_window *window, const struct event_record *events,
                        size_t count)
{
    struct posting_builder *shared = &window->index->scratch.shared;
    uint32_t group = 0;
    posting_builder_begin(shared, window->window, window->timestamp_base_ms, window->actor);
    size_t i = 0;
    while (i < count) {
        uint32_t number = events[i].number;
        size_t end = i + 1;
        while (end < count && events[end].number == number) {
            end++;
        }
        int err = 0;
        if (number / GROUP_MEMBERS != group) {
            err = shared_block_end(window, group);
            group = number / GROUP_MEMBERS;
        }
        if (!err) {
            err = end - i >= OWN_BLOCK_EVENTS_MIN
                      ? own_block_write(window, events + i, end - i)
                      : section_add(window, shared, events + i, end - i);
        }
        if (err) {
            return err;
        }
        i = end;
    }
    return shared_block_end(window, group);
}

static int window_write(struct index *index, const struct chunk_record *chunks, size_t count)
{
    struct part_window window = {
        .index = index,
        .window = chunks[0].first >> POSTING_WINDOW_BITS,
        .chunks = chunks,
        .chunks_count = count,
        .timestamp_base_ms = UINT64_MAX,
        .actor = chunks[0].actor,
    };
    size_t events = 0;
    for (size_t i = 0; i < count; i++) {
        events += chunks[i].count;
        if (chunks[i].timestamp_ms < window.timestamp_base_ms) {
            window.timestamp_base_ms = chunks[i].timestamp_ms;
        }
        if (chunks[i].actor != window.actor) {
            window.actor = 0;
        }
    }
    struct part_scratch *scratch = &index->scratch;
    int err = scratch_reserve(scratch, events);
    if (err) {
        return err;
    }
    struct event_record *sorted = event_records_sort(index->added.events, chunks, count,
                                                     scratch->events[0], scratch->events[1]);
    return blocks_write(&window, sorted, events);
}

static int windows_write(struct index *index, struct index_state *state)
{
    struct chunk_record *chunks = index->added.chunks;
    size_t count = index->added.chunks_count;
    chunk_records_sort(chunks, count);
    size_t i = 0;
    while (i < count) {
        uint64_t window = chunks[i].first >> POSTING_WINDOW_BITS;
        size_t end = i + 1;
        while (end < count && chunks[end].first >> POSTING_WINDOW_BITS == window) {
            end++;
        }
        int err = index_state_mark(state, window, index->state.parts);
        err = err ? err : window_write(index, chunks + i, end - i);
        if (err) {
            return err;
        }
        i = end;
    }
    return 0;
}

static int state_invalidate(struct index *index)
{
    disk_batch_clear(index->scratch.batch);
    disk_batch_delete(index->scratch.batch, INDEX_META, INDEX_STATE_KEY);
    int err = disk_write(index->disk, index->scratch.batch);
    disk_batch_clear(index->scratch.batch);
    return err ? err : ERR_CORRUPT;
}

static int intent_put(struct index *index)
{
    struct index_intent intent = {.part = index->state.parts, .ordinal = index->added.ordinal};
    int err = index_vector_hash(&index->added.vector, &intent.vector_hash);
    if (err) {
        return err;
    }
    bool is_same = index->redo_ordinal == 0 || (index->redo_ordinal == intent.ordinal &&
                                                index->redo_vector_hash == intent.vector_hash);
    if (!is_same) {
        return state_invalidate(index); // the log is not the one that the cut part was made from
    }
    buffer_clear(&index->scratch.value);
    err = index_intent_encode(&intent, &index->scratch.value);
    return err ? err
               : index_batch_put(index, INDEX_META, INDEX_INTENT_KEY,
                                 buffer_bytes(&index->scratch.value));
}

static int state_put(struct index *index, struct index_state *state)
{
    const struct accumulator *added = &index->added;
    state->ordinal = added->ordinal;
    state->parts++;
    state->names = index->names_next;
    state->events += added->events_count;
    state->chunks += added->chunks_count;
    int err = version_vector_copy(&state->vector, &added->vector);
    buffer_clear(&index->scratch.value);
    err = err ? err : index_state_encode(state, &index->scratch.value);
    err = err ? err
              : index_batch_put(index, INDEX_META, INDEX_STATE_KEY,
                                buffer_bytes(&index->scratch.value));
    return err ? err : index_batch_write(index);
}

// Writes the part; *state becomes what it leaves.
static int part_put(struct index *index, struct index_state *state)
{
    assert(index->state.parts < UINT32_MAX);
    int err = index_state_copy(state, &index->state);
    err = err ? err : intent_put(index);
    err = err ? err : index_numbers_put(index);
    err = err ? err : windows_write(index, state);
    return err ? err : state_put(index, state);
}

int index_part_write(struct index *index)
{
    struct index_state state = {0};
    struct index_view *view = NULL;
    int err = part_put(index, &state);
    err = err ? err : index_numbers_settle(index);
    if (!err) {
        struct index_state before = index->state;
        index->state = state;
        state = before;
        index->redo_ordinal = 0;
        accumulator_clear(&index->added);
        err = index_view_new(index, NULL, 0, &view);
    }
    index_state_deinit(&state);
    if (!err) {
        index_view_publish(index, view);
        err = index_fold(index);
    }
    index->failed = err;
    return err;
}
