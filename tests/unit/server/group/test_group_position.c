// What is done, when it is written, and what others have done.

#include "tests/unit/server/group/group_fixture.h"

static struct group_fixture fixture;

static void setup(void)
{
    group_fixture_init(&fixture);
    fixture.definition.checkpoint_every = 10;
    fixture.definition.checkpoint_after_ms = 1000;
}

static void teardown(void)
{
    group_fixture_deinit(&fixture);
}

static void merge(const char *ranges)
{
    struct position position = {0};
    position_of(ranges, &position);
    ck_assert_int_eq(group_merge(fixture.group, &position, fixture.now), 0);
    position_deinit(&position);
}

START_TEST(it_ends_before_what_is_not_done)
{
    group_begin(&fixture, "1.1-10 1.21-30 3.5-5");
    ck_assert_str_eq(group_is_done(&fixture), "1.10 1.21-30 3.5-5");
    join(&fixture, 1, 3);
    offer(&fixture, 1, 12, 4);
    offer(&fixture, 2, 5, 1);
    ck_assert_str_eq(group_is_done(&fixture), "1.10 1.21-30 3.5-5"); // the rest may come yet
    passed(&fixture, 1, 19);
    passed(&fixture, 2, 9);
    ck_assert_str_eq(group_is_done(&fixture), "1.11 2.4 1.16-19 1.21-30 2.6-9 3.5-5");
    ck_assert_str_eq(group_does(&fixture), "1<1.12-14");
    ck_assert_str_eq(group_is_done(&fixture), "1.11 2.4 1.16-19 1.21-30 2.6-9 3.5-5");
    ack(&fixture, 1, 1, 13, 13);
    ck_assert_str_eq(group_is_done(&fixture), "1.11 2.4 1.13-13 1.16-19 1.21-30 2.6-9 3.5-5");
    ack(&fixture, 1, 1, 12, 15);
    ck_assert_str_eq(group_is_done(&fixture), "1.19 2.4 1.21-30 2.6-9 3.5-5");
    passed(&fixture, 1, 20);
    passed(&fixture, 3, 4);
    ck_assert_str_eq(group_is_done(&fixture), "1.30 2.4 3.5 2.6-9");
}
END_TEST

START_TEST(a_million_above_a_stuck_one_are_one_range)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 1000);
    offer(&fixture, 1, 1, 1);
    for (uint64_t first = 2; first < 1000000; first += 64) {
        offer(&fixture, 1, first, 64);
        passed(&fixture, 1, first + 63);
        group_does(&fixture);
        ck_assert_uint_eq(ack(&fixture, 1, 1, first, first + 63), 64);
    }
    ck_assert_str_eq(group_is_done(&fixture), "1.2-1000001");
}
END_TEST

START_TEST(a_checkpoint_after_so_many)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 100);
    offer(&fixture, 1, 1, 50);
    passed(&fixture, 1, 50);
    group_does(&fixture);
    ck_assert_int_eq(group_due_ms(&fixture), 30000); // nothing is done: none
    ack(&fixture, 1, 1, 1, 9);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_int_eq(group_due_ms(&fixture), 1000);
    ack(&fixture, 1, 1, 10, 10);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    ack(&fixture, 1, 1, 11, 30);
    ck_assert_str_eq(group_does(&fixture), ""); // one at a time
    group_checkpointed(fixture.group, true, fixture.now);
    ck_assert_str_eq(group_does(&fixture), ""); // nor soon after the other
    ck_assert_int_eq(group_due_ms(&fixture), 20);
    wait_ms(&fixture, 20);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    group_checkpointed(fixture.group, true, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_int_eq(group_due_ms(&fixture), 29980);
}
END_TEST

START_TEST(a_checkpoint_after_so_long)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 100);
    offer(&fixture, 1, 1, 50);
    group_does(&fixture);
    ack(&fixture, 1, 1, 1, 1);
    wait_ms(&fixture, 600);
    ack(&fixture, 1, 1, 2, 2);
    ck_assert_int_eq(group_due_ms(&fixture), 400); // from the first on
    wait_ms(&fixture, 399);
    ck_assert_str_eq(group_does(&fixture), "");
    wait_ms(&fixture, 1);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    group_checkpointed(fixture.group, false, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_int_eq(group_due_ms(&fixture), 1000);
    wait_ms(&fixture, 1000);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    group_checkpointed(fixture.group, false, fixture.now);
    group_flush(fixture.group);
    ck_assert_str_eq(group_does(&fixture), "checkpoint"); // it cannot wait
    group_checkpointed(fixture.group, true, fixture.now);
    group_flush(fixture.group);
    ck_assert_str_eq(group_does(&fixture), "");
}
END_TEST

START_TEST(a_checkpoint_after_a_long_way_without_a_match)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 100);
    passed(&fixture, 1, 600000);
    passed(&fixture, 2, 399999);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_int_eq(group_due_ms(&fixture), -1); // one that is idle writes none
    passed(&fixture, 2, 400000);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    passed(&fixture, 2, 500000);
    ck_assert_str_eq(group_does(&fixture), "");
    group_checkpointed(fixture.group, false, fixture.now);
    ck_assert_int_eq(group_due_ms(&fixture), 1000);
    wait_ms(&fixture, 1000);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    group_checkpointed(fixture.group, true, fixture.now);
    ck_assert(group_is_covered(fixture.group));
    ck_assert_int_eq(group_due_ms(&fixture), -1);
}
END_TEST

START_TEST(a_checkpoint_of_a_shorter_way_when_nobody_is_left)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 100);
    passed(&fixture, 1, 65535);
    ck_assert(group_is_covered(fixture.group));
    group_leave(fixture.group, 1, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    join(&fixture, 2, 100);
    passed(&fixture, 1, 65536);
    ck_assert(!group_is_covered(fixture.group));
    ck_assert_str_eq(group_does(&fixture), "");
    group_leave(fixture.group, 2, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    group_checkpointed(fixture.group, true, fixture.now);
    ck_assert(group_is_covered(fixture.group));
}
END_TEST

START_TEST(a_checkpoint_when_the_last_one_leaves)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 100);
    join(&fixture, 2, 100);
    offer(&fixture, 1, 1, 4);
    group_does(&fixture);
    ack(&fixture, 1, 1, 1, 1);
    group_leave(fixture.group, 1, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "2<1.2#2");
    group_leave(fixture.group, 2, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "checkpoint");
    group_checkpointed(fixture.group, true, fixture.now);
    join(&fixture, 3, 100);
    group_leave(fixture.group, 3, fixture.now);
    ck_assert_str_eq(group_does(&fixture), ""); // nothing new
}
END_TEST

START_TEST(what_another_coordinator_has_done_does_not_come)
{
    group_begin(&fixture, "");
    join(&fixture, 1, 3);
    offer(&fixture, 1, 1, 10);
    passed(&fixture, 1, 10);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-3");
    nack(&fixture, 1, 1, 3, 3, 1000, "");
    merge("1.2-5 1.8-8 1.12-13 2.1-7");
    ck_assert_str_eq(group_is_done(&fixture), "2.7 1.2-5 1.8-8 1.12-13");
    ck_assert_str_eq(group_does(&fixture), "1<1.6");
    ack(&fixture, 1, 1, 1, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.7");
    ck_assert_uint_eq(ack(&fixture, 1, 1, 2, 2), 1); // it was in flight here
    offer(&fixture, 1, 11, 4);
    offer(&fixture, 2, 1, 8);
    ck_assert_str_eq(group_does(&fixture), "1<1.9");
    ack(&fixture, 1, 1, 1, 10);
    ck_assert_str_eq(group_does(&fixture), "1<1.11 1<1.14 1<2.8");
}
END_TEST

START_TEST(what_was_done_elsewhere_does_not_come_again)
{
    fixture.definition.key = GROUP_KEY_NAMESPACE;
    group_begin(&fixture, "");
    join(&fixture, 1, 2);
    offer_key(&fixture, 1, 1, 4, 7);
    passed(&fixture, 1, 4);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2");
    merge("1.1-1");
    join(&fixture, 2, 4);
    ck_assert_str_eq(group_does(&fixture), ""); // the key is still there
    wait_ms(&fixture, 30000);
    ck_assert_str_eq(group_does(&fixture), "1<1.2#2 1<1.3");
    group_leave(fixture.group, 1, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "2<1.2#3 2<1.3#2 2<1.4");
    ck_assert_str_eq(group_is_done(&fixture), "1.1");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_ends_before_what_is_not_done,
        a_million_above_a_stuck_one_are_one_range,
        a_checkpoint_after_so_many,
        a_checkpoint_after_so_long,
        a_checkpoint_after_a_long_way_without_a_match,
        a_checkpoint_of_a_shorter_way_when_nobody_is_left,
        a_checkpoint_when_the_last_one_leaves,
        what_another_coordinator_has_done_does_not_come,
        what_was_done_elsewhere_does_not_come_again,
    };
    Suite *suite = suite_create("group position");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        suite_add_story(suite, tests[i], setup, teardown);
    }
    return check_main(suite);
}
