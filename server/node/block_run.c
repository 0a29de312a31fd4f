#include "server/node/block_run.h"

#include <assert.h>

#include "proto/model/chunk.h"

static void next_chunk(struct bytes *rest, struct block_run *out)
{
    struct chunk_header header;
    chunk_header_load(rest->data, &header);
    size_t length = CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
    assert(length <= rest->length);
    *out = (struct block_run){
        .actor = header.actor,
        .count = header.count,
        .first = header.first,
        .timestamp_ms = header.timestamp_ms,
        .bytes = bytes_of(rest->data, length),
        .plain_length = SLICE_HEADER_LENGTH + (size_t)header.plain_length,
    };
    *rest = bytes_of(rest->data + length, rest->length - length);
}

static void next_slice(struct bytes *rest, struct block_run *out)
{
    const uint8_t *begin = rest->data;
    struct slice slice;
    int err = slice_next(rest, &slice);
    assert(err == 0);
    (void)err;
    size_t length = SLICE_HEADER_LENGTH + slice.events.length;
    *out = (struct block_run){
        .actor = slice.actor,
        .count = slice.count,
        .first = slice.first,
        .timestamp_ms = slice.timestamp_ms,
        .bytes = bytes_of(begin, length),
        .plain_length = length,
    };
}

void block_run_next(enum block_kind kind, struct bytes *rest, struct block_run *out)
{
    if (kind == BLOCK_CHUNKS) {
        next_chunk(rest, out);
    } else {
        next_slice(rest, out);
    }
}

int block_run_slice(enum block_kind kind, const struct block_run *run, struct buffer *scratch,
                    struct slice *slice_out)
{
    if (kind == BLOCK_SLICES) {
        struct bytes rest = run->bytes;
        return slice_next(&rest, slice_out);
    }
    struct chunk_header header;
    chunk_header_load(run->bytes.data, &header);
    *slice_out = (struct slice){
        .actor = run->actor,
        .count = (uint16_t)run->count,
        .first = run->first,
        .timestamp_ms = run->timestamp_ms,
    };
    return chunk_body(&header, run->bytes, scratch, &slice_out->events);
}
