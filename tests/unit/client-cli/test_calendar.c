// The calendar agrees with the C library's, and goes there and back.

#include "client-cli/calendar.h"
#include "client-cli/parse.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"

static void check(uint64_t ms)
{
    char text[TIMESTAMP_TEXT_LENGTH + 1];
    char expected[32];
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    timestamp_format(ms, text);
    ck_assert_ptr_nonnull(gmtime_r(&seconds, &parts));
    size_t length = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &parts);
    ck_assert_int_eq(strncmp(text, expected, length), 0);
    ck_assert_uint_eq(length, 19);
    uint64_t back;
    ck_assert(parse_timestamp_ms(text, &back));
    ck_assert_uint_eq(back, ms);
}

START_TEST(agrees_with_the_c_library)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned i = 0; i < test_rounds(100000); i++) {
        check(random_below(&random, 253402300800000));
    }
    for (uint64_t day = 0; day < 366 * 60; day++) {
        check(day * 86400000);
        check(day * 86400000 + 86399999);
    }
}
END_TEST

START_TEST(times_beyond_the_year_9999_are_its_end)
{
    char text[TIMESTAMP_TEXT_LENGTH + 1];
    timestamp_format(UINT64_MAX, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/calendar");
    suite_add(suite, agrees_with_the_c_library);
    suite_add(suite, times_beyond_the_year_9999_are_its_end);
    return check_main(suite);
}
