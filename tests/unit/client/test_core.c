// Requests and answers of the core: hello, produce in order, silence, the end.

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/unit/client/scripted_node.h"

static const int64_t SECOND_NS = 1000000000;

static void produce(struct scripted_node *node, uint32_t count, uint64_t tag)
{
    struct batch batch = {0};
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_int_eq(batch_add(&batch, bytes_of_text("/a"), bytes_of_text("x"),
                                   (struct bytes){0}, 100, NULL),
                         0);
    }
    ck_assert_int_eq(core_produce(node->core, &batch, NULL, tag), 0);
    batch_deinit(&batch);
}

START_TEST(says_hello_first_and_is_ready_when_it_is_answered)
{
    struct scripted_node node;
    node_init(&node, true);
    ck_assert_uint_eq(core_data_bytes_max(node.core), 12345);
    ck_assert(!node_has_request(&node));
    expect_nothing(&node);
    node_deinit(&node);
}
END_TEST

START_TEST(requests_travel_behind_hello)
{
    struct scripted_node node;
    node_init(&node, false);
    produce(&node, 1, 0);
    ck_assert_int_eq(node_take(&node).kind, REQUEST_HELLO);
    struct request request = node_take(&node);
    ck_assert_int_eq(request.kind, REQUEST_PRODUCE);
    ck_assert_uint_eq(request.produce.events_count, 1);
    node_deinit(&node);
}
END_TEST

START_TEST(a_refused_hello_ends_it)
{
    struct scripted_node node;
    node_init(&node, false);
    struct request hello = node_take(&node);
    node_error(&node, hello.id, WIRE_VERSION);
    expect_failure(&node, ERR_VERSION);
    node_deinit(&node);
}
END_TEST

START_TEST(anything_before_hello_ends_it)
{
    struct scripted_node node;
    node_init(&node, false);
    struct request ping = {.kind = REQUEST_PING};
    ck_assert_int_eq(core_request(node.core, &ping, 0), 0);
    struct reply reply = {.kind = REPLY_PONG, .id = ping.id, .cursor = bytes_of("\x80", 1)};
    node_reply(&node, &reply);
    expect_failure(&node, ERR_INVALID);
    node_deinit(&node);
}
END_TEST

START_TEST(answers_carry_the_tag_of_their_request)
{
    struct scripted_node node;
    node_init(&node, true);
    struct request first = {.kind = REQUEST_PING};
    struct request second = {.kind = REQUEST_STATUS};
    ck_assert_int_eq(core_request(node.core, &first, 11), 0);
    ck_assert_int_eq(core_request(node.core, &second, 22), 0);
    ck_assert_uint_eq(core_pending(node.core), 2);
    node_error(&node, second.id, WIRE_INTERNAL);
    struct reply pong = {.kind = REPLY_PONG, .id = first.id, .cursor = bytes_of("\x80", 1)};
    node_reply(&node, &pong);
    struct notice notice = expect_notice(&node, NOTICE_REFUSED);
    ck_assert_uint_eq(notice.tag, 22);
    ck_assert_int_eq(refusal_err(notice.reply.error.code), ERR_IO);
    ck_assert_uint_eq(expect_notice(&node, NOTICE_ANSWER).tag, 11);
    ck_assert_uint_eq(core_pending(node.core), 0);
    node_deinit(&node);
}
END_TEST

START_TEST(results_of_produce_come_in_the_order_of_the_requests)
{
    struct scripted_node node;
    node_init(&node, true);
    uint64_t ids[4];
    for (uint32_t i = 0; i < 4; i++) {
        produce(&node, i + 1, i);
        struct request request = node_take(&node);
        ck_assert_uint_eq(request.produce.events_count, i + 1);
        ids[i] = request.id;
    }
    node_error(&node, ids[1], WIRE_INVALID_EVENT);
    node_produced(&node, ids[3], 30, 4);
    expect_nothing(&node);
    node_produced(&node, ids[0], 10, 1);
    struct notice notice = expect_notice(&node, NOTICE_PRODUCED);
    ck_assert_uint_eq(notice.tag, 0);
    ck_assert_uint_eq(notice.reply.produced.first.counter, 10);
    notice = expect_notice(&node, NOTICE_REFUSED);
    ck_assert_uint_eq(notice.tag, 1);
    ck_assert_uint_eq(notice.reply.error.code, WIRE_INVALID_EVENT);
    ck_assert(bytes_equal(notice.reply.error.text, bytes_of_text("as scripted")));
    expect_nothing(&node);
    node_produced(&node, ids[2], 20, 3);
    ck_assert_uint_eq(expect_notice(&node, NOTICE_PRODUCED).tag, 2);
    notice = expect_notice(&node, NOTICE_PRODUCED);
    ck_assert_uint_eq(notice.tag, 3);
    ck_assert_uint_eq(notice.reply.produced.first.counter, 30);
    expect_nothing(&node);
    node_deinit(&node);
}
END_TEST

START_TEST(other_answers_do_not_wait_for_produce)
{
    struct scripted_node node;
    node_init(&node, true);
    produce(&node, 1, 1);
    struct request ping = {.kind = REQUEST_PING};
    ck_assert_int_eq(core_request(node.core, &ping, 2), 0);
    struct reply pong = {.kind = REPLY_PONG, .id = ping.id, .cursor = bytes_of("\x80", 1)};
    node_reply(&node, &pong);
    ck_assert_uint_eq(expect_notice(&node, NOTICE_ANSWER).tag, 2);
    node_deinit(&node);
}
END_TEST

START_TEST(ids_that_do_not_fit_what_was_produced_are_refused)
{
    struct {
        uint64_t first;
        uint32_t count;
    } wrong[] = {{1, 1}, {1, 3}, {0, 2}, {COUNTER_MAX, 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct scripted_node node;
        node_init(&node, true);
        produce(&node, 2, 0);
        node_produced(&node, node_take(&node).id, wrong[i].first, wrong[i].count);
        expect_failure(&node, ERR_INVALID);
        node_deinit(&node);
    }
}
END_TEST

START_TEST(replies_to_nothing_or_of_another_kind_are_refused)
{
    struct reply replies[] = {
        {.kind = REPLY_PONG, .id = 1000},
        {.kind = DELIVERY_CHUNKS, .id = 1000},
        {.kind = REPLY_HELLO, .id = 2},
        {.kind = REPLY_PRODUCED, .id = 2, .produced = {.first = {1, 1}, .count = 1}},
        {.kind = DELIVERY_END, .id = 2},
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct scripted_node node;
        node_init(&node, true);
        struct request ping = {.kind = REQUEST_PING};
        ck_assert_int_eq(core_request(node.core, &ping, 0), 0);
        ck_assert_uint_eq(ping.id, 2);
        replies[i].hello.cluster = bytes_of("0123456789abcdef", 16);
        replies[i].hello.node = replies[i].hello.cluster;
        if (replies[i].kind != REPLY_HELLO) {
            replies[i].hello = (struct reply_hello){0};
        }
        replies[i].cursor =
            replies[i].kind == DELIVERY_CHUNKS ? (struct bytes){0} : bytes_of("\x80", 1);
        node_reply(&node, &replies[i]);
        expect_failure(&node, ERR_INVALID);
        node_deinit(&node);
    }
}
END_TEST

START_TEST(kinds_of_later_versions_are_passed_over)
{
    struct scripted_node node;
    node_init(&node, true);
    node_reply_bytes(&node, bytes_of("\0\0\0\3\x92\x4f\x02", 7)); // kind 79
    expect_nothing(&node);
    node_deinit(&node);
}
END_TEST

START_TEST(frames_that_are_none_are_refused)
{
    static const struct bytes frames[] = {
        {(const uint8_t *)"HTTP/1.1 400 Bad Request\r\n", 26},
        {(const uint8_t *)"\0\0\0\0", 4},
        {(const uint8_t *)"\0\0\0\1\xc1", 5},
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct scripted_node node;
        node_init(&node, i > 0);
        node_reply_bytes(&node, frames[i]);
        expect_failure(&node, ERR_INVALID);
        node_deinit(&node);
    }
}
END_TEST

START_TEST(an_error_about_the_connection_ends_it_with_its_text)
{
    struct scripted_node node;
    node_init(&node, true);
    node_error(&node, 0, WIRE_SHUTTING_DOWN);
    expect_failure(&node, ERR_CLOSED);
    ck_assert_ptr_nonnull(strstr(core_reason(node.core), "as scripted"));
    node_deinit(&node);
}
END_TEST

START_TEST(what_came_before_the_end_is_still_handed_out)
{
    struct scripted_node node;
    node_init(&node, true);
    produce(&node, 1, 0);
    node_produced(&node, node_take(&node).id, 1, 1);
    core_fail(node.core, ERR_CLOSED, "closed");
    expect_notice(&node, NOTICE_PRODUCED);
    expect_failure(&node, ERR_CLOSED);
    ck_assert_str_eq(core_reason(node.core), "closed");
    node_deinit(&node);
}
END_TEST

START_TEST(hello_has_a_time_limit)
{
    struct scripted_node node;
    node_init(&node, false);
    struct instant deadline = core_deadline(node.core);
    ck_assert_int_eq(deadline.ns, node.now.ns + 10 * SECOND_NS);
    core_tick(node.core, (struct instant){deadline.ns - 1});
    expect_nothing(&node);
    core_tick(node.core, deadline);
    expect_failure(&node, ERR_TIMEOUT);
    node_deinit(&node);
}
END_TEST

START_TEST(silence_is_met_with_a_ping_and_then_with_an_error)
{
    struct scripted_node node;
    node_init(&node, true);
    ck_assert_int_eq(core_deadline(node.core).ns, INSTANT_NEVER.ns); // nothing is awaited
    produce(&node, 1, 0);
    uint64_t produce_id = node_take(&node).id;
    struct instant deadline = core_deadline(node.core);
    ck_assert_int_eq(deadline.ns, node.now.ns + 10 * SECOND_NS);
    core_tick(node.core, deadline);
    struct request ping = node_take(&node);
    ck_assert_int_eq(ping.kind, REQUEST_PING);

    // An answer in time: as if nothing had been.
    node.now.ns = deadline.ns + SECOND_NS;
    struct reply pong = {.kind = REPLY_PONG, .id = ping.id, .cursor = bytes_of("\x80", 1)};
    node_reply(&node, &pong);
    expect_nothing(&node);
    deadline = core_deadline(node.core);
    ck_assert_int_eq(deadline.ns, node.now.ns + 10 * SECOND_NS);

    // None: it is over.
    core_tick(node.core, deadline);
    ck_assert_int_eq(node_take(&node).kind, REQUEST_PING);
    ck_assert_int_eq(core_deadline(node.core).ns, deadline.ns + 10 * SECOND_NS);
    core_tick(node.core, core_deadline(node.core));
    node_produced(&node, produce_id, 1, 1); // it came too late, but it came
    expect_notice(&node, NOTICE_PRODUCED);
    expect_failure(&node, ERR_TIMEOUT);
    node_deinit(&node);
}
END_TEST

START_TEST(too_many_requests_are_refused_and_leave_nothing)
{
    struct scripted_node node;
    node_init(&node, true);
    struct request ping = {.kind = REQUEST_PING};
    for (size_t i = 0; i < SESSION_REQUESTS_MAX; i++) {
        ck_assert_int_eq(core_request(node.core, &ping, i), 0);
    }
    size_t length = core_output(node.core).length;
    ck_assert_int_eq(core_request(node.core, &ping, 0), ERR_BUSY);
    ck_assert_uint_eq(core_output(node.core).length, length);
    node_deinit(&node);
}
END_TEST

START_TEST(output_survives_any_way_of_sending_it)
{
    struct scripted_node node;
    node_init(&node, true);
    for (uint32_t i = 1; i <= 50; i++) {
        produce(&node, i, 0);
        for (uint32_t j = 0; j < i; j++) {
            struct bytes output = core_output(node.core);
            size_t length = output.length < 7 ? output.length : 7;
            ck_assert_int_eq(buffer_append(&node.received, bytes_of(output.data, length)), 0);
            core_sent(node.core, length);
        }
    }
    for (uint32_t i = 1; i <= 50; i++) {
        ck_assert_uint_eq(node_take(&node).produce.events_count, i);
    }
    ck_assert(!node_has_request(&node));
    node_deinit(&node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/core");
    suite_add(suite, says_hello_first_and_is_ready_when_it_is_answered);
    suite_add(suite, requests_travel_behind_hello);
    suite_add(suite, a_refused_hello_ends_it);
    suite_add(suite, anything_before_hello_ends_it);
    suite_add(suite, answers_carry_the_tag_of_their_request);
    suite_add(suite, results_of_produce_come_in_the_order_of_the_requests);
    suite_add(suite, other_answers_do_not_wait_for_produce);
    suite_add(suite, ids_that_do_not_fit_what_was_produced_are_refused);
    suite_add(suite, replies_to_nothing_or_of_another_kind_are_refused);
    suite_add(suite, kinds_of_later_versions_are_passed_over);
    suite_add(suite, frames_that_are_none_are_refused);
    suite_add(suite, an_error_about_the_connection_ends_it_with_its_text);
    suite_add(suite, what_came_before_the_end_is_still_handed_out);
    suite_add(suite, hello_has_a_time_limit);
    suite_add(suite, silence_is_met_with_a_ping_and_then_with_an_error);
    suite_add(suite, too_many_requests_are_refused_and_leave_nothing);
    suite_add(suite, output_survives_any_way_of_sending_it);
    return check_main(suite);
}
