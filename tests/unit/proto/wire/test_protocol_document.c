// docs/protocol.md: every frame in it decodes to what it says and encodes to the same bytes, every
// message that weir has is shown, and what it says is refused is refused.

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/cluster_row.h"
#include "proto/model/namespace_row.h"
#include "proto/model/slice.h"
#include "proto/model/subscription_row.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/unit/check_main.h"
#include "tests/unit/proto/wire/protocol_document.h"
#include "tests/unit/proto/wire/protocol_vectors.h"
#include "tests/unit/proto/wire/sample_message.h"
#include "tests/unit/sample_bytes.h"

// Calls `check` with the frames of all blocks that have this heading; returns how many.
static size_t for_each_frame(const char *heading,
                             void (*check)(struct bytes name, struct bytes frame))
{
    struct document document;
    struct bytes first;
    struct bytes second;
    struct bytes lines;
    size_t count = 0;
    document_open(&document);
    while (document_next(&document, &first, &second, &lines)) {
        if (text_is(first, heading)) {
            struct buffer frame = {0};
            append_commented_hex(&frame, lines);
            struct bytes copy = exact_copy(buffer_bytes(&frame));
            check(second, copy);
            exact_free(copy);
            buffer_deinit(&frame);
            count++;
        }
    }
    document_close(&document);
    return count;
}

static struct bytes message_of(struct bytes frame)
{
    struct bytes message;
    size_t needed;
    ck_assert_int_eq(frame_next(&frame, FRAME_BYTES_MAX, &message, &needed), 0);
    ck_assert_uint_eq(frame.length, 0);
    return message;
}

static const struct expected_request *find_request(struct bytes name)
{
    for (size_t i = 0; i < EXPECTED_REQUESTS_COUNT; i++) {
        if (text_is(name, EXPECTED_REQUESTS[i].name)) {
            return &EXPECTED_REQUESTS[i];
        }
    }
    return NULL;
}

static const struct expected_reply *find_reply(struct bytes name)
{
    for (size_t i = 0; i < EXPECTED_REPLIES_COUNT; i++) {
        if (text_is(name, EXPECTED_REPLIES[i].name)) {
            return &EXPECTED_REPLIES[i];
        }
    }
    return NULL;
}

// The events of a frame are compared one by one with those that are expected of it.
struct walk {
    struct bytes vector;
    size_t next; // in EXPECTED_EVENTS
};

static void walk_skip_others(struct walk *walk)
{
    while (walk->next < EXPECTED_EVENTS_COUNT &&
           !text_is(walk->vector, EXPECTED_EVENTS[walk->next].vector)) {
        walk->next++;
    }
}

static void walk_event(struct walk *walk, struct event_id id, struct bytes *events)
{
    struct event event;
    walk_skip_others(walk);
    ck_assert_uint_lt(walk->next, EXPECTED_EVENTS_COUNT);
    const struct expected_event *expected = &EXPECTED_EVENTS[walk->next++];
    ck_assert_int_eq(event_next(events, &event), 0);
    ck_assert_int_eq(event_id_compare(id, expected->id), 0);
    ck_assert(text_is(event.name, expected->name));
    ck_assert(text_is(event.data, expected->data));
}

static void walk_end(struct walk *walk)
{
    walk_skip_others(walk);
    ck_assert_uint_eq(walk->next, EXPECTED_EVENTS_COUNT);
}

static void check_produced_events(struct bytes vector, const struct request_produce *produce)
{
    struct walk walk = {.vector = vector};
    struct bytes events = produce->events;
    for (uint32_t i = 0; i < produce->events_count; i++) {
        walk_event(&walk, (struct event_id){0}, &events);
    }
    ck_assert_uint_eq(events.length, 0);
    walk_end(&walk);
}

static void check_slices(struct bytes vector, struct bytes slices)
{
    struct walk walk = {.vector = vector};
    while (slices.length > 0) {
        struct slice slice;
        ck_assert_int_eq(slice_next(&slices, &slice), 0);
        ck_assert_uint_eq(slice.timestamp_ms, EXPECTED_TIMESTAMP_MS);
        for (uint16_t i = 0; i < slice.count; i++) {
            struct event_id id = {.counter = slice.first + i, .actor = slice.actor};
            walk_event(&walk, id, &slice.events);
        }
        ck_assert_uint_eq(slice.events.length, 0);
    }
    walk_end(&walk);
}

static void check_chunks(struct bytes vector, struct bytes chunks)
{
    struct walk walk = {.vector = vector};
    struct buffer scratch = {0};
    while (chunks.length > 0) {
        struct chunk_header header;
        struct bytes chunk;
        struct bytes body;
        ck_assert_int_eq(chunk_next(&chunks, &header, &chunk), 0);
        ck_assert_int_eq(chunk_validate(chunk, EVENT_DATA_BYTES_DEFAULT, &scratch, NULL), 0);
        ck_assert_uint_eq(header.timestamp_ms, EXPECTED_TIMESTAMP_MS);
        ck_assert_uint_eq(header.open, 0);
        ck_assert_int_eq(header.encoding, text_is(vector, "chunks-lz4") ? CHUNK_LZ4 : CHUNK_PLAIN);
        ck_assert_int_eq(chunk_body(&header, chunk, &scratch, &body), 0);
        for (uint16_t i = 0; i < header.count; i++) {
            struct event_id id = {.counter = header.first + i, .actor = header.actor};
            walk_event(&walk, id, &body);
        }
        ck_assert_uint_eq(body.length, 0);
    }
    buffer_deinit(&scratch);
    walk_end(&walk);
}

static void check_rows(struct bytes rows)
{
    struct namespace_row row;
    ck_assert_int_eq(namespace_row_next(&rows, &row), 0);
    ck_assert_uint_eq(rows.length, 0);
    ck_assert(text_is(row.name, "/a/c"));
    ck_assert_uint_eq(row.events, 2);
    ck_assert_uint_eq(row.bytes, 24);
    ck_assert_int_eq(event_id_compare(row.first, (struct event_id){7, 1}), 0);
    ck_assert_int_eq(event_id_compare(row.last, (struct event_id){1042, 1}), 0);
    ck_assert_uint_eq(row.first_timestamp_ms, EXPECTED_TIMESTAMP_MS);
    ck_assert_uint_eq(row.last_timestamp_ms, EXPECTED_TIMESTAMP_MS + 500);
}

static void check_members(struct bytes rows)
{
    struct cluster_row row;
    ck_assert_int_eq(cluster_row_next(&rows, &row), 0);
    ck_assert_uint_eq(rows.length, 0);
    ck_assert_uint_eq(row.node.bytes[0], 0x30);
    ck_assert_uint_eq(row.actor, 2);
    ck_assert_uint_eq(row.state, CLUSTER_ACTIVE);
    ck_assert_uint_eq(row.verdict, CLUSTER_BEHIND);
    ck_assert_uint_eq(row.flags, CLUSTER_ROW_CONNECTED | CLUSTER_ROW_SOURCE_DIRECT);
    ck_assert_uint_eq(row.source, 2);
    ck_assert_uint_eq(row.run, 3);
    ck_assert_uint_eq(row.held, 998);
    ck_assert_uint_eq(row.claimed, 999);
    ck_assert_uint_eq(row.lag_ms, 20);
    ck_assert_uint_eq(row.promised, 1040);
    ck_assert_uint_eq(row.seal, 0);
    ck_assert_uint_eq(row.diverged_actor, 0);
    ck_assert_uint_eq(row.diverged_since, 0);
    ck_assert(text_is(row.address, "b.example:3000"));
    ck_assert(text_is(row.version, "0.1.0"));
}

static void check_subscription(struct bytes rows)
{
    struct subscription_row row;
    struct version_vector cursor = {0};
    struct buffer again = {0};
    struct bytes all = rows;
    ck_assert_int_eq(subscription_row_next(&rows, &row), 0);
    ck_assert_uint_eq(rows.length, 0);
    ck_assert(text_is(row.name, "orders"));
    ck_assert_int_eq(event_id_compare(row.generation, (struct event_id){998, 2}), 0);
    ck_assert_int_eq(version_vector_decode(&row.cursor, &cursor), 0);
    ck_assert_uint_eq(version_vector_get(&cursor, 1), 1042);
    ck_assert_uint_eq(row.lag_events, 5);
    ck_assert_uint_eq(row.lag_ms, 250);
    ck_assert_uint_eq(row.voids, 1);
    ck_assert_int_eq(event_id_compare(row.void_last, (struct event_id){999, 3}), 0);
    ck_assert_uint_eq(row.flags, SUBSCRIPTION_ROW_COORDINATED);
    ck_assert_uint_eq(row.coordinator, 1);
    ck_assert_uint_eq(row.consumers, 2);
    ck_assert_uint_eq(row.in_flight, 3);
    ck_assert_uint_eq(row.waiting, 4);
    ck_assert_uint_eq(row.delivered, 1000);
    ck_assert_uint_eq(row.redelivered, 10);
    ck_assert_uint_eq(row.acked, 997);
    ck_assert_uint_eq(row.parked, 1);
    struct subscription_definition definition;
    subscription_definition_init(&definition);
    definition.entries[0] = (struct filter_entry){bytes_of_text("/orders/**"), false};
    definition.entries_count = 1;
    definition.key = GROUP_KEY_COMPONENTS;
    definition.key_components = 3;
    ck_assert(subscription_definition_equal(&row.definition, &definition));
    rows = all;
    ck_assert_int_eq(subscription_row_next(&rows, &row), 0);
    ck_assert_int_eq(subscription_row_append(&again, &row), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), all));
    buffer_deinit(&again);
    version_vector_deinit(&cursor);
}

static void check_consumer(struct bytes rest)
{
    struct subscription_consumer consumer;
    ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), 0);
    ck_assert_uint_eq(rest.length, 0);
    ck_assert_uint_eq(consumer.id, 7);
    ck_assert_uint_eq(consumer.actor, 2);
    ck_assert_uint_eq(consumer.in_flight, 3);
    ck_assert_uint_eq(consumer.attached_ms, 60000);
    ck_assert_uint_eq(consumer.delivered, 1000);
    ck_assert_uint_eq(consumer.acked, 997);
    ck_assert(text_is(consumer.client, "billing 10.0.0.1:5000"));
}

static void check_request(const struct expected_request *expected, struct bytes frame)
{
    struct request decoded;
    struct reason reason = {0};
    ck_assert_int_eq(request_decode(message_of(frame), &decoded, &reason), 0);
    struct request request = expected->request;
    if (request.kind == REQUEST_PRODUCE) {
        check_produced_events(bytes_of_text(expected->name), &decoded.produce);
        request.produce.events = decoded.produce.events;
    }
    assert_same_request(&request, &decoded);
    struct buffer again = {0};
    ck_assert_int_eq(request_encode(&request, &again), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), frame));
    buffer_deinit(&again);
}

static void check_reply(const struct expected_reply *expected, struct bytes frame)
{
    struct reply decoded;
    struct reason reason = {0};
    ck_assert_int_eq(reply_decode(message_of(frame), &decoded, &reason), 0);
    struct reply reply = expected->reply;
    if (reply.kind == REPLY_EVENTS || reply.kind == DELIVERY_SLICES) {
        check_slices(bytes_of_text(expected->name), decoded.events);
        reply.events = decoded.events;
    } else if (reply.kind == DELIVERY_CHUNKS) {
        check_chunks(bytes_of_text(expected->name), decoded.events);
        reply.events = decoded.events;
    } else if (reply.kind == REPLY_NAMESPACES) {
        check_rows(decoded.namespaces.rows);
        reply.namespaces.rows = decoded.namespaces.rows;
    } else if (reply.kind == REPLY_CLUSTER) {
        check_members(decoded.cluster_status.members);
        reply.cluster_status.members = decoded.cluster_status.members;
    } else if (reply.kind == DELIVERY_ASSIGNED) {
        check_slices(bytes_of_text(expected->name), decoded.assigned.slices);
        reply.assigned.slices = decoded.assigned.slices;
    } else if (reply.kind == DELIVERY_ASSIGNED_CHUNKS) {
        check_chunks(bytes_of_text(expected->name), decoded.assigned.slices);
        reply.assigned.slices = decoded.assigned.slices;
    } else if (reply.kind == REPLY_SUBSCRIPTIONS) {
        if (decoded.subscriptions.consumers.length > 0) {
            check_consumer(decoded.subscriptions.consumers);
        } else {
            check_subscription(decoded.subscriptions.rows);
        }
        reply.subscriptions.rows = decoded.subscriptions.rows;
        reply.subscriptions.consumers = decoded.subscriptions.consumers;
    }
    assert_same_reply(&reply, &decoded);
    struct buffer again = {0};
    ck_assert_int_eq(reply_encode(&reply, &again), 0);
    ck_assert(bytes_equal(buffer_bytes(&again), frame));
    buffer_deinit(&again);
}

static void check_frame(struct bytes name, struct bytes frame)
{
    const struct expected_request *request = find_request(name);
    const struct expected_reply *reply = find_reply(name);
    ck_assert_msg(!request != !reply, "nothing expected of %.*s", (int)name.length, name.data);
    if (request) {
        check_request(request, frame);
    } else {
        check_reply(reply, frame);
    }
}

START_TEST(frames_mean_what_the_document_says)
{
    size_t frames = for_each_frame("vector", check_frame);
    ck_assert_uint_eq(frames, EXPECTED_REQUESTS_COUNT + EXPECTED_REPLIES_COUNT);
}
END_TEST

START_TEST(every_kind_of_message_is_in_the_document)
{
    for (size_t i = 0; i < REQUEST_KINDS_COUNT; i++) {
        size_t shown = 0;
        for (size_t j = 0; j < EXPECTED_REQUESTS_COUNT; j++) {
            shown += EXPECTED_REQUESTS[j].request.kind == REQUEST_KINDS[i];
        }
        ck_assert_uint_gt(shown, 0);
    }
    for (size_t i = 0; i < REPLY_KINDS_COUNT; i++) {
        size_t shown = 0;
        for (size_t j = 0; j < EXPECTED_REPLIES_COUNT; j++) {
            shown += EXPECTED_REPLIES[j].reply.kind == REPLY_KINDS[i];
        }
        ck_assert_uint_gt(shown, 0);
    }
}
END_TEST

static void check_same(struct bytes name, struct bytes frame)
{
    const struct expected_request *expected = find_request(name);
    struct request decoded;
    ck_assert_ptr_nonnull(expected);
    ck_assert_int_eq(request_decode(message_of(frame), &decoded, NULL), 0);
    assert_same_request(&expected->request, &decoded);
    struct buffer again = {0};
    ck_assert_int_eq(request_encode(&decoded, &again), 0);
    ck_assert(!bytes_equal(buffer_bytes(&again), frame));
    buffer_deinit(&again);
}

START_TEST(other_forms_of_a_frame_mean_the_same)
{
    ck_assert_uint_ge(for_each_frame("vector-same", check_same), 3);
}
END_TEST

static void check_refused(struct bytes error, struct bytes frame)
{
    struct request request;
    struct reason reason = {0};
    int result = request_decode(message_of(frame), &request, &reason);
    if (text_is(error, "UNKNOWN_MESSAGE")) {
        ck_assert_int_eq(result, MESSAGE_UNKNOWN_KIND);
    } else if (text_is(error, "UNSUPPORTED")) {
        ck_assert_int_eq(result, ERR_UNSUPPORTED);
    } else {
        ck_assert(text_is(error, "MALFORMED"));
        ck_assert_int_eq(result, ERR_INVALID);
    }
    ck_assert(reason.text[0] != '\0');
}

START_TEST(what_the_document_refuses_is_refused)
{
    ck_assert_uint_ge(for_each_frame("vector-refused", check_refused), 9);
}
END_TEST

static struct chunk_header chunk_in_document;
static struct hash128 chunk_in_document_hash;

static void remember_chunk(struct bytes name, struct bytes frame)
{
    struct reply reply;
    struct chunk_header header;
    struct bytes chunk;
    if (text_is(name, "chunks")) {
        ck_assert_int_eq(reply_decode(message_of(frame), &reply, NULL), 0);
        ck_assert_int_eq(chunk_next(&reply.events, &chunk_in_document, &chunk), 0);
        chunk_in_document_hash = chunk_hash(chunk.data);
    } else if (text_is(name, "chunks-lz4")) {
        ck_assert_int_eq(reply_decode(message_of(frame), &reply, NULL), 0);
        ck_assert_int_eq(chunk_next(&reply.events, &header, &chunk), 0);
        ck_assert_uint_eq(header.prev, chunk_last(&chunk_in_document));
        ck_assert(hash128_equal(&header.prev_hash, &chunk_in_document_hash));
    }
}

START_TEST(the_second_chunk_is_chained_to_the_first)
{
    for_each_frame("vector", remember_chunk);
    ck_assert_uint_eq(chunk_in_document.first, 1001);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("protocol_document");
    suite_add(suite, frames_mean_what_the_document_says);
    suite_add(suite, every_kind_of_message_is_in_the_document);
    suite_add(suite, other_forms_of_a_frame_mean_the_same);
    suite_add(suite, what_the_document_refuses_is_refused);
    suite_add(suite, the_second_chunk_is_chained_to_the_first);
    return check_main(suite);
}
