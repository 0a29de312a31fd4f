// The state is one value under one key, written last in a flush, so it is either the old one or the
// new one. Format (4, big-endian) and numbers in front, then marks and vector, and a hash over all
// of it at the end: what fails it is damaged, and the index is built again.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/hash.h"
#include "storage/varint.h"

enum {
    STATE_FORMAT = 1,
    STATE_FIXED_LENGTH = 48,
    STATE_CHECK_LENGTH = 8,
    INTENT_LENGTH = 28,
};

const struct bytes INDEX_STATE_KEY = {.data = (const uint8_t *)"state", .length = 5};
const struct bytes INDEX_NOTE_KEY = {.data = (const uint8_t *)"note", .length = 4};
const struct bytes INDEX_INTENT_KEY = {.data = (const uint8_t *)"intent", .length = 6};

void index_state_deinit(struct index_state *state)
{
    free(state->marks);
    version_vector_deinit(&state->vector);
    *state = (struct index_state){0};
}

static int marks_reserve(struct index_state *state, uint32_t count)
{
    if (count <= state->marks_capacity) {
        return 0;
    }
    uint32_t capacity = count < 32 ? 32 : 2 * count;
    struct window_mark *marks = realloc(state->marks, capacity * sizeof *marks);
    if (!marks) {
        return ERR_MEMORY;
    }
    state->marks = marks;
    state->marks_capacity = capacity;
    return 0;
}

int index_state_copy(struct index_state *to, const struct index_state *from)
{
    int err = marks_reserve(to, from->marks_count);
    err = err ? err : version_vector_copy(&to->vector, &from->vector);
    if (err) {
        return err;
    }
    struct window_mark *marks = to->marks;
    uint32_t capacity = to->marks_capacity;
    struct version_vector vector = to->vector;
    *to = *from;
    to->marks = marks;
    to->marks_capacity = capacity;
    to->vector = vector;
    if (from->marks_count > 0) {
        memcpy(marks, from->marks, from->marks_count * sizeof *marks);
    }
    return 0;
}

static void fixed_put(const struct index_state *state, uint8_t *out)
{
    store_be32(out, STATE_FORMAT);
    store_be32(out + 4, state->parts);
    store_be64(out + 8, state->ordinal);
    store_be64(out + 16, state->events);
    store_be64(out + 24, state->chunks);
    store_be32(out + 32, state->names);
    store_be32(out + 36, state->fold_group);
    store_be32(out + 40, state->fold_start);
    store_be32(out + 44, state->fold_floor);
}

int index_state_encode(const struct index_state *state, struct buffer *out)
{
    size_t begin = out->length;
    size_t bound = STATE_FIXED_LENGTH + VARINT_LENGTH_MAX +
                   (size_t)state->marks_count * 2 * VARINT_LENGTH_MAX + STATE_CHECK_LENGTH;
    int err = buffer_reserve(out, bound);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + begin;
    fixed_put(state, at);
    at = varint_put(at + STATE_FIXED_LENGTH, state->marks_count);
    uint64_t previous = 0;
    for (uint32_t i = 0; i < state->marks_count; i++) {
        at = varint_put(at, state->marks[i].window - previous);
        at = varint_put(at, state->marks[i].part_last);
        previous = state->marks[i].window;
    }
    out->length = (size_t)(at - out->data);
    err = version_vector_encode(&state->vector, out);
    if (err) {
        return err;
    }
    uint8_t check[STATE_CHECK_LENGTH];
    store_be64(check, hash64(bytes_of(out->data + begin, out->length - begin)));
    return buffer_append(out, bytes_of(check, sizeof check));
}

static int marks_decode(struct index_state *state, const uint8_t **at, const uint8_t *end)
{
    uint64_t count;
    if (!varint_take(at, end, &count) || count > (uint64_t)(end - *at)) {
        return ERR_CORRUPT;
    }
    int err = marks_reserve(state, (uint32_t)count);
    if (err) {
        return err;
    }
    uint64_t window = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t delta;
        uint64_t part;
        if (!varint_take(at, end, &delta) || !varint_take(at, end, &part) || part > UINT32_MAX ||
            (i > 0 && delta == 0) || delta > POSTING_WINDOW_MAX - window) {
            return ERR_CORRUPT;
        }
        window += delta;
        state->marks[i] = (struct window_mark){.window = window, .part_last = (uint32_t)part};
    }
    state->marks_count = (uint32_t)count;
    return 0;
}

int index_state_decode(struct bytes bytes, struct index_state *state)
{
    if (bytes.length < 4) {
        return ERR_CORRUPT;
    }
    if (load_be32(bytes.data) != STATE_FORMAT) {
        return ERR_VERSION;
    }
    if (bytes.length < STATE_FIXED_LENGTH + STATE_CHECK_LENGTH) {
        return ERR_CORRUPT;
    }
    struct bytes body = bytes_of(bytes.data, bytes.length - STATE_CHECK_LENGTH);
    if (load_be64(body.data + body.length) != hash64(body)) {
        return ERR_CORRUPT;
    }
    state->parts = load_be32(body.data + 4);
    state->ordinal = load_be64(body.data + 8);
    state->events = load_be64(body.data + 16);
    state->chunks = load_be64(body.data + 24);
    state->names = load_be32(body.data + 32);
    state->fold_group = load_be32(body.data + 36);
    state->fold_start = load_be32(body.data + 40);
    state->fold_floor = load_be32(body.data + 44);
    const uint8_t *at = body.data + STATE_FIXED_LENGTH;
    const uint8_t *end = body.data + body.length;
    int err = marks_decode(state, &at, end);
    if (err) {
        return err;
    }
    struct bytes rest = bytes_of(at, (size_t)(end - at));
    err = version_vector_decode(&rest, &state->vector);
    if (err == ERR_MEMORY) {
        return err;
    }
    return err || rest.length > 0 ? ERR_CORRUPT : 0;
}

int index_state_mark(struct index_state *state, uint64_t window, uint32_t part)
{
    uint32_t i = state->marks_count;
    while (i > 0 && state->marks[i - 1].window >= window) {
        i--;
        if (state->marks[i].window == window) {
            assert(state->marks[i].part_last <= part);
            state->marks[i].part_last = part;
            return 0;
        }
    }
    int err = marks_reserve(state, state->marks_count + 1);
    if (err) {
        return err;
    }
    memmove(state->marks + i + 1, state->marks + i,
            (state->marks_count - i) * sizeof *state->marks);
    state->marks[i] = (struct window_mark){.window = window, .part_last = part};
    state->marks_count++;
    return 0;
}

void index_state_prune(struct index_state *state)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < state->marks_count; i++) {
        if (state->marks[i].part_last >= state->fold_floor) {
            state->marks[kept++] = state->marks[i];
        }
    }
    state->marks_count = kept;
}

int index_intent_encode(const struct index_intent *intent, struct buffer *out)
{
    uint8_t bytes[INTENT_LENGTH];
    store_be32(bytes, intent->part);
    store_be64(bytes + 4, intent->ordinal);
    store_be64(bytes + 12, intent->vector_hash);
    store_be64(bytes + 20, hash64(bytes_of(bytes, 20)));
    return buffer_append(out, bytes_of(bytes, sizeof bytes));
}

int index_intent_decode(struct bytes bytes, struct index_intent *intent_out)
{
    if (bytes.length != INTENT_LENGTH ||
        load_be64(bytes.data + 20) != hash64(bytes_of(bytes.data, 20))) {
        return ERR_CORRUPT;
    }
    intent_out->part = load_be32(bytes.data);
    intent_out->ordinal = load_be64(bytes.data + 4);
    intent_out->vector_hash = load_be64(bytes.data + 12);
    return 0;
}

int index_vector_hash(const struct version_vector *vector, uint64_t *hash_out)
{
    struct buffer encoded = {0};
    int err = version_vector_encode(vector, &encoded);
    if (!err) {
        *hash_out = hash64(buffer_bytes(&encoded));
    }
    buffer_deinit(&encoded);
    return err;
}
