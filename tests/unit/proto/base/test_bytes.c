// Views compare by their bytes, buffers keep what they hold, numbers are big-endian.

#include "proto/base/bytes.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

START_TEST(compares_by_bytes_with_a_prefix_first)
{
    ck_assert_int_lt(bytes_compare(bytes_of_text("a"), bytes_of_text("b")), 0);
    ck_assert_int_lt(bytes_compare(bytes_of_text("a"), bytes_of_text("aa")), 0);
    ck_assert_int_gt(bytes_compare(bytes_of_text("\xff"), bytes_of_text("a")), 0);
    ck_assert_int_eq(bytes_compare(bytes_of_text("abc"), bytes_of_text("abc")), 0);
    ck_assert_int_lt(bytes_compare(bytes_of(NULL, 0), bytes_of_text("a")), 0);
    ck_assert_int_eq(bytes_compare(bytes_of(NULL, 0), bytes_of(NULL, 0)), 0);
}
END_TEST

START_TEST(equal_means_same_length_and_bytes)
{
    ck_assert(bytes_equal(bytes_of_text("ab"), bytes_of_text("ab")));
    ck_assert(!bytes_equal(bytes_of_text("ab"), bytes_of_text("abc")));
    ck_assert(!bytes_equal(bytes_of_text("ab"), bytes_of_text("ac")));
    ck_assert(bytes_equal(bytes_of(NULL, 0), bytes_of_text("")));
}
END_TEST

START_TEST(buffer_keeps_its_contents_while_it_grows)
{
    struct buffer buffer = {0};
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        ck_assert_int_eq(buffer_append(&buffer, bytes_of(&byte, 1)), 0);
    }
    ck_assert_uint_eq(buffer.length, 20000);
    for (unsigned i = 0; i < 20000; i++) {
        ck_assert_uint_eq(buffer.data[i], (uint8_t)(i * 7));
    }
    buffer_clear(&buffer);
    ck_assert_uint_eq(buffer_bytes(&buffer).length, 0);
    ck_assert_int_eq(buffer_append(&buffer, bytes_of(NULL, 0)), 0);
    buffer_deinit(&buffer);
    ck_assert_ptr_null(buffer.data);
}
END_TEST

START_TEST(buffer_stays_as_it_was_when_memory_is_refused)
{
    struct buffer buffer = {0};
    ck_assert_int_eq(buffer_append(&buffer, bytes_of_text("abc")), 0);
    ck_assert_int_eq(buffer_reserve(&buffer, SIZE_MAX), ERR_MEMORY);
    ck_assert_int_eq(buffer_reserve(&buffer, SIZE_MAX / 2), ERR_MEMORY);
    ck_assert(bytes_equal(buffer_bytes(&buffer), bytes_of_text("abc")));
    buffer_deinit(&buffer);
}
END_TEST

START_TEST(consume_removes_from_the_front)
{
    struct buffer buffer = {0};
    ck_assert_int_eq(buffer_append(&buffer, bytes_of_text("abcdef")), 0);
    buffer_consume(&buffer, 0);
    buffer_consume(&buffer, 2);
    ck_assert(bytes_equal(buffer_bytes(&buffer), bytes_of_text("cdef")));
    buffer_consume(&buffer, 4);
    ck_assert_uint_eq(buffer.length, 0);
    ck_assert_int_eq(buffer_append(&buffer, bytes_of_text("gh")), 0);
    buffer_consume(&buffer, 9);
    ck_assert_uint_eq(buffer.length, 0);
    buffer_deinit(&buffer);
}
END_TEST

START_TEST(numbers_are_big_endian)
{
    uint8_t out[8];
    store_be16(out, 0x0102);
    assert_bytes_are(bytes_of(out, 2), "0102");
    ck_assert_uint_eq(load_be16(out), 0x0102);
    store_be32(out, 0x01020304);
    assert_bytes_are(bytes_of(out, 4), "01020304");
    ck_assert_uint_eq(load_be32(out), 0x01020304);
    store_be64(out, 0x0102030405060708);
    assert_bytes_are(bytes_of(out, 8), "0102030405060708");
    ck_assert_uint_eq(load_be64(out), 0x0102030405060708);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    suite_add(suite, compares_by_bytes_with_a_prefix_first);
    suite_add(suite, equal_means_same_length_and_bytes);
    suite_add(suite, buffer_keeps_its_contents_while_it_grows);
    suite_add(suite, buffer_stays_as_it_was_when_memory_is_refused);
    suite_add(suite, consume_removes_from_the_front);
    suite_add(suite, numbers_are_big_endian);
    return check_main(suite);
}
