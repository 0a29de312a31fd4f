// A worker of a durable subscription over two connections, again and again, in which the first, the
// second, ... allocation fails: it says so or goes on, and an event that it was told to be
// acknowledged was handed out to it. Nothing is lost (the address sanitizer looks).

#include "client/weir.h"
#include "proto/model/subscription_row.h"
#include "proto/wire/message.h"
#include "tests/unit/client/failing/failing_allocations.h"
#include "tests/unit/client/scripted_node.h"

enum { HELLO = 1, ATTACH = 2, ASKED = 3, ACK = 4, NACK = 5, AGAIN = 6 }; // ids of the requests

struct heard {
    uint64_t events;
    uint64_t acked;
    uint64_t answers;
    uint64_t ends;
};

static void add(struct buffer *out, uint64_t id, struct reply reply)
{
    reply.id = id;
    reply.cursor = bytes_of("\x80", 1);
    ck_assert_int_eq(reply_encode(&reply, out), 0);
}

static struct buffer hello(void)
{
    struct buffer out = {0};
    add(&out, HELLO,
        (struct reply){.kind = REPLY_HELLO,
                       .hello = {.version = 1,
                                 .cluster = bytes_of("0123456789abcdef", 16),
                                 .node = bytes_of("0123456789abcdef", 16),
                                 .data_bytes_max = 1000}});
    return out;
}

static struct buffer deliveries(uint64_t first)
{
    struct buffer out = {0};
    struct buffer slice = {0};
    struct buffer rows = {0};
    struct subscription_row row = {.name = bytes_of_text("jobs"), .generation = {1, 1}};
    row.cursor = bytes_of("\x80", 1);
    subscription_definition_init(&row.definition);
    row.definition.entries[0].text = bytes_of_text("/a/*");
    row.definition.entries_count = 1;
    ck_assert_int_eq(subscription_row_append(&rows, &row), 0);
    append_sample_slice(&slice, 1, first, 20);
    add(&out, ATTACH,
        (struct reply){
            .kind = REPLY_ATTACHED,
            .attached = {.generation = {1, 1}, .coordinator = bytes_of("0123456789abcdef", 16)}});
    add(&out, ATTACH,
        (struct reply){.kind = DELIVERY_ASSIGNED,
                       .assigned = {.attempt = 1, .slices = buffer_bytes(&slice)}});
    add(&out, ASKED,
        (struct reply){.kind = REPLY_SUBSCRIPTIONS,
                       .subscriptions = {.rows = buffer_bytes(&rows)}});
    buffer_deinit(&rows);
    buffer_deinit(&slice);
    return out;
}

static struct buffer answers(void)
{
    struct buffer out = {0};
    add(&out, ATTACH, (struct reply){.kind = DELIVERY_MARK, .mark = {.kind = MARK_MOVED}});
    add(&out, ACK, (struct reply){.kind = REPLY_ACKED, .acked = {.count = 18}}); // too late
    return out;
}

static struct buffer farewell(void)
{
    struct buffer out = {0};
    add(&out, AGAIN, (struct reply){.kind = REPLY_ACKED, .acked = {.count = 18}});
    return out;
}

static void on_event(struct weir *weir, uint64_t attachment, struct weir_id id)
{
    uint64_t place = id.counter % 20;
    int err = 0;
    if (place == 5) {
        err = weir_nack(weir, attachment, id, 1, "later");
    } else if (place == 10) {
        err = weir_ack_up_to(weir, attachment, id);
    } else if (place > 10 || place == 0) {
        err = weir_ack(weir, attachment, id);
    }
    ck_assert(err == 0 || err == WEIR_ERR_MEMORY || err == WEIR_NOTHING);
}

static void take(struct weir *weir, uint64_t attachment, struct heard *heard)
{
    const struct weir_notice *notice;
    while (weir_next(weir, &notice) == 0) {
        if (notice->kind == WEIR_NOTICE_EVENT) {
            heard->events++;
            on_event(weir, attachment, notice->event->id);
        }
        if (notice->kind == WEIR_NOTICE_RESULT) {
            const struct weir_subscription_row *row;
            int outcome = weir_result_subscription(notice->result, &row);
            ck_assert(outcome == 0 || outcome == WEIR_ERR_MEMORY || notice->result->err != 0);
            heard->answers++;
        }
        heard->acked += notice->kind == WEIR_NOTICE_ACKED ? notice->acked->counted : 0;
        heard->ends += notice->kind == WEIR_NOTICE_END;
    }
}

static void say(struct weir *weir, uint64_t attachment, struct buffer said, struct heard *heard)
{
    weir_sent(weir, weir_output(weir).length);
    if (weir_want(weir) == WEIR_WANT_BYTES && weir_feed(weir, said.data, said.length, 1) == 0) {
        take(weir, attachment, heard);
    }
}

static void connect_once(struct weir *weir, uint64_t attachment, const struct buffer *said,
                         struct heard *heard)
{
    if (weir_want(weir) == WEIR_WANT_TIME) {
        weir_tick(weir, weir_deadline(weir));
    }
    if (weir_want(weir) != WEIR_WANT_CONNECT) {
        return;
    }
    if (weir_connected(weir, 1) == 0) {
        for (uint32_t i = 0; i < 4; i++) {
            say(weir, attachment, said[i], heard);
        }
    }
    weir_disconnected(weir, WEIR_ERR_CLOSED, NULL, 1);
    take(weir, attachment, heard);
}

static int converse(const struct buffer *first, const struct buffer *second, struct heard *heard)
{
    static const char *const patterns[] = {"/a/*"};
    struct weir_definition definition = {
        .size = sizeof definition, .patterns = patterns, .patterns_count = 1};
    struct weir_attach_options options = {
        .size = sizeof options, .name = "jobs", .definition = &definition, .has_ack_results = true};
    struct weir *weir;
    uint64_t attachment;
    int err = weir_new(NULL, 1, &weir, NULL);
    if (err != 0) {
        return err;
    }
    err = weir_attach(weir, &options, &attachment);
    err = err ? err : weir_subscriptions_show(weir, "jobs", NULL, NULL);
    if (err == 0) {
        connect_once(weir, attachment, first, heard);
        connect_once(weir, attachment, second, heard);
        (void)!weir_detach(weir, attachment);
        take(weir, attachment, heard);
    }
    weir_free(weir);
    return err;
}

START_TEST(every_allocation_may_fail)
{
    struct buffer first[] = {hello(), deliveries(1), answers(), farewell()};
    struct buffer second[] = {hello(), deliveries(21), answers(), farewell()};
    struct heard heard = {0};
    failing = 0;
    allocations = 0;
    ck_assert_int_eq(converse(first, second, &heard), 0);
    ck_assert_uint_eq(heard.events, 40);
    ck_assert_uint_ge(heard.acked, 18);
    ck_assert_uint_eq(heard.answers, 1);
    ck_assert_uint_eq(heard.ends, 1);
    uint64_t total = allocations;
    ck_assert_uint_gt(total, 20);
    for (uint64_t i = 1; i <= total; i++) {
        heard = (struct heard){0};
        allocations = 0;
        failing = i;
        int err = converse(first, second, &heard);
        failing = 0;
        ck_assert(err == 0 || err == WEIR_ERR_MEMORY);
        ck_assert_uint_le(heard.answers, 1);
        ck_assert_uint_le(heard.ends, 1);
        ck_assert_uint_le(heard.acked, heard.events);
    }
    for (uint32_t i = 0; i < 4; i++) {
        buffer_deinit(&first[i]);
        buffer_deinit(&second[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/failing/attach_allocations");
    suite_add(suite, every_allocation_may_fail);
    return check_main(suite);
}
