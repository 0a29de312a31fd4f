// The part of net, in memory: what is not taken stays in a buffer, and is fed again when more has
// come than was wanted, when something was sent, or when the session is ready.

#include "tests/unit/server/native_fixture.h"

#include <check.h>
#include <stdlib.h>

#include "proto/base/limits.h"

void native_client_open(struct native_client *client, struct node_fixture *fixture,
                        struct random *random)
{
    *client = (struct native_client){.fixture = fixture, .random = random};
    const struct frontend_config config = {
        .service = fixture->service,
        .peer_name = "test",
        .owner = client,
    };
    ck_assert_int_eq(FRONTEND_NATIVE.open(&config, &client->frontend), 0);
    ck_assert(instant_reached(client->frontend->ops->deadline(client->frontend), fixture->now));
    ck_assert_int_eq(client->frontend->ops->tick(client->frontend, fixture->now), 0);
}

void native_client_close(struct native_client *client)
{
    client->frontend->ops->close(client->frontend);
    buffer_deinit(&client->unfed);
    buffer_deinit(&client->received);
}

static void feed_unfed(struct native_client *client)
{
    while (client->ended == 0 && client->unfed.length >= client->wanted &&
           client->unfed.length > 0) {
        size_t taken = 0;
        size_t wanted = 0;
        // A copy of exactly these bytes: a read beyond them is found.
        struct bytes bytes = buffer_bytes(&client->unfed);
        uint8_t *copy = malloc(bytes.length);
        memcpy(copy, bytes.data, bytes.length);
        int result = client->frontend->ops->feed(client->frontend, bytes_of(copy, bytes.length),
                                                 client->fixture->now, &taken, &wanted);
        free(copy);
        if (result < 0) {
            client->ended = result;
            return;
        }
        ck_assert_uint_le(taken, bytes.length);
        buffer_consume(&client->unfed, taken);
        client->wanted = client->unfed.length > 0 ? wanted : 0;
        if (wanted == 0 || client->unfed.length == 0) {
            return; // saturated, or everything taken
        }
        ck_assert_uint_gt(wanted, client->unfed.length);
    }
}

void native_feed(struct native_client *client, struct bytes bytes)
{
    while (bytes.length > 0) {
        size_t length =
            client->random ? 1 + (size_t)random_below(client->random, 40) : bytes.length;
        length = length < bytes.length ? length : bytes.length;
        ck_assert_int_eq(buffer_append(&client->unfed, bytes_of(bytes.data, length)), 0);
        bytes = bytes_of(bytes.data + length, bytes.length - length);
        feed_unfed(client);
    }
}

void native_request(struct native_client *client, const struct request *request)
{
    struct buffer encoded = {0};
    ck_assert_int_eq(request_encode(request, &encoded), 0);
    native_feed(client, buffer_bytes(&encoded));
    buffer_deinit(&encoded);
}

static size_t pull_once(struct native_client *client)
{
    struct iovec pieces[16];
    size_t max = client->random ? 1 + (size_t)random_below(client->random, 16) : 16;
    size_t count = client->frontend->ops->peek(client->frontend, pieces, max);
    size_t total = 0;
    ck_assert_uint_le(count, max);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_gt(pieces[i].iov_len, 0);
        total += pieces[i].iov_len;
    }
    size_t sent =
        client->random && total > 0 ? 1 + (size_t)random_below(client->random, total) : total;
    size_t left = sent;
    for (size_t i = 0; i < count && left > 0; i++) {
        size_t length = left < pieces[i].iov_len ? left : pieces[i].iov_len;
        ck_assert_int_eq(buffer_append(&client->received, bytes_of(pieces[i].iov_base, length)), 0);
        left -= length;
    }
    client->unsent_max = total > client->unsent_max ? total : client->unsent_max;
    if (sent > 0) {
        client->frontend->ops->sent(client->frontend, sent);
    }
    return sent;
}

void native_pull(struct native_client *client)
{
    while (pull_once(client) > 0) {
        if (client->wanted == 0) {
            feed_unfed(client);
        }
    }
}

void native_run(struct native_client *client)
{
    bool has_moved = true;
    node_turn(client->fixture);
    while (has_moved) {
        size_t before = client->received.length;
        native_pull(client);
        has_moved = client->received.length > before || node_settle_step(client->fixture);
        has_moved |= service_take_ready(client->fixture->service, true) != NULL;
        if (client->wanted == 0) {
            feed_unfed(client);
        }
        node_turn(client->fixture);
    }
}

bool native_reply(struct native_client *client, struct reply *reply_out)
{
    if (client->decoded == client->received.length) {
        return false;
    }
    struct bytes rest = bytes_of(client->received.data + client->decoded,
                                 client->received.length - client->decoded);
    struct bytes message;
    struct reason reason;
    size_t needed;
    int result = frame_next(&rest, FRAME_BYTES_MAX, &message, &needed);
    if (result == FRAME_INCOMPLETE) {
        return false;
    }
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(reply_decode(message, reply_out, &reason), 0);
    client->decoded = client->received.length - rest.length;
    return true;
}

struct reply native_expect(struct native_client *client, enum reply_kind kind, uint64_t id)
{
    struct reply reply;
    native_run(client);
    ck_assert_msg(native_reply(client, &reply), "no reply of kind %u for %u", (unsigned)kind,
                  (unsigned)id);
    ck_assert_uint_eq(reply.kind, kind);
    ck_assert_uint_eq(reply.id, id);
    return reply;
}

void native_hello(struct native_client *client)
{
    struct request request = {.kind = REQUEST_HELLO, .id = 1};
    request.hello = (struct request_hello){
        .version_min = 1,
        .version_max = 3,
        .client_name = bytes_of_text("test"),
        .features = FEATURE_CHUNKS | FEATURE_LZ4,
    };
    native_request(client, &request);
    struct reply reply = native_expect(client, REPLY_HELLO, 1);
    ck_assert_uint_eq(reply.hello.version, 1);
    ck_assert_uint_eq(reply.hello.actor, 1);
    ck_assert_uint_eq(reply.hello.data_bytes_max, NODE_DATA_BYTES_MAX);
    ck_assert_uint_eq(reply.hello.features, FEATURE_CHUNKS | FEATURE_LZ4);
    ck_assert(bytes_equal(reply.hello.cluster_name, bytes_of_text("test")));
    ck_assert_uint_eq(reply.hello.cluster.length, 16);
    ck_assert_uint_eq(reply.hello.cluster.data[0], 0xc1);
}
