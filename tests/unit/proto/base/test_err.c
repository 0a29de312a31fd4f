// Every code has a name and a text; reasons are safe to print.

#include "proto/base/err.h"

#include <string.h>

#include "tests/unit/check_main.h"

START_TEST(every_code_has_its_own_name_and_text)
{
    for (int code = 0; code > -ERR_COUNT; code--) {
        ck_assert_ptr_nonnull(err_name(code));
        ck_assert_ptr_nonnull(err_text(code));
        ck_assert_str_ne(err_name(code), "unknown code");
        for (int other = 0; other > code; other--) {
            ck_assert_str_ne(err_name(code), err_name(other));
            ck_assert_str_ne(err_text(code), err_text(other));
        }
    }
    ck_assert_str_eq(err_name(ERR_CORRUPT), "corrupt");
    ck_assert_str_eq(err_name(ERR_UNSUPPORTED), "unsupported");
}
END_TEST

START_TEST(numbers_that_are_no_code_are_said_to_be_unknown)
{
    ck_assert_str_eq(err_name(1), "unknown code");
    ck_assert_str_eq(err_name(-ERR_COUNT), "unknown code");
    ck_assert_str_eq(err_name(INT32_MIN), "unknown code");
    ck_assert_ptr_nonnull(err_text(INT32_MIN));
}
END_TEST

START_TEST(reason_holds_the_text_and_returns_the_code)
{
    struct reason reason = {0};
    ck_assert_int_eq(reason_set(&reason, ERR_LIMIT, "%d is more than %s", 5, "four"), ERR_LIMIT);
    ck_assert_str_eq(reason.text, "5 is more than four");
    reason_clear(&reason);
    ck_assert_str_eq(reason.text, "");
    ck_assert_int_eq(reason_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
}
END_TEST

START_TEST(reason_has_no_control_characters_and_is_utf8)
{
    struct reason reason;
    (void)reason_set(&reason, ERR_INVALID, "%s", "a\nb\x1b[0m\x7f");
    ck_assert_str_eq(reason.text, "a?b?[0m?");
    (void)reason_set(&reason, ERR_INVALID, "%s", "\xc3\xa9\xff\xc2\x85 \xe2\x82\xac\xed\xa0\x80");
    ck_assert_str_eq(reason.text, "\xc3\xa9??? \xe2\x82\xac???");
}
END_TEST

START_TEST(reason_is_cut_and_stays_utf8)
{
    char text[400];
    memset(text, 'x', sizeof text);
    text[399] = '\0';
    memcpy(text + REASON_LENGTH_MAX - 1, "\xc3\xa9", 2);
    struct reason reason;
    (void)reason_set(&reason, ERR_INVALID, "%s", text);
    ck_assert_uint_eq(strlen(reason.text), REASON_LENGTH_MAX);
    ck_assert_int_eq(reason.text[REASON_LENGTH_MAX - 1], '?');
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    suite_add(suite, every_code_has_its_own_name_and_text);
    suite_add(suite, numbers_that_are_no_code_are_said_to_be_unknown);
    suite_add(suite, reason_holds_the_text_and_returns_the_code);
    suite_add(suite, reason_has_no_control_characters_and_is_utf8);
    suite_add(suite, reason_is_cut_and_stays_utf8);
    return check_main(suite);
}
