// The length is judged as soon as its four bytes are there, so that a hostile one costs nothing;
// it never includes itself.

#include "proto/wire/frame.h"

int frame_next(struct bytes *rest, size_t length_max, struct bytes *message_out, size_t *needed_out)
{
    if (rest->length < FRAME_HEADER_LENGTH) {
        *needed_out = FRAME_HEADER_LENGTH;
        return FRAME_INCOMPLETE;
    }
    size_t length = load_be32(rest->data);
    if (length == 0) {
        return ERR_INVALID;
    }
    if (length > length_max) {
        return ERR_LIMIT;
    }
    if (rest->length - FRAME_HEADER_LENGTH < length) {
        *needed_out = FRAME_HEADER_LENGTH + length;
        return FRAME_INCOMPLETE;
    }
    *message_out = bytes_of(rest->data + FRAME_HEADER_LENGTH, length);
    *rest = bytes_of(rest->data + FRAME_HEADER_LENGTH + length,
                     rest->length - FRAME_HEADER_LENGTH - length);
    return 0;
}
