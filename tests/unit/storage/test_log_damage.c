// Chunks that rot: they are never taken for absent, the rest goes on, and when they are repaired
// everything is as it was.
#include "proto/base/limits.h"
#include "proto/model/namespace_row.h"
#include "storage/keys.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/log_fixture.h"

static struct bytes key_of(struct event_id id, uint8_t key[EVENT_ID_KEY_LENGTH])
{
    event_id_encode_key(id, key);
    return bytes_of(key, EVENT_ID_KEY_LENGTH);
}

// Copies the chunk, then damages it on the disk: a bit, or all of it is gone.
static void damage(struct log_fixture *fixture, struct event_id id, bool is_removed,
                   struct buffer *copy)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    ck_assert_int_eq(disk_get(fixture->log, LOG_CHUNKS, key_of(id, key), copy), 0);
    if (is_removed) {
        ck_assert_int_eq(disk_medium_remove(fixture->log_medium, LOG_CHUNKS, key_of(id, key)), 0);
    } else {
        ck_assert_int_eq(disk_medium_flip(fixture->log_medium, LOG_CHUNKS, key_of(id, key),
                                          random_below(&fixture->random, copy->length * 8)),
                         0);
    }
}

static int repair(struct log_fixture *fixture, struct bytes chunk)
{
    struct append append = {.kind = APPEND_REPAIR, .bytes = chunk};
    return fixture_submit(fixture, &append);
}

struct seen {
    const struct log_fixture *fixture;
    const struct filter *filter;
    size_t at;
};

static void expect_model(void *context, struct event_id id, uint64_t timestamp_ms,
                         const struct event *event)
{
    struct seen *seen = context;
    const struct model_event *expected = NULL;
    do {
        ck_assert_uint_lt(seen->at, seen->fixture->events_count);
        expected = &seen->fixture->events[seen->at++];
    } while (!filter_matches(seen->filter, bytes_of_text(expected->name)));
    ck_assert_int_eq(event_id_compare(id, expected->id), 0);
    ck_assert_uint_eq(strtoul((const char *)event->data.data, NULL, 10), expected->number);
}

// Reads everything that matches, in canonical order; the result is that of the last step.
static int read_matching(struct log_fixture *fixture, const char *pattern)
{
    struct read read;
    read_init(&read, READ_CANONICAL);
    read.filter = fixture_filter(pattern);
    struct seen seen = {.fixture = fixture, .filter = read.filter};
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    int result = 0;
    while (result == 0 && !read.done) {
        fixture_read(fixture, &read);
        result = read.result;
        if (result == 0 && read.block != NULL) {
            block_visit(read.block, expect_model, &seen);
            block_unref(read.block);
            read.block = NULL;
        }
    }
    for (; result == 0 && seen.at < fixture->events_count; seen.at++) {
        ck_assert(!filter_matches(read.filter, bytes_of_text(fixture->events[seen.at].name)));
    }
    read_deinit(&read);
    return result;
}

static struct event_id last_matching(struct log_fixture *fixture, const char *pattern, uint64_t n,
                                     int expected)
{
    struct read read;
    read_init(&read, READ_LAST);
    read.filter = fixture_filter(pattern);
    read.events_max = n;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    fixture_search(fixture, &read);
    ck_assert_int_eq(read.result, expected);
    struct event_id found = read.found;
    read_deinit(&read);
    return found;
}

static uint64_t indexed_events(struct log_fixture *fixture)
{
    struct read read;
    uint64_t events = 0;
    read_init(&read, READ_NAMESPACES);
    read.filter = fixture_filter("/**");
    read.page_max = 1000;
    fixture_read(fixture, &read);
    ck_assert_msg(read.result == 0, "%s", read.reason.text);
    struct bytes rest = buffer_bytes(&read.names);
    while (rest.length > 0) {
        struct namespace_row row;
        ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
        events += row.events;
    }
    read_deinit(&read);
    return events;
}

static struct store_status status_of(struct log_fixture *fixture)
{
    struct store_status status;
    store_status(fixture->store, &status);
    return status;
}

// --- The index -----------------------------------------------------------------------------------

// Twenty chunks of six events in many namespaces, so that patterns go through the index; one of
// them damaged before the index has it. Returns the id where that begins.
static struct event_id setup_damaged(struct log_fixture *fixture, uint64_t seed,
                                     struct buffer *copy)
{
    fixture_init(fixture, seed);
    fixture->config.recent_bytes_max = 1;
    fixture->names_count = 300;
    fixture_open(fixture);
    for (unsigned i = 0; i < 20; i++) {
        fixture_produce(fixture, 6);
    }
    struct event_id id = fixture->events[6 * random_below(&fixture->random, 19)].id;
    damage(fixture, id, seed % 2 == 0, copy);
    return id;
}

START_TEST(the_index_passes_over_a_damaged_chunk_and_has_it_when_it_is_repaired)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 20; round++) {
        struct log_fixture fixture;
        struct buffer copy = {0};
        struct event_id id = setup_damaged(&fixture, seed + round, &copy);
        const char *name = fixture.events[id.counter - 1].name;
        const char *other = "/kind1/name2999";
        ck_assert_uint_eq(indexed_events(&fixture), 114);
        ck_assert_int_eq(read_matching(&fixture, name), ERR_CORRUPT);
        ck_assert_int_eq(read_matching(&fixture, other), ERR_CORRUPT); // it may be in there
        last_matching(&fixture, other, 1, ERR_CORRUPT);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 1);
        struct damaged_chunk listed;
        ck_assert(store_next_damage(fixture.store, (struct damaged_chunk){0}, &listed));
        ck_assert_uint_eq(listed.first, id.counter);
        ck_assert_uint_eq(listed.last, id.counter + 5);
        ck_assert(!store_next_damage(fixture.store, listed, &listed));
        if (round % 3 == 0) { // what was passed over is remembered
            fixture_close(&fixture);
            fixture_open(&fixture);
            ck_assert_uint_eq(indexed_events(&fixture), 114);
            ck_assert_int_eq(read_matching(&fixture, name), ERR_CORRUPT);
        }
        ck_assert_int_eq(repair(&fixture, buffer_bytes(&copy)), 0);
        if (round % 2 == 0) { // whether the index has looked already or not
            fixture_index(&fixture);
        }
        ck_assert_int_eq(read_matching(&fixture, name), 0);
        ck_assert_int_eq(read_matching(&fixture, other), 0);
        ck_assert_uint_eq(last_matching(&fixture, "/kind*/*", 120, 0).counter, 1);
        fixture_index(&fixture);
        ck_assert_uint_eq(indexed_events(&fixture), 120);
        ck_assert_int_eq(read_matching(&fixture, name), 0);
        ck_assert_int_eq(read_matching(&fixture, "/**"), 0);
        ck_assert_uint_eq(last_matching(&fixture, "/kind*/*", 120, 0).counter, 1);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
        buffer_deinit(&copy);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

// The note of what was passed over is on the disk before the part that covers it. After a start
// that begins before both, the chunk is in its turn like any other.
START_TEST(a_note_that_outlives_its_part_hides_nothing)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 20; round++) {
        struct log_fixture fixture;
        struct buffer copy = {0};
        setup_damaged(&fixture, seed + round, &copy);
        fixture_index(&fixture);
        ck_assert_int_eq(repair(&fixture, buffer_bytes(&copy)), 0);
        fixture_abandon(&fixture);
        fixture_open(&fixture);
        for (unsigned steps = 0; steps < 3; steps++) {
            (void)store_step_index(fixture.store);
            for (unsigned i = 0; i < 20; i++) {
                ck_assert_int_eq(read_matching(&fixture, fixture.events[6 * i].name), 0);
            }
        }
        fixture_index(&fixture);
        ck_assert_uint_eq(indexed_events(&fixture), 120);
        ck_assert_int_eq(read_matching(&fixture, "/**"), 0);
        buffer_deinit(&copy);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

// --- Repair --------------------------------------------------------------------------------------

START_TEST(only_the_chunk_that_was_there_takes_its_place)
{
    struct log_fixture fixture;
    struct buffer copies[3] = {0};
    fixture_init(&fixture, 5);
    fixture_open(&fixture);
    fixture_produce(&fixture, 6);
    fixture_produce(&fixture, 6);
    fixture_produce(&fixture, 6);
    ck_assert_int_eq(repair(&fixture, bytes_of("?", 1)), ERR_CORRUPT);
    for (unsigned i = 0; i < 3; i++) {
        damage(&fixture, fixture.events[6 * i].id, true, &copies[i]);
    }
    // Another chunk of the same place: a byte of an event differs, everything else is right.
    struct chunk_header header;
    struct buffer body = {0};
    struct buffer forged = {0};
    struct buffer scratch = {0};
    struct bytes plain;
    ck_assert_int_eq(chunk_header_parse(buffer_bytes(&copies[2]), &header), 0);
    ck_assert_int_eq(chunk_body(&header, buffer_bytes(&copies[2]), &scratch, &plain), 0);
    ck_assert_int_eq(buffer_append(&body, plain), 0);
    body.data[body.length - 1] ^= 1;
    ck_assert_int_eq(chunk_append(&forged, &header, buffer_bytes(&body), NULL), 0);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&forged)), STORE_FORK);
    // What is behind it must be there first, because that names its hash.
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&copies[0])), STORE_GAP);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&copies[2])), 0);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&copies[2])), STORE_DUPLICATE);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&copies[1])), 0);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&copies[0])), 0);
    header.first += 100;
    buffer_clear(&forged);
    ck_assert_int_eq(chunk_append(&forged, &header, plain, NULL), 0);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&forged)), ERR_INVALID);
    fixture_abandon(&fixture);
    disk_medium_crash(fixture.log_medium, disk_medium_unsynced(fixture.log_medium));
    fixture_open(&fixture);
    ck_assert_int_eq(read_matching(&fixture, "/**"), 0);
    for (unsigned i = 0; i < 3; i++) {
        buffer_deinit(&copies[i]);
    }
    buffer_deinit(&body);
    buffer_deinit(&forged);
    buffer_deinit(&scratch);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_strand_ends_before_damage_and_then_names_it)
{
    struct log_fixture fixture;
    struct buffer copy = {0};
    struct read read;
    fixture_init(&fixture, 6);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 5; i++) {
        fixture_produce(&fixture, 6);
    }
    damage(&fixture, fixture.events[12].id, false, &copy);
    read_init(&read, READ_STRAND);
    read.position.actor = 1;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, 0);
    ck_assert_uint_eq(read.block->events, 12);
    ck_assert(!read.done);
    block_unref(read.block);
    read.block = NULL;
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(read.reason.text, "13.1"));
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&copy)), 0);
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, 0);
    ck_assert_uint_eq(read.block->events, 18);
    ck_assert(read.done);
    read_deinit(&read);
    buffer_deinit(&copy);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

// --- Scrub ---------------------------------------------------------------------------------------

static void scrub_round(struct log_fixture *fixture)
{
    uint64_t rounds = status_of(fixture).scrub_rounds;
    while (store_step_scrub(fixture->store)) {
    }
    ck_assert_uint_eq(status_of(fixture).scrub_rounds, rounds + 1);
}

START_TEST(the_scrub_finds_what_nobody_reads)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 20; round++) {
        struct log_fixture fixture;
        struct buffer copy = {0};
        fixture_init(&fixture, seed + round);
        fixture_open(&fixture);
        for (unsigned i = 0; i < 30; i++) {
            fixture_produce(&fixture, 6);
            fixture_replicate(&fixture, 0, 3);
            fixture_replicate(&fixture, 2, 2);
        }
        scrub_round(&fixture);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
        struct event_id id;
        uint8_t key[EVENT_ID_KEY_LENGTH];
        struct buffer found = {0};
        do {
            buffer_clear(&found);
            id = fixture.events[random_below(&fixture.random, fixture.events_count)].id;
        } while (disk_get(fixture.log, LOG_CHUNKS, key_of(id, key), &found) != 0);
        buffer_deinit(&found);
        damage(&fixture, id, round % 2 == 0, &copy);
        scrub_round(&fixture);
        scrub_round(&fixture);
        struct damaged_chunk listed;
        ck_assert(store_next_damage(fixture.store, (struct damaged_chunk){0}, &listed));
        ck_assert_uint_eq(listed.first, id.counter);
        ck_assert_uint_eq(listed.actor, id.actor);
        ck_assert_uint_eq(status_of(&fixture).corrupt_chunks, 1);
        ck_assert_int_eq(repair(&fixture, buffer_bytes(&copy)), 0);
        ck_assert_uint_eq(status_of(&fixture).repaired_chunks, 1);
        scrub_round(&fixture);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
        buffer_deinit(&copy);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

START_TEST(the_scrub_goes_on_where_it_was_after_a_restart)
{
    enum { CHUNKS = 200 * 64 };
    struct log_fixture fixture;
    fixture_init(&fixture, 15);
    fixture_open(&fixture);
    for (unsigned i = 0; i < CHUNKS; i++) {
        fixture_produce(&fixture, 1);
    }
    for (unsigned i = 0; i < 130; i++) {
        ck_assert(store_step_scrub(fixture.store));
    }
    fixture_produce(&fixture, 1);
    fixture_close(&fixture);
    fixture_open(&fixture);
    while (store_step_scrub(fixture.store)) {
        ck_assert_uint_lt(status_of(&fixture).scrub_checked, 100 * 64);
    }
    ck_assert_uint_eq(status_of(&fixture).corrupt_chunks, 0);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

// --- Losses --------------------------------------------------------------------------------------

START_TEST(with_peers_a_hole_ends_the_strand_and_the_node_starts)
{
    struct log_fixture fixture;
    struct buffer copies[2] = {0};
    fixture_init(&fixture, 8);
    fixture.config.has_peers = true;
    fixture_open(&fixture);
    for (unsigned i = 0; i < 5; i++) {
        fixture_produce(&fixture, 6);
    }
    fixture_replicate(&fixture, 0, 1);
    uint64_t theirs = fixture.events[30].id.counter;
    damage(&fixture, fixture.events[12].id, true, &copies[0]);
    damage(&fixture, fixture.events[30].id, false, &copies[1]);
    fixture_abandon(&fixture);
    fixture_open(&fixture);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 1), 12);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 2), 0);
    ck_assert_ptr_nonnull(strstr(fixture.recovery.loss.text, "actor 1 above counter 12"));
    ck_assert_ptr_nonnull(strstr(fixture.recovery.loss.text, "actor 2 above counter 0"));
    ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
    // It comes again from somebody else, and then everything is as it was.
    struct append append = {.kind = APPEND_CHUNKS, .bytes = buffer_bytes(&copies[1])};
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    ck_assert_uint_ge(version_vector_get(store_port_vector(fixture.port), 2), theirs);
    append.bytes = buffer_bytes(&copies[0]);
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.port), 1), 18);
    buffer_deinit(&copies[0]);
    buffer_deinit(&copies[1]);
    ck_assert_uint_gt(fixture_produce(&fixture, 1), COUNTER_LEASE_STEP / 2);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_strand_goes_on_behind_a_hollow_range)
{
    struct log_fixture fixture;
    struct buffer chunk = {0};
    struct buffer body = {0};
    struct hash128 lost = {{7}};
    fixture_init(&fixture, 9);
    fixture_open(&fixture);
    fixture_replicate(&fixture, 0, 2);
    uint64_t last = fixture.peers[0].last;
    struct append hollow = {.kind = APPEND_HOLLOW,
                            .actor = 2,
                            .first = last + 2,
                            .last = last + 10,
                            .bytes = bytes_of(lost.bytes, sizeof lost.bytes)};
    ck_assert_int_eq(fixture_submit(&fixture, &hollow), STORE_GAP);
    hollow.first = last + 1;
    ck_assert_int_eq(fixture_submit(&fixture, &hollow), 0);
    hollow.first = last + 1;
    ck_assert_int_eq(fixture_submit(&fixture, &hollow), STORE_DUPLICATE);
    fixture_index(&fixture);
    struct chunk_header header = {.actor = 2,
                                  .count = 1,
                                  .first = last + 12,
                                  .prev = last + 10,
                                  .prev_hash = lost,
                                  .timestamp_ms = 1};
    ck_assert_int_eq(
        event_append(&body, bytes_of_text("/b"), bytes_of_text("9"), bytes_of(NULL, 0)), 0);
    ck_assert_int_eq(chunk_append(&chunk, &header, buffer_bytes(&body), NULL), 0);
    struct append append = {.kind = APPEND_CHUNKS, .bytes = buffer_bytes(&chunk)};
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    for (unsigned round = 0; round < 2; round++) {
        struct read read;
        uint64_t events = 0;
        read_init(&read, READ_STRAND);
        read.position.actor = 2;
        ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
        while (!read.done) {
            fixture_read(&fixture, &read);
            ck_assert_msg(read.result == 0, "%s", read.reason.text);
            events += read.block != NULL ? read.block->events : 0;
            block_unref(read.block);
            read.block = NULL;
        }
        ck_assert_uint_eq(events, fixture.events_count + 1);
        ck_assert_uint_eq(read.position.counter, last + 12);
        read_deinit(&read);
        read_init(&read, READ_EVENT);
        read.position = (struct event_id){.counter = last + 3, .actor = 2};
        ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
        fixture_read(&fixture, &read);
        ck_assert_int_eq(read.result, STORE_NOT_FOUND);
        read_deinit(&read);
        scrub_round(&fixture);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
        ck_assert_uint_eq(indexed_events(&fixture), fixture.events_count + 1);
        fixture_abandon(&fixture);
        fixture_open(&fixture);
    }
    buffer_deinit(&chunk);
    buffer_deinit(&body);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(damage_of_which_no_copy_is_left_becomes_hollow)
{
    struct log_fixture fixture;
    struct buffer copy = {0};
    struct chunk_header next;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    fixture_init(&fixture, 10);
    fixture.config.recent_bytes_max = 1;
    fixture_open(&fixture);
    for (unsigned i = 0; i < 5; i++) {
        fixture_produce(&fixture, 6);
    }
    ck_assert_int_eq(disk_get(fixture.log, LOG_CHUNKS, key_of(fixture.events[18].id, key), &copy),
                     0);
    ck_assert_int_eq(chunk_header_parse(buffer_bytes(&copy), &next), 0);
    struct append append = {.kind = APPEND_HOLLOW,
                            .actor = 1,
                            .first = 7,
                            .last = 18,
                            .bytes = bytes_of(next.prev_hash.bytes, sizeof next.prev_hash.bytes)};
    buffer_clear(&copy);
    damage(&fixture, fixture.events[6].id, false, &copy);
    ck_assert_int_eq(fixture_submit(&fixture, &append), STORE_DUPLICATE); // 13 to 18 is whole
    damage(&fixture, fixture.events[12].id, true, &copy);
    ck_assert_uint_eq(indexed_events(&fixture), 18);
    ck_assert_int_eq(read_matching(&fixture, "/**"), ERR_CORRUPT);
    next.prev_hash.bytes[0] ^= 1;
    ck_assert_int_eq(fixture_submit(&fixture, &append), STORE_FORK);
    next.prev_hash.bytes[0] ^= 1;
    append.last = 17;
    ck_assert_int_lt(0, fixture_submit(&fixture, &append));
    append.last = 18;
    ck_assert_int_eq(fixture_submit(&fixture, &append), 0);
    memmove(&fixture.events[6], &fixture.events[18], 12 * sizeof *fixture.events);
    fixture.events_count -= 12;
    for (unsigned round = 0; round < 2; round++) {
        fixture_index(&fixture);
        ck_assert_int_eq(read_matching(&fixture, "/**"), 0);
        ck_assert_int_eq(read_matching(&fixture, "/kind1/*"), 0);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
        ck_assert_uint_eq(indexed_events(&fixture), 18);
        scrub_round(&fixture);
        ck_assert_uint_eq(status_of(&fixture).damaged_chunks, 0);
        fixture_abandon(&fixture);
        fixture_open(&fixture);
    }
    buffer_deinit(&copy);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(damage_that_keeps_its_neighbour_from_being_repaired_is_listed)
{
    struct log_fixture fixture;
    struct buffer first = {0};
    struct buffer second = {0};
    struct damaged_chunk found = {0};
    fixture_init(&fixture, 11);
    fixture_open(&fixture);
    for (unsigned i = 0; i < 4; i++) {
        fixture_produce(&fixture, 6);
    }
    damage(&fixture, fixture.events[6].id, true, &first);
    damage(&fixture, fixture.events[12].id, true, &second);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&first)), STORE_GAP);
    ck_assert(store_next_damage(fixture.store, found, &found));
    ck_assert_uint_eq(found.first, fixture.events[12].id.counter);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&second)), 0);
    ck_assert_int_eq(repair(&fixture, buffer_bytes(&first)), 0);
    ck_assert_int_eq(read_matching(&fixture, "/**"), 0);
    buffer_deinit(&first);
    buffer_deinit(&second);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

// --- Failing reads -------------------------------------------------------------------------------

enum { WAYS = 6 };

static int ignore_record(void *context, struct bytes key, struct bytes value)
{
    return 0;
}

static int ignore_event(void *context, struct bytes space, struct event_id id, struct bytes data)
{
    (*(unsigned *)context)++;
    return 0;
}

// One of the ways that read the disk; *amount_out is what it found, the same each time.
static int go(struct log_fixture *fixture, unsigned way, struct bytes chunk, uint64_t *amount_out)
{
    struct read read;
    unsigned found = 0;
    int result = 0;
    *amount_out = 0;
    switch (way) {
    case 0:
        return store_records(fixture->store, ignore_record, NULL);
    case 1:
        result = store_system_events(fixture->store, "/$weir/0", ignore_event, &found);
        *amount_out = found;
        return result;
    case 2:
        result = repair(fixture, chunk);
        *amount_out = 1;
        return result == STORE_DUPLICATE ? 0 : result;
    default:
        break;
    }
    read_init(&read, way == 3 ? READ_STRAND : way == 4 ? READ_CHUNK : READ_START);
    read.start = START_STABLE;
    read.position = (struct event_id){.counter = way == 3 ? 6 : way == 4 ? 7 : 50, .actor = 1};
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    do {
        fixture_read(fixture, &read);
        result = read.result;
        *amount_out += read.block != NULL ? read.block->events : 0;
        block_unref(read.block);
        read.block = NULL;
    } while (way == 3 && result == 0 && !read.done);
    if (way == 5 && result == 0) {
        *amount_out = version_vector_get(&read.vector, 1);
    }
    read_deinit(&read);
    return result;
}

START_TEST(a_read_that_fails_is_no_damage_and_no_end)
{
    struct log_fixture fixture;
    struct buffer chunk = {0};
    uint8_t key[EVENT_ID_KEY_LENGTH];
    fixture_init(&fixture, 14);
    fixture_open(&fixture);
    struct append_record record = {.key = bytes_of_text("k"), .value = bytes_of_text("v")};
    struct append records = {.kind = APPEND_RECORDS, .records = &record, .records_count = 1};
    ck_assert_int_eq(fixture_submit(&fixture, &records), 0);
    for (unsigned i = 0; i < 5; i++) {
        fixture_produce(&fixture, 6);
        fixture_produce_system(&fixture, 5);
        fixture_replicate(&fixture, 0, 2);
    }
    ck_assert_int_eq(disk_get(fixture.log, LOG_CHUNKS, key_of(fixture.events[0].id, key), &chunk),
                     0);
    for (unsigned way = 0; way < WAYS; way++) {
        uint64_t expected;
        uint64_t amount;
        unsigned failures = 0;
        ck_assert_int_eq(go(&fixture, way, buffer_bytes(&chunk), &expected), 0);
        for (unsigned nth = 1;; nth++) {
            disk_medium_fail(fixture.log_medium, DISK_FAULT_READ, nth, false);
            int result = go(&fixture, way, buffer_bytes(&chunk), &amount);
            disk_medium_fail(fixture.log_medium, DISK_FAULT_READ, 0, false);
            if (result == 0) {
                ck_assert_uint_eq(amount, expected);
                break;
            }
            ck_assert_int_eq(result, ERR_IO);
            failures++;
        }
        ck_assert_uint_gt(failures, 0);
    }
    for (unsigned nth = 1; nth < 60; nth++) {
        disk_medium_fail(fixture.log_medium, DISK_FAULT_READ, nth, false);
        scrub_round(&fixture);
        disk_medium_fail(fixture.log_medium, DISK_FAULT_READ, 0, false);
    }
    ck_assert_uint_eq(status_of(&fixture).corrupt_chunks, 0);
    buffer_deinit(&chunk);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_damage");
    suite_add(suite, the_index_passes_over_a_damaged_chunk_and_has_it_when_it_is_repaired);
    suite_add(suite, a_note_that_outlives_its_part_hides_nothing);
    suite_add(suite, only_the_chunk_that_was_there_takes_its_place);
    suite_add(suite, a_strand_ends_before_damage_and_then_names_it);
    suite_add(suite, the_scrub_finds_what_nobody_reads);
    suite_add(suite, the_scrub_goes_on_where_it_was_after_a_restart);
    suite_add(suite, with_peers_a_hole_ends_the_strand_and_the_node_starts);
    suite_add(suite, a_strand_goes_on_behind_a_hollow_range);
    suite_add(suite, damage_of_which_no_copy_is_left_becomes_hollow);
    suite_add(suite, damage_that_keeps_its_neighbour_from_being_repaired_is_listed);
    suite_add(suite, a_read_that_fails_is_no_damage_and_no_end);
    return check_main(suite);
}
