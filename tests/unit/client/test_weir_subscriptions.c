// Durable subscriptions listed, shown, created, reset and deleted by the public API.

#include "proto/base/limits.h"
#include "proto/model/subscription_row.h"
#include "tests/unit/check_main.h"
#include "tests/unit/client/scripted_cluster.h"

static struct request_subscriptions taken(struct scripted_cluster *cluster, uint64_t *id_out)
{
    struct request request = cluster_take(cluster, REQUEST_SUBSCRIPTIONS);
    *id_out = request.id;
    return request.subscriptions;
}

static void answer(struct scripted_cluster *cluster, uint64_t id, const char *text,
                   const struct buffer *rows, bool more)
{
    cluster_reply(cluster, &(struct reply){
                               .kind = REPLY_SUBSCRIPTIONS,
                               .id = id,
                               .cursor = bytes_of("\x80", 1),
                               .subscriptions = {.text = bytes_of_text(text),
                                                 .more = more,
                                                 .rows = buffer_bytes(rows)},
                           });
}

static void append_row(struct buffer *out, const char *name, bool is_full)
{
    struct subscription_row row = {
        .name = bytes_of_text(name),
        .generation = {998, 2},
        .cursor = bytes_of("\x81\x01\x07", 3),
        .lag_events = 5,
        .lag_ms = 250,
        .voids = 1,
        .void_last = {999, 3},
    };
    subscription_definition_init(&row.definition);
    if (is_full) {
        row.definition.entries[0] = (struct filter_entry){bytes_of_text("/b"), true};
        row.definition.entries[1] = (struct filter_entry){bytes_of_text("/a/**"), false};
        row.definition.entries_count = 2;
        row.definition.attributes[0] =
            (struct attribute_match){bytes_of_text("type"), bytes_of("\xff", 1)};
        row.definition.attributes_count = 1;
        row.definition.timestamp_min_ms = 9;
        row.definition.is_stable_order = true;
        row.definition.is_transient = true;
        row.definition.key = GROUP_KEY_ATTRIBUTE;
        row.definition.key_attribute = bytes_of_text("user");
        row.definition.attempts = 0;
        row.flags = SUBSCRIPTION_ROW_COORDINATED;
        row.coordinator = 4;
        row.consumers = 2;
        row.in_flight = 3;
        row.waiting = 6;
        row.delivered = 1000;
        row.redelivered = 10;
        row.acked = 997;
        row.parked = 8;
    }
    ck_assert_int_eq(subscription_row_append(out, &row), 0);
}

static const struct weir_result *expect_result(struct scripted_cluster *cluster)
{
    const struct weir_result *result = cluster_expect(cluster, WEIR_NOTICE_RESULT)->result;
    ck_assert_int_eq(result->kind, WEIR_RESULT_SUBSCRIPTIONS);
    return result;
}

static void assert_row_is_full(const struct weir_subscription_row *row)
{
    const struct weir_definition *definition = row->definition;
    ck_assert(bytes_equal(bytes_of(row->name.data, row->name.length), bytes_of_text("full")));
    ck_assert(row->generation.counter == 998 && row->generation.actor == 2);
    ck_assert_str_eq(row->cursor, "@7.1");
    ck_assert(row->lag_events == 5 && row->lag_ms == 250 && row->voids == 1);
    ck_assert(row->void_last.counter == 999 && row->void_last.actor == 3);
    ck_assert(row->is_coordinated && row->coordinator == 4 && row->consumers == 2);
    ck_assert(row->in_flight == 3 && row->waiting == 6 && row->delivered == 1000);
    ck_assert(row->redelivered == 10 && row->acked == 997 && row->parked == 8);
    ck_assert(definition->patterns_count == 1 && definition->names_count == 1);
    ck_assert_str_eq(definition->patterns[0], "/a/**");
    ck_assert_str_eq(definition->names[0], "/b");
    ck_assert_uint_eq(definition->attributes_count, 1);
    const struct weir_attribute *attribute = &definition->attributes[0];
    ck_assert(
        bytes_equal(bytes_of(attribute->key.data, attribute->key.length), bytes_of_text("type")));
    ck_assert(attribute->value.length == 1 && !attribute->is_text);
    ck_assert(definition->time_min_ms == 9 && definition->order == WEIR_ORDER_STABLE);
    ck_assert(definition->is_transient);
    ck_assert(definition->key == WEIR_KEY_ATTRIBUTE);
    ck_assert_str_eq(definition->key_attribute, "user");
    ck_assert(definition->attempts == WEIR_ATTEMPTS_FOR_EVER && definition->queue == 1000);
}

START_TEST(pages_are_listed_and_rows_hold_all_that_is_known)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_subscriptions_list(cluster.weir, weir_text("b"), NULL, NULL), 0);
    struct request_subscriptions request = taken(&cluster, &id);
    ck_assert_int_eq(request.which, SUBSCRIPTIONS_LIST);
    ck_assert(bytes_equal(request.after_name, bytes_of_text("b")) && request.name.length == 0);
    struct buffer rows = {0};
    append_row(&rows, "full", true);
    append_row(&rows, "plain", false);
    answer(&cluster, id, "", &rows, true);
    buffer_deinit(&rows);
    const struct weir_result *result = expect_result(&cluster);
    ck_assert(result->err == 0 && result->has_more && !result->remark);
    const struct weir_subscription_row *row;
    const struct weir_namespace *namespace;
    ck_assert_int_eq(weir_result_namespace(result, &namespace), WEIR_NOTHING);
    ck_assert_int_eq(weir_result_subscription(result, &row), 0);
    assert_row_is_full(row);
    ck_assert_int_eq(weir_result_subscription(result, &row), 0);
    ck_assert(!row->is_coordinated && row->definition->patterns_count == 0);
    ck_assert(row->definition->key == WEIR_KEY_NONE && !row->definition->key_attribute);
    ck_assert_int_eq(weir_result_subscription(result, &row), WEIR_NOTHING);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(each_is_shown_created_reset_and_deleted)
{
    static const char *const patterns[] = {"/a"};
    struct weir_definition definition = {
        .size = sizeof definition, .patterns = patterns, .patterns_count = 1};
    struct weir_definition start = {
        .size = sizeof start, .start = WEIR_START_CURSOR, .start_cursor = "@7.1"};
    struct weir_request_options after = {.size = sizeof after, .after = "@8.1"};
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_subscriptions_show(cluster.weir, "one", &after, NULL), 0);
    struct request_subscriptions request = taken(&cluster, &id);
    ck_assert_int_eq(request.which, SUBSCRIPTIONS_SHOW);
    ck_assert(bytes_equal(request.name, bytes_of_text("one")));
    ck_assert(bytes_equal(request.after.cursor, bytes_of("\x81\x01\x08", 3)));
    cluster_error(&cluster, id, WIRE_NOT_FOUND);
    ck_assert_int_eq(expect_result(&cluster)->err, WEIR_ERR_NOT_FOUND);
    ck_assert_int_eq(weir_subscriptions_create(cluster.weir, "one", &definition, NULL, NULL), 0);
    request = taken(&cluster, &id);
    ck_assert_int_eq(request.which, SUBSCRIPTIONS_CREATE);
    ck_assert_uint_eq(request.definition.entries_count, 1);
    ck_assert(bytes_equal(request.definition.entries[0].text, bytes_of_text("/a")));
    answer(&cluster, id, "it was made", &(struct buffer){0}, false);
    ck_assert_str_eq(expect_result(&cluster)->remark, "it was made");
    ck_assert_int_eq(weir_subscriptions_reset(cluster.weir, "one", &start, NULL, NULL), 0);
    request = taken(&cluster, &id);
    ck_assert_int_eq(request.which, SUBSCRIPTIONS_RESET);
    ck_assert(bytes_equal(request.start.cursor, bytes_of("\x81\x01\x07", 3)));
    cluster_error(&cluster, id, WIRE_NOT_MEMBER);
    ck_assert_int_eq(expect_result(&cluster)->err, WEIR_ERR_DENIED);
    ck_assert_int_eq(weir_subscriptions_delete(cluster.weir, "one", NULL, NULL), 0);
    ck_assert_int_eq(taken(&cluster, &id).which, SUBSCRIPTIONS_DELETE);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(consumers_are_shown)
{
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_subscriptions_show(cluster.weir, "one", NULL, NULL), 0);
    taken(&cluster, &id);
    struct subscription_consumer consumer = {
        .id = 7,
        .actor = 2,
        .in_flight = 3,
        .attached_ms = 60000,
        .delivered = 1000,
        .acked = 997,
        .client = bytes_of_text("billing 10.0.0.1:500"),
    };
    struct buffer rows = {0};
    ck_assert_int_eq(subscription_consumer_append(&rows, &consumer), 0);
    cluster_reply(&cluster, &(struct reply){
                                .kind = REPLY_SUBSCRIPTIONS,
                                .id = id,
                                .cursor = bytes_of("\x80", 1),
                                .subscriptions = {.consumers = buffer_bytes(&rows)},
                            });
    buffer_deinit(&rows);
    const struct weir_subscription_consumer *shown;
    const struct weir_result *result = expect_result(&cluster);
    ck_assert_int_eq(weir_result_consumer(result, &shown), 0);
    ck_assert(shown->number == 7 && shown->actor == 2 && shown->in_flight == 3);
    ck_assert(shown->attached_ms == 60000 && shown->delivered == 1000 && shown->acked == 997);
    ck_assert(bytes_equal(bytes_of(shown->client.data, shown->client.length), consumer.client));
    ck_assert_int_eq(weir_result_consumer(result, &shown), WEIR_NOTHING);
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(what_only_reads_is_asked_again_and_what_changes_is_not)
{
    struct scripted_cluster cluster;
    uint64_t id;
    uint64_t ticket;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    ck_assert_int_eq(weir_subscriptions_show(cluster.weir, "one", NULL, NULL), 0);
    ck_assert_int_eq(weir_subscriptions_delete(cluster.weir, "one", NULL, &ticket), 0);
    ck_assert_int_eq(taken(&cluster, &id).which, SUBSCRIPTIONS_SHOW);
    ck_assert_int_eq(taken(&cluster, &id).which, SUBSCRIPTIONS_DELETE);
    cluster_lose(&cluster);
    const struct weir_result *result = expect_result(&cluster);
    ck_assert(result->ticket == ticket && result->err == WEIR_ERR_UNKNOWN);
    cluster_expect(&cluster, WEIR_NOTICE_DISCONNECTED);
    cluster_greet(&cluster, "b:2");
    ck_assert_int_eq(taken(&cluster, &id).which, SUBSCRIPTIONS_SHOW);
    ck_assert(!cluster_has_request(&cluster));
    cluster_deinit(&cluster);
}
END_TEST

START_TEST(names_and_definitions_are_checked_and_rows_that_are_none_are_corrupt)
{
    struct weir_definition last = {.size = sizeof last, .start = WEIR_START_LAST};
    struct scripted_cluster cluster;
    uint64_t id;
    cluster_init(&cluster, NULL);
    cluster_greet(&cluster, "a:1");
    struct weir *weir = cluster.weir;
    ck_assert_int_eq(weir_subscriptions_show(weir, "a/b", NULL, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_subscriptions_delete(weir, NULL, NULL, NULL), WEIR_ERR_INVALID);
    ck_assert_int_eq(weir_subscriptions_create(weir, "a", &last, NULL, NULL), WEIR_ERR_UNSUPPORTED);
    ck_assert_int_ne(weir_reason_text(weir)[0], 0);
    ck_assert_int_eq(weir_subscriptions_list(weir, (struct weir_bytes){0}, NULL, NULL), 0);
    ck_assert_int_eq(taken(&cluster, &id).which, SUBSCRIPTIONS_LIST);
    struct buffer rows = {0};
    append_row(&rows, "plain", false);
    rows.length--;
    answer(&cluster, id, "", &rows, false);
    buffer_deinit(&rows);
    const struct weir_subscription_row *row;
    const struct weir_result *result = expect_result(&cluster);
    ck_assert_int_eq(weir_result_subscription(result, &row), WEIR_ERR_CORRUPT);
    cluster_deinit(&cluster);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/weir_subscriptions");
    suite_add(suite, pages_are_listed_and_rows_hold_all_that_is_known);
    suite_add(suite, each_is_shown_created_reset_and_deleted);
    suite_add(suite, consumers_are_shown);
    suite_add(suite, what_only_reads_is_asked_again_and_what_changes_is_not);
    suite_add(suite, names_and_definitions_are_checked_and_rows_that_are_none_are_corrupt);
    return check_main(suite);
}
