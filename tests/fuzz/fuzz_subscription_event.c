// Events about durable subscriptions, and positions: what is taken is written as what was read, so
// every node makes the same of it.

#include "proto/model/subscription_event.h"

#include <assert.h>

#include "tests/fuzz/fuzz_target.h"

static void check_position(struct bytes bytes)
{
    struct position position = {0};
    struct bytes rest = bytes;
    struct bytes skipped = bytes;
    int err = position_decode(&rest, &position);
    int err_skipped = position_skip(&skipped);
    assert(err == err_skipped && rest.length == skipped.length);
    if (err == 0) {
        struct buffer out = {0};
        err = position_encode(&position, &out);
        assert(err == 0);
        assert(bytes_equal(buffer_bytes(&out), bytes_of(bytes.data, bytes.length - rest.length)));
        buffer_deinit(&out);
    } else {
        assert(err == ERR_INVALID && rest.data == bytes.data);
        assert(position.vector.count == 0 && position.ranges_count == 0);
    }
    position_deinit(&position);
}

static void check_event(const struct subscription_event *event, struct bytes data)
{
    struct buffer out = {0};
    int err = subscription_event_encode(event, &out);
    assert(err == 0 && out.length <= data.length);
    assert(memcmp(out.data, data.data, out.length) == 0);
    buffer_deinit(&out);
    if (event->kind == SUBSCRIPTION_CHECKPOINT) {
        check_position(event->position);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct subscription_event event;
    int result = subscription_event_decode(bytes_of(data, length), &event);
    if (result == 0) {
        check_event(&event, bytes_of(data, length));
    } else {
        assert(result == ERR_INVALID || result == ERR_VERSION);
    }
    check_position(bytes_of(data, length));
    return 0;
}
