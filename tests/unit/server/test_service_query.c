// Requests with one reply: get, last, neighbor, namespaces, status, ping; and `after` on them.

#include "proto/base/limits.h"
#include "proto/model/namespace_row.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/node_fixture.h"

static struct node_fixture fixture;
static struct client client;
static uint64_t next_id;

static void begin(void)
{
    node_fixture_init(&fixture, 1);
    client_open(&client, &fixture);
    for (unsigned i = 0; i < 15; i++) {
        fixture_produce_group(&fixture.log, 3);
        fixture_replicate(&fixture.log, i % FIXTURE_PEERS, 1 + i % 3);
    }
    fixture_sort(&fixture.log);
    node_settle(&fixture);
}

static void end(void)
{
    client_close(&client);
    node_fixture_deinit(&fixture);
}

static const struct answer_copy *ask(struct request request)
{
    request.id = ++next_id;
    client_submit(&client, &request);
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, request.id);
    ck_assert_ptr_nonnull(answer);
    ck_assert(session_is_idle(client.session));
    return answer;
}

static void refused(struct request request, enum wire_error code)
{
    const struct answer_copy *answer = ask(request);
    ck_assert_uint_eq(answer->kind, REPLY_ERROR);
    ck_assert_uint_eq(answer->code, code);
    ck_assert_uint_gt(strlen(answer->text), 0);
}

static void same_event(const struct stream_event *got, const struct model_event *wanted)
{
    ck_assert_int_eq(event_id_compare(got->id, wanted->id), 0);
    ck_assert_uint_eq(got->number, wanted->number);
    ck_assert_uint_eq(got->timestamp_ms, wanted->timestamp_ms);
    ck_assert_str_eq(got->name, wanted->name);
}

START_TEST(gets_every_event_by_its_id)
{
    begin();
    for (size_t i = 0; i < fixture.log.events_count; i += 7) {
        const struct model_event *event = &fixture.log.events[i];
        struct request request = {.kind = REQUEST_GET, .get = {.event = event->id}};
        const struct answer_copy *answer = ask(request);
        ck_assert_uint_eq(answer->kind, REPLY_EVENTS);
        ck_assert_uint_eq(answer->events.count, 1);
        ck_assert_uint_eq(answer->events.slice_deliveries, 1);
        same_event(&answer->events.events[0], event);
    }
    refused((struct request){.kind = REQUEST_GET, .get = {.event = {.counter = 1, .actor = 99}}},
            WIRE_NOT_FOUND);
    refused((struct request){.kind = REQUEST_GET,
                             .get = {.event = {.counter = COUNTER_MAX, .actor = 1}}},
            WIRE_NOT_FOUND);
    refused((struct request){.kind = REQUEST_GET}, WIRE_INVALID_ID);
    end();
}
END_TEST

static const char *const PATTERNS[] = {NULL, "/kind1/**", "/kind2/name3", "/nothing"};
enum { PATTERNS_COUNT = 4 };

START_TEST(last_brings_the_newest_in_order)
{
    begin();
    const uint32_t counts[] = {1, 2, 50, 64, 300, LAST_EVENTS_MAX};
    for (unsigned p = 0; p < PATTERNS_COUNT; p++) {
        for (unsigned c = 0; c < 6; c++) {
            struct request request = {.kind = REQUEST_LAST, .last = {.events_max = counts[c]}};
            if (PATTERNS[p]) {
                request.last.entries[0].text = bytes_of_text(PATTERNS[p]);
                request.last.entries_count = 1;
            }
            const struct answer_copy *answer = ask(request);
            ck_assert_uint_eq(answer->kind, REPLY_EVENTS);
            size_t at = answer->events.count;
            size_t there = 0;
            for (size_t i = fixture.log.events_count; i > 0; i--) {
                const struct model_event *event = &fixture.log.events[i - 1];
                if (pattern_matches(PATTERNS[p], event->name) && there++ < counts[c]) {
                    ck_assert_uint_gt(at, 0);
                    same_event(&answer->events.events[--at], event);
                }
            }
            ck_assert_uint_eq(at, 0);
        }
    }
    refused((struct request){.kind = REQUEST_LAST}, WIRE_INVALID_ARGUMENT);
    refused((struct request){.kind = REQUEST_LAST, .last = {.events_max = LAST_EVENTS_MAX + 1}},
            WIRE_INVALID_ARGUMENT);
    end();
}
END_TEST

// What does not fit into one reply is left out from the front.
START_TEST(last_leaves_out_the_oldest_of_too_many)
{
    node_fixture_init(&fixture, 1);
    client_open(&client, &fixture);
    static uint8_t data[60000];
    for (unsigned i = 0; i < 400; i++) {
        struct buffer events = {0};
        int length = snprintf((char *)data, 20, "%u ", i);
        ck_assert_int_gt(length, 0);
        ck_assert_int_eq(event_append(&events, bytes_of_text("/large"), bytes_of(data, sizeof data),
                                      (struct bytes){0}),
                         0);
        struct request request = {.kind = REQUEST_PRODUCE, .id = ++next_id};
        request.produce.events = buffer_bytes(&events);
        request.produce.events_count = 1;
        client_submit(&client, &request);
        client_run(&client);
        buffer_deinit(&events);
    }
    struct request request = {.kind = REQUEST_LAST, .last = {.events_max = 390}};
    const struct answer_copy *answer = ask(request);
    ck_assert_uint_gt(answer->events.count, 250);
    ck_assert_uint_lt(answer->events.count, 390);
    ck_assert_uint_le(answer->events.bytes, 16 * MIB);
    ck_assert_uint_eq(answer->events.events[answer->events.count - 1].number, 399);
    ck_assert_uint_eq(answer->events.events[0].number, 400 - answer->events.count);
    end();
}
END_TEST

static struct request neighbor_request(enum neighbor_kind which, struct event_id id,
                                       const char *pattern)
{
    struct request request = {.kind = REQUEST_NEIGHBOR, .neighbor = {.which = which, .event = id}};
    if (pattern) {
        request.neighbor.entries[0].text = bytes_of_text(pattern);
        request.neighbor.entries_count = 1;
    }
    return request;
}

static void check_neighbor(enum neighbor_kind which, struct event_id id, const char *pattern)
{
    const struct model_event *wanted = NULL;
    for (size_t i = 0; i < fixture.log.events_count; i++) {
        const struct model_event *event = &fixture.log.events[i];
        int order = event_id_compare(event->id, id);
        if (!pattern_matches(pattern, event->name)) {
            continue;
        }
        if (which == NEIGHBOR_PREVIOUS) {
            wanted = order < 0 ? event : wanted;
        } else if (!wanted && (which == NEIGHBOR_FIRST || order > 0)) {
            wanted = event;
        }
    }
    const struct answer_copy *answer = ask(neighbor_request(which, id, pattern));
    ck_assert_uint_eq(answer->kind, wanted ? REPLY_EVENTS : REPLY_ERROR);
    if (wanted) {
        ck_assert_uint_eq(answer->events.count, 1);
        same_event(&answer->events.events[0], wanted);
    } else {
        ck_assert_uint_eq(answer->code, WIRE_NOT_FOUND);
    }
}

START_TEST(neighbors_in_canonical_order)
{
    begin();
    size_t count = fixture.log.events_count;
    for (unsigned p = 0; p < PATTERNS_COUNT; p++) {
        check_neighbor(NEIGHBOR_FIRST, (struct event_id){0}, PATTERNS[p]);
        for (unsigned i = 0; i < 12; i++) {
            struct event_id id = fixture.log.events[i * 97 % count].id;
            id.actor = i % 3 ? id.actor : 9; // one that is not there
            check_neighbor(NEIGHBOR_NEXT, id, PATTERNS[p]);
            check_neighbor(NEIGHBOR_PREVIOUS, id, PATTERNS[p]);
        }
        check_neighbor(NEIGHBOR_PREVIOUS, fixture.log.events[0].id, PATTERNS[p]);
        check_neighbor(NEIGHBOR_NEXT, fixture.log.events[count - 1].id, PATTERNS[p]);
    }
    refused(neighbor_request(NEIGHBOR_NEXT, (struct event_id){0}, NULL), WIRE_INVALID_ID);
    refused(neighbor_request(NEIGHBOR_FIRST, (struct event_id){0}, "/a[b"), WIRE_INVALID_GLOB);
    end();
}
END_TEST

START_TEST(namespaces_page_by_page_with_counts)
{
    begin();
    char behind[48] = "";
    bool more = true;
    uint64_t events = 0;
    unsigned names = 0;
    while (more) {
        struct request request = {
            .kind = REQUEST_NAMESPACES,
            .namespaces = {.after_name = bytes_of_text(behind), .page_max = 7}};
        const struct answer_copy *answer = ask(request);
        ck_assert_uint_eq(answer->kind, REPLY_NAMESPACES);
        struct bytes rest = buffer_bytes(&answer->rows);
        ck_assert(rest.length > 0 || !answer->more);
        unsigned rows = 0;
        while (rest.length > 0) {
            struct namespace_row row;
            ck_assert_int_eq(namespace_row_next(&rest, &row), 0);
            ck_assert_int_lt(bytes_compare(bytes_of_text(behind), row.name), 0);
            memset(behind, 0, sizeof behind);
            memcpy(behind, row.name.data, row.name.length);
            uint64_t there = 0;
            for (size_t i = 0; i < fixture.log.events_count; i++) {
                there += strcmp(fixture.log.events[i].name, behind) == 0;
            }
            ck_assert_uint_eq(row.events, there);
            events += row.events;
            names++;
            rows++;
        }
        ck_assert_uint_le(rows, 7);
        more = answer->more;
    }
    ck_assert_uint_eq(events, fixture.log.events_count);
    ck_assert_uint_gt(names, 20);
    struct request request = {.kind = REQUEST_NAMESPACES,
                              .namespaces = {.pattern = bytes_of_text("/none/*")}};
    const struct answer_copy *answer = ask(request);
    ck_assert_uint_eq(answer->rows.length, 0);
    ck_assert(!answer->more);
    request.namespaces.pattern = bytes_of_text("/x**");
    refused(request, WIRE_INVALID_GLOB);
    request.namespaces.page_max = NAMESPACES_PAGE_MAX + 1;
    refused(request, WIRE_INVALID_ARGUMENT);
    end();
}
END_TEST

START_TEST(status_says_how_the_node_is)
{
    begin();
    service_count_connection(fixture.service, 3);
    service_count_connection(fixture.service, -1);
    struct request request = subscribe_request(1000, NULL);
    client_subscribe(&client, &request);
    client_run(&client);
    fixture.now = instant_add(fixture.now, duration_ms(5000));
    client_submit(&client, &(struct request){.kind = REQUEST_STATUS, .id = 1});
    client_run(&client);
    const struct answer_copy *answer = client_answer(&client, 1);
    ck_assert_uint_eq(answer->kind, REPLY_STATUS);
    ck_assert_uint_eq(answer->status.connections, 2);
    ck_assert_uint_eq(answer->status.subscriptions, 1);
    ck_assert_uint_eq(answer->status.actor, 1);
    ck_assert_uint_eq(answer->status.uptime_ms, 5000);
    ck_assert_uint_eq(answer->status.events, fixture.log.events_count);
    ck_assert_str_eq(answer->alarms, "");
    ck_assert(version_vector_equal(&answer->cursor, store_port_vector(fixture.log.port)));
    client_stop(&client, 1000);
    client_run(&client);
    client_submit(&client, &(struct request){.kind = REQUEST_STATUS, .id = 2});
    client_run(&client);
    ck_assert_uint_eq(client_answer(&client, 2)->status.subscriptions, 0);
    end();
}
END_TEST

START_TEST(ping_is_answered_with_the_cursor)
{
    begin();
    const struct answer_copy *answer = ask((struct request){.kind = REQUEST_PING});
    ck_assert_uint_eq(answer->kind, REPLY_PONG);
    ck_assert(version_vector_equal(&answer->cursor, store_port_vector(fixture.log.port)));
    end();
}
END_TEST

START_TEST(after_holds_for_every_query)
{
    begin();
    struct version_vector need = {0};
    struct buffer encoded = {0};
    uint64_t own = version_vector_get(store_port_vector(fixture.log.port), 1);
    ck_assert_int_eq(version_vector_set(&need, 1, own + 1), 0);
    ck_assert_int_eq(version_vector_encode(&need, &encoded), 0);
    const struct request_after after = {.cursor = buffer_bytes(&encoded), .timeout_ms = 100};
    for (unsigned round = 0; round < 2; round++) {
        uint64_t id = 100 + 10 * round;
        struct event_id event = {.counter = own + 1, .actor = 1};
        struct request get = {.kind = REQUEST_GET, .id = id};
        get.get.after = after;
        get.get.event = event;
        struct request last = {.kind = REQUEST_LAST, .id = id + 1};
        last.last.after = after;
        last.last.events_max = 1;
        struct request neighbor = neighbor_request(NEIGHBOR_FIRST, event, NULL);
        neighbor.id = id + 2;
        neighbor.neighbor.after = after;
        struct request names = {.kind = REQUEST_NAMESPACES, .id = id + 3};
        names.namespaces.after = after;
        client_submit(&client, &get);
        client_submit(&client, &last);
        client_submit(&client, &neighbor);
        client_submit(&client, &names);
        client_run(&client);
        ck_assert_ptr_null(client_answer(&client, id));
        if (round == 0) {
            node_pass_ms(&fixture, 100);
        } else {
            fixture_produce(&fixture.log, 1);
        }
        client_run(&client);
        for (unsigned i = 0; i < 4; i++) {
            const struct answer_copy *answer = client_answer(&client, id + i);
            ck_assert_ptr_nonnull(answer);
            ck_assert_uint_eq(answer->kind == REPLY_ERROR, round == 0);
            ck_assert_uint_eq(answer->code, round == 0 ? WIRE_TIMEOUT : 0);
        }
    }
    struct request bad = {.kind = REQUEST_GET};
    bad.get.event = (struct event_id){.counter = 1, .actor = 1};
    bad.get.after.cursor = bytes_of("\x90", 1);
    refused(bad, WIRE_INVALID_CURSOR);
    buffer_deinit(&encoded);
    version_vector_deinit(&need);
    end();
}
END_TEST

START_TEST(damage_is_named)
{
    begin();
    const struct model_event *event = &fixture.log.events[0];
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key(event->id, key);
    ck_assert_int_eq(disk_medium_flip(fixture.log.log_medium, LOG_CHUNKS, bytes_of(key, sizeof key),
                                      8 * (CHUNK_HEADER_LENGTH + 3)),
                     0);
    refused((struct request){.kind = REQUEST_GET, .get = {.event = event->id}}, WIRE_CORRUPT);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_query");
    suite_add(suite, gets_every_event_by_its_id);
    suite_add(suite, last_brings_the_newest_in_order);
    suite_add(suite, last_leaves_out_the_oldest_of_too_many);
    suite_add(suite, neighbors_in_canonical_order);
    suite_add(suite, namespaces_page_by_page_with_counts);
    suite_add(suite, status_says_how_the_node_is);
    suite_add(suite, ping_is_answered_with_the_cursor);
    suite_add(suite, after_holds_for_every_query);
    suite_add(suite, damage_is_named);
    return check_main(suite);
}
