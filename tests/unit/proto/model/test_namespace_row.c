// Rows come back as they were put in; what is cut or too long is refused.

#include "proto/model/namespace_row.h"

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"

static void append_two(struct buffer *rows)
{
    struct namespace_row first = {
        .name = bytes_of_text("/orders/1"),
        .events = 3,
        .bytes = 1000,
        .first = {7, 1},
        .last = {COUNTER_MAX, 65535},
        .first_timestamp_ms = 1700000000000,
        .last_timestamp_ms = 1700000000009,
    };
    struct namespace_row second = {.name = bytes_of_text("x"), .events = 1};
    ck_assert_int_eq(namespace_row_append(rows, &first), 0);
    ck_assert_int_eq(namespace_row_append(rows, &second), 0);
}

START_TEST(rows_come_back)
{
    struct buffer rows = {0};
    struct namespace_row row;
    append_two(&rows);
    struct bytes rest = buffer_bytes(&rows);
    ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
    ck_assert(bytes_equal(row.name, bytes_of_text("/orders/1")));
    ck_assert_uint_eq(row.events, 3);
    ck_assert_uint_eq(row.bytes, 1000);
    ck_assert_int_eq(event_id_compare(row.first, (struct event_id){7, 1}), 0);
    ck_assert_int_eq(event_id_compare(row.last, (struct event_id){COUNTER_MAX, 65535}), 0);
    ck_assert_uint_eq(row.first_timestamp_ms, 1700000000000);
    ck_assert_uint_eq(row.last_timestamp_ms, 1700000000009);
    ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
    ck_assert(bytes_equal(row.name, bytes_of_text("x")));
    ck_assert_uint_eq(rest.length, 0);
    buffer_deinit(&rows);
}
END_TEST

START_TEST(layout_is_fixed)
{
    struct buffer rows = {0};
    append_two(&rows);
    ck_assert_uint_eq(rows.length, 54 + 9 + 54 + 1);
    ck_assert_uint_eq(load_be64(rows.data), 3);
    ck_assert_uint_eq(load_be64(rows.data + 8), 1000);
    ck_assert_uint_eq(load_be64(rows.data + 16), 7);
    ck_assert_uint_eq(load_be16(rows.data + 24), 1);
    ck_assert_uint_eq(load_be16(rows.data + 34), 65535);
    ck_assert_uint_eq(load_be64(rows.data + 44), 1700000000009);
    ck_assert_uint_eq(load_be16(rows.data + 52), 9);
    buffer_deinit(&rows);
}
END_TEST

START_TEST(cut_rows_are_refused)
{
    struct buffer rows = {0};
    struct namespace_row row;
    append_two(&rows);
    for (size_t length = 0; length < 54 + 9; length++) {
        struct bytes rest = bytes_of(rows.data, length);
        ck_assert_int_eq(namespace_row_next(&rest, &row), ERR_INVALID);
    }
    buffer_deinit(&rows);
}
END_TEST

START_TEST(names_that_are_too_long_are_refused)
{
    uint8_t bytes[54 + 65535] = {0};
    struct namespace_row row;
    store_be16(bytes + 52, NAMESPACE_BYTES_MAX + 1);
    struct bytes rest = bytes_of(bytes, sizeof bytes);
    ck_assert_int_eq(namespace_row_next(&rest, &row), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("namespace_row");
    suite_add(suite, rows_come_back);
    suite_add(suite, layout_is_fixed);
    suite_add(suite, cut_rows_are_refused);
    suite_add(suite, names_that_are_too_long_are_refused);
    return check_main(suite);
}
