// The public API: subscriptions that outlive connections.

#include "proto/base/limits.h"
#include "tests/unit/client/scripted_cluster.h"

START_TEST(each_event_comes_once_over_a_change_of_node)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    int context;
    struct weir_subscribe_options options = {.size = sizeof options, .context = &context};
    uint64_t subscription = cluster_subscribe(&cluster, &options, &id);
    const char *cursor;
    ck_assert_int_eq(weir_cursor(cluster.weir, subscription, &cursor), WEIR_NOTHING);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    const struct weir_notice *notice = cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    ck_assert_uint_eq(notice->subscription, subscription);
    ck_assert_ptr_eq(notice->context, &context);
    cluster_chunk(&cluster, id, 1, 1, 3);
    cluster_expect_event(&cluster, 1, 1);
    cluster_expect_cursor(&cluster, subscription, "@1.1");
    cluster_expect_event(&cluster, 1, 2);
    // The connection is lost in the middle: what was received is still handed out, and behind it
    // the next node is asked to go on, not before.
    cluster_slice(&cluster, id, 2, 5, 2);
    cluster_lose(&cluster);
    cluster.node = 'b';
    cluster_connect(&cluster, "b:2");
    cluster_say_hello(&cluster);
    ck_assert(!cluster_has_request(&cluster));
    cluster_expect_event(&cluster, 1, 3);
    cluster_expect_event(&cluster, 2, 5);
    cluster_expect_cursor(&cluster, subscription, "@3.1,5.2");
    ck_assert(!cluster_has_request(&cluster));
    cluster_expect_event(&cluster, 2, 6);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    ck_assert(cluster_expect(&cluster, WEIR_NOTICE_CONNECTED)->connection->is_switch);
    struct request request = cluster_take(&cluster, REQUEST_SUBSCRIBE);
    ck_assert_int_eq(request.subscribe.start, START_AT_CURSOR);
    ck_assert(bytes_equal(request.subscribe.start_cursor, bytes_of("\x82\x01\x03\x02\x06", 5)));
    cluster_position(&cluster, REPLY_SUBSCRIBED, request.id, "@3.1,6.2", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_slice(&cluster, request.id, 1, 4, 1);
    cluster_expect_event(&cluster, 1, 4);
    cluster_expect_cursor(&cluster, subscription, "@4.1,6.2");
    cluster_expect_nothing(&cluster);
    cluster_deinit(&cluster);
}
END_TEST

// As `everything_that_a_node_offers_can_be_asked_for` asks for them.
static void check_conditions(const struct request_subscribe *got)
{
    ck_assert_uint_eq(got->attributes_count, 2);
    ck_assert(bytes_equal(got->attributes[0].name, bytes_of_text("type")));
    ck_assert(bytes_equal(got->attributes[0].value, bytes_of_text("new")));
    ck_assert(bytes_equal(got->attributes[1].name, bytes_of_text("user")));
    ck_assert_uint_eq(got->attributes[1].value.length, 0);
    ck_assert_uint_eq(got->timestamp_min_ms, 77);
}

START_TEST(everything_that_a_node_offers_can_be_asked_for)
{
    static const char *const patterns[] = {"/a/**", "/b/*"};
    static const char *const names[] = {"/c[1]"};
    static const struct weir_attribute attributes[] = {
        {.key = {"type", 4}, .value = {"new", 3}},
        {.key = {"user", 4}},
    };
    struct weir_subscribe_options options = {
        .size = sizeof options,
        .patterns = patterns,
        .patterns_count = 2,
        .names = names,
        .names_count = 1,
        .attributes = attributes,
        .attributes_count = 2,
        .time_min_ms = 77,
        .start = WEIR_START_CURSOR,
        .start_cursor = "@7.1,8.2",
        .stop = WEIR_STOP_CURSOR,
        .stop_cursor = "@9.1",
        .order = WEIR_ORDER_STABLE,
        .has_marks = true,
        .limit = 10,
        .credit_bytes = 1000,
        .heartbeat_ms = 50,
        .after = "@6.1",
        .after_timeout_ms = 20,
    };
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    uint64_t subscription;
    ck_assert_int_eq(weir_subscribe(cluster.weir, &options, &subscription), 0);
    cluster_greet(&cluster, "a:1");
    struct request_subscribe got = cluster_take(&cluster, REQUEST_SUBSCRIBE).subscribe;
    ck_assert_uint_eq(got.entries_count, 3);
    ck_assert(bytes_equal(got.entries[1].text, bytes_of_text("/b/*")));
    ck_assert(got.entries[2].is_exact && !got.entries[0].is_exact);
    check_conditions(&got);
    ck_assert_int_eq(got.start, START_AT_CURSOR);
    ck_assert(bytes_equal(got.start_cursor, bytes_of("\x82\x01\x07\x02\x08", 5)));
    ck_assert_int_eq(got.end, END_CURSOR);
    ck_assert(bytes_equal(got.end_cursor, bytes_of("\x81\x01\x09", 3)));
    ck_assert(got.is_stable_order && got.wants_marks);
    ck_assert_uint_eq(got.limit, 10);
    ck_assert_uint_eq(got.credit_bytes, 1000);
    ck_assert_uint_eq(got.heartbeat_ms, 50);
    ck_assert(bytes_equal(got.after.cursor, bytes_of("\x81\x01\x06", 3)));
    ck_assert_uint_eq(got.after.timeout_ms, 20);
    cluster_expect_cursor(&cluster, subscription, "@7.1,8.2");
    // The next node is asked for the same.
    cluster_lose(&cluster);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    got = cluster_take(&cluster, REQUEST_SUBSCRIBE).subscribe;
    check_conditions(&got);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(what_cannot_be_asked_for_is_refused_with_a_reason)
{
    static const char *const pattern[] = {"/**foo"};
    static const struct weir_attribute nameless[] = {{.value = {"new", 3}}};
    const struct {
        struct weir_subscribe_options options;
        int err;
    } cases[] = {
        {{.size = 8}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .patterns = pattern, .patterns_count = 1},
         WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .patterns = pattern, .patterns_count = 65},
         WEIR_ERR_LIMIT},
        {{.size = sizeof cases->options, .attributes = nameless, .attributes_count = 1},
         WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .attributes = nameless, .attributes_count = 17},
         WEIR_ERR_LIMIT},
        {{.size = sizeof cases->options, .start = WEIR_START_CURSOR}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .start = WEIR_START_CURSOR, .start_cursor = "1.1"},
         WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .start = WEIR_START_AT_ID}, WEIR_ERR_INVALID},
        {{.size = sizeof cases->options, .start = WEIR_START_LAST}, WEIR_ERR_LIMIT},
        {{.size = sizeof cases->options, .start = (enum weir_start)7}, WEIR_ERR_UNSUPPORTED},
        {{.size = sizeof cases->options, .credit_bytes = (uint64_t)2 << 30}, WEIR_ERR_LIMIT},
    };
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t subscription;
        int err = weir_subscribe(cluster.weir, &cases[i].options, &subscription);
        ck_assert_msg(err == cases[i].err, "case %zu: %d", i, err);
        ck_assert_int_ne(weir_reason_text(cluster.weir)[0], 0);
    }
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(marks_and_ends_are_told)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    uint64_t subscription = cluster_subscribe(&cluster, NULL, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_slice(&cluster, id, 1, 1, 2);
    cluster_position(&cluster, DELIVERY_MARK, id, "@5.1", MARK_CAUGHT_UP);
    cluster_position(&cluster, DELIVERY_END, id, "@6.1", END_REACHED);
    cluster_expect_event(&cluster, 1, 1);
    cluster_expect_event(&cluster, 1, 2);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_MARK)->mark->kind, WEIR_MARK_CAUGHT_UP);
    const struct weir_end *end = cluster_expect(&cluster, WEIR_NOTICE_END)->end;
    ck_assert_int_eq(end->reason, WEIR_END_REACHED);
    ck_assert_uint_eq(end->delivered, 2);
    ck_assert_int_eq(weir_unsubscribe(cluster.weir, subscription), 0);
    cluster_expect_cursor(&cluster, subscription, "@6.1");
    cluster_expect_nothing(&cluster);
    const char *cursor;
    ck_assert_int_eq(weir_cursor(cluster.weir, subscription, &cursor), WEIR_NOTHING);
    cluster_subscribe(&cluster, NULL, &id);
    cluster_error(&cluster, id, WIRE_CORRUPT);
    end = cluster_expect(&cluster, WEIR_NOTICE_END)->end;
    ck_assert_int_eq(end->reason, WEIR_END_ERROR);
    ck_assert_int_eq(end->err, WEIR_ERR_CORRUPT);
    ck_assert_str_eq(end->text, "as scripted");
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_limit_counts_over_connections)
{
    struct weir_subscribe_options options = {.size = sizeof options, .limit = 3};
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster_subscribe(&cluster, &options, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_slice(&cluster, id, 1, 1, 2);
    cluster_expect_event(&cluster, 1, 1);
    cluster_expect_event(&cluster, 1, 2);
    cluster_lose(&cluster);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    struct request request = cluster_take(&cluster, REQUEST_SUBSCRIBE);
    ck_assert_uint_eq(request.subscribe.limit, 1);
    cluster_position(&cluster, REPLY_SUBSCRIBED, request.id, "@2.1", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_slice(&cluster, request.id, 1, 3, 1);
    cluster_expect_event(&cluster, 1, 3);
    cluster_lose(&cluster); // before its end came
    const struct weir_end *end;
    const struct weir_notice *notice;
    do {
        ck_assert_int_eq(weir_next(cluster.weir, &notice), 0);
    } while (notice->kind == WEIR_NOTICE_DISCONNECTED);
    ck_assert_int_eq(notice->kind, WEIR_NOTICE_END);
    end = notice->end;
    ck_assert_int_eq(end->reason, WEIR_END_REACHED);
    ck_assert_uint_eq(end->delivered, 3);
    cluster_greet(&cluster, "a:1");
    ck_assert(!cluster_has_request(&cluster));
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(one_that_is_stopped_ends_also_without_a_connection)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    uint64_t early;
    ck_assert_int_eq(weir_subscribe(cluster.weir, NULL, &early), 0);
    ck_assert_int_eq(weir_unsubscribe(cluster.weir, early), 0);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_END)->end->reason, WEIR_END_STOPPED);
    cluster_greet(&cluster, "a:1");
    uint64_t subscription = cluster_subscribe(&cluster, NULL, &id);
    ck_assert_int_eq(weir_unsubscribe(cluster.weir, subscription), 0);
    ck_assert_int_eq(weir_unsubscribe(cluster.weir, subscription), 0);
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_STOP).id, id);
    ck_assert(!cluster_has_request(&cluster));
    cluster_lose(&cluster);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_END)->end->reason, WEIR_END_STOPPED);
    cluster_greet(&cluster, "b:2");
    ck_assert(!cluster_has_request(&cluster));
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_node_that_stops_hands_over_to_the_next)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    uint64_t subscription = cluster_subscribe(&cluster, NULL, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_position(&cluster, DELIVERY_END, id, "@9.1", END_SHUTDOWN);
    cluster_expect_nothing(&cluster);
    cluster_expect_cursor(&cluster, subscription, "@9.1");
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    struct request request = cluster_take(&cluster, REQUEST_SUBSCRIBE);
    ck_assert(bytes_equal(request.subscribe.start_cursor, bytes_of("\x81\x01\x09", 3)));
    cluster_deinit(&cluster);
}
END_TEST

// Not at once: it may be the only node.
START_TEST(a_node_without_room_for_it_is_left)
{
    struct scripted_cluster cluster;
    const char *const addresses[] = {"a:1"};
    struct weir_options options = {
        .size = sizeof options, .addresses = addresses, .addresses_count = 1};
    uint64_t id;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    cluster_subscribe(&cluster, NULL, &id);
    cluster_error(&cluster, id, WIRE_BUSY);
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    cluster_lose(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_TIME);
    ck_assert_int_gt(weir_deadline(cluster.weir), cluster.now);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "a:1");
    cluster_take(&cluster, REQUEST_SUBSCRIBE);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(credit_is_granted_for_what_is_taken_alone)
{
    struct weir_subscribe_options options = {.size = sizeof options, .credit_bytes = 100};
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster_subscribe(&cluster, &options, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_slice(&cluster, id, 1, 1, 2);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_expect_event(&cluster, 1, 1);
    cluster_expect_event(&cluster, 1, 2);
    ck_assert(!cluster_has_request(&cluster));
    cluster_expect_nothing(&cluster);
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_CREDIT).id, id);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(an_event_stays_valid_while_more_is_received)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster_subscribe(&cluster, NULL, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_slice(&cluster, id, 1, 1, 2);
    const struct weir_event *event = cluster_expect(&cluster, WEIR_NOTICE_EVENT)->event;
    for (uint64_t i = 0; i < 400; i++) {
        cluster_slice(&cluster, id, 2, 1 + 64 * i, 64);
        void *space;
        size_t length;
        ck_assert_int_eq(weir_space(cluster.weir, &space, &length), 0);
    }
    ck_assert(bytes_equal(bytes_of(event->name.data, event->name.length), bytes_of_text("/a/1")));
    cluster_expect_event(&cluster, 1, 2);
    for (uint64_t i = 1; i <= 400 * 64; i++) {
        cluster_expect_event(&cluster, 2, i);
    }
    cluster_expect_nothing(&cluster);
    cluster_deinit(&cluster);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_subscribe");
    suite_add(suite, each_event_comes_once_over_a_change_of_node);
    suite_add(suite, everything_that_a_node_offers_can_be_asked_for);
    suite_add(suite, what_cannot_be_asked_for_is_refused_with_a_reason);
    suite_add(suite, marks_and_ends_are_told);
    suite_add(suite, a_limit_counts_over_connections);
    suite_add(suite, one_that_is_stopped_ends_also_without_a_connection);
    suite_add(suite, a_node_that_stops_hands_over_to_the_next);
    suite_add(suite, a_node_without_room_for_it_is_left);
    suite_add(suite, credit_is_granted_for_what_is_taken_alone);
    suite_add(suite, an_event_stays_valid_while_more_is_received);
    return check_main(suite);
}
