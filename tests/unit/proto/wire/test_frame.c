// Frames are cut where their lengths say, and judged by them as early as possible.

#include "proto/wire/frame.h"

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

START_TEST(takes_frames_one_by_one)
{
    struct buffer bytes = {0};
    append_hex(&bytes, "00000002 9102 00000001 c0 00");
    struct bytes rest = buffer_bytes(&bytes);
    struct bytes message;
    size_t needed = 0;
    ck_assert_int_eq(frame_next(&rest, 100, &message, &needed), 0);
    assert_bytes_are(message, "9102");
    ck_assert_int_eq(frame_next(&rest, 100, &message, &needed), 0);
    assert_bytes_are(message, "c0");
    ck_assert_int_eq(frame_next(&rest, 100, &message, &needed), FRAME_INCOMPLETE);
    ck_assert_uint_eq(needed, FRAME_HEADER_LENGTH);
    ck_assert_uint_eq(rest.length, 1);
    buffer_deinit(&bytes);
}
END_TEST

START_TEST(says_how_much_an_incomplete_frame_needs)
{
    struct buffer whole = {0};
    append_hex(&whole, "00000003 010203");
    for (size_t length = 0; length < whole.length; length++) {
        struct bytes copy = exact_copy(bytes_of(whole.data, length));
        struct bytes rest = copy;
        struct bytes message;
        size_t needed = 0;
        ck_assert_int_eq(frame_next(&rest, 100, &message, &needed), FRAME_INCOMPLETE);
        ck_assert_uint_eq(needed, length < 4 ? 4 : 7);
        ck_assert_uint_eq(rest.length, length);
        exact_free(copy);
    }
    buffer_deinit(&whole);
}
END_TEST

START_TEST(refuses_a_length_above_the_ceiling_from_four_bytes_on)
{
    static const uint64_t CEILINGS[] = {1, 1000, FRAME_BYTES_MAX_BEFORE_HELLO, FRAME_BYTES_MAX};
    for (size_t i = 0; i < sizeof CEILINGS / sizeof CEILINGS[0]; i++) {
        uint8_t header[FRAME_HEADER_LENGTH];
        struct bytes message;
        size_t needed = 0;
        store_be32(header, (uint32_t)CEILINGS[i]);
        struct bytes rest = bytes_of(header, sizeof header);
        ck_assert_int_eq(frame_next(&rest, CEILINGS[i], &message, &needed), FRAME_INCOMPLETE);
        ck_assert_uint_eq(needed, FRAME_HEADER_LENGTH + CEILINGS[i]);
        store_be32(header, (uint32_t)CEILINGS[i] + 1);
        ck_assert_int_eq(frame_next(&rest, CEILINGS[i], &message, &needed), ERR_LIMIT);
        store_be32(header, UINT32_MAX);
        ck_assert_int_eq(frame_next(&rest, CEILINGS[i], &message, &needed), ERR_LIMIT);
    }
}
END_TEST

START_TEST(refuses_an_empty_frame)
{
    struct buffer bytes = {0};
    append_hex(&bytes, "00000000");
    struct bytes rest = buffer_bytes(&bytes);
    struct bytes message;
    size_t needed = 0;
    ck_assert_int_eq(frame_next(&rest, 100, &message, &needed), ERR_INVALID);
    buffer_deinit(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    suite_add(suite, takes_frames_one_by_one);
    suite_add(suite, says_how_much_an_incomplete_frame_needs);
    suite_add(suite, refuses_a_length_above_the_ceiling_from_four_bytes_on);
    suite_add(suite, refuses_an_empty_frame);
    return check_main(suite);
}
