// Channels by number against a plain array.

#include <stdbool.h>

#include "proto/base/random.h"
#include "server/node/channel_table.h"
#include "tests/unit/check_main.h"

enum { NUMBERS = 200, MAX = 150 };

START_TEST(what_was_added_is_found_until_it_is_removed)
{
    struct channel_table table = {0};
    int owners[NUMBERS] = {0};
    bool is_there[NUMBERS] = {false};
    unsigned count = 0;
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < 20000; round++) {
        unsigned number = (unsigned)random_below(&random, NUMBERS);
        if (random_below(&random, 5) < 3) {
            int expected = is_there[number] || count == MAX ? ERR_BUSY : 0;
            ck_assert_int_eq(channel_add(&table, number, &owners[number], MAX), expected);
            count += expected == 0;
            is_there[number] |= expected == 0;
        } else {
            channel_remove(&table, number);
            count -= is_there[number];
            is_there[number] = false;
        }
        ck_assert_uint_eq(table.count, count);
        number = (unsigned)random_below(&random, NUMBERS);
        const void *expected = is_there[number] ? &owners[number] : NULL;
        ck_assert_ptr_eq(channel_find(&table, number), expected);
    }
    channel_table_deinit(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/channel_table");
    suite_add(suite, what_was_added_is_found_until_it_is_removed);
    return check_main(suite);
}
