// What a cluster asks of the log: records, promises, a later actor, forks, counters from nowhere,
// strands for peers, and where stable readers go on.
#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/log_fixture.h"

static void setup(struct log_fixture *fixture)
{
    fixture_init(fixture, 11);
    fixture_open(fixture);
}

static void teardown(struct log_fixture *fixture)
{
    fixture_close(fixture);
    fixture_deinit(fixture);
}

// Goes on as after a crash that kept nothing but what was synced.
static void crash(struct log_fixture *fixture)
{
    fixture_abandon(fixture);
    disk_medium_crash(fixture->log_medium, disk_medium_unsynced(fixture->log_medium));
    fixture_open(fixture);
}

static struct append promise(struct log_fixture *fixture)
{
    struct append append = {.kind = APPEND_PROMISE};
    ck_assert_int_eq(fixture_submit(fixture, &append), 0);
    return append;
}

static uint64_t own_last(const struct log_fixture *fixture)
{
    return version_vector_get(store_port_vector(fixture->port), fixture->config.actor);
}

// --- Records -------------------------------------------------------------------------------------

static int note_record(void *context, struct bytes key, struct bytes value)
{
    struct buffer *text = context;
    ck_assert_int_eq(buffer_append(text, key), 0);
    ck_assert_int_eq(buffer_append(text, bytes_of_text("=")), 0);
    ck_assert_int_eq(buffer_append(text, value), 0);
    return buffer_append(text, bytes_of_text(" "));
}

static void expect_records(struct log_fixture *fixture, const char *expected)
{
    struct buffer text = {0};
    ck_assert_int_eq(store_records(fixture->store, note_record, &text), 0);
    ck_assert_msg(bytes_equal(buffer_bytes(&text), bytes_of_text(expected)), "%.*s",
                  (int)text.length, (const char *)text.data);
    buffer_deinit(&text);
}

START_TEST(records_are_kept_across_crashes)
{
    struct log_fixture fixture;
    setup(&fixture);
    struct append_record records[] = {
        {.key = bytes_of_text("b"), .value = bytes_of_text("two")},
        {.key = bytes_of_text("a"), .value = bytes_of_text("one")},
    };
    struct append append = {.kind = APPEND_RECORDS, .records = records, .records_count = 2};
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    crash(&fixture);
    expect_records(&fixture, "a=one b=two ");
    records[0].value = (struct bytes){0};
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    crash(&fixture);
    expect_records(&fixture, "a=one ");
    records[0].key = (struct bytes){0};
    ck_assert_int_eq(fixture_submit(&fixture, &append), ERR_INVALID);
    teardown(&fixture);
}
END_TEST

// --- Promises ------------------------------------------------------------------------------------

START_TEST(no_counter_is_issued_at_or_below_a_promise_not_even_after_a_crash)
{
    struct log_fixture fixture;
    uint64_t highest = 0;
    setup(&fixture);
    for (unsigned round = 0; round < 30; round++) {
        store_clock_raise(fixture.store,
                          highest + random_below(&fixture.random, 3 * COUNTER_LEASE_STEP));
        if (random_below(&fixture.random, 2) == 0) {
            fixture_produce(&fixture, 1 + (unsigned)random_below(&fixture.random, 90));
        }
        struct append made = promise(&fixture);
        ck_assert_uint_ge(made.first, highest);
        ck_assert_uint_ge(made.first, own_last(&fixture));
        ck_assert_uint_eq(made.head, own_last(&fixture));
        highest = made.first;
        if (random_below(&fixture.random, 2) == 0) {
            crash(&fixture);
        }
        uint64_t first = fixture_produce(&fixture, 1);
        ck_assert_uint_gt(first, highest);
        highest = first;
    }
    teardown(&fixture);
}
END_TEST

START_TEST(a_promise_speaks_for_what_was_handed_over_before_it)
{
    struct log_fixture fixture;
    struct append made = {.kind = APPEND_PROMISE};
    setup(&fixture);
    struct buffer bytes = {0};
    ck_assert_int_eq(
        event_append(&bytes, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    struct append_run run = {.length = (uint32_t)bytes.length, .count = 1};
    struct append before = {.kind = APPEND_PRODUCE,
                            .bytes = buffer_bytes(&bytes),
                            .runs = &run,
                            .runs_count = 1,
                            .events = 1};
    struct append after = before;
    store_append(fixture.port, &before);
    store_append(fixture.port, &made);
    store_append(fixture.port, &after);
    store_port_flush(fixture.port);
    ck_assert(store_step_commit(fixture.store, fixture.now_ms));
    store_port_refresh(fixture.port);
    ck_assert_uint_eq(made.first, before.first);
    ck_assert_uint_eq(made.head, before.first);
    ck_assert_uint_eq(after.first, before.first + 1);
    while (store_port_take_append(fixture.port) != NULL) {
    }
    buffer_deinit(&bytes);
    teardown(&fixture);
}
END_TEST

// --- The actor -----------------------------------------------------------------------------------

START_TEST(a_node_without_an_actor_gets_one_later)
{
    struct log_fixture fixture;
    fixture_init(&fixture, 12);
    fixture.config.actor = 0;
    fixture_open(&fixture);
    struct append nobody = {.kind = APPEND_PROMISE};
    ck_assert_int_eq(fixture_submit(&fixture, &nobody), ERR_INVALID);
    struct append append = {.kind = APPEND_ACTOR, .actor = 7, .first = (uint64_t)1 << 60};
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    fixture.config.actor = 7;
    ck_assert_uint_ge(store_clock(fixture.store), (uint64_t)1 << 60);
    ck_assert_uint_gt(fixture_produce(&fixture, 3), (uint64_t)1 << 60);
    crash(&fixture);
    ck_assert_uint_gt(fixture_produce(&fixture, 3), (uint64_t)1 << 60);
    uint32_t count;
    const struct strand_end *ends = store_port_ends(fixture.port, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(ends[0].actor, 7);
    teardown(&fixture);
}
END_TEST

START_TEST(an_actor_is_given_up_only_if_nothing_was_issued)
{
    struct log_fixture fixture;
    setup(&fixture);
    struct append first = {.kind = APPEND_YIELD};
    ck_assert_int_eq(fixture_submit(&fixture, &first), 0);
    struct buffer bytes = {0};
    ck_assert_int_eq(
        event_append(&bytes, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    struct append_run run = {.length = (uint32_t)bytes.length, .count = 1};
    struct append produce = {.kind = APPEND_PRODUCE,
                             .bytes = buffer_bytes(&bytes),
                             .runs = &run,
                             .runs_count = 1,
                             .events = 1};
    struct append late = produce;
    ck_assert_int_eq(fixture_submit(&fixture, &late), ERR_INVALID);
    struct append again = {.kind = APPEND_YIELD};
    ck_assert_int_eq(fixture_submit(&fixture, &again), 0);
    struct append actor = {.kind = APPEND_ACTOR, .actor = 3};
    ck_assert_int_eq(fixture_submit(&fixture, &actor), 0);
    // in one commit with what is issued in front of it
    struct append yield = {.kind = APPEND_YIELD};
    store_append(fixture.port, &produce);
    store_append(fixture.port, &yield);
    store_port_flush(fixture.port);
    ck_assert(store_step_commit(fixture.store, fixture.now_ms));
    store_port_refresh(fixture.port);
    ck_assert_int_eq(produce.result, 0);
    ck_assert_int_eq(yield.result, STORE_ISSUED);
    while (store_port_take_append(fixture.port) != NULL) {
    }
    fixture.config.actor = 3;
    ck_assert_uint_eq(fixture_produce(&fixture, 1), produce.first + 1);
    buffer_deinit(&bytes);
    teardown(&fixture);
}
END_TEST

// --- Chunks of others ----------------------------------------------------------------------------

// Appends a chunk of actor 9 with one event to `out`; `last` and `hash`: of the chunk before.
static void chunk_of_nine(struct buffer *out, uint64_t first, const char *data, uint64_t *last,
                          struct hash128 *hash)
{
    struct buffer body = {0};
    struct chunk_header header = {.actor = 9,
                                  .count = 1,
                                  .first = first,
                                  .prev = *last,
                                  .prev_hash = *hash,
                                  .timestamp_ms = 5};
    ck_assert_int_eq(
        event_append(&body, bytes_of_text("/n"), bytes_of_text(data), bytes_of(NULL, 0)), 0);
    size_t before = out->length;
    ck_assert_int_eq(chunk_append(out, &header, buffer_bytes(&body), NULL), 0);
    *last = first;
    *hash = chunk_hash(out->data + before);
    buffer_deinit(&body);
}

static int append_nine(struct log_fixture *fixture, uint64_t first, const char *data,
                       uint64_t *last, struct hash128 *hash)
{
    struct buffer bytes = {0};
    chunk_of_nine(&bytes, first, data, last, hash);
    struct append append = {.kind = APPEND_CHUNKS, .bytes = buffer_bytes(&bytes)};
    int result = fixture_submit(fixture, &append);
    buffer_deinit(&bytes);
    return result;
}

START_TEST(a_fork_is_told_from_a_gap_and_from_a_repeat)
{
    struct log_fixture fixture;
    uint64_t last = 0;
    struct hash128 hash = {{0}};
    setup(&fixture);
    ck_assert_int_eq(append_nine(&fixture, 5, "a", &last, &hash), 0);
    uint64_t last_5 = last;
    struct hash128 hash_5 = hash;
    ck_assert_int_eq(append_nine(&fixture, 8, "b", &last, &hash), 0);
    uint64_t last_8 = last;
    struct hash128 hash_8 = hash;
    struct hash128 other = {{1}};
    uint64_t no_last = 0;
    struct hash128 none = {{0}};
    last = last_5, hash = hash_5;
    ck_assert_int_eq(append_nine(&fixture, 8, "b", &last, &hash), STORE_DUPLICATE);
    last = last_5, hash = hash_5;
    ck_assert_int_eq(append_nine(&fixture, 8, "c", &last, &hash), STORE_FORK);
    ck_assert_int_eq(append_nine(&fixture, 5, "a", &no_last, &none), STORE_DUPLICATE);
    no_last = 0, none = (struct hash128){{0}};
    ck_assert_int_eq(append_nine(&fixture, 5, "z", &no_last, &none), STORE_FORK);
    last = last_5, hash = hash_5;
    ck_assert_int_eq(append_nine(&fixture, 9, "c", &last, &hash), STORE_FORK);
    last = last_8;
    ck_assert_int_eq(append_nine(&fixture, 12, "d", &last, &other), STORE_FORK);
    last = 10, hash = hash_8;
    ck_assert_int_eq(append_nine(&fixture, 12, "d", &last, &hash), STORE_GAP);
    uint32_t count;
    const struct strand_end *ends = store_port_ends(fixture.port, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(ends[0].last, 8);
    ck_assert(hash128_equal(&ends[0].hash, &hash_8));
    last = last_8, hash = hash_8;
    ck_assert_int_eq(append_nine(&fixture, 12, "d", &last, &hash), 0);
    teardown(&fixture);
}
END_TEST

START_TEST(counters_from_nowhere_are_refused_and_leave_the_clock_alone)
{
    struct log_fixture fixture;
    uint64_t last = 0;
    struct hash128 hash = {{0}};
    setup(&fixture);
    uint64_t clock = store_clock(fixture.store);
    ck_assert_int_eq(
        append_nine(&fixture, COUNTER_JUMP_MAX + 2 * COUNTER_LEASE_STEP, "a", &last, &hash),
        ERR_LIMIT);
    store_clock_raise(fixture.store, COUNTER_JUMP_MAX + 2 * COUNTER_LEASE_STEP);
    ck_assert_uint_eq(fixture_produce(&fixture, 1), 1);
    ck_assert_uint_le(store_clock(fixture.store), clock + COUNTER_LEASE_STEP);
    last = 0, hash = (struct hash128){{0}};
    ck_assert_int_eq(append_nine(&fixture, COUNTER_JUMP_MAX, "a", &last, &hash), 0);
    ck_assert_uint_eq(fixture_produce(&fixture, 1), COUNTER_JUMP_MAX + 1);
    teardown(&fixture);
}
END_TEST

START_TEST(counters_end_below_the_ceiling)
{
    struct log_fixture fixture;
    setup(&fixture);
    struct append append = {.kind = APPEND_ACTOR, .actor = 1, .first = COUNTER_MAX - 5};
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    ck_assert_uint_eq(fixture_produce(&fixture, 5), COUNTER_MAX - 4);
    struct buffer bytes = {0};
    ck_assert_int_eq(
        event_append(&bytes, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    struct append_run run = {.length = (uint32_t)bytes.length, .count = 1};
    struct append more = {.kind = APPEND_PRODUCE,
                          .bytes = buffer_bytes(&bytes),
                          .runs = &run,
                          .runs_count = 1,
                          .events = 1};
    ck_assert_int_eq(fixture_submit(&fixture, &more), ERR_LIMIT);
    buffer_deinit(&bytes);
    ck_assert_uint_eq(promise(&fixture).first, COUNTER_MAX);
    teardown(&fixture);
}
END_TEST

// --- Strands -------------------------------------------------------------------------------------

struct strand_check {
    uint64_t last;
    struct hash128 hash;
    uint32_t chunks;
};

// Follows the chain through a block, which must end complete.
static void check_strand_block(struct strand_check *check, const struct block *block,
                               uint16_t actor)
{
    struct bytes rest = block_bytes(block);
    uint32_t open = 0;
    while (rest.length > 0) {
        struct chunk_header header;
        struct bytes chunk;
        ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
        ck_assert_int_eq(chunk_verify(&header, chunk), 0);
        ck_assert_uint_eq(header.actor, actor);
        ck_assert_uint_eq(header.prev, check->last);
        ck_assert(hash128_equal(&header.prev_hash, &check->hash));
        check->last = chunk_last(&header);
        check->hash = chunk_hash(chunk.data);
        check->chunks++;
        open = header.open;
    }
    ck_assert_uint_eq(open, 0);
}

static void check_strand(struct log_fixture *fixture, uint16_t actor, size_t bytes_max)
{
    struct read read;
    struct strand_check check = {0};
    read_init(&read, READ_STRAND);
    read.position.actor = actor;
    read.bytes_max = bytes_max;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    while (!read.done) {
        struct hash128 before = check.hash;
        fixture_read(fixture, &read);
        ck_assert_msg(read.result == 0, "%s", read.reason.text);
        ck_assert(hash128_equal(&read.hash, &before));
        if (read.block != NULL) {
            check_strand_block(&check, read.block, actor);
            block_unref(read.block);
            read.block = NULL;
        }
        ck_assert_uint_eq(read.position.counter, check.last);
        switch (random_below(&fixture->random, 4)) {
        case 0:
            read_park(&read);
            break;
        case 1: // it grows meanwhile
            fixture_produce(fixture, 100);
            fixture_replicate(fixture, 0, 3);
            break;
        default:
            break;
        }
        if (random_below(&fixture->random, 3) == 0 && !read.done) {
            ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
        }
    }
    ck_assert_uint_eq(check.last, version_vector_get(&read.upper, actor));
    read_deinit(&read);
}

START_TEST(a_strand_is_read_whole_in_blocks_that_end_complete)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 6; round++) {
        struct log_fixture fixture;
        fixture_init(&fixture, seed + round);
        fixture_open(&fixture);
        for (unsigned i = 0; i < 20; i++) {
            fixture_produce(&fixture, 1 + (unsigned)random_below(&fixture.random, 300));
            fixture_produce_group(&fixture, 1 + (unsigned)random_below(&fixture.random, 6));
            fixture_replicate(&fixture, 0, 1 + (unsigned)random_below(&fixture.random, 6));
            fixture_replicate(&fixture, 1, 2);
        }
        check_strand(&fixture, 1, 1 + random_below(&fixture.random, 20000));
        check_strand(&fixture, 2, 1 + random_below(&fixture.random, 20000));
        check_strand(&fixture, 3, 1 << 20);
        teardown(&fixture);
    }
}
END_TEST

static void produce_one(struct log_fixture *fixture, const uint8_t *data, size_t length)
{
    struct buffer event = {0};
    ck_assert_int_eq(event_append(&event, bytes_of_text("/some/name"), bytes_of(data, length),
                                  bytes_of(NULL, 0)),
                     0);
    const struct append_run run = {.length = (uint32_t)event.length, .count = 1};
    struct append append = {
        .kind = APPEND_PRODUCE,
        .bytes = buffer_bytes(&event),
        .runs = &run,
        .runs_count = 1,
        .events = 1,
    };
    ck_assert_int_eq(fixture_submit(fixture, &append), 0);
    buffer_deinit(&event);
}

// What is read goes to a peer in one frame, and a frame holds the largest event, with nothing else.
START_TEST(the_largest_event_is_read_alone)
{
    enum { SMALL = 150 * 1024 };
    struct log_fixture fixture;
    struct read read;
    uint8_t *data = malloc(EVENT_DATA_BYTES_CEILING);
    ck_assert_ptr_nonnull(data);
    setup(&fixture);
    random_bytes(&fixture.random, data, EVENT_DATA_BYTES_CEILING); // not to be compressed
    produce_one(&fixture, data, SMALL);
    produce_one(&fixture, data, EVENT_DATA_BYTES_CEILING);
    read_init(&read, READ_STRAND);
    read.position.actor = 1;
    read.bytes_max = PEER_FRAME_BYTES;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
    for (unsigned i = 1; i <= 2; i++) {
        fixture_read(&fixture, &read);
        ck_assert_int_eq(read.result, 0);
        ck_assert_ptr_nonnull(read.block);
        ck_assert_uint_le(read.block->length, EVENT_BYTES_MAX);
        ck_assert_uint_eq(read.position.counter, i);
        block_unref(read.block);
        read.block = NULL;
    }
    ck_assert(read.done);
    read_deinit(&read);
    teardown(&fixture);
    free(data);
}
END_TEST

START_TEST(a_strand_is_read_from_the_end_of_a_chunk_only)
{
    struct log_fixture fixture;
    struct read read;
    setup(&fixture);
    fixture_produce(&fixture, 10);
    fixture_produce(&fixture, 10);
    read_init(&read, READ_STRAND);
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
    read.position = (struct event_id){.counter = 7, .actor = 1};
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, STORE_NOT_FOUND);
    read.position.counter = 10;
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, 0);
    ck_assert_uint_eq(read.block->events, 10);
    ck_assert_uint_eq(read.position.counter, 20);
    read_deinit(&read);
    read_init(&read, READ_CHUNK);
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
    read.position = (struct event_id){.counter = 12, .actor = 1};
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, STORE_NOT_FOUND);
    read.position.counter = 11;
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, 0);
    ck_assert_uint_eq(read.block->chunks, 1);
    ck_assert_uint_eq(read.block->events, 10);
    read_deinit(&read);
    teardown(&fixture);
}
END_TEST

// --- Stable --------------------------------------------------------------------------------------

START_TEST(a_stable_start_cuts_no_produce_in_two)
{
    uint64_t seed = test_seed();
    struct log_fixture fixture;
    struct read read;
    struct read header;
    fixture_init(&fixture, seed);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 15; i++) {
        fixture_produce(&fixture, 1 + (unsigned)random_below(&fixture.random, 200));
        fixture_replicate(&fixture, (unsigned)random_below(&fixture.random, 3), 3);
    }
    fixture_sort(&fixture);
    for (unsigned i = 0; i < 100; i++) {
        size_t at = random_below(&fixture.random, fixture.events_count);
        read_init(&read, READ_START);
        read.start = START_STABLE;
        read.position = fixture.events[at].id;
        ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
        fixture_read(&fixture, &read);
        ck_assert_msg(read.result == 0, "%s", read.reason.text);
        // A prefix of the canonical order, not above the id ...
        size_t inside = 0;
        while (inside < fixture.events_count &&
               version_vector_covers(&read.vector, fixture.events[inside].id)) {
            inside++;
        }
        ck_assert_uint_le(inside, at + 1);
        for (size_t j = inside; j < fixture.events_count; j++) {
            ck_assert(!version_vector_covers(&read.vector, fixture.events[j].id));
        }
        // ... and each strand can be read on from there, which begins with a whole produce.
        for (uint32_t j = 0; j < read.vector.count; j++) {
            read_init(&header, READ_STRAND);
            ck_assert_int_eq(version_vector_copy(&header.upper, &read.vector), 0);
            header.position.actor = read.vector.entries[j].actor;
            header.bytes_max = 1 << 20;
            fixture_read(&fixture, &header);
            ck_assert_uint_eq(header.position.counter, read.vector.entries[j].counter);
            read_deinit(&header);
        }
        read_deinit(&read);
    }
    teardown(&fixture);
}
END_TEST

// --- System --------------------------------------------------------------------------------------

static int count_event(void *context, struct bytes space, struct event_id id, struct bytes data)
{
    struct event_id *last = context;
    ck_assert_int_lt(event_id_compare(*last, id), 0);
    ck_assert_uint_gt(data.length, 0);
    *last = id;
    return 0;
}

START_TEST(events_of_the_system_are_found_and_shown_to_who_asks_beside_everything)
{
    struct log_fixture fixture;
    struct read read;
    struct event_id last = {0};
    struct reason reason = {0};
    setup(&fixture);
    fixture_produce(&fixture, 70);
    uint64_t first = fixture_produce_system(&fixture, 4); // 0, 1, 2, 0
    fixture_produce(&fixture, 3);
    ck_assert_int_eq(store_system_events(fixture.store, "/$weir/0", count_event, &last), 0);
    ck_assert_uint_eq(last.counter, first + 3);
    const struct filter_entry entries[] = {{.text = bytes_of_text("**")},
                                           {.text = bytes_of_text("/$weir/1")}};
    read_init(&read, READ_ARRIVAL);
    ck_assert_int_eq(filter_new(entries, 2, &read.filter, &reason), 0);
    read.ordinal = 1;
    read.ordinal_end = store_port_ordinal(fixture.port);
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, 0);
    ck_assert_uint_eq(read.block->events, 74);
    read_deinit(&read);
    read_init(&read, READ_CANONICAL);
    ck_assert_int_eq(filter_new(entries, 2, &read.filter, &reason), 0);
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
    uint64_t events = 0;
    while (!read.done) {
        fixture_read(&fixture, &read);
        ck_assert_int_eq(read.result, 0);
        events += read.block != NULL ? read.block->events : 0;
        block_unref(read.block);
        read.block = NULL;
    }
    ck_assert_uint_eq(events, 74);
    read_deinit(&read);
    teardown(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_cluster");
    suite_add(suite, records_are_kept_across_crashes);
    suite_add(suite, no_counter_is_issued_at_or_below_a_promise_not_even_after_a_crash);
    suite_add(suite, a_promise_speaks_for_what_was_handed_over_before_it);
    suite_add(suite, a_node_without_an_actor_gets_one_later);
    suite_add(suite, an_actor_is_given_up_only_if_nothing_was_issued);
    suite_add(suite, a_fork_is_told_from_a_gap_and_from_a_repeat);
    suite_add(suite, counters_from_nowhere_are_refused_and_leave_the_clock_alone);
    suite_add(suite, counters_end_below_the_ceiling);
    suite_add(suite, a_strand_is_read_whole_in_blocks_that_end_complete);
    suite_add(suite, the_largest_event_is_read_alone);
    suite_add(suite, a_strand_is_read_from_the_end_of_a_chunk_only);
    suite_add(suite, a_stable_start_cuts_no_produce_in_two);
    suite_add(suite, events_of_the_system_are_found_and_shown_to_who_asks_beside_everything);
    return check_main(suite);
}
