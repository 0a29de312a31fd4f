#include "proto/base/limits.h"
#include "server/config/memory_budget.h"
#include "tests/unit/check_main.h"

static uint64_t sum(const struct memory_budget *budget)
{
    return budget->log_write_bytes + budget->log_cache_bytes + budget->index_write_bytes +
           budget->index_cache_bytes + budget->indexer_bytes + budget->recent_bytes +
           budget->connections_bytes + budget->process_bytes;
}

START_TEST(the_parts_are_the_whole)
{
    static const uint64_t RECENT_MB[] = {UINT64_MAX / MIB, 1, 32, 1000000};
    for (uint64_t total_mb = 64; total_mb <= 1 << 20; total_mb = total_mb * 3 / 2) {
        for (unsigned i = 0; i < 4; i++) {
            uint64_t recent = i == 0 ? UINT64_MAX : RECENT_MB[i] * MIB;
            struct memory_budget budget = memory_budget_divide(total_mb * MIB, recent);
            ck_assert_uint_le(sum(&budget), total_mb * MIB);
            ck_assert_uint_ge(sum(&budget) + 4096, total_mb * MIB);
            ck_assert_uint_le(budget.recent_bytes, total_mb * MIB / 2);
            ck_assert_uint_ge(budget.connections_bytes, 4 * MIB);
        }
    }
}
END_TEST

START_TEST(the_table_of_the_comment_holds)
{
    struct memory_budget small = memory_budget_divide(64 * MIB, UINT64_MAX);
    ck_assert_uint_eq(small.log_write_bytes, 16 * MIB);
    ck_assert_uint_eq(small.index_cache_bytes, 4 * MIB);
    struct memory_budget usual = memory_budget_divide(512 * MIB, UINT64_MAX);
    ck_assert_uint_eq(usual.log_write_bytes, 128 * MIB);
    ck_assert_uint_eq(usual.log_cache_bytes, 64 * MIB);
    ck_assert_uint_eq(usual.indexer_bytes, 64 * MIB);
    ck_assert_uint_eq(usual.recent_bytes, 64 * MIB);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory_budget");
    suite_add(suite, the_parts_are_the_whole);
    suite_add(suite, the_table_of_the_comment_holds);
    return check_main(suite);
}
