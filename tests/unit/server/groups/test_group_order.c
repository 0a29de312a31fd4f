// In which order a group's events go out, and where it goes on after it was let go.

#include "storage/store_state.h"
#include "tests/unit/server/groups/groups_fixture.h"

static struct cluster_fixture fixture;

static void open_group_with(enum group_key_kind key)
{
    struct subscription_definition definition;
    definition_begin(&definition);
    definition.key = key;
    groups_open(&fixture);
    create(&fixture, &definition);
}

static void open_group(void)
{
    open_group_with(GROUP_KEY_NONE);
}

START_TEST(what_the_reader_has_brought_waits_behind_what_is_read_again)
{
    struct taker taker;
    open_group();
    produce(&fixture, 6);
    taker_attach(&fixture, &taker, 3);
    ck_assert_uint_eq(taker.count, 3);
    taker_nack(&taker, 0, 0, "no");
    ck_assert_uint_eq(taker_ack(&taker, 1, 1), 1); // there is room for another while it is read
    cluster_pass_ms(&fixture, 10);
    ck_assert_uint_eq(taker.count, 5);
    ck_assert_uint_eq(taker.events[3].id.counter, taker.events[0].id.counter);
    ck_assert_uint_eq(taker.events[3].attempt, 2);
    ck_assert_uint_eq(taker.events[4].id.counter, taker.events[2].id.counter + 1);
    ck_assert_uint_eq(taker.events[4].attempt, 1);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(nothing_of_a_key_overtakes_what_cannot_be_read)
{
    struct taker taker;
    open_group_with(GROUP_KEY_NAMESPACE);
    produce(&fixture, 3);
    produce(&fixture, 3); // in a chunk of their own
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 6);
    rot(&fixture, taker.events[0].id);
    taker_nack(&taker, 1, 0, "no");
    taker_nack(&taker, 4, 0, "no");
    cluster_pass_ms(&fixture, 3500);
    ck_assert_uint_eq(taker.count, 6);
    rot(&fixture, taker.events[0].id);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_eq(taker.count, 8);
    ck_assert_uint_eq(taker.events[6].id.counter, taker.events[1].id.counter);
    ck_assert_uint_eq(taker.events[6].attempt, 2);
    ck_assert_uint_eq(taker.events[7].id.counter, taker.events[4].id.counter);
    ck_assert_uint_eq(taker.events[7].attempt, 2);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(nothing_of_a_key_overtakes_what_found_no_memory)
{
    struct taker taker;
    open_group_with(GROUP_KEY_NAMESPACE);
    taker_attach(&fixture, &taker, 100);
    taker.refuses = 1;
    produce(&fixture, 3);
    ck_assert_uint_eq(taker.refuses, 0);
    produce(&fixture, 3);
    ck_assert_uint_eq(taker.count, 0);
    ck_assert(taker.is_ended);
    taker_deinit(&taker);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 0);
    cluster_pass_ms(&fixture, 1500);
    ck_assert_uint_eq(taker.count, 6);
    for (uint32_t i = 0; i < taker.count; i++) {
        ck_assert_uint_eq(taker.events[i].attempt, 1);
        ck_assert(i == 0 || taker.events[i].id.counter > taker.events[i - 1].id.counter);
    }
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(what_does_not_go_out_costs_no_credit)
{
    enum { CREDIT = 600, ROUNDS = 60 };
    struct taker taker;
    open_group();
    produce(&fixture, 3);
    taker_attach_with(&fixture, GROUP_NAME, &taker, 100, CREDIT);
    ck_assert_uint_eq(taker.count, 3);
    rot(&fixture, taker.events[0].id);
    taker_nack(&taker, 1, 0, "no");
    cluster_pass_ms(&fixture, ROUNDS * 1000);
    ck_assert_uint_eq(taker.count, 3);
    rot(&fixture, taker.events[0].id);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_gt(taker.count, 3);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

// What was joined when it was brought, and is read again: the chunk that cannot be read holds back
// its own events alone.
START_TEST(of_what_was_joined_all_but_the_unreadable_comes_again)
{
    enum { CHUNKS = 11, ROTTEN = 7 };
    struct taker taker;
    open_group();
    for (int i = 0; i < CHUNKS; i++) {
        produce(&fixture, 1);
    }
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, CHUNKS);
    const struct event_id rotten = taker.events[ROTTEN].id;
    rot(&fixture, rotten);
    taker_detach(&taker);
    taker_deinit(&taker);
    taker_attach(&fixture, &taker, 100);
    cluster_pass_ms(&fixture, 6000);
    ck_assert_uint_eq(taker.count, CHUNKS - 1);
    for (uint32_t i = 0; i < taker.count; i++) {
        ck_assert_uint_eq(taker.events[i].attempt, 2);
        ck_assert_uint_ne(taker.events[i].id.counter, rotten.counter);
    }
    rot(&fixture, rotten);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_eq(taker.count, CHUNKS);
    ck_assert_uint_eq(taker.events[CHUNKS - 1].id.counter, rotten.counter);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(each_event_costs_what_it_takes)
{
    enum { CREDIT = 4000, BIG = 9000 };
    struct taker taker;
    open_group();
    for (uint32_t i = 0; i < 5; i++) { // all of them joined
        cluster_produce(&fixture, 0, 1, i == 3 ? BIG : 10);
        cluster_settle(&fixture);
    }
    taker_attach_with(&fixture, GROUP_NAME, &taker, 1, CREDIT);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(taker.count, i + 1);
        ck_assert_uint_eq(taker_ack(&taker, i, 1), 1);
        cluster_settle(&fixture);
    }
    ck_assert_uint_eq(taker.count, 4); // overdrawn
    groups_credit(taker.attachment, BIG - CREDIT);
    cluster_settle(&fixture);
    ck_assert_uint_eq(taker.count, 4);
    groups_credit(taker.attachment, 500);
    cluster_settle(&fixture);
    ck_assert_uint_eq(taker.count, 5);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(nothing_read_again_overtakes_what_found_no_memory)
{
    struct taker taker;
    open_group_with(GROUP_KEY_NAMESPACE);
    produce(&fixture, 6);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 6);
    const uint64_t first = taker.events[0].id.counter;
    taker_nack(&taker, 1, 0, "no");
    taker_nack(&taker, 4, 0, "no");
    taker.refuses = 1;
    cluster_pass_ms(&fixture, 10);
    ck_assert(taker.is_ended);
    taker_deinit(&taker);
    taker_attach(&fixture, &taker, 100);
    cluster_pass_ms(&fixture, 2500);
    ck_assert_uint_eq(taker.count, 6);
    uint32_t place[6] = {0};
    for (uint32_t i = 0; i < 6; i++) {
        place[taker.events[i].id.counter - first] = i;
        ck_assert_uint_eq(taker.events[i].attempt, 2);
    }
    ck_assert_uint_lt(place[1], place[4]);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

START_TEST(a_group_goes_on_in_front_of_an_event_that_follows_a_gap)
{
    struct taker taker;
    open_group();
    produce(&fixture, 3);
    uint64_t before = held(&fixture);
    fixture.nodes[0].store->commit.clock += 1000;
    produce(&fixture, 3);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 6);
    ck_assert_uint_gt(taker.events[3].id.counter, before + 1);
    ck_assert_uint_eq(taker_ack(&taker, 0, 3), 3);
    taker_detach(&taker);
    cluster_pass_ms(&fixture, 15000);
    taker_deinit(&taker);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 3);
    taker_deinit(&taker);
    groups_close(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group_order");
    suite_add(suite, what_the_reader_has_brought_waits_behind_what_is_read_again);
    suite_add(suite, nothing_of_a_key_overtakes_what_cannot_be_read);
    suite_add(suite, nothing_of_a_key_overtakes_what_found_no_memory);
    suite_add(suite, what_does_not_go_out_costs_no_credit);
    suite_add(suite, of_what_was_joined_all_but_the_unreadable_comes_again);
    suite_add(suite, each_event_costs_what_it_takes);
    suite_add(suite, nothing_read_again_overtakes_what_found_no_memory);
    suite_add(suite, a_group_goes_on_in_front_of_an_event_that_follows_a_gap);
    return check_main(suite);
}
