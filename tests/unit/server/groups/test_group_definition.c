// What a definition says is what is handed out: attributes, a minimum time, a start by time.

#include "tests/unit/server/groups/groups_fixture.h"

static struct cluster_fixture fixture;

// Everything that was handed out is done; of what was not, nothing is left to be.
static void expect_no_lag(struct taker *taker, uint32_t done)
{
    ck_assert_uint_eq(taker_ack(taker, done, taker->count - done), taker->count - done);
    cluster_settle(&fixture);
    struct group_row row = look(&fixture);
    ck_assert(row.is_coordinated);
    ck_assert_uint_eq(row.counts.delivered, taker->count);
    ck_assert_uint_eq(row.lag_events, 0);
    ck_assert_uint_eq(version_vector_get(&row.position.vector, 1), held(&fixture));
    position_deinit(&row.position);
}

// --- Attributes --------------------------------------------------------------------------------

enum { MIXED = 6 }; // events of one produce, the second of each three is wanted

static void produce_mixed(void)
{
    const struct attribute attributes[] = {
        {bytes_of_text("kind"), bytes_of_text("other"), true},
        {bytes_of_text("kind"), bytes_of_text("wanted"), true},
        {bytes_of_text("sort"), bytes_of_text("wanted"), true},
    };
    struct buffer events = {0};
    for (uint32_t i = 0; i < MIXED; i++) {
        struct buffer encoded = {0};
        ck_assert_int_eq(attributes_append(&encoded, &attributes[i % 3], 1, (struct event_id){0}),
                         0);
        ck_assert_int_eq(event_append(&events, bytes_of_text(EVENTS_SPACE), bytes_of_text("one"),
                                      buffer_bytes(&encoded)),
                         0);
        buffer_deinit(&encoded);
    }
    produce_events(&fixture, buffer_bytes(&events), MIXED);
    buffer_deinit(&events);
}

static void expect_wanted(const struct taker *taker, uint32_t index, uint64_t first)
{
    ck_assert_uint_eq(taker->count, index + 2);
    ck_assert_uint_eq(taker->events[index].id.counter, first + 1);
    ck_assert_uint_eq(taker->events[index + 1].id.counter, first + 4);
}

START_TEST(only_what_has_the_attribute_is_handed_out_and_the_rest_is_passed)
{
    struct subscription_definition definition;
    struct taker taker;
    definition_begin(&definition);
    definition.attributes[0] =
        (struct attribute_match){bytes_of_text("kind"), bytes_of_text("wanted")};
    definition.attributes_count = 1;
    groups_open(&fixture);
    uint64_t first = held(&fixture) + 1;
    produce_mixed();
    produce(&fixture, 3); // without any
    create(&fixture, &definition);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.caught_up, 1);
    expect_wanted(&taker, 0, first);
    expect_no_lag(&taker, 0);
    first = held(&fixture) + 1;
    produce_mixed(); // live
    expect_wanted(&taker, 2, first);
    produce(&fixture, 3);
    expect_no_lag(&taker, 2);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

// --- A minimum time ----------------------------------------------------------------------------

START_TEST(only_what_is_not_older_is_handed_out_and_the_rest_is_passed)
{
    struct subscription_definition definition;
    struct taker taker;
    groups_open(&fixture);
    produce(&fixture, 2);
    cluster_pass_ms(&fixture, 500);
    definition_begin(&definition);
    definition.timestamp_min_ms = fixture.wall_ms;
    uint64_t before = held(&fixture);
    produce(&fixture, 3);
    create(&fixture, &definition);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.caught_up, 1);
    ck_assert_uint_eq(taker.count, 3);
    ck_assert_uint_eq(taker.events[0].id.counter, before + 1);
    expect_no_lag(&taker, 0);
    produce(&fixture, 2); // live
    ck_assert_uint_eq(taker.count, 5);
    expect_no_lag(&taker, 3);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(what_comes_before_a_minimum_time_that_is_to_come_is_passed)
{
    struct subscription_definition definition;
    struct taker taker;
    groups_open(&fixture);
    definition_begin(&definition);
    definition.timestamp_min_ms = fixture.wall_ms + 1000;
    create(&fixture, &definition);
    taker_attach(&fixture, &taker, 100);
    produce(&fixture, 2);
    cluster_pass_ms(&fixture, 999);
    produce(&fixture, 1);
    ck_assert_uint_eq(taker.count, 0);
    expect_no_lag(&taker, 0);
    cluster_pass_ms(&fixture, 1);
    uint64_t before = held(&fixture);
    produce(&fixture, 2);
    ck_assert_uint_eq(taker.count, 2);
    ck_assert_uint_eq(taker.events[0].id.counter, before + 1);
    expect_no_lag(&taker, 0);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

// --- A start by time ---------------------------------------------------------------------------

static void create_at(uint64_t time_ms)
{
    const struct request_subscribe start = {.start = START_AT_TIME, .start_time_ms = time_ms};
    struct subscription_definition definition;
    struct told told = {0};
    definition_begin(&definition);
    ck_assert_int_eq(groups_create(groups_of(&fixture), bytes_of_text(GROUP_NAME), &definition,
                                   &start, told_done, &told),
                     0);
    cluster_settle(&fixture);
    ck_assert(told.is_told);
    ck_assert_int_eq(told.err, 0);
}

static void reset_to(uint64_t time_ms)
{
    const struct request_subscribe start = {.start = START_AT_TIME, .start_time_ms = time_ms};
    struct told told = {0};
    ck_assert_int_eq(
        groups_reset(groups_of(&fixture), bytes_of_text(GROUP_NAME), &start, told_done, &told), 0);
    cluster_settle(&fixture);
    ck_assert(told.is_told);
    ck_assert_int_eq(told.err, 0);
}

// From `index` on it was handed out so many, the first of them this one; now they are done.
static void expect_from(struct taker *taker, uint32_t index, uint32_t count, uint64_t first)
{
    ck_assert_uint_eq(taker->count, index + count);
    ck_assert_uint_eq(taker->events[index].id.counter, first);
    ck_assert_uint_eq(taker->events[index].attempt, 1);
    ck_assert_uint_eq(taker_ack(taker, index, count), count);
    cluster_settle(&fixture);
}

START_TEST(a_start_by_time_counts_when_it_is_created_and_when_it_is_reset)
{
    struct taker taker;
    groups_open(&fixture);
    produce(&fixture, 2);
    cluster_pass_ms(&fixture, 500);
    uint64_t middle_ms = fixture.wall_ms;
    uint64_t middle = held(&fixture) + 1;
    produce(&fixture, 3);
    create_at(middle_ms);
    taker_attach(&fixture, &taker, 100);
    expect_from(&taker, 0, 3, middle);
    cluster_pass_ms(&fixture, 500);
    uint64_t late_ms = fixture.wall_ms;
    uint64_t late = held(&fixture) + 1;
    produce(&fixture, 4);
    expect_from(&taker, 3, 4, late);
    reset_to(middle_ms + 1); // between two of them, so from the later one on
    ck_assert_uint_eq(taker.renewed, 1);
    expect_from(&taker, 7, 4, late);
    reset_to(middle_ms);
    expect_from(&taker, 11, 7, middle);
    reset_to(late_ms);
    expect_from(&taker, 18, 4, late);
    reset_to(1);
    expect_from(&taker, 22, 9, middle - 2); // the definition lies behind them
    reset_to(late_ms + 1000);               // the end, found once: what comes now is above it
    ck_assert_uint_eq(taker.count, 31);
    uint64_t next = held(&fixture) + 1;
    produce(&fixture, 1);
    expect_from(&taker, 31, 1, next);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group_definition");
    suite_add(suite, only_what_has_the_attribute_is_handed_out_and_the_rest_is_passed);
    suite_add(suite, only_what_is_not_older_is_handed_out_and_the_rest_is_passed);
    suite_add(suite, what_comes_before_a_minimum_time_that_is_to_come_is_passed);
    suite_add(suite, a_start_by_time_counts_when_it_is_created_and_when_it_is_reset);
    return check_main(suite);
}
