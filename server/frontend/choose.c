// What a connection speaks. A frame is a length of four bytes and a msgpack array whose first
// element is the kind of the message: the first one of a peer is a hello of peers, and everything
// else is for the native protocol to judge.

#include "proto/model/peer_message.h"
#include "proto/wire/frame.h"
#include "server/frontend/frontend.h"

enum {
    FIXARRAY_MASK = 0xf0, // of msgpack's arrays of up to 15 elements
    FIXARRAY = 0x90,
    ARRAY_16 = 0xdc, // whose count is in two bytes behind it
};

static_assert(FRONTEND_GREETING_BYTES == FRAME_HEADER_LENGTH + 4, "up to the kind in an array 16");

const struct frontend_ops *frontend_choose(struct bytes first)
{
    if (first.length <= FRAME_HEADER_LENGTH) {
        return NULL;
    }
    uint8_t array = first.data[FRAME_HEADER_LENGTH];
    size_t kind_at = FRAME_HEADER_LENGTH + (array == ARRAY_16 ? 3 : 1);
    bool is_array = array == ARRAY_16 || (array & FIXARRAY_MASK) == FIXARRAY;
    if (!is_array || FRAME_HEADER_LENGTH + (size_t)load_be32(first.data) <= kind_at) {
        return &FRONTEND_NATIVE; // no message of peers, or none at all
    }
    if (first.length <= kind_at) {
        return NULL;
    }
    return first.data[kind_at] == PEER_HELLO ? &FRONTEND_PEER : &FRONTEND_NATIVE;
}
