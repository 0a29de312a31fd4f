// What goes out as whole chunks, to which consumers, and what they spend for it.

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/slice.h"
#include "server/node/session.h"
#include "tests/unit/server/groups/groups_fixture.h"

enum { ATTACH_ID = 7, EVENTS_MAX = 4096, PER_CHUNK = 64 };

// A client with one consumer.
struct client {
    struct session *session;
    struct event_id events[EVENTS_MAX];
    uint32_t count;
    uint32_t chunk_events; // of them: in whole chunks
    uint64_t bytes;        // of all bins
    uint32_t attempt;      // of the last
};

static struct cluster_fixture fixture;

static void client_open(struct client *client, uint32_t features)
{
    *client = (struct client){0};
    ck_assert_int_eq(session_open(fixture.nodes[0].service, &fixture, &client->session), 0);
    session_set_features(client->session, features);
}

static void submit(struct client *client, const struct request *request)
{
    ck_assert_int_eq(session_submit(client->session, request, fixture.now), 0);
    fixture.nodes[0].is_woken = true;
}

// To a subscription to everything, from the beginning.
static void client_attach(struct client *client, uint32_t in_flight, uint64_t credit)
{
    struct request request = {.kind = REQUEST_ATTACH, .id = ATTACH_ID};
    request.attach.name = bytes_of_text(GROUP_NAME);
    request.attach.create = true;
    request.attach.start.kind = START_BEGINNING;
    request.attach.in_flight = in_flight;
    request.attach.credit_bytes = credit;
    subscription_definition_init(&request.attach.definition);
    submit(client, &request);
}

static void note_run(struct client *client, uint16_t actor, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_lt(client->count, EVENTS_MAX);
        client->events[client->count++] = (struct event_id){.counter = first + i, .actor = actor};
    }
}

static void note(struct client *client, const struct session_item *item)
{
    struct bytes rest = bytes_of(item->block->data + item->offset, item->length);
    client->bytes += item->length;
    client->attempt = item->head.assigned.attempt;
    bool is_chunks = item->head.kind == DELIVERY_ASSIGNED_CHUNKS;
    while (rest.length > 0) {
        struct chunk_header header;
        struct slice slice;
        struct bytes chunk;
        if (is_chunks) {
            ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
            ck_assert_int_eq(chunk_verify(&header, chunk), 0);
            note_run(client, header.actor, header.first, header.count);
            client->chunk_events += header.count;
        } else {
            ck_assert_int_eq(slice_next(&rest, &slice), 0);
            note_run(client, slice.actor, slice.first, slice.count);
        }
    }
}

static void client_take(struct client *client)
{
    struct session_item item;
    cluster_pass_ms(&fixture, 10);
    while (session_take(client->session, &item)) {
        if (item.head.kind == DELIVERY_ASSIGNED || item.head.kind == DELIVERY_ASSIGNED_CHUNKS) {
            note(client, &item);
        }
        ck_assert_uint_ne(item.head.kind, REPLY_ERROR);
        block_unref(item.block);
        cluster_settle(&fixture);
    }
}

static void client_ack(struct client *client, uint64_t first, uint64_t last)
{
    static uint64_t id = 1000;
    struct buffer ranges = {0};
    const struct done_range range = {.actor = 1, .first = first, .last = last};
    struct request request = {.kind = REQUEST_ACK, .id = ++id};
    ck_assert_int_eq(done_range_append(&ranges, &range), 0);
    request.ack.attachment = ATTACH_ID;
    request.ack.ranges = buffer_bytes(&ranges);
    submit(client, &request);
    buffer_deinit(&ranges);
    client_take(client);
}

static void client_close(struct client *client)
{
    session_close(client->session);
    cluster_settle(&fixture);
}

// Chunks of as many small events as one has. The counter of the first.
static uint64_t produce_chunks(uint32_t chunks)
{
    uint64_t first = held(&fixture) + 1;
    for (uint32_t i = 0; i < chunks; i++) {
        produce_to(&fixture, EVENTS_SPACE, (struct bytes){0}, PER_CHUNK);
    }
    return first;
}

static void assert_follows(const struct client *client, uint64_t first, uint32_t count)
{
    ck_assert_uint_eq(client->count, count);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(client->events[i].counter, first + i);
    }
}

static void setup(void)
{
    groups_open(&fixture);
}

static void teardown(void)
{
    groups_close(&fixture);
}

// --- Tests -------------------------------------------------------------------------------------

START_TEST(a_replay_is_of_chunks_and_what_is_new_of_slices)
{
    struct client client;
    uint64_t first = produce_chunks(5);
    client_open(&client, FEATURE_CHUNKS | FEATURE_LZ4);
    client_attach(&client, 10000, 0);
    client_take(&client);
    assert_follows(&client, first, 5 * PER_CHUNK);
    ck_assert_uint_eq(client.chunk_events, 5 * PER_CHUNK);
    client_ack(&client, first, first + 5 * PER_CHUNK - 1);
    client.count = 0;
    first = produce_chunks(1);
    client_take(&client);
    assert_follows(&client, first, PER_CHUNK);
    ck_assert_uint_eq(client.chunk_events, 5 * PER_CHUNK);
    client_close(&client);
}
END_TEST

START_TEST(who_reads_no_chunks_gets_slices_in_the_same_group)
{
    struct client able;
    struct client plain;
    uint64_t first = produce_chunks(4);
    client_open(&able, FEATURE_CHUNKS | FEATURE_LZ4);
    client_open(&plain, FEATURE_CHUNKS);
    client_attach(&able, PER_CHUNK, 0);
    client_take(&able);
    client_attach(&plain, 2 * PER_CHUNK, 0);
    client_take(&plain);
    assert_follows(&able, first, PER_CHUNK);
    ck_assert_uint_eq(able.chunk_events, PER_CHUNK);
    assert_follows(&plain, first + PER_CHUNK, 2 * PER_CHUNK);
    ck_assert_uint_eq(plain.chunk_events, 0);
    client_close(&able); // what comes again is read again
    client_ack(&plain, first + PER_CHUNK, first + 3 * PER_CHUNK - 1);
    ck_assert_uint_eq(plain.count, 4 * PER_CHUNK);
    ck_assert_uint_eq(plain.chunk_events, 0);
    client_close(&plain);
}
END_TEST

START_TEST(a_chunk_that_is_divided_is_cut)
{
    struct client client;
    uint64_t first = produce_chunks(2);
    client_open(&client, FEATURE_CHUNKS | FEATURE_LZ4);
    client_attach(&client, PER_CHUNK + 10, 0);
    client_take(&client);
    assert_follows(&client, first, PER_CHUNK + 10);
    ck_assert_uint_eq(client.chunk_events, PER_CHUNK);
    client_ack(&client, first, first + PER_CHUNK - 1);
    assert_follows(&client, first, 2 * PER_CHUNK);
    ck_assert_uint_eq(client.chunk_events, PER_CHUNK);
    client_close(&client);
}
END_TEST

// Chunks take their own length away, however long their events are when they are not compressed.
START_TEST(credit_is_for_what_is_sent)
{
    enum { CREDIT = 500 };
    struct client client;
    struct request credit = {.kind = REQUEST_CREDIT, .id = ATTACH_ID};
    uint64_t first = produce_chunks(40);
    client_open(&client, FEATURE_CHUNKS | FEATURE_LZ4);
    client_attach(&client, 10000, CREDIT);
    client_take(&client);
    uint64_t chunk_bytes = client.bytes * PER_CHUNK / client.count;
    ck_assert_uint_lt(chunk_bytes, (size_t)PER_CHUNK * 10); // it is compressed
    ck_assert_uint_ge(client.bytes, CREDIT);
    ck_assert_uint_lt(client.bytes, CREDIT + 2 * chunk_bytes);
    for (int i = 0; i < 3; i++) {
        credit.credit.bytes = CREDIT;
        submit(&client, &credit);
        client_take(&client);
    }
    ck_assert_uint_ge(client.bytes, 4 * (uint64_t)CREDIT);
    ck_assert_uint_lt(client.bytes, 4 * (uint64_t)CREDIT + 2 * chunk_bytes);
    assert_follows(&client, first, client.count);
    client_close(&client);
}
END_TEST

START_TEST(chunks_that_a_client_never_took_were_no_attempt)
{
    struct client gone;
    struct client next;
    uint64_t first = produce_chunks(3);
    client_open(&gone, FEATURE_CHUNKS | FEATURE_LZ4);
    client_attach(&gone, 10000, 0);
    cluster_pass_ms(&fixture, 10);
    client_close(&gone);
    client_open(&next, FEATURE_CHUNKS | FEATURE_LZ4);
    client_attach(&next, 10000, 0);
    client_take(&next);
    assert_follows(&next, first, 3 * PER_CHUNK);
    ck_assert_uint_eq(next.attempt, 1);
    client_close(&next);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_replay_is_of_chunks_and_what_is_new_of_slices,
        who_reads_no_chunks_gets_slices_in_the_same_group,
        a_chunk_that_is_divided_is_cut,
        credit_is_for_what_is_sent,
        chunks_that_a_client_never_took_were_no_attempt,
    };
    Suite *suite = suite_create("group_chunks");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(test_case, setup, teardown);
        tcase_set_timeout(test_case, 60);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    return check_main(suite);
}
