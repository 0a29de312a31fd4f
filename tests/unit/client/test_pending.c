// Pending requests are found by id in any order, and backed-off waits grow within their bounds.

#include "client/backoff.h"
#include "client/pending.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"

START_TEST(answers_in_any_order_are_found_once)
{
    struct random random;
    random_init(&random, test_seed());
    struct pending pending = {0};
    uint64_t open[500];
    size_t count = 0;
    uint64_t next = 1;
    for (unsigned round = 0; round < test_rounds(100000); round++) {
        if (count < 500 && random_below(&random, 2)) {
            struct pending_request request = {.id = next, .tag = next * 3};
            ck_assert_int_eq(pending_add(&pending, &request), 0);
            open[count++] = next;
            next += 1 + random_below(&random, 3);
        } else if (count > 0) {
            size_t which = random_below(&random, count);
            struct pending_request *found = pending_find(&pending, open[which]);
            ck_assert_ptr_nonnull(found);
            ck_assert_uint_eq(found->tag, open[which] * 3);
            pending_answer(&pending, found);
            ck_assert_ptr_null(pending_find(&pending, open[which]));
            memmove(open + which, open + which + 1, (--count - which) * sizeof open[0]);
        }
        ck_assert(count > 0 || pending.count == 0);
        ck_assert(count == 0 || pending_first(&pending)->id == open[0]);
    }
    ck_assert_ptr_null(pending_find(&pending, next));
    pending_deinit(&pending);
}
END_TEST

START_TEST(waits_double_up_to_five_seconds_with_jitter)
{
    struct backoff backoff;
    backoff_init(&backoff, test_seed());
    for (int round = 0; round < 2; round++) {
        int64_t full_ms = 50;
        for (int i = 0; i < 20; i++) {
            int64_t wait_ns = backoff_next(&backoff).ns;
            ck_assert_int_ge(wait_ns, full_ms / 2 * 1000000);
            ck_assert_int_le(wait_ns, full_ms * 1000000);
            full_ms = 2 * full_ms < 5000 ? 2 * full_ms : 5000;
        }
        backoff_reset(&backoff);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/pending");
    suite_add(suite, answers_in_any_order_are_found_once);
    suite_add(suite, waits_double_up_to_five_seconds_with_jitter);
    return check_main(suite);
}
