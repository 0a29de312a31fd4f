// Subscriptions that want certain attributes, and nothing before a time: on every way that events
// take to them, each against the model.

#include "proto/base/limits.h"
#include "server/node/session.h"
#include "server/node/subscription.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/node_fixture.h"

static struct node_fixture fixture;
static struct client client;
static struct attribute_match match;

static void begin(void)
{
    node_fixture_init(&fixture, 3);
    fixture.log.has_attributes = true;
    client_open(&client, &fixture);
}

static void end(void)
{
    client_close(&client);
    node_fixture_deinit(&fixture);
}

static void fill(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        fixture_produce_group(&fixture.log, 3);
        fixture_replicate(&fixture.log, i % FIXTURE_PEERS, 1 + i % 3);
    }
    node_settle(&fixture);
}

struct wanted {
    const char *pattern;
    char type;
    uint64_t timestamp_min_ms;
};

enum { WANTED = 6 };

// Everything, patterns that the index answers, and nothing; some have a time that begins here.
static void some_wanted(struct wanted wanted[WANTED])
{
    uint64_t now_ms = fixture.log.now_ms;
    memcpy(wanted,
           (struct wanted[]){{NULL, 'a', 0},
                             {"/kind1/*", 'b', 0},
                             {"/kind2/name3", 'd', now_ms - 100},
                             {NULL, 0, now_ms - 200},
                             {"/kind0/**", 'c', now_ms + 50},
                             {NULL, 'a', UINT64_MAX}},
           WANTED * sizeof *wanted);
}

static void want(const struct wanted *wanted)
{
    fixture.log.wanted_type = wanted->type;
    fixture.log.wanted_timestamp_min_ms = wanted->timestamp_min_ms;
}

// One view of an attribute serves all requests: each is taken before the next is made.
static struct request wanted_request(uint64_t id, const struct wanted *wanted)
{
    struct request request = subscribe_request(id, wanted->pattern);
    want(wanted);
    struct filter_conditions conditions = fixture_conditions(&fixture.log, &match);
    request.subscribe.attributes[0] = match;
    request.subscribe.attributes_count = conditions.attributes_count;
    request.subscribe.timestamp_min_ms = conditions.timestamp_min_ms;
    return request;
}

static void check(const struct stream *stream, const struct wanted *wanted,
                  const struct version_vector *end, uint64_t limit)
{
    want(wanted);
    stream_check(stream, &fixture.log, wanted->pattern, end, limit);
}

static size_t matching(const struct wanted *wanted)
{
    size_t count = 0;
    want(wanted);
    for (size_t i = 0; i < fixture.log.events_count; i++) {
        const struct model_event *event = &fixture.log.events[i];
        count +=
            fixture_is_wanted(&fixture.log, event) && pattern_matches(wanted->pattern, event->name);
    }
    return count;
}

START_TEST(hold_in_replay_and_live)
{
    begin();
    fill(20);
    struct wanted wanted[WANTED];
    struct stream *streams[WANTED];
    some_wanted(wanted);
    for (unsigned i = 0; i < WANTED; i++) {
        struct request request = wanted_request(i + 1, &wanted[i]);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    size_t before = streams[0]->count;
    for (unsigned i = 0; i < 10; i++) {
        fill(1);
        client_run(&client);
    }
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_gt(streams[0]->count, before);
    ck_assert_uint_gt(streams[3]->count, 0);
    ck_assert_uint_gt(streams[4]->count, 0);
    ck_assert_uint_eq(streams[5]->count, 0);
    for (unsigned i = 0; i < WANTED; i++) {
        ck_assert(streams[i]->is_caught_up);
        ck_assert_uint_eq(streams[i]->chunk_deliveries, 0);
        check(streams[i], &wanted[i], NULL, 0);
    }
    end();
}
END_TEST

START_TEST(hold_in_stable_order)
{
    begin();
    fill(20);
    struct wanted wanted[WANTED];
    some_wanted(wanted);
    for (unsigned i = 0; i < WANTED; i++) {
        struct request request = wanted_request(i + 1, &wanted[i]);
        request.subscribe.is_stable_order = true;
        request.subscribe.end = END_NOW;
        struct stream *stream = client_subscribe(&client, &request);
        client_run(&client);
        ck_assert_uint_eq(stream->end_reason, END_REACHED);
        check(stream, &wanted[i], NULL, 0);
    }
    end();
}
END_TEST

START_TEST(hold_for_one_that_has_fallen_behind)
{
    begin();
    struct wanted wanted[WANTED];
    struct stream *streams[WANTED];
    some_wanted(wanted);
    for (unsigned i = 0; i < WANTED; i++) {
        struct request request = wanted_request(i + 1, &wanted[i]);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 150; i++) {
        fixture_produce_group(&fixture.log, 4);
        node_settle(&fixture);
    }
    client_run(&client);
    fill(2);
    client_run(&client);
    for (unsigned i = 0; i < WANTED; i++) {
        check(streams[i], &wanted[i], NULL, 0);
    }
    end();
}
END_TEST

// What is passed is passed: the cursor of a mark covers what did not match.
START_TEST(cursor_passes_what_does_not_match_and_resumes)
{
    begin();
    fill(10);
    struct wanted wanted = {.pattern = NULL, .type = 'd'};
    struct buffer encoded = {0};
    struct version_vector held = {0};
    struct request request = wanted_request(1, &wanted);
    request.subscribe.end = END_NOW;
    struct stream *first = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert_uint_eq(first->end_reason, END_REACHED);
    check(first, &wanted, NULL, 0);
    ck_assert(version_vector_includes(&first->cursor, store_port_vector(fixture.log.port)));
    ck_assert_int_eq(version_vector_copy(&held, &first->cursor), 0);
    size_t before = matching(&wanted);
    fill(5);
    ck_assert_int_eq(version_vector_encode(&held, &encoded), 0);
    request = wanted_request(2, &wanted);
    request.subscribe.start = START_AT_CURSOR;
    request.subscribe.start_cursor = buffer_bytes(&encoded);
    struct stream *second = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert_uint_eq(second->count, matching(&wanted) - before);
    check(second, &wanted, NULL, 0);
    version_vector_deinit(&held);
    buffer_deinit(&encoded);
    end();
}
END_TEST

START_TEST(progress_is_told_where_nothing_matches)
{
    begin();
    struct wanted wanted = {.pattern = NULL, .type = 0, .timestamp_min_ms = UINT64_MAX};
    struct request request = wanted_request(1, &wanted);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    for (unsigned i = 0; i < 140; i++) {
        fixture_produce(&fixture.log, 500);
        client_run(&client);
    }
    ck_assert_uint_eq(stream->count, 0);
    ck_assert_uint_eq(stream->progresses, 1);
    ck_assert_uint_gt(version_vector_get(&stream->cursor, 1), 65000);
    end();
}
END_TEST

START_TEST(limit_counts_what_matches)
{
    begin();
    fill(4);
    const struct wanted wanted = {.pattern = "/kind0/*", .type = 'a'};
    size_t here = matching(&wanted);
    struct stream *streams[6];
    const uint64_t limits[] = {1, here - 1, here, here + 1, here + 10, here + 40};
    for (unsigned i = 0; i < 6; i++) {
        struct request request = wanted_request(i + 1, &wanted);
        request.subscribe.limit = limits[i];
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 20; i++) {
        fixture_produce(&fixture.log, 50);
        client_run(&client);
    }
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(streams[i]->end_reason, END_REACHED);
        check(streams[i], &wanted, NULL, limits[i]);
        stream_check_cursor(streams[i], &fixture.log, wanted.pattern);
    }
    end();
}
END_TEST

START_TEST(last_events_are_of_those_that_match)
{
    begin();
    fill(20);
    struct wanted wanted[WANTED];
    some_wanted(wanted);
    const uint64_t lasts[] = {1, 7, 40, 100000};
    for (unsigned i = 0; i < WANTED * 4; i++) {
        size_t here = matching(&wanted[i / 4]);
        uint64_t last = lasts[i % 4] < LAST_EVENTS_MAX ? lasts[i % 4] : LAST_EVENTS_MAX;
        struct request request = wanted_request(i + 1, &wanted[i / 4]);
        request.subscribe.start = START_LAST;
        request.subscribe.start_last = last;
        request.subscribe.end = END_NOW;
        struct stream *stream = client_subscribe(&client, &request);
        client_run(&client);
        ck_assert_uint_eq(stream->count, last < here ? last : here);
        check(stream, &wanted[i / 4], NULL, 0);
    }
    end();
}
END_TEST

// The store looks for them in several steps, and what comes meanwhile is served.
START_TEST(last_events_are_found_over_a_long_way)
{
    begin();
    const struct wanted wanted = {.pattern = "/kind2/name13", .type = 'a'};
    for (unsigned i = 0; i < 5500; i++) {
        fixture.log.names_count = i < 1500 ? 20 : 5; // the name is not among the newer events
        fixture_produce(&fixture.log, 1);
    }
    node_settle(&fixture);
    size_t here = matching(&wanted);
    ck_assert_uint_ge(here, 2);
    struct request request = wanted_request(1, &wanted);
    request.subscribe.start = START_LAST;
    request.subscribe.start_last = here + 10;
    struct stream *all = client_subscribe(&client, &request);
    request.id = 2;
    request.subscribe.start_last = here - 1;
    struct stream *most = client_subscribe(&client, &request);
    const struct request last = {
        .kind = REQUEST_LAST,
        .id = 3,
        .last = {.entries = {{.text = bytes_of_text(wanted.pattern)}},
                 .entries_count = 1,
                 .events_max = 2},
    };
    client_submit(&client, &last);
    const struct request neighbor = {
        .kind = REQUEST_NEIGHBOR,
        .id = 4,
        .neighbor = {.which = NEIGHBOR_PREVIOUS,
                     .event = {.counter = COUNTER_MAX, .actor = 1},
                     .entries = {{.text = bytes_of_text("/nothing/**")}},
                     .entries_count = 1},
    };
    client_submit(&client, &neighbor);
    client_run(&client);
    check(all, &wanted, NULL, 0);
    ck_assert_uint_eq(all->count, here);
    ck_assert_uint_eq(most->count, here - 1);
    ck_assert_uint_eq(client_answer(&client, 3)->kind, REPLY_EVENTS);
    ck_assert_uint_eq(client_answer(&client, 3)->events.count, 2);
    ck_assert_uint_eq(client_answer(&client, 4)->code, WIRE_NOT_FOUND);
    end();
}
END_TEST

START_TEST(hold_up_to_an_end_that_is_still_to_come)
{
    begin();
    fill(3);
    struct version_vector goal = {0};
    struct buffer encoded = {0};
    struct wanted wanted[WANTED];
    struct stream *streams[WANTED];
    uint64_t own = version_vector_get(store_port_vector(fixture.log.port), 1);
    ck_assert_int_eq(version_vector_copy(&goal, store_port_vector(fixture.log.port)), 0);
    ck_assert_int_eq(version_vector_set(&goal, 1, own + 100), 0);
    ck_assert_int_eq(version_vector_encode(&goal, &encoded), 0);
    some_wanted(wanted);
    for (unsigned i = 0; i < WANTED; i++) {
        struct request request = wanted_request(i + 1, &wanted[i]);
        request.subscribe.end = END_CURSOR;
        request.subscribe.end_cursor = buffer_bytes(&encoded);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 20; i++) {
        fixture_produce(&fixture.log, 15);
        client_run(&client);
    }
    for (unsigned i = 0; i < WANTED; i++) {
        ck_assert_uint_eq(streams[i]->end_reason, END_REACHED);
        check(streams[i], &wanted[i], &goal, 0);
    }
    buffer_deinit(&encoded);
    version_vector_deinit(&goal);
    end();
}
END_TEST

// All must match, values may be empty, and what no event can have is no error.
START_TEST(all_attributes_must_match)
{
    begin();
    fill(10);
    static uint8_t large[ATTRIBUTES_BYTES_MAX];
    struct attribute_match matches[] = {
        {bytes_of_text("type"), bytes_of_text("d")},
        {bytes_of_text("type"), bytes_of_text("a")},
        {bytes_of_text("none"), bytes_of_text("")},
        {bytes_of_text("large"), bytes_of(large, sizeof large)},
    };
    size_t both = 0;
    for (size_t i = 0; i < fixture.log.events_count; i++) {
        const struct model_event *event = &fixture.log.events[i];
        both += fixture_has_type(event, 'd') && fixture_has_type(event, 'a');
    }
    const size_t expected[] = {0, both, 0, 0};
    ck_assert_uint_gt(both, 0);
    for (unsigned count = 2; count <= 4; count++) {
        struct request request = subscribe_request(count, NULL);
        memcpy(request.subscribe.attributes, matches, count * sizeof *matches);
        request.subscribe.attributes_count = count;
        struct stream *stream = client_subscribe(&client, &request);
        client_run(&client);
        ck_assert(stream->is_caught_up);
        ck_assert_uint_eq(stream->count, expected[count - 1]);
    }
    end();
}
END_TEST

static void refused(const struct request *request)
{
    client_submit(&client, request);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, request->id);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->kind, REPLY_ERROR);
    ck_assert_uint_eq(answer->code, WIRE_INVALID_ARGUMENT);
    ck_assert_uint_gt(strlen(answer->text), 0);
    ck_assert(session_is_idle(client.session));
}

START_TEST(refuses_attributes_that_no_event_may_have)
{
    begin();
    static uint8_t large[ATTRIBUTES_BYTES_MAX + 1];
    const struct attribute_match matches[] = {
        {{0}, bytes_of_text("value")},
        {bytes_of(large, ATTRIBUTE_NAME_BYTES_MAX + 1), {0}},
        {bytes_of_text("name"), bytes_of(large, sizeof large)},
        {bytes_of_text("\xc3"), {0}},
    };
    for (unsigned i = 0; i < 4; i++) {
        struct request request = subscribe_request(i + 1, NULL);
        request.subscribe.attributes[0] = matches[i];
        request.subscribe.attributes_count = 1;
        refused(&request);
    }
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_conditions");
    suite_add(suite, hold_in_replay_and_live);
    suite_add(suite, hold_in_stable_order);
    suite_add(suite, hold_for_one_that_has_fallen_behind);
    suite_add(suite, cursor_passes_what_does_not_match_and_resumes);
    suite_add(suite, progress_is_told_where_nothing_matches);
    suite_add(suite, limit_counts_what_matches);
    suite_add(suite, last_events_are_of_those_that_match);
    suite_add(suite, last_events_are_found_over_a_long_way);
    suite_add(suite, hold_up_to_an_end_that_is_still_to_come);
    suite_add(suite, all_attributes_must_match);
    suite_add(suite, refuses_attributes_that_no_event_may_have);
    return check_main(suite);
}
