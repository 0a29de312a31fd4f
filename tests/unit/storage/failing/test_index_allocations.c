// The n-th allocation fails, for all n, while the index is opened, written and read: that is an
// error and nothing else. What was written is whole, and goes on at the next start.

#include "tests/unit/check_main.h"
#include "tests/unit/storage/failing/failing_calls.h"
#include "tests/unit/storage/index_fixture.h"

enum { NTH_MAX = 100000 };

static struct index_fixture fixture;

static void begin(size_t chunks)
{
    index_fixture_init(&fixture, test_seed());
    fixture.part_events = 400;
    fixture.events_per_chunk_max = 20;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, chunks);
}

static bool has_failed(uint64_t nth)
{
    bool failed = failing_calls_count(FAILING_ALLOCATION) >= nth;
    failing_calls_arm(FAILING_ALLOCATION, 0);
    return failed;
}

START_TEST(writing_is_an_error_and_recovered_from)
{
    begin(60);
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < NTH_MAX; nth++) {
        ck_assert_int_eq(index_reset(fixture.index), 0);
        failing_calls_arm(FAILING_ALLOCATION, nth);
        int err = index_fixture_add(&fixture, 25);
        err = err ? err : index_flush(fixture.index, false);
        err = err ? err : index_fixture_add(&fixture, SIZE_MAX);
        err = err ? err : index_flush(fixture.index, true);
        failed = has_failed(nth);
        ck_assert(err == 0 || err == ERR_MEMORY);
        index_fixture_crash(&fixture, 0);
        ck_assert(!fixture.was_reset);
        index_fixture_check(&fixture);
    }
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(opening_is_an_error)
{
    begin(60);
    index_fixture_catch_up(&fixture);
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < NTH_MAX; nth++) {
        struct index *index = NULL;
        bool was_reset = false;
        failing_calls_arm(FAILING_ALLOCATION, nth);
        int err = index_open(fixture.disk, fixture.memory_bytes_max, 7, &index, &was_reset);
        failed = has_failed(nth);
        ck_assert(err == 0 || err == ERR_MEMORY);
        ck_assert(!was_reset);
        index_close(index);
    }
    index_fixture_deinit(&fixture);
}
END_TEST

static int read_all(struct filter *filter)
{
    struct index_cursor *cursor = NULL;
    struct version_vector watermark = {0};
    struct index_hit hit;
    struct buffer rows = {0};
    struct buffer next = {0};
    bool more;
    int result = index_cursor_open_merging(fixture.index, filter, &cursor, &watermark);
    while (result == 0) {
        result = index_cursor_next(cursor, &hit);
    }
    if (result == INDEX_END) {
        result = index_cursor_seek_backward(cursor, UINT64_MAX);
    }
    while (result == 0) {
        result = index_cursor_previous(cursor, &hit);
    }
    if (result == INDEX_END) {
        result = index_names_page(fixture.index, filter, bytes_of("", 0), 9, &rows, &more, &next);
    }
    index_cursor_close(cursor);
    version_vector_deinit(&watermark);
    buffer_deinit(&rows);
    buffer_deinit(&next);
    return result;
}

START_TEST(reading_is_an_error)
{
    begin(100);
    index_fixture_catch_up(&fixture);
    struct filter *filter = index_fixture_filter((const char *[]){"/a/**"}, 1);
    bool failed = true;
    for (uint64_t nth = 1; failed && nth < NTH_MAX; nth++) {
        failing_calls_arm(FAILING_ALLOCATION, nth);
        int result = read_all(filter);
        failed = has_failed(nth);
        ck_assert(result == 0 || result == ERR_MEMORY);
    }
    index_fixture_check(&fixture);
    filter_unref(filter);
    index_fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index_allocations");
    suite_add(suite, writing_is_an_error_and_recovered_from);
    suite_add(suite, opening_is_an_error);
    suite_add(suite, reading_is_an_error);
    return check_main(suite);
}
