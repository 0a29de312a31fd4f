// The positions fall into runs of consecutive bits, and each run is one slice: its events are
// copied as one stretch of bytes. Events are walked only to find where runs begin and end, never
// past the last one, and not at all where a run reaches the end of the body. Room for everything is
// reserved at once, so that failure leaves nothing half-written.

#include "proto/model/slice.h"

#include <assert.h>

#include "proto/base/limits.h"

int slice_next(struct bytes *rest, struct slice *slice_out)
{
    if (rest->length < SLICE_HEADER_LENGTH) {
        return ERR_INVALID;
    }
    const uint8_t *at = rest->data;
    struct slice slice = {
        .actor = load_be16(at),
        .count = load_be16(at + 2),
        .first = load_be64(at + 8),
        .timestamp_ms = load_be64(at + 16),
        .events = bytes_of(at + SLICE_HEADER_LENGTH, load_be32(at + 4)),
    };
    if (slice.events.length == 0 || slice.events.length > rest->length - SLICE_HEADER_LENGTH) {
        return ERR_INVALID;
    }
    if (slice.actor == 0 || slice.count == 0 || slice.count > CHUNK_EVENTS_MAX) {
        return ERR_INVALID;
    }
    if (slice.first == 0 || slice.first > COUNTER_MAX - (slice.count - 1u)) {
        return ERR_INVALID;
    }
    size_t length = SLICE_HEADER_LENGTH + slice.events.length;
    *rest = bytes_of(at + length, rest->length - length);
    *slice_out = slice;
    return 0;
}

static void skip_events(struct bytes *rest, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        event_next_trusted(rest, &event);
    }
}

static void put_slice(struct buffer *out, const struct slice *slice)
{
    uint8_t *at = out->data + out->length;
    assert(slice->events.length > 0 && slice->events.length <= UINT32_MAX);
    store_be16(at, slice->actor);
    store_be16(at + 2, slice->count);
    store_be32(at + 4, (uint32_t)slice->events.length);
    store_be64(at + 8, slice->first);
    store_be64(at + 16, slice->timestamp_ms);
    memcpy(at + SLICE_HEADER_LENGTH, slice->events.data, slice->events.length);
    out->length += SLICE_HEADER_LENGTH + slice->events.length;
}

int slice_append(struct buffer *out, const struct slice *slice)
{
    int err = buffer_reserve(out, SLICE_HEADER_LENGTH + slice->events.length);
    if (err) {
        return err;
    }
    put_slice(out, slice);
    return 0;
}

int slices_append(struct buffer *out, const struct chunk_header *header, struct bytes plain_body,
                  uint64_t positions)
{
    assert(header->count >= 1 && header->count <= CHUNK_EVENTS_MAX);
    assert((positions & ~(UINT64_MAX >> (64 - header->count))) == 0);
    unsigned slices = (unsigned)__builtin_popcountll(positions & ~(positions << 1));
    if (slices == 0) {
        return 0;
    }
    int err = buffer_reserve(out, slices * (size_t)SLICE_HEADER_LENGTH + plain_body.length);
    if (err) {
        return err;
    }
    struct bytes rest = plain_body;
    unsigned walked = 0;
    for (unsigned i = 0; i < slices; i++) {
        unsigned begin = (unsigned)__builtin_ctzll(positions);
        uint64_t after = ~(positions >> begin);
        unsigned count = after ? (unsigned)__builtin_ctzll(after) : 64;
        skip_events(&rest, begin - walked);
        const uint8_t *start = rest.data;
        if (begin + count < header->count) {
            skip_events(&rest, count);
        } else {
            rest = bytes_of(plain_body.data + plain_body.length, 0);
        }
        struct slice slice = {.actor = header->actor,
                              .count = (uint16_t)count,
                              .first = header->first + begin,
                              .timestamp_ms = header->timestamp_ms,
                              .events = bytes_of(start, (size_t)(rest.data - start))};
        put_slice(out, &slice);
        walked = begin + count;
        positions = walked < 64 ? positions & UINT64_MAX << walked : 0;
    }
    return 0;
}
