// Crashes, faults and damage: what was acknowledged is there afterwards, no id is issued twice,
// and what is missing is said.
#include "proto/base/limits.h"
#include "storage/keys.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/log_fixture.h"

struct seen {
    const struct log_fixture *fixture;
    size_t at;
};

static void expect_model(void *context, struct event_id id, uint64_t timestamp_ms,
                         const struct event *event)
{
    struct seen *seen = context;
    ck_assert_uint_lt(seen->at, seen->fixture->events_count);
    const struct model_event *expected = &seen->fixture->events[seen->at++];
    ck_assert_uint_eq(id.counter, expected->id.counter);
    ck_assert_uint_eq(id.actor, expected->id.actor);
    ck_assert_uint_eq(strtoul((const char *)event->data.data, NULL, 10), expected->number);
}

// The log holds exactly the model's events.
static void check_all(struct log_fixture *fixture)
{
    struct read read;
    struct seen seen = {.fixture = fixture};
    fixture_sort(fixture);
    read_init(&read, READ_CANONICAL);
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    do {
        fixture_read(fixture, &read);
        ck_assert_msg(read.result == 0, "%s", read.reason.text);
        if (read.block != NULL) {
            block_visit(read.block, expect_model, &seen);
            block_unref(read.block);
            read.block = NULL;
        }
    } while (!read.done);
    ck_assert_uint_eq(seen.at, fixture->events_count);
    read_deinit(&read);
}

START_TEST(crashes_lose_nothing_and_repeat_no_id)
{
    uint64_t seed = test_seed();
    struct log_fixture fixture;
    uint64_t highest = 0;
    fixture_init(&fixture, seed);
    fixture_open(&fixture);
    for (unsigned round = 0; round < 40; round++) {
        unsigned operations = 1 + (unsigned)random_below(&fixture.random, 6);
        for (unsigned i = 0; i < operations; i++) {
            uint64_t first =
                fixture_produce(&fixture, 1 + (unsigned)random_below(&fixture.random, 100));
            ck_assert_uint_gt(first, highest);
            highest = version_vector_get(store_port_vector(fixture.port), 1);
            fixture_replicate(&fixture, (unsigned)random_below(&fixture.random, FIXTURE_PEERS), 2);
        }
        if (random_below(&fixture.random, 4) == 0) {
            fixture_close(&fixture);
        } else {
            fixture_abandon(&fixture);
            size_t unsynced = disk_medium_unsynced(fixture.log_medium);
            disk_medium_crash(fixture.log_medium, random_below(&fixture.random, unsynced + 1));
            size_t index_unsynced = disk_medium_unsynced(fixture.index_medium);
            disk_medium_crash(fixture.index_medium,
                              random_below(&fixture.random, index_unsynced + 1));
        }
        fixture_open(&fixture);
        check_all(&fixture);
    }
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(an_unclean_start_goes_on_above_the_lease)
{
    struct log_fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    fixture_produce(&fixture, 10);
    fixture_abandon(&fixture);
    fixture_open(&fixture);
    ck_assert(!fixture.recovery.was_clean);
    ck_assert_uint_gt(fixture_produce(&fixture, 1), COUNTER_LEASE_STEP);
    check_all(&fixture);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

// Produces until the n-th write or sync fails, as a crash would then find the disk.
static void fail_at(enum disk_fault fault, uint64_t nth, bool survives, bool *reached_out)
{
    struct log_fixture fixture;
    struct reason reason = {0};
    struct append append;
    struct append_run run;
    struct buffer event = {0};
    unsigned acknowledged = 0;
    fixture_init(&fixture, 1);
    disk_medium_fail(fixture.log_medium, fault, nth, survives);
    ck_assert_int_eq(
        event_append(&event, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    run = (struct append_run){.length = (uint32_t)event.length, .count = 1};
    *reached_out = true;
    if (fixture_try_open(&fixture, &reason) == 0) {
        int result = 0;
        for (unsigned i = 0; i < 10 && result == 0; i++) {
            append = (struct append){.kind = APPEND_PRODUCE,
                                     .bytes = buffer_bytes(&event),
                                     .runs = &run,
                                     .runs_count = 1,
                                     .events = 1};
            store_append(fixture.port, &append);
            store_port_flush(fixture.port);
            ck_assert(store_step_commit(fixture.store, 1));
            store_port_refresh(fixture.port);
            ck_assert_ptr_eq(store_port_take_append(fixture.port), &append);
            result = append.result;
            acknowledged += result == 0;
        }
        *reached_out = result != 0;
        ck_assert(result == 0 || result == ERR_UNKNOWN);
        fixture_abandon(&fixture);
    }
    disk_medium_fail(fixture.log_medium, fault, 0, false);
    fixture_open(&fixture);
    struct store_status status;
    store_status(fixture.store, &status);
    ck_assert_uint_ge(status.events, acknowledged);
    ck_assert_uint_le(status.events, acknowledged + 1u);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
    buffer_deinit(&event);
}

START_TEST(a_failure_of_any_write_or_sync_loses_nothing_acknowledged)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        enum disk_fault fault = kind < 2 ? DISK_FAULT_WRITE : DISK_FAULT_SYNC;
        bool reached = true;
        uint64_t nth = 1;
        for (; reached; nth++) {
            ck_assert_uint_lt(nth, 100);
            fail_at(fault, nth, kind % 2 == 0, &reached);
        }
        ck_assert_uint_gt(nth, 10);
    }
}
END_TEST

START_TEST(a_failure_of_any_read_is_an_error_never_an_end)
{
    struct log_fixture fixture;
    bool reached = true;
    fixture_init(&fixture, 7);
    fixture_open(&fixture);
    fixture_produce_group(&fixture, 40);
    fixture_replicate(&fixture, 0, 10);
    fixture_sort(&fixture);
    for (uint64_t nth = 1; reached; nth++) {
        struct read read;
        struct seen seen = {.fixture = &fixture};
        ck_assert_uint_lt(nth, 10000);
        disk_medium_fail(fixture.log_medium, DISK_FAULT_READ, nth, false);
        read_init(&read, READ_CANONICAL);
        ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
        do {
            fixture_read(&fixture, &read);
            if (read.block != NULL) {
                block_visit(read.block, expect_model, &seen);
                block_unref(read.block);
                read.block = NULL;
            }
        } while (read.result == 0 && !read.done);
        reached = read.result != 0;
        ck_assert(reached || seen.at == fixture.events_count);
        read_deinit(&read);
    }
    disk_medium_fail(fixture.log_medium, DISK_FAULT_READ, 0, false);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

static struct bytes chunk_key(const struct model_event *event, uint8_t key[EVENT_ID_KEY_LENGTH])
{
    event_id_encode_key(event->id, key);
    return bytes_of(key, EVENT_ID_KEY_LENGTH);
}

START_TEST(a_hole_below_the_head_is_refused_and_named_and_can_be_accepted)
{
    struct log_fixture fixture;
    struct reason reason = {0};
    uint8_t key[EVENT_ID_KEY_LENGTH];
    fixture_init(&fixture, 8);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 10; i++) {
        fixture_produce(&fixture, 10);
    }
    fixture_abandon(&fixture);
    ck_assert_int_eq(
        disk_medium_remove(fixture.log_medium, LOG_CHUNKS, chunk_key(&fixture.events[50], key)), 0);
    ck_assert_int_eq(fixture_try_open(&fixture, &reason), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(reason.text, "above counter 50 up to 60"));
    ck_assert_ptr_nonnull(strstr(reason.text, "--accept-loss"));
    fixture.config.accept_loss = true;
    fixture_open(&fixture);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 1), 50);
    fixture.events_count = 50;
    ck_assert_uint_gt(fixture_produce(&fixture, 10), 100); // never an id of what is gone
    check_all(&fixture);
    fixture_close(&fixture);
    fixture.config.accept_loss = false;
    fixture_open(&fixture);
    check_all(&fixture);
    struct store_status status;
    store_status(fixture.store, &status);
    ck_assert_uint_eq(status.events, 60);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(after_an_accepted_loss_of_the_newest_the_index_goes_on)
{
    struct log_fixture fixture;
    struct read read;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    fixture_init(&fixture, 10);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 10; i++) {
        fixture_produce(&fixture, 10);
    }
    fixture_abandon(&fixture);
    ck_assert_int_eq(
        disk_medium_remove(fixture.log_medium, LOG_CHUNKS, chunk_key(&fixture.events[70], key)), 0);
    fixture.config.accept_loss = true;
    fixture_open(&fixture);
    ck_assert_uint_eq(store_port_ordinal(fixture.port), 7);
    fixture_index(&fixture);
    read_init(&read, READ_NAMESPACES);
    read.page_max = 1000;
    fixture_read(&fixture, &read);
    ck_assert_msg(read.result == 0, "%s", read.reason.text);
    ck_assert(read.done);
    read_deinit(&read);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

// As when the part of the write-ahead log that is lost held a renewal of the lease.
static void write_lease(struct log_fixture *fixture, uint64_t lease)
{
    uint8_t value[8];
    struct disk *disk;
    ck_assert_int_eq(disk_memory_open(fixture->log_medium, LOG_FAMILIES, &disk), 0);
    struct disk_batch *batch = disk_batch_new(disk);
    ck_assert_ptr_nonnull(batch);
    store_be64(value, lease);
    disk_batch_put(batch, LOG_META, bytes_of_text("lease"), bytes_of(value, sizeof value));
    ck_assert_int_eq(disk_write(disk, batch), 0);
    ck_assert_int_eq(disk_sync(disk), 0);
    disk_batch_free(batch);
    disk_close(disk);
}

START_TEST(an_accepted_loss_repeats_no_id_when_the_lease_is_lost_too)
{
    struct log_fixture fixture;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    fixture_init(&fixture, 11);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 10; i++) {
        fixture_produce(&fixture, 10);
    }
    fixture_abandon(&fixture);
    write_lease(&fixture, 20);
    ck_assert_int_eq(
        disk_medium_remove(fixture.log_medium, LOG_CHUNKS, chunk_key(&fixture.events[50], key)), 0);
    fixture.config.accept_loss = true;
    fixture_open(&fixture);
    fixture.events_count = 50;
    ck_assert_uint_gt(fixture_produce(&fixture, 1), 100);
    check_all(&fixture);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_flipped_bit_is_found_by_the_walk_and_by_reads)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 30; round++) {
        struct log_fixture fixture;
        struct reason reason = {0};
        struct read read;
        uint8_t key[EVENT_ID_KEY_LENGTH];
        fixture_init(&fixture, seed + round);
        fixture_open(&fixture);
        for (unsigned i = 0; i < 10; i++) {
            fixture_produce(&fixture, 3);
        }
        size_t chunk = random_below(&fixture.random, 10);
        ck_assert_int_eq(disk_medium_flip(fixture.log_medium, LOG_CHUNKS,
                                          chunk_key(&fixture.events[chunk * 3], key),
                                          random_below(&fixture.random, 8 * 100)),
                         0);
        read_init(&read, READ_CANONICAL);
        ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
        fixture_read(&fixture, &read);
        ck_assert_int_eq(read.result, ERR_CORRUPT);
        char id[EVENT_ID_SHORT_LENGTH_MAX + 1];
        event_id_format_short(fixture.events[chunk * 3].id, id);
        ck_assert_msg(strstr(read.reason.text, id) != NULL, "%s: %s", id, read.reason.text);
        read_deinit(&read);
        fixture_abandon(&fixture);
        ck_assert_int_eq(fixture_try_open(&fixture, &reason), ERR_CORRUPT);
        fixture_deinit(&fixture);
    }
}
END_TEST

START_TEST(a_newer_format_is_refused)
{
    struct log_fixture fixture;
    struct reason reason = {0};
    fixture_init(&fixture, 9);
    fixture_open(&fixture);
    fixture_close(&fixture);
    ck_assert_int_eq(
        disk_medium_flip(fixture.log_medium, LOG_META, bytes_of_text("format"), 7 * 8 + 1), 0);
    ck_assert_int_eq(fixture_try_open(&fixture, &reason), ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(reason.text, "format 3"));
    fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_recovery");
    suite_add(suite, crashes_lose_nothing_and_repeat_no_id);
    suite_add(suite, an_unclean_start_goes_on_above_the_lease);
    suite_add(suite, a_failure_of_any_write_or_sync_loses_nothing_acknowledged);
    suite_add(suite, a_failure_of_any_read_is_an_error_never_an_end);
    suite_add(suite, a_hole_below_the_head_is_refused_and_named_and_can_be_accepted);
    suite_add(suite, after_an_accepted_loss_of_the_newest_the_index_goes_on);
    suite_add(suite, an_accepted_loss_repeats_no_id_when_the_lease_is_lost_too);
    suite_add(suite, a_flipped_bit_is_found_by_the_walk_and_by_reads);
    suite_add(suite, a_newer_format_is_refused);
    return check_main(suite);
}
