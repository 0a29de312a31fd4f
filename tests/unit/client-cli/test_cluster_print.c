// Status and verdicts of a cluster, as they are printed.

#include <jansson.h>

#include "client-cli/cluster_print.h"
#include "proto/model/cluster_row.h"
#include "tests/unit/check_main.h"

static const struct cluster_row SELF = {
    .actor = 1,
    .flags = CLUSTER_ROW_SELF,
    .run = 2,
    .held = 90,
    .claimed = 90,
};

static const struct cluster_row LAGGING = {
    .actor = 2,
    .verdict = CLUSTER_AHEAD,
    .flags = CLUSTER_ROW_CONNECTED,
    .source = 3,
    .held = 40,
    .claimed = 65,
    .lag_ms = 1500,
    .address = {.data = (const uint8_t *)"127.0.0.1:3001", .length = 14},
};

static const struct cluster_row GONE = {.actor = 3, .state = CLUSTER_RETIRED, .seal = 12};

static const struct cluster_row DIVERGED = {
    .actor = 4,
    .verdict = CLUSTER_DIVERGED,
    .diverged_actor = 2,
    .diverged_since = 33,
};

static struct reply_cluster sample(struct buffer *rows)
{
    return (struct reply_cluster){
        .cluster_name = bytes_of_text("kitchen"),
        .cluster = bytes_of("0123456789abcdef", 16),
        .node = bytes_of("fedcba9876543210", 16),
        .actor = 1,
        .phase = bytes_of_text("member"),
        .why_not = bytes_of_text("it \"waits\""),
        .frontier = 39,
        .waits_for = 2,
        .events_applied = 200,
        .events_duplicate = 1,
        .scrub_checked = 5,
        .scrub_total = 20,
        .members = buffer_bytes(rows),
        .alarms = bytes_of_text("clone: another: copy\nbare"),
    };
}

static void add(struct buffer *rows, struct cluster_row row)
{
    memset(row.node.bytes, row.actor, sizeof row.node.bytes);
    ck_assert_int_eq(cluster_row_append(rows, &row), 0);
}

static void expect_text(const struct output *output, const char *text)
{
    ck_assert_msg(memmem(output->buffer.data, output->buffer.length, text, strlen(text)),
                  "'%s' is not in\n%.*s", text, (int)output->buffer.length,
                  (const char *)output->buffer.data);
}

START_TEST(people_see_who_lags_who_is_waited_for_and_every_alarm)
{
    struct buffer rows = {0};
    struct output output = {0};
    add(&rows, SELF);
    add(&rows, LAGGING);
    add(&rows, DIVERGED);
    struct reply_cluster cluster = sample(&rows);
    ck_assert_int_eq(cluster_print_status(&output, &cluster), 0);
    expect_text(&output, "kitchen (30313233-3435-3637-3839-616263646566)");
    expect_text(&output, "no: it \"waits\"");
    expect_text(&output, "39, held back by actor 2");
    expect_text(&output, "1.005 copies per event");
    expect_text(&output, "5 of 20 checked (25.0 %)");
    expect_text(&output, "ALARM:     clone: another: copy\n");
    expect_text(&output, "ALARM:     bare\n");
    expect_text(&output, "*    1  01010101");
    expect_text(&output, "127.0.0.1:3001");
    expect_text(&output, "40/65");
    expect_text(&output, "25, 1.5 s");
    expect_text(&output, "actor 3");
    expect_text(&output, "DIVERGED, actor 2 since 33");
    buffer_deinit(&rows);
    output_deinit(&output);
}
END_TEST

static json_t *parse(const struct output *output)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)output->buffer.data, output->buffer.length, 0, &error);
    ck_assert_msg(json != NULL, "%s in %.*s", error.text, (int)output->buffer.length,
                  (const char *)output->buffer.data);
    return json;
}

static const json_t *at(const json_t *json, const char *list, size_t i, const char *key)
{
    return json_object_get(json_array_get(json_object_get(json, list), i), key);
}

START_TEST(json_has_everything)
{
    struct buffer rows = {0};
    struct output output = {0};
    add(&rows, SELF);
    add(&rows, LAGGING);
    add(&rows, GONE);
    add(&rows, DIVERGED);
    struct reply_cluster cluster = sample(&rows);
    ck_assert_int_eq(cluster_print_status_json(&output, &cluster), 0);
    json_t *json = parse(&output);
    ck_assert(json_is_false(json_object_get(json, "may_produce")));
    ck_assert_str_eq(json_string_value(json_object_get(json, "why_not")), "it \"waits\"");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "waits_for")), 2);
    ck_assert_double_eq_tol(json_real_value(json_object_get(json, "copies_per_event")), 1.005,
                            1e-6);
    ck_assert_str_eq(json_string_value(at(json, "alarms", 0, "code")), "clone");
    ck_assert_str_eq(json_string_value(at(json, "alarms", 0, "text")), "another: copy");
    ck_assert_str_eq(json_string_value(at(json, "alarms", 1, "code")), "");
    ck_assert_str_eq(json_string_value(at(json, "alarms", 1, "text")), "bare");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "members")), 4);
    ck_assert(json_is_true(at(json, "members", 0, "is_self")));
    ck_assert(json_is_null(at(json, "members", 0, "source")));
    ck_assert_int_eq(json_integer_value(at(json, "members", 1, "source")), 3);
    ck_assert_int_eq(json_integer_value(at(json, "members", 1, "lag")), 25);
    ck_assert_str_eq(json_string_value(at(json, "members", 1, "verified")), "ahead");
    ck_assert_int_eq(json_integer_value(at(json, "members", 2, "seal")), 12);
    ck_assert_int_eq(
        json_integer_value(json_object_get(at(json, "members", 3, "diverged"), "since")), 33);
    json_decref(json);
    buffer_deinit(&rows);
    output_deinit(&output);
}
END_TEST

static bool are_equal(const struct buffer *rows)
{
    struct reply_cluster cluster = {.members = buffer_bytes(rows)};
    bool equal = false;
    ck_assert_int_eq(cluster_are_equal(&cluster, &equal), 0);
    return equal;
}

START_TEST(members_are_equal_when_all_that_count_are)
{
    struct buffer rows = {0};
    struct cluster_row other = {.actor = 2, .verdict = CLUSTER_EQUAL};
    add(&rows, SELF);
    ck_assert(are_equal(&rows));
    add(&rows, other);
    add(&rows, GONE); // nobody asks what it holds
    ck_assert(are_equal(&rows));
    size_t length = rows.length;
    static const enum cluster_row_verdict others[] = {CLUSTER_UNKNOWN, CLUSTER_BEHIND,
                                                      CLUSTER_AHEAD, CLUSTER_DIVERGED};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        other.verdict = (uint8_t)others[i];
        rows.length = length;
        add(&rows, other);
        ck_assert(!are_equal(&rows));
    }
    other.state = CLUSTER_RETIRED; // but that it has diverged counts
    rows.length = length;
    add(&rows, other);
    ck_assert(!are_equal(&rows));
    buffer_deinit(&rows);
}
END_TEST

START_TEST(every_member_has_its_verdict)
{
    struct buffer rows = {0};
    struct output output = {0};
    add(&rows, SELF);
    add(&rows, LAGGING);
    add(&rows, GONE);
    add(&rows, DIVERGED);
    add(&rows, (struct cluster_row){.actor = 5, .verdict = CLUSTER_BEHIND});
    add(&rows, (struct cluster_row){.actor = 6});
    struct reply_cluster cluster = {.members = buffer_bytes(&rows)};
    ck_assert_int_eq(cluster_print_verdicts(&output, &cluster), 0);
    ck_assert_int_eq(buffer_append(&output.buffer, bytes_of("", 1)), 0);
    ck_assert_str_eq((const char *)output.buffer.data,
                     "actor 1: equal (this node)\n"
                     "actor 2: ahead of this node\n"
                     "this node is behind by up to 25 events of actor 2\n"
                     "actor 4: DIVERGED since 33 of actor 2\n"
                     "actor 5: behind this node\n"
                     "actor 6: cannot be reached\n");
    buffer_deinit(&rows);
    output_deinit(&output);
}
END_TEST

START_TEST(rows_that_are_none_are_an_error)
{
    struct output output = {0};
    struct reply_cluster cluster = {.members = bytes_of_text("short")};
    bool equal;
    ck_assert_int_eq(cluster_are_equal(&cluster, &equal), ERR_CORRUPT);
    ck_assert_int_eq(cluster_print_status(&output, &cluster), ERR_CORRUPT);
    ck_assert_int_eq(cluster_print_status_json(&output, &cluster), ERR_CORRUPT);
    ck_assert_int_eq(cluster_print_verdicts(&output, &cluster), ERR_CORRUPT);
    output_deinit(&output);
}
END_TEST

START_TEST(an_alarm_that_is_not_utf8_makes_no_json)
{
    struct output output = {0};
    struct reply_cluster cluster = {.alarms = bytes_of_text("code: \xff")};
    ck_assert_int_eq(cluster_print_status_json(&output, &cluster), ERR_INVALID);
    output_deinit(&output);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/cluster_print");
    suite_add(suite, people_see_who_lags_who_is_waited_for_and_every_alarm);
    suite_add(suite, json_has_everything);
    suite_add(suite, members_are_equal_when_all_that_count_are);
    suite_add(suite, every_member_has_its_verdict);
    suite_add(suite, rows_that_are_none_are_an_error);
    suite_add(suite, an_alarm_that_is_not_utf8_makes_no_json);
    return check_main(suite);
}
