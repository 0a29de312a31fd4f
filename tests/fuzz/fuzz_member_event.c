// Events about members: what is taken is written as what was read, but for flags that are not known
// and what follows; so every node makes the same of it.

#include "proto/model/member_event.h"

#include <assert.h>

#include "tests/fuzz/fuzz_target.h"

enum { FLAGS_AT = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct member_event event;
    int result = member_event_decode(bytes_of(data, length), &event);
    if (result != 0) {
        assert(result == ERR_INVALID || result == ERR_VERSION);
        return 0;
    }
    struct buffer out = {0};
    int err = member_event_encode(&event, &out);
    assert(err == 0 && out.length <= length);
    assert(memcmp(out.data, data, FLAGS_AT) == 0);
    size_t behind = FLAGS_AT + 2;
    assert(memcmp(out.data + behind, data + behind, out.length - behind) == 0);
    buffer_deinit(&out);
    return 0;
}
