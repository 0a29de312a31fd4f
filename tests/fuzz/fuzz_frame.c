// Bytes as they come in, cut into frames: every byte belongs to a frame, is waited for, or ends
// the connection, and what an incomplete frame needs is what completes it.

#include <assert.h>

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct bytes rest = bytes_of(data, length);
    for (;;) {
        struct bytes before = rest;
        struct bytes message;
        size_t needed = 0;
        int result = frame_next(&rest, FRAME_BYTES_MAX_BEFORE_HELLO, &message, &needed);
        if (result == 0) {
            assert(message.length > 0 && message.length <= FRAME_BYTES_MAX_BEFORE_HELLO);
            assert(message.data == before.data + FRAME_HEADER_LENGTH);
            assert(rest.data == message.data + message.length);
            assert(rest.length == before.length - FRAME_HEADER_LENGTH - message.length);
            continue;
        }
        assert(rest.data == before.data && rest.length == before.length);
        if (result == FRAME_INCOMPLETE) {
            assert(needed > rest.length);
            assert(needed <= FRAME_HEADER_LENGTH + FRAME_BYTES_MAX_BEFORE_HELLO);
        } else {
            assert(result == ERR_INVALID || result == ERR_LIMIT);
            assert(rest.length >= FRAME_HEADER_LENGTH);
        }
        return 0;
    }
}
