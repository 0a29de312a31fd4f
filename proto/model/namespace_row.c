// Rows stand back to back, each with its name behind its numbers. What comes from the other side is
// checked for being whole, nothing else.

#include "proto/model/namespace_row.h"

#include <assert.h>

#include "proto/base/limits.h"

enum { ROW_FIXED_LENGTH = 54 };

int namespace_row_append(struct buffer *out, const struct namespace_row *row)
{
    assert(row->name.length <= NAMESPACE_BYTES_MAX);
    int err = buffer_reserve(out, ROW_FIXED_LENGTH + row->name.length);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    store_be64(at, row->events);
    store_be64(at + 8, row->bytes);
    event_id_encode_key(row->first, at + 16);
    event_id_encode_key(row->last, at + 26);
    store_be64(at + 36, row->first_timestamp_ms);
    store_be64(at + 44, row->last_timestamp_ms);
    store_be16(at + 52, (uint16_t)row->name.length);
    out->length += ROW_FIXED_LENGTH;
    return buffer_append(out, row->name);
}

int namespace_row_next(struct bytes *rest, struct namespace_row *row_out)
{
    if (rest->length < ROW_FIXED_LENGTH) {
        return ERR_INVALID;
    }
    const uint8_t *at = rest->data;
    size_t name_length = load_be16(at + 52);
    if (name_length > NAMESPACE_BYTES_MAX || name_length > rest->length - ROW_FIXED_LENGTH) {
        return ERR_INVALID;
    }
    *row_out = (struct namespace_row){
        .name = bytes_of(at + ROW_FIXED_LENGTH, name_length),
        .events = load_be64(at),
        .bytes = load_be64(at + 8),
        .first = event_id_decode_key(at + 16),
        .last = event_id_decode_key(at + 26),
        .first_timestamp_ms = load_be64(at + 36),
        .last_timestamp_ms = load_be64(at + 44),
    };
    rest->data += ROW_FIXED_LENGTH + name_length;
    rest->length -= ROW_FIXED_LENGTH + name_length;
    return 0;
}
