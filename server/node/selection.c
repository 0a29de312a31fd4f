// Bounds, filter and limit are each a set of positions of one chunk; what is in all of them is cut
// out as slices. A chunk that is out of bounds, or too old for the filter, is not decoded. A slice
// is treated as the chunk it was cut from would be.

#include "server/node/selection.h"

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/slice.h"
#include "server/node/filter_table.h"

void selection_scratch_deinit(struct selection_scratch *scratch)
{
    buffer_deinit(&scratch->body);
    buffer_deinit(&scratch->slices);
}

// The lowest `count` bits.
static uint64_t low_bits(uint64_t count)
{
    return count >= 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
}

static uint64_t positions_in_bounds(const struct selection *selection,
                                    const struct chunk_header *header)
{
    uint64_t first = header->first;
    uint64_t positions = low_bits(header->count);
    if (selection->filter &&
        filter_excludes_time(selection->filter->filter, header->timestamp_ms)) {
        return 0;
    }
    if (selection->above) {
        uint64_t above = version_vector_get(selection->above, header->actor);
        positions &= above >= first ? ~low_bits(above - first + 1) : UINT64_MAX;
    }
    if (selection->inside) {
        uint64_t inside = version_vector_get(selection->inside, header->actor);
        positions &= inside >= first ? low_bits(inside - first + 1) : 0;
    }
    return positions;
}

static uint64_t positions_limited(uint64_t positions, uint64_t count_max)
{
    uint64_t excess = (uint64_t)__builtin_popcountll(positions);
    excess = excess > count_max ? excess - count_max : 0;
    for (; excess > 0; excess--) {
        positions &= ~((uint64_t)1 << (63 - __builtin_clzll(positions)));
    }
    return positions;
}

// Appends what is selected of one chunk or slice; its body is plain.
static int select_body(const struct selection *selection, const struct chunk_header *header,
                       struct bytes body, uint64_t positions, struct buffer *slices,
                       uint32_t *events)
{
    if (selection->filter) {
        positions &= shared_filter_positions(selection->filter, body, header->count);
    }
    if (selection->events_max > 0) {
        positions = positions_limited(positions, selection->events_max - *events);
    }
    *events += (uint32_t)__builtin_popcountll(positions);
    return slices_append(slices, header, body, positions);
}

// Takes the next chunk or slice off *rest. positions_out: those in bounds; without any, the body
// is not looked at.
static int next_body(const struct selection *selection, enum block_kind kind, struct bytes *rest,
                     struct buffer *scratch, struct chunk_header *header, struct bytes *body_out,
                     uint64_t *positions_out)
{
    if (kind == BLOCK_SLICES) {
        struct slice slice;
        int err = slice_next(rest, &slice);
        if (err) {
            return ERR_CORRUPT;
        }
        *header = (struct chunk_header){
            .actor = slice.actor,
            .count = slice.count,
            .first = slice.first,
            .timestamp_ms = slice.timestamp_ms,
        };
        *body_out = slice.events;
        *positions_out = positions_in_bounds(selection, header);
        return 0;
    }
    chunk_header_load(rest->data, header);
    size_t length = CHUNK_HEADER_LENGTH + (size_t)header->encoded_length;
    struct bytes chunk = bytes_of(rest->data, length);
    *rest = bytes_of(rest->data + length, rest->length - length);
    *positions_out = positions_in_bounds(selection, header);
    return *positions_out == 0 ? 0 : chunk_body(header, chunk, scratch, body_out);
}

int selection_apply(const struct selection *selection, const struct block *block, size_t offset,
                    struct selection_scratch *scratch, struct block **block_out)
{
    struct bytes rest = bytes_of(block->data + offset, block->length - offset);
    uint32_t events = 0;
    buffer_clear(&scratch->slices);
    while (rest.length > 0 && (selection->events_max == 0 || events < selection->events_max)) {
        struct chunk_header header;
        struct bytes body = {0};
        uint64_t positions;
        int err =
            next_body(selection, block->kind, &rest, &scratch->body, &header, &body, &positions);
        if (err == 0 && positions != 0) {
            err = select_body(selection, &header, body, positions, &scratch->slices, &events);
        }
        if (err) {
            return err;
        }
    }
    struct block *made = NULL;
    if (events > 0) {
        made = block_new(BLOCK_SLICES, scratch->slices.length);
        if (!made) {
            return ERR_MEMORY;
        }
        memcpy(made->data, scratch->slices.data, scratch->slices.length);
        made->length = scratch->slices.length;
        made->events = events;
    }
    *block_out = made;
    return 0;
}
