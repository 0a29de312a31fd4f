// Rows stand back to back, each with its two texts behind its numbers. What comes from the other
// side is checked for being whole, nothing else.

#include "proto/model/cluster_row.h"

#include <assert.h>

#include "proto/base/limits.h"

enum {
    FIXED_LENGTH = 84, // what stands before the address's length
    ROW_LENGTH_MIN = FIXED_LENGTH + 4,
};

int cluster_row_append(struct buffer *out, const struct cluster_row *row)
{
    assert(row->address.length <= PEER_ADDRESS_BYTES_MAX);
    assert(row->version.length <= NAME_BYTES_MAX);
    int err = buffer_reserve(out, ROW_LENGTH_MIN + row->address.length + row->version.length);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    memcpy(at, row->node.bytes, sizeof row->node.bytes);
    store_be16(at + 16, row->actor);
    at[18] = row->state;
    at[19] = row->verdict;
    store_be32(at + 20, row->flags);
    store_be16(at + 24, row->source);
    store_be64(at + 26, row->run);
    store_be64(at + 34, row->held);
    store_be64(at + 42, row->claimed);
    store_be64(at + 50, row->lag_ms);
    store_be64(at + 58, row->promised);
    store_be64(at + 66, row->seal);
    store_be16(at + 74, row->diverged_actor);
    store_be64(at + 76, row->diverged_since);
    uint8_t length[2];
    out->length += FIXED_LENGTH;
    store_be16(length, (uint16_t)row->address.length);
    err = buffer_append(out, bytes_of(length, sizeof length));
    err = err ? err : buffer_append(out, row->address);
    store_be16(length, (uint16_t)row->version.length);
    err = err ? err : buffer_append(out, bytes_of(length, sizeof length));
    return err ? err : buffer_append(out, row->version);
}

// A text behind its length of two bytes.
static bool take_text(struct bytes *rest, size_t length_max, struct bytes *text_out)
{
    if (rest->length < 2) {
        return false;
    }
    size_t length = load_be16(rest->data);
    if (length > length_max || length > rest->length - 2) {
        return false;
    }
    *text_out = bytes_of(rest->data + 2, length);
    *rest = bytes_of(rest->data + 2 + length, rest->length - 2 - length);
    return true;
}

int cluster_row_next(struct bytes *rest, struct cluster_row *row_out)
{
    if (rest->length < ROW_LENGTH_MIN) {
        return ERR_INVALID;
    }
    const uint8_t *at = rest->data;
    struct cluster_row row = {
        .actor = load_be16(at + 16),
        .state = at[18],
        .verdict = at[19],
        .flags = load_be32(at + 20),
        .source = load_be16(at + 24),
        .run = load_be64(at + 26),
        .held = load_be64(at + 34),
        .claimed = load_be64(at + 42),
        .lag_ms = load_be64(at + 50),
        .promised = load_be64(at + 58),
        .seal = load_be64(at + 66),
        .diverged_actor = load_be16(at + 74),
        .diverged_since = load_be64(at + 76),
    };
    memcpy(row.node.bytes, at, sizeof row.node.bytes);
    struct bytes texts = bytes_of(at + FIXED_LENGTH, rest->length - FIXED_LENGTH);
    if (!take_text(&texts, PEER_ADDRESS_BYTES_MAX, &row.address) ||
        !take_text(&texts, NAME_BYTES_MAX, &row.version)) {
        return ERR_INVALID;
    }
    *row_out = row;
    *rest = texts;
    return 0;
}
