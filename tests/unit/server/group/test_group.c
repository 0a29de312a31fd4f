// Who gets what, in which order, and when the group has enough.

#include "proto/model/event.h"
#include "tests/unit/server/group/group_fixture.h"

static struct group_fixture fixture;

static void setup(void)
{
    group_fixture_init(&fixture);
}

static void teardown(void)
{
    group_fixture_deinit(&fixture);
}

static void begin_plain(void)
{
    group_begin(&fixture, "");
}

static void begin_with_key(void)
{
    fixture.definition.key = GROUP_KEY_NAMESPACE;
    group_begin(&fixture, "");
}

// --- Handing out -------------------------------------------------------------------------------

START_TEST(a_run_goes_out_whole)
{
    begin_plain();
    offer(&fixture, 1, 1, 64);
    ck_assert_str_eq(group_does(&fixture), "");
    join(&fixture, 7, 100);
    ck_assert_str_eq(group_does(&fixture), "7<1.1-64");
    offer(&fixture, 1, 65, 64);
    ck_assert_str_eq(group_does(&fixture), "7<1.65-100"); // as many as it has room for
    ck_assert_uint_eq(ack(&fixture, 7, 1, 1, 10), 10);
    ck_assert_str_eq(group_does(&fixture), "7<1.101-110");
}
END_TEST

START_TEST(small_runs_that_follow_one_another_go_out_as_one)
{
    begin_plain();
    offer(&fixture, 1, 1, 2);
    offer(&fixture, 1, 3, 1);
    offer(&fixture, 1, 4, 16);
    offer(&fixture, 1, 20, 17); // better as it stands
    offer(&fixture, 1, 37, 1);
    offer(&fixture, 1, 38, 1);
    offer(&fixture, 2, 1, 1);
    offer(&fixture, 1, 39, 1); // was brought behind that
    offer(&fixture, 1, 41, 1); // follows a gap
    join(&fixture, 7, 100);
    ck_assert_str_eq(group_does(&fixture), "7<1.1-19 7<1.20-36 7<1.37-38 7<2.1 7<1.39 7<1.41");
    ck_assert_uint_eq(ack(&fixture, 7, 1, 2, 3), 2);
    group_leave(fixture.group, 7, fixture.now);
    join(&fixture, 8, 100);
    ck_assert_str_eq(
        group_does(&fixture),
        "checkpoint 8<1.1#2 8<1.4-19#2 8<1.20-36#2 8<1.37-38#2 8<2.1#2 8<1.39#2 8<1.41#2");
}
END_TEST

START_TEST(what_is_joined_has_an_end)
{
    struct group_run run = {.actor = 1, .first = 1, .count = 1, .bytes = 1, .timestamp_ms = 1000};
    begin_plain();
    for (int i = 0; i < 300; i++, run.first++) {
        ck_assert_int_eq(group_offer(fixture.group, &run, 1, fixture.now), 0);
    }
    run.bytes = 9000;
    for (int i = 0; i < 2; i++, run.first++) {
        ck_assert_int_eq(group_offer(fixture.group, &run, 1, fixture.now), 0);
    }
    run.bytes = 1;
    for (int i = 0; i < 4; i++, run.first++) {
        ck_assert_int_eq(group_offer(fixture.group, &run, 1, fixture.now), 0);
        run.timestamp_ms += 60;
    }
    run.timestamp_ms = 900; // of an actor whose clock was set back
    ck_assert_int_eq(group_offer(fixture.group, &run, 1, fixture.now), 0);
    join(&fixture, 7, 1000);
    ck_assert_str_eq(group_does(&fixture), "7<1.1-256 7<1.257-301 7<1.302-304 7<1.305-306 7<1.307");
}
END_TEST

START_TEST(runs_of_several_keys_are_not_joined)
{
    begin_with_key();
    offer_key(&fixture, 1, 1, 1, 5);
    offer_key(&fixture, 1, 2, 1, 5);
    offer_key(&fixture, 1, 3, 1, 6);
    offer_key(&fixture, 1, 4, 1, 5);
    join(&fixture, 7, 100);
    ck_assert_str_eq(group_does(&fixture), "7<1.1-2 7<1.3 7<1.4");
}
END_TEST

START_TEST(credit_is_overdrawn_by_one_of_what_was_joined)
{
    begin_plain();
    struct group_consumer consumer = {.id = 1, .in_flight_max = 100};
    ck_assert_int_eq(group_join(fixture.group, &consumer, fixture.now), 0);
    for (uint64_t first = 1; first <= 5; first++) {
        offer(&fixture, 1, first, 1); // 10 bytes each
    }
    group_credit(fixture.group, 1, 25);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2 1<1.3"); // -5
    group_credit(fixture.group, 1, 6);
    ck_assert_str_eq(group_does(&fixture), "1<1.4");
}
END_TEST

START_TEST(the_one_with_the_fewest_in_flight_gets_the_next)
{
    begin_plain();
    join(&fixture, 1, 10);
    join(&fixture, 2, 10);
    offer(&fixture, 1, 1, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.1");
    offer(&fixture, 1, 2, 1);
    ck_assert_str_eq(group_does(&fixture), "2<1.2");
    offer(&fixture, 1, 3, 1); // as many: the one that waited longer
    ck_assert_str_eq(group_does(&fixture), "1<1.3");
    ack(&fixture, 1, 1, 1, 3);
    offer(&fixture, 1, 4, 1);
    ck_assert_str_eq(group_does(&fixture), "2<1.4"); // done for the other: none in flight
}
END_TEST

START_TEST(few_events_are_shared)
{
    begin_plain();
    for (consumer_id id = 1; id <= 3; id++) {
        join(&fixture, id, 100);
    }
    offer(&fixture, 1, 1, 10);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-3 2<1.4-6 3<1.7-9 1<1.10");
}
END_TEST

START_TEST(credit_is_bytes)
{
    begin_plain();
    struct group_consumer consumer = {.id = 1, .in_flight_max = 100};
    ck_assert_int_eq(group_join(fixture.group, &consumer, fixture.now), 0);
    offer(&fixture, 1, 1, 5); // 50 bytes
    offer(&fixture, 2, 1, 5);
    ck_assert_str_eq(group_does(&fixture), "");
    group_credit(fixture.group, 1, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-5"); // -49
    group_credit(fixture.group, 1, 49);
    ck_assert_str_eq(group_does(&fixture), "");
    group_credit(fixture.group, 1, 1);
    ck_assert_str_eq(group_does(&fixture), "1<2.1-5");
    group_credit(fixture.group, 1, UINT64_MAX); // is cut
    group_credit(fixture.group, 1, UINT64_MAX);
    offer(&fixture, 1, 6, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.6");
    group_credit(fixture.group, 9, 1); // nobody
}
END_TEST

START_TEST(so_many_may_attach)
{
    fixture.definition.concurrency = 2;
    begin_plain();
    join(&fixture, 1, 1);
    join(&fixture, 2, 1);
    struct group_consumer third = {.id = 3, .in_flight_max = 1};
    ck_assert_int_eq(group_join(fixture.group, &third, fixture.now), ERR_BUSY);
    group_leave(fixture.group, 1, fixture.now);
    group_leave(fixture.group, 1, fixture.now);
    ck_assert_int_eq(group_join(fixture.group, &third, fixture.now), 0);
    struct group_consumer_counts counts[1];
    ck_assert_uint_eq(group_consumers(fixture.group, counts, 1), 2);
    ck_assert_uint_eq(counts[0].id, 2);
}
END_TEST

START_TEST(what_is_known_is_passed_over)
{
    group_begin(&fixture, "1.1-5 1.8-9");
    join(&fixture, 1, 100);
    offer(&fixture, 1, 1, 12);
    ck_assert_str_eq(group_does(&fixture), "1<1.6-7 1<1.10-12");
    passed(&fixture, 1, 12);
    ack(&fixture, 1, 1, 7, 7);
    offer(&fixture, 1, 3, 12); // again, by a reader that began anew
    passed(&fixture, 1, 3);
    ck_assert_str_eq(group_does(&fixture), "1<1.13-14");
    ck_assert_uint_eq(group_counts(fixture.group).delivered, 7);
}
END_TEST

START_TEST(it_takes_what_it_can_hold)
{
    fixture.definition.queue = 100;
    begin_plain();
    offer(&fixture, 1, 1, 99);
    ck_assert(group_wants(fixture.group));
    offer(&fixture, 1, 100, 20); // was on its way
    ck_assert(!group_wants(fixture.group));
    ck_assert(group_has_waiting(fixture.group, 1, 119, 200));
    ck_assert(!group_has_waiting(fixture.group, 1, 120, 200));
    join(&fixture, 1, 22);
    group_does(&fixture);
    ck_assert(group_wants(fixture.group));
    ck_assert(!group_has_waiting(fixture.group, 1, 1, 22));
    ck_assert(group_has_waiting(fixture.group, 1, 22, 23));
    struct group_run large = {
        .actor = 2, .first = 1, .count = 1, .bytes = GROUP_WAITING_BYTES_MAX - 971};
    ck_assert_int_eq(group_offer(fixture.group, &large, 1, fixture.now), 0);
    ck_assert(group_wants(fixture.group));
    offer(&fixture, 1, 120, 1);
    ck_assert(!group_wants(fixture.group));
    ck_assert_uint_eq(ack(&fixture, 1, 2, 1, 1), 1);
    ck_assert(group_wants(fixture.group));
}
END_TEST

START_TEST(what_is_not_done_is_bounded)
{
    fixture.definition.queue = 1000000;
    begin_plain();
    for (consumer_id id = 1; id <= 4; id++) {
        join(&fixture, id, GROUP_IN_FLIGHT_MAX);
    }
    for (uint64_t first = 1; first < GROUP_OPEN_MAX; first += 64) {
        ck_assert(group_wants(fixture.group));
        offer(&fixture, 1, first, 64);
        group_does(&fixture);
    }
    ck_assert_uint_eq(group_counts(fixture.group).in_flight, GROUP_OPEN_MAX);
    ck_assert(!group_wants(fixture.group));
    ack(&fixture, 1, 1, 1000, 1000);
    ck_assert(group_wants(fixture.group));
}
END_TEST

// --- Keys --------------------------------------------------------------------------------------

START_TEST(a_key_stays_with_one_consumer)
{
    begin_with_key();
    join(&fixture, 1, 100);
    join(&fixture, 2, 100);
    offer_key(&fixture, 1, 1, 3, 7);
    offer_key(&fixture, 1, 4, 2, 8);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-3 2<1.4-5");
    offer_key(&fixture, 1, 6, 1, 7);
    offer_key(&fixture, 2, 1, 1, 8);
    ck_assert_str_eq(group_does(&fixture), "2<2.1 1<1.6");
    ack(&fixture, 1, 1, 1, 3);
    offer_key(&fixture, 1, 7, 1, 7); // one is still in flight there
    ck_assert_str_eq(group_does(&fixture), "1<1.7");
    ack(&fixture, 1, 1, 6, 7);
    offer_key(&fixture, 1, 8, 1, 9);
    offer_key(&fixture, 1, 9, 1, 7);
    offer_key(&fixture, 2, 9, 1, 11);
    ck_assert_str_eq(group_does(&fixture), "1<1.8 1<1.9 1<2.9");
    ack(&fixture, 1, 1, 9, 9);
    offer_key(&fixture, 1, 10, 1, 12);
    offer_key(&fixture, 1, 11, 1, 7);
    ck_assert_str_eq(group_does(&fixture), "1<1.10 2<1.11"); // all were done: anybody's
}
END_TEST

START_TEST(a_key_waits_for_its_consumer)
{
    begin_with_key();
    join(&fixture, 1, 2);
    offer_key(&fixture, 1, 1, 4, 7);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2");
    join(&fixture, 2, 2);
    ck_assert_str_eq(group_does(&fixture), "");
    offer_key(&fixture, 1, 5, 1, 8);
    ck_assert_str_eq(group_does(&fixture), "2<1.5"); // other keys are not held up
    ack(&fixture, 1, 1, 1, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.3");
    group_leave(fixture.group, 1, fixture.now); // and the other takes it over, in order
    ck_assert_str_eq(group_does(&fixture), "2<1.2#2");
    ack(&fixture, 2, 1, 2, 5);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_str_eq(group_is_done(&fixture), "1.5");
}
END_TEST

START_TEST(what_was_refused_comes_before_the_rest_of_its_key)
{
    begin_with_key();
    join(&fixture, 1, 2);
    join(&fixture, 2, 2);
    offer_key(&fixture, 1, 1, 5, 7);
    offer_key(&fixture, 2, 1, 1, 8);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2 2<2.1");
    ck_assert(nack(&fixture, 1, 1, 1, 1, 500, "later"));
    ack(&fixture, 1, 1, 2, 2);
    ck_assert_str_eq(group_does(&fixture), ""); // 3 to 5 wait for 1
    ck_assert_int_eq(group_due_ms(&fixture), 500);
    wait_ms(&fixture, 500);
    ck_assert_str_eq(group_does(&fixture), "1<1.1#2 1<1.3");
}
END_TEST

START_TEST(keys_are_hashed)
{
    struct subscription_definition *definition = &fixture.definition;
    struct bytes none = {0};
    struct bytes deep = bytes_of_text("/a/b/c");
    struct bytes flat = bytes_of_text("/a/b");
    struct attribute attributes[] = {
        {.key = bytes_of_text("x"), .value = bytes_of_text("1")},
        {.key = bytes_of_text("y"), .value = bytes_of_text("/a/b")},
        {.key = bytes_of_text("y"), .value = bytes_of_text("3")},
    };
    struct buffer encoded = {0};
    ck_assert_int_eq(attributes_append(&encoded, attributes, 3, (struct event_id){0}), 0);
    ck_assert_uint_eq(group_key_hash(definition, deep, none), 0);
    definition->key = GROUP_KEY_NAMESPACE;
    uint64_t hash = group_key_hash(definition, flat, none);
    uint64_t empty = group_key_hash(definition, none, none);
    ck_assert(group_key_hash(definition, deep, none) != hash);
    definition->key = GROUP_KEY_COMPONENTS;
    definition->key_components = 2;
    ck_assert_uint_eq(group_key_hash(definition, deep, none), hash);
    ck_assert_uint_eq(group_key_hash(definition, flat, none), hash);
    ck_assert_uint_eq(group_key_hash(definition, bytes_of_text("/a/b/"), none), hash);
    ck_assert(group_key_hash(definition, bytes_of_text("/a"), none) != hash);
    definition->key = GROUP_KEY_ATTRIBUTE;
    definition->key_attribute = bytes_of_text("y");
    ck_assert_uint_eq(group_key_hash(definition, deep, buffer_bytes(&encoded)), hash);
    ck_assert_uint_eq(group_key_hash(definition, deep, none), empty);
    definition->key_attribute = bytes_of_text("z");
    ck_assert_uint_eq(group_key_hash(definition, deep, buffer_bytes(&encoded)), empty);
    buffer_deinit(&encoded);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_run_goes_out_whole,
        small_runs_that_follow_one_another_go_out_as_one,
        what_is_joined_has_an_end,
        runs_of_several_keys_are_not_joined,
        credit_is_overdrawn_by_one_of_what_was_joined,
        the_one_with_the_fewest_in_flight_gets_the_next,
        few_events_are_shared,
        credit_is_bytes,
        so_many_may_attach,
        what_is_known_is_passed_over,
        it_takes_what_it_can_hold,
        what_is_not_done_is_bounded,
        a_key_stays_with_one_consumer,
        a_key_waits_for_its_consumer,
        what_was_refused_comes_before_the_rest_of_its_key,
        keys_are_hashed,
    };
    Suite *suite = suite_create("group");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        suite_add_story(suite, tests[i], setup, teardown);
    }
    return check_main(suite);
}
