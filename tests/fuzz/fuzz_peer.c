// Messages between members: what is refused has a reason, and what is taken can be written, and
// reads from there as the same: its second writing is the first, byte for byte.

#include <assert.h>

#include "proto/wire/frame.h"
#include "proto/wire/peer_wire.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct peer_scratch scratch = {0};
    struct peer_message message;
    struct reason reason = {0};
    int result = peer_decode(bytes_of(data, length), &scratch, &message, &reason);
    assert((result == 0) == (reason.text[0] == '\0'));
    if (result != 0) {
        assert(result == ERR_INVALID || result == ERR_LIMIT || result == MESSAGE_UNKNOWN_KIND);
        peer_scratch_deinit(&scratch);
        return 0;
    }
    struct buffer first = {0};
    struct buffer second = {0};
    int err = peer_encode(&message, &first);
    assert(err == 0);
    struct bytes written =
        bytes_of(first.data + FRAME_HEADER_LENGTH, first.length - FRAME_HEADER_LENGTH);
    err = peer_decode(written, &scratch, &message, NULL);
    assert(err == 0);
    err = peer_encode(&message, &second);
    assert(err == 0);
    assert(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    buffer_deinit(&first);
    buffer_deinit(&second);
    peer_scratch_deinit(&scratch);
    return 0;
}
