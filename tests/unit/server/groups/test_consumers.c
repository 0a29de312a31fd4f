// Consumers as a client has them, and what it asks about subscriptions: through a session.

#include "server/node/groups_state.h"
#include "server/node/session.h"
#include "tests/unit/server/groups/groups_fixture.h"

enum { REPLIES_MAX = 4096, ATTACH_ID = 7 };

struct said {
    enum reply_kind kind;
    uint64_t id;
    uint32_t code;       // ERROR
    uint64_t count;      // ACKED; ASSIGNED: events
    uint32_t end_reason; // END
    uint64_t position;   // ATTACHED: of actor 1
    char text[200];      // ERROR
};

static struct cluster_fixture fixture;
static struct session *session;
static struct said replies[REPLIES_MAX];
static unsigned replies_count;
static struct buffer rows; // of consumers: of the last SUBSCRIPTIONS

static void setup(void)
{
    groups_open(&fixture);
    ck_assert_int_eq(session_open(fixture.nodes[0].service, &fixture, &session), 0);
    replies_count = 0;
}

static void teardown(void)
{
    session_close(session);
    cluster_settle(&fixture);
    groups_close(&fixture);
    buffer_deinit(&rows);
}

static void note(const struct session_item *item)
{
    struct said *said = &replies[replies_count++];
    ck_assert_uint_lt(replies_count, REPLIES_MAX);
    *said = (struct said){.kind = item->head.kind, .id = item->head.id};
    if (item->head.kind == REPLY_ERROR) {
        said->code = item->head.error.code;
        snprintf(said->text, sizeof said->text, "%.*s", (int)item->head.error.text.length,
                 (const char *)item->head.error.text.data);
    } else if (item->head.kind == REPLY_ACKED) {
        said->count = item->head.acked.count;
    } else if (item->head.kind == DELIVERY_ASSIGNED) {
        said->count = item->block->events;
    } else if (item->head.kind == REPLY_ATTACHED) {
        struct version_vector vector = {0};
        struct bytes cursor = item->head.cursor;
        ck_assert_int_eq(version_vector_decode(&cursor, &vector), 0);
        said->position = version_vector_get(&vector, 1);
        version_vector_deinit(&vector);
    } else if (item->head.kind == DELIVERY_END) {
        said->end_reason = item->head.end.reason;
    } else if (item->head.kind == REPLY_SUBSCRIPTIONS) {
        buffer_clear(&rows);
        ck_assert_int_eq(buffer_append(&rows, item->head.subscriptions.consumers), 0);
    }
}

static void pass_ms(unsigned ms)
{
    struct session_item item;
    bool has_moved = true;
    cluster_pass_ms(&fixture, ms);
    while (has_moved) {
        has_moved = false;
        while (session_take(session, &item)) {
            note(&item);
            block_unref(item.block);
            has_moved = true;
        }
        cluster_settle(&fixture);
    }
}

static void submit(const struct request *request)
{
    ck_assert_int_eq(session_submit(session, request, fixture.now), 0);
    fixture.nodes[0].is_woken = true;
}

static const struct said *last(void)
{
    ck_assert_uint_gt(replies_count, 0);
    return &replies[replies_count - 1];
}

// A cursor that is `ahead` events beyond what the node holds.
static struct bytes cursor_ahead(struct buffer *out, uint64_t ahead)
{
    struct version_vector vector = {0};
    uint16_t actor = node_actor(fixture.nodes[0].node);
    ck_assert_int_eq(version_vector_set(&vector, actor, held(&fixture) + ahead), 0);
    buffer_clear(out);
    ck_assert_int_eq(version_vector_encode(&vector, out), 0);
    version_vector_deinit(&vector);
    return buffer_bytes(out);
}

static struct request attach_request(struct bytes after)
{
    struct request request = {.kind = REQUEST_ATTACH, .id = ATTACH_ID};
    request.attach.name = bytes_of_text(GROUP_NAME);
    request.attach.create = true;
    request.attach.start.kind = START_BEGINNING;
    request.attach.after.cursor = after;
    definition_begin(&request.attach.definition);
    return request;
}

// --- After -------------------------------------------------------------------------------------

START_TEST(attach_waits_for_what_after_names)
{
    struct buffer cursor = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 5));
    submit(&request);
    pass_ms(100);
    ck_assert_uint_eq(replies_count, 0);
    produce(&fixture, 5);
    pass_ms(0);
    ck_assert_uint_eq(replies[0].kind, REPLY_ATTACHED);
    ck_assert_uint_eq(replies[1].kind, DELIVERY_ASSIGNED);
    ck_assert_uint_eq(replies[1].count, 5);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(attach_fails_when_it_does_not_come_in_time)
{
    struct buffer cursor = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 5));
    submit(&request);
    pass_ms(999);
    ck_assert_uint_eq(replies_count, 0);
    pass_ms(1);
    ck_assert_uint_eq(last()->kind, REPLY_ERROR);
    ck_assert_uint_eq(last()->id, ATTACH_ID);
    ck_assert_uint_eq(last()->code, WIRE_TIMEOUT);
    request.attach.after.cursor = bytes_of_text("no cursor");
    submit(&request); // the id is free again
    pass_ms(1);
    ck_assert_uint_eq(last()->code, WIRE_INVALID_CURSOR);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(what_is_said_while_it_waits_holds)
{
    struct buffer cursor = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 5));
    struct request credit = {.kind = REQUEST_CREDIT, .id = ATTACH_ID};
    const struct request stop = {.kind = REQUEST_STOP, .id = ATTACH_ID};
    credit.credit.bytes = UINT64_MAX;
    request.attach.credit_bytes = 1;
    submit(&request);
    submit(&credit);
    produce(&fixture, 5);
    produce(&fixture, 5);
    pass_ms(0);
    ck_assert_uint_eq(replies_count, 4);
    ck_assert_uint_eq(replies[1].count, 5);
    ck_assert_uint_eq(replies[2].kind, DELIVERY_MARK); // caught up
    ck_assert_uint_eq(replies[3].count, 5);
    submit(&stop);
    pass_ms(0);
    ck_assert_uint_eq(last()->kind, DELIVERY_END);
    request.attach.after.cursor = cursor_ahead(&cursor, 5);
    submit(&request);
    pass_ms(10);
    submit(&stop);
    pass_ms(10);
    ck_assert_uint_eq(replies_count, 6);
    ck_assert_uint_eq(last()->kind, DELIVERY_END);
    ck_assert_uint_eq(last()->end_reason, END_STOPPED);
    produce(&fixture, 5);
    pass_ms(2000);
    ck_assert_uint_eq(replies_count, 6);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(subscriptions_waits_for_what_after_names)
{
    struct buffer cursor = {0};
    struct request request = {.kind = REQUEST_SUBSCRIPTIONS, .id = 1};
    request.subscriptions.which = SUBSCRIPTIONS_SHOW;
    request.subscriptions.name = bytes_of_text(GROUP_NAME);
    request.subscriptions.after.cursor = cursor_ahead(&cursor, 1);
    submit(&request);
    request.id = 2;
    request.subscriptions.after.cursor = cursor_ahead(&cursor, 100);
    submit(&request);
    pass_ms(100);
    ck_assert_uint_eq(replies_count, 0);
    struct subscription_definition definition;
    definition_begin(&definition);
    create(&fixture, &definition);
    pass_ms(0);
    ck_assert_uint_eq(replies_count, 1);
    ck_assert_uint_eq(last()->kind, REPLY_SUBSCRIPTIONS); // it holds what it waited for
    pass_ms(1000);
    ck_assert_uint_eq(replies_count, 2);
    ck_assert_uint_eq(last()->code, WIRE_TIMEOUT);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(a_session_may_end_and_a_node_may_stop_while_they_wait)
{
    struct buffer cursor = {0};
    struct session *other;
    struct request request = attach_request(cursor_ahead(&cursor, 5));
    struct request show = {.kind = REQUEST_SUBSCRIPTIONS, .id = 2};
    show.subscriptions.which = SUBSCRIPTIONS_SHOW;
    show.subscriptions.name = bytes_of_text(GROUP_NAME);
    show.subscriptions.after.cursor = buffer_bytes(&cursor);
    ck_assert_int_eq(session_open(fixture.nodes[0].service, &fixture, &other), 0);
    ck_assert_int_eq(session_submit(other, &request, fixture.now), 0);
    ck_assert_int_eq(session_submit(other, &show, fixture.now), 0);
    session_close(other);
    submit(&request);
    submit(&show);
    pass_ms(1);
    service_shut_down(fixture.nodes[0].service);
    pass_ms(1);
    ck_assert_uint_eq(replies_count, 2);
    ck_assert_uint_eq(replies[0].code, WIRE_SHUTTING_DOWN);
    ck_assert_uint_eq(replies[1].code, WIRE_SHUTTING_DOWN);
    buffer_deinit(&cursor);
}
END_TEST

// --- Attempts ----------------------------------------------------------------------------------

START_TEST(what_a_client_never_took_was_no_attempt)
{
    struct buffer cursor = {0};
    struct taker taker;
    struct session *other;
    struct session_item item;
    struct request request = attach_request(cursor_ahead(&cursor, 0));
    ck_assert_int_eq(session_open(fixture.nodes[0].service, &fixture, &other), 0);
    ck_assert_int_eq(session_submit(other, &request, fixture.now), 0);
    cluster_pass_ms(&fixture, 10);
    produce(&fixture, 5);
    for (bool is_taken = false; !is_taken;) { // the first piece is on its way
        ck_assert(session_take(other, &item));
        is_taken = item.head.kind == DELIVERY_ASSIGNED;
        block_unref(item.block);
    }
    produce(&fixture, 5);
    produce(&fixture, 5);
    session_close(other);
    cluster_settle(&fixture);
    taker_attach(&fixture, &taker, 100);
    ck_assert_uint_eq(taker.count, 15);
    for (uint32_t i = 0; i < 15; i++) {
        ck_assert_uint_eq(taker.events[i].attempt, i < 5 ? 2 : 1);
    }
    taker_deinit(&taker);
    buffer_deinit(&cursor);
}
END_TEST

static bool refuse(void *context, const struct piece *piece)
{
    return false;
}

START_TEST(who_has_no_memory_for_a_delivery_attaches_again)
{
    struct request request = attach_request(bytes_of(NULL, 0));
    submit(&request);
    pass_ms(10);
    struct hosting *hosting = durable_find(groups_of(&fixture), bytes_of_text(GROUP_NAME))->hosting;
    struct attachment *attachment =
        container_of(hosting->attachments.next, struct attachment, link);
    struct attachment_ops ops = *attachment->ops;
    ops.deliver = refuse;
    attachment->ops = &ops;
    unsigned before = replies_count;
    produce(&fixture, 3);
    pass_ms(3000);
    ck_assert_uint_eq(replies[before].kind, DELIVERY_MARK); // moved
    ck_assert_uint_eq(last()->kind, DELIVERY_ASSIGNED);
    ck_assert_uint_eq(last()->count, 3);
}
END_TEST

// --- Strange things ----------------------------------------------------------------------------

static const struct said *ack(uint64_t attachment, const struct done_range *ranges, size_t count,
                              struct event_id up_to)
{
    static uint64_t id = 1000;
    struct buffer encoded = {0};
    struct request request = {.kind = REQUEST_ACK, .id = ++id};
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(done_range_append(&encoded, &ranges[i]), 0);
    }
    request.ack.attachment = attachment;
    request.ack.up_to = up_to;
    request.ack.ranges = buffer_bytes(&encoded);
    submit(&request);
    pass_ms(10);
    buffer_deinit(&encoded);
    ck_assert_uint_eq(last()->id, id);
    return last();
}

START_TEST(strange_acknowledgements_do_no_harm)
{
    const struct event_id none = {0};
    struct buffer cursor = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 0));
    submit(&request);
    produce(&fixture, 10);
    pass_ms(10);
    uint64_t first = held(&fixture) - 9;
    const struct done_range one = {1, first, first};
    const struct done_range ahead = {1, first + 1000, COUNTER_MAX};
    const struct done_range foreign = {ACTORS_MAX, 1, COUNTER_MAX};
    const struct done_range all = {1, 1, COUNTER_MAX};
    const struct done_range double_one[] = {one, one};
    const struct done_range falling[] = {foreign, one};
    ck_assert_uint_eq(ack(ATTACH_ID, &ahead, 1, none)->code, WIRE_NOT_IN_FLIGHT);
    ck_assert_uint_eq(ack(ATTACH_ID, &foreign, 1, none)->code, WIRE_NOT_IN_FLIGHT);
    ck_assert_uint_eq(ack(ATTACH_ID + 1, &one, 1, none)->code, WIRE_NOT_IN_FLIGHT);
    ck_assert_uint_eq(ack(ATTACH_ID, NULL, 0, none)->code, WIRE_NOT_IN_FLIGHT);
    ck_assert_uint_eq(ack(ATTACH_ID, double_one, 2, none)->code, WIRE_INVALID_ARGUMENT);
    ck_assert_uint_eq(ack(ATTACH_ID, falling, 2, none)->code, WIRE_INVALID_ARGUMENT);
    const struct event_id beyond = {.counter = COUNTER_MAX, .actor = 1};
    ck_assert_uint_eq(ack(ATTACH_ID, NULL, 0, beyond)->code, WIRE_NOT_IN_FLIGHT);
    ck_assert_uint_eq(ack(ATTACH_ID, &one, 1, none)->count, 1);
    ck_assert_uint_eq(ack(ATTACH_ID, &all, 1, none)->count, 9);
    ck_assert_uint_eq(ack(ATTACH_ID, &all, 1, none)->code, WIRE_NOT_IN_FLIGHT);
    unsigned before = replies_count;
    produce(&fixture, 1); // not done by what was said before it was there
    pass_ms(10);
    ck_assert_uint_eq(replies_count, before + 1);
    ck_assert_uint_eq(last()->kind, DELIVERY_ASSIGNED);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(attached_says_where_the_subscription_is)
{
    const struct event_id none = {0};
    struct request request = attach_request(bytes_of(NULL, 0));
    submit(&request);
    pass_ms(10);
    ck_assert_uint_eq(replies[0].kind, REPLY_ATTACHED);
    produce(&fixture, 10);
    pass_ms(10);
    uint64_t first = held(&fixture) - 9;
    const struct done_range some[] = {{1, first, first + 2}, {1, first + 5, first + 6}};
    ck_assert_uint_eq(ack(ATTACH_ID, some, 2, none)->count, 5);
    unsigned before = replies_count;
    request.id = ATTACH_ID + 1;
    submit(&request);
    pass_ms(10);
    ck_assert_uint_eq(replies[before].kind, REPLY_ATTACHED);
    ck_assert_uint_eq(replies[before].position, first + 2); // the node holds more
}
END_TEST

START_TEST(a_refused_event_may_wait_for_long)
{
    static const char REASON[5000] = "\xff\xfe it is not text, and long";
    struct buffer cursor = {0};
    struct buffer encoded = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 0));
    struct request nack = {.kind = REQUEST_NACK, .id = 1};
    submit(&request);
    produce(&fixture, 1);
    pass_ms(10);
    const struct done_range all = {1, 1, COUNTER_MAX};
    ck_assert_int_eq(done_range_append(&encoded, &all), 0);
    nack.nack.attachment = ATTACH_ID;
    nack.nack.ranges = buffer_bytes(&encoded);
    nack.nack.delay_ms = UINT32_MAX;
    nack.nack.reason = bytes_of(REASON, sizeof REASON);
    submit(&nack);
    pass_ms(10);
    ck_assert_uint_eq(last()->kind, REPLY_ACKED);
    unsigned before = replies_count;
    pass_ms(60000);
    ck_assert_uint_eq(replies_count, before);
    struct group_row row = look(&fixture);
    ck_assert_uint_eq(row.counts.again, 1);
    position_deinit(&row.position);
    buffer_deinit(&encoded);
    buffer_deinit(&cursor);
}
END_TEST

// Each event is acknowledged by itself, then the client leaves, all in one go.
START_TEST(the_end_follows_what_became_of_the_acknowledgements)
{
    enum { EVENTS = 200 };
    struct buffer cursor = {0};
    struct buffer encoded = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 0));
    const struct request stop = {.kind = REQUEST_STOP, .id = ATTACH_ID};
    submit(&request);
    pass_ms(10);
    uint64_t first = held(&fixture) + 1;
    produce(&fixture, EVENTS);
    pass_ms(10);
    unsigned before = replies_count;
    for (uint64_t i = 0; i < EVENTS; i++) {
        const struct done_range range = {1, first + i, first + i};
        request = (struct request){.kind = REQUEST_ACK, .id = 100 + i};
        request.ack.attachment = i == EVENTS / 2 ? ATTACH_ID + 1 : ATTACH_ID; // one is refused
        buffer_clear(&encoded);
        ck_assert_int_eq(done_range_append(&encoded, &range), 0);
        request.ack.ranges = buffer_bytes(&encoded);
        submit(&request);
    }
    submit(&stop);
    produce(&fixture, 5); // not sent any more
    pass_ms(10);
    ck_assert_uint_eq(replies_count, before + EVENTS + 1);
    for (unsigned i = before + 1; i < before + EVENTS; i++) { // behind the refusal
        ck_assert_uint_eq(replies[i].kind, REPLY_ACKED);
    }
    ck_assert_uint_eq(last()->kind, DELIVERY_END);
    ck_assert_uint_eq(last()->end_reason, END_STOPPED);
    buffer_deinit(&encoded);
    buffer_deinit(&cursor);
}
END_TEST

START_TEST(names_have_bounds)
{
    static const char *const WRONG[] = {"", ".a", "a/b", "a\nb", "\xff", NULL};
    char name[SUBSCRIPTION_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct request request = attach_request(bytes_of(NULL, 0));
        request.attach.name = bytes_of_text(WRONG[i] ? WRONG[i] : name);
        submit(&request);
        pass_ms(10);
        ck_assert_uint_eq(last()->kind, REPLY_ERROR);
        ck_assert_uint_eq(last()->code, WIRE_INVALID_ARGUMENT);
    }
    struct request request = attach_request(bytes_of(NULL, 0));
    request.attach.name = bytes_of(name, SUBSCRIPTION_NAME_BYTES_MAX);
    submit(&request);
    pass_ms(10);
    ck_assert_uint_eq(replies[replies_count - 2].kind, REPLY_ATTACHED); // then: caught up
}
END_TEST

static struct request change_request(uint64_t id, enum subscriptions_request_kind which)
{
    struct request request = {.kind = REQUEST_SUBSCRIPTIONS, .id = id};
    request.subscriptions.which = which;
    request.subscriptions.name = bytes_of_text(GROUP_NAME);
    request.subscriptions.start.kind = START_BEGINNING;
    definition_begin(&request.subscriptions.definition);
    return request;
}

// Each is an event of its own: whichever comes first, the others find it done, or do it again.
START_TEST(changes_may_race)
{
    struct request attach = attach_request(bytes_of(NULL, 0));
    submit(&attach);
    produce(&fixture, 3);
    pass_ms(10);
    static const enum subscriptions_request_kind KINDS[] = {
        SUBSCRIPTIONS_RESET,  SUBSCRIPTIONS_DELETE, SUBSCRIPTIONS_DELETE,
        SUBSCRIPTIONS_CREATE, SUBSCRIPTIONS_RESET,  SUBSCRIPTIONS_CREATE,
    };
    unsigned before = replies_count;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        struct request request = change_request(100 + i, KINDS[i]);
        submit(&request);
    }
    pass_ms(3000);
    unsigned answered = 0;
    for (unsigned i = before; i < replies_count; i++) {
        answered += replies[i].id >= 100 && replies[i].id < 106;
    }
    ck_assert_uint_eq(answered, 6);
    struct request delete = change_request(200, SUBSCRIPTIONS_DELETE);
    submit(&delete);
    pass_ms(10);
    struct group_row row = {0};
    ck_assert_int_eq(groups_look(groups_of(&fixture), bytes_of_text(GROUP_NAME), false, &row),
                     ERR_NOT_FOUND);
}
END_TEST

// --- Asking ------------------------------------------------------------------------------------

START_TEST(show_says_who_its_consumers_are)
{
    struct buffer cursor = {0};
    struct request request = attach_request(cursor_ahead(&cursor, 0));
    struct request show = {.kind = REQUEST_SUBSCRIPTIONS, .id = 1};
    struct subscription_consumer consumer;
    session_set_client(session, "billing 10.0.0.1:5000");
    show.subscriptions.which = SUBSCRIPTIONS_SHOW;
    show.subscriptions.name = bytes_of_text(GROUP_NAME);
    submit(&request);
    produce(&fixture, 4);
    pass_ms(10);
    submit(&show);
    pass_ms(10);
    struct bytes rest = buffer_bytes(&rows);
    ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), 0);
    ck_assert_uint_eq(consumer.in_flight, 4);
    ck_assert_uint_eq(consumer.actor, node_actor(fixture.nodes[0].node));
    ck_assert(bytes_equal(consumer.client, bytes_of_text("billing 10.0.0.1:5000")));
    ck_assert_uint_eq(rest.length, 0);
    buffer_deinit(&cursor);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        attach_waits_for_what_after_names,
        attach_fails_when_it_does_not_come_in_time,
        what_is_said_while_it_waits_holds,
        subscriptions_waits_for_what_after_names,
        what_a_client_never_took_was_no_attempt,
        who_has_no_memory_for_a_delivery_attaches_again,
        strange_acknowledgements_do_no_harm,
        attached_says_where_the_subscription_is,
        a_refused_event_may_wait_for_long,
        the_end_follows_what_became_of_the_acknowledgements,
        names_have_bounds,
        changes_may_race,
        show_says_who_its_consumers_are,
        a_session_may_end_and_a_node_may_stop_while_they_wait,
    };
    Suite *suite = suite_create("consumers");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *test_case = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(test_case, setup, teardown);
        tcase_set_timeout(test_case, 60);
        tcase_add_test(test_case, tests[i]);
        suite_add_tcase(suite, test_case);
    }
    return check_main(suite);
}
