// Stable order, marks of the frontier, and produces that wait for other nodes. The frontier is
// moved by hand here, as the cluster's driver moves it in a node.

#include "proto/base/limits.h"
#include "proto/model/event.h"
#include "server/node/node.h"
#include "server/node/service_state.h"
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
    atomic_store(&fixture.node->view.has_cluster, true);
    atomic_store(&fixture.node->view.frontier, 0);
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

static void move_frontier(uint64_t counter)
{
    atomic_store(&fixture.node->view.frontier, counter);
    node_turn(&fixture);
    client_run(&client);
}

static uint64_t highest_counter(void)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < fixture.log.events_count; i++) {
        uint64_t counter = fixture.log.events[i].id.counter;
        highest = counter > highest ? counter : highest;
    }
    return highest;
}

// What every actor has gone past: nothing at or below it can still come.
static uint64_t lowest_end(void)
{
    const struct version_vector *vector = store_port_vector(fixture.service->port);
    uint64_t lowest = vector->count > FIXTURE_PEERS ? COUNTER_MAX : 0;
    for (uint32_t i = 0; i < vector->count; i++) {
        uint64_t counter = vector->entries[i].counter;
        lowest = counter < lowest ? counter : lowest;
    }
    return lowest;
}

static struct request stable_request(uint64_t id, const char *pattern)
{
    struct request request = subscribe_request(id, pattern);
    request.subscribe.is_stable_order = true;
    return request;
}

// In canonical order, and nothing above the frontier.
static void check_stable(const struct stream *stream, uint64_t frontier)
{
    for (size_t i = 0; i < stream->count; i++) {
        ck_assert_uint_le(stream->events[i].id.counter, frontier);
        ck_assert(i == 0 || event_id_compare(stream->events[i - 1].id, stream->events[i].id) < 0);
    }
}

START_TEST(nothing_is_delivered_above_the_frontier)
{
    begin();
    fill(20);
    struct request request = stable_request(1, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(stream->is_subscribed);
    ck_assert_uint_eq(stream->count, 0);
    uint64_t highest = highest_counter();
    for (uint64_t frontier = 1; frontier < highest + 7; frontier += 7) {
        move_frontier(frontier);
        check_stable(stream, frontier);
    }
    ck_assert_uint_eq(stream->count, fixture.log.events_count);
    ck_assert(stream->is_caught_up);
    stream_check(stream, &fixture.log, NULL, NULL, 0);
    end();
}
END_TEST

START_TEST(late_events_below_the_rest_keep_their_place)
{
    begin();
    struct request request = stable_request(1, "/kind1/*");
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    size_t before = 0;
    for (unsigned round = 0; round < 20; round++) {
        fill(FIXTURE_PEERS);
        uint64_t stable = lowest_end();
        move_frontier(stable);
        check_stable(stream, stable);
        before += stream->count > 0;
    }
    ck_assert_uint_gt(before, 5);
    move_frontier(COUNTER_MAX);
    size_t expected = 0;
    for (size_t i = 0; i < fixture.log.events_count; i++) {
        expected += pattern_matches("/kind1/*", fixture.log.events[i].name);
    }
    ck_assert_uint_eq(stream->count, expected);
    check_stable(stream, COUNTER_MAX);
    end();
}
END_TEST

START_TEST(limit_and_ends_hold_in_stable_order)
{
    begin();
    fill(10);
    struct request limited = stable_request(1, NULL);
    limited.subscribe.limit = 17;
    struct request bounded = stable_request(2, NULL);
    bounded.subscribe.end = END_NOW;
    struct stream *first = client_subscribe(&client, &limited);
    struct stream *second = client_subscribe(&client, &bounded);
    size_t here = fixture.log.events_count;
    client_run(&client);
    for (uint64_t frontier = 3; !first->is_over || !second->is_over; frontier += 5) {
        ck_assert_uint_lt(frontier, COUNTER_LEASE_STEP * 10);
        move_frontier(frontier);
    }
    ck_assert_uint_eq(first->count, 17);
    ck_assert_uint_eq(first->end_reason, END_REACHED);
    ck_assert_uint_eq(second->count, here);
    end();
}
END_TEST

START_TEST(resumes_by_cursor_anywhere)
{
    begin();
    fill(30);
    struct request request = stable_request(1, NULL);
    request.subscribe.credit_bytes = 1;
    struct stream *stream = client_subscribe(&client, &request);
    uint64_t highest = highest_counter();
    move_frontier(highest / 2);
    client_stop(&client, 1);
    client_run(&client);
    struct buffer cursor = {0};
    ck_assert_int_eq(version_vector_encode(&stream->cursor, &cursor), 0);
    struct request again = stable_request(2, NULL);
    again.subscribe.start = START_AT_CURSOR;
    again.subscribe.start_cursor = buffer_bytes(&cursor);
    struct stream *rest = client_subscribe(&client, &again);
    move_frontier(COUNTER_MAX);
    ck_assert_uint_eq(stream->count + rest->count, fixture.log.events_count);
    check_stable(rest, COUNTER_MAX);
    buffer_deinit(&cursor);
    end();
}
END_TEST

START_TEST(who_is_waited_for_is_said)
{
    begin();
    fill(3);
    atomic_store(&fixture.node->view.waits_for, 9);
    struct request request = stable_request(1, NULL);
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert_uint_eq(stream->waiting_for, 0);
    node_pass_ms(&fixture, 1001);
    client_run(&client);
    ck_assert_uint_eq(stream->waiting_for, 9);
    end();
}
END_TEST

START_TEST(marks_in_order_of_arrival_say_what_is_delivered)
{
    begin();
    struct request request = subscribe_request(1, NULL);
    request.subscribe.wants_marks = true;
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    for (unsigned round = 0; round < 10; round++) {
        fill(FIXTURE_PEERS);
        client_run(&client);
        uint64_t stable = lowest_end();
        move_frontier(stable);
        ck_assert_uint_eq(stream->frontier, stable);
        ck_assert(round < 3 || stable > 0);
        for (size_t i = 0; i < fixture.log.events_count; i++) {
            struct event_id id = fixture.log.events[i].id;
            ck_assert(id.counter > stable || version_vector_covers(&stream->cursor, id));
        }
    }
    end();
}
END_TEST

// --- Replicas ----------------------------------------------------------------------------------

static const struct answer_copy *produce_with_replicas(uint64_t id, uint32_t replicas)
{
    static uint8_t bytes[64];
    struct buffer events = {0};
    ck_assert_int_eq(
        event_append(&events, bytes_of_text("/a"), bytes_of_text("x"), bytes_of(NULL, 0)), 0);
    memcpy(bytes, events.data, events.length);
    struct request request = {.kind = REQUEST_PRODUCE, .id = id};
    request.produce.events_count = 1;
    request.produce.events = bytes_of(bytes, events.length);
    request.produce.replicas = replicas;
    request.produce.replicas_timeout_ms = 500;
    client_submit(&client, &request);
    client_run(&client);
    buffer_deinit(&events);
    return client_answer(&client, id);
}

START_TEST(produce_is_answered_when_enough_nodes_hold_it)
{
    begin();
    struct cluster_view *view = &fixture.node->view;
    atomic_store(&view->members, 3);
    ck_assert_ptr_null(produce_with_replicas(1, 2));
    ck_assert_uint_eq(atomic_load(&view->replica_waiters), 1);
    atomic_store(&view->held_by[2], COUNTER_MAX);
    atomic_store(&view->held_actor, 0);
    node_turn(&fixture);
    client_run(&client);
    ck_assert_ptr_null(client_answer(&client, 1)); // those are another actor's counters
    atomic_store(&view->held_actor, node_identity(fixture.node)->actor);
    node_turn(&fixture);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, 1);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->produced.nodes_durable, 2);
    ck_assert_uint_eq(answer->produced.remarks, 0);
    ck_assert_uint_eq(atomic_load(&view->replica_waiters), 0);
    end();
}
END_TEST

START_TEST(late_replicas_are_said_and_nothing_is_undone)
{
    begin();
    atomic_store(&fixture.node->view.members, 3);
    ck_assert_ptr_null(produce_with_replicas(1, 3));
    node_pass_ms(&fixture, 501);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, 1);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(answer->produced.nodes_durable, 1);
    ck_assert_uint_eq(answer->produced.remarks, REMARK_REPLICAS_LATE);
    end();
}
END_TEST

START_TEST(more_replicas_than_members_are_refused)
{
    begin();
    atomic_store(&fixture.node->view.members, 2);
    const struct answer_copy *answer = produce_with_replicas(1, 3);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->code, WIRE_INVALID_ARGUMENT);
    end();
}
END_TEST

START_TEST(closing_a_session_drops_what_waits_for_replicas)
{
    begin();
    atomic_store(&fixture.node->view.members, 3);
    ck_assert_ptr_null(produce_with_replicas(1, 3));
    client_drop(&client);
    ck_assert_uint_eq(atomic_load(&fixture.node->view.replica_waiters), 0);
    node_settle(&fixture);
    client_open(&client, &fixture);
    end();
}
END_TEST

START_TEST(produce_is_refused_with_the_reason_of_the_cluster)
{
    begin();
    cluster_set_why_not(fixture.node, "this node waits for 10.0.0.1:3000");
    const struct answer_copy *answer = produce_with_replicas(1, 1);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->code, WIRE_NOT_MEMBER);
    ck_assert_str_eq(answer->text, "this node waits for 10.0.0.1:3000");
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_stable");
    suite_add(suite, nothing_is_delivered_above_the_frontier);
    suite_add(suite, late_events_below_the_rest_keep_their_place);
    suite_add(suite, limit_and_ends_hold_in_stable_order);
    suite_add(suite, resumes_by_cursor_anywhere);
    suite_add(suite, who_is_waited_for_is_said);
    suite_add(suite, marks_in_order_of_arrival_say_what_is_delivered);
    suite_add(suite, produce_is_answered_when_enough_nodes_hold_it);
    suite_add(suite, late_replicas_are_said_and_nothing_is_undone);
    suite_add(suite, more_replicas_than_members_are_refused);
    suite_add(suite, closing_a_session_drops_what_waits_for_replicas);
    suite_add(suite, produce_is_refused_with_the_reason_of_the_cluster);
    return check_main(suite);
}
