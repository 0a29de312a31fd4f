// Subscriptions in the core: events from chunks and slices, the cursor, credit, the end.

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/slice.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/unit/client/scripted_node.h"

static void expect_cursor(struct scripted_node *node, uint64_t subscription, const char *expected)
{
    char *cursor = node_cursor(node, subscription);
    ck_assert_ptr_nonnull(cursor);
    ck_assert_str_eq(cursor, expected);
    free(cursor);
}

static uint64_t subscribed(struct scripted_node *node, const char *cursor)
{
    node_init(node, true);
    uint64_t id = node_subscribe(node, 0);
    node_position(node, REPLY_SUBSCRIBED, id, cursor, 0);
    expect_notice(node, NOTICE_SUBSCRIBED);
    return id;
}

START_TEST(events_come_out_of_chunks_and_slices)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@");
    struct buffer chunks = {0};
    append_sample_chunk(&chunks, 1, 1, 64, true);
    append_sample_chunk(&chunks, 2, 1000, 3, false);
    node_events(&node, DELIVERY_CHUNKS, id, buffer_bytes(&chunks));
    struct buffer slices = {0};
    append_sample_slice(&slices, 3, 7, 2);
    append_sample_slice(&slices, 1, 65, 1);
    node_events(&node, DELIVERY_SLICES, id, buffer_bytes(&slices));

    struct notice notice = expect_notice(&node, NOTICE_EVENTS);
    ck_assert_uint_eq(notice.tag, 77);
    for (uint64_t counter = 1; counter <= 64; counter++) {
        expect_event(notice.events, 1, counter);
    }
    for (uint64_t counter = 1000; counter <= 1002; counter++) {
        expect_event(notice.events, 2, counter);
    }
    struct received_event event;
    ck_assert_int_eq(events_next(notice.events, &event), EVENTS_END);
    ck_assert_int_eq(events_next(notice.events, &event), EVENTS_END);
    ck_assert_uint_eq(notice.events->taken, 67);
    notice = expect_notice(&node, NOTICE_EVENTS);
    expect_event(notice.events, 3, 7);
    expect_event(notice.events, 3, 8);
    expect_event(notice.events, 1, 65);
    ck_assert_int_eq(events_next(notice.events, &event), EVENTS_END);
    expect_cursor(&node, id, "@65.1,1002.2,8.3");
    expect_nothing(&node);
    buffer_deinit(&chunks);
    buffer_deinit(&slices);
    node_deinit(&node);
}
END_TEST

START_TEST(the_cursor_counts_what_was_taken_and_no_more)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@5.1,3.9");
    expect_cursor(&node, id, "@5.1,3.9");
    struct buffer chunks = {0};
    append_sample_chunk(&chunks, 1, 6, 3, false);
    append_sample_chunk(&chunks, 1, 9, 1, false);
    node_events(&node, DELIVERY_CHUNKS, id, buffer_bytes(&chunks));
    expect_cursor(&node, id, "@5.1,3.9");
    struct notice notice = expect_notice(&node, NOTICE_EVENTS);
    expect_cursor(&node, id, "@5.1,3.9");
    expect_event(notice.events, 1, 6);
    expect_cursor(&node, id, "@6.1,3.9");
    expect_event(notice.events, 1, 7);
    expect_event(notice.events, 1, 8);
    expect_cursor(&node, id, "@8.1,3.9");
    expect_event(notice.events, 1, 9);
    expect_cursor(&node, id, "@9.1,3.9");
    expect_nothing(&node);
    expect_cursor(&node, id, "@9.1,3.9");
    buffer_deinit(&chunks);
    node_deinit(&node);
}
END_TEST

START_TEST(marks_and_the_end_raise_the_cursor)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@");
    struct buffer slices = {0};
    append_sample_slice(&slices, 1, 50, 1);
    node_events(&node, DELIVERY_SLICES, id, buffer_bytes(&slices));
    struct notice notice = expect_notice(&node, NOTICE_EVENTS);
    expect_event(notice.events, 1, 50);
    node_position(&node, DELIVERY_MARK, id, "@40.1,8.2", MARK_PROGRESS);
    notice = expect_notice(&node, NOTICE_MARK);
    ck_assert_uint_eq(notice.reply.mark.kind, MARK_PROGRESS);
    expect_cursor(&node, id, "@50.1,8.2");
    node_position(&node, DELIVERY_END, id, "@60.1,8.2", END_REACHED);
    notice = expect_notice(&node, NOTICE_END);
    ck_assert_uint_eq(notice.reply.end.reason, END_REACHED);
    expect_cursor(&node, id, "@60.1,8.2"); // until the next notice is asked for
    expect_nothing(&node);
    ck_assert_ptr_null(node_cursor(&node, id));
    buffer_deinit(&slices);
    node_deinit(&node);
}
END_TEST

START_TEST(the_cursor_is_unknown_until_the_node_says_it_unless_it_was_given)
{
    struct scripted_node node;
    node_init(&node, true);
    uint64_t id = node_subscribe(&node, 0);
    ck_assert_ptr_null(node_cursor(&node, id));
    struct request request = {
        .kind = REQUEST_SUBSCRIBE,
        .subscribe = {.start = START_AT_CURSOR, .start_cursor = bytes_of("\x81\x01\x05", 3)},
    };
    ck_assert_int_eq(core_subscribe(node.core, &request, 0), 0);
    expect_cursor(&node, request.id, "@5.1");
    node_deinit(&node);
}
END_TEST

// Chunk after chunk of the same length; counts the grants.
START_TEST(credit_is_given_back_by_halves_of_what_was_taken)
{
    struct scripted_node node;
    node_init(&node, true);
    struct buffer chunk = {0};
    append_sample_chunk(&chunk, 1, 1, 10, false);
    uint64_t id = node_subscribe(&node, 4 * chunk.length);
    node_position(&node, REPLY_SUBSCRIBED, id, "@", 0);
    expect_notice(&node, NOTICE_SUBSCRIBED);
    for (int i = 0; i < 4; i++) {
        node_events(&node, DELIVERY_CHUNKS, id, buffer_bytes(&chunk));
    }
    expect_notice(&node, NOTICE_EVENTS);
    ck_assert(!node_has_request(&node));
    expect_notice(&node, NOTICE_EVENTS); // the first is done with
    ck_assert(!node_has_request(&node));
    expect_notice(&node, NOTICE_EVENTS); // half of the window
    struct request credit = node_take(&node);
    ck_assert_int_eq(credit.kind, REQUEST_CREDIT);
    ck_assert_uint_eq(credit.id, id);
    ck_assert_uint_eq(credit.credit.bytes, 2 * chunk.length);
    expect_notice(&node, NOTICE_EVENTS);
    ck_assert(!node_has_request(&node));
    expect_nothing(&node);
    ck_assert_uint_eq(node_take(&node).credit.bytes, 2 * chunk.length);
    buffer_deinit(&chunk);
    node_deinit(&node);
}
END_TEST

START_TEST(stop_is_answered_by_the_end_and_late_errors_are_passed_over)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@");
    ck_assert_int_eq(core_stop(node.core, id), 0);
    struct request stop = node_take(&node);
    ck_assert_int_eq(stop.kind, REQUEST_STOP);
    ck_assert_uint_eq(stop.id, id);
    node_position(&node, DELIVERY_END, id, "@", END_STOPPED);
    expect_notice(&node, NOTICE_END);
    expect_nothing(&node);
    ck_assert_int_eq(core_stop(node.core, id), 0);
    ck_assert(!node_has_request(&node));
    node_error(&node, id, WIRE_INVALID_ARGUMENT);
    expect_nothing(&node);
    node_deinit(&node);
}
END_TEST

START_TEST(one_that_is_stopped_before_it_began_ends_without_a_place)
{
    struct scripted_node node;
    node_init(&node, true);
    uint64_t id = node_subscribe(&node, 0);
    node_position(&node, DELIVERY_END, id, "@", END_STOPPED);
    expect_notice(&node, NOTICE_END);
    ck_assert_ptr_null(node_cursor(&node, id));
    node_deinit(&node);
}
END_TEST

START_TEST(an_error_ends_a_subscription_alone)
{
    struct scripted_node node;
    node_init(&node, true);
    uint64_t refused = node_subscribe(&node, 0);
    uint64_t other = node_subscribe(&node, 0);
    node_error(&node, refused, WIRE_INVALID_GLOB);
    node_position(&node, REPLY_SUBSCRIBED, other, "@", 0);
    ck_assert_uint_eq(expect_notice(&node, NOTICE_REFUSED).id, refused);
    ck_assert_uint_eq(expect_notice(&node, NOTICE_SUBSCRIBED).id, other);
    node_deinit(&node);
}
END_TEST

START_TEST(deliveries_that_begin_twice_or_not_at_all_are_refused)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@");
    node_position(&node, REPLY_SUBSCRIBED, id, "@", 0);
    expect_failure(&node, ERR_INVALID);
    node_deinit(&node);
    node_init(&node, true);
    id = node_subscribe(&node, 0);
    node_position(&node, DELIVERY_MARK, id, "@", MARK_CAUGHT_UP);
    expect_failure(&node, ERR_INVALID);
    node_deinit(&node);
}
END_TEST

START_TEST(answers_to_get_and_last_are_events)
{
    struct scripted_node node;
    node_init(&node, true);
    struct request request = {.kind = REQUEST_GET, .get = {.event = {5, 1}}};
    ck_assert_int_eq(core_request(node.core, &request, 3), 0);
    struct buffer slices = {0};
    append_sample_slice(&slices, 1, 5, 1);
    node_events(&node, REPLY_EVENTS, request.id, buffer_bytes(&slices));
    struct notice notice = expect_notice(&node, NOTICE_ANSWER);
    ck_assert_uint_eq(notice.tag, 3);
    ck_assert_int_eq(notice.request, REQUEST_GET);
    struct buffer scratch = {0};
    struct events events;
    events_init(&events, notice.reply.events, false, &scratch, NULL);
    expect_event(&events, 1, 5);
    expect_nothing(&node);
    buffer_deinit(&slices);
    node_deinit(&node);
}
END_TEST

// Walks to the end of the notice; what that said.
static int walk(struct notice *notice)
{
    struct received_event event;
    int outcome;
    do {
        outcome = events_next(notice->events, &event);
    } while (outcome == 0);
    return outcome;
}

static void expect_corrupt(enum reply_kind kind, struct bytes events, uint64_t taken)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@");
    node_events(&node, kind, id, events);
    struct notice notice = expect_notice(&node, NOTICE_EVENTS);
    ck_assert_int_eq(walk(&notice), ERR_CORRUPT);
    ck_assert_int_eq(walk(&notice), ERR_CORRUPT);
    ck_assert_uint_eq(notice.events->taken, taken);
    char expected[32] = "@";
    if (taken > 0) {
        snprintf(expected, sizeof expected, "@%" PRIu64 ".1", taken);
    }
    expect_cursor(&node, id, expected);
    expect_failure(&node, ERR_CORRUPT);
    expect_cursor(&node, id, expected); // where to go on with a better connection
    node_deinit(&node);
}

START_TEST(damaged_chunks_end_the_connection_where_they_are)
{
    struct buffer good = {0};
    append_sample_chunk(&good, 1, 1, 5, true);
    size_t first = good.length;
    append_sample_chunk(&good, 1, 6, 5, false);
    for (size_t i = 0; i < good.length; i++) {
        good.data[i] ^= 0x10;
        expect_corrupt(DELIVERY_CHUNKS, buffer_bytes(&good), i < first ? 0 : 5);
        good.data[i] ^= 0x10;
    }
    for (size_t length = 1; length < good.length; length++) {
        if (length != first) {
            expect_corrupt(DELIVERY_CHUNKS, bytes_of(good.data, length), length < first ? 0 : 5);
        }
    }
    buffer_deinit(&good);
}
END_TEST

START_TEST(slices_that_contradict_themselves_end_the_connection)
{
    struct buffer slices = {0};
    append_sample_slice(&slices, 1, 1, 3);
    uint8_t *data = slices.data;
    store_be16(data + 2, 4); // one event too many
    expect_corrupt(DELIVERY_SLICES, buffer_bytes(&slices), 3);
    store_be16(data + 2, 2); // one too few
    expect_corrupt(DELIVERY_SLICES, buffer_bytes(&slices), 2);
    store_be16(data + 2, 3);
    store_be16(data, 0); // no actor
    expect_corrupt(DELIVERY_SLICES, buffer_bytes(&slices), 0);
    store_be16(data, 1);
    store_be64(data + 8, COUNTER_MAX); // counters beyond the end
    expect_corrupt(DELIVERY_SLICES, buffer_bytes(&slices), 0);
    buffer_deinit(&slices);
}
END_TEST

// A conversation with everything in it, as bytes.
static struct buffer conversation(uint64_t id)
{
    struct buffer bytes = {0};
    struct buffer chunks = {0};
    append_sample_chunk(&chunks, 1, 1, 9, true);
    append_sample_chunk(&chunks, 2, 1, 9, false);
    struct buffer slices = {0};
    append_sample_slice(&slices, 1, 10, 2);
    struct reply replies[] = {
        {.kind = REPLY_SUBSCRIBED, .cursor = bytes_of("\x80", 1)},
        {.kind = DELIVERY_CHUNKS, .events = buffer_bytes(&chunks)},
        {.kind = DELIVERY_MARK, .cursor = bytes_of("\x80", 1), .mark = {.kind = MARK_CAUGHT_UP}},
        {.kind = DELIVERY_SLICES, .events = buffer_bytes(&slices)},
        {.kind = DELIVERY_END, .cursor = bytes_of("\x80", 1), .end = {.reason = END_REACHED}},
    };
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        replies[i].id = id;
        ck_assert_int_eq(reply_encode(&replies[i], &bytes), 0);
    }
    buffer_deinit(&chunks);
    buffer_deinit(&slices);
    return bytes;
}

// Takes every notice there is; adds their events.
static int drain(struct scripted_node *node, uint64_t *events)
{
    struct notice notice;
    int outcome;
    while ((outcome = core_next(node->core, &notice)) == 0) {
        if (notice.events) {
            ck_assert_int_eq(walk(&notice), EVENTS_END);
            *events += notice.events->taken;
        }
    }
    return outcome;
}

START_TEST(a_conversation_may_be_cut_anywhere)
{
    enum { EVENTS = 20 };
    size_t length = 1;
    for (size_t cut = 0; cut <= length; cut++) {
        struct scripted_node node;
        uint64_t events = 0;
        node_init(&node, true);
        uint64_t id = node_subscribe(&node, 0);
        struct buffer bytes = conversation(id);
        length = bytes.length;
        node_reply_bytes(&node, bytes_of(bytes.data, cut));
        ck_assert_int_eq(drain(&node, &events), CORE_NOTHING);
        node_reply_bytes(&node, bytes_of(bytes.data + cut, length - cut));
        ck_assert_int_eq(drain(&node, &events), CORE_NOTHING);
        ck_assert_uint_eq(events, EVENTS);
        buffer_deinit(&bytes);
        node_deinit(&node);
    }
}
END_TEST

START_TEST(more_than_the_buffer_holds_passes_through_it)
{
    struct scripted_node node;
    uint64_t id = subscribed(&node, "@");
    struct buffer chunks = {0};
    for (uint64_t i = 0; i < 150; i++) {
        append_sample_chunk(&chunks, 1, 1 + i * 64, 64, false);
    }
    uint64_t events = 0;
    for (int i = 0; i < 10; i++) {
        node_events(&node, DELIVERY_CHUNKS, id, buffer_bytes(&chunks));
        if (i % 3 == 2) {
            ck_assert_int_eq(drain(&node, &events), CORE_NOTHING);
        }
    }
    ck_assert_int_eq(drain(&node, &events), CORE_NOTHING);
    ck_assert_uint_eq(events, (uint64_t)10 * 150 * 64);
    buffer_deinit(&chunks);
    node_deinit(&node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/core subscriptions");
    suite_add(suite, events_come_out_of_chunks_and_slices);
    suite_add(suite, the_cursor_counts_what_was_taken_and_no_more);
    suite_add(suite, marks_and_the_end_raise_the_cursor);
    suite_add(suite, the_cursor_is_unknown_until_the_node_says_it_unless_it_was_given);
    suite_add(suite, credit_is_given_back_by_halves_of_what_was_taken);
    suite_add(suite, stop_is_answered_by_the_end_and_late_errors_are_passed_over);
    suite_add(suite, one_that_is_stopped_before_it_began_ends_without_a_place);
    suite_add(suite, an_error_ends_a_subscription_alone);
    suite_add(suite, deliveries_that_begin_twice_or_not_at_all_are_refused);
    suite_add(suite, answers_to_get_and_last_are_events);
    suite_add(suite, damaged_chunks_end_the_connection_where_they_are);
    suite_add(suite, slices_that_contradict_themselves_end_the_connection);
    suite_add(suite, a_conversation_may_be_cut_anywhere);
    suite_add(suite, more_than_the_buffer_holds_passes_through_it);
    return check_main(suite);
}
