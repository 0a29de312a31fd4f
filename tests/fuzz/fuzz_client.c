// A hostile node: whatever a client receives, in whatever pieces, it says what is wrong, once and
// for good, or goes on. Its requests are: hello (id 1), produce of 2 events (2), ping (3), get (4),
// subscribe (5), produce of 1 event (6), namespaces (7), status (8), subscribe (9). The first byte
// of the input is the length of the pieces.

#include <assert.h>

#include "client/core.h"
#include "tests/fuzz/fuzz_target.h"

static void request(struct core *core, enum request_kind kind)
{
    struct request request = {.kind = kind};
    if (kind == REQUEST_GET) {
        request.get.event = (struct event_id){1, 1};
    }
    int err = kind == REQUEST_SUBSCRIBE ? core_subscribe(core, &request, 0)
                                        : core_request(core, &request, 0);
    assert(err == 0);
}

static void produce(struct core *core, uint32_t count)
{
    struct batch batch = {0};
    for (uint32_t i = 0; i < count; i++) {
        int err =
            batch_add_trusted(&batch, bytes_of_text("/a"), bytes_of_text("x"), (struct bytes){0});
        assert(err == 0);
    }
    int err = core_produce(core, &batch, NULL, count);
    assert(err == 0);
    batch_deinit(&batch);
}

static void walk(struct events *events)
{
    struct received_event event;
    uint64_t taken = 0;
    int outcome;
    while ((outcome = events_next(events, &event)) == 0) {
        assert(event.id.actor != 0 && event.id.counter != 0);
        taken++;
    }
    assert(outcome == EVENTS_END || outcome == ERR_CORRUPT);
    assert(events->taken == taken);
}

// Everything there is; the error that ended it, or 0.
static int drain(struct core *core)
{
    struct notice notice;
    int outcome;
    while ((outcome = core_next(core, &notice)) == 0) {
        (void)core_cursor(core, notice.id);
        if (notice.events && notice.id % 2 == 1) {
            walk(notice.events);
        }
        (void)core_cursor(core, notice.id);
    }
    if (outcome == CORE_NOTHING) {
        return 0;
    }
    assert(outcome < 0 && core_reason(core)[0]);
    assert(core_next(core, &notice) == outcome);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct core_config config = {.name = "fuzz"};
    struct instant now = {.ns = 1};
    struct core *core;
    if (length == 0) {
        return 0;
    }
    int err = core_new(&config, now, &core);
    assert(err == 0);
    produce(core, 2);
    request(core, REQUEST_PING);
    request(core, REQUEST_GET);
    request(core, REQUEST_SUBSCRIBE);
    produce(core, 1);
    request(core, REQUEST_NAMESPACES);
    request(core, REQUEST_STATUS);
    request(core, REQUEST_SUBSCRIBE);
    size_t piece = data[0] == 0 ? length : data[0];
    for (size_t i = 1; i < length && err == 0; i += piece) {
        size_t more = length - i < piece ? length - i : piece;
        err = core_feed(core, bytes_of(data + i, more), now);
        assert(err == 0);
        err = drain(core);
    }
    core_sent(core, core_output(core).length);
    core_free(core);
    return 0;
}
