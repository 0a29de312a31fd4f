// Without a bound every name is found again; with one, memory stays below it and what is found is
// right.

#include "storage/name_table.h"

#include "tests/unit/check_main.h"

static struct hash128 hash_of(uint32_t name)
{
    return hash128_keyed(bytes_of(&name, sizeof name), 42);
}

START_TEST(finds_everything_without_a_bound)
{
    struct name_table table;
    ck_assert_int_eq(name_table_init(&table, 0), 0);
    for (uint32_t i = 0; i < 100000; i++) {
        struct hash128 hash = hash_of(i);
        uint32_t number;
        ck_assert(!name_table_find(&table, &hash, &number));
        ck_assert_int_eq(name_table_add(&table, &hash, i), 0);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        struct hash128 hash = hash_of(i);
        uint32_t number;
        ck_assert(name_table_find(&table, &hash, &number));
        ck_assert_uint_eq(number, i);
    }
    ck_assert_uint_eq(table.count, 100000);
    ck_assert_uint_eq(table.dropped, 0);
    name_table_clear(&table);
    struct hash128 hash = hash_of(5);
    uint32_t number;
    ck_assert(!name_table_find(&table, &hash, &number));
    name_table_deinit(&table);
}
END_TEST

START_TEST(drops_some_at_its_bound_and_never_lies)
{
    enum { BYTES_MAX = 100000, NAMES = 50000 };
    struct name_table table;
    uint32_t found = 0;
    ck_assert_int_eq(name_table_init(&table, BYTES_MAX), 0);
    for (uint32_t i = 0; i < NAMES; i++) {
        struct hash128 hash = hash_of(i);
        ck_assert_int_eq(name_table_add(&table, &hash, i), 0);
        uint32_t number;
        ck_assert(name_table_find(&table, &hash, &number));
        ck_assert_uint_eq(number, i);
        ck_assert_uint_le(name_table_bytes(&table), BYTES_MAX);
    }
    for (uint32_t i = 0; i < NAMES; i++) {
        struct hash128 hash = hash_of(i);
        uint32_t number;
        if (name_table_find(&table, &hash, &number)) {
            ck_assert_uint_eq(number, i);
            found++;
        }
    }
    ck_assert_uint_gt(found, BYTES_MAX / 16 * 9 / 10);
    ck_assert_uint_eq(found, table.count);
    ck_assert_uint_eq(found + table.dropped, NAMES);
    name_table_deinit(&table);
}
END_TEST

START_TEST(drops_nothing_while_there_is_room)
{
    struct name_table table;
    ck_assert_int_eq(name_table_init(&table, 4 << 20), 0);
    for (uint32_t i = 0; i < 100000; i++) {
        struct hash128 hash = hash_of(i);
        ck_assert_int_eq(name_table_add(&table, &hash, i), 0);
    }
    ck_assert_uint_eq(table.dropped, 0);
    name_table_deinit(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("name_table");
    suite_add(suite, finds_everything_without_a_bound);
    suite_add(suite, drops_some_at_its_bound_and_never_lies);
    suite_add(suite, drops_nothing_while_there_is_room);
    return check_main(suite);
}
