// Quantiles are right to one part in 64, at any size of value.

#include "client-cli/histogram.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"

static struct histogram *histogram_new(void)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);
    ck_assert_ptr_nonnull(histogram);
    return histogram;
}

START_TEST(an_empty_one_says_zero)
{
    struct histogram *histogram = histogram_new();
    ck_assert_uint_eq(histogram_quantile(histogram, 0.5), 0);
    ck_assert_uint_eq(histogram_quantile(histogram, 1), 0);
    free(histogram);
}
END_TEST

START_TEST(one_value_is_every_quantile)
{
    for (uint32_t shift = 0; shift < 64; shift++) {
        struct histogram *histogram = histogram_new();
        uint64_t value = ((uint64_t)1 << shift) + (shift > 3 ? 5 : 0);
        histogram_add(histogram, value);
        ck_assert_uint_eq(histogram_quantile(histogram, 0), value);
        ck_assert_uint_eq(histogram_quantile(histogram, 1), value);
        free(histogram);
    }
    struct histogram *histogram = histogram_new();
    histogram_add(histogram, UINT64_MAX);
    ck_assert_uint_eq(histogram_quantile(histogram, 0.5), UINT64_MAX);
    free(histogram);
}
END_TEST

START_TEST(quantiles_are_near)
{
    struct histogram *histogram = histogram_new();
    for (uint64_t i = 1; i <= 1000000; i++) {
        histogram_add(histogram, i);
    }
    static const double fractions[] = {0.001, 0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        double exact = fractions[i] * 1000000;
        double found = (double)histogram_quantile(histogram, fractions[i]);
        ck_assert_double_ge(found, exact - 1);
        ck_assert_double_le(found, exact * (1 + 1.0 / 64));
    }
    ck_assert_uint_eq(histogram_quantile(histogram, 1), 1000000);
    free(histogram);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-cli/histogram");
    suite_add(suite, an_empty_one_says_zero);
    suite_add(suite, one_value_is_every_quantile);
    suite_add(suite, quantiles_are_near);
    return check_main(suite);
}
