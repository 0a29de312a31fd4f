// The public API: which node, when, and what the program is told of it.

#include "tests/unit/client/scripted_cluster.h"

enum { MS = 1000000 };

START_TEST(it_connects_greets_and_says_so)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    const struct weir_connection *made = cluster_greet(&cluster, "a:1");
    ck_assert_str_eq(made->address, "a:1");
    ck_assert_str_eq(made->cluster, "63636363-6363-6363-6363-636363636363");
    ck_assert_str_eq(made->node, "61616161-6161-6161-6161-616161616161");
    ck_assert_uint_eq(made->actor, 7);
    ck_assert(!made->is_switch);
    ck_assert_uint_eq(weir_data_bytes_max(cluster.weir), 12345);
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(weir_deadline(cluster.weir), WEIR_NEVER);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_lost_node_is_followed_by_the_next_at_once)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster.now += 2000 * (int64_t)MS;
    cluster_lose(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CONNECT);
    const struct weir_connection *lost =
        cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED)->connection;
    ck_assert_str_eq(lost->address, "a:1");
    ck_assert_int_eq(lost->err, WEIR_ERR_CLOSED);
    ck_assert_str_eq(lost->text, "lost");
    cluster.node = 'b';
    const struct weir_connection *made = cluster_greet(&cluster, "b:2");
    ck_assert(made->is_switch);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(after_a_round_in_vain_it_pauses_longer_and_longer)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    int64_t pause = 0;
    weir_tick(cluster.weir, cluster.now);
    for (int round = 0; round < 12; round++) {
        ck_assert_str_eq(weir_address(cluster.weir), "a:1");
        weir_disconnected(cluster.weir, WEIR_ERR_CONNECT, "refused", cluster.now);
        ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CONNECT);
        ck_assert_str_eq(weir_address(cluster.weir), "b:2");
        weir_disconnected(cluster.weir, WEIR_ERR_CONNECT, "refused", cluster.now);
        ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_TIME);
        int64_t until = weir_deadline(cluster.weir);
        ck_assert_int_gt(until, cluster.now);
        pause = until - cluster.now;
        ck_assert_int_le(pause, 5000 * (int64_t)MS);
        weir_tick(cluster.weir, until - 1);
        ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_TIME);
        cluster.now = until;
        weir_tick(cluster.weir, cluster.now);
        ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CONNECT);
    }
    ck_assert_int_ge(pause, 2500 * (int64_t)MS);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED); // the last of them
    cluster_expect_nothing(&cluster);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(connecting_and_hello_take_no_longer_than_allowed)
{
    struct weir_options options = {.size = sizeof options, .connect_timeout_ms = 100};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    weir_tick(cluster.weir, cluster.now);
    ck_assert_int_eq(weir_deadline(cluster.weir), cluster.now + 100 * MS);
    weir_tick(cluster.weir, cluster.now += 100 * MS);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED)->connection->err,
                     WEIR_ERR_CONNECT);
    cluster_connect(&cluster, "b:2");
    weir_tick(cluster.weir, cluster.now += 100 * MS);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED)->connection->err,
                     WEIR_ERR_TIMEOUT);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_silent_node_is_left_when_something_is_awaited)
{
    struct weir_options options = {.size = sizeof options, .silence_ms = 1000};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    cluster_produce(&cluster, "/a");
    cluster_take(&cluster, REQUEST_PRODUCE);
    weir_tick(cluster.weir, cluster.now = weir_deadline(cluster.weir));
    cluster_take(&cluster, REQUEST_PING);
    weir_tick(cluster.weir, cluster.now = weir_deadline(cluster.weir));
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    ck_assert_uint_eq(weir_output(cluster.weir).length, 0);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_node_of_another_cluster_is_not_used)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster_lose(&cluster);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster.cluster = 'x';
    cluster_connect(&cluster, "b:2");
    cluster_say_hello(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED)->connection->err,
                     WEIR_ERR_FOREIGN);
    // Only the first is left; when that is of another cluster too, it is over.
    cluster_connect(&cluster, "a:1");
    cluster_say_hello(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_NOTHING);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    const struct weir_notice *notice;
    ck_assert_int_eq(weir_next(cluster.weir, &notice), WEIR_ERR_FOREIGN);
    ck_assert_ptr_nonnull(strstr(weir_reason_text(cluster.weir), "another cluster"));
    struct weir_draft draft = {.size = sizeof draft, .name = "/a"};
    ck_assert_int_eq(weir_produce(cluster.weir, &draft, 1, NULL, NULL), WEIR_ERR_FOREIGN);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(bytes_that_are_no_protocol_end_the_connection_and_no_more)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_feed(cluster.weir, "\0\0\0\1\xc1", 5, cluster.now), 0);
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    ck_assert_int_eq(cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED)->connection->err,
                     WEIR_ERR_INVALID);
    cluster_greet(&cluster, "b:2");
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(leaving_waits_for_answers)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster_produce(&cluster, "/a");
    uint64_t id = cluster_take(&cluster, REQUEST_PRODUCE).id;
    weir_leave(cluster.weir, cluster.now);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_BYTES);
    cluster_produced(&cluster, id, 5, 1);
    cluster_expect(&cluster, WEIR_NOTICE_PRODUCED);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(options_of_another_size_are_understood_or_refused)
{
    struct {
        struct weir_options options;
        uint64_t later[4];
    } longer = {.options.size = sizeof longer};
    struct weir *weir;
    struct weir_reason reason;
    ck_assert_int_eq(weir_new(&longer.options, 0, &weir, &reason), 0);
    weir_free(weir);
    longer.later[3] = 1;
    ck_assert_int_eq(weir_new(&longer.options, 0, &weir, &reason), WEIR_ERR_UNSUPPORTED);
    ck_assert_int_ne(reason.text[0], 0);
    struct weir_options none = {0};
    ck_assert_int_eq(weir_new(&none, 0, &weir, &reason), WEIR_ERR_INVALID);
    const char *wrong[] = {"a:b"};
    struct weir_options addresses = {
        .size = sizeof addresses, .addresses = wrong, .addresses_count = 1};
    ck_assert_int_eq(weir_new(&addresses, 0, &weir, &reason), WEIR_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(reason.text, "a:b"));
    ck_assert_int_eq(weir_new(NULL, 0, &weir, NULL), 0);
    weir_tick(weir, 0);
    ck_assert_str_eq(weir_address(weir), "localhost");
    weir_free(weir);
}
END_TEST

static void expect_ended(struct scripted_cluster *cluster, int err, const char *text)
{
    const struct weir_notice *notice;
    ck_assert_int_eq(weir_want(cluster->weir), WEIR_WANT_NOTHING);
    ck_assert_int_eq(weir_next(cluster->weir, &notice), err);
    ck_assert_str_eq(weir_reason_text(cluster->weir), text);
}

START_TEST(one_that_does_not_reconnect_ends_when_every_address_was_tried)
{
    for (int reconnect = WEIR_RECONNECT_LATER; reconnect <= WEIR_RECONNECT_NEVER; reconnect++) {
        struct scripted_cluster cluster;
        struct weir_options options = {.size = sizeof options, .reconnect = reconnect};
        cluster_init(&cluster, &options);
        weir_tick(cluster.weir, cluster.now);
        weir_disconnected(cluster.weir, WEIR_ERR_CONNECT, "refused", cluster.now);
        ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CONNECT);
        weir_disconnected(cluster.weir, WEIR_ERR_CONNECT, "refused too", cluster.now);
        cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
        expect_ended(&cluster, WEIR_ERR_CONNECT, "refused too");
        cluster_deinit(&cluster);
    }
}
END_TEST

START_TEST(one_that_never_reconnects_ends_with_its_connection)
{
    struct scripted_cluster cluster;
    struct weir_options options = {.size = sizeof options, .reconnect = WEIR_RECONNECT_LATER};
    uint64_t id;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    cluster_lose(&cluster);
    ck_assert_int_ne(weir_want(cluster.weir), WEIR_WANT_NOTHING);
    cluster_deinit(&cluster);

    options.reconnect = WEIR_RECONNECT_NEVER;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    cluster_subscribe(&cluster, NULL, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_slice(&cluster, id, 1, 1, 1);
    cluster_lose(&cluster);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_expect_event(&cluster, 1, 1); // what was received is not lost
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    expect_ended(&cluster, WEIR_ERR_CLOSED, "lost");
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(names_patterns_and_cursors_can_be_checked)
{
    struct weir_reason reason = {0};
    ck_assert_int_eq(weir_name_check("/a/b", &reason), 0);
    ck_assert_int_eq(weir_name_check("a\n", &reason), WEIR_ERR_INVALID);
    ck_assert_int_ne(reason.text[0], 0);
    ck_assert_int_eq(weir_pattern_check("/a/**", NULL), 0);
    ck_assert_int_eq(weir_pattern_check("", NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_cursor_check("@1.1,5.2", &reason), 0);
    ck_assert_int_eq(weir_cursor_check("1.1", &reason), WEIR_ERR_INVALID);
}
END_TEST

START_TEST(addresses_are_split)
{
    static const struct {
        const char *address;
        const char *host;
        const char *port;
    } cases[] = {
        {"localhost", "localhost", "3000"},
        {"a.example:3001", "a.example", "3001"},
        {"[::1]:3002", "::1", "3002"},
        {"[::1]", "::1", "3000"},
        {"::1", "::1", "3000"},
        {"/run/weir/socket", "/run/weir/socket", ""},
        {"./socket", "./socket", ""},
        {"", NULL, NULL},
        {":3000", NULL, NULL},
        {"a:", NULL, NULL},
        {"a:0", NULL, NULL},
        {"a:65536", NULL, NULL},
        {"a:123456789012", NULL, NULL},
        {"[::1]x", NULL, NULL},
        {"[::1", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct weir_address_parts parts;
        struct weir_reason reason;
        int err = weir_address_split(cases[i].address, &parts, &reason);
        ck_assert_msg((err == 0) == (cases[i].host != NULL), "%s", cases[i].address);
        if (err == 0) {
            ck_assert_str_eq(parts.host, cases[i].host);
            ck_assert_str_eq(parts.port, cases[i].port);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_connection");
    suite_add(suite, it_connects_greets_and_says_so);
    suite_add(suite, a_lost_node_is_followed_by_the_next_at_once);
    suite_add(suite, after_a_round_in_vain_it_pauses_longer_and_longer);
    suite_add(suite, connecting_and_hello_take_no_longer_than_allowed);
    suite_add(suite, a_silent_node_is_left_when_something_is_awaited);
    suite_add(suite, a_node_of_another_cluster_is_not_used);
    suite_add(suite, bytes_that_are_no_protocol_end_the_connection_and_no_more);
    suite_add(suite, leaving_waits_for_answers);
    suite_add(suite, options_of_another_size_are_understood_or_refused);
    suite_add(suite, one_that_does_not_reconnect_ends_when_every_address_was_tried);
    suite_add(suite, one_that_never_reconnects_ends_with_its_connection);
    suite_add(suite, names_patterns_and_cursors_can_be_checked);
    suite_add(suite, addresses_are_split);
    return check_main(suite);
}
