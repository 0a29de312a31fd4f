// A chunk's header is read and written field by field at fixed places, big-endian. Two checks guard
// it: the 32 bits in the header find an accident to the header before its lengths are believed, and
// the body hash (in the header, so under its check and under the chain) one to the body. A body is
// compressed straight into the output behind its header, where it either ends up smaller by an
// eighth at least or is overwritten by the plain bytes: readers should not pay for less.

#include "proto/model/chunk.h"

#include <assert.h>

#include "proto/base/compress.h"
#include "proto/base/limits.h"

enum {
    EVENT_ENCODED_LENGTH_MIN = 5, // [str of one byte, empty bin]
    CHECK_AT = 28,
    COMPRESS_BYTES_MIN = 64, // shorter bodies hold no repetition worth the attempt
    LZ4_RATIO_MAX = 255,
};

static uint32_t header_check(const uint8_t *header)
{
    uint8_t copy[CHUNK_HEADER_LENGTH];
    memcpy(copy, header, sizeof copy);
    memset(copy + CHECK_AT, 0, 4);
    return (uint32_t)hash64(bytes_of(copy, sizeof copy));
}

void chunk_header_load(const uint8_t *bytes, struct chunk_header *header_out)
{
    assert(bytes[0] == CHUNK_FORMAT);
    header_out->encoding = bytes[1];
    header_out->flags = load_be16(bytes + 2);
    header_out->actor = load_be16(bytes + 4);
    header_out->count = load_be16(bytes + 6);
    header_out->first = load_be64(bytes + 8);
    header_out->open = load_be32(bytes + 16);
    header_out->plain_length = load_be32(bytes + 20);
    header_out->encoded_length = load_be32(bytes + 24);
    header_out->prev = load_be64(bytes + 32);
    memcpy(header_out->prev_hash.bytes, bytes + 40, sizeof header_out->prev_hash.bytes);
    header_out->timestamp_ms = load_be64(bytes + 56);
    memcpy(header_out->body_hash.bytes, bytes + 64, sizeof header_out->body_hash.bytes);
}

static bool lengths_make_sense(const struct chunk_header *header)
{
    if (header->plain_length < (uint32_t)header->count * EVENT_ENCODED_LENGTH_MIN) {
        return false;
    }
    if (header->encoding == CHUNK_PLAIN) {
        return header->encoded_length == header->plain_length;
    }
    return header->encoded_length < header->plain_length &&
           header->plain_length <= (uint64_t)header->encoded_length * LZ4_RATIO_MAX;
}

static bool ids_make_sense(const struct chunk_header *header)
{
    static const struct hash128 none = {{0}};
    if (header->actor == 0 || header->count == 0 || header->count > CHUNK_EVENTS_MAX) {
        return false;
    }
    if (header->first == 0 || header->first > COUNTER_MAX - (header->count - 1u)) {
        return false;
    }
    return header->prev < header->first &&
           (header->prev != 0 || hash128_equal(&header->prev_hash, &none));
}

int chunk_header_parse(struct bytes bytes, struct chunk_header *header_out)
{
    if (bytes.length < CHUNK_HEADER_LENGTH) {
        return ERR_CORRUPT;
    }
    if (bytes.data[0] != CHUNK_FORMAT) {
        return bytes.data[0] > CHUNK_FORMAT ? ERR_VERSION : ERR_CORRUPT;
    }
    if (load_be32(bytes.data + CHECK_AT) != header_check(bytes.data)) {
        return ERR_CORRUPT;
    }
    struct chunk_header header;
    chunk_header_load(bytes.data, &header);
    bool has_unknown_flags = (header.flags & ~(unsigned)CHUNK_HAS_SYSTEM) != 0;
    if (has_unknown_flags || (header.encoding != CHUNK_PLAIN && header.encoding != CHUNK_LZ4)) {
        return ERR_VERSION;
    }
    if (header.plain_length > CHUNK_BODY_BYTES_MAX || header.open > PRODUCE_EVENTS_MAX) {
        return ERR_LIMIT;
    }
    if (!ids_make_sense(&header) || !lengths_make_sense(&header)) {
        return ERR_CORRUPT;
    }
    *header_out = header;
    return 0;
}

void chunk_header_encode(const struct chunk_header *header, uint8_t out[CHUNK_HEADER_LENGTH])
{
    out[0] = CHUNK_FORMAT;
    out[1] = header->encoding;
    store_be16(out + 2, header->flags);
    store_be16(out + 4, header->actor);
    store_be16(out + 6, header->count);
    store_be64(out + 8, header->first);
    store_be32(out + 16, header->open);
    store_be32(out + 20, header->plain_length);
    store_be32(out + 24, header->encoded_length);
    store_be32(out + CHECK_AT, 0);
    store_be64(out + 32, header->prev);
    memcpy(out + 40, header->prev_hash.bytes, sizeof header->prev_hash.bytes);
    store_be64(out + 56, header->timestamp_ms);
    memcpy(out + 64, header->body_hash.bytes, sizeof header->body_hash.bytes);
    store_be32(out + CHECK_AT, (uint32_t)hash64(bytes_of(out, CHUNK_HEADER_LENGTH)));
}

struct hash128 chunk_hash(const uint8_t header[CHUNK_HEADER_LENGTH])
{
    return hash128(bytes_of(header, CHUNK_HEADER_LENGTH));
}

int chunk_next(struct bytes *rest, struct chunk_header *header_out, struct bytes *chunk_out)
{
    struct chunk_header header;
    int err = chunk_header_parse(*rest, &header);
    if (err) {
        return err;
    }
    if (header.encoded_length > rest->length - CHUNK_HEADER_LENGTH) {
        return ERR_CORRUPT;
    }
    size_t length = CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
    *chunk_out = bytes_of(rest->data, length);
    *header_out = header;
    *rest = bytes_of(rest->data + length, rest->length - length);
    return 0;
}

static struct bytes encoded_body(const struct chunk_header *header, struct bytes chunk)
{
    assert(chunk.length == CHUNK_HEADER_LENGTH + (size_t)header->encoded_length);
    return bytes_of(chunk.data + CHUNK_HEADER_LENGTH, header->encoded_length);
}

int chunk_verify(const struct chunk_header *header, struct bytes chunk)
{
    struct hash128 hash = hash128(encoded_body(header, chunk));
    return hash128_equal(&hash, &header->body_hash) ? 0 : ERR_CORRUPT;
}

int chunk_body(const struct chunk_header *header, struct bytes chunk, struct buffer *scratch,
               struct bytes *body_out)
{
    struct bytes encoded = encoded_body(header, chunk);
    if (header->encoding == CHUNK_PLAIN) {
        *body_out = encoded;
        return 0;
    }
    buffer_clear(scratch);
    int err = buffer_reserve(scratch, header->plain_length);
    if (err) {
        return err;
    }
    err = decompress_block(encoded, scratch->data, header->plain_length);
    if (err) {
        return err;
    }
    scratch->length = header->plain_length;
    *body_out = buffer_bytes(scratch);
    return 0;
}

static int events_validate(const struct chunk_header *header, struct bytes body,
                           uint64_t data_bytes_max, struct reason *reason)
{
    for (unsigned i = 0; i < header->count; i++) {
        struct event event;
        if (event_next(&body, &event)) {
            return reason_set(reason, ERR_CORRUPT, "event %u of the chunk %llu.%u is malformed", i,
                              (unsigned long long)header->first, header->actor);
        }
        bool is_system = header->flags & CHUNK_HAS_SYSTEM;
        if (is_system && !namespace_is_system(event.name)) {
            return reason_set(reason, ERR_INVALID,
                              "the chunk %llu.%u of the system holds an event of another namespace",
                              (unsigned long long)header->first, header->actor);
        }
        int err = event_validate(&event, data_bytes_max, is_system, reason);
        if (err) {
            return err;
        }
    }
    if (body.length > 0) {
        return reason_set(reason, ERR_CORRUPT, "the chunk %llu.%u holds more than its %u events",
                          (unsigned long long)header->first, header->actor, header->count);
    }
    return 0;
}

int chunk_validate(struct bytes chunk, uint64_t data_bytes_max, struct buffer *scratch,
                   struct reason *reason)
{
    struct chunk_header header;
    int err = chunk_header_parse(chunk, &header);
    if (err) {
        return reason_set(reason, err, "the header of a chunk: %s", err_text(err));
    }
    if (chunk.length != CHUNK_HEADER_LENGTH + (size_t)header.encoded_length) {
        return reason_set(reason, ERR_CORRUPT, "the chunk %llu.%u has %zu bytes instead of %zu",
                          (unsigned long long)header.first, header.actor, chunk.length,
                          CHUNK_HEADER_LENGTH + (size_t)header.encoded_length);
    }
    struct bytes body;
    err = chunk_verify(&header, chunk);
    if (err == 0) {
        err = chunk_body(&header, chunk, scratch, &body);
    }
    if (err) {
        return reason_set(reason, err, "the body of the chunk %llu.%u: %s",
                          (unsigned long long)header.first, header.actor, err_text(err));
    }
    return events_validate(&header, body, data_bytes_max, reason);
}

size_t chunk_compress_body(void *compress_state, struct bytes plain_body, uint8_t *out)
{
    if (plain_body.length < COMPRESS_BYTES_MIN) {
        return 0;
    }
    return compress_block(compress_state, plain_body, out,
                          plain_body.length - plain_body.length / 8);
}

// Completes the header in front of a body that stands at its place behind out->length.
static void finish(struct buffer *out, struct chunk_header *header, size_t plain_length,
                   size_t encoded_length)
{
    uint8_t *start = out->data + out->length;
    header->plain_length = (uint32_t)plain_length;
    header->encoded_length = (uint32_t)encoded_length;
    header->body_hash = hash128(bytes_of(start + CHUNK_HEADER_LENGTH, encoded_length));
    chunk_header_encode(header, start);
    out->length += CHUNK_HEADER_LENGTH + encoded_length;
}

int chunk_append(struct buffer *out, struct chunk_header *header, struct bytes plain_body,
                 void *compress_state)
{
    assert(plain_body.length > 0 && plain_body.length <= CHUNK_BODY_BYTES_MAX);
    int err = buffer_reserve(out, CHUNK_HEADER_LENGTH + plain_body.length);
    if (err) {
        return err;
    }
    uint8_t *body = out->data + out->length + CHUNK_HEADER_LENGTH;
    size_t length = 0;
    if (compress_state) {
        length = chunk_compress_body(compress_state, plain_body, body);
    }
    header->encoding = length > 0 ? CHUNK_LZ4 : CHUNK_PLAIN;
    if (length == 0) {
        memcpy(body, plain_body.data, plain_body.length);
        length = plain_body.length;
    }
    finish(out, header, plain_body.length, length);
    return 0;
}

int chunk_append_compressed(struct buffer *out, struct chunk_header *header, struct bytes body,
                            size_t plain_length)
{
    assert(body.length > 0 && body.length < plain_length && plain_length <= CHUNK_BODY_BYTES_MAX);
    int err = buffer_reserve(out, CHUNK_HEADER_LENGTH + body.length);
    if (err) {
        return err;
    }
    memcpy(out->data + out->length + CHUNK_HEADER_LENGTH, body.data, body.length);
    header->encoding = CHUNK_LZ4;
    finish(out, header, plain_length, body.length);
    return 0;
}
