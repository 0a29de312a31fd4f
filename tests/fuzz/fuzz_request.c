// Messages to a node: what is refused has a reason, and what is taken can be written, and reads
// from there as the same: its second writing is the first, byte for byte.

#include <assert.h>

#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct request request;
    struct reason reason = {0};
    int result = request_decode(bytes_of(data, length), &request, &reason);
    assert((result == 0) == (reason.text[0] == '\0'));
    if (result != 0) {
        assert(result == ERR_INVALID || result == ERR_LIMIT || result == ERR_UNSUPPORTED ||
               result == MESSAGE_UNKNOWN_KIND);
        return 0;
    }
    struct buffer first = {0};
    struct buffer second = {0};
    int err = request_encode(&request, &first);
    assert(err == 0);
    struct bytes message =
        bytes_of(first.data + FRAME_HEADER_LENGTH, first.length - FRAME_HEADER_LENGTH);
    struct request again;
    err = request_decode(message, &again, NULL);
    assert(err == 0);
    err = request_encode(&again, &second);
    assert(err == 0);
    assert(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    buffer_deinit(&first);
    buffer_deinit(&second);
    return 0;
}
