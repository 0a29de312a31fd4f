// Bad input: each kind is told what is wrong; what cannot be understood ends the connection, and
// nothing else does.

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/native_fixture.h"

static struct node_fixture fixture;
static struct native_client client;

static void begin(void)
{
    node_fixture_init(&fixture, 1);
    native_client_open(&client, &fixture, NULL);
}

static void end(void)
{
    native_client_close(&client);
    node_fixture_deinit(&fixture);
}

static void feed_message(struct bytes message)
{
    uint8_t length[4];
    store_be32(length, (uint32_t)message.length);
    native_feed(&client, bytes_of(length, sizeof length));
    native_feed(&client, message);
}

// The connection ends, after telling why.
static void ends(uint64_t id, enum wire_error code)
{
    struct reply reply = native_expect(&client, REPLY_ERROR, id);
    ck_assert_uint_eq(reply.error.code, code);
    ck_assert_uint_gt(reply.error.text.length, 0);
    ck_assert_int_lt(client.ended, 0);
    ck_assert(!native_reply(&client, &reply));
    ck_assert(client.frontend->ops->is_idle(client.frontend));
}

// The connection goes on.
static void refuses(uint64_t id, enum wire_error code)
{
    struct reply reply = native_expect(&client, REPLY_ERROR, id);
    ck_assert_uint_eq(reply.error.code, code);
    ck_assert_uint_gt(reply.error.text.length, 0);
    ck_assert_int_eq(client.ended, 0);
    native_request(&client, &(struct request){.kind = REQUEST_PING, .id = 9999});
    native_expect(&client, REPLY_PONG, 9999);
}

static struct request hello_request(uint32_t min, uint32_t max)
{
    struct request request = {.kind = REQUEST_HELLO, .id = 1};
    request.hello = (struct request_hello){.version_min = min, .version_max = max};
    return request;
}

START_TEST(first_message_must_be_hello)
{
    begin();
    native_request(&client, &(struct request){.kind = REQUEST_PING, .id = 7});
    ends(7, WIRE_NO_HELLO);
    end();
}
END_TEST

START_TEST(unknown_first_message_is_no_hello)
{
    begin();
    feed_message(bytes_of("\x92\x1e\x07", 3));
    ends(7, WIRE_NO_HELLO);
    end();
}
END_TEST

START_TEST(versions_must_overlap)
{
    const uint32_t ranges[][2] = {{2, 9}, {0, 0}, {1, 0}, {UINT32_MAX, UINT32_MAX}};
    for (unsigned i = 0; i < 4; i++) {
        begin();
        struct request request = hello_request(ranges[i][0], ranges[i][1]);
        native_request(&client, &request);
        ends(1, WIRE_VERSION);
        end();
    }
}
END_TEST

START_TEST(second_hello_is_refused)
{
    begin();
    native_hello(&client);
    struct request request = hello_request(1, 1);
    request.id = 5;
    native_request(&client, &request);
    refuses(5, WIRE_INVALID_ARGUMENT);
    end();
}
END_TEST

START_TEST(frames_are_small_before_hello)
{
    begin();
    native_feed(&client, bytes_of("\x00\x01\x00\x01", 4));
    ends(0, WIRE_FRAME_TOO_LARGE);
    end();
}
END_TEST

START_TEST(frames_have_a_limit)
{
    begin();
    native_hello(&client);
    uint8_t length[4];
    store_be32(length, (uint32_t)FRAME_BYTES_MAX + 1);
    native_feed(&client, bytes_of(length, 4));
    ends(0, WIRE_FRAME_TOO_LARGE);
    end();
}
END_TEST

START_TEST(what_is_no_message_ends_the_connection)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint64_t id;
    } bad[] = {
        {"", 0, 0},                                          // a frame of nothing
        {"\xc1", 1, 0},                                      // no msgpack
        {"\x02", 1, 0},                                      // no array
        {"\x90", 1, 0},                                      // nothing in it
        {"\x91\x02", 2, 0},                                  // no id
        {"\x92\x02\x00", 3, 0},                              // id 0
        {"\x92\x02\xff", 3, 0},                              // id -1
        {"\x92\x02\x05\x05", 4, 5},                          // something behind the array
        {"\x92\x03\x05", 3, 5},                              // produce without events
        {"\x95\x03\x05\xc0\x01\xc6\xff\xff\xff\xff", 10, 5}, // a lying length
        {"\xdd\xff\xff\xff\xff\x02\x05", 7, 0},              // a lying count
        {"\x94\x07\x05\xc0\xa1x", 6, 5},                     // an id that is text
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        begin();
        native_hello(&client);
        feed_message(bytes_of(bad[i].bytes, bad[i].length));
        struct reply reply;
        native_run(&client);
        ck_assert(native_reply(&client, &reply));
        ck_assert_msg(reply.id == bad[i].id, "case %u: id %u", i, (unsigned)reply.id);
        ck_assert_uint_eq(reply.error.code, WIRE_MALFORMED);
        ck_assert_int_lt(client.ended, 0);
        end();
    }
}
END_TEST

START_TEST(unknown_messages_are_answered)
{
    begin();
    native_hello(&client);
    feed_message(bytes_of("\x94\x1e\x05\xc0\x80", 5));
    refuses(5, WIRE_UNKNOWN_MESSAGE);
    feed_message(bytes_of("\x92\x7f\x06", 3));
    refuses(6, WIRE_UNKNOWN_MESSAGE);
    end();
}
END_TEST

START_TEST(what_is_not_supported_is_answered)
{
    begin();
    native_hello(&client);
    feed_message(bytes_of("\x94\x04\x05\xc0\x81\x63\x01", 7)); // an unknown option
    refuses(5, WIRE_UNSUPPORTED);
    feed_message(bytes_of("\x94\x04\x05\xc0\x81\x07\x02", 7)); // an unknown order
    refuses(5, WIRE_UNSUPPORTED);
    struct buffer message = {0};
    ck_assert_int_eq(buffer_append(&message, bytes_of("\x95\x08\x05\xc0\x01\xdc\x00\x41", 8)), 0);
    for (unsigned i = 0; i < 65; i++) {
        ck_assert_int_eq(buffer_append(&message, bytes_of("\x92\x00\xa1x", 4)), 0);
    }
    feed_message(buffer_bytes(&message));
    refuses(5, WIRE_INVALID_ARGUMENT); // more than 64 patterns
    buffer_deinit(&message);
    end();
}
END_TEST

START_TEST(without_a_cluster_there_are_no_durable_subscriptions)
{
    static const struct {
        enum request_kind kind;
        enum wire_error error;
    } CASES[] = {
        {REQUEST_ATTACH, WIRE_UNSUPPORTED},
        {REQUEST_ACK, WIRE_NOT_IN_FLIGHT},
        {REQUEST_NACK, WIRE_NOT_IN_FLIGHT},
        {REQUEST_SUBSCRIPTIONS, WIRE_UNSUPPORTED},
    };
    begin();
    native_hello(&client);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        native_request(&client, &(struct request){.kind = CASES[i].kind, .id = 5});
        refuses(5, CASES[i].error);
    }
    end();
}
END_TEST

START_TEST(bad_arguments_leave_the_connection_alone)
{
    begin();
    native_hello(&client);
    struct request request = subscribe_request(5, "/[a");
    native_request(&client, &request);
    refuses(5, WIRE_INVALID_GLOB);
    feed_message(bytes_of("\x94\x07\x06\xc0\xc4\x0a\0\0\0\0\0\0\0\0\0\x01", 16));
    refuses(6, WIRE_INVALID_ID);
    feed_message(bytes_of("\x95\x03\x07\xc0\x01\xc4\x02\x92\xa1", 9));
    refuses(7, WIRE_INVALID_EVENT);
    feed_message(bytes_of("\x94\x04\x08\x92\x81\x01\x00\x00\x80", 9)); // after: @0.1
    refuses(8, WIRE_INVALID_CURSOR);
    end();
}
END_TEST

START_TEST(flood_of_unknown_messages_is_bounded)
{
    struct iovec pieces[4];
    begin();
    native_hello(&client);
    for (unsigned i = 0; i < 100000 && client.unfed.length == 0; i++) {
        feed_message(bytes_of("\x92\x1e\x05", 3));
        if (i % 1000 == 0) {
            client.frontend->ops->peek(client.frontend, pieces, 4);
        }
    }
    ck_assert_uint_gt(client.unfed.length, 0);
    native_run(&client);
    ck_assert_uint_eq(client.unfed.length, 0);
    ck_assert_int_eq(client.ended, 0);
    end();
}
END_TEST

static void append_requests(struct buffer *bytes)
{
    struct buffer events = {0};
    struct request requests[8] = {
        hello_request(1, 1),
        {.kind = REQUEST_PING, .id = 2},
        {.kind = REQUEST_PRODUCE, .id = 3},
        subscribe_request(4, "/kind1/**"),
        {.kind = REQUEST_GET, .id = 5},
        {.kind = REQUEST_LAST, .id = 6, .last = {.events_max = 9}},
        {.kind = REQUEST_NAMESPACES, .id = 7},
        {.kind = REQUEST_STATUS, .id = 8},
    };
    requests[4].get.event = (struct event_id){.counter = 1, .actor = 1};
    ck_assert_int_eq(event_append(&events, bytes_of_text("/kind1/a"), bytes_of_text("data"),
                                  bytes_of("\x92\xa1k\xa1v", 5)),
                     0);
    requests[2].produce.events = buffer_bytes(&events);
    requests[2].produce.events_count = 1;
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_int_eq(request_encode(&requests[i], bytes), 0);
    }
    buffer_deinit(&events);
}

// Whatever is changed in a conversation: no crash, no read beyond, memory comes back.
START_TEST(damaged_conversations_do_no_harm)
{
    struct random random;
    struct buffer bytes = {0};
    random_init(&random, test_seed());
    append_requests(&bytes);
    for (unsigned round = 0; round < test_rounds(3000); round++) {
        node_fixture_init(&fixture, 1);
        native_client_open(&client, &fixture, round % 2 ? &random : NULL);
        uint8_t *copy = malloc(bytes.length);
        memcpy(copy, bytes.data, bytes.length);
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            copy[random_below(&random, bytes.length)] = (uint8_t)random_below(&random, 256);
        }
        native_feed(&client, bytes_of(copy, bytes.length - random_below(&random, 20)));
        free(copy);
        native_run(&client);
        struct reply reply;
        while (native_reply(&client, &reply)) {
        }
        end();
    }
    buffer_deinit(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/native_bad_input");
    suite_add(suite, first_message_must_be_hello);
    suite_add(suite, unknown_first_message_is_no_hello);
    suite_add(suite, versions_must_overlap);
    suite_add(suite, second_hello_is_refused);
    suite_add(suite, frames_are_small_before_hello);
    suite_add(suite, frames_have_a_limit);
    suite_add(suite, what_is_no_message_ends_the_connection);
    suite_add(suite, unknown_messages_are_answered);
    suite_add(suite, what_is_not_supported_is_answered);
    suite_add(suite, without_a_cluster_there_are_no_durable_subscriptions);
    suite_add(suite, bad_arguments_leave_the_connection_alone);
    suite_add(suite, flood_of_unknown_messages_is_bounded);
    suite_add(suite, damaged_conversations_do_no_harm);
    return check_main(suite);
}
