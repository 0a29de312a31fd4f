// What is compressed comes back; what is not exactly the expected length is corrupt.

#include "proto/base/compress.h"

#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

static void *state_new(void)
{
    void *state = malloc(compress_state_bytes());
    ck_assert_ptr_nonnull(state);
    return state;
}

static void fill_repetitive(uint8_t *out, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        out[i] = (uint8_t)("a sentence that repeats "[i % 24]);
    }
}

START_TEST(comes_back_as_it_was)
{
    void *state = state_new();
    uint8_t plain[5000];
    uint8_t back[sizeof plain];
    fill_repetitive(plain, sizeof plain);
    for (size_t length = 0; length <= sizeof plain; length += length < 70 ? 1 : 617) {
        size_t bound = compress_bound(length);
        uint8_t *out = malloc(bound);
        size_t encoded = compress_block(state, bytes_of(plain, length), out, bound);
        ck_assert_uint_gt(encoded, 0);
        ck_assert_uint_le(encoded, bound);
        struct bytes copy = exact_copy(bytes_of(out, encoded));
        ck_assert_int_eq(decompress_block(copy, back, length), 0);
        ck_assert_mem_eq(back, plain, length);
        exact_free(copy);
        free(out);
    }
    free(state);
}
END_TEST

START_TEST(is_0_when_it_does_not_fit)
{
    void *state = state_new();
    uint8_t plain[1000];
    struct random random;
    random_init(&random, 1);
    random_bytes(&random, plain, sizeof plain);
    uint8_t *out = malloc(875);
    ck_assert_uint_eq(compress_block(state, bytes_of(plain, sizeof plain), out, 875), 0);
    free(out);
    free(state);
}
END_TEST

START_TEST(another_length_is_corrupt)
{
    void *state = state_new();
    uint8_t plain[1000];
    uint8_t out[1100];
    uint8_t back[1001];
    fill_repetitive(plain, sizeof plain);
    size_t length = compress_block(state, bytes_of(plain, sizeof plain), out, sizeof out);
    ck_assert_int_eq(decompress_block(bytes_of(out, length), back, 1000), 0);
    ck_assert_int_eq(decompress_block(bytes_of(out, length), back, 999), ERR_CORRUPT);
    ck_assert_int_eq(decompress_block(bytes_of(out, length), back, 1001), ERR_CORRUPT);
    for (size_t cut = 0; cut < length; cut++) {
        struct bytes copy = exact_copy(bytes_of(out, cut));
        ck_assert_int_eq(decompress_block(copy, back, 1000), ERR_CORRUPT);
        exact_free(copy);
    }
    free(state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compress");
    suite_add(suite, comes_back_as_it_was);
    suite_add(suite, is_0_when_it_does_not_fit);
    suite_add(suite, another_length_is_corrupt);
    return check_main(suite);
}
