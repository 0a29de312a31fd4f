// A client of the public API over two connections, again and again, in which the first, the second,
// ... allocation fails: it says so or goes on, hands no event out twice, gives each produce one
// result at most, and loses nothing (the address sanitizer looks).

#include "client/weir.h"
#include "proto/wire/message.h"
#include "tests/unit/client/failing/failing_allocations.h"
#include "tests/unit/client/scripted_node.h"

struct heard {
    uint64_t events;
    uint64_t last; // counter
    uint64_t results;
    uint64_t answers;
};

static void add(struct buffer *out, uint64_t id, struct reply reply)
{
    reply.id = id;
    ck_assert_int_eq(reply_encode(&reply, out), 0);
}

// Hello (1), a subscription (2), a question (3), a produce (4), and some events.
static struct buffer node_side(uint64_t first)
{
    struct buffer out = {0};
    struct buffer chunks = {0};
    struct buffer found = {0};
    struct bytes empty = bytes_of("\x80", 1);
    append_sample_chunk(&chunks, 1, first, 20, true);
    append_sample_slice(&found, 1, 7, 1);
    add(&out, 1,
        (struct reply){.kind = REPLY_HELLO,
                       .cursor = empty,
                       .hello = {.version = 1,
                                 .cluster = bytes_of("0123456789abcdef", 16),
                                 .node = bytes_of("0123456789abcdef", 16),
                                 .data_bytes_max = 1000}});
    add(&out, 2, (struct reply){.kind = REPLY_SUBSCRIBED, .cursor = empty});
    add(&out, 2, (struct reply){.kind = DELIVERY_CHUNKS, .events = buffer_bytes(&chunks)});
    struct reply_produced produced = {.first = {1, 1}, .count = 1, .nodes_durable = 1};
    add(&out, 4, (struct reply){.kind = REPLY_PRODUCED, .cursor = empty, .produced = produced});
    add(&out, 3,
        (struct reply){.kind = REPLY_EVENTS, .cursor = empty, .events = buffer_bytes(&found)});
    buffer_deinit(&found);
    buffer_deinit(&chunks);
    return out;
}

static void look(const struct weir_result *result)
{
    const struct weir_event *event;
    const char *cursor;
    int outcome = weir_result_event(result, &event);
    ck_assert(result->err == WEIR_ERR_MEMORY || (outcome == 0 && event->id.counter == 7));
    (void)!weir_result_cursor(result, &cursor);
}

static void take(struct weir *weir, struct heard *heard)
{
    const struct weir_notice *notice;
    const char *cursor;
    while (weir_next(weir, &notice) == 0) {
        (void)!weir_cursor(weir, 1, &cursor);
        heard->results += notice->kind == WEIR_NOTICE_PRODUCED;
        if (notice->kind == WEIR_NOTICE_RESULT) {
            heard->answers++;
            look(notice->result);
        }
        if (notice->kind == WEIR_NOTICE_EVENT) {
            ck_assert_uint_gt(notice->event->id.counter, heard->last);
            heard->last = notice->event->id.counter;
            heard->events++;
        }
    }
}

static void connect_once(struct weir *weir, const struct buffer *node, struct heard *heard)
{
    if (weir_want(weir) == WEIR_WANT_TIME) {
        weir_tick(weir, weir_deadline(weir));
    }
    if (weir_want(weir) != WEIR_WANT_CONNECT) {
        return;
    }
    if (weir_connected(weir, 1) == 0) {
        size_t hello = load_be32(node->data) + 4;
        int err = weir_feed(weir, node->data, hello, 1);
        weir_sent(weir, weir_output(weir).length);
        err = err ? err : weir_feed(weir, node->data + hello, node->length - hello, 1);
        if (err == 0 && weir_want(weir) == WEIR_WANT_BYTES) {
            take(weir, heard);
        }
    }
    weir_disconnected(weir, WEIR_ERR_CLOSED, NULL, 1);
    take(weir, heard);
}

static int converse(const struct buffer *first, const struct buffer *second, struct heard *heard)
{
    struct weir_draft draft = {.size = sizeof draft, .name = "/a"};
    struct weir_request_options options = {.size = sizeof options, .after = "@7.1"};
    struct weir_id id = {.counter = 7, .actor = 1};
    struct weir *weir;
    uint64_t subscription;
    int err = weir_new(NULL, 1, &weir, NULL);
    if (err != 0) {
        return err;
    }
    err = weir_subscribe(weir, NULL, &subscription);
    err = err ? err : weir_produce(weir, &draft, 1, NULL, NULL);
    err = err ? err : weir_get(weir, id, &options, NULL);
    if (err == 0) {
        connect_once(weir, first, heard);
        connect_once(weir, second, heard);
    }
    weir_free(weir);
    return err;
}

START_TEST(every_allocation_may_fail)
{
    struct buffer first = node_side(1);
    struct buffer second = node_side(21);
    struct heard heard = {0};
    failing = 0;
    allocations = 0;
    ck_assert_int_eq(converse(&first, &second, &heard), 0);
    ck_assert_uint_eq(heard.events, 40);
    ck_assert_uint_eq(heard.results, 1);
    ck_assert_uint_eq(heard.answers, 1);
    uint64_t total = allocations;
    ck_assert_uint_gt(total, 10);
    for (uint64_t i = 1; i <= total; i++) {
        heard = (struct heard){0};
        allocations = 0;
        failing = i;
        int err = converse(&first, &second, &heard);
        failing = 0;
        ck_assert(err == 0 || err == WEIR_ERR_MEMORY);
        ck_assert_uint_le(heard.results, 1);
        ck_assert_uint_le(heard.answers, 1);
    }
    buffer_deinit(&first);
    buffer_deinit(&second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/failing/weir_allocations");
    suite_add(suite, every_allocation_may_fail);
    return check_main(suite);
}
