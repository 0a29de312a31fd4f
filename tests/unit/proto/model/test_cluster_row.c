// Rows of cluster status come back as they were, one behind the other, and nothing is read beyond
// them.

#include "proto/model/cluster_row.h"

#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

static struct cluster_row sample(void)
{
    struct cluster_row row = {
        .node = {{0x11, 0x12}},
        .actor = 3,
        .state = CLUSTER_RETIRING,
        .verdict = CLUSTER_DIVERGED,
        .flags = CLUSTER_ROW_SELF | CLUSTER_ROW_SOURCE_DIRECT,
        .source = 9,
        .run = 4,
        .held = 1000,
        .claimed = 1042,
        .lag_ms = 250,
        .promised = 1050,
        .seal = 7,
        .diverged_actor = 5,
        .diverged_since = 990,
        .address = bytes_of_text("host:1"),
        .version = bytes_of_text("0.1.0"),
    };
    return row;
}

static void assert_same(const struct cluster_row *a, const struct cluster_row *b)
{
    ck_assert(uuid_equal(&a->node, &b->node));
    ck_assert_uint_eq(a->actor, b->actor);
    ck_assert_uint_eq(a->state, b->state);
    ck_assert_uint_eq(a->verdict, b->verdict);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->source, b->source);
    ck_assert_uint_eq(a->run, b->run);
    ck_assert_uint_eq(a->held, b->held);
    ck_assert_uint_eq(a->claimed, b->claimed);
    ck_assert_uint_eq(a->lag_ms, b->lag_ms);
    ck_assert_uint_eq(a->promised, b->promised);
    ck_assert_uint_eq(a->seal, b->seal);
    ck_assert_uint_eq(a->diverged_actor, b->diverged_actor);
    ck_assert_uint_eq(a->diverged_since, b->diverged_since);
    ck_assert(bytes_equal(a->address, b->address));
    ck_assert(bytes_equal(a->version, b->version));
}

START_TEST(bytes_are_the_published_ones)
{
    struct cluster_row row = sample();
    struct buffer out = {0};
    ck_assert_int_eq(cluster_row_append(&out, &row), 0);
    assert_bytes_are(buffer_bytes(&out),
                     "11120000000000000000000000000000 0003 02 04 00000005 0009 0000000000000004"
                     "00000000000003e8 0000000000000412 00000000000000fa 000000000000041a"
                     "0000000000000007 0005 00000000000003de 0006 686f73743a31 0005 302e312e30");
    buffer_deinit(&out);
}
END_TEST

START_TEST(rows_are_taken_one_by_one)
{
    struct cluster_row rows[3] = {sample(), {.actor = 1}, sample()};
    rows[2].address = (struct bytes){0};
    rows[2].seal = UINT64_MAX;
    struct buffer out = {0};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(cluster_row_append(&out, &rows[i]), 0);
    }
    struct bytes copy = exact_copy(buffer_bytes(&out));
    struct bytes rest = copy;
    for (size_t i = 0; i < 3; i++) {
        struct cluster_row row;
        memset(&row, 0xa5, sizeof row);
        ck_assert_int_eq(cluster_row_next(&rest, &row), 0);
        assert_same(&row, &rows[i]);
    }
    ck_assert_uint_eq(rest.length, 0);
    exact_free(copy);
    buffer_deinit(&out);
}
END_TEST

START_TEST(every_prefix_is_refused)
{
    struct cluster_row row = sample();
    struct buffer out = {0};
    ck_assert_int_eq(cluster_row_append(&out, &row), 0);
    for (size_t length = 0; length < out.length; length++) {
        struct bytes copy = exact_copy(bytes_of(out.data, length));
        struct bytes rest = copy;
        ck_assert_int_eq(cluster_row_next(&rest, &row), ERR_INVALID);
        ck_assert_uint_eq(rest.length, length);
        exact_free(copy);
    }
    buffer_deinit(&out);
}
END_TEST

START_TEST(texts_are_bounded)
{
    struct cluster_row row = sample();
    struct buffer out = {0};
    ck_assert_int_eq(cluster_row_append(&out, &row), 0);
    append_hex(&out, "00000000000000000000000000000000");
    ck_assert_int_eq(buffer_reserve(&out, 1024), 0);
    memset(out.data + out.length, 0, 1024);
    store_be16(out.data + 84, 264);
    struct bytes rest = bytes_of(out.data, out.length + 1024);
    ck_assert_int_eq(cluster_row_next(&rest, &row), ERR_INVALID);
    store_be16(out.data + 84, 263);
    ck_assert_int_eq(cluster_row_next(&rest, &row), 0);
    buffer_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cluster_row");
    suite_add(suite, bytes_are_the_published_ones);
    suite_add(suite, rows_are_taken_one_by_one);
    suite_add(suite, every_prefix_is_refused);
    suite_add(suite, texts_are_bounded);
    return check_main(suite);
}
