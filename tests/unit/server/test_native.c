// The native front end as a client sees it: bytes in, bytes out, in pieces of any size.

#include "proto/base/limits.h"
#include "proto/model/slice.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/native_fixture.h"

static struct node_fixture fixture;
static struct native_client client;
static struct random cuts;

static void begin(struct random *random)
{
    node_fixture_init(&fixture, 1);
    native_client_open(&client, &fixture, random);
}

static void end(void)
{
    native_client_close(&client);
    node_fixture_deinit(&fixture);
}

static struct request produce_request(uint64_t id, struct buffer *events, unsigned count,
                                      size_t length)
{
    static uint8_t data[NODE_DATA_BYTES_MAX];
    struct random random;
    random_init(&random, id);
    random_bytes(&random, data, length); // so that it cannot be compressed
    buffer_clear(events);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(event_append(events, bytes_of_text("/some/name"), bytes_of(data, length),
                                      (struct bytes){0}),
                         0);
    }
    struct request request = {.kind = REQUEST_PRODUCE, .id = id};
    request.produce.events = buffer_bytes(events);
    request.produce.events_count = count;
    return request;
}

static size_t events_in(const struct reply *reply)
{
    size_t count = 0;
    struct bytes rest = reply->events;
    while (rest.length > 0) {
        struct chunk_header header;
        struct slice slice;
        struct bytes chunk;
        if (reply->kind == DELIVERY_CHUNKS) {
            ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
            count += header.count;
        } else {
            ck_assert_int_eq(slice_next(&rest, &slice), 0);
            count += slice.count;
        }
    }
    return count;
}

// A whole conversation; the same however it is cut.
static void converse(void)
{
    struct buffer events = {0};
    native_hello(&client);
    native_request(&client, &(struct request){.kind = REQUEST_PING, .id = 2});
    native_expect(&client, REPLY_PONG, 2);
    struct request request = produce_request(3, &events, 300, 100);
    native_request(&client, &request);
    struct reply reply = native_expect(&client, REPLY_PRODUCED, 3);
    ck_assert_uint_eq(reply.produced.count, 300);
    ck_assert_uint_eq(reply.produced.first.counter, 1);
    request = subscribe_request(4, NULL);
    native_request(&client, &request);
    native_expect(&client, REPLY_SUBSCRIBED, 4);
    size_t got = 0;
    while (got < 300) {
        ck_assert(native_reply(&client, &reply));
        ck_assert_uint_eq(reply.kind, DELIVERY_CHUNKS);
        got += events_in(&reply);
    }
    ck_assert(native_reply(&client, &reply));
    ck_assert_uint_eq(reply.kind, DELIVERY_MARK);
    ck_assert_uint_eq(reply.mark.kind, MARK_CAUGHT_UP);
    request = produce_request(5, &events, 2, 10);
    native_request(&client, &request);
    native_expect(&client, REPLY_PRODUCED, 5);
    ck_assert(native_reply(&client, &reply));
    ck_assert_uint_eq(reply.kind, DELIVERY_CHUNKS);
    ck_assert_uint_eq(events_in(&reply), 2);
    request = (struct request){.kind = REQUEST_GET, .id = 6};
    request.get.event = (struct event_id){.counter = 301, .actor = 1};
    native_request(&client, &request);
    reply = native_expect(&client, REPLY_EVENTS, 6);
    ck_assert_uint_eq(events_in(&reply), 1);
    request = (struct request){.kind = REQUEST_LAST, .id = 7, .last = {.events_max = 250}};
    native_request(&client, &request);
    reply = native_expect(&client, REPLY_EVENTS, 7);
    ck_assert_uint_eq(events_in(&reply), 250);
    request = (struct request){.kind = REQUEST_LAST, .id = 8, .last = {.events_max = 1}};
    request.last.entries[0].text = bytes_of_text("/none");
    request.last.entries_count = 1;
    native_request(&client, &request);
    reply = native_expect(&client, REPLY_EVENTS, 8);
    ck_assert_uint_eq(reply.events.length, 0);
    native_request(&client, &(struct request){.kind = REQUEST_NAMESPACES, .id = 9});
    reply = native_expect(&client, REPLY_NAMESPACES, 9);
    ck_assert_uint_gt(reply.namespaces.rows.length, 0);
    native_request(&client, &(struct request){.kind = REQUEST_STATUS, .id = 10});
    reply = native_expect(&client, REPLY_STATUS, 10);
    ck_assert_uint_eq(reply.status.events, 302);
    native_request(&client,
                   &(struct request){.kind = REQUEST_CREDIT, .id = 4, .credit = {.bytes = 9}});
    native_request(&client, &(struct request){.kind = REQUEST_STOP, .id = 4});
    reply = native_expect(&client, DELIVERY_END, 4);
    ck_assert_uint_eq(reply.end.reason, END_STOPPED);
    ck_assert_uint_eq(reply.end.delivered, 302);
    ck_assert(client.frontend->ops->is_idle(client.frontend));
    ck_assert_int_eq(client.ended, 0);
    buffer_deinit(&events);
}

START_TEST(holds_a_conversation)
{
    begin(NULL);
    converse();
    end();
}
END_TEST

START_TEST(holds_it_in_any_cuts)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < test_rounds(50); i++) {
        random_init(&cuts, seed + i);
        begin(&cuts);
        converse();
        end();
    }
}
END_TEST

START_TEST(takes_pipelined_requests_behind_hello)
{
    struct buffer all = {0};
    begin(NULL);
    struct request hello = {.kind = REQUEST_HELLO, .id = 1};
    hello.hello = (struct request_hello){.version_min = 1, .version_max = 1};
    ck_assert_int_eq(request_encode(&hello, &all), 0);
    for (uint64_t id = 2; id < 5000; id++) {
        const struct request ping = {.kind = REQUEST_PING, .id = id};
        ck_assert_int_eq(request_encode(&ping, &all), 0);
    }
    native_feed(&client, buffer_bytes(&all));
    native_expect(&client, REPLY_HELLO, 1);
    for (uint64_t id = 2; id < 5000; id++) {
        native_expect(&client, REPLY_PONG, id);
    }
    buffer_deinit(&all);
    end();
}
END_TEST

START_TEST(clients_without_features_get_slices)
{
    struct buffer events = {0};
    struct reply reply;
    begin(NULL);
    struct request request = {.kind = REQUEST_HELLO, .id = 1};
    request.hello = (struct request_hello){.version_min = 0, .version_max = 1, .features = 0xf0};
    native_request(&client, &request);
    reply = native_expect(&client, REPLY_HELLO, 1);
    ck_assert_uint_eq(reply.hello.features, 0);
    request = produce_request(2, &events, 70, 10);
    native_request(&client, &request);
    native_expect(&client, REPLY_PRODUCED, 2);
    request = subscribe_request(3, NULL);
    native_request(&client, &request);
    native_expect(&client, REPLY_SUBSCRIBED, 3);
    reply = native_expect(&client, DELIVERY_SLICES, 3);
    ck_assert_uint_eq(events_in(&reply), 70);
    buffer_deinit(&events);
    end();
}
END_TEST

// A client that asks for everything and reads nothing costs no more than the bound.
START_TEST(output_of_a_client_that_does_not_read_is_bounded)
{
    struct buffer events = {0};
    struct iovec pieces[8];
    begin(NULL);
    native_hello(&client);
    for (uint64_t id = 1; id <= 30; id++) {
        struct request request = produce_request(id + 1, &events, 10, 60000);
        native_request(&client, &request);
        native_expect(&client, REPLY_PRODUCED, id + 1);
    }
    for (uint64_t id = 100; id < 110; id++) {
        struct request request = subscribe_request(id, NULL);
        request.subscribe.credit_bytes = SUBSCRIPTION_CREDIT_BYTES_MAX;
        native_request(&client, &request);
    }
    for (uint64_t id = 200; id < 100000 && client.unfed.length == 0; id++) {
        native_request(&client, &(struct request){.kind = REQUEST_PING, .id = id});
        if (id % 100 == 0) {
            client.frontend->ops->peek(client.frontend, pieces, 8);
            node_settle(&fixture);
        }
    }
    ck_assert_uint_gt(client.unfed.length, 0); // saturated: nothing more is taken
    client.unsent_max = 0;
    size_t before = client.received.length;
    size_t count = client.frontend->ops->peek(client.frontend, pieces, 8);
    ck_assert_uint_gt(count, 0);
    native_run(&client);
    ck_assert_uint_gt(client.received.length, before + 10 * 30 * 10 * 60000ull);
    ck_assert_uint_le(client.unsent_max, 2 * SESSION_OUT_BYTES_MAX + KIB);
    ck_assert_uint_eq(client.unfed.length, 0);
    buffer_deinit(&events);
    end();
}
END_TEST

START_TEST(hello_must_come_within_ten_seconds)
{
    begin(NULL);
    struct instant due = client.frontend->ops->deadline(client.frontend);
    ck_assert_int_eq(due.ns, instant_add(fixture.now, duration_ms(10000)).ns);
    fixture.now = instant_add(fixture.now, duration_ms(9999));
    ck_assert_int_eq(client.frontend->ops->tick(client.frontend, fixture.now), 0);
    fixture.now = due;
    ck_assert_int_eq(client.frontend->ops->tick(client.frontend, fixture.now), ERR_TIMEOUT);
    struct reply reply = native_expect(&client, REPLY_ERROR, 0);
    ck_assert_uint_eq(reply.error.code, WIRE_NO_HELLO);
    end();
}
END_TEST

START_TEST(rest_of_a_frame_must_come_within_thirty_seconds)
{
    begin(NULL);
    native_hello(&client);
    ck_assert_int_eq(client.frontend->ops->deadline(client.frontend).ns, INSTANT_NEVER.ns);
    native_feed(&client, bytes_of("\0\0\0\x03\x92", 5));
    struct instant due = client.frontend->ops->deadline(client.frontend);
    ck_assert_int_eq(due.ns, instant_add(fixture.now, duration_ms(30000)).ns);
    fixture.now = instant_add(fixture.now, duration_ms(20000));
    native_feed(&client, bytes_of("\x02", 1)); // a byte more does not postpone it
    ck_assert_int_eq(client.frontend->ops->deadline(client.frontend).ns, due.ns);
    native_feed(&client, bytes_of("\x02", 1));
    native_expect(&client, REPLY_PONG, 2);
    ck_assert_int_eq(client.frontend->ops->deadline(client.frontend).ns, INSTANT_NEVER.ns);
    native_feed(&client, bytes_of("\0\0", 2));
    fixture.now = instant_add(fixture.now, duration_ms(30000));
    ck_assert_int_eq(client.frontend->ops->tick(client.frontend, fixture.now), ERR_TIMEOUT);
    end();
}
END_TEST

START_TEST(large_frame_may_take_its_time)
{
    static uint8_t part[256 * KIB];
    begin(NULL);
    native_hello(&client);
    client.wanted = 5;
    memcpy(part, "\0\x20\0\0", 4); // 2 MiB
    ck_assert_int_eq(buffer_append(&client.unfed, bytes_of(part, sizeof part)), 0);
    size_t taken;
    size_t wanted;
    ck_assert_int_eq(client.frontend->ops->feed(client.frontend, buffer_bytes(&client.unfed),
                                                fixture.now, &taken, &wanted),
                     0);
    ck_assert_uint_eq(taken, 0);
    ck_assert_uint_eq(wanted, 2 * MIB + 4);
    ck_assert_int_eq(client.frontend->ops->deadline(client.frontend).ns,
                     instant_add(fixture.now, duration_ms(30000 + 4 * 1000)).ns);
    end();
}
END_TEST

START_TEST(closing_at_any_moment_frees_everything)
{
    struct buffer events = {0};
    for (unsigned steps = 0; steps < 20; steps++) {
        random_init(&cuts, steps);
        begin(&cuts);
        native_hello(&client);
        struct request request = produce_request(2, &events, 200, 300);
        native_request(&client, &request);
        request = subscribe_request(3, NULL);
        native_request(&client, &request);
        request = (struct request){.kind = REQUEST_LAST, .id = 4, .last = {.events_max = 150}};
        native_request(&client, &request);
        for (unsigned i = 0; i < steps; i++) {
            struct iovec pieces[2];
            node_settle_step(&fixture);
            size_t count = client.frontend->ops->peek(client.frontend, pieces, 2);
            if (count > 0) {
                client.frontend->ops->sent(client.frontend, pieces[0].iov_len / 2 + 1);
            }
        }
        end();
    }
    buffer_deinit(&events);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/native");
    suite_add(suite, holds_a_conversation);
    suite_add(suite, holds_it_in_any_cuts);
    suite_add(suite, takes_pipelined_requests_behind_hello);
    suite_add(suite, clients_without_features_get_slices);
    suite_add(suite, output_of_a_client_that_does_not_read_is_bounded);
    suite_add(suite, hello_must_come_within_ten_seconds);
    suite_add(suite, rest_of_a_frame_must_come_within_thirty_seconds);
    suite_add(suite, large_frame_may_take_its_time);
    suite_add(suite, closing_at_any_moment_frees_everything);
    return check_main(suite);
}
