// Timers against a plain array: the earliest comes first, whatever was set, moved and cleared.

#include "proto/base/random.h"
#include "server/node/timer.h"
#include "tests/unit/check_main.h"

enum { TIMERS = 50 };

static void ignore(struct timer *timer)
{
}

static struct instant earliest(const struct timer *all)
{
    struct instant at = INSTANT_NEVER;
    for (unsigned i = 0; i < TIMERS; i++) {
        at = timer_is_set(&all[i]) ? instant_earlier(at, all[i].at) : at;
    }
    return at;
}

START_TEST(earliest_comes_first)
{
    struct timers timers = {0};
    struct timer all[TIMERS] = {0};
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < 5000; round++) {
        struct timer *timer = &all[random_below(&random, TIMERS)];
        struct instant now = {.ns = (int64_t)random_below(&random, 1000)};
        struct timer *expired;
        timer->expired = ignore;
        switch (random_below(&random, 4)) {
        case 0:
            timer_clear(&timers, timer);
            ck_assert(!timer_is_set(timer));
            break;
        case 1:
            now.ns /= 8;
            while ((expired = timers_take_expired(&timers, now)) != NULL) {
                ck_assert(!timer_is_set(expired));
                ck_assert_int_le(expired->at.ns, now.ns);
            }
            ck_assert_int_gt(timers_next(&timers).ns, now.ns);
            break;
        default:
            ck_assert_int_eq(timer_set(&timers, timer, now), 0);
            ck_assert(timer_is_set(timer));
            break;
        }
        ck_assert_int_eq(timers_next(&timers).ns, earliest(all).ns);
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        timer_clear(&timers, &all[i]);
    }
    ck_assert_int_eq(timers_next(&timers).ns, INSTANT_NEVER.ns);
    timers_deinit(&timers);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/timer");
    suite_add(suite, earliest_comes_first);
    return check_main(suite);
}
