// What a core says and hears of a cluster: replicas, `after`, stable order, marks, commands.

#include "tests/unit/client/scripted_node.h"

static void add_one(struct batch *batch)
{
    ck_assert_int_eq(
        batch_add(batch, bytes_of_text("/a"), bytes_of_text("x"), (struct bytes){0}, 100, NULL), 0);
}

static struct buffer encode(const char *text)
{
    struct version_vector vector = {0};
    struct buffer encoded = {0};
    ck_assert_int_eq(version_vector_parse(bytes_of_text(text), &vector, NULL), 0);
    ck_assert_int_eq(version_vector_encode(&vector, &encoded), 0);
    version_vector_deinit(&vector);
    return encoded;
}

START_TEST(a_produce_says_for_how_many_nodes_and_how_long_it_waits)
{
    struct scripted_node node;
    struct batch batch = {0};
    struct buffer cursor = encode("@7.2");
    struct produce_options options = {
        .after = {.cursor = buffer_bytes(&cursor), .timeout_ms = 50},
        .replicas = 3,
        .replicas_timeout_ms = 700,
    };
    node_init(&node, true);
    add_one(&batch);
    ck_assert_int_eq(core_produce(node.core, &batch, &options, 5), 0);
    struct request request = node_take(&node);
    ck_assert_int_eq(request.kind, REQUEST_PRODUCE);
    ck_assert_uint_eq(request.produce.replicas, 3);
    ck_assert_uint_eq(request.produce.replicas_timeout_ms, 700);
    ck_assert_uint_eq(request.produce.after.timeout_ms, 50);
    ck_assert(bytes_equal(request.produce.after.cursor, buffer_bytes(&cursor)));
    ck_assert(bytes_equal(request.produce.events, buffer_bytes(&batch.events)));

    ck_assert_int_eq(core_produce(node.core, &batch, NULL, 6), 0);
    request = node_take(&node);
    ck_assert_uint_eq(request.produce.replicas, 0);
    ck_assert_uint_eq(request.produce.after.cursor.length, 0);
    batch_deinit(&batch);
    buffer_deinit(&cursor);
    node_deinit(&node);
}
END_TEST

START_TEST(a_late_produce_is_a_success_that_says_how_far_it_came)
{
    struct scripted_node node;
    struct batch batch = {0};
    struct buffer cursor = encode("@9.1");
    struct produce_options options = {.replicas = 3};
    node_init(&node, true);
    add_one(&batch);
    ck_assert_int_eq(core_produce(node.core, &batch, &options, 5), 0);
    struct request request = node_take(&node);
    struct reply reply = {
        .kind = REPLY_PRODUCED,
        .id = request.id,
        .cursor = buffer_bytes(&cursor),
        .produced = {.first = {9, 1},
                     .count = 1,
                     .nodes_durable = 2,
                     .remarks = REMARK_REPLICAS_LATE},
    };
    node_reply(&node, &reply);
    struct notice notice = expect_notice(&node, NOTICE_PRODUCED);
    ck_assert_uint_eq(notice.tag, 5);
    ck_assert_uint_eq(notice.reply.produced.nodes_durable, 2);
    ck_assert_uint_eq(notice.reply.produced.remarks, REMARK_REPLICAS_LATE);
    batch_deinit(&batch);
    buffer_deinit(&cursor);
    node_deinit(&node);
}
END_TEST

START_TEST(what_the_cluster_forbids_is_denied_with_its_text)
{
    struct scripted_node node;
    struct batch batch = {0};
    node_init(&node, true);
    add_one(&batch);
    ck_assert_int_eq(core_produce(node.core, &batch, NULL, 1), 0);
    node_error(&node, node_take(&node).id, WIRE_NOT_MEMBER);
    struct notice notice = expect_notice(&node, NOTICE_REFUSED);
    ck_assert_int_eq(refusal_err(notice.reply.error.code), ERR_DENIED);

    struct request retire = {.kind = REQUEST_CLUSTER,
                             .cluster = {.which = CLUSTER_RETIRE, .actor = 3, .is_forced = true}};
    ck_assert_int_eq(core_request(node.core, &retire, 2), 0);
    struct request request = node_take(&node);
    ck_assert_int_eq(request.cluster.which, CLUSTER_RETIRE);
    ck_assert_uint_eq(request.cluster.actor, 3);
    ck_assert(request.cluster.is_forced);
    node_error(&node, request.id, WIRE_REFUSED);
    notice = expect_notice(&node, NOTICE_REFUSED);
    ck_assert_uint_eq(notice.tag, 2);
    ck_assert_int_eq(refusal_err(notice.reply.error.code), ERR_DENIED);
    ck_assert(bytes_equal(notice.reply.error.text, bytes_of_text("as scripted")));
    batch_deinit(&batch);
    node_deinit(&node);
}
END_TEST

START_TEST(the_status_of_the_cluster_is_an_answer)
{
    struct scripted_node node;
    struct buffer cursor = encode("@9.1");
    node_init(&node, true);
    struct request status = {.kind = REQUEST_CLUSTER};
    ck_assert_int_eq(core_request(node.core, &status, 8), 0);
    struct reply reply = {
        .kind = REPLY_CLUSTER,
        .id = node_take(&node).id,
        .cursor = buffer_bytes(&cursor),
        .cluster_status = {.cluster_name = bytes_of_text("c"),
                           .cluster = bytes_of("0123456789abcdef", 16),
                           .node = bytes_of("fedcba9876543210", 16),
                           .actor = 4,
                           .phase = bytes_of_text("member"),
                           .waits_for = 3,
                           .alarms = bytes_of_text("forked_strand: text")},
    };
    node_reply(&node, &reply);
    struct notice notice = expect_notice(&node, NOTICE_ANSWER);
    ck_assert_uint_eq(notice.tag, 8);
    ck_assert_uint_eq(notice.reply.cluster_status.actor, 4);
    ck_assert_uint_eq(notice.reply.cluster_status.waits_for, 3);
    ck_assert_uint_eq(core_pending(node.core), 0);

    ck_assert_int_eq(core_request(node.core, &status, 9), 0);
    reply.kind = REPLY_PONG; // not what was asked for
    reply.id = node_take(&node).id;
    node_reply(&node, &reply);
    expect_failure(&node, ERR_INVALID);
    buffer_deinit(&cursor);
    node_deinit(&node);
}
END_TEST

START_TEST(a_subscription_reports_marks_with_their_id_and_keeps_its_cursor)
{
    struct scripted_node node;
    struct buffer cursor = encode("@5.1");
    node_init(&node, true);
    struct request request = {.kind = REQUEST_SUBSCRIBE,
                              .subscribe = {.is_stable_order = true,
                                            .wants_marks = true,
                                            .after = {.cursor = buffer_bytes(&cursor)}}};
    ck_assert_int_eq(core_subscribe(node.core, &request, 1), 0);
    struct request sent = node_take(&node);
    ck_assert(sent.subscribe.is_stable_order);
    ck_assert(sent.subscribe.wants_marks);
    ck_assert(bytes_equal(sent.subscribe.after.cursor, buffer_bytes(&cursor)));
    node_position(&node, REPLY_SUBSCRIBED, request.id, "@4.1", 0);
    (void)expect_notice(&node, NOTICE_SUBSCRIBED);

    struct reply mark = {
        .kind = DELIVERY_MARK,
        .id = request.id,
        .cursor = buffer_bytes(&cursor),
        .mark = {.kind = MARK_FRONTIER, .at = {77, 65535}},
    };
    node_reply(&node, &mark);
    struct notice notice = expect_notice(&node, NOTICE_MARK);
    ck_assert_uint_eq(notice.reply.mark.kind, MARK_FRONTIER);
    ck_assert_uint_eq(notice.reply.mark.at.counter, 77);
    char *text = node_cursor(&node, request.id);
    ck_assert_str_eq(text, "@5.1");
    free(text);

    mark.mark.kind = MARK_WAITING;
    mark.mark.at = (struct event_id){77, 3};
    node_reply(&node, &mark);
    notice = expect_notice(&node, NOTICE_MARK);
    ck_assert_uint_eq(notice.reply.mark.kind, MARK_WAITING);
    ck_assert_uint_eq(notice.reply.mark.at.actor, 3);
    buffer_deinit(&cursor);
    node_deinit(&node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/core_cluster");
    suite_add(suite, a_produce_says_for_how_many_nodes_and_how_long_it_waits);
    suite_add(suite, a_late_produce_is_a_success_that_says_how_far_it_came);
    suite_add(suite, what_the_cluster_forbids_is_denied_with_its_text);
    suite_add(suite, the_status_of_the_cluster_is_an_answer);
    suite_add(suite, a_subscription_reports_marks_with_their_id_and_keeps_its_cursor);
    return check_main(suite);
}
