// Every kind of read against a model, over random logs of several actors with overlapping counters.

#include "proto/base/limits.h"
#include "proto/model/namespace.h"
#include "proto/model/namespace_row.h"
#include "storage/store_state.h"
#include "tests/unit/check_main.h"
#include "tests/unit/storage/log_fixture.h"

enum { ROUNDS = 6 };

static bool is_indexed; // all there is

struct expectation {
    const struct log_fixture *fixture;
    const struct filter *filter;
    const struct version_vector *lower;
    const struct version_vector *upper;
    size_t at; // next event of the model to consider
    uint64_t seen;
};

static bool is_expected(const struct expectation *expectation, const struct model_event *event)
{
    return event->id.counter > version_vector_get(expectation->lower, event->id.actor) &&
           event->id.counter <= version_vector_get(expectation->upper, event->id.actor) &&
           fixture_is_wanted(expectation->fixture, event) &&
           (expectation->filter != NULL
                ? filter_matches(expectation->filter, bytes_of_text(event->name))
                : !namespace_is_system(bytes_of_text(event->name)));
}

static void expect_next(void *context, struct event_id id, uint64_t timestamp_ms,
                        const struct event *event)
{
    struct expectation *expectation = context;
    const struct log_fixture *fixture = expectation->fixture;
    while (expectation->at < fixture->events_count &&
           !is_expected(expectation, &fixture->events[expectation->at])) {
        expectation->at++;
    }
    ck_assert_uint_lt(expectation->at, fixture->events_count);
    const struct model_event *expected = &fixture->events[expectation->at++];
    ck_assert_uint_eq(id.counter, expected->id.counter);
    ck_assert_uint_eq(id.actor, expected->id.actor);
    ck_assert_uint_eq(timestamp_ms, expected->timestamp_ms);
    ck_assert(bytes_equal(event->name, bytes_of_text(expected->name)));
    ck_assert_uint_eq(strtoul((const char *)event->data.data, NULL, 10), expected->number);
    expectation->seen++;
}

static void expect_no_more(struct expectation *expectation)
{
    for (; expectation->at < expectation->fixture->events_count; expectation->at++) {
        ck_assert(!is_expected(expectation, &expectation->fixture->events[expectation->at]));
    }
}

static void fill(struct log_fixture *fixture, unsigned operations)
{
    for (unsigned i = 0; i < operations; i++) {
        switch (random_below(&fixture->random, 5)) {
        case 0:
            fixture_produce_group(fixture, 1 + (unsigned)random_below(&fixture->random, 12));
            break;
        case 1:
        case 2:
            fixture_replicate(fixture, (unsigned)random_below(&fixture->random, FIXTURE_PEERS),
                              1 + (unsigned)random_below(&fixture->random, 4));
            break;
        case 3:
            fixture_produce(fixture, 1 + (unsigned)random_below(&fixture->random, 300));
            break;
        case 4:
            if (random_below(&fixture->random, 3) == 0) {
                fixture_index(fixture);
            } else if (fixture->has_system) {
                fixture_produce_system(fixture, 1 + (unsigned)random_below(&fixture->random, 80));
            }
            break;
        }
    }
}

// Reads canonically, parking at random, and checks every event.
static void check_canonical(struct log_fixture *fixture, const char *pattern,
                            const struct version_vector *lower, uint64_t limit)
{
    struct read read;
    bool is_filtered = pattern != NULL || fixture->wanted_type || fixture->wanted_timestamp_min_ms;
    struct filter *filter = is_filtered ? fixture_filter_with(fixture, pattern) : NULL;
    read_init(&read, READ_CANONICAL);
    read.filter = filter != NULL ? filter_ref(filter) : NULL;
    read.bytes_max = 100 + random_below(&fixture->random, 40000);
    read.slices_only = random_below(&fixture->random, 4) == 0;
    read.events_max = limit;
    ck_assert_int_eq(version_vector_copy(&read.lower, lower), 0);
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    struct expectation expectation = {
        .fixture = fixture, .filter = filter, .lower = lower, .upper = &read.upper};
    while (!read.done) {
        fixture_read(fixture, &read);
        ck_assert_msg(read.result == 0, "%s", read.reason.text);
        if (read.block != NULL) {
            uint64_t before = expectation.seen;
            block_visit(read.block, expect_next, &expectation);
            ck_assert_uint_eq(expectation.seen - before, read.block->events);
            block_unref(read.block);
            read.block = NULL;
        }
        if (random_below(&fixture->random, 3) == 0) {
            read_park(&read);
        }
    }
    if (limit == 0) {
        expect_no_more(&expectation);
        // Where the index led from hit to hit, what is between them is not looked at.
        ck_assert(is_indexed || version_vector_includes(&read.vector, &read.upper));
    } else {
        ck_assert_uint_le(expectation.seen, limit);
        if (expectation.seen < limit) {
            expect_no_more(&expectation);
        }
    }
    read_deinit(&read);
    filter_unref(filter);
}

static void random_vector(struct log_fixture *fixture, struct version_vector *out)
{
    version_vector_clear(out);
    for (unsigned i = 0; i < 4 && fixture->events_count > 0; i++) {
        const struct model_event *event =
            &fixture->events[random_below(&fixture->random, fixture->events_count)];
        if (random_below(&fixture->random, 2) == 0) {
            ck_assert_int_eq(version_vector_set(out, event->id.actor, event->id.counter), 0);
        }
    }
}

// Conditions for half of the rounds: an attribute, a time, both.
static void set_wanted(struct log_fixture *fixture, unsigned round)
{
    static const char types[] = {0, 'a', 0, 'd'};
    fixture->wanted_type = types[round % 4];
    fixture->wanted_timestamp_min_ms = round % 4 >= 2 ? fixture->now_ms - 300 : 0;
}

START_TEST(canonical_reads_deliver_exactly_what_is_between_two_vectors)
{
    static const char *const patterns[] = {NULL,  "/kind1/*", "/kind2/name7",
                                           "/**", "/none/*",  "/*/name1?",
                                           "**",  "/$weir/1", "/$weir/**"};
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct log_fixture fixture;
        struct version_vector lower = {0};
        fixture_init(&fixture, seed + round);
        fixture.names_count = round % 2 == 0 ? 20 : 900;
        fixture.has_system = true;
        fixture.has_attributes = true;
        fixture_open(&fixture);
        fill(&fixture, 60);
        fixture_sort(&fixture);
        for (unsigned i = 0; i < sizeof patterns / sizeof *patterns; i++) {
            version_vector_clear(&lower);
            set_wanted(&fixture, i + round);
            check_canonical(&fixture, patterns[i], &lower, 0);
            random_vector(&fixture, &lower);
            check_canonical(&fixture, patterns[i], &lower, 0);
            check_canonical(&fixture, patterns[i], &lower, 1 + random_below(&fixture.random, 500));
        }
        version_vector_deinit(&lower);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

START_TEST(arrival_reads_deliver_the_order_of_commits)
{
    static const char *const patterns[] = {NULL, "/kind1/*", "/$weir/*"};
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct log_fixture fixture;
        struct read read;
        struct version_vector none = {0};
        fixture_init(&fixture, seed + round);
        fixture.has_system = true;
        fixture.has_attributes = true;
        fixture_open(&fixture);
        fill(&fixture, 60);
        read_init(&read, READ_ARRIVAL);
        read.ordinal = 1;
        read.ordinal_end = store_port_ordinal(fixture.port);
        read.bytes_max = 20000;
        set_wanted(&fixture, round);
        read.filter = fixture_filter_with(&fixture, patterns[round % 3]);
        struct expectation expectation = {.fixture = &fixture,
                                          .filter = read.filter,
                                          .lower = &none,
                                          .upper = store_port_vector(fixture.port)};
        do {
            fixture_read(&fixture, &read);
            ck_assert_msg(read.result == 0, "%s", read.reason.text);
            if (read.block != NULL) {
                block_visit(read.block, expect_next, &expectation);
                block_unref(read.block);
                read.block = NULL;
            }
        } while (!read.done);
        expect_no_more(&expectation);
        ck_assert_uint_eq(read.ordinal, read.ordinal_end + 1);
        read_deinit(&read);
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

struct single {
    struct event_id id;
    unsigned count;
};

static void take_single(void *context, struct event_id id, uint64_t timestamp_ms,
                        const struct event *event)
{
    struct single *single = context;
    single->id = id;
    single->count++;
}

static void check_neighbor(struct log_fixture *fixture, const char *pattern, size_t at,
                           int direction)
{
    struct read read;
    struct single single = {0};
    read_init(&read, READ_NEIGHBOR);
    read.filter = fixture_filter_with(fixture, pattern);
    read.direction = direction;
    read.position = fixture->events[at].id;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    struct filter *filter = filter_ref(read.filter);
    fixture_search(fixture, &read);
    size_t expected = at;
    do {
        expected += (size_t)direction;
    } while (expected < fixture->events_count &&
             !(fixture_is_wanted(fixture, &fixture->events[expected]) &&
               filter_matches(filter, bytes_of_text(fixture->events[expected].name))));
    if (expected >= fixture->events_count) {
        ck_assert_int_eq(read.result, STORE_NOT_FOUND);
    } else {
        ck_assert_int_eq(read.result, 0);
        block_visit(read.block, take_single, &single);
        ck_assert_uint_eq(single.count, 1);
        ck_assert_int_eq(event_id_compare(single.id, fixture->events[expected].id), 0);
    }
    filter_unref(filter);
    read_deinit(&read);
}

static void check_last(struct log_fixture *fixture, const char *pattern, uint64_t count)
{
    struct read read;
    read_init(&read, READ_LAST);
    read.filter = fixture_filter_with(fixture, pattern);
    read.events_max = count;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    fixture_search(fixture, &read);
    ck_assert_int_eq(read.result, 0);
    struct event_id expected = {0};
    size_t at = fixture->events_count;
    while (count > 0 && at > 0) {
        at--;
        if (fixture_is_wanted(fixture, &fixture->events[at]) &&
            filter_matches(read.filter, bytes_of_text(fixture->events[at].name))) {
            expected = fixture->events[at].id;
            count--;
        }
    }
    ck_assert_int_eq(event_id_compare(read.found, count == 0 ? expected : (struct event_id){0}), 0);
    read_deinit(&read);
}

START_TEST(events_neighbors_and_the_last_are_found)
{
    static const char *const patterns[] = {"/**",   "/kind1/*", "/kind2/name7",
                                           "/none", "**",       "/$weir/2"};
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct log_fixture fixture;
        fixture_init(&fixture, seed + round);
        fixture.names_count = round % 2 == 0 ? 20 : 900;
        fixture.has_system = true;
        fixture.has_attributes = true;
        fixture_open(&fixture);
        fixture_produce(&fixture, 5);
        fill(&fixture, 30);
        fixture_sort(&fixture);
        for (unsigned i = 0; i < 60; i++) {
            const char *pattern = patterns[i % 6];
            set_wanted(&fixture, i);
            size_t at = random_below(&fixture.random, fixture.events_count);
            check_neighbor(&fixture, pattern, at, 1);
            check_neighbor(&fixture, pattern, at, -1);
            check_last(&fixture, pattern, 1 + random_below(&fixture.random, 300));
            struct read read;
            struct single single = {0};
            read_init(&read, READ_EVENT);
            read.position = fixture.events[at].id;
            ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
            fixture_read(&fixture, &read);
            ck_assert_int_eq(read.result, 0);
            block_visit(read.block, take_single, &single);
            ck_assert_int_eq(event_id_compare(single.id, fixture.events[at].id), 0);
            read_deinit(&read);
        }
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

// A page of namespaces waits until the index shows all that is visible.
static void show_in_index(struct log_fixture *fixture)
{
    struct read read;
    read_init(&read, READ_NAMESPACES);
    read.page_max = 1;
    read.ordinal_end = store_port_ordinal(fixture->port);
    fixture_read(fixture, &read);
    ck_assert_int_eq(read.result, 0);
    read_deinit(&read);
    is_indexed = true;
}

// Where the index knows everything, what it answers is not all that is asked.
START_TEST(the_index_answers_for_names_alone)
{
    static const char *const patterns[] = {"/kind1/name7", "/kind2/name1?", "/kind0/*77"};
    struct log_fixture fixture;
    struct version_vector none = {0};
    fixture_init(&fixture, test_seed());
    fixture.names_count = 200;
    fixture.has_attributes = true;
    fixture_open(&fixture);
    for (unsigned i = 0; i < 40; i++) {
        fixture_produce(&fixture, 300);
        fixture_replicate(&fixture, i % FIXTURE_PEERS, 2);
    }
    show_in_index(&fixture);
    fixture_sort(&fixture);
    for (unsigned i = 0; i < 60; i++) {
        const char *pattern = patterns[i % 3];
        size_t at = random_below(&fixture.random, fixture.events_count);
        fixture.wanted_type = (char)(i % 4 == 0 ? 0 : 'a' + i % 4);
        fixture.wanted_timestamp_min_ms = i % 5 == 0 ? fixture.now_ms - 400 : 0;
        check_canonical(&fixture, pattern, &none, 0);
        check_neighbor(&fixture, pattern, at, 1);
        check_neighbor(&fixture, pattern, at, -1);
        check_last(&fixture, pattern, 1 + random_below(&fixture.random, 20));
    }
    is_indexed = false;
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

// A search over all there is. Returns how many steps it took.
static unsigned search_far(struct log_fixture *fixture, enum read_kind kind, int direction,
                           const char *pattern, int expected)
{
    struct read read;
    read_init(&read, kind);
    read.filter = fixture_filter_with(fixture, pattern);
    read.direction = direction;
    read.events_max = kind == READ_LAST;
    read.position = fixture->events[direction > 0 ? 0 : fixture->events_count - 1].id;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    unsigned steps = fixture_search(fixture, &read);
    ck_assert_int_eq(read.result, expected);
    read_deinit(&read);
    return steps;
}

// However far the event is that is looked for, no step takes the reader for long.
START_TEST(a_search_goes_in_steps)
{
    struct log_fixture fixture;
    fixture_init(&fixture, test_seed());
    fixture.has_attributes = true;
    fixture_open(&fixture);
    for (unsigned i = 0; i < 5000; i++) {
        fixture_produce(&fixture, 1);
    }
    for (unsigned round = 0; round < 2; round++) {
        fixture.wanted_type = round == 0 ? 0 : 'a';
        const char *pattern = round == 0 ? "/none" : "/kind?/*";
        fixture.wanted_timestamp_min_ms = round == 0 ? 0 : UINT64_MAX;
        ck_assert_uint_ge(search_far(&fixture, READ_NEIGHBOR, 1, pattern, STORE_NOT_FOUND), 3);
        ck_assert_uint_ge(search_far(&fixture, READ_NEIGHBOR, -1, pattern, STORE_NOT_FOUND), 3);
        ck_assert_uint_ge(search_far(&fixture, READ_LAST, 0, pattern, 0), 3);
    }
    show_in_index(&fixture); // now there are hits that do not match, and none at all
    ck_assert_uint_ge(search_far(&fixture, READ_NEIGHBOR, -1, "/kind1/*", STORE_NOT_FOUND), 1);
    ck_assert_uint_ge(search_far(&fixture, READ_LAST, 0, "/kind?/*", 0), 3);
    fixture.wanted_type = 0;
    fixture.wanted_timestamp_min_ms = 0;
    ck_assert_uint_eq(search_far(&fixture, READ_LAST, 0, "/none", 0), 1);
    fixture_sort(&fixture);
    check_last(&fixture, "/kind?/*", 4000);
    check_last(&fixture, "**", 4000);
    is_indexed = false;
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

static uint64_t model_entry(const struct log_fixture *fixture, uint16_t actor, struct event_id id,
                            bool exclusive, uint64_t time_ms)
{
    uint64_t entry = 0;
    for (size_t i = 0; i < fixture->events_count; i++) {
        const struct model_event *event = &fixture->events[i];
        if (event->id.actor != actor) {
            continue;
        }
        if (time_ms > 0 && event->timestamp_ms >= time_ms) {
            break;
        }
        int order = event_id_compare(event->id, id);
        if (time_ms == 0 && (order > 0 || (order == 0 && exclusive))) {
            break;
        }
        entry = event->id.counter;
    }
    return entry;
}

static void check_start(struct log_fixture *fixture, enum read_start start)
{
    struct read read;
    const struct model_event *event =
        &fixture->events[random_below(&fixture->random, fixture->events_count)];
    read_init(&read, READ_START);
    read.start = start;
    read.position = event->id;
    read.time_ms = event->timestamp_ms;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture->port)), 0);
    fixture_read(fixture, &read);
    ck_assert_int_eq(read.result, 0);
    for (uint16_t actor = 1; actor <= 1 + FIXTURE_PEERS; actor++) {
        ck_assert_uint_eq(version_vector_get(&read.vector, actor),
                          model_entry(fixture, actor, event->id, start == START_FROM_ID,
                                      start == START_TIME ? event->timestamp_ms : 0));
    }
    read_deinit(&read);
}

START_TEST(start_positions_become_vectors)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct log_fixture fixture;
        fixture_init(&fixture, seed + round);
        fixture_open(&fixture);
        fixture_produce(&fixture, 5);
        fill(&fixture, 40);
        fixture_sort(&fixture);
        for (unsigned i = 0; i < 30; i++) {
            check_start(&fixture, START_AFTER_ID);
            check_start(&fixture, START_FROM_ID);
            check_start(&fixture, START_TIME);
        }
        fixture_close(&fixture);
        fixture_deinit(&fixture);
    }
}
END_TEST

START_TEST(a_cursor_that_is_no_id_of_its_strand_is_refused)
{
    struct log_fixture fixture;
    struct read read;
    fixture_init(&fixture, 1);
    fixture_open(&fixture);
    fixture_produce(&fixture, 10);
    fixture_abandon(&fixture);
    fixture_open(&fixture); // skips ahead: counters between are no ids
    fixture_produce(&fixture, 10);
    read_init(&read, READ_START);
    read.start = START_CURSOR;
    ck_assert_int_eq(version_vector_copy(&read.upper, store_port_vector(fixture.port)), 0);
    ck_assert_int_eq(version_vector_set(&read.lower, 1, 11), 0);
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(read.reason.text, "11.1"));
    ck_assert_int_eq(version_vector_set(&read.lower, 1, 10), 0);
    ck_assert_int_eq(version_vector_set(&read.lower, 9, 500), 0); // ahead: cannot be judged
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, 0);
    read_deinit(&read);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(namespaces_are_exact_for_all_that_is_visible)
{
    struct log_fixture fixture;
    struct read read;
    fixture_init(&fixture, 3);
    fixture_open(&fixture);
    fill(&fixture, 30);
    fixture_produce(&fixture, 7);
    read_init(&read, READ_NAMESPACES);
    read.filter = fixture_filter("/**");
    read.page_max = 7;
    uint64_t events = 0;
    do {
        fixture_read(&fixture, &read);
        ck_assert_msg(read.result == 0, "%s", read.reason.text);
        struct bytes rest = buffer_bytes(&read.names);
        while (rest.length > 0) {
            struct namespace_row row;
            uint64_t expected = 0;
            ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
            for (size_t i = 0; i < fixture.events_count; i++) {
                expected += bytes_equal(row.name, bytes_of_text(fixture.events[i].name));
            }
            ck_assert_uint_eq(row.events, expected);
            events += row.events;
        }
    } while (!read.done);
    ck_assert_uint_eq(events, fixture.events_count);
    struct store_status status;
    store_status(fixture.store, &status);
    ck_assert_uint_eq(status.index_behind, 0);
    fixture_produce(&fixture, 5);
    fixture_index(&fixture);
    store_status(fixture.store, &status);
    ck_assert_uint_eq(status.index_behind, 5); // added, but readers do not find it yet
    read_deinit(&read);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

START_TEST(an_index_that_cannot_be_written_neither_holds_up_produce_nor_spins)
{
    struct log_fixture fixture;
    struct read read;
    fixture_init(&fixture, 4);
    fixture_open(&fixture);
    fixture_produce(&fixture, 10);
    disk_medium_fail(fixture.index_medium, DISK_FAULT_WRITE, 1, false);
    read_init(&read, READ_NAMESPACES);
    read.page_max = 100;
    fixture_read(&fixture, &read);
    ck_assert_int_eq(read.result, ERR_IO);
    read_deinit(&read);
    fixture_produce(&fixture, 10);
    atomic_fetch_add(&fixture.store->index_behind, INDEX_BEHIND_EVENTS_MAX); // so many more
    ck_assert(!store_is_congested(fixture.store));
    ck_assert(!store_step_index(fixture.store));
    // Nothing that would end the indexer's waiting at once, again and again.
    ck_assert(!fixture.store->indexer.has_news && !fixture.store->indexer.is_wanted);
    ck_assert_int_eq(fixture.store->indexer.flush_due.tv_sec, 0);
    fixture_close(&fixture);
    fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log_read");
    suite_add(suite, canonical_reads_deliver_exactly_what_is_between_two_vectors);
    suite_add(suite, arrival_reads_deliver_the_order_of_commits);
    suite_add(suite, events_neighbors_and_the_last_are_found);
    suite_add(suite, the_index_answers_for_names_alone);
    suite_add(suite, a_search_goes_in_steps);
    suite_add(suite, start_positions_become_vectors);
    suite_add(suite, a_cursor_that_is_no_id_of_its_strand_is_refused);
    suite_add(suite, namespaces_are_exact_for_all_that_is_visible);
    suite_add(suite, an_index_that_cannot_be_written_neither_holds_up_produce_nor_spins);
    return check_main(suite);
}
