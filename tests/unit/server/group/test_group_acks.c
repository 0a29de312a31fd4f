// How what is in flight ends: acknowledged, refused, in silence, with its consumer, parked.

#include "tests/unit/server/group/group_fixture.h"

static struct group_fixture fixture;

static void setup(void)
{
    group_fixture_init(&fixture);
    fixture.definition.attempts = 3;
    group_begin(&fixture, "");
}

static void teardown(void)
{
    group_fixture_deinit(&fixture);
}

// --- Acknowledged ------------------------------------------------------------------------------

START_TEST(an_acknowledged_event_is_done)
{
    join(&fixture, 1, 100);
    offer(&fixture, 1, 1, 10);
    passed(&fixture, 1, 10);
    group_does(&fixture);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 3, 4), 2);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 3, 4), 0); // done already
    ck_assert_uint_eq(ack(&fixture, 1, 1, 2, 5), 2); // what is left of it
    ck_assert_uint_eq(ack(&fixture, 1, 2, 1, 10), 10);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 0, 1), 1);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 9, 3), 0);
    ck_assert_uint_eq(ack(&fixture, 1, 0, 1, 3), 0);
    struct group_counts counts = group_counts(fixture.group);
    ck_assert_uint_eq(counts.acked, 15);
    ck_assert_uint_eq(counts.in_flight, 5);
    struct group_consumer_counts row;
    ck_assert_uint_eq(group_consumers(fixture.group, &row, 1), 1);
    ck_assert_uint_eq(row.acked, 15);
    ck_assert_uint_eq(row.in_flight, 5);
    ck_assert_uint_eq(row.delivered, 10);
    ck_assert_str_eq(group_is_done(&fixture), "1.5 2.10");
}
END_TEST

START_TEST(what_another_handed_out_counts)
{
    join(&fixture, 1, 2);
    offer(&fixture, 1, 1, 6);
    passed(&fixture, 1, 6);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2");
    ck_assert_uint_eq(ack(&fixture, 2, 1, 4, 5), 2); // waits, from nobody who is here
    join(&fixture, 2, 100);
    ck_assert_str_eq(group_does(&fixture), "2<1.3 2<1.6");
    ck_assert_uint_eq(ack(&fixture, 2, 1, 1, 1), 1); // in flight at the other
    ck_assert_uint_eq(ack(&fixture, 1, 1, 1, 1), 0);
    ck_assert_str_eq(group_is_done(&fixture), "1.1 1.4-5");
}
END_TEST

START_TEST(what_the_reader_has_not_brought_is_passed_over_later)
{
    join(&fixture, 1, 100);
    offer(&fixture, 1, 1, 2);
    passed(&fixture, 1, 4);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 3, 10), 6); // 3 and 4 did not match
    ck_assert_uint_eq(ack(&fixture, 1, 1, 9, 12), 2);
    ck_assert_str_eq(group_is_done(&fixture), "1.3-12");
    offer(&fixture, 1, 5, 10);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2 1<1.13-14");
    passed(&fixture, 1, 14);
    ck_assert_str_eq(group_is_done(&fixture), "1.3-12");
    ck_assert_uint_eq(ack(&fixture, 1, 1, 1, 14), 4);
    ck_assert_str_eq(group_is_done(&fixture), "1.14");
}
END_TEST

START_TEST(what_is_remembered_above_the_reader_is_bounded)
{
    uint64_t remembered = 0;
    for (uint64_t i = 1; i <= GROUP_OPEN_MAX + 100; i++) {
        remembered += ack(&fixture, 1, 1, 2 * i, 2 * i);
    }
    ck_assert_uint_eq(remembered, GROUP_OPEN_MAX);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 1, 1), 0);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 3, 3), 1); // needs no more, and makes one of two
    ck_assert_uint_eq(ack(&fixture, 1, 2, 1, 1), 1);
    ck_assert_uint_eq(ack(&fixture, 1, 2, 3, 3), 0);
    passed(&fixture, 1, 10);
    ck_assert_uint_eq(ack(&fixture, 1, 2, 5, 5), 1);
}
END_TEST

START_TEST(up_to_follows_the_order_of_handing_out)
{
    join(&fixture, 1, 5);
    offer(&fixture, 2, 10, 5);
    group_does(&fixture);
    offer(&fixture, 1, 1, 10);
    offer(&fixture, 2, 15, 5);
    ck_assert_uint_eq(ack(&fixture, 1, 2, 12, 14), 3);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-3");
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 2), 4); // 10 and 11 of 2, 1 and 2 of 1
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 2), 0);
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 4), 0); // waits
    ck_assert_uint_eq(ack_up_to(&fixture, 2, 1, 3), 0); // nobody
    ck_assert_str_eq(group_does(&fixture), "1<1.4-7");
    ck_assert_uint_eq(group_counts(fixture.group).in_flight, 5);
}
END_TEST

START_TEST(up_to_leaves_alone_what_others_have)
{
    join(&fixture, 1, 5);
    offer(&fixture, 1, 1, 5);
    group_does(&fixture);
    join(&fixture, 2, 5);
    offer(&fixture, 1, 6, 5);
    ck_assert_str_eq(group_does(&fixture), "2<1.6-10");
    ck_assert_uint_eq(ack_up_to(&fixture, 2, 1, 5), 0);
    ck_assert_uint_eq(ack_up_to(&fixture, 2, 1, 9), 4);
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 5), 5);
}
END_TEST

START_TEST(up_to_counts_from_when_it_was_handed_out_last)
{
    join(&fixture, 1, 5);
    offer(&fixture, 1, 1, 3);
    group_does(&fixture);
    nack(&fixture, 1, 1, 1, 1, 0, "");
    ck_assert_str_eq(group_does(&fixture), "1<1.1#2");
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 3), 2);
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 1), 1);
}
END_TEST

// The client may have said it before it saw that events came again, and means the first delivery.
START_TEST(up_to_what_came_again_counts_for_nothing_else)
{
    join(&fixture, 1, 5);
    offer(&fixture, 1, 1, 3);
    group_does(&fixture);
    nack(&fixture, 1, 1, 1, 1, 0, "");
    nack(&fixture, 1, 1, 3, 3, 0, "");
    ck_assert_str_eq(group_does(&fixture), "1<1.1#2 1<1.3#2");
    ck_assert_uint_eq(ack_up_to(&fixture, 1, 1, 3), 1);
    ck_assert_uint_eq(group_counts(fixture.group).in_flight, 2);
}
END_TEST

// --- Comes again -------------------------------------------------------------------------------

START_TEST(silence_ends_it)
{
    join(&fixture, 1, 3);
    offer(&fixture, 1, 1, 3);
    group_does(&fixture);
    wait_ms(&fixture, 10000);
    ack(&fixture, 1, 1, 2, 2);
    offer(&fixture, 1, 4, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.4");
    ck_assert_int_eq(group_due_ms(&fixture), 20000);
    wait_ms(&fixture, 19999);
    ck_assert_str_eq(group_does(&fixture), "");
    wait_ms(&fixture, 1);
    ck_assert_str_eq(group_does(&fixture), "1<1.1#2 1<1.3#2");
    ck_assert_int_eq(group_due_ms(&fixture), 10000);
    ck_assert_uint_eq(group_counts(fixture.group).redelivered, 2);
}
END_TEST

START_TEST(a_late_acknowledgement_counts)
{
    join(&fixture, 1, 3);
    offer(&fixture, 1, 1, 3);
    passed(&fixture, 1, 3);
    group_does(&fixture);
    join(&fixture, 2, 1);
    wait_ms(&fixture, 30000);
    ck_assert_str_eq(group_does(&fixture), "1<1.1#2 2<1.2#2 1<1.3#2");
    ck_assert_uint_eq(ack(&fixture, 1, 1, 1, 3), 3);
    ck_assert_str_eq(group_is_done(&fixture), "1.3");
    ck_assert_int_eq(group_due_ms(&fixture), 1000000000);
}
END_TEST

START_TEST(what_a_consumer_had_goes_to_others)
{
    join(&fixture, 1, 5);
    offer(&fixture, 1, 1, 5);
    group_does(&fixture);
    join(&fixture, 2, 2);
    offer(&fixture, 1, 6, 3);
    ck_assert_str_eq(group_does(&fixture), "2<1.6-7");
    ack(&fixture, 1, 1, 2, 3);
    group_leave(fixture.group, 1, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_uint_eq(group_counts(fixture.group).again, 3);
    ack_up_to(&fixture, 2, 1, 7);
    ck_assert_str_eq(group_does(&fixture), "2<1.1#2 2<1.4#2");
    ack(&fixture, 2, 1, 1, 4);
    ck_assert_str_eq(group_does(&fixture), "2<1.5#2 2<1.8"); // first what was handed out before
}
END_TEST

START_TEST(refused_it_comes_after_the_delay)
{
    join(&fixture, 1, 20);
    offer(&fixture, 1, 1, 10);
    group_does(&fixture);
    ck_assert(nack(&fixture, 1, 1, 3, 6, 2000, "busy"));
    ck_assert(!nack(&fixture, 1, 1, 3, 6, 0, "busy"));
    ck_assert(!nack(&fixture, 2, 1, 1, 1, 0, "not mine"));
    ck_assert(nack(&fixture, 1, 1, 6, 7, 1000, "other"));
    offer(&fixture, 1, 11, 2);
    ck_assert_str_eq(group_does(&fixture), "1<1.11-12");
    ck_assert_int_eq(group_due_ms(&fixture), 1000);
    wait_ms(&fixture, 1000);
    ck_assert_str_eq(group_does(&fixture), "1<1.7#2");
    ck_assert_uint_eq(ack(&fixture, 1, 1, 4, 4), 1); // waits
    wait_ms(&fixture, 1000);
    ck_assert_str_eq(group_does(&fixture), "1<1.3#2 1<1.5-6#2");
}
END_TEST

// --- Parked ------------------------------------------------------------------------------------

START_TEST(after_the_last_attempt_it_is_parked)
{
    char words[GROUP_REASON_BYTES_MAX + 2] = {0};
    memset(words, 'x', GROUP_REASON_BYTES_MAX + 1);
    join(&fixture, 1, 10);
    offer(&fixture, 1, 1, 2);
    passed(&fixture, 1, 2);
    group_does(&fixture);
    nack(&fixture, 1, 1, 1, 2, 0, "first");
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2#2");
    nack(&fixture, 1, 1, 1, 2, 0, "second");
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2#3");
    nack(&fixture, 1, 1, 1, 1, 5000, words);
    words[GROUP_REASON_BYTES_MAX] = '\0';
    char expected[sizeof words + 16];
    snprintf(expected, sizeof expected, "park:1.1#3(%s)", words);
    ck_assert_str_eq(group_does(&fixture), expected); // at once
    ck_assert_str_eq(group_is_done(&fixture), "");
    group_parked(fixture.group, (struct event_id){.actor = 1, .counter = 1}, true, fixture.now);
    ck_assert_str_eq(group_is_done(&fixture), "1.1");
    ck_assert_uint_eq(group_counts(fixture.group).parked, 1);
    wait_ms(&fixture, 30000);
    ck_assert_str_eq(group_does(&fixture), "park:1.2#3(it was not acknowledged in time)");
    ck_assert_uint_eq(group_counts(fixture.group).again, 1);
    ck_assert_uint_eq(ack(&fixture, 1, 1, 2, 2), 1); // it was done after all
    group_parked(fixture.group, (struct event_id){.actor = 1, .counter = 2}, true, fixture.now);
    ck_assert_uint_eq(group_counts(fixture.group).parked, 1);
}
END_TEST

START_TEST(parking_is_tried_again)
{
    struct event_id event = {.actor = 1, .counter = 1};
    offer(&fixture, 1, 1, 2);
    for (consumer_id id = 1; id <= 3; id++) {
        join(&fixture, id, 10);
        group_does(&fixture);
        group_leave(fixture.group, id, fixture.now);
    }
    ck_assert_str_eq(group_does(&fixture), "park:1.1#3(its consumer has gone) "
                                           "park:1.2#3(its consumer has gone)");
    group_parked(fixture.group, event, false, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_int_eq(group_due_ms(&fixture), 1000);
    wait_ms(&fixture, 1000);
    ck_assert_str_eq(group_does(&fixture), "park:1.1#3(its consumer has gone)");
    group_parked(fixture.group, event, true, fixture.now);
    ck_assert_str_eq(group_is_done(&fixture), "1.1");
}
END_TEST

START_TEST(few_are_parked_at_a_time)
{
    offer(&fixture, 1, 1, 64);
    for (consumer_id id = 1; id <= 3; id++) {
        join(&fixture, id, 100);
        group_does(&fixture);
        group_leave(fixture.group, id, fixture.now);
    }
    struct group_action action;
    unsigned count = 0;
    while (group_next_action(fixture.group, fixture.now, &action)) {
        ck_assert_int_eq(action.kind, GROUP_PARK);
        ck_assert_uint_eq(action.run.first, ++count);
    }
    ck_assert_uint_eq(count, 16);
    ck_assert_int_eq(group_due_ms(&fixture), -1);
    struct event_id event = {.actor = 1, .counter = 7};
    group_parked(fixture.group, event, true, fixture.now);
    ck_assert_str_eq(group_does(&fixture), "park:1.17#3(its consumer has gone)");
}
END_TEST

START_TEST(what_did_not_reach_the_client_was_no_attempt)
{
    const struct done_range range = {.actor = 1, .first = 2, .last = 9};
    fixture.definition.attempts = 2;
    group_begin(&fixture, "");
    join(&fixture, 1, 4);
    offer(&fixture, 1, 1, 6);
    passed(&fixture, 1, 6);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-4");
    nack(&fixture, 1, 1, 3, 3, 0, "why");
    ck_assert_str_eq(group_does(&fixture), "1<1.3#2");
    group_give_back(fixture.group, 2, &range, 0, duration_ms(0), fixture.now); // nobody
    ck_assert_str_eq(group_does(&fixture), "");
    group_give_back(fixture.group, 1, &range, 0, duration_ms(0), fixture.now);
    group_leave(fixture.group, 1, fixture.now);
    join(&fixture, 2, 5);
    ck_assert_str_eq(group_does(&fixture), "2<1.1#2 2<1.2 2<1.3#2 2<1.4 2<1.5");
    nack(&fixture, 2, 1, 1, 5, 0, "no");
    ck_assert_str_eq(group_does(&fixture),
                     "park:1.1#2(no) park:1.3#2(no) 2<1.2#2 2<1.4#2 2<1.5#2 2<1.6");
}
END_TEST

// Its delivery failed late: meanwhile it is in flight once more.
START_TEST(what_is_given_back_of_an_earlier_attempt_stays_in_flight)
{
    const struct done_range range = {.actor = 1, .first = 1, .last = 2};
    group_begin(&fixture, "");
    join(&fixture, 1, 4);
    offer(&fixture, 1, 1, 2);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2");
    nack(&fixture, 1, 1, 1, 2, 0, "");
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2#2");
    group_give_back(fixture.group, 1, &range, 1, duration_ms(0), fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    group_give_back(fixture.group, 1, &range, 2, duration_ms(0), fixture.now);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2#2");
}
END_TEST

START_TEST(what_is_given_back_with_a_delay_comes_after_it)
{
    const struct done_range range = {.actor = 1, .first = 1, .last = 2};
    group_begin(&fixture, "");
    join(&fixture, 1, 4);
    offer(&fixture, 1, 1, 2);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2");
    group_give_back(fixture.group, 1, &range, 0, duration_ms(500), fixture.now);
    ck_assert_str_eq(group_does(&fixture), "");
    ck_assert_int_eq(group_due_ms(&fixture), 500);
    wait_ms(&fixture, 500);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-2");
}
END_TEST

START_TEST(what_is_given_back_comes_after_what_is_delayed_of_its_key)
{
    const struct done_range range = {.actor = 1, .first = 2, .last = 2};
    fixture.definition.key = GROUP_KEY_NAMESPACE;
    group_begin(&fixture, "");
    join(&fixture, 1, 4);
    offer_key(&fixture, 1, 1, 3, 7);
    ck_assert_str_eq(group_does(&fixture), "1<1.1-3");
    group_give_back(fixture.group, 1, &range, 0, duration_ms(0), fixture.now);
    nack(&fixture, 1, 1, 1, 1, 500, "");
    ck_assert_str_eq(group_does(&fixture), "");
    wait_ms(&fixture, 500);
    ck_assert_str_eq(group_does(&fixture), "1<1.1#2 1<1.2");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_acknowledged_event_is_done,
        what_another_handed_out_counts,
        what_the_reader_has_not_brought_is_passed_over_later,
        what_is_remembered_above_the_reader_is_bounded,
        up_to_follows_the_order_of_handing_out,
        up_to_leaves_alone_what_others_have,
        up_to_counts_from_when_it_was_handed_out_last,
        up_to_what_came_again_counts_for_nothing_else,
        silence_ends_it,
        a_late_acknowledgement_counts,
        what_a_consumer_had_goes_to_others,
        refused_it_comes_after_the_delay,
        after_the_last_attempt_it_is_parked,
        parking_is_tried_again,
        few_are_parked_at_a_time,
        what_did_not_reach_the_client_was_no_attempt,
        what_is_given_back_of_an_earlier_attempt_stays_in_flight,
        what_is_given_back_with_a_delay_comes_after_it,
        what_is_given_back_comes_after_what_is_delayed_of_its_key,
    };
    Suite *suite = suite_create("group acks");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        suite_add_story(suite, tests[i], setup, teardown);
    }
    return check_main(suite);
}
