// The cursor reads any form of msgpack, and nothing that is not there.

#include "proto/wire/unpack.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

// A cursor over an exact copy of the bytes that a hex text says.
struct reader {
    struct unpack unpack;
    struct bytes copy;
};

static struct reader reader_of(const char *hex)
{
    struct buffer bytes = {0};
    append_hex(&bytes, hex);
    struct reader reader = {.copy = exact_copy(buffer_bytes(&bytes))};
    unpack_init(&reader.unpack, reader.copy);
    buffer_deinit(&bytes);
    return reader;
}

static int read_uint(const char *hex, uint64_t max, uint64_t *value_out)
{
    struct reader reader = reader_of(hex);
    *value_out = unpack_uint(&reader.unpack, max, "number");
    int err = reader.unpack.err;
    ck_assert(err || unpack_left(&reader.unpack) == 0);
    exact_free(reader.copy);
    return err;
}

START_TEST(reads_numbers_in_every_form)
{
    static const char *SEVEN[] = {
        "07",   "cc07",   "cd0007",     "ce00000007",        "cf0000000000000007",
        "d007", "d10007", "d200000007", "d30000000000000007"};
    uint64_t value;
    for (size_t i = 0; i < sizeof SEVEN / sizeof SEVEN[0]; i++) {
        ck_assert_int_eq(read_uint(SEVEN[i], 7, &value), 0);
        ck_assert_uint_eq(value, 7);
        ck_assert_int_eq(read_uint(SEVEN[i], 6, &value), ERR_INVALID);
        ck_assert_uint_eq(value, 0);
    }
    ck_assert_int_eq(read_uint("cfffffffffffffffff", UINT64_MAX, &value), 0);
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert_int_eq(read_uint("d37fffffffffffffff", UINT64_MAX, &value), 0);
    ck_assert_uint_eq(value, INT64_MAX);
}
END_TEST

START_TEST(refuses_negative_numbers)
{
    static const char *NEGATIVE[] = {
        "ff", "e0", "d0ff", "d080", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"};
    uint64_t value;
    for (size_t i = 0; i < sizeof NEGATIVE / sizeof NEGATIVE[0]; i++) {
        ck_assert_int_eq(read_uint(NEGATIVE[i], UINT64_MAX, &value), ERR_INVALID);
    }
}
END_TEST

START_TEST(refuses_lengths_and_counts_that_are_not_there)
{
    static const char *LYING[] = {
        "a1",
        "bf 00",
        "d9 02 61",
        "da ff ff 61",
        "db ff ff ff ff 61",
        "d9",
        "da 00",
        "c4 02 61",
        "c5 ff ff",
        "c6 ff ff ff ff 61",
        "c4",
        "c6 00 00",
        "92 00",
        "dc ff ff 00",
        "dd ff ff ff ff 00 00",
        "dd 00",
        "81 00",
        "82 00 00 00",
        "de 80 00 00 00",
        "df ff ff ff ff 00 00",
        "df 80 00 00 00 00 00",
        "c7 02 01 61",
        "c7 02",
        "c8 ff ff 00 00",
        "c9 ff ff ff ff 00 00",
        "d4 01",
        "d5 01 02",
        "d6 01 02",
        "d7 01 02",
        "d8 01 02",
        "ca 00",
        "cb 00",
        "cc",
        "cd 00",
        "ce 00",
        "cf 00 00 00 00 00 00 00",
        "c1",
        "",
    };
    for (size_t i = 0; i < sizeof LYING / sizeof LYING[0]; i++) {
        struct reader reader = reader_of(LYING[i]);
        unpack_skip(&reader.unpack, 1, "value");
        ck_assert_int_eq(reader.unpack.err, ERR_INVALID);
        ck_assert_uint_eq(unpack_left(&reader.unpack), 0);
        exact_free(reader.copy);
    }
}
END_TEST

START_TEST(skips_values_of_every_type)
{
    struct reader reader = reader_of(
        "c0 c2 c3 00 ff cc01 cd0001 ce00000001 cf0000000000000001 d001 d10001 d200000001 "
        "d30000000000000001 ca00000000 cb0000000000000000 a161 d90161 da000161 db0000000161 "
        "c40161 c5000161 c60000000161 9100 dc000100 dd0000000100 810000 de00010000 df000000010000 "
        "d40161 d5016161 d60161616161 d7016161616161616161 d80161616161616161616161616161616161 "
        "c7010161 c800010161 c9000000010161");
    unpack_skip(&reader.unpack, 36, "value");
    ck_assert_int_eq(reader.unpack.err, 0);
    ck_assert_uint_eq(unpack_left(&reader.unpack), 0);
    exact_free(reader.copy);
}
END_TEST

START_TEST(the_first_failure_sticks)
{
    struct reader reader = reader_of("a161 07");
    ck_assert_uint_eq(unpack_uint(&reader.unpack, 9, "first"), 0);
    ck_assert_uint_eq(unpack_uint(&reader.unpack, 9, "second"), 0);
    ck_assert_uint_eq(unpack_text(&reader.unpack, "third").length, 0);
    ck_assert_uint_eq(unpack_bin(&reader.unpack, "fourth").length, 0);
    ck_assert_ptr_null(unpack_bin_exact(&reader.unpack, 0, "fifth"));
    ck_assert_uint_eq(unpack_array(&reader.unpack, "sixth"), 0);
    ck_assert_uint_eq(unpack_array_of(&reader.unpack, 0, "seventh"), 0);
    ck_assert_uint_eq(unpack_map(&reader.unpack, "eighth"), 0);
    ck_assert_uint_eq(unpack_map_encoded(&reader.unpack, "ninth").length, 0);
    ck_assert(!unpack_bool(&reader.unpack, "tenth"));
    ck_assert(!unpack_take_nil(&reader.unpack));
    ck_assert_str_eq(reader.unpack.field, "first");
    ck_assert_str_eq(reader.unpack.problem, "is not an integer from 0 up");
    exact_free(reader.copy);
}
END_TEST

START_TEST(text_and_bin_are_different_types)
{
    struct reader reader = reader_of("a161");
    unpack_bin(&reader.unpack, "bin");
    ck_assert_int_eq(reader.unpack.err, ERR_INVALID);
    exact_free(reader.copy);
    reader = reader_of("c40161");
    unpack_text(&reader.unpack, "text");
    ck_assert_int_eq(reader.unpack.err, ERR_INVALID);
    exact_free(reader.copy);
    reader = reader_of("c40161");
    ck_assert_ptr_null(unpack_bin_exact(&reader.unpack, 2, "bin"));
    ck_assert_int_eq(reader.unpack.err, ERR_INVALID);
    exact_free(reader.copy);
}
END_TEST

START_TEST(keeps_a_map_as_it_is_encoded)
{
    struct reader reader = reader_of("82 01 02 03 91 04 c3");
    assert_bytes_are(unpack_map_encoded(&reader.unpack, "map"), "82 01 02 03 91 04");
    ck_assert(unpack_bool(&reader.unpack, "bool"));
    ck_assert_int_eq(reader.unpack.err, 0);
    exact_free(reader.copy);
}
END_TEST

START_TEST(random_bytes_are_never_read_beyond_their_end)
{
    struct random random;
    random_init(&random, test_seed());
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[40];
        size_t length = random_below(&random, sizeof bytes + 1);
        random_bytes(&random, bytes, length);
        struct bytes copy = exact_copy(bytes_of(bytes, length));
        struct unpack unpack;
        unpack_init(&unpack, copy);
        while (!unpack.err && unpack_left(&unpack) > 0) {
            unpack_skip(&unpack, 1, "value");
        }
        ck_assert_ptr_eq(unpack.at, unpack.end);
        exact_free(copy);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unpack");
    suite_add(suite, reads_numbers_in_every_form);
    suite_add(suite, refuses_negative_numbers);
    suite_add(suite, refuses_lengths_and_counts_that_are_not_there);
    suite_add(suite, skips_values_of_every_type);
    suite_add(suite, the_first_failure_sticks);
    suite_add(suite, text_and_bin_are_different_types);
    suite_add(suite, keeps_a_map_as_it_is_encoded);
    suite_add(suite, random_bytes_are_never_read_beyond_their_end);
    return check_main(suite);
}
