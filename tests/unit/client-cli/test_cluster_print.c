// Status and verdicts of a cluster, as they are printed.

#include <jansson.h>

#include "client-cli/cluster_print.h"
#include "tests/unit/check_main.h"

static const struct weir_member SELF = {
    .actor = 1,
    .is_self = true,
    .run = 2,
    .held = 90,
    .claimed = 90,
};

static const struct weir_member LAGGING = {
    .actor = 2,
    .verdict = WEIR_VERDICT_AHEAD,
    .is_connected = true,
    .source = 3,
    .held = 40,
    .claimed = 65,
    .lag_ms = 1500,
    .address = {.data = "127.0.0.1:3001", .length = 14},
};

static const struct weir_member GONE = {.actor = 3, .state = WEIR_MEMBER_RETIRED, .seal = 12};

static const struct weir_member DIVERGED = {
    .actor = 4,
    .verdict = WEIR_VERDICT_DIVERGED,
    .diverged_actor = 2,
    .diverged_since = 33,
};

enum { ROWS_MAX = 8 };

// A table with room for some rows.
struct sample {
    struct cluster_table table;
    struct weir_cluster_status status;
    struct weir_member members[ROWS_MAX];
    struct weir_alarm alarms[2];
};

static struct weir_alarm alarm_of(const char *line, const char *code, const char *text)
{
    return (struct weir_alarm){weir_text(line), weir_text(code), weir_text(text)};
}

static void sample_init(struct sample *sample)
{
    *sample = (struct sample){
        .status =
            {
                .cluster_name = weir_text("kitchen"),
                .cluster = "30313233-3435-3637-3839-616263646566",
                .node = "66656463-6261-3938-3736-353433323130",
                .actor = 1,
                .phase = weir_text("member"),
                .why_not = weir_text("it \"waits\""),
                .frontier = 39,
                .waits_for = 2,
                .events_applied = 200,
                .events_duplicate = 1,
                .scrub_checked = 5,
                .scrub_total = 20,
            },
        .alarms = {alarm_of("clone: another: copy", "clone", "another: copy"),
                   alarm_of("bare", "", "bare")},
    };
    sample->table = (struct cluster_table){
        .status = &sample->status,
        .members = sample->members,
        .alarms = sample->alarms,
        .alarms_count = 2,
    };
}

static void add(struct sample *sample, struct weir_member row)
{
    uint8_t digit = (uint8_t)row.actor;
    snprintf(row.node, sizeof row.node, "%02x%02x%02x%02x-0000-0000-0000-000000000000", digit,
             digit, digit, digit);
    ck_assert_uint_lt(sample->table.members_count, ROWS_MAX);
    sample->members[sample->table.members_count++] = row;
}

static void expect_text(const struct output *output, const char *text)
{
    ck_assert_msg(memmem(output->buffer.data, output->buffer.length, text, strlen(text)),
                  "'%s' is not in\n%.*s", text, (int)output->buffer.length,
                  (const char *)output->buffer.data);
}

START_TEST(people_see_who_lags_who_is_waited_for_and_every_alarm)
{
    struct sample sample;
    struct output output = {0};
    sample_init(&sample);
    add(&sample, SELF);
    add(&sample, LAGGING);
    add(&sample, DIVERGED);
    ck_assert_int_eq(cluster_print_status(&output, &sample.table), 0);
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
    struct sample sample;
    struct output output = {0};
    sample_init(&sample);
    add(&sample, SELF);
    add(&sample, LAGGING);
    add(&sample, GONE);
    add(&sample, DIVERGED);
    ck_assert_int_eq(cluster_print_status_json(&output, &sample.table), 0);
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
    output_deinit(&output);
}
END_TEST

START_TEST(members_are_equal_when_all_that_count_are)
{
    struct sample sample;
    struct weir_member other = {.actor = 2, .verdict = WEIR_VERDICT_EQUAL};
    sample_init(&sample);
    add(&sample, SELF);
    ck_assert(cluster_are_equal(&sample.table));
    add(&sample, other);
    add(&sample, GONE); // nobody asks what it holds
    ck_assert(cluster_are_equal(&sample.table));
    size_t count = sample.table.members_count;
    static const enum weir_verdict others[] = {WEIR_VERDICT_UNKNOWN, WEIR_VERDICT_BEHIND,
                                               WEIR_VERDICT_AHEAD, WEIR_VERDICT_DIVERGED};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        other.verdict = others[i];
        sample.table.members_count = count;
        add(&sample, other);
        ck_assert(!cluster_are_equal(&sample.table));
    }
    other.state = WEIR_MEMBER_RETIRED; // but that it has diverged counts
    sample.table.members_count = count;
    add(&sample, other);
    ck_assert(!cluster_are_equal(&sample.table));
}
END_TEST

START_TEST(every_member_has_its_verdict)
{
    struct sample sample;
    struct output output = {0};
    sample_init(&sample);
    add(&sample, SELF);
    add(&sample, LAGGING);
    add(&sample, GONE);
    add(&sample, DIVERGED);
    add(&sample, (struct weir_member){.actor = 5, .verdict = WEIR_VERDICT_BEHIND});
    add(&sample, (struct weir_member){.actor = 6});
    ck_assert_int_eq(cluster_print_verdicts(&output, &sample.table), 0);
    ck_assert_int_eq(buffer_append(&output.buffer, bytes_of("", 1)), 0);
    ck_assert_str_eq((const char *)output.buffer.data,
                     "actor 1: equal (this node)\n"
                     "actor 2: ahead of this node\n"
                     "this node is behind by up to 25 events of actor 2\n"
                     "actor 4: DIVERGED since 33 of actor 2\n"
                     "actor 5: behind this node\n"
                     "actor 6: cannot be reached\n");
    output_deinit(&output);
}
END_TEST

START_TEST(an_alarm_that_is_not_utf8_makes_no_json)
{
    struct sample sample;
    struct output output = {0};
    sample_init(&sample);
    sample.alarms[1].text = weir_text("\xff");
    ck_assert_int_eq(cluster_print_status_json(&output, &sample.table), ERR_INVALID);
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
    suite_add(suite, an_alarm_that_is_not_utf8_makes_no_json);
    return check_main(suite);
}
