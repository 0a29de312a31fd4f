// What the index shows is what a look at every event shows: after any sequence of chunks, late
// ones, flushes, restarts and crashes; and a disk that fails or lies is an error, never a wrong
// answer.

#include "storage/index.h"

#include "storage/disk_rocksdb.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/index_fixture.h"

static struct index_fixture fixture;

static void begin(void)
{
    index_fixture_init(&fixture, test_seed());
}

START_TEST(empty_index_has_nothing)
{
    begin();
    index_fixture_open(&fixture);
    ck_assert(!fixture.was_reset);
    ck_assert_uint_eq(index_ordinal(fixture.index), 0);
    ck_assert_uint_eq(index_namespaces_count(fixture.index), 0);
    index_fixture_check(&fixture);
    ck_assert_int_eq(index_flush(fixture.index, true), 0);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(shows_only_what_was_flushed)
{
    begin();
    fixture.part_events = 100000;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 40);
    ck_assert_int_eq(index_fixture_add(&fixture, 20), 0);
    ck_assert_uint_eq(index_ordinal(fixture.index), 0);
    ck_assert_uint_eq(index_added_ordinal(fixture.index), 20);
    index_fixture_check(&fixture);
    ck_assert_int_eq(index_flush(fixture.index, false), 0);
    ck_assert_uint_eq(index_ordinal(fixture.index), 20);
    ck_assert_int_eq(index_fixture_add(&fixture, 20), 0);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(trickle_is_seen_without_a_part_each)
{
    begin();
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 300);
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(index_fixture_add(&fixture, 1), 0);
        ck_assert_int_eq(index_flush(fixture.index, false), 0);
        ck_assert_uint_le(fixture.index->view->segments_count, 12);
        if (i % 30 == 0) {
            index_fixture_check(&fixture);
        }
    }
    ck_assert_uint_le(fixture.index->state.parts, 30);
    index_fixture_deinit(&fixture);
}
END_TEST

static void run_random(unsigned steps)
{
    index_fixture_open(&fixture);
    for (unsigned i = 0; i < steps; i++) {
        index_fixture_make(&fixture, random_below(&fixture.random, 60));
        ck_assert_int_eq(index_fixture_add(&fixture, random_below(&fixture.random, 90)), 0);
        if (random_below(&fixture.random, 3) == 0) {
            ck_assert_int_eq(index_flush(fixture.index, random_below(&fixture.random, 2) == 0), 0);
        }
        if (random_below(&fixture.random, 6) == 0) {
            size_t unsynced = disk_medium_unsynced(fixture.medium);
            size_t dropped = random_below(&fixture.random, unsynced + 1);
            index_fixture_crash(&fixture, dropped);
            ck_assert(!fixture.was_reset);
        }
        index_fixture_check(&fixture);
    }
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}

START_TEST(agrees_with_the_model_through_crashes)
{
    begin();
    run_random(30);
}
END_TEST

START_TEST(agrees_with_the_model_with_many_names)
{
    begin();
    fixture.names_count = INDEX_NAMES_MAX;
    fixture.part_events = 5000;
    run_random(20);
}
END_TEST

START_TEST(agrees_with_the_model_over_many_windows)
{
    begin();
    fixture.jump_max = 1 << 20;
    fixture.part_events = 300;
    fixture.events_per_chunk_max = 5;
    run_random(50);
}
END_TEST

START_TEST(agrees_with_the_model_in_little_memory)
{
    begin();
    fixture.names_count = INDEX_NAMES_MAX;
    fixture.memory_bytes_max = 128 << 10;
    fixture.part_events = 100000;
    run_random(20);
}
END_TEST

START_TEST(agrees_with_the_model_when_summaries_have_gone_round)
{
    begin();
    fixture.part_events = 100;
    fixture.names_count = 1500;
    index_fixture_open(&fixture);
    for (int i = 0; i < 12; i++) {
        index_fixture_make(&fixture, 60);
        index_fixture_catch_up(&fixture);
        index_fixture_check(&fixture);
    }
    ck_assert_uint_gt(fixture.index->state.parts, 100);
    ck_assert_uint_gt(fixture.index->state.fold_floor, 32);
    index_fixture_crash(&fixture, 0);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(agrees_with_the_model_on_a_real_disk)
{
    char path[] = "/tmp/weir-test-index-XXXXXX";
    struct reason reason;
    ck_assert_ptr_nonnull(mkdtemp(path));
    begin();
    fixture.path = path;
    fixture.part_events = 5000;
    fixture.names_count = 2500;
    index_fixture_open(&fixture);
    for (int i = 0; i < 6; i++) {
        index_fixture_make(&fixture, 300);
        index_fixture_catch_up(&fixture);
        index_fixture_check(&fixture);
        ck_assert_int_eq(index_flush(fixture.index, true), 0);
        index_fixture_close(&fixture);
        index_fixture_open(&fixture);
        ck_assert(!fixture.was_reset);
        index_fixture_check(&fixture);
    }
    index_fixture_deinit(&fixture);
    ck_assert_int_eq(disk_rocksdb_destroy(path, &reason), 0);
}
END_TEST

START_TEST(marks_of_scattered_windows_are_bounded)
{
    begin();
    fixture.part_events = 3000;
    fixture.names_count = 20;
    index_fixture_open(&fixture);
    uint16_t name = 3;
    for (uint64_t i = 1; i <= 6000; i++) {
        index_fixture_make_chunk(&fixture, 1, i << 19, &name, 1);
    }
    index_fixture_catch_up(&fixture);
    ck_assert_uint_le(fixture.index->state.marks_count, 3000);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

// After a crash anywhere between the batches of a part, the index shows the state before it, and
// is right again once it has caught up.
START_TEST(survives_a_crash_after_every_batch)
{
    begin();
    fixture.names_count = 3000;
    fixture.part_events = 4000;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 300);
    index_fixture_catch_up(&fixture);
    ck_assert_int_eq(index_flush(fixture.index, true), 0);
    for (size_t written = 0;; written++) {
        index_fixture_make(&fixture, 150);
        index_fixture_catch_up(&fixture);
        size_t unsynced = disk_medium_unsynced(fixture.medium);
        if (written > unsynced || written > 60) {
            break;
        }
        index_fixture_crash(&fixture, unsynced - written);
        ck_assert(!fixture.was_reset);
        index_fixture_check(&fixture);
        index_fixture_catch_up(&fixture);
        index_fixture_check(&fixture);
        ck_assert_int_eq(index_flush(fixture.index, true), 0);
    }
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(cut_part_is_made_again_although_flushed_earlier)
{
    begin();
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 25);
    while (fixture.index->state.parts == 0) {
        index_fixture_make(&fixture, 1);
        ck_assert_int_eq(index_fixture_add(&fixture, 1), 0);
    }
    index_fixture_close(&fixture);
    ck_assert_int_eq(disk_medium_remove(fixture.medium, INDEX_META, INDEX_STATE_KEY), 0);
    index_fixture_open(&fixture);
    ck_assert(fixture.was_reset); // no state, but keys
    index_fixture_catch_up(&fixture);
    size_t unsynced = disk_medium_unsynced(fixture.medium);
    index_fixture_crash(&fixture, unsynced > 2 ? 1 : 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(index_fixture_add(&fixture, 3), 0);
        ck_assert_int_eq(index_flush(fixture.index, false), 0);
        index_fixture_check(&fixture);
    }
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(another_log_after_a_cut_part_empties_the_index)
{
    begin();
    fixture.part_events = 12000;
    fixture.names_count = 3000;
    index_fixture_open(&fixture);
    do {
        index_fixture_make(&fixture, 1);
        ck_assert_int_eq(index_add(fixture.index, fixture.chunks_count,
                                   &fixture.chunks[fixture.chunks_count - 1].header,
                                   buffer_bytes(&fixture.chunks[fixture.chunks_count - 1].body)),
                         0);
    } while (!index_wants_flush(fixture.index));
    ck_assert_int_eq(index_flush(fixture.index, false), 0);
    size_t unsynced = disk_medium_unsynced(fixture.medium);
    ck_assert_uint_ge(unsynced, 3); // the new state, and the part in two batches or more
    index_fixture_crash(&fixture, unsynced - 2);
    ck_assert_uint_ne(fixture.index->redo_ordinal, 0);
    fixture.chunks[0].header.actor = 9; // a log that lost its end and got another
    ck_assert_int_eq(index_fixture_add(&fixture, SIZE_MAX), ERR_CORRUPT);
    index_fixture_crash(&fixture, 0);
    ck_assert(fixture.was_reset);
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

static void fill_and_close(void)
{
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 200);
    index_fixture_catch_up(&fixture);
    ck_assert_int_eq(index_flush(fixture.index, true), 0);
    index_fixture_close(&fixture);
}

static void check_was_reset(void)
{
    index_fixture_open(&fixture);
    ck_assert(fixture.was_reset);
    ck_assert_uint_eq(index_ordinal(fixture.index), 0);
    ck_assert_uint_eq(index_namespaces_count(fixture.index), 0);
    index_fixture_check(&fixture);
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}

START_TEST(damaged_state_empties_the_index)
{
    begin();
    fill_and_close();
    size_t bit = 32 + random_below(&fixture.random, 300);
    ck_assert_int_eq(disk_medium_flip(fixture.medium, INDEX_META, INDEX_STATE_KEY, bit), 0);
    check_was_reset();
}
END_TEST

START_TEST(other_format_empties_the_index)
{
    begin();
    fill_and_close();
    ck_assert_int_eq(disk_medium_flip(fixture.medium, INDEX_META, INDEX_STATE_KEY, 31), 0);
    check_was_reset();
}
END_TEST

START_TEST(damaged_intent_empties_the_index)
{
    begin();
    fill_and_close();
    ck_assert_int_eq(disk_medium_flip(fixture.medium, INDEX_META, INDEX_INTENT_KEY, 50), 0);
    check_was_reset();
}
END_TEST

START_TEST(reset_begins_from_nothing)
{
    begin();
    fill_and_close();
    index_fixture_open(&fixture);
    ck_assert(!fixture.was_reset);
    ck_assert_uint_gt(index_ordinal(fixture.index), 0);
    ck_assert_int_eq(index_reset(fixture.index), 0);
    ck_assert_uint_eq(index_ordinal(fixture.index), 0);
    index_fixture_check(&fixture);
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(every_failing_write_is_an_error_and_recovered_from)
{
    begin();
    fixture.names_count = 1500;
    index_fixture_open(&fixture);
    for (uint64_t nth = 1; nth < 25; nth++) {
        index_fixture_make(&fixture, 50);
        bool survives = random_below(&fixture.random, 2) == 0;
        disk_medium_fail(fixture.medium, DISK_FAULT_WRITE, nth, survives);
        int err = index_fixture_add(&fixture, SIZE_MAX);
        err = err ? err : index_flush(fixture.index, true);
        disk_medium_fail(fixture.medium, DISK_FAULT_WRITE, 0, false);
        ck_assert(err == 0 || err == ERR_IO);
        if (err) {
            ck_assert_int_eq(index_flush(fixture.index, false), ERR_IO);
        }
        index_fixture_crash(&fixture, 0);
        ck_assert(!fixture.was_reset);
        index_fixture_check(&fixture);
    }
    index_fixture_catch_up(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

// One read of everything; nothing it takes may leak when it fails.
static int read_all(struct filter *filter)
{
    struct index_cursor *cursor = NULL;
    struct version_vector watermark = {0};
    struct index_hit hit;
    struct buffer rows = {0};
    struct buffer next = {0};
    bool more;
    int result = index_cursor_open(fixture.index, filter, &cursor, &watermark);
    result = result == INDEX_SCAN
                 ? index_cursor_open_merging(fixture.index, filter, &cursor, &watermark)
                 : result;
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
        result =
            index_names_page(fixture.index, filter, bytes_of("", 0), 1000, &rows, &more, &next);
    }
    index_cursor_close(cursor);
    version_vector_deinit(&watermark);
    buffer_deinit(&rows);
    buffer_deinit(&next);
    return result;
}

START_TEST(every_failing_read_is_an_error)
{
    begin();
    fixture.part_events = 300;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 120);
    index_fixture_catch_up(&fixture);
    struct filter *filter = index_fixture_filter((const char *[]){"/a/n6*", "/b/**"}, 2);
    ck_assert_int_eq(read_all(filter), 0);
    int result = ERR_IO;
    for (uint64_t nth = 1; result != 0; nth++) {
        ck_assert_uint_lt(nth, 100000);
        disk_medium_fail(fixture.medium, DISK_FAULT_READ, nth, false);
        result = read_all(filter);
        ck_assert(result == 0 || result == ERR_IO);
    }
    disk_medium_fail(fixture.medium, DISK_FAULT_READ, 0, false);
    index_fixture_check(&fixture);
    filter_unref(filter);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(every_failing_read_while_adding_is_an_error)
{
    begin();
    fixture.names_count = 2000;
    fixture.memory_bytes_max = 128 << 10; // names are looked up on the disk
    index_fixture_open(&fixture);
    for (uint64_t nth = 1; nth < 40; nth++) {
        index_fixture_make(&fixture, 20);
        disk_medium_fail(fixture.medium, DISK_FAULT_READ, nth, false);
        int err = index_fixture_add(&fixture, SIZE_MAX);
        disk_medium_fail(fixture.medium, DISK_FAULT_READ, 0, false);
        ck_assert(err == 0 || err == ERR_IO);
        index_fixture_crash(&fixture, 0);
        ck_assert(!fixture.was_reset);
        index_fixture_check(&fixture);
    }
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(failing_reads_while_opening_are_errors_or_none)
{
    begin();
    fill_and_close();
    for (uint64_t nth = 1; nth < 10; nth++) {
        struct index *index = NULL;
        bool was_reset;
        ck_assert_int_eq(disk_memory_open(fixture.medium, INDEX_FAMILIES, &fixture.disk), 0);
        disk_medium_fail(fixture.medium, DISK_FAULT_READ, nth, false);
        int err = index_open(fixture.disk, fixture.memory_bytes_max, 7, &index, &was_reset);
        disk_medium_fail(fixture.medium, DISK_FAULT_READ, 0, false);
        ck_assert(err == ERR_IO || (err == 0 && !was_reset));
        index_close(index);
        disk_close(fixture.disk);
    }
    index_fixture_open(&fixture);
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

// Flips a bit of some block or summary; the same random numbers flip it back.
static void flip_somewhere(struct random random)
{
    struct disk_iterator *iterator;
    uint8_t key[POSTING_KEY_LENGTH];
    size_t bits = 0;
    uint64_t nth = random_below(&random, 200);
    ck_assert_int_eq(disk_iterator_open(fixture.disk, INDEX_POSTINGS, DISK_READ_POINT, &iterator),
                     0);
    disk_iterator_seek(iterator, bytes_of("", 0));
    for (; disk_iterator_is_valid(iterator) && nth > 0; nth--) {
        disk_iterator_next(iterator);
    }
    if (!disk_iterator_is_valid(iterator)) {
        disk_iterator_seek_to_last(iterator);
    }
    memcpy(key, disk_iterator_key(iterator).data, sizeof key);
    bits = 8 * disk_iterator_value(iterator).length;
    disk_iterator_close(iterator);
    ck_assert_int_eq(disk_medium_flip(fixture.medium, INDEX_POSTINGS, bytes_of(key, sizeof key),
                                      random_below(&random, bits)),
                     0);
}

START_TEST(damaged_blocks_are_errors_or_harmless)
{
    begin();
    fixture.part_events = 500;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 60);
    index_fixture_catch_up(&fixture);
    struct filter *filter = index_fixture_filter((const char *[]){"/a/**", "c/*"}, 2);
    for (int i = 0; i < 200; i++) {
        struct random random = fixture.random;
        flip_somewhere(random);
        int result = read_all(filter);
        ck_assert(result == 0 || result == ERR_CORRUPT);
        flip_somewhere(random);
        random_u64(&fixture.random);
    }
    index_fixture_check(&fixture);
    filter_unref(filter);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(cursor_sees_one_state_while_the_index_goes_on)
{
    begin();
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 100);
    index_fixture_catch_up(&fixture);
    struct filter *filter = index_fixture_filter((const char *[]){"/a/**"}, 1);
    struct index_cursor *cursor;
    struct version_vector watermark = {0};
    struct index_hit hit;
    ck_assert_int_eq(index_cursor_open_merging(fixture.index, filter, &cursor, &watermark), 0);
    index_fixture_make(&fixture, 300);
    index_fixture_catch_up(&fixture);
    int result;
    size_t count = 0;
    while ((result = index_cursor_next(cursor, &hit)) == 0) {
        struct event_id key = {hit.first, hit.actor};
        ck_assert(version_vector_covers(&watermark, key));
        count++;
    }
    ck_assert_int_eq(result, INDEX_END);
    ck_assert_uint_gt(count, 0);
    index_cursor_close(cursor);
    version_vector_deinit(&watermark);
    filter_unref(filter);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(scans_when_most_matches_and_merges_when_little_does)
{
    begin();
    fixture.part_events = 20000;
    fixture.names_count = 2000;
    index_fixture_open(&fixture);
    index_fixture_make(&fixture, 3000);
    index_fixture_catch_up(&fixture);
    struct index_cursor *cursor = NULL;
    struct version_vector watermark = {0};
    struct filter *everything = index_fixture_filter((const char *[]){"**"}, 1);
    struct filter *most = index_fixture_filter((const char *[]){"/a/**"}, 1);
    struct filter *rare = index_fixture_filter((const char *[]){"/b/n1994"}, 1);
    struct filter *none = index_fixture_filter((const char *[]){"/none/**"}, 1);
    ck_assert_int_eq(index_cursor_open(fixture.index, everything, &cursor, &watermark), INDEX_SCAN);
    ck_assert_int_eq(index_cursor_open(fixture.index, most, &cursor, &watermark), INDEX_SCAN);
    ck_assert_int_eq(index_cursor_open(fixture.index, rare, &cursor, &watermark), 0);
    index_cursor_close(cursor);
    ck_assert_int_eq(index_cursor_open(fixture.index, none, &cursor, &watermark), 0);
    index_cursor_close(cursor);
    filter_unref(everything);
    filter_unref(most);
    filter_unref(rare);
    filter_unref(none);
    version_vector_deinit(&watermark);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(page_of_names_ends_early_when_few_match)
{
    begin();
    fixture.part_events = 30000;
    index_fixture_open(&fixture);
    struct buffer body = {0};
    uint64_t counter = 1;
    for (uint32_t i = 0; i < 40000; i += 40) {
        buffer_clear(&body);
        for (uint32_t j = 0; j < 40; j++) {
            char name[32];
            snprintf(name, sizeof name, "/x%05u/%s", i + j, i + j == 39000 ? "rare" : "usual");
            ck_assert_int_eq(
                event_append(&body, bytes_of_text(name), bytes_of("", 0), bytes_of(NULL, 0)), 0);
        }
        struct chunk_header header = {.actor = 1, .count = 40, .first = counter};
        counter += 40;
        ck_assert_int_eq(index_add(fixture.index, i / 40 + 1, &header, buffer_bytes(&body)), 0);
    }
    ck_assert_int_eq(index_flush(fixture.index, false), 0);
    ck_assert_uint_eq(index_namespaces_count(fixture.index), 40000);
    struct filter *filter = index_fixture_filter((const char *[]){"**/rare"}, 1);
    struct buffer rows = {0};
    struct buffer after = {0};
    int pages = 0;
    for (bool more = true; more; pages++) {
        struct buffer next = {0};
        ck_assert_int_eq(
            index_names_page(fixture.index, filter, buffer_bytes(&after), 10, &rows, &more, &next),
            0);
        buffer_deinit(&after);
        after = next;
    }
    ck_assert_int_gt(pages, 1);
    struct bytes rest = buffer_bytes(&rows);
    struct namespace_row row;
    ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
    ck_assert(bytes_equal(row.name, bytes_of_text("/x39000/rare")));
    ck_assert_uint_eq(row.events, 1);
    ck_assert_uint_eq(rest.length, 0);
    buffer_deinit(&rows);
    buffer_deinit(&after);
    buffer_deinit(&body);
    filter_unref(filter);
    index_fixture_deinit(&fixture);
}
END_TEST

START_TEST(stays_within_its_memory)
{
    begin();
    fixture.names_count = INDEX_NAMES_MAX;
    fixture.memory_bytes_max = 2 << 20;
    fixture.part_events = 1000000;
    index_fixture_open(&fixture);
    for (int i = 0; i < 40; i++) {
        index_fixture_make(&fixture, 100);
        ck_assert_int_eq(index_fixture_add(&fixture, SIZE_MAX), 0);
        ck_assert_int_eq(index_flush(fixture.index, false), 0);
        ck_assert_uint_le(index_memory_bytes(fixture.index), fixture.memory_bytes_max);
    }
    index_fixture_check(&fixture);
    index_fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("index");
    suite_add(suite, empty_index_has_nothing);
    suite_add(suite, shows_only_what_was_flushed);
    suite_add(suite, trickle_is_seen_without_a_part_each);
    suite_add(suite, agrees_with_the_model_through_crashes);
    suite_add(suite, agrees_with_the_model_with_many_names);
    suite_add(suite, agrees_with_the_model_over_many_windows);
    suite_add(suite, agrees_with_the_model_in_little_memory);
    suite_add(suite, agrees_with_the_model_when_summaries_have_gone_round);
    suite_add(suite, agrees_with_the_model_on_a_real_disk);
    suite_add(suite, marks_of_scattered_windows_are_bounded);
    suite_add(suite, survives_a_crash_after_every_batch);
    suite_add(suite, cut_part_is_made_again_although_flushed_earlier);
    suite_add(suite, another_log_after_a_cut_part_empties_the_index);
    suite_add(suite, damaged_state_empties_the_index);
    suite_add(suite, other_format_empties_the_index);
    suite_add(suite, damaged_intent_empties_the_index);
    suite_add(suite, reset_begins_from_nothing);
    suite_add(suite, every_failing_write_is_an_error_and_recovered_from);
    suite_add(suite, every_failing_read_is_an_error);
    suite_add(suite, every_failing_read_while_adding_is_an_error);
    suite_add(suite, failing_reads_while_opening_are_errors_or_none);
    suite_add(suite, damaged_blocks_are_errors_or_harmless);
    suite_add(suite, cursor_sees_one_state_while_the_index_goes_on);
    suite_add(suite, scans_when_most_matches_and_merges_when_little_does);
    suite_add(suite, page_of_names_ends_early_when_few_match);
    suite_add(suite, stays_within_its_memory);
    return check_main(suite);
}
