// The public API: from questions to their results.

#include "client/weir_state.h"
#include "proto/model/cluster_row.h"
#include "proto/model/namespace_row.h"
#include "tests/unit/client/scripted_cluster.h"

static const struct weir_id id_5 = {.counter = 5, .actor = 1};

static const struct weir_result *expect_result(struct scripted_cluster *cluster, uint64_t ticket,
                                               enum weir_result_kind kind, int err)
{
    const struct weir_result *result = cluster_expect(cluster, WEIR_NOTICE_RESULT)->result;
    ck_assert_uint_eq(result->ticket, ticket);
    ck_assert_int_eq(result->kind, kind);
    ck_assert_int_eq(result->err, err);
    ck_assert_int_eq(result->text == NULL, err == 0);
    return result;
}

static void expect_text(struct weir_bytes bytes, const char *text)
{
    ck_assert(bytes_equal(bytes_of(bytes.data, bytes.length), bytes_of_text(text)));
}

static void answer_events(struct scripted_cluster *cluster, uint64_t id, uint64_t first,
                          uint16_t count)
{
    struct buffer slices = {0};
    append_sample_slice(&slices, 1, first, count);
    cluster_reply(cluster, &(struct reply){.kind = REPLY_EVENTS,
                                           .id = id,
                                           .cursor = bytes_of("\x81\x01\x09", 3),
                                           .events = buffer_bytes(&slices)});
    buffer_deinit(&slices);
}

static void answer_pong(struct scripted_cluster *cluster, uint64_t id)
{
    cluster_reply(cluster,
                  &(struct reply){.kind = REPLY_PONG, .id = id, .cursor = bytes_of("\x80", 1)});
}

START_TEST(results_come_as_they_are_answered)
{
    struct scripted_cluster cluster;
    struct weir_request_options options = {.size = sizeof options, .context = &cluster};
    uint64_t get;
    uint64_t ping;
    cluster_init(&cluster, NULL);
    ck_assert_int_eq(weir_get(cluster.weir, id_5, &options, &get), 0); // before any connection
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_ping(cluster.weir, NULL, &ping), 0);
    struct request request = cluster_take(&cluster, REQUEST_GET);
    ck_assert_uint_eq(request.get.event.counter, 5);
    uint64_t get_id = request.id;
    answer_pong(&cluster, cluster_take(&cluster, REQUEST_PING).id);
    answer_events(&cluster, get_id, 5, 1);
    const struct weir_event *event;
    const struct weir_result *result = expect_result(&cluster, ping, WEIR_RESULT_PONG, 0);
    ck_assert_int_eq(weir_result_event(result, &event), WEIR_NOTHING);
    result = expect_result(&cluster, get, WEIR_RESULT_EVENTS, 0);
    ck_assert_ptr_eq(result->context, &cluster);
    ck_assert_int_eq(weir_result_event(result, &event), 0);
    ck_assert_uint_eq(event->id.counter, 5);
    expect_text(event->name, "/a/5");
    ck_assert_int_eq(weir_result_event(result, &event), WEIR_NOTHING);
    const char *cursor;
    ck_assert_int_eq(weir_result_cursor(result, &cursor), 0);
    ck_assert_str_eq(cursor, "@9.1");
    cluster_expect_nothing(&cluster);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(the_options_travel)
{
    struct scripted_cluster cluster;
    const char *patterns[] = {"/a/**", "/b"};
    const char *names[] = {"/c"};
    struct weir_request_options options = {
        .size = sizeof options,
        .patterns = patterns,
        .patterns_count = 2,
        .names = names,
        .names_count = 1,
        .after = "@7.1",
        .after_timeout_ms = 250,
    };
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_last(cluster.weir, 3, &options, NULL), 0);
    struct request request = cluster_take(&cluster, REQUEST_LAST);
    ck_assert_uint_eq(request.last.events_max, 3);
    ck_assert_uint_eq(request.last.entries_count, 3);
    ck_assert(bytes_equal(request.last.entries[0].text, bytes_of_text("/a/**")));
    ck_assert(!request.last.entries[1].is_exact && request.last.entries[2].is_exact);
    ck_assert(bytes_equal(request.last.after.cursor, bytes_of("\x81\x01\x07", 3)));
    ck_assert_uint_eq(request.last.after.timeout_ms, 250);
    ck_assert_int_eq(weir_neighbor(cluster.weir, WEIR_NEIGHBOR_PREVIOUS, id_5, &options, NULL), 0);
    request = cluster_take(&cluster, REQUEST_NEIGHBOR);
    ck_assert_int_eq(request.neighbor.which, NEIGHBOR_PREVIOUS);
    ck_assert_uint_eq(request.neighbor.event.counter, 5);
    ck_assert_uint_eq(request.neighbor.entries_count, 3);
    options.patterns_count = options.names_count = 0;
    ck_assert_int_eq(weir_namespaces(cluster.weir, "/a/**", weir_text("/a/x"), 10, &options, NULL),
                     0);
    request = cluster_take(&cluster, REQUEST_NAMESPACES);
    ck_assert(bytes_equal(request.namespaces.pattern, bytes_of_text("/a/**")));
    ck_assert(bytes_equal(request.namespaces.after_name, bytes_of_text("/a/x")));
    ck_assert_uint_eq(request.namespaces.page_max, 10);
    ck_assert_uint_eq(request.namespaces.after.timeout_ms, 250);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(what_is_no_request_is_refused_at_once)
{
    struct scripted_cluster cluster;
    const char *bad[] = {"/a\n"};
    struct weir_request_options options = {
        .size = sizeof options, .patterns = bad, .patterns_count = 1};
    struct weir_request_options after = {.size = sizeof after, .after = "nowhere"};
    struct weir_request_options filled = {.size = sizeof filled, .names = bad, .names_count = 1};
    struct weir_id none = {0};
    cluster_init(&cluster, NULL);
    struct weir *weir = cluster.weir;
    ck_assert_int_eq(weir_get(weir, none, NULL, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_get(weir, id_5, &after, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_get(weir, id_5, &filled, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_status(weir, &after, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_last(weir, 0, NULL, NULL), WEIR_ERR_LIMIT);
    ck_assert_int_eq(weir_last(weir, 65537, NULL, NULL), WEIR_ERR_LIMIT);
    ck_assert_int_eq(weir_last(weir, 1, &options, NULL), WEIR_ERR_INVALID);
    ck_assert_int_ne(weir_reason_text(weir)[0], 0);
    options.patterns_count = 65;
    ck_assert_int_eq(weir_last(weir, 1, &options, NULL), WEIR_ERR_LIMIT);
    ck_assert_int_eq(weir_neighbor(weir, WEIR_NEIGHBOR_NEXT, none, NULL, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_neighbor(weir, WEIR_NEIGHBOR_FIRST, none, NULL, NULL), 0);
    ck_assert_int_eq(weir_namespaces(weir, "/[", (struct weir_bytes){0}, 0, NULL, NULL),
                     WEIR_ERR_INVALID);
    for (int i = 1; i < 1024; i++) {
        ck_assert_int_eq(weir_ping(weir, NULL, NULL), 0);
    }
    ck_assert_int_eq(weir_ping(weir, NULL, NULL), WEIR_ERR_BUSY);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(reads_are_asked_again_at_the_next_node)
{
    struct scripted_cluster cluster;
    uint64_t tickets[3];
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    for (uint64_t i = 0; i < 2; i++) {
        struct weir_id id = {.counter = i + 1, .actor = 1};
        ck_assert_int_eq(weir_get(cluster.weir, id, NULL, &tickets[i]), 0);
        cluster_take(&cluster, REQUEST_GET);
    }
    cluster_lose(&cluster);
    ck_assert_int_eq(weir_status(cluster.weir, NULL, &tickets[2]), 0);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    struct request request = cluster_take(&cluster, REQUEST_GET);
    ck_assert_uint_eq(request.get.event.counter, 1);
    cluster_error(&cluster, request.id, WIRE_SHUTTING_DOWN); // nor does this one
    ck_assert_uint_eq(cluster_take(&cluster, REQUEST_GET).get.event.counter, 2);
    cluster_expect_nothing(&cluster);
    ck_assert_int_eq(weir_want(cluster.weir), WEIR_WANT_CLOSE);
    cluster_lose(&cluster);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "a:1");
    for (uint64_t i = 0; i < 2; i++) {
        request = cluster_take(&cluster, REQUEST_GET);
        answer_events(&cluster, request.id, 1, 1);
        expect_result(&cluster, tickets[i], WEIR_RESULT_EVENTS, 0);
    }
    request = cluster_take(&cluster, REQUEST_STATUS);
    cluster_error(&cluster, request.id, WIRE_BUSY);
    expect_result(&cluster, tickets[2], WEIR_RESULT_STATUS, WEIR_ERR_BUSY);
    cluster_deinit(&cluster);
}
END_TEST

static uint64_t retire(struct scripted_cluster *cluster)
{
    struct weir_cluster_action action = {
        .size = sizeof action, .kind = WEIR_CLUSTER_RETIRE, .actor = 3, .is_forced = true};
    uint64_t ticket;
    ck_assert_int_eq(weir_cluster(cluster->weir, &action, NULL, &ticket), 0);
    return ticket;
}

START_TEST(an_action_is_never_repeated)
{
    struct scripted_cluster cluster;
    struct weir_cluster_action action = {.size = sizeof action, .kind = WEIR_CLUSTER_LEAVE};
    cluster_init(&cluster, NULL);
    ck_assert_int_eq(weir_cluster(cluster.weir, &action, NULL, NULL), WEIR_ERR_CLOSED);
    action.kind = WEIR_CLUSTER_LOST;
    action.actor = 3;
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_cluster(cluster.weir, &action, NULL, NULL), WEIR_ERR_INVALID);
    uint64_t done = retire(&cluster);
    uint64_t unknown = retire(&cluster);
    struct request request = cluster_take(&cluster, REQUEST_CLUSTER);
    ck_assert_int_eq(request.cluster.which, CLUSTER_RETIRE);
    ck_assert_uint_eq(request.cluster.actor, 3);
    ck_assert(request.cluster.is_forced);
    cluster_error(&cluster, request.id, WIRE_REFUSED);
    expect_result(&cluster, done, WEIR_RESULT_CLUSTER, WEIR_ERR_DENIED);
    uint64_t half = retire(&cluster);
    struct weir_bytes output = weir_output(cluster.weir);
    weir_sent(cluster.weir, output.length - 1);
    uint64_t queued = retire(&cluster);
    cluster_lose(&cluster);
    uint64_t order[] = {queued, unknown, half};
    int errors[] = {WEIR_ERR_CLOSED, WEIR_ERR_UNKNOWN, WEIR_ERR_CLOSED};
    for (size_t i = 0; i < 3; i++) {
        expect_result(&cluster, order[i], WEIR_RESULT_CLUSTER, errors[i]);
    }
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    ck_assert(!cluster_has_request(&cluster));
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(namespaces_come_row_by_row)
{
    struct scripted_cluster cluster;
    struct buffer rows = {0};
    struct namespace_row row = {.name = bytes_of_text("/a"), .events = 3, .bytes = 30};
    row.first = row.last = (struct event_id){4, 1};
    row.last_timestamp_ms = 12;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    uint64_t ticket;
    ck_assert_int_eq(weir_namespaces(cluster.weir, NULL, (struct weir_bytes){0}, 0, NULL, &ticket),
                     0);
    struct request request = cluster_take(&cluster, REQUEST_NAMESPACES);
    ck_assert_int_eq(namespace_row_append(&rows, &row), 0);
    row.name = bytes_of_text("/b");
    ck_assert_int_eq(namespace_row_append(&rows, &row), 0);
    ck_assert_int_eq(buffer_append(&rows, bytes_of("x", 1)), 0);
    cluster_reply(&cluster, &(struct reply){.kind = REPLY_NAMESPACES,
                                            .id = request.id,
                                            .cursor = bytes_of("\x80", 1),
                                            .namespaces = {buffer_bytes(&rows), true}});
    const struct weir_result *result = expect_result(&cluster, ticket, WEIR_RESULT_NAMESPACES, 0);
    const struct weir_namespace *found;
    ck_assert(result->has_more);
    ck_assert_int_eq(weir_result_namespace(result, &found), 0);
    expect_text(found->name, "/a");
    ck_assert_uint_eq(found->events, 3);
    ck_assert_uint_eq(found->last.counter, 4);
    ck_assert_int_eq(weir_result_namespace(result, &found), 0);
    expect_text(found->name, "/b");
    ck_assert_uint_eq(found->last_timestamp_ms, 12);
    ck_assert_int_eq(weir_result_namespace(result, &found), WEIR_ERR_CORRUPT);
    buffer_deinit(&rows);
    cluster_deinit(&cluster);
}
END_TEST

static void answer_cluster(struct scripted_cluster *cluster, uint64_t id)
{
    struct buffer rows = {0};
    struct cluster_row row = {
        .node = {.bytes = {0xab}},
        .actor = 7,
        .verdict = CLUSTER_DIVERGED,
        .flags = CLUSTER_ROW_SELF | CLUSTER_ROW_CONNECTED,
        .claimed = 9,
        .diverged_actor = 2,
        .address = bytes_of_text("a:1"),
    };
    ck_assert_int_eq(cluster_row_append(&rows, &row), 0);
    cluster_reply(cluster, &(struct reply){
                               .kind = REPLY_CLUSTER,
                               .id = id,
                               .cursor = bytes_of("\x80", 1),
                               .cluster_status = {.cluster_name = bytes_of_text("orders"),
                                                  .cluster = bytes_of("0123456789abcdef", 16),
                                                  .node = bytes_of("0123456789abcdef", 16),
                                                  .phase = bytes_of_text("member"),
                                                  .frontier = 11,
                                                  .members = buffer_bytes(&rows),
                                                  .alarms = bytes_of_text("disk: full\nodd")},
                           });
    buffer_deinit(&rows);
}

START_TEST(a_cluster_has_members_and_alarms)
{
    struct scripted_cluster cluster;
    struct weir_cluster_action action = {.size = sizeof action};
    uint64_t ticket;
    cluster_init(&cluster, NULL);
    ck_assert_int_eq(weir_cluster(cluster.weir, &action, NULL, &ticket), 0); // it only reads
    cluster_greet(&cluster, "a:1");
    answer_cluster(&cluster, cluster_take(&cluster, REQUEST_CLUSTER).id);
    const struct weir_result *result = expect_result(&cluster, ticket, WEIR_RESULT_CLUSTER, 0);
    expect_text(result->cluster->cluster_name, "orders");
    ck_assert_str_eq(result->cluster->node, "30313233-3435-3637-3839-616263646566");
    ck_assert_uint_eq(result->cluster->frontier, 11);
    const struct weir_member *member;
    ck_assert_int_eq(weir_result_member(result, &member), 0);
    ck_assert_uint_eq(member->actor, 7);
    ck_assert(member->is_self && member->is_connected && !member->is_source_direct);
    ck_assert_int_eq(member->verdict, WEIR_VERDICT_DIVERGED);
    ck_assert_uint_eq(member->claimed, 9);
    expect_text(member->address, "a:1");
    ck_assert_int_eq(weir_result_member(result, &member), WEIR_NOTHING);
    const struct weir_alarm *alarm;
    ck_assert_int_eq(weir_result_alarm(result, &alarm), 0);
    expect_text(alarm->line, "disk: full");
    expect_text(alarm->code, "disk");
    expect_text(alarm->text, "full");
    ck_assert_int_eq(weir_result_alarm(result, &alarm), 0);
    expect_text(alarm->code, "");
    expect_text(alarm->text, "odd");
    ck_assert_int_eq(weir_result_alarm(result, &alarm), WEIR_NOTHING);
    cluster_deinit(&cluster);
}
END_TEST

// Events that nobody takes do not keep an answer from a program that waits for it.
START_TEST(an_answer_passes_what_waits)
{
    struct scripted_cluster cluster;
    uint64_t id;
    uint64_t ticket;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    cluster_subscribe(&cluster, NULL, &id);
    cluster_position(&cluster, REPLY_SUBSCRIBED, id, "@", 0);
    cluster_expect(&cluster, WEIR_NOTICE_SUBSCRIBED);
    cluster_slice(&cluster, id, 1, 1, 2);
    cluster_expect_event(&cluster, 1, 1);
    ck_assert_int_eq(weir_get(cluster.weir, id_5, NULL, &ticket), 0);
    cluster_slice(&cluster, id, 1, 3, 1);
    answer_events(&cluster, cluster_take(&cluster, REQUEST_GET).id, 5, 1);
    weir_pump(cluster.weir); // as the waits do
    const struct weir_result *result = expect_result(&cluster, ticket, WEIR_RESULT_EVENTS, 0);
    const struct weir_event *event;
    ck_assert_int_eq(weir_result_event(result, &event), 0);
    ck_assert_uint_eq(event->id.counter, 5);
    cluster_expect_event(&cluster, 1, 2);
    cluster_expect_event(&cluster, 1, 3);
    cluster_expect_nothing(&cluster);
    cluster_deinit(&cluster);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_requests");
    suite_add(suite, results_come_as_they_are_answered);
    suite_add(suite, the_options_travel);
    suite_add(suite, what_is_no_request_is_refused_at_once);
    suite_add(suite, reads_are_asked_again_at_the_next_node);
    suite_add(suite, an_action_is_never_repeated);
    suite_add(suite, namespaces_come_row_by_row);
    suite_add(suite, a_cluster_has_members_and_alarms);
    suite_add(suite, an_answer_passes_what_waits);
    return check_main(suite);
}
