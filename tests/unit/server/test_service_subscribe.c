// Subscriptions: every start, every end, credit, limits, marks; each against the model.

#include "proto/base/limits.h"
#include "server/node/session.h"
#include "server/node/subscription.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/node_fixture.h"

static struct node_fixture fixture;
static struct client client;

static void begin(void)
{
    node_fixture_init(&fixture, 1);
    client_open(&client, &fixture);
}

static void end(void)
{
    client_close(&client);
    node_fixture_deinit(&fixture);
}

// Overlapping strands of four actors.
static void fill(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        fixture_produce_group(&fixture.log, 3);
        fixture_replicate(&fixture.log, i % FIXTURE_PEERS, 1 + i % 3);
    }
    node_settle(&fixture);
}

static struct event_id some_id(size_t i)
{
    return fixture.log.events[i % fixture.log.events_count].id;
}

static size_t matching(const char *pattern)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture.log.events_count; i++) {
        count += pattern_matches(pattern, fixture.log.events[i].name);
    }
    return count;
}

START_TEST(replays_everything_then_goes_on_live)
{
    begin();
    fill(20);
    struct request request = subscribe_request(1, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(stream->is_caught_up);
    ck_assert_uint_eq(stream->caught_up_at, fixture.log.events_count);
    size_t before = stream->count;
    fill(5);
    client_run(&client);
    ck_assert_uint_gt(stream->count, before);
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    stream_check_cursor(stream, &fixture.log, NULL);
    end();
}
END_TEST

START_TEST(filters_replay_and_live)
{
    begin();
    fill(20);
    const char *patterns[] = {"/kind1/*", "/kind2/name3", "/*/name1?", "/nothing/**"};
    struct stream *streams[4];
    for (unsigned i = 0; i < 4; i++) {
        struct request request = subscribe_request(i + 1, patterns[i]);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 10; i++) {
        fill(1);
        client_run(&client);
    }
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(streams[i]->is_caught_up);
        stream_check(streams[i], &fixture.log, patterns[i], NULL, 0);
    }
    end();
}
END_TEST

START_TEST(client_without_features_gets_slices_alone)
{
    begin();
    session_set_features(client.session, FEATURE_CHUNKS);
    fill(5);
    struct request request = subscribe_request(1, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    fill(5);
    client_run(&client);
    ck_assert_uint_eq(stream->chunk_deliveries, 0);
    ck_assert_uint_gt(stream->slice_deliveries, 0);
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(client_with_features_gets_chunks_when_live)
{
    begin();
    struct request request = subscribe_request(1, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    fill(5);
    client_run(&client);
    ck_assert_uint_eq(stream->slice_deliveries, 0);
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(start_at_the_end_brings_only_what_comes)
{
    begin();
    fill(5);
    size_t before = fixture.log.events_count;
    struct request request = subscribe_request(1, NULL);
    request.subscribe.start = START_END;
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(stream->is_caught_up);
    ck_assert_uint_eq(stream->count, 0);
    fill(3);
    client_run(&client);
    ck_assert_uint_eq(stream->count, fixture.log.events_count - before);
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(start_at_an_id_includes_it_and_after_an_id_does_not)
{
    begin();
    fill(10);
    for (unsigned i = 0; i < 20; i++) {
        struct event_id id = some_id(i * 37);
        struct request request = subscribe_request(2 * i + 1, i % 2 ? "/kind1/**" : NULL);
        const char *pattern = i % 2 ? "/kind1/**" : NULL;
        request.subscribe.end = END_NOW;
        request.subscribe.start_id = id;
        request.subscribe.start = START_AT_ID;
        struct stream *from = client_subscribe(&client, &request);
        request.id++;
        request.subscribe.start = START_AT_AFTER_ID;
        struct stream *after = client_subscribe(&client, &request);
        client_run(&client);
        size_t behind = 0;
        size_t equal = 0;
        for (size_t k = 0; k < fixture.log.events_count; k++) {
            const struct model_event *event = &fixture.log.events[k];
            int order = event_id_compare(event->id, id);
            behind += order > 0 && pattern_matches(pattern, event->name);
            equal += order == 0 && pattern_matches(pattern, event->name);
        }
        ck_assert_uint_eq(from->count, behind + equal);
        ck_assert_uint_eq(after->count, behind);
        stream_check(from, &fixture.log, pattern, NULL, 0);
        stream_check(after, &fixture.log, pattern, NULL, 0);
        ck_assert_uint_eq(after->end_reason, END_REACHED);
    }
    end();
}
END_TEST

START_TEST(start_at_a_time_brings_that_time_and_later)
{
    begin();
    fill(20);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t time_ms = fixture.log.events[i * 53 % fixture.log.events_count].timestamp_ms;
        struct request request = subscribe_request(i + 1, NULL);
        request.subscribe.start = START_AT_TIME;
        request.subscribe.start_time_ms = time_ms;
        request.subscribe.end = END_NOW;
        struct stream *stream = client_subscribe(&client, &request);
        client_run(&client);
        size_t wanted = 0;
        for (size_t k = 0; k < fixture.log.events_count; k++) {
            wanted += fixture.log.events[k].timestamp_ms >= time_ms;
        }
        ck_assert_uint_eq(stream->count, wanted);
        stream_check(stream, &fixture.log, NULL, NULL, 0);
    }
    end();
}
END_TEST

START_TEST(start_with_the_last_events)
{
    begin();
    fill(10);
    const char *pattern = "/kind2/**";
    const uint64_t counts[] = {0, 1, 7, 100, 60000};
    for (unsigned i = 0; i < 5; i++) {
        struct request request = subscribe_request(i + 1, pattern);
        request.subscribe.start = START_LAST;
        request.subscribe.start_last = counts[i];
        request.subscribe.end = END_NOW;
        struct stream *stream = client_subscribe(&client, &request);
        client_run(&client);
        size_t there = matching(pattern);
        ck_assert_uint_eq(stream->count, there < counts[i] ? there : counts[i]);
        stream_check(stream, &fixture.log, pattern, NULL, 0);
    }
    end();
}
END_TEST

START_TEST(resumes_by_cursor_without_gap_or_repetition)
{
    begin();
    fill(10);
    struct version_vector seen = {0};
    size_t total = 0;
    for (unsigned i = 0; i < 15; i++) {
        struct buffer encoded = {0};
        ck_assert_int_eq(version_vector_encode(&seen, &encoded), 0);
        struct request request = subscribe_request(i + 1, NULL);
        request.subscribe.start = START_AT_CURSOR;
        request.subscribe.start_cursor = buffer_bytes(&encoded);
        request.subscribe.limit = 1 + i * 13;
        request.subscribe.end = END_NOW;
        struct stream *stream = client_subscribe(&client, &request);
        buffer_deinit(&encoded);
        client_run(&client);
        ck_assert_uint_eq(stream->end_reason, END_REACHED);
        stream_check(stream, &fixture.log, NULL, NULL, request.subscribe.limit);
        stream_check_cursor(stream, &fixture.log, NULL);
        total += stream->count;
        ck_assert_int_eq(version_vector_copy(&seen, &stream->cursor), 0);
        fill(1);
    }
    size_t covered = 0;
    for (size_t k = 0; k < fixture.log.events_count; k++) {
        covered += version_vector_covers(&seen, fixture.log.events[k].id);
    }
    ck_assert_uint_eq(covered, total);
    version_vector_deinit(&seen);
    end();
}
END_TEST

// A cursor from a node that is ahead: that actor's events wait, and those it covers are skipped.
START_TEST(cursor_ahead_of_the_node_skips_what_it_covers)
{
    begin();
    fill(3);
    struct version_vector ahead = {0};
    struct buffer encoded = {0};
    ck_assert_int_eq(version_vector_copy(&ahead, store_port_vector(fixture.log.port)), 0);
    ck_assert_int_eq(version_vector_raise(&ahead, 2, fixture.log.peers[0].last + 150), 0);
    ck_assert_int_eq(version_vector_encode(&ahead, &encoded), 0);
    const char *patterns[] = {NULL, "/kind1/**"};
    struct stream *streams[2];
    for (unsigned i = 0; i < 2; i++) {
        struct request request = subscribe_request(i + 1, patterns[i]);
        request.subscribe.start = START_AT_CURSOR;
        request.subscribe.start_cursor = buffer_bytes(&encoded);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    ck_assert(streams[0]->is_caught_up);
    for (unsigned i = 0; i < 20; i++) {
        fixture_replicate(&fixture.log, 0, 1);
        fixture_produce(&fixture.log, 20);
        client_run(&client);
    }
    ck_assert_uint_gt(fixture.log.peers[0].last, version_vector_get(&ahead, 2));
    for (unsigned i = 0; i < 2; i++) {
        stream_check(streams[i], &fixture.log, patterns[i], NULL, 0);
    }
    buffer_deinit(&encoded);
    version_vector_deinit(&ahead);
    end();
}
END_TEST

// An end beyond what is here is reached live, exactly.
START_TEST(ends_at_a_cursor_also_when_it_is_still_to_come)
{
    begin();
    fill(5);
    struct version_vector goal = {0};
    struct buffer encoded = {0};
    uint64_t own = version_vector_get(store_port_vector(fixture.log.port), 1);
    ck_assert_int_eq(version_vector_raise(&goal, 1, own + 130), 0);
    ck_assert_int_eq(version_vector_raise(&goal, 2, fixture.log.peers[0].last + 5), 0);
    ck_assert_int_eq(version_vector_raise(&goal, 3, fixture.log.peers[1].last), 0);
    ck_assert_int_eq(version_vector_encode(&goal, &encoded), 0);
    const char *patterns[] = {NULL, "/kind1/**", "/nothing"};
    struct stream *streams[3];
    for (unsigned i = 0; i < 3; i++) {
        struct request request = subscribe_request(i + 1, patterns[i]);
        request.subscribe.end = END_CURSOR;
        request.subscribe.end_cursor = buffer_bytes(&encoded);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 20; i++) {
        fixture_produce(&fixture.log, 15);
        fixture_replicate(&fixture.log, i % FIXTURE_PEERS, 1);
        client_run(&client);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(streams[i]->end_reason, END_REACHED);
        stream_check(streams[i], &fixture.log, patterns[i], &goal, 0);
    }
    ck_assert(session_is_idle(client.session));
    buffer_deinit(&encoded);
    version_vector_deinit(&goal);
    end();
}
END_TEST

START_TEST(limit_cuts_exactly_in_replay_and_live)
{
    begin();
    fill(4);
    size_t here = fixture.log.events_count;
    const uint64_t limits[] = {1, 2, 63, 64, 65, here - 1, here, here + 1, here + 30, here + 100};
    struct stream *streams[10];
    for (unsigned i = 0; i < 10; i++) {
        struct request request = subscribe_request(i + 1, NULL);
        request.subscribe.limit = limits[i];
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 10; i++) {
        fixture_produce(&fixture.log, 25);
        client_run(&client);
    }
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(streams[i]->count, limits[i]);
        ck_assert_uint_eq(streams[i]->end_reason, END_REACHED);
        stream_check(streams[i], &fixture.log, NULL, NULL, limits[i]);
        stream_check_cursor(streams[i], &fixture.log, NULL);
    }
    end();
}
END_TEST

START_TEST(filtered_limit_cuts_exactly)
{
    begin();
    fill(4);
    const char *pattern = "/kind0/*";
    size_t here = matching(pattern);
    struct stream *streams[6];
    const uint64_t limits[] = {1, here - 1, here, here + 1, here + 10, here + 40};
    for (unsigned i = 0; i < 6; i++) {
        struct request request = subscribe_request(i + 1, pattern);
        request.subscribe.limit = limits[i];
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 12; i++) {
        fixture_produce(&fixture.log, 30);
        client_run(&client);
    }
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(streams[i]->end_reason, END_REACHED);
        stream_check(streams[i], &fixture.log, pattern, NULL, limits[i]);
        stream_check_cursor(streams[i], &fixture.log, pattern);
    }
    end();
}
END_TEST

START_TEST(credit_is_overdrawn_by_one_message_at_most)
{
    begin();
    fill(60);
    struct request request = subscribe_request(1, NULL);
    request.subscribe.credit_bytes = 1;
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    unsigned messages = stream->chunk_deliveries + stream->slice_deliveries;
    ck_assert_uint_eq(messages, 1);
    // It is below zero: what was overdrawn comes off the next credit.
    client_credit(&client, 1, 1);
    client_run(&client);
    ck_assert_uint_eq(stream->chunk_deliveries + stream->slice_deliveries, 1);
    while (!stream->is_caught_up) {
        unsigned before = stream->chunk_deliveries + stream->slice_deliveries;
        uint64_t granted = stream->bytes;
        client_credit(&client, 1, 300 * KIB);
        client_run(&client);
        ck_assert_uint_ge(stream->chunk_deliveries + stream->slice_deliveries, before);
        ck_assert_uint_le(stream->bytes, granted + 2 * 300 * KIB);
    }
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(slow_consumer_costs_a_position_and_misses_nothing)
{
    begin();
    const char *patterns[] = {NULL, "/kind1/**", "/kind2/name7"};
    struct stream *streams[3];
    for (unsigned i = 0; i < 3; i++) {
        struct request request = subscribe_request(i + 1, patterns[i]);
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    // Nobody takes anything until the cache of recent blocks has long moved on.
    for (unsigned i = 0; i < 150; i++) {
        fixture_produce_group(&fixture.log, 4);
        node_settle(&fixture);
    }
    client_run(&client);
    fill(2);
    client_run(&client);
    for (unsigned i = 0; i < 3; i++) {
        stream_check(streams[i], &fixture.log, patterns[i], NULL, 0);
    }
    end();
}
END_TEST

// What was read for a client that does not take it is dropped, and read again when it does.
START_TEST(stalled_replay_holds_nothing_and_goes_on)
{
    begin();
    fill(60);
    const char *patterns[] = {NULL, "/kind1/**", "/kind2/**"};
    const uint64_t limits[] = {0, 0, 100};
    struct stream *streams[3];
    for (unsigned i = 0; i < 3; i++) {
        struct request request = subscribe_request(i + 1, patterns[i]);
        request.subscribe.limit = limits[i];
        streams[i] = client_subscribe(&client, &request);
    }
    for (unsigned round = 0; round < 10; round++) {
        node_settle(&fixture);
        client_receive(&client, round % 4);
        node_settle(&fixture);
        node_pass_ms(&fixture, 1500);
        for (uint32_t i = 0; i < client.session->subscriptions_count; i++) {
            ck_assert_ptr_null(client.session->subscriptions[i]->step.block);
            ck_assert(!client.session->subscriptions[i]->holds_place);
        }
    }
    client_run(&client);
    for (unsigned i = 0; i < 3; i++) {
        stream_check(streams[i], &fixture.log, patterns[i], NULL, limits[i]);
    }
    end();
}
END_TEST

START_TEST(stops_while_others_run)
{
    begin();
    fill(10);
    struct request request = subscribe_request(1, NULL);
    struct stream *first = client_subscribe(&client, &request);
    request = subscribe_request(2, "/kind1/**");
    struct stream *second = client_subscribe(&client, &request);
    client_receive(&client, 3);
    client_stop(&client, 1);
    client_stop(&client, 77); // there is none: ignored
    client_run(&client);
    ck_assert_uint_eq(first->end_reason, END_STOPPED);
    stream_check_cursor(first, &fixture.log, NULL);
    fill(3);
    client_run(&client);
    stream_check(second, &fixture.log, "/kind1/**", NULL, 0);
    client_stop(&client, 2);
    client_run(&client);
    ck_assert(session_is_idle(client.session));
    stream_check_cursor(second, &fixture.log, "/kind1/**");
    // The id is free again.
    request = subscribe_request(1, NULL);
    request.subscribe.end = END_NOW;
    struct stream *again = client_subscribe(&client, &request);
    client_run(&client);
    stream_check(again, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(heartbeats_when_nothing_else_is_sent)
{
    begin();
    struct request request = subscribe_request(1, "/kind1/name1");
    request.subscribe.heartbeat_ms = 100;
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert_uint_eq(stream->heartbeats, 0);
    for (unsigned i = 0; i < 10; i++) {
        node_pass_ms(&fixture, 100);
        client_run(&client);
    }
    ck_assert_uint_eq(stream->heartbeats, 10);
    // One that is not taken is not followed by others.
    node_pass_ms(&fixture, 100);
    node_pass_ms(&fixture, 100);
    node_pass_ms(&fixture, 100);
    client_run(&client);
    ck_assert_uint_eq(stream->heartbeats, 11);
    // Its cursor contains what did not match.
    fixture_produce(&fixture.log, 1);
    node_pass_ms(&fixture, 150);
    client_run(&client);
    ck_assert(version_vector_equal(&stream->cursor, store_port_vector(fixture.log.port)));
    end();
}
END_TEST

START_TEST(progress_is_told_when_nothing_matches)
{
    begin();
    struct request request = subscribe_request(1, "/nothing");
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    for (unsigned i = 0; i < 140; i++) {
        fixture_produce(&fixture.log, 500);
        client_run(&client);
    }
    ck_assert_uint_eq(stream->progresses, 1);
    ck_assert_uint_gt(version_vector_get(&stream->cursor, 1), 65000);
    end();
}
END_TEST

static void refused(struct request request, enum wire_error code)
{
    static uint64_t id = 1000;
    request.id = id++;
    client_submit(&client, &request);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, request.id);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->kind, REPLY_ERROR);
    ck_assert_uint_eq(answer->code, code);
    ck_assert_uint_gt(strlen(answer->text), 0);
    ck_assert(session_is_idle(client.session));
}

START_TEST(refuses_what_cannot_be_subscribed_to)
{
    begin();
    fill(2);
    refused(subscribe_request(0, "/**foo"), WIRE_INVALID_GLOB);
    refused(subscribe_request(0, ""), WIRE_INVALID_GLOB);
    struct request request = subscribe_request(0, NULL);
    request.subscribe.start = START_AT_ID;
    refused(request, WIRE_INVALID_ID);
    request.subscribe.start = START_AT_CURSOR;
    request.subscribe.start_cursor = bytes_of("\x81\x01\x00", 3);
    refused(request, WIRE_INVALID_CURSOR);
    request = subscribe_request(0, NULL);
    request.subscribe.end = END_CURSOR;
    request.subscribe.end_cursor = bytes_of("\xff", 1);
    refused(request, WIRE_INVALID_CURSOR);
    request = subscribe_request(0, NULL);
    request.subscribe.start = START_LAST;
    request.subscribe.start_last = LAST_EVENTS_MAX + 1;
    refused(request, WIRE_INVALID_ARGUMENT);
    request = subscribe_request(0, NULL);
    request.subscribe.after.cursor = bytes_of("\x81\x01", 2);
    refused(request, WIRE_INVALID_CURSOR);
    end();
}
END_TEST

// A counter that this node must know, but does not: a cursor of another cluster.
START_TEST(refuses_a_cursor_that_cannot_be_from_here)
{
    begin();
    uint64_t gap = 0; // a counter that the strand of actor 2 passes over
    while (gap == 0) {
        uint64_t last = fixture.log.peers[0].last;
        size_t before = fixture.log.events_count;
        fixture_replicate(&fixture.log, 0, 1);
        gap = fixture.log.events[before].id.counter > last + 1 ? last + 1 : 0;
    }
    node_settle(&fixture);
    struct version_vector cursor = {0};
    struct buffer encoded = {0};
    ck_assert_int_eq(version_vector_set(&cursor, 2, gap), 0);
    ck_assert_int_eq(version_vector_encode(&cursor, &encoded), 0);
    struct request request = subscribe_request(1, NULL);
    request.subscribe.start = START_AT_CURSOR;
    request.subscribe.start_cursor = buffer_bytes(&encoded);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(stream->is_over);
    ck_assert_uint_eq(stream->error, WIRE_INVALID_CURSOR);
    buffer_deinit(&encoded);
    version_vector_deinit(&cursor);
    end();
}
END_TEST

START_TEST(duplicate_id_is_refused_and_the_first_goes_on)
{
    begin();
    fill(2);
    struct request request = subscribe_request(5, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    client_submit(&client, &request);
    client_submit(&client, &(struct request){.kind = REQUEST_PING, .id = 5});
    client_run(&client);
    ck_assert_uint_eq(client.answers_count, 2);
    ck_assert_uint_eq(client.answers[0].code, WIRE_DUPLICATE_ID);
    ck_assert_uint_eq(client.answers[1].code, WIRE_DUPLICATE_ID);
    fill(2);
    client_run(&client);
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(after_waits_for_what_it_names)
{
    begin();
    fill(1);
    struct version_vector need = {0};
    struct buffer encoded = {0};
    uint64_t own = version_vector_get(store_port_vector(fixture.log.port), 1);
    ck_assert_int_eq(version_vector_set(&need, 1, own + 1), 0);
    ck_assert_int_eq(version_vector_encode(&need, &encoded), 0);
    struct request request = subscribe_request(1, NULL);
    request.subscribe.after.cursor = buffer_bytes(&encoded);
    struct stream *in_time = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(!in_time->is_subscribed);
    fixture_produce(&fixture.log, 1);
    client_run(&client);
    ck_assert(in_time->is_subscribed);
    stream_check(in_time, &fixture.log, NULL, NULL, 0);
    ck_assert_int_eq(version_vector_set(&need, 1, own + 100), 0);
    buffer_clear(&encoded);
    ck_assert_int_eq(version_vector_encode(&need, &encoded), 0);
    request.id = 2;
    request.subscribe.after.cursor = buffer_bytes(&encoded);
    request.subscribe.after.timeout_ms = 50;
    struct stream *late = client_subscribe(&client, &request);
    node_pass_ms(&fixture, 49);
    client_run(&client);
    ck_assert(!late->is_over);
    node_pass_ms(&fixture, 1);
    client_run(&client);
    ck_assert_uint_eq(late->error, WIRE_TIMEOUT);
    buffer_deinit(&encoded);
    version_vector_deinit(&need);
    end();
}
END_TEST

// Many replays share few places to read; all come to their end.
START_TEST(many_replays_of_one_session_take_turns)
{
    begin();
    fill(60);
    struct stream *streams[40];
    for (unsigned i = 0; i < 40; i++) {
        struct request request = subscribe_request(i + 1, i % 3 == 0 ? "/kind1/**" : NULL);
        request.subscribe.end = END_NOW;
        streams[i] = client_subscribe(&client, &request);
    }
    client_run(&client);
    for (unsigned i = 0; i < 40; i++) {
        ck_assert_uint_eq(streams[i]->end_reason, END_REACHED);
        stream_check(streams[i], &fixture.log, i % 3 == 0 ? "/kind1/**" : NULL, NULL, 0);
    }
    end();
}
END_TEST

START_TEST(damage_ends_the_subscription_with_an_error)
{
    begin();
    fill(10);
    const struct model_event *event = &fixture.log.events[0];
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key(event->id, key);
    ck_assert_int_eq(disk_medium_flip(fixture.log.log_medium, LOG_CHUNKS, bytes_of(key, sizeof key),
                                      8 * (CHUNK_HEADER_LENGTH + 3)),
                     0);
    struct request request = subscribe_request(1, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(stream->is_over);
    ck_assert_uint_eq(stream->error, WIRE_CORRUPT);
    ck_assert(session_is_idle(client.session));
    client_submit(&client, &(struct request){.kind = REQUEST_STATUS, .id = 2});
    client_run(&client);
    const struct answer_copy *status = client_answer(&client, 2);
    ck_assert_ptr_nonnull(strstr(status->alarms, "damage"));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_subscribe");
    suite_add(suite, replays_everything_then_goes_on_live);
    suite_add(suite, filters_replay_and_live);
    suite_add(suite, client_without_features_gets_slices_alone);
    suite_add(suite, client_with_features_gets_chunks_when_live);
    suite_add(suite, start_at_the_end_brings_only_what_comes);
    suite_add(suite, start_at_an_id_includes_it_and_after_an_id_does_not);
    suite_add(suite, start_at_a_time_brings_that_time_and_later);
    suite_add(suite, start_with_the_last_events);
    suite_add(suite, resumes_by_cursor_without_gap_or_repetition);
    suite_add(suite, cursor_ahead_of_the_node_skips_what_it_covers);
    suite_add(suite, ends_at_a_cursor_also_when_it_is_still_to_come);
    suite_add(suite, limit_cuts_exactly_in_replay_and_live);
    suite_add(suite, filtered_limit_cuts_exactly);
    suite_add(suite, credit_is_overdrawn_by_one_message_at_most);
    suite_add(suite, slow_consumer_costs_a_position_and_misses_nothing);
    suite_add(suite, stalled_replay_holds_nothing_and_goes_on);
    suite_add(suite, stops_while_others_run);
    suite_add(suite, heartbeats_when_nothing_else_is_sent);
    suite_add(suite, progress_is_told_when_nothing_matches);
    suite_add(suite, refuses_what_cannot_be_subscribed_to);
    suite_add(suite, refuses_a_cursor_that_cannot_be_from_here);
    suite_add(suite, duplicate_id_is_refused_and_the_first_goes_on);
    suite_add(suite, after_waits_for_what_it_names);
    suite_add(suite, many_replays_of_one_session_take_turns);
    suite_add(suite, damage_ends_the_subscription_with_an_error);
    return check_main(suite);
}
