// The public API: from events to their results.

#include "proto/model/event.h"
#include "tests/unit/client/scripted_cluster.h"

enum { MS = 1000000 };

static void expect_result(struct scripted_cluster *cluster, uint64_t ticket, int err,
                          uint64_t first)
{
    const struct weir_produced *produced = cluster_expect(cluster, WEIR_NOTICE_PRODUCED)->produced;
    ck_assert_uint_eq(produced->ticket, ticket);
    ck_assert_int_eq(produced->err, err);
    ck_assert_uint_eq(produced->first.counter, first);
    ck_assert_int_eq(produced->text == NULL, err == 0);
}

START_TEST(what_is_produced_in_one_turn_is_one_batch)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    uint64_t first = cluster_produce(&cluster, "/a"); // before there is a connection
    cluster_greet(&cluster, "a:1");
    uint64_t second = cluster_produce(&cluster, "/b");
    struct request request = cluster_take(&cluster, REQUEST_PRODUCE);
    ck_assert_uint_eq(request.produce.events_count, 2);
    uint64_t third = cluster_produce(&cluster, "/c");
    struct request next = cluster_take(&cluster, REQUEST_PRODUCE);
    ck_assert_uint_eq(next.produce.events_count, 1);
    ck_assert_uint_eq(weir_pending(cluster.weir), 3);
    cluster_produced(&cluster, next.id, 12, 1); // before its turn
    cluster_expect_nothing(&cluster);
    cluster_produced(&cluster, request.id, 10, 2);
    expect_result(&cluster, first, 0, 10);
    expect_result(&cluster, second, 0, 11);
    expect_result(&cluster, third, 0, 12);
    ck_assert_uint_eq(weir_pending(cluster.weir), 0);
    cluster_expect_nothing(&cluster);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_batch_goes_by_count_by_bytes_or_when_it_has_lingered)
{
    struct weir_options options = {
        .size = sizeof options, .batch_events_max = 3, .batch_bytes_max = 100, .linger_us = 5000};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    cluster_produce(&cluster, "/a");
    cluster_produce(&cluster, "/b");
    ck_assert(!cluster_has_request(&cluster));
    cluster_produce(&cluster, "/c");
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_PRODUCE).produce.events_count, 3);
    struct weir_draft long_one = {
        .size = sizeof long_one,
        .name = "/long",
        .data =
            weir_text("a hundred bytes are not much, but here they are enough to make the batch "
                      "go out at once, alone"),
    };
    ck_assert_int_eq(weir_produce(cluster.weir, &long_one, 1, NULL, NULL), 0);
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_PRODUCE).produce.events_count, 1);
    cluster_produce(&cluster, "/d");
    ck_assert(!cluster_has_request(&cluster));
    ck_assert_int_eq(weir_deadline(cluster.weir), cluster.now + 5 * MS);
    weir_tick(cluster.weir, cluster.now += 5 * MS);
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_PRODUCE).produce.events_count, 1);
    cluster_produce(&cluster, "/e");
    weir_flush(cluster.weir);
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_PRODUCE).produce.events_count, 1);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(events_of_one_call_stay_together)
{
    struct weir_draft drafts[] = {
        {.size = sizeof *drafts, .name = "/a", .data = weir_text("one")},
        {.size = sizeof *drafts, .name = "/b"},
    };
    struct weir_options options = {.size = sizeof options, .batch_events_max = 3};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    uint64_t first;
    uint64_t second;
    ck_assert_int_eq(weir_produce(cluster.weir, drafts, 2, NULL, &first), 0);
    ck_assert_int_eq(weir_produce(cluster.weir, drafts, 2, NULL, &second), 0);
    struct request request = cluster_take(&cluster, REQUEST_PRODUCE);
    ck_assert_uint_eq(request.produce.events_count, 4);
    cluster_produced(&cluster, request.id, 10, 4);
    expect_result(&cluster, first, 0, 10);
    expect_result(&cluster, second, 0, 12);
    drafts[1].name = "no\nname";
    ck_assert_int_eq(weir_produce(cluster.weir, drafts, 2, NULL, NULL), WEIR_ERR_INVALID);
    ck_assert_int_ne(weir_reason_text(cluster.weir)[0], 0);
    ck_assert(!cluster_has_request(&cluster));
    ck_assert_uint_eq(weir_pending(cluster.weir), 0);
    cluster_deinit(&cluster);
}
END_TEST

static void count_result(struct weir *weir, const struct weir_produced *produced)
{
    int *count = produced->context;
    ck_assert_int_eq(produced->err, 0);
    ck_assert_uint_eq(produced->nodes_durable, 2);
    ++*count;
    if (*count == 1) {
        struct weir_draft draft = {.size = sizeof draft, .name = "/from/the/callback"};
        ck_assert_int_eq(weir_produce(weir, &draft, 1, NULL, NULL), 0);
    }
}

START_TEST(results_come_by_callback_too)
{
    int count = 0;
    struct weir_produce_options options = {
        .size = sizeof options, .on_produced = count_result, .context = &count, .replicas = 2};
    struct weir_draft draft = {.size = sizeof draft, .name = "/a"};
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_produce(cluster.weir, &draft, 1, &options, NULL), 0);
    cluster_produce(&cluster, "/other"); // with other options: not in the same batch
    struct request request = cluster_take(&cluster, REQUEST_PRODUCE);
    ck_assert_uint_eq(request.produce.replicas, 2);
    cluster_produced(&cluster, request.id, 10, 1);
    request = cluster_take(&cluster, REQUEST_PRODUCE);
    ck_assert_uint_eq(request.produce.replicas, 0);
    cluster_expect_nothing(&cluster);
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(count, 1);
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_PRODUCE).produce.events_count, 1);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_response_has_its_parent_and_attributes_travel)
{
    struct weir_attribute type = {.key = weir_text("type"), .value = weir_text("reply"), true};
    struct weir_draft draft = {
        .size = sizeof draft, .name = "/r", .attributes = &type, .attributes_count = 1};
    struct weir_event cause = {.id = {42, 3}};
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_respond(cluster.weir, &cause, &draft, 1, NULL, NULL), 0);
    struct request request = cluster_take(&cluster, REQUEST_PRODUCE);
    struct event event;
    struct bytes rest = request.produce.events;
    ck_assert_int_eq(event_next(&rest, &event), 0);
    ck_assert_uint_eq(event_parent(&event).counter, 42);
    ck_assert_uint_eq(event_parent(&event).actor, 3);
    struct weir_event received = {
        .attributes = {.data = event.attributes.data, .length = event.attributes.length}};
    struct weir_attribute found;
    ck_assert_int_eq(weir_event_find(&received, "type", &found), 0);
    ck_assert_uint_eq(found.value.length, 5);
    ck_assert(found.is_text);
    ck_assert_int_eq(weir_event_find(&received, "none", &found), WEIR_NOTHING);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(what_was_not_wholly_sent_is_sent_again_the_rest_is_unknown)
{
    struct weir_options options = {.size = sizeof options, .batch_events_max = 1};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    uint64_t tickets[4];
    for (int i = 0; i < 4; i++) {
        tickets[i] = cluster_produce(&cluster, "/a");
    }
    struct weir_bytes output = weir_output(cluster.weir);
    size_t one = output.length / 4;
    weir_sent(cluster.weir, 3 * one - 1); // two, and a third but for its last byte
    cluster_produced(&cluster, 2, 10, 1); // the first is answered; the program does not know yet
    cluster_lose(&cluster);
    expect_result(&cluster, tickets[0], 0, 10);
    expect_result(&cluster, tickets[1], WEIR_ERR_UNKNOWN, 0);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster.node = 'b';
    cluster_greet(&cluster, "b:2");
    for (int i = 2; i < 4; i++) {
        uint64_t id = cluster_take(&cluster, REQUEST_PRODUCE).id;
        cluster_produced(&cluster, id, 20 + (uint64_t)i, 1);
    }
    ck_assert(!cluster_has_request(&cluster));
    expect_result(&cluster, tickets[2], 0, 22);
    expect_result(&cluster, tickets[3], 0, 23);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_node_that_stops_is_left_and_what_it_refused_is_sent_elsewhere)
{
    struct weir_options options = {.size = sizeof options, .batch_events_max = 1};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    uint64_t first = cluster_produce(&cluster, "/a");
    uint64_t second = cluster_produce(&cluster, "/b");
    uint64_t id = cluster_take(&cluster, REQUEST_PRODUCE).id;
    uint64_t other = cluster_take(&cluster, REQUEST_PRODUCE).id;
    cluster_error(&cluster, other, WIRE_SHUTTING_DOWN); // kept until its turn
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_BYTES); // one is not answered
    cluster_produced(&cluster, id, 10, 1);
    expect_result(&cluster, first, 0, 10);
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    weir_disconnected(cluster.weir, 0, NULL, cluster.now);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    id = cluster_take(&cluster, REQUEST_PRODUCE).id;
    cluster_produced(&cluster, id, 30, 1);
    expect_result(&cluster, second, 0, 30);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(a_refusal_is_a_result_with_its_text)
{
    struct scripted_cluster cluster;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    uint64_t ticket = cluster_produce(&cluster, "/a");
    cluster_error(&cluster, cluster_take(&cluster, REQUEST_PRODUCE).id, WIRE_DISK_FULL);
    const struct weir_produced *produced = cluster_expect(&cluster, WEIR_NOTICE_PRODUCED)->produced;
    ck_assert_uint_eq(produced->ticket, ticket);
    ck_assert_int_eq(produced->err, WEIR_ERR_FULL);
    ck_assert_str_eq(produced->text, "as scripted");
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(what_is_pending_is_bounded)
{
    struct weir_options options = {.size = sizeof options, .pending_events_max = 2};
    struct weir_draft draft = {.size = sizeof draft, .name = "/a"};
    struct scripted_cluster cluster;
    cluster_init(&cluster, &options);
    cluster_greet(&cluster, "a:1");
    cluster_produce(&cluster, "/a");
    cluster_produce(&cluster, "/b");
    ck_assert_int_eq(weir_produce(cluster.weir, &draft, 1, NULL, NULL), WEIR_ERR_BUSY);
    cluster_produced(&cluster, cluster_take(&cluster, REQUEST_PRODUCE).id, 10, 2);
    cluster_expect(&cluster, WEIR_NOTICE_PRODUCED);
    ck_assert_int_eq(weir_produce(cluster.weir, &draft, 1, NULL, NULL), 0);
    cluster_deinit(&cluster);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_produce");
    suite_add(suite, what_is_produced_in_one_turn_is_one_batch);
    suite_add(suite, a_batch_goes_by_count_by_bytes_or_when_it_has_lingered);
    suite_add(suite, events_of_one_call_stay_together);
    suite_add(suite, results_come_by_callback_too);
    suite_add(suite, a_response_has_its_parent_and_attributes_travel);
    suite_add(suite, what_was_not_wholly_sent_is_sent_again_the_rest_is_unknown);
    suite_add(suite, a_node_that_stops_is_left_and_what_it_refused_is_sent_elsewhere);
    suite_add(suite, a_refusal_is_a_result_with_its_text);
    suite_add(suite, what_is_pending_is_bounded);
    return check_main(suite);
}
