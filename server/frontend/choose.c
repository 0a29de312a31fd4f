// What a connection speaks. A frame is a length of four bytes and a msgpack array whose first
// element is the kind of the message: a peer's first is a hello of peers, and everything else is
// for the native protocol to judge.

#include "proto/model/peer_message.h"
#include "proto/wire/frame.h"
#include "server/frontend/frontend.h"

enum {
    FIXARRAY_MASK = 0xf0, // of msgpack's arrays of up to 15 elements
    FIXARRAY = 0x90,
    ARRAY_16 = 0xdc, // of more, their number in two bytes
};

static_assert(FRONTEND_GREETING_BYTES > FRAME_HEADER_LENGTH + 3, "the kind is among the first");

const struct frontend_ops *frontend_choose(struct bytes first)
{
    if (first.length <= FRAME_HEADER_LENGTH + 1) {
        return NULL;
    }
    const uint8_t *message = first.data + FRAME_HEADER_LENGTH;
    size_t kind_at = message[0] == ARRAY_16 ? 3 : 1;
    if ((message[0] & FIXARRAY_MASK) != FIXARRAY && message[0] != ARRAY_16) {
        return &FRONTEND_NATIVE;
    }
    if (first.length <= FRAME_HEADER_LENGTH + kind_at) {
        return NULL;
    }
    return message[kind_at] == PEER_HELLO ? &FRONTEND_PEER : &FRONTEND_NATIVE;
}
