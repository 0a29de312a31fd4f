// Appends become chunks: ids, limits, atomic produces, chains of other actors, refusals.
#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/log_fixture.h"

// Reads the whole log in order of arrival as chunks.
static struct block *read_chunks(struct log_fixture *fixture)
{
    struct read read;
    read_init(&read, READ_ARRIVAL);
    read.ordinal = 1;
    read.ordinal_end = store_port_ordinal(fixture->port);
    read.bytes_max = 64 * MIB;
    fixture_read(fixture, &read);
    ck_assert_int_eq(read.result, 0);
    ck_assert(read.done);
    struct block *block = read.block;
    read.block = NULL;
    read_deinit(&read);
    return block;
}

START_TEST(ids_begin_at_one_and_follow_each_other)
{
    struct log_fixture fixture;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    ck_assert_uint_eq(fixture_produce(&fixture, 1), 1);
    ck_assert_uint_eq(fixture_produce(&fixture, 200), 2);
    ck_assert_uint_eq(fixture_produce(&fixture, 1), 202);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 1), 202);
    fixture_close(&fixture);
    fixture_open(&fixture); // a clean stop: ids go on without a jump
    ck_assert(fixture.recovery.was_clean);
    ck_assert_uint_eq(fixture_produce(&fixture, 1), 203);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(chunks_are_chained_bounded_and_say_what_is_open)
{
    struct log_fixture fixture;
    struct chunk_header header;
    struct bytes chunk;
    uint64_t prev = 0;
    uint32_t open = 0;
    unsigned count = 0;
    struct hash128 hash = {0};
    fixture_init(&fixture, 2);
    fixture_open(&fixture);
    fixture_produce(&fixture, 1000);
    fixture_produce_group(&fixture, 50);
    struct block *block = read_chunks(&fixture);
    struct bytes rest = block_bytes(block);
    while (rest.length > 0) {
        ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
        ck_assert_uint_eq(header.prev, prev);
        ck_assert(hash128_equal(&header.prev_hash, &hash));
        ck_assert_uint_le(header.count, CHUNK_EVENTS_MAX);
        ck_assert_uint_le(header.plain_length, CHUNK_BODY_BYTES_CLOSE);
        if (open > 0) {
            ck_assert_uint_eq(header.first, prev + 1);
            ck_assert(header.count >= open || header.open == open - header.count);
        }
        open = header.open;
        prev = chunk_last(&header);
        hash = chunk_hash(chunk.data);
        count++;
    }
    ck_assert_uint_eq(open, 0);
    ck_assert_uint_gt(count, 16);
    block_unref(block);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(small_appends_of_one_commit_share_chunks)
{
    struct log_fixture fixture;
    struct append appends[64];
    struct append_run runs[64];
    struct buffer event = {0};
    fixture_init(&fixture, 3);
    fixture_open(&fixture);
    ck_assert_int_eq(
        event_append(&event, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    for (unsigned i = 0; i < 64; i++) {
        runs[i] = (struct append_run){.length = (uint32_t)event.length, .count = 1};
        appends[i] = (struct append){.kind = APPEND_PRODUCE,
                                     .bytes = buffer_bytes(&event),
                                     .runs = &runs[i],
                                     .runs_count = 1,
                                     .events = 1};
        store_append(fixture.port, &appends[i]);
    }
    store_port_flush(fixture.port);
    ck_assert(store_step_commit(fixture.store, 1));
    ck_assert_ptr_null(store_port_take_append(fixture.port)); // only after a refresh
    store_port_refresh(fixture.port);
    for (unsigned i = 0; i < 64; i++) {
        ck_assert_ptr_eq(store_port_take_append(fixture.port), &appends[i]);
        ck_assert_uint_eq(appends[i].first, i + 1);
    }
    ck_assert_uint_eq(store_port_ordinal(fixture.port), 1);
    struct block *block = store_recent(fixture.port, 1);
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_eq(block->events, 64);
    ck_assert_ptr_null(store_recent(fixture.port, 2));
    block_unref(block);
    buffer_deinit(&event);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

static struct append append_chunks(struct log_fixture *fixture, struct bytes bytes)
{
    struct append append = {.kind = APPEND_CHUNKS, .bytes = bytes};
    store_append(fixture->port, &append);
    store_port_flush(fixture->port);
    ck_assert(store_step_commit(fixture->store, 1));
    store_port_refresh(fixture->port);
    ck_assert_ptr_eq(store_port_take_append(fixture->port), &append);
    return append;
}

// Three chunks of actor 9, one event each, the first two as one produce.
static void foreign_chunks(struct buffer out[3])
{
    struct buffer event = {0};
    struct chunk_header header = {.actor = 9, .count = 1, .first = 5, .open = 1};
    ck_assert_int_eq(
        event_append(&event, bytes_of_text("/f"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(chunk_append(&out[i], &header, buffer_bytes(&event), NULL), 0);
        header.prev = header.first;
        header.prev_hash = chunk_hash(out[i].data);
        header.first += 2;
        header.open = 0;
    }
    buffer_deinit(&event);
}

START_TEST(chunks_of_others_are_applied_in_chain_order_once_and_complete)
{
    struct log_fixture fixture;
    struct buffer chunks[3] = {0};
    struct buffer both = {0};
    fixture_init(&fixture, 4);
    fixture_open(&fixture);
    foreign_chunks(chunks);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&chunks[2])).result, STORE_GAP);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&chunks[0])).result, ERR_INVALID);
    ck_assert_uint_eq(store_port_ordinal(fixture.port), 0);
    ck_assert_int_eq(buffer_append(&both, buffer_bytes(&chunks[0])), 0);
    ck_assert_int_eq(buffer_append(&both, buffer_bytes(&chunks[1])), 0);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&both)).result, 0);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&both)).result, STORE_DUPLICATE);
    ck_assert_int_eq(buffer_append(&both, buffer_bytes(&chunks[2])), 0);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&both)).result, 0);
    ck_assert_uint_eq(store_port_ordinal(fixture.port), 3);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 9), 9);
    // What is accepted now sorts behind what is held, and behind what was only seen.
    ck_assert_uint_eq(fixture_produce(&fixture, 1), 10);
    store_clock_raise(fixture.store, 5000);
    store_clock_raise(fixture.store, 4000);
    ck_assert_uint_eq(fixture_produce(&fixture, 1), 5001);
    for (unsigned i = 0; i < 3; i++) {
        buffer_deinit(&chunks[i]);
    }
    buffer_deinit(&both);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(chunks_of_others_out_of_order_are_refused)
{
    struct log_fixture fixture;
    struct buffer chunks[3] = {0};
    struct buffer bytes = {0};
    fixture_init(&fixture, 7);
    fixture_open(&fixture);
    foreign_chunks(chunks);
    ck_assert_int_eq(buffer_append(&bytes, buffer_bytes(&chunks[0])), 0);
    ck_assert_int_eq(buffer_append(&bytes, buffer_bytes(&chunks[1])), 0);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&bytes)).result, 0);
    buffer_clear(&bytes);
    ck_assert_int_eq(buffer_append(&bytes, buffer_bytes(&chunks[2])), 0);
    ck_assert_int_eq(buffer_append(&bytes, buffer_bytes(&chunks[1])), 0);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&bytes)).result, ERR_INVALID);
    ck_assert_uint_eq(store_port_ordinal(fixture.port), 2);
    ck_assert_int_eq(append_chunks(&fixture, buffer_bytes(&chunks[2])).result, 0);
    for (unsigned i = 0; i < 3; i++) {
        buffer_deinit(&chunks[i]);
    }
    buffer_deinit(&bytes);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

static int try_produce(struct log_fixture *fixture)
{
    struct buffer event = {0};
    ck_assert_int_eq(
        event_append(&event, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    struct append_run run = {.length = (uint32_t)event.length, .count = 1};
    struct append append = {.kind = APPEND_PRODUCE,
                            .bytes = buffer_bytes(&event),
                            .runs = &run,
                            .runs_count = 1,
                            .events = 1};
    store_append(fixture->port, &append);
    store_port_flush(fixture->port);
    ck_assert(store_step_commit(fixture->store, 1));
    store_port_refresh(fixture->port);
    ck_assert_ptr_eq(store_port_take_append(fixture->port), &append);
    buffer_deinit(&event);
    return append.result;
}

START_TEST(below_the_disk_reserve_produce_is_refused_and_resumes_by_itself)
{
    struct log_fixture fixture;
    struct store_status status;
    fixture_init(&fixture, 5);
    fixture.config.reserve_bytes = 1000;
    fixture_open(&fixture);
    ck_assert_int_eq(try_produce(&fixture), 0);
    disk_medium_set_free(fixture.log_medium, 999);
    ck_assert_int_eq(try_produce(&fixture), ERR_FULL);
    store_status(fixture.store, &status);
    ck_assert(status.is_full);
    ck_assert_uint_eq(status.events, 1);
    disk_medium_set_free(fixture.log_medium, 1000);
    ck_assert_int_eq(try_produce(&fixture), 0);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(nothing_is_visible_before_the_sync)
{
    struct log_fixture fixture;
    fixture_init(&fixture, 6);
    fixture_open(&fixture);
    disk_medium_fail(fixture.log_medium, DISK_FAULT_SYNC, 1, true);
    ck_assert_int_eq(try_produce(&fixture), ERR_UNKNOWN);
    ck_assert_uint_eq(store_port_ordinal(fixture.port), 0);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 1), 0);
    ck_assert_ptr_null(store_recent(fixture.port, 1));
    ck_assert_int_eq(store_port_fatal(fixture.port), ERR_IO);
    ck_assert_int_eq(try_produce(&fixture), ERR_CLOSED); // an fsync is never tried again
    fixture_abandon(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_commit");
    suite_add(suite, ids_begin_at_one_and_follow_each_other);
    suite_add(suite, chunks_are_chained_bounded_and_say_what_is_open);
    suite_add(suite, small_appends_of_one_commit_share_chunks);
    suite_add(suite, chunks_of_others_are_applied_in_chain_order_once_and_complete);
    suite_add(suite, chunks_of_others_out_of_order_are_refused);
    suite_add(suite, below_the_disk_reserve_produce_is_refused_and_resumes_by_itself);
    suite_add(suite, nothing_is_visible_before_the_sync);
    return check_main(suite);
}
