// Readers of other threads see whole states while the index goes on: exactly what their watermark
// promises, in order, and pages that never show less than before.

#include <pthread.h>

#include "tests/unit/check_main.h"
#include "tests/unit/storage/index_fixture.h"

enum { READERS = 3, READS_MIN = 20 };

static struct index_fixture fixture;
static atomic_bool is_done;

// The hits of name 0 among the chunks that the watermark covers. The model does not change while
// the threads run.
static size_t expect_count(const struct version_vector *watermark)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture.chunks_count; i++) {
        const struct index_chunk *chunk = &fixture.chunks[i];
        struct event_id key = {chunk->header.first, chunk->header.actor};
        bool has_name = false;
        for (uint16_t j = 0; j < chunk->header.count; j++) {
            has_name |= chunk->names[j] == 0;
        }
        count += has_name && version_vector_covers(watermark, key);
    }
    return count;
}

static void read_hits(struct filter *filter, bool forward)
{
    struct index_cursor *cursor;
    struct version_vector watermark = {0};
    struct index_hit hit;
    size_t count = 0;
    int result;
    ck_assert_int_eq(index_cursor_open_merging(fixture.index, filter, &cursor, &watermark), 0);
    result =
        forward ? index_cursor_seek(cursor, 0) : index_cursor_seek_backward(cursor, UINT64_MAX);
    while (result == 0) {
        result = forward ? index_cursor_next(cursor, &hit) : index_cursor_previous(cursor, &hit);
        count += result == 0;
    }
    ck_assert_int_eq(result, INDEX_END);
    ck_assert_uint_eq(count, expect_count(&watermark));
    index_cursor_close(cursor);
    version_vector_deinit(&watermark);
}

static uint64_t read_events(struct filter *filter)
{
    struct buffer rows = {0};
    struct buffer next = {0};
    struct namespace_row row = {0};
    bool more;
    ck_assert_int_eq(
        index_names_page(fixture.index, filter, bytes_of("", 0), 10, &rows, &more, &next), 0);
    struct bytes rest = buffer_bytes(&rows);
    if (rest.length > 0) {
        ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
    }
    buffer_deinit(&rows);
    buffer_deinit(&next);
    return row.events;
}

static void *run_reader(void *context)
{
    struct filter *filter = context;
    uint64_t events_before = 0;
    for (int i = 0; i < READS_MIN || !atomic_load(&is_done); i++) {
        read_hits(filter, i % 2 == 0);
        uint64_t events = read_events(filter);
        ck_assert_uint_ge(events, events_before);
        events_before = events;
        ck_assert_uint_le(index_ordinal(fixture.index), fixture.chunks_count);
    }
    return NULL;
}

START_TEST(readers_see_whole_states)
{
    pthread_t readers[READERS];
    index_fixture_init(&fixture, test_seed());
    fixture.part_events = 400;
    fixture.names_count = 300;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 600);
    struct filter *filter = index_fixture_filter((const char *[]){index_fixture_name(0)}, 1);
    for (int i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_create(&readers[i], NULL, run_reader, filter), 0);
    }
    while (index_ordinal(fixture.index) < fixture.chunks_count) {
        ck_assert_int_eq(index_fixture_add(&fixture, 7), 0);
        ck_assert_int_eq(index_flush(fixture.index, false), 0);
    }
    atomic_store(&is_done, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
    }
    filter_unref(filter);
    index_fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index_readers");
    suite_add(suite, readers_see_whole_states);
    return check_main(suite);
}
