// Follows the frames (length, array, kind, id, fields) without decoding what is long.
#include "tests/simulation/tap.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/limits.h"
#include "proto/model/peer_message.h"
#include "proto/wire/frame.h"
#include "tests/simulation/world.h"

enum { FIELDS_AT = FRAME_HEADER_LENGTH + 3 }; // behind array, kind and id, each one byte

// A msgpack unsigned integer; *at moves behind it.
static uint64_t read_uint(const uint8_t *front, size_t *at)
{
    uint8_t head = front[(*at)++];
    unsigned length = head == 0xcc ? 1 : head == 0xcd ? 2 : head == 0xce ? 4 : 8;
    uint64_t value = 0;
    if (head < 0x80) {
        return head;
    }
    for (unsigned i = 0; i < length; i++) {
        value = value << 8 | front[(*at)++];
    }
    return value;
}

static uint64_t read_bin_length(const uint8_t *front, size_t at)
{
    return front[at] == 0xc4   ? front[at + 1]
           : front[at] == 0xc5 ? load_be16(front + at + 1)
                               : load_be32(front + at + 1);
}

static void take_frame(struct tap *tap, struct world *world, const struct tap_stream *stream)
{
    size_t at = FIELDS_AT;
    uint8_t kind = stream->front[FRAME_HEADER_LENGTH + 1];
    if (stream == &tap->out && kind < MESSAGE_KINDS) {
        world->sent.messages[kind]++;
        world->sent.bytes[kind] += FRAME_HEADER_LENGTH + stream->length;
    }
    if (world->is_traced && stream == &tap->out) {
        printf("%12.6f    m%u sends %u:", (double)world->schedule.now.ns / 1e9, tap->machine, kind);
        for (unsigned i = FRAME_HEADER_LENGTH + 2; i < stream->front_length; i++) {
            printf(" %02x", stream->front[i]);
        }
        printf("\n");
    }
    if (stream == &tap->in && kind == PEER_CREDIT) {
        tap->granted += read_uint(stream->front, &at);
    }
    if (stream == &tap->out && kind == PEER_CHUNKS) {
        if (tap->sent >= PEER_CREDIT_BYTES + tap->granted) {
            world_violation(world, "memory",
                            "a link sends chunks without credit: %" PRIu64
                            " bytes are sent, %" PRIu64 " were granted",
                            tap->sent, (uint64_t)PEER_CREDIT_BYTES + tap->granted);
        }
        read_uint(stream->front, &at);
        tap->sent += read_bin_length(stream->front, at);
    }
}

static void listen(struct tap *tap, struct world *world, struct tap_stream *stream,
                   struct bytes bytes)
{
    while (bytes.length > 0) {
        size_t want = stream->front_length < FRAME_HEADER_LENGTH
                          ? FRAME_HEADER_LENGTH - stream->front_length
                          : stream->left;
        size_t step = want < bytes.length ? want : bytes.length;
        size_t room = TAP_FRONT - stream->front_length;
        size_t kept = step < room ? step : room;
        memcpy(stream->front + stream->front_length, bytes.data, kept);
        bool is_in_head = stream->front_length < FRAME_HEADER_LENGTH;
        stream->front_length += kept;
        bytes = bytes_of(bytes.data + step, bytes.length - step);
        if (is_in_head && stream->front_length == FRAME_HEADER_LENGTH) {
            stream->left = stream->length = load_be32(stream->front);
        } else if (!is_in_head) {
            stream->left -= step;
        }
        if (stream->front_length >= FRAME_HEADER_LENGTH && stream->left == 0) {
            take_frame(tap, world, stream);
            *stream = (struct tap_stream){0};
        }
    }
}

void tap_sends(struct tap *tap, struct world *world, struct bytes bytes)
{
    listen(tap, world, &tap->out, bytes);
}

void tap_receives(struct tap *tap, struct world *world, struct bytes bytes)
{
    listen(tap, world, &tap->in, bytes);
}
