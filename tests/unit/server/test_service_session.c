// Sessions: what one client can pile up, who is told when it may go on, how the node stops.

#include "proto/base/limits.h"
#include "server/node/consumer_letter.h"
#include "server/node/session.h"
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

static int submit(struct client *to, const struct request *request)
{
    return session_submit(to->session, request, fixture.now);
}

static struct request produce_of(struct buffer *events, uint64_t id, size_t bytes, unsigned count)
{
    static uint8_t data[NODE_DATA_BYTES_MAX];
    buffer_clear(events);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(
            event_append(events, bytes_of_text("/a"), bytes_of(data, bytes), (struct bytes){0}), 0);
    }
    struct request request = {.kind = REQUEST_PRODUCE, .id = id};
    request.produce.events = buffer_bytes(events);
    request.produce.events_count = count;
    return request;
}

static bool is_told(const struct client *expected)
{
    const void *owner;
    bool is_told = false;
    while ((owner = service_take_ready(fixture.service, true)) != NULL) {
        is_told |= owner == expected;
    }
    return is_told;
}

START_TEST(produce_is_not_taken_beyond_what_may_be_outstanding)
{
    struct buffer events = {0};
    begin();
    struct request request = produce_of(&events, 1, 60000, 100);
    uint64_t taken = 0;
    while (submit(&client, &request) == 0) {
        request.id++;
        taken += request.produce.events.length;
        ck_assert_uint_lt(taken, 2 * SESSION_APPEND_BYTES_MAX);
    }
    ck_assert_uint_gt(taken + request.produce.events.length, SESSION_APPEND_BYTES_MAX);
    ck_assert_uint_le(taken, SESSION_APPEND_BYTES_MAX);
    ck_assert_int_eq(submit(&client, &request), SESSION_SATURATED);
    // Others are not held up.
    struct client other;
    client_open(&other, &fixture);
    ck_assert_int_eq(submit(&other, &request), 0);
    is_told(&client);
    node_settle(&fixture);
    ck_assert(is_told(&client));
    ck_assert_int_eq(submit(&client, &request), 0);
    client_run(&client);
    ck_assert_uint_eq(client.answers_count, request.id);
    client_close(&other);
    buffer_deinit(&events);
    end();
}
END_TEST

START_TEST(produce_of_all_sessions_is_bounded_together)
{
    struct buffer events = {0};
    struct client other;
    begin();
    client_open(&other, &fixture);
    struct request request = produce_of(&events, 1, 60000, 100);
    uint64_t taken = 0;
    while (submit(&client, &request) == 0 || submit(&other, &request) == 0) {
        request.id++;
        taken += request.produce.events.length;
        ck_assert_uint_le(taken, NODE_APPEND_BYTES_MAX);
    }
    ck_assert_uint_gt(taken + request.produce.events.length, NODE_APPEND_BYTES_MAX);
    is_told(&other);
    node_settle(&fixture);
    node_pass_ms(&fixture, 10);
    ck_assert_int_eq(submit(&other, &request), 0);
    ck_assert_int_eq(submit(&client, &request), 0);
    node_settle(&fixture);
    client_close(&other);
    buffer_deinit(&events);
    end();
}
END_TEST

START_TEST(one_large_event_is_always_taken)
{
    struct buffer events = {0};
    begin();
    struct request request = produce_of(&events, 1, NODE_DATA_BYTES_MAX, 1);
    ck_assert_int_eq(submit(&client, &request), 0);
    client_run(&client);
    ck_assert_uint_eq(client.answers[0].kind, REPLY_PRODUCED);
    buffer_deinit(&events);
    end();
}
END_TEST

START_TEST(replies_that_are_not_taken_saturate)
{
    begin();
    struct request request = {.kind = REQUEST_PING, .id = 1};
    while (submit(&client, &request) == 0) {
        request.id++;
        ck_assert_uint_le(request.id, SESSION_REQUESTS_MAX + 1);
    }
    ck_assert_uint_eq(request.id, SESSION_REQUESTS_MAX + 1);
    is_told(&client);
    ck_assert_uint_eq(client_receive(&client, SESSION_REQUESTS_MAX / 2), SESSION_REQUESTS_MAX / 2);
    ck_assert(!is_told(&client));
    ck_assert_uint_eq(client_receive(&client, 1), 1);
    ck_assert(is_told(&client));
    ck_assert_int_eq(submit(&client, &request), 0);
    client_run(&client);
    ck_assert(session_is_idle(client.session));
    end();
}
END_TEST

// Errors have texts: they are bounded by their bytes.
START_TEST(refusals_that_are_not_taken_saturate)
{
    begin();
    unsigned refusals = 0;
    while (session_refuse(client.session, 1, WIRE_UNKNOWN_MESSAGE, "what is that?") == 0) {
        ck_assert_uint_lt(++refusals, SESSION_REQUESTS_MAX);
    }
    ck_assert_uint_gt(refusals, 1000);
    // What frees something is taken nevertheless.
    client_stop(&client, 5);
    client_credit(&client, 5, 1);
    client_run(&client);
    ck_assert_uint_eq(client.answers_count, refusals);
    ck_assert_int_eq(session_refuse(client.session, 1, WIRE_UNKNOWN_MESSAGE, "?"), 0);
    client_run(&client);
    end();
}
END_TEST

START_TEST(queries_of_a_client_that_does_not_read_are_bounded)
{
    struct buffer events = {0};
    begin();
    struct request request = produce_of(&events, 1, 60000, 200);
    client_submit(&client, &request);
    client_run(&client);
    request = (struct request){.kind = REQUEST_LAST, .last = {.events_max = 200}};
    request.id = 2;
    while (request.id < 20) {
        client_submit(&client, &request);
        request.id++;
    }
    node_settle(&fixture);
    // One was run; the others wait until it is taken.
    ck_assert_uint_eq(client_receive(&client, SIZE_MAX), 1);
    client_run(&client);
    ck_assert_uint_eq(client.answers_count, request.id - 1);
    for (size_t i = 1; i < client.answers_count; i++) {
        ck_assert_uint_eq(client.answers[i].events.count, 200);
    }
    buffer_deinit(&events);
    end();
}
END_TEST

START_TEST(waiting_requests_are_bounded)
{
    begin();
    struct request request = {.kind = REQUEST_GET, .id = 1};
    request.get.event = (struct event_id){.counter = 1, .actor = 1};
    request.get.after.cursor = bytes_of("\x81\x01\x7f", 3);
    while (submit(&client, &request) == 0) {
        ck_assert_uint_lt(++request.id, 2000);
    }
    is_told(&client);
    node_pass_ms(&fixture, NODE_AFTER_TIMEOUT_MS);
    ck_assert(is_told(&client));
    client_run(&client);
    ck_assert_uint_eq(client.answers_count, request.id - 1);
    ck_assert(session_is_idle(client.session));
    end();
}
END_TEST

START_TEST(subscriptions_of_a_session_are_bounded)
{
    begin();
    for (uint64_t id = 1; id <= SESSION_SUBSCRIPTIONS_MAX + 1; id++) {
        struct request request = subscribe_request(id, NULL);
        request.subscribe.start = START_END;
        client_submit(&client, &request);
    }
    struct session_item item;
    unsigned subscribed = 0;
    unsigned refused = 0;
    node_settle(&fixture);
    while (session_take(client.session, &item)) {
        subscribed += item.head.kind == REPLY_SUBSCRIBED;
        refused += item.head.kind == REPLY_ERROR && item.head.error.code == WIRE_BUSY;
    }
    ck_assert_uint_eq(subscribed, SESSION_SUBSCRIPTIONS_MAX);
    ck_assert_uint_eq(refused, 1);
    end();
}
END_TEST

START_TEST(replies_do_not_starve_deliveries)
{
    begin();
    for (unsigned i = 0; i < 10; i++) {
        fixture_produce_group(&fixture.log, 5);
    }
    struct request request = subscribe_request(1, NULL);
    client_submit(&client, &request);
    for (uint64_t id = 2; id < 1000; id++) {
        client_submit(&client, &(struct request){.kind = REQUEST_PING, .id = id});
    }
    node_settle(&fixture);
    struct session_item item;
    unsigned before = 0;
    while (session_take(client.session, &item) && item.head.kind != REPLY_SUBSCRIBED) {
        before++;
    }
    ck_assert_uint_lt(before, 100);
    end();
}
END_TEST

START_TEST(closing_drops_what_waits_and_lets_finish_what_is_under_way)
{
    struct buffer events = {0};
    for (unsigned steps = 0; steps < 12; steps++) {
        begin();
        fixture_produce_group(&fixture.log, 20);
        struct request request = produce_of(&events, 1, 100, 3);
        client_submit(&client, &request);
        request.id = 2;
        request.produce.after.cursor = bytes_of("\x81\x01\xcd\xff\xff", 5); // waits
        client_submit(&client, &request);
        request = produce_of(&events, 3, 100, 3); // behind it
        client_submit(&client, &request);
        request = subscribe_request(4, "/kind1/*");
        client_submit(&client, &request);
        request = (struct request){.kind = REQUEST_GET, .id = 5};
        request.get.event = (struct event_id){.counter = 1, .actor = 1};
        client_submit(&client, &request);
        request.id = 6;
        request.get.after.cursor = bytes_of("\x81\x01\xcd\xff\xff", 5);
        client_submit(&client, &request);
        for (unsigned i = 0; i < steps; i++) {
            if (i % 3 == 2) {
                struct session_item item;
                if (session_take(client.session, &item)) {
                    block_unref(item.block);
                }
            }
            node_turn(&fixture);
            store_step_read(fixture.log.store);
            if (i % 2) {
                store_step_commit(fixture.log.store, 1);
            }
        }
        client_drop(&client);
        ck_assert_ptr_null(service_take_ready(fixture.service, true));
        node_settle(&fixture);
        ck_assert(service_is_idle(fixture.service));
        ck_assert_int_eq(service_deadline(fixture.service).ns, INSTANT_NEVER.ns);
        node_fixture_deinit(&fixture);
    }
    buffer_deinit(&events);
}
END_TEST

START_TEST(shutdown_finishes_what_was_accepted_and_ends_subscriptions)
{
    struct buffer events = {0};
    begin();
    fixture_produce_group(&fixture.log, 20);
    struct request request = subscribe_request(1, NULL);
    struct stream *running = client_subscribe(&client, &request);
    client_run(&client);
    request = subscribe_request(2, NULL);
    request.subscribe.after.cursor = bytes_of("\x81\x01\xcd\xff\xff", 5);
    struct stream *waiting = client_subscribe(&client, &request);
    request = subscribe_request(7, NULL);
    struct stream *accepted = client_subscribe(&client, &request);
    request = subscribe_request(8, NULL);
    request.subscribe.start = START_LAST;
    request.subscribe.start_last = 1;
    struct stream *starting = client_subscribe(&client, &request);
    request = produce_of(&events, 3, 100, 3);
    client_submit(&client, &request);
    request.id = 4;
    request.produce.after.cursor = bytes_of("\x81\x01\xcd\xff\xff", 5);
    client_submit(&client, &request);
    request = produce_of(&events, 5, 100, 3);
    client_submit(&client, &request);
    service_shut_down(fixture.service);
    ck_assert(!service_is_idle(fixture.service));
    client_submit(&client, &(struct request){.kind = REQUEST_PING, .id = 6});
    client_run(&client);
    ck_assert_uint_eq(running->end_reason, END_SHUTDOWN);
    ck_assert_uint_eq(waiting->error, WIRE_SHUTTING_DOWN);
    ck_assert_uint_eq(accepted->error, WIRE_SHUTTING_DOWN);
    ck_assert_uint_eq(starting->error, WIRE_SHUTTING_DOWN);
    ck_assert_uint_eq(client_answer(&client, 3)->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(client_answer(&client, 4)->code, WIRE_SHUTTING_DOWN);
    ck_assert_uint_eq(client_answer(&client, 5)->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(client_answer(&client, 6)->code, WIRE_SHUTTING_DOWN);
    ck_assert(session_is_idle(client.session));
    ck_assert(service_is_idle(fixture.service));
    buffer_deinit(&events);
    end();
}
END_TEST

// A thousand live subscriptions: those for which nothing matches cost their session nothing.
START_TEST(only_sessions_with_something_to_take_are_returned)
{
    enum { CLIENTS = 50 };
    static struct client clients[CLIENTS];
    begin();
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_open(&clients[i], &fixture);
        struct request request = subscribe_request(1, i % 2 ? "/kind1/name1" : "/nothing/here");
        client_subscribe(&clients[i], &request);
        client_run(&clients[i]);
    }
    is_told(NULL);
    for (unsigned i = 0; i < 20; i++) {
        fixture_produce_group(&fixture.log, 3);
        node_settle(&fixture);
    }
    unsigned told = 0;
    struct client *ready;
    while ((ready = service_take_ready(fixture.service, true)) != NULL) {
        ck_assert_uint_eq((size_t)(ready - clients) % 2, 1);
        told++;
    }
    ck_assert_uint_eq(told, CLIENTS / 2);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_run(&clients[i]);
        stream_check(&clients[i].streams[0], &fixture.log, i % 2 ? "/kind1/name1" : "/nothing/here",
                     NULL, 0);
        client_close(&clients[i]);
    }
    end();
}
END_TEST

// As the answer to an acknowledgement comes back from its group.
static void answer_acked(uint64_t id)
{
    struct answer answer = {.id = id, .kind = REPLY_ACKED};
    answer.letter = consumer_letter_new(LETTER_ACKED);
    ck_assert_ptr_nonnull(answer.letter);
    ck_assert_int_eq(session_admit(client.session), 0);
    session_answer(client.session, &answer);
}

static void take_all(unsigned expected)
{
    struct session_item item;
    unsigned count = 0;
    while (session_take(client.session, &item)) {
        block_unref(item.block);
        count++;
    }
    ck_assert_uint_eq(count, expected);
}

START_TEST(answers_to_acknowledgements_wait_for_more_while_the_loop_is_busy)
{
    begin();
    answer_acked(1);
    ck_assert(session_is_patient(client.session));
    ck_assert_ptr_null(service_take_ready(fixture.service, false));
    fixture.now = instant_add(fixture.now, duration_ms(SESSION_PATIENCE_MS - 1));
    answer_acked(2); // does not begin anew
    ck_assert_ptr_null(service_take_ready(fixture.service, false));
    fixture.now = instant_add(fixture.now, duration_ms(1));
    ck_assert_ptr_eq(service_take_ready(fixture.service, false), &client);
    ck_assert(!session_is_patient(client.session));
    take_all(2);
    ck_assert_ptr_null(service_take_ready(fixture.service, true));
    answer_acked(3);
    ck_assert_ptr_eq(service_take_ready(fixture.service, true), &client);
    take_all(1);
    end();
}
END_TEST

START_TEST(what_has_waited_does_not_wait_anew)
{
    begin();
    answer_acked(1);
    ck_assert_ptr_eq(service_take_ready(fixture.service, true), &client);
    answer_acked(2); // it is about to be sent
    ck_assert(!session_is_patient(client.session));
    take_all(2);
    answer_acked(3);
    ck_assert(session_is_patient(client.session));
    take_all(1);
    end();
}
END_TEST

START_TEST(they_do_not_wait_when_a_consumer_ends_behind_them)
{
    struct list_node stopped;
    begin();
    list_init(&stopped);
    list_append(&client.session->consumers_stopped, &stopped);
    answer_acked(1);
    ck_assert(!session_is_patient(client.session));
    ck_assert_ptr_eq(service_take_ready(fixture.service, false), &client);
    list_remove(&stopped);
    take_all(1);
    end();
}
END_TEST

START_TEST(nothing_else_waits_with_them)
{
    struct request ping = {.kind = REQUEST_PING, .id = 2};
    begin();
    answer_acked(1);
    ck_assert_int_eq(submit(&client, &ping), 0);
    ck_assert(!session_is_patient(client.session));
    ck_assert_ptr_eq(service_take_ready(fixture.service, false), &client);
    answer_acked(3); // the ping is not taken yet
    ck_assert(!session_is_patient(client.session));
    take_all(3);
    ck_assert(!session_is_patient(client.session));
    ck_assert_ptr_null(service_take_ready(fixture.service, true));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_session");
    suite_add(suite, produce_is_not_taken_beyond_what_may_be_outstanding);
    suite_add(suite, produce_of_all_sessions_is_bounded_together);
    suite_add(suite, one_large_event_is_always_taken);
    suite_add(suite, replies_that_are_not_taken_saturate);
    suite_add(suite, refusals_that_are_not_taken_saturate);
    suite_add(suite, queries_of_a_client_that_does_not_read_are_bounded);
    suite_add(suite, waiting_requests_are_bounded);
    suite_add(suite, subscriptions_of_a_session_are_bounded);
    suite_add(suite, replies_do_not_starve_deliveries);
    suite_add(suite, closing_drops_what_waits_and_lets_finish_what_is_under_way);
    suite_add(suite, shutdown_finishes_what_was_accepted_and_ends_subscriptions);
    suite_add(suite, only_sessions_with_something_to_take_are_returned);
    suite_add(suite, answers_to_acknowledgements_wait_for_more_while_the_loop_is_busy);
    suite_add(suite, what_has_waited_does_not_wait_anew);
    suite_add(suite, they_do_not_wait_when_a_consumer_ends_behind_them);
    suite_add(suite, nothing_else_waits_with_them);
    return check_main(suite);
}
