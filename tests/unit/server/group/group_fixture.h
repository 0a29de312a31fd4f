// A group and its driver, for tests that tell a story: what was asked of it comes out as text.
#pragma once

#include "server/group/group.h"
#include "tests/unit/check_main.h"

struct group_fixture {
    struct subscription_definition definition; // change it before group_begin
    struct group *group;
    struct instant now;
    struct buffer text; // of the last group_does
};

// No key, no parking, silence after 30 s, no checkpoint before a long time.
void group_fixture_init(struct group_fixture *fixture);
void group_fixture_deinit(struct group_fixture *fixture);

// Nothing is done, or what `done` says: ranges "1.5-9 2.1-3". Again: in place of the one before.
void group_begin(struct group_fixture *fixture, const char *done);
void position_of(const char *ranges, struct position *position);

void offer(struct group_fixture *fixture, uint16_t actor, uint64_t first, uint32_t count);
void offer_key(struct group_fixture *fixture, uint16_t actor, uint64_t first, uint32_t count,
               uint64_t key);
void passed(struct group_fixture *fixture, uint16_t actor, uint64_t counter);
void join(struct group_fixture *fixture, consumer_id id, uint32_t in_flight_max); // much credit
void wait_ms(struct group_fixture *fixture, int64_t ms);

// How many were counted; 0: NOT_IN_FLIGHT.
uint64_t ack(struct group_fixture *fixture, consumer_id id, uint16_t actor, uint64_t first,
             uint64_t last);
uint64_t ack_up_to(struct group_fixture *fixture, consumer_id id, uint16_t actor, uint64_t counter);
bool nack(struct group_fixture *fixture, consumer_id id, uint16_t actor, uint64_t first,
          uint64_t last, int64_t delay_ms, const char *reason);

// All that is to be done now, joined by spaces: "7<1.5-9" (consumer 7 gets these of actor 1), with
// "#2" behind it the second time; "park:1.5#3(why)"; "checkpoint".
const char *group_does(struct group_fixture *fixture);

// What is done: "1.4 2.3 1.6-9", the vector, then the ranges.
const char *group_is_done(struct group_fixture *fixture);

// When something is due, in milliseconds from now; -1: never.
int64_t group_due_ms(const struct group_fixture *fixture);

static inline void suite_add_story(Suite *suite, const TTest *test, void (*setup)(void),
                                   void (*teardown)(void))
{
    TCase *test_case = tcase_create(test->name);
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_set_timeout(test_case, 60);
    tcase_add_test(test_case, test);
    suite_add_tcase(suite, test_case);
}
