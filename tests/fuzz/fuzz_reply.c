// Messages to a client: what is refused has a reason, and what is taken can be written, and reads
// from there as the same: its second writing is the first, byte for byte.

#include <assert.h>

#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct reply reply;
    struct reason reason = {0};
    int result = reply_decode(bytes_of(data, length), &reply, &reason);
    assert((result == 0) == (reason.text[0] == '\0'));
    if (result != 0) {
        assert(result == ERR_INVALID || result == MESSAGE_UNKNOWN_KIND);
        return 0;
    }
    struct buffer first = {0};
    struct buffer second = {0};
    int err = reply_encode(&reply, &first);
    assert(err == 0);
    struct bytes message =
        bytes_of(first.data + FRAME_HEADER_LENGTH, first.length - FRAME_HEADER_LENGTH);
    struct reply again;
    err = reply_decode(message, &again, NULL);
    assert(err == 0);
    err = reply_encode(&again, &second);
    assert(err == 0);
    assert(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    buffer_deinit(&first);
    buffer_deinit(&second);
    return 0;
}
