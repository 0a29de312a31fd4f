// Typed values: what is meant is read, what is almost that is refused.

#include "client-cli/parse.h"
#include "tests/unit/check_main.h"

START_TEST(numbers_are_plain_and_bounded)
{
    uint64_t number = 0;
    ck_assert(parse_number("0", 0, 10, &number) && number == 0);
    ck_assert(parse_number("007", 0, 10, &number) && number == 7);
    ck_assert(parse_number("18446744073709551615", 0, UINT64_MAX, &number));
    ck_assert_uint_eq(number, UINT64_MAX);
    static const char *const wrong[] = {
        "", "-1", "+1", " 1", "1 ", "1x", "0x", "1.0", "1e3", "11", "18446744073709551616"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!parse_number(wrong[i], 0, 10, &number), "%s", wrong[i]);
    }
}
END_TEST

START_TEST(durations_are_sums_of_units)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } right[] = {{"10m", 600000}, {"1h30m", 5400000}, {"500ms", 500},
                 {"0s", 0},       {"2d", 172800000},  {"1w1ms", 604800001}};
    uint64_t ms;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        ck_assert_msg(parse_duration_ms(right[i].text, &ms), "%s", right[i].text);
        ck_assert_uint_eq(ms, right[i].ms);
    }
    static const char *const wrong[] = {"",
                                        "10",
                                        "m",
                                        "10x",
                                        "1h 30m",
                                        "-1h",
                                        "1.5h",
                                        "1hm",
                                        "99999999999999999999h",
                                        "30500568904944w"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!parse_duration_ms(wrong[i], &ms), "%s", wrong[i]);
    }
}
END_TEST

START_TEST(timestamps_are_rfc_3339)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } right[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-21T01:56:39Z", 1795226199000},
        {"2026-11-21T01:56:39.1Z", 1795226199100},
        {"2026-11-21t01:56:39.123456z", 1795226199123},
        {"2026-11-21 03:26:39+01:30", 1795226199000},
        {"2026-11-20T20:56:39-05:00", 1795226199000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    uint64_t ms;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        ck_assert_msg(parse_timestamp_ms(right[i].text, &ms), "%s", right[i].text);
        ck_assert_uint_eq(ms, right[i].ms);
    }
    static const char *const wrong[] = {
        "",
        "yesterday",
        "2026-11-21",
        "2026-11-21T01:56Z",
        "2026-11-21T01:56:39",
        "2026-11-21T01:56:39.Z",
        "2026-11-21T24:00:00Z",
        "2026-13-21T01:56:39Z",
        "2026-00-21T01:56:39Z",
        "2026-02-29T01:56:39Z",
        "2026-04-31T01:56:39Z",
        "2026-11-00T01:56:39Z",
        "2026-11-21T01:56:39+1:00",
        "2026-11-21T01:56:39Zz",
        "1969-12-31T23:59:59Z",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(!parse_timestamp_ms(wrong[i], &ms), "%s", wrong[i]);
    }
}
END_TEST

START_TEST(an_address_is_a_host_and_a_port)
{
    static const struct {
        const char *text;
        const char *host;
        const char *port;
    } good[] = {
        {"localhost:3001", "localhost", "3001"},
        {"10.0.0.1:65535", "10.0.0.1", "65535"},
        {"[::1]:1", "::1", "1"},
    };
    struct parse_address address;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert(parse_address(good[i].text, &address));
        ck_assert_str_eq(address.host, good[i].host);
        ck_assert_str_eq(address.port, good[i].port);
    }
    static const char *const bad[] = {"",      "localhost", ":3001",   "a:",   "a:0",
                                      "a:x",   "a:65536",   "::1",     "[]:1", "a:000001",
                                      "a:b:1", "[::1]",     "[::1]:x", "a:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!parse_address(bad[i], &address), "%s", bad[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/parse");
    suite_add(suite, numbers_are_plain_and_bounded);
    suite_add(suite, durations_are_sums_of_units);
    suite_add(suite, timestamps_are_rfc_3339);
    suite_add(suite, an_address_is_a_host_and_a_port);
    return check_main(suite);
}
