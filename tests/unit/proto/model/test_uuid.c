// Uuids are written in one form and read in either case; whatever else is text is none.

#include "proto/model/uuid.h"

#include "tests/unit/check_main.h"

static const struct uuid SAMPLE = {{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc,
                                    0xba, 0x98, 0x76, 0x54, 0x32, 0x10}};
#define SAMPLE_TEXT "01234567-89ab-cdef-fedc-ba9876543210"

START_TEST(the_text_is_the_usual_one)
{
    char text[UUID_TEXT_LENGTH + 1];
    uuid_format(&SAMPLE, text);
    ck_assert_str_eq(text, SAMPLE_TEXT);
}
END_TEST

START_TEST(text_is_read_in_either_case)
{
    struct uuid uuid;
    ck_assert_int_eq(uuid_parse(SAMPLE_TEXT, &uuid), 0);
    ck_assert(uuid_equal(&uuid, &SAMPLE));
    uuid = (struct uuid){0};
    ck_assert_int_eq(uuid_parse("01234567-89AB-CDEF-FEDC-BA9876543210", &uuid), 0);
    ck_assert(uuid_equal(&uuid, &SAMPLE));
}
END_TEST

START_TEST(every_changed_character_is_another_uuid_or_none)
{
    for (size_t at = 0; at < UUID_TEXT_LENGTH; at++) {
        for (int character = 1; character < 256; character++) {
            char text[] = SAMPLE_TEXT;
            if (text[at] == (char)character) {
                continue;
            }
            text[at] = (char)character;
            struct uuid uuid = {{0xee}};
            int err = uuid_parse(text, &uuid);
            bool is_digit = strchr("0123456789abcdefABCDEF", character) && SAMPLE_TEXT[at] != '-';
            ck_assert_int_eq(err, is_digit ? 0 : ERR_INVALID);
            ck_assert(err == 0 || uuid.bytes[0] == 0xee);
        }
    }
}
END_TEST

START_TEST(other_lengths_are_none)
{
    struct uuid uuid;
    ck_assert_int_eq(uuid_parse("", &uuid), ERR_INVALID);
    ck_assert_int_eq(uuid_parse(SAMPLE_TEXT "0", &uuid), ERR_INVALID);
    for (size_t length = 0; length < UUID_TEXT_LENGTH; length++) {
        char text[] = SAMPLE_TEXT;
        text[length] = '\0';
        ck_assert_int_eq(uuid_parse(text, &uuid), ERR_INVALID);
    }
}
END_TEST

START_TEST(order_is_by_bytes)
{
    struct uuid zero = {0};
    struct uuid higher = SAMPLE;
    higher.bytes[15]++;
    ck_assert(uuid_is_zero(&zero));
    ck_assert(!uuid_is_zero(&SAMPLE));
    ck_assert_int_lt(uuid_compare(&zero, &SAMPLE), 0);
    ck_assert_int_lt(uuid_compare(&SAMPLE, &higher), 0);
    ck_assert_int_gt(uuid_compare(&higher, &SAMPLE), 0);
    ck_assert_int_eq(uuid_compare(&SAMPLE, &SAMPLE), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("uuid");
    suite_add(suite, the_text_is_the_usual_one);
    suite_add(suite, text_is_read_in_either_case);
    suite_add(suite, every_changed_character_is_another_uuid_or_none);
    suite_add(suite, other_lengths_are_none);
    suite_add(suite, order_is_by_bytes);
    return check_main(suite);
}
