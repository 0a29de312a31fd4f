// Produce: what is stored and answered, what is refused, what waits for what.

#include "proto/base/limits.h"
#include "server/node/cluster_view.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/node_fixture.h"

static struct node_fixture fixture;
static struct client client;
static struct buffer events;
static uint32_t events_count;

static void begin(void)
{
    node_fixture_init(&fixture, 1);
    client_open(&client, &fixture);
}

static void end(void)
{
    buffer_deinit(&events);
    events_count = 0;
    client_close(&client);
    node_fixture_deinit(&fixture);
}

static void clear(void)
{
    buffer_clear(&events);
    events_count = 0;
}

static void add_with(const char *name, const void *data, size_t length, struct event_id parent)
{
    struct buffer attributes = {0};
    ck_assert_int_eq(attributes_append(&attributes, NULL, 0, parent), 0);
    ck_assert_int_eq(event_append(&events, bytes_of_text(name), bytes_of(data, length),
                                  buffer_bytes(&attributes)),
                     0);
    buffer_deinit(&attributes);
    events_count++;
}

static void add(const char *name, const char *data)
{
    add_with(name, data, strlen(data), (struct event_id){0});
}

static struct request produce_request(uint64_t id)
{
    struct request request = {.kind = REQUEST_PRODUCE, .id = id};
    request.produce.events = buffer_bytes(&events);
    request.produce.events_count = events_count;
    return request;
}

static const struct answer_copy *produce(uint64_t id)
{
    struct request request = produce_request(id);
    client_submit(&client, &request);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, id);
    ck_assert_ptr_nonnull(answer);
    return answer;
}

static const struct answer_copy *produce_one(uint64_t id)
{
    clear();
    add("/a", "1");
    const struct answer_copy *answer = produce(id);
    ck_assert_uint_eq(answer->kind, REPLY_PRODUCED);
    return answer;
}

static void refused(uint64_t id, enum wire_error code, const char *text)
{
    store_port_refresh(fixture.log.port);
    uint64_t before = version_vector_get(store_port_vector(fixture.log.port), 1);
    const struct answer_copy *answer = produce(id);
    ck_assert_uint_eq(answer->kind, REPLY_ERROR);
    ck_assert_uint_eq(answer->code, code);
    ck_assert_msg(strstr(answer->text, text) != NULL, "no \"%s\" in: %s", text, answer->text);
    store_port_refresh(fixture.log.port);
    ck_assert_uint_eq(version_vector_get(store_port_vector(fixture.log.port), 1), before);
    ck_assert(session_is_idle(client.session));
}

static struct stream *read_all(uint64_t id)
{
    struct request request = subscribe_request(id, NULL);
    request.subscribe.end = END_NOW;
    struct stream *stream = client_subscribe(&client, &request);
    client_run(&client);
    ck_assert(stream->is_over);
    return stream;
}

START_TEST(answers_with_ids_and_a_cursor_that_holds_them)
{
    begin();
    add("/a", "1");
    add("/b", "2");
    add("/c", "");
    const struct answer_copy *answer = produce(1);
    ck_assert_uint_eq(answer->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(answer->produced.count, 3);
    ck_assert_uint_eq(answer->produced.first.counter, 1);
    ck_assert_uint_eq(answer->produced.first.actor, 1);
    ck_assert_uint_eq(answer->produced.nodes_durable, 1);
    ck_assert_uint_eq(answer->produced.remarks, 0);
    ck_assert_uint_eq(version_vector_get(&answer->cursor, 1), 3);
    struct stream *stream = read_all(2);
    ck_assert_uint_eq(stream->count, 3);
    ck_assert_str_eq(stream->events[1].name, "/b");
    ck_assert_uint_eq(stream->events[1].number, 2);
    end();
}
END_TEST

START_TEST(nothing_is_answered_before_it_is_durable)
{
    begin();
    clear();
    add("/a", "1");
    struct request request = produce_request(1);
    client_submit(&client, &request);
    node_turn(&fixture);
    ck_assert_uint_eq(client_receive(&client, 10), 0);
    ck_assert(!session_is_idle(client.session));
    ck_assert(store_step_commit(fixture.log.store, 1));
    ck_assert_uint_eq(client_receive(&client, 10), 0);
    node_turn(&fixture);
    ck_assert_ptr_eq(service_take_ready(fixture.service, true), &client);
    ck_assert_uint_eq(client_receive(&client, 10), 1);
    end();
}
END_TEST

START_TEST(chunks_are_closed_at_64_events_and_16_kib)
{
    begin();
    static uint8_t data[NODE_DATA_BYTES_MAX];
    const size_t lengths[] = {5000, 5000, 5000, 5000, 40000, 10, 16384, 100};
    clear();
    for (unsigned i = 0; i < 8; i++) {
        add_with("/sizes", data, lengths[i], (struct event_id){0});
    }
    for (unsigned i = 0; i < 200; i++) {
        add("/small", "");
    }
    ck_assert_uint_eq(produce(1)->kind, REPLY_PRODUCED);
    struct block *block = store_recent(fixture.log.port, 1);
    store_port_refresh(fixture.log.port);
    block = store_recent(fixture.log.port, 1);
    ck_assert_ptr_nonnull(block);
    struct bytes rest = block_bytes(block);
    unsigned counts[20];
    unsigned chunks = 0;
    while (rest.length > 0) {
        struct chunk_header header;
        struct bytes chunk;
        ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
        ck_assert(header.count == 1 || header.plain_length <= CHUNK_BODY_BYTES_CLOSE);
        counts[chunks++] = header.count;
    }
    ck_assert_uint_eq(counts[0], 3); // three of 5000
    ck_assert_uint_eq(counts[1], 1); // the fourth, as 40000 does not fit behind it
    ck_assert_uint_eq(counts[2], 1);
    ck_assert_uint_eq(counts[3], 1);
    ck_assert_uint_eq(counts[4], 1); // 16384 and its head
    ck_assert_uint_eq(counts[5], 64);
    ck_assert_uint_eq(counts[8], 201 - 3 * 64);
    ck_assert_uint_eq(chunks, 9);
    block_unref(block);
    end();
}
END_TEST

START_TEST(one_bad_event_refuses_all_and_is_named)
{
    static uint8_t data[NODE_DATA_BYTES_MAX + 1];
    begin();
    produce_one(1);
    clear();
    add("/a", "");
    add("", "");
    refused(2, WIRE_INVALID_NAMESPACE, "event 2 of 2");
    clear();
    add("/$weir/x", "");
    refused(3, WIRE_INVALID_NAMESPACE, "/$");
    clear();
    add("/a", "");
    add("/a", "");
    add("/tab\t", "");
    add("/a", "");
    refused(4, WIRE_INVALID_NAMESPACE, "event 3 of 4");
    clear();
    add("/\xff", "");
    refused(5, WIRE_INVALID_NAMESPACE, "UTF-8");
    clear();
    add_with("/a", data, sizeof data, (struct event_id){0});
    refused(6, WIRE_TOO_LARGE, "65536");
    clear();
    add("/a", "");
    ck_assert_int_eq(buffer_append(&events, bytes_of("\x93\xa2/a\xc4\x00\x91\xa1x", 9)), 0);
    events_count++;
    refused(7, WIRE_INVALID_EVENT, "event 2 of 2");
    clear();
    ck_assert_int_eq(buffer_append(&events, bytes_of("\x93\xa2/a\xc4\x00\x92\xa1p\xc4\x01x", 12)),
                     0);
    events_count++;
    refused(8, WIRE_INVALID_EVENT, "\"p\"");
    ck_assert_uint_eq(read_all(100)->count, 1);
    end();
}
END_TEST

START_TEST(count_must_be_that_of_the_events)
{
    begin();
    refused(1, WIRE_INVALID_ARGUMENT, "at least one");
    add("/a", "");
    add("/a", "");
    events_count = 1;
    refused(2, WIRE_INVALID_EVENT, "behind the 1 events");
    events_count = 3;
    refused(3, WIRE_INVALID_EVENT, "event 3 of 3");
    events_count = PRODUCE_EVENTS_MAX + 1;
    refused(4, WIRE_TOO_LARGE, "65536");
    events_count = UINT32_MAX;
    refused(5, WIRE_TOO_LARGE, "65536");
    events_count = 2;
    events.length -= 1;
    refused(6, WIRE_INVALID_EVENT, "event 2 of 2");
    end();
}
END_TEST

START_TEST(largest_produce_is_stored_whole)
{
    begin();
    clear();
    for (unsigned i = 0; i < PRODUCE_EVENTS_MAX; i++) {
        add("/a", "");
    }
    const struct answer_copy *answer = produce(1);
    ck_assert_uint_eq(answer->produced.count, PRODUCE_EVENTS_MAX);
    // Runs of a maximal produce in the worst case: pairs just above what a chunk holds.
    static uint8_t data[CHUNK_BODY_BYTES_CLOSE];
    clear();
    while (events.length + CHUNK_BODY_BYTES_CLOSE + 20 <= PRODUCE_BYTES_MAX) {
        add_with("/a", data, sizeof data, (struct event_id){0});
        add("/a", "");
    }
    ck_assert_uint_eq(produce(2)->produced.count, events_count);
    add_with("/a", data, sizeof data, (struct event_id){0});
    add_with("/a", data, sizeof data, (struct event_id){0});
    refused(3, WIRE_TOO_LARGE, "16777216");
    end();
}
END_TEST

static struct event_id next_id(unsigned ahead)
{
    store_port_refresh(fixture.log.port);
    uint64_t own = version_vector_get(store_port_vector(fixture.log.port), 1);
    return (struct event_id){.counter = own + ahead, .actor = 1};
}

START_TEST(parent_that_is_here_is_no_reason_to_wait)
{
    begin();
    struct event_id parent = produce_one(1)->produced.first;
    clear();
    add_with("/b", "", 0, parent);
    const struct answer_copy *answer = produce(2);
    ck_assert_uint_eq(answer->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(answer->produced.remarks, 0);
    end();
}
END_TEST

START_TEST(parent_that_comes_in_time_is_waited_for)
{
    begin();
    fixture_replicate(&fixture.log, 0, 1);
    struct event_id parent = {.counter = fixture.log.peers[0].last + 1, .actor = 2};
    clear();
    add_with("/b", "", 0, parent);
    struct request request = produce_request(1);
    client_submit(&client, &request);
    node_pass_ms(&fixture, NODE_AFTER_TIMEOUT_MS - 1);
    client_run(&client);
    ck_assert_ptr_null(client_answer(&client, 1));
    while (!version_vector_covers(store_port_vector(fixture.log.port), parent)) {
        fixture_replicate(&fixture.log, 0, 1);
    }
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, 1);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(answer->produced.remarks, 0);
    ck_assert_int_gt(event_id_compare(answer->produced.first, parent), 0);
    end();
}
END_TEST

START_TEST(parent_that_does_not_come_is_remarked)
{
    begin();
    clear();
    add_with("/b", "", 0, next_id(1000));
    struct request request = produce_request(1);
    client_submit(&client, &request);
    node_pass_ms(&fixture, NODE_AFTER_TIMEOUT_MS);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, 1);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->kind, REPLY_PRODUCED);
    ck_assert_uint_eq(answer->produced.remarks, REMARK_NOT_AFTER_PARENT);
    end();
}
END_TEST

// Only so many actors' parents can be waited for: more of them do not slow the node down.
START_TEST(parents_of_very_many_actors_are_not_all_awaited)
{
    begin();
    clear();
    for (unsigned i = 0; i < 3000; i++) {
        add_with("/b", "", 0, (struct event_id){.counter = 7, .actor = (uint16_t)(3000 - i)});
    }
    struct request request = produce_request(1);
    client_submit(&client, &request);
    node_pass_ms(&fixture, NODE_AFTER_TIMEOUT_MS);
    client_run(&client);
    ck_assert_uint_eq(client_answer(&client, 1)->produced.remarks, REMARK_NOT_AFTER_PARENT);
    end();
}
END_TEST

START_TEST(after_that_does_not_come_is_a_timeout)
{
    begin();
    produce_one(1);
    clear();
    add("/b", "");
    struct request request = produce_request(2);
    struct bytes ahead = bytes_of("\x81\x01\x7f", 3); // @127.1
    request.produce.after.cursor = ahead;
    request.produce.after.timeout_ms = 20;
    client_submit(&client, &request);
    node_pass_ms(&fixture, 19);
    client_run(&client);
    ck_assert_ptr_null(client_answer(&client, 2));
    node_pass_ms(&fixture, 1);
    client_run(&client);
    ck_assert_uint_eq(client_answer(&client, 2)->code, WIRE_TIMEOUT);
    ck_assert_uint_eq(read_all(3)->count, 1);
    // In vain for the parent as well: that it is not stored counts for more.
    clear();
    add_with("/b", "", 0, (struct event_id){.counter = 900, .actor = 1});
    request = produce_request(4);
    request.produce.after.cursor = ahead;
    client_submit(&client, &request);
    node_pass_ms(&fixture, NODE_AFTER_TIMEOUT_MS);
    client_run(&client);
    ck_assert_uint_eq(client_answer(&client, 4)->code, WIRE_TIMEOUT);
    end();
}
END_TEST

START_TEST(those_behind_a_waiting_produce_stay_behind_it)
{
    begin();
    produce_one(1);
    for (uint64_t id = 2; id <= 6; id++) {
        char data[2] = {(char)('0' + id), 0};
        clear();
        if (id == 2 || id == 4) {
            add_with("/b", data, 1, next_id(id == 2 ? 500 : 600));
        } else {
            add("/b", data);
        }
        struct request request = produce_request(id);
        request.produce.after.timeout_ms = id == 4 ? 300 : 200;
        client_submit(&client, &request);
    }
    node_settle(&fixture);
    ck_assert_uint_eq(client_receive(&client, 10), 0);
    node_pass_ms(&fixture, 200);
    client_run(&client);
    ck_assert_ptr_nonnull(client_answer(&client, 3));
    ck_assert_ptr_null(client_answer(&client, 4));
    ck_assert_ptr_null(client_answer(&client, 5));
    node_pass_ms(&fixture, 100);
    client_run(&client);
    struct stream *stream = read_all(50);
    ck_assert_uint_eq(stream->count, 6);
    for (unsigned i = 1; i < 6; i++) {
        ck_assert_uint_eq(stream->events[i].number, i + 1);
    }
    ck_assert_uint_eq(client_answer(&client, 2)->produced.remarks, REMARK_NOT_AFTER_PARENT);
    ck_assert_uint_eq(client_answer(&client, 3)->produced.remarks, 0);
    end();
}
END_TEST

START_TEST(produce_that_waited_is_refused_where_the_node_may_not_any_more)
{
    begin();
    clear();
    add_with("/b", "", 0, next_id(1000));
    for (uint64_t id = 1; id <= 2; id++) { // the second waits behind the first
        struct request request = produce_request(id);
        client_submit(&client, &request);
    }
    node_settle(&fixture);
    cluster_set_why_not(fixture.node, "it is another now");
    node_pass_ms(&fixture, NODE_AFTER_TIMEOUT_MS);
    client_run(&client);
    for (uint64_t id = 1; id <= 2; id++) {
        const struct answer_copy *answer = client_answer(&client, id);
        ck_assert_ptr_nonnull(answer);
        ck_assert_uint_eq(answer->kind, REPLY_ERROR);
        ck_assert_uint_eq(answer->code, WIRE_NOT_MEMBER);
    }
    uint32_t count;
    (void)store_port_ends(fixture.log.port, &count);
    ck_assert_uint_eq(count, 0);
    end();
}
END_TEST

START_TEST(full_disk_refuses_produce_and_recovers_by_itself)
{
    node_fixture_begin(&fixture, 1);
    fixture.log.config.reserve_bytes = 1000;
    node_fixture_open(&fixture);
    client_open(&client, &fixture);
    produce_one(1);
    disk_medium_set_free(fixture.log.log_medium, 10);
    for (unsigned i = 0; i < 20; i++) {
        node_pass_ms(&fixture, 1000);
    }
    clear();
    add("/a", "2");
    const struct answer_copy *answer = NULL;
    for (uint64_t id = 2; id < 40 && (!answer || answer->kind == REPLY_PRODUCED); id++) {
        node_pass_ms(&fixture, 1000);
        answer = produce(id);
    }
    ck_assert_uint_eq(answer->code, WIRE_DISK_FULL);
    client_submit(&client, &(struct request){.kind = REQUEST_STATUS, .id = 50});
    client_run(&client);
    ck_assert_ptr_nonnull(strstr(client_answer(&client, 50)->alarms, "reserve"));
    ck_assert_uint_gt(read_all(51)->count, 0);
    end();
}
END_TEST

START_TEST(failed_sync_is_an_unknown_outcome_and_fatal)
{
    begin();
    produce_one(1);
    disk_medium_fail(fixture.log.log_medium, DISK_FAULT_SYNC, 1, true);
    clear();
    add("/a", "2");
    const struct answer_copy *answer = produce(2);
    ck_assert_uint_eq(answer->code, WIRE_UNKNOWN_OUTCOME);
    struct reason fatal = {0};
    ck_assert(service_is_fatal(fixture.service, &fatal));
    ck_assert_uint_gt(strlen(fatal.text), 0);
    answer = produce(3);
    ck_assert_uint_eq(answer->kind, REPLY_ERROR);
    buffer_deinit(&events);
    client_close(&client);
    node_settle(&fixture);
    service_free(fixture.service);
    node_free(fixture.node);
    fixture_abandon(&fixture.log);
    fixture_deinit(&fixture.log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_produce");
    suite_add(suite, answers_with_ids_and_a_cursor_that_holds_them);
    suite_add(suite, nothing_is_answered_before_it_is_durable);
    suite_add(suite, chunks_are_closed_at_64_events_and_16_kib);
    suite_add(suite, one_bad_event_refuses_all_and_is_named);
    suite_add(suite, count_must_be_that_of_the_events);
    suite_add(suite, largest_produce_is_stored_whole);
    suite_add(suite, parent_that_is_here_is_no_reason_to_wait);
    suite_add(suite, parent_that_comes_in_time_is_waited_for);
    suite_add(suite, parent_that_does_not_come_is_remarked);
    suite_add(suite, parents_of_very_many_actors_are_not_all_awaited);
    suite_add(suite, after_that_does_not_come_is_a_timeout);
    suite_add(suite, those_behind_a_waiting_produce_stay_behind_it);
    suite_add(suite, produce_that_waited_is_refused_where_the_node_may_not_any_more);
    suite_add(suite, full_disk_refuses_produce_and_recovers_by_itself);
    suite_add(suite, failed_sync_is_an_unknown_outcome_and_fatal);
    return check_main(suite);
}
