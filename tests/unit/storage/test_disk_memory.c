// What the memory disk does beyond a disk: crashes, faults and damage.

#include "tests/unit/check_main.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/storage/disk_fixture.h"

static struct disk_fixture fixture;

static struct disk *setup(void)
{
    disk_fixture_init(&fixture, DISK_KIND_MEMORY);
    return fixture.disk;
}

static void teardown(void)
{
    disk_fixture_deinit(&fixture);
}

static struct disk *crash(size_t dropped)
{
    disk_fixture_close(&fixture);
    disk_medium_crash(fixture.medium, dropped);
    disk_fixture_reopen(&fixture);
    return fixture.disk;
}

static int put(struct disk *disk, const char *key, const char *value)
{
    struct disk_batch *batch = disk_batch_new(disk);
    disk_batch_put(batch, 0, bytes_of_text(key), bytes_of_text(value));
    int result = disk_write(disk, batch);
    disk_batch_free(batch);
    return result;
}

START_TEST(a_crash_drops_the_last_batches_whole)
{
    struct disk *disk = setup();
    disk_fixture_put(disk, 0, "a", "1");
    ck_assert_int_eq(disk_sync(disk), 0);
    ck_assert_uint_eq(disk_medium_unsynced(fixture.medium), 0);
    disk_fixture_put(disk, 0, "a", "2");
    struct disk_batch *batch = disk_batch_new(disk);
    disk_batch_put(batch, 0, bytes_of_text("b"), bytes_of_text("3"));
    disk_batch_put(batch, 1, bytes_of_text("b"), bytes_of_text("3"));
    disk_batch_delete(batch, 0, bytes_of_text("a"));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    disk_batch_free(batch);
    ck_assert_uint_eq(disk_medium_unsynced(fixture.medium), 2);
    disk_fixture_expect(disk, 0, "b=3");

    disk = crash(1);
    disk_fixture_expect(disk, 0, "a=2");
    disk_fixture_expect(disk, 1, "");
    ck_assert_uint_eq(disk_medium_unsynced(fixture.medium), 0);
    disk_fixture_put(disk, 0, "c", "4");
    disk = crash(0);
    disk_fixture_expect(disk, 0, "a=2 c=4");
    disk_fixture_put(disk, 0, "a", "5");
    disk_fixture_put(disk, 0, "c", "5");
    disk = crash(2);
    disk_fixture_expect(disk, 0, "a=2 c=4");
    teardown();
}
END_TEST

START_TEST(closing_does_not_sync)
{
    struct disk *disk = setup();
    disk_fixture_put(disk, 0, "a", "1");
    disk_fixture_reopen(&fixture);
    disk_fixture_expect(fixture.disk, 0, "a=1");
    ck_assert_uint_eq(disk_medium_unsynced(fixture.medium), 1);
    disk = crash(1);
    disk_fixture_expect(disk, 0, "");
    ck_assert_uint_eq(disk_used_bytes(disk), 0);
    teardown();
}
END_TEST

START_TEST(a_failed_write_survives_or_not_and_ends_writing)
{
    for (int survives = 0; survives < 2; survives++) {
        struct disk *disk = setup();
        ck_assert_int_eq(put(disk, "a", "1"), 0);
        disk_medium_fail(fixture.medium, DISK_FAULT_WRITE, 2, survives);
        ck_assert_int_eq(put(disk, "b", "2"), 0);
        ck_assert_int_eq(put(disk, "c", "3"), ERR_IO);
        ck_assert_int_eq(put(disk, "d", "4"), ERR_IO);
        ck_assert_int_eq(disk_sync(disk), ERR_IO);
        ck_assert_int_eq(disk_flush(disk), ERR_IO);
        disk = crash(0);
        disk_fixture_expect(disk, 0, survives ? "a=1 b=2 c=3" : "a=1 b=2");
        ck_assert_int_eq(put(disk, "d", "4"), 0);
        teardown();
    }
}
END_TEST

START_TEST(a_failed_sync_survives_or_not_and_ends_writing)
{
    for (int survives = 0; survives < 2; survives++) {
        struct disk *disk = setup();
        ck_assert_int_eq(put(disk, "a", "1"), 0);
        ck_assert_int_eq(disk_sync(disk), 0);
        disk_medium_fail(fixture.medium, DISK_FAULT_SYNC, 1, survives);
        ck_assert_int_eq(put(disk, "b", "2"), 0);
        ck_assert_int_eq(disk_sync(disk), ERR_IO);
        ck_assert_int_eq(put(disk, "c", "3"), ERR_IO);
        ck_assert_uint_eq(disk_medium_unsynced(fixture.medium), survives ? 0 : 1);
        disk = crash(0);
        disk_fixture_expect(disk, 0, survives ? "a=1 b=2" : "a=1");
        teardown();
    }
}
END_TEST

START_TEST(a_fault_is_disarmed_by_zero)
{
    struct disk *disk = setup();
    disk_medium_fail(fixture.medium, DISK_FAULT_WRITE, 1, false);
    disk_medium_fail(fixture.medium, DISK_FAULT_WRITE, 0, false);
    ck_assert_int_eq(put(disk, "a", "1"), 0);
    teardown();
}
END_TEST

START_TEST(a_failed_read_is_an_error_and_not_the_end)
{
    struct disk *disk = setup();
    disk_fixture_put(disk, 0, "a", "1");
    disk_fixture_put(disk, 0, "b", "2");
    struct buffer value = {0};
    disk_medium_fail(fixture.medium, DISK_FAULT_READ, 1, false);
    ck_assert_int_eq(disk_get(disk, 0, bytes_of_text("a"), &value), ERR_IO);
    ck_assert_int_eq(disk_get(disk, 0, bytes_of_text("a"), &value), 0);
    buffer_deinit(&value);
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 0, DISK_READ_SCAN, &iterator), 0);
    disk_medium_fail(fixture.medium, DISK_FAULT_READ, 2, false);
    disk_iterator_seek(iterator, bytes_of_text("a"));
    ck_assert(disk_iterator_is_valid(iterator));
    disk_iterator_next(iterator);
    ck_assert(!disk_iterator_is_valid(iterator));
    ck_assert_int_eq(disk_iterator_status(iterator), ERR_IO);
    disk_iterator_seek(iterator, bytes_of_text("b"));
    ck_assert(disk_iterator_is_valid(iterator));
    ck_assert_int_eq(disk_iterator_status(iterator), 0);
    disk_iterator_close(iterator);
    teardown();
}
END_TEST

START_TEST(damage_is_there_after_reopening)
{
    struct disk *disk = setup();
    disk_fixture_put(disk, 0, "a", "1");
    disk_fixture_put(disk, 0, "b", "2");
    disk_fixture_put(disk, 1, "a", "3");
    ck_assert_int_eq(disk_sync(disk), 0);
    ck_assert_int_eq(disk_medium_flip(fixture.medium, 0, bytes_of_text("a"), 1), 0);
    ck_assert_int_eq(disk_medium_flip(fixture.medium, 0, bytes_of_text("c"), 0), DISK_NOT_FOUND);
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 0, DISK_READ_SCAN, &iterator), 0);
    disk_iterator_seek_to_last(iterator);
    ck_assert_int_eq(disk_medium_remove(fixture.medium, 0, bytes_of_text("b")), 0);
    ck_assert_int_eq(disk_medium_remove(fixture.medium, 0, bytes_of_text("b")), DISK_NOT_FOUND);
    ck_assert(bytes_equal(disk_iterator_value(iterator), bytes_of_text("2")));
    disk_iterator_close(iterator);
    disk_fixture_expect(disk, 0, "a=3");
    disk_fixture_reopen(&fixture);
    disk_fixture_expect(fixture.disk, 0, "a=3");
    disk_fixture_put(fixture.disk, 0, "b", "4");
    disk_fixture_expect(fixture.disk, 0, "a=3 b=4");
    disk_fixture_expect(fixture.disk, 1, "a=3");
    teardown();
}
END_TEST

START_TEST(free_space_is_what_was_set)
{
    struct disk *disk = setup();
    ck_assert_uint_eq(disk_free_bytes(disk), UINT64_MAX);
    disk_medium_set_free(fixture.medium, 4711);
    ck_assert_uint_eq(disk_free_bytes(disk), 4711);
    teardown();
}
END_TEST

START_TEST(versions_nobody_can_see_are_freed)
{
    struct disk *disk = setup();
    disk_fixture_put(disk, 0, "key", "value 0");
    ck_assert_int_eq(disk_sync(disk), 0);
    uint64_t one = disk_used_bytes(disk);
    struct disk_iterator *iterator;
    ck_assert_int_eq(disk_iterator_open(disk, 0, DISK_READ_POINT, &iterator), 0);
    for (unsigned i = 0; i < 100; i++) {
        disk_fixture_put(disk, 0, "key", "value n");
        ck_assert_int_eq(disk_sync(disk), 0);
    }
    ck_assert_uint_eq(disk_used_bytes(disk), 101 * one);
    disk_iterator_seek_to_last(iterator);
    ck_assert(bytes_equal(disk_iterator_value(iterator), bytes_of_text("value 0")));
    disk_iterator_close(iterator);
    disk_fixture_put(disk, 0, "key", "value n");
    ck_assert_uint_le(disk_used_bytes(disk), 2 * one);
    teardown();
}
END_TEST

static atomic_bool has_written;

// Every batch writes the same number under all keys: a reader must never see two of them.
static void *read_in_a_thread(void *argument)
{
    struct disk *disk = argument;
    bool is_last = false;
    while (!is_last) {
        is_last = atomic_load(&has_written);
        struct disk_iterator *iterator;
        ck_assert_int_eq(disk_iterator_open(disk, 0, DISK_READ_SCAN, &iterator), 0);
        unsigned count = 0;
        uint32_t number = 0;
        disk_iterator_seek(iterator, bytes_of("", 0));
        for (; disk_iterator_is_valid(iterator); disk_iterator_next(iterator)) {
            uint32_t found = load_be32(disk_iterator_value(iterator).data);
            ck_assert(count++ == 0 || found == number);
            number = found;
        }
        ck_assert(count == 0 || count == 10);
        disk_iterator_close(iterator);
    }
    return NULL;
}

START_TEST(threads_read_batches_whole_while_one_writes)
{
    struct disk *disk = setup();
    enum { READERS = 3 };
    pthread_t readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_in_a_thread, disk), 0);
    }
    struct disk_batch *batch = disk_batch_new(disk);
    for (uint32_t number = 0; number < 2000; number++) {
        disk_batch_clear(batch);
        uint8_t value[4];
        store_be32(value, number);
        for (char key = 'a'; key < 'a' + 10; key++) {
            disk_batch_put(batch, 0, bytes_of(&key, 1), bytes_of(value, sizeof value));
        }
        ck_assert_int_eq(disk_write(disk, batch), 0);
        ck_assert_int_eq(disk_sync(disk), 0);
    }
    atomic_store(&has_written, true);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_join(readers[i], NULL), 0);
    }
    disk_batch_free(batch);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk_memory");
    suite_add(suite, a_crash_drops_the_last_batches_whole);
    suite_add(suite, closing_does_not_sync);
    suite_add(suite, a_failed_write_survives_or_not_and_ends_writing);
    suite_add(suite, a_failed_sync_survives_or_not_and_ends_writing);
    suite_add(suite, a_fault_is_disarmed_by_zero);
    suite_add(suite, a_failed_read_is_an_error_and_not_the_end);
    suite_add(suite, damage_is_there_after_reopening);
    suite_add(suite, free_space_is_what_was_set);
    suite_add(suite, versions_nobody_can_see_are_freed);
    suite_add(suite, threads_read_batches_whole_while_one_writes);
    return check_main(suite);
}
