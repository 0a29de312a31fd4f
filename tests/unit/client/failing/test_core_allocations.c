// One conversation, again and again, in which the first, the second, ... allocation fails: the core
// says ERR_MEMORY, or goes on, and loses nothing (the address sanitizer looks).

#include "proto/wire/message.h"
#include "tests/unit/client/failing/failing_allocations.h"
#include "tests/unit/client/scripted_node.h"

static void add(struct buffer *out, uint64_t id, struct reply reply)
{
    reply.id = id;
    ck_assert_int_eq(reply_encode(&reply, out), 0);
}

// What the node says: hello (1), two produces the wrong way round (2, 3), a subscription (4).
static struct buffer node_side(void)
{
    struct buffer out = {0};
    struct buffer chunks = {0};
    struct bytes empty = bytes_of("\x80", 1);
    append_sample_chunk(&chunks, 1, 1, 20, true);
    append_sample_chunk(&chunks, 2, 1, 20, true);
    add(&out, 1,
        (struct reply){.kind = REPLY_HELLO,
                       .cursor = empty,
                       .hello = {.version = 1,
                                 .cluster = bytes_of("0123456789abcdef", 16),
                                 .node = bytes_of("0123456789abcdef", 16),
                                 .data_bytes_max = 1000}});
    struct reply_produced produced = {.first = {1, 1}, .count = 1, .nodes_durable = 1};
    add(&out, 3, (struct reply){.kind = REPLY_PRODUCED, .cursor = empty, .produced = produced});
    add(&out, 2, (struct reply){.kind = REPLY_PRODUCED, .cursor = empty, .produced = produced});
    add(&out, 4, (struct reply){.kind = REPLY_SUBSCRIBED, .cursor = empty});
    add(&out, 4, (struct reply){.kind = DELIVERY_CHUNKS, .events = buffer_bytes(&chunks)});
    add(&out, 4,
        (struct reply){.kind = DELIVERY_MARK,
                       .cursor = bytes_of("\x82\x03\x05\x04\x06", 5),
                       .mark = {.kind = MARK_CAUGHT_UP}});
    add(&out, 4,
        (struct reply){.kind = DELIVERY_END, .cursor = empty, .end = {.reason = END_REACHED}});
    buffer_deinit(&chunks);
    return out;
}

static int ask(struct core *core, struct batch *batch)
{
    struct request request = {.kind = REQUEST_SUBSCRIBE, .subscribe = {.credit_bytes = 10}};
    int err =
        batch_add(batch, bytes_of_text("/a"), bytes_of_text("x"), (struct bytes){0}, 100, NULL);
    err = err != 0 ? err : core_produce(core, batch, NULL, 0);
    err = err != 0 ? err : core_produce(core, batch, NULL, 0);
    return err != 0 ? err : core_subscribe(core, &request, 0);
}

static int listen(struct core *core, uint64_t *events_out)
{
    for (;;) {
        struct notice notice;
        struct received_event event;
        int outcome = core_next(core, &notice);
        if (outcome != 0) {
            return outcome;
        }
        while (notice.events && events_next(notice.events, &event) == 0) {
            ++*events_out;
        }
        (void)core_cursor(core, 4);
    }
}

static int converse(struct bytes node, uint64_t *events_out)
{
    struct core_config config = {.name = "test"};
    struct core *core;
    struct batch batch = {0};
    int err = core_new(&config, (struct instant){1}, &core);
    if (err != 0) {
        return err;
    }
    err = ask(core, &batch);
    err = err != 0 ? err : core_feed(core, node, (struct instant){2});
    err = err != 0 ? err : listen(core, events_out);
    batch_deinit(&batch);
    core_free(core);
    return err;
}

START_TEST(every_allocation_may_fail)
{
    enum { EVENTS = 40 };
    struct buffer node = node_side();
    uint64_t events = 0;
    allocations = 0;
    failing = 0;
    ck_assert_int_eq(converse(buffer_bytes(&node), &events), CORE_NOTHING);
    ck_assert_uint_eq(events, EVENTS);
    uint64_t total = allocations;
    ck_assert_uint_ge(total, 10);
    for (uint64_t nth = 1; nth <= total; nth++) {
        events = 0;
        allocations = 0;
        failing = nth;
        int outcome = converse(buffer_bytes(&node), &events);
        failing = 0;
        ck_assert_msg(outcome == ERR_MEMORY, "allocation %" PRIu64 ": %d", nth, outcome);
        ck_assert_uint_le(events, EVENTS);
    }
    buffer_deinit(&node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/failing core");
    suite_add(suite, every_allocation_may_fail);
    return check_main(suite);
}
