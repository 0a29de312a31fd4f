// A seed decides all numbers, on every machine.

#include "proto/base/random.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

START_TEST(is_xoshiro256_starstar_seeded_by_splitmix64)
{
    struct random random;
    random_init(&random, 0);
    ck_assert_uint_eq(random.state[0], 0xe220a8397b1dcdaf);
    ck_assert_uint_eq(random_u64(&random), 11091344671253066420u);
    ck_assert_uint_eq(random_u64(&random), 13793997310169335082u);
    ck_assert_uint_eq(random_u64(&random), 1900383378846508768u);
}
END_TEST

START_TEST(bytes_are_the_same_for_the_same_seed)
{
    struct random random;
    uint8_t out[11];
    random_init(&random, 0);
    random_bytes(&random, out, sizeof out);
    assert_bytes_are(bytes_of(out, sizeof out), "99ec5f36cb75f2b4 bf6e1f");
    random_bytes(&random, out, 0);
}
END_TEST

START_TEST(below_stays_below_and_reaches_everything)
{
    struct random random;
    random_init(&random, test_seed());
    unsigned seen[7] = {0};
    for (unsigned i = 0; i < 70000; i++) {
        uint64_t number = random_below(&random, 7);
        ck_assert_uint_lt(number, 7);
        seen[number]++;
    }
    for (unsigned i = 0; i < 7; i++) {
        ck_assert_uint_gt(seen[i], 9000);
        ck_assert_uint_lt(seen[i], 11000);
    }
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_uint_eq(random_below(&random, 1), 0);
        ck_assert_uint_lt(random_below(&random, UINT64_MAX), UINT64_MAX);
        uint64_t many = (uint64_t)3 << 62;
        ck_assert_uint_lt(random_below(&random, many), many);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random");
    suite_add(suite, is_xoshiro256_starstar_seeded_by_splitmix64);
    suite_add(suite, bytes_are_the_same_for_the_same_seed);
    suite_add(suite, below_stays_below_and_reaches_everything);
    return check_main(suite);
}
