// Consumers that are forwarded: one real node, and a member that is played by hand, on either side
// of a link. What a member may say wrongly is said here.

#include "proto/base/limits.h"
#include "proto/model/event.h"
#include "proto/model/slice.h"
#include "server/node/consumer_letter.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/scripted/hand.h"

enum { AHEAD_ACTOR = 9 }; // of which the hand holds something and the node nothing

static void client_says(const struct request *request)
{
    ck_assert_int_eq(session_submit(hand.client, request, hand.fixture.now), 0);
    hand.fixture.nodes[0].is_woken = true;
    hand_pass_ms(0);
}

static uint64_t last_counter(void)
{
    const struct service *service = hand.fixture.nodes[0].service;
    return version_vector_get(store_port_vector(service->port), 1);
}

// --- The node coordinates ----------------------------------------------------------------------

static void guest_attaches(uint64_t channel)
{
    const struct request request = attach_request("s", true);
    ck_assert_int_eq(hand_say_request(channel, &request), 0);
    hand_pass_ms(0);
}

START_TEST(guest_is_attached_and_shares_events)
{
    uint8_t bytes[ACK_BYTES];
    hand_link_up();
    guest_attaches(5);
    ck_assert_uint_eq(hand_heard_of(REPLY_ATTACHED), 1);
    ck_assert_uint_eq(hand.heard[0].channel, 5);
    ck_assert_uint_eq(hand.heard[0].id, ATTACH_ID);
    cluster_produce(&hand.fixture, 0, 10, 10);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_of(DELIVERY_ASSIGNED), 1);
    struct request ack = ack_request(1, 1000, bytes);
    ck_assert_int_eq(hand_say_request(5, &ack), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->inner, REPLY_ACKED);
    ck_assert_uint_eq(hand_heard_last()->id, ACK_ID);
    ck_assert_uint_eq(hand_heard_last()->count, 10);
    ck_assert_int_eq(hand_say_end(5, true), 0);
    guest_attaches(6);
    ck_assert_uint_eq(hand_heard_of(REPLY_ATTACHED), 2);
    ck_assert_uint_eq(hand_heard_of(DELIVERY_ASSIGNED), 1); // nothing comes again
}
END_TEST

START_TEST(what_a_guest_said_before_a_reset_does_not_count_after_it)
{
    uint8_t bytes[ACK_BYTES];
    hand_link_up();
    guest_attaches(5);
    cluster_produce(&hand.fixture, 0, 10, 10);
    hand_pass_ms(0);
    struct request reset = {.kind = REQUEST_SUBSCRIPTIONS, .id = 3};
    reset.subscriptions.which = SUBSCRIPTIONS_RESET;
    reset.subscriptions.name = bytes_of_text("s");
    reset.subscriptions.start.kind = START_BEGINNING;
    client_says(&reset);
    ck_assert_uint_eq(hand_heard_last()->inner, REPLY_ERROR);
    ck_assert_uint_eq(hand_heard_last()->code, WIRE_SHUTTING_DOWN);
    struct request ack = ack_request(1, 1000, bytes); // it was on its way
    ck_assert_int_eq(hand_say_request(5, &ack), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->code, WIRE_NOT_IN_FLIGHT);
    ck_assert_int_eq(hand_say_end(5, true), 0);
    guest_attaches(6);
    ck_assert_uint_eq(hand_heard_of(DELIVERY_ASSIGNED), 2); // all of it comes again
    ck_assert_int_eq(hand_say_request(6, &ack), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->inner, REPLY_ACKED);
    ck_assert_uint_eq(hand_heard_last()->count, 10);
}
END_TEST

START_TEST(slow_link_holds_a_window_of_events_and_no_more)
{
    hand_link_up();
    guest_attaches(5);
    hand.is_deaf = true;
    for (unsigned i = 0; i < 100; i++) {
        cluster_produce(&hand.fixture, 0, 10, 10000);
        hand_pass_ms(0);
    }
    const struct peer *peer = peer_of_hand();
    size_t waiting = 0;
    LIST_FOR_EACH(&peer->forwards.outbox, link)
    {
        waiting += container_of(link, struct consumer_letter, link)->length;
    }
    ck_assert_uint_gt(waiting, 0);
    ck_assert_uint_lt(waiting, 3 * FORWARD_WINDOW_BYTES);
    hand.is_deaf = false;
    hand_pass_ms(0);
    size_t length = 0;
    for (unsigned i = 0; i < hand.heard_count; i++) {
        length += hand.heard[i].length;
    }
    ck_assert_uint_gt(length, 100 * 10000); // as many as may be in flight
}
END_TEST

START_TEST(events_that_a_dead_link_held_are_no_attempt)
{
    uint8_t bytes[ACK_BYTES];
    struct reply reply;
    hand_link_up();
    guest_attaches(5);
    hand.is_deaf = true;
    cluster_produce(&hand.fixture, 0, 5, 10);
    hand_pass_ms(0);
    hand_link_down();
    hand.is_deaf = false;
    const struct request request = attach_request("s", false);
    ck_assert_int_eq(session_submit(hand.client, &request, hand.fixture.now), 0);
    hand.fixture.nodes[0].is_woken = true;
    cluster_pass_ms(&hand.fixture, 0);
    struct session_item item;
    bool is_assigned = false;
    while (session_take(hand.client, &item)) {
        reply = item.head;
        if (reply.kind == DELIVERY_ASSIGNED) {
            ck_assert_uint_eq(reply.assigned.attempt, 1);
            is_assigned = true;
        }
        block_unref(item.block);
    }
    ck_assert(is_assigned);
    struct request ack = ack_request(1, 1000, bytes);
    ck_assert_int_eq(session_submit(hand.client, &ack, hand.fixture.now), 0);
    hand.fixture.nodes[0].is_woken = true;
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->count, 5);
}
END_TEST

START_TEST(events_that_never_went_to_a_guests_client_are_no_attempt)
{
    hand_link_up();
    guest_attaches(5);
    cluster_produce(&hand.fixture, 0, 5, 10);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_of(DELIVERY_ASSIGNED), 1);
    uint64_t first = last_counter() - 4;
    const struct done_range untaken[] = {
        {1, first, first + 1}, {1, first + 1, COUNTER_MAX}, {1, first + 3, first + 3}, {2, 1, 9}};
    ck_assert_int_eq(hand_say_end_untaken(5, untaken, sizeof untaken / sizeof *untaken), 0);
    hand_pass_ms(0);
    const struct request request = attach_request("s", false);
    client_says(&request);
    uint64_t events[3] = {0}; // by attempt
    for (unsigned i = 0; i < hand.said_count; i++) {
        const struct said *said = &hand.said[i];
        if (said->kind == DELIVERY_ASSIGNED) {
            ck_assert_uint_le(said->attempt, 2);
            events[said->attempt] += said->count;
        }
    }
    ck_assert_uint_eq(events[1], 3); // the second range overlaps the first: passed over
    ck_assert_uint_eq(events[2], 2);
}
END_TEST

START_TEST(show_says_who_a_guest_is)
{
    struct request attach = attach_request("s", true);
    attach.attach.client = bytes_of_text("billing 10.0.0.1:5000");
    hand_link_up();
    ck_assert_int_eq(hand_say_request(5, &attach), 0);
    hand_pass_ms(0);
    struct request ask = {.kind = REQUEST_SUBSCRIPTIONS, .id = 3};
    ask.subscriptions.which = SUBSCRIPTIONS_SHOW;
    ask.subscriptions.name = bytes_of_text("s");
    ck_assert_int_eq(hand_say_request(6, &ask), 0);
    hand_pass_ms(0);
    ck_assert_str_eq(hand_heard_last()->client, "billing 10.0.0.1:5000");
}
END_TEST

START_TEST(one_that_leaves_while_its_subscription_is_created_leaves_nothing)
{
    hand_link_up();
    const struct request request = attach_request("s", true);
    ck_assert_int_eq(hand_say_request(5, &request), 0);
    ck_assert_int_eq(hand_say_request(6, &request), 0);
    ck_assert_int_eq(hand_say_end(5, true), 0);
    ck_assert_int_eq(hand_say_end(6, true), 0);
    ck_assert_int_eq(hand_say_request(7, &request), 0);
    hand_link_down();
    hand_pass_ms(100);
    ck_assert_uint_eq(hand_heard_of(REPLY_ATTACHED), 0);
}
END_TEST

START_TEST(what_is_not_understood_is_answered)
{
    const uint8_t unknown[] = {0x92, 0x30, 0x07}; // kind 48, id 7
    hand_link_up();
    guest_attaches(5);
    ck_assert_int_eq(hand_say_bytes(PEER_FORWARD, 5, bytes_of(unknown, sizeof unknown)), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->code, WIRE_UNSUPPORTED);
    const struct request ping = {.kind = REQUEST_PING, .id = 9};
    ck_assert_int_eq(hand_say_request(5, &ping), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->code, WIRE_UNSUPPORTED);
    const struct request bad = attach_request("not/a/name", false);
    ck_assert_int_eq(hand_say_request(6, &bad), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->code, WIRE_INVALID_ARGUMENT);
    struct request ask = {.kind = REQUEST_SUBSCRIPTIONS, .id = 3};
    ask.subscriptions.which = SUBSCRIPTIONS_DELETE;
    ask.subscriptions.name = bytes_of_text("s");
    ck_assert_int_eq(hand_say_request(7, &ask), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->code, WIRE_UNSUPPORTED);
    ask.subscriptions.which = SUBSCRIPTIONS_SHOW;
    ck_assert_int_eq(hand_say_request(8, &ask), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_last()->inner, REPLY_SUBSCRIPTIONS);
}
END_TEST

START_TEST(channel_that_is_used_twice_ends_the_link)
{
    hand_link_up();
    guest_attaches(5);
    const struct request request = attach_request("s", true);
    ck_assert_int_lt(hand_say_request(5, &request), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_PROTOCOL);
}
END_TEST

START_TEST(more_channels_than_there_may_be_end_the_link)
{
    const struct request request = attach_request("none", false);
    hand_link_up();
    for (uint64_t channel = 1; channel <= FORWARD_CHANNELS_MAX; channel++) {
        ck_assert_int_eq(hand_say_request(channel, &request), 0);
        hand_pass_ms(0);
    }
    ck_assert_int_lt(hand_say_request(FORWARD_CHANNELS_MAX + 1, &request), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_PROTOCOL);
}
END_TEST

START_TEST(answers_that_nobody_reads_end_the_link)
{
    struct request ask = {.kind = REQUEST_SUBSCRIPTIONS, .id = 3};
    ask.subscriptions.which = SUBSCRIPTIONS_SHOW;
    ask.subscriptions.name = bytes_of_text("s");
    hand_link_up();
    hand.is_deaf = true;
    unsigned count = 0;
    while (hand_say_request(9, &ask) == 0) {
        count++;
        ck_assert_uint_le(count, FORWARD_ANSWERS_MAX);
    }
    hand_pass_ms(0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_PROTOCOL);
}
END_TEST

// --- The hand coordinates ----------------------------------------------------------------------

// The node leaves all to the hand, which is ahead of it.
static void hand_coordinates(void)
{
    ck_assert_int_eq(version_vector_set(&hand.ahead, 1, COUNTER_MAX / 2), 0);
    ck_assert_int_eq(version_vector_set(&hand.ahead, AHEAD_ACTOR, 1), 0);
    scripted.held = &hand.ahead;
    hand_link_up();
}

static void client_attaches(void)
{
    const struct request request = attach_request("s", true);
    client_says(&request);
    ck_assert_uint_eq(hand_heard_last()->kind, PEER_FORWARD);
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_ATTACH);
}

static int hand_accepts(uint64_t channel)
{
    static const uint8_t UUID[16] = {1};
    struct reply reply = {.kind = REPLY_ATTACHED, .id = ATTACH_ID};
    reply.cursor = bytes_of("\x81\x01\x05", 3); // @5.1
    reply.attached.generation = (struct event_id){.counter = 1, .actor = 2};
    reply.attached.coordinator = bytes_of(UUID, sizeof UUID);
    return hand_say_reply(channel, &reply);
}

static int hand_assigns(uint64_t channel, uint64_t first, size_t length)
{
    struct buffer events = {0};
    struct buffer slices = {0};
    uint8_t *data = calloc(length + 1, 1);
    struct slice slice = {.actor = 1, .count = 1, .first = first, .timestamp_ms = 1};
    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(event_append(&events, bytes_of_text("/some/name"), bytes_of(data, length),
                                  bytes_of(NULL, 0)),
                     0);
    slice.events = buffer_bytes(&events);
    ck_assert_int_eq(slice_append(&slices, &slice), 0);
    struct reply reply = {.kind = DELIVERY_ASSIGNED, .id = ATTACH_ID};
    reply.assigned.attempt = 1;
    reply.assigned.slices = buffer_bytes(&slices);
    int result = hand_say_reply(channel, &reply);
    buffer_deinit(&events);
    buffer_deinit(&slices);
    free(data);
    return result;
}

static int hand_fails(uint64_t channel, uint64_t id, enum wire_error code)
{
    struct reply reply = {.kind = REPLY_ERROR, .id = id};
    reply.error.code = code;
    reply.error.text = bytes_of_text("the hand says so");
    return hand_say_reply(channel, &reply);
}

static uint64_t attached_channel(void)
{
    client_attaches();
    uint64_t channel = hand_heard_last()->channel;
    ck_assert_int_eq(hand_accepts(channel), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->kind, REPLY_ATTACHED);
    return channel;
}

START_TEST(consumer_is_forwarded_with_all_it_says)
{
    uint8_t bytes[ACK_BYTES];
    hand_coordinates();
    session_set_client(hand.client, "billing 10.0.0.1:5000");
    client_attaches();
    const struct heard *attach = hand_heard_last();
    ck_assert_str_eq(attach->client, "billing 10.0.0.1:5000");
    ck_assert(attach->create);
    ck_assert_uint_eq(attach->credit_bytes, SUBSCRIPTION_CREDIT_BYTES_DEFAULT);
    ck_assert_uint_eq(hand.said_count, 0);
    struct request ack = ack_request(1, 3, bytes);
    client_says(&ack); // not before it is attached
    ck_assert_uint_eq(hand_heard_of(REQUEST_ACK), 0);
    ck_assert_int_eq(hand_accepts(attach->channel), 0);
    ck_assert_int_eq(hand_assigns(attach->channel, 1, 1000), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand.said[0].kind, REPLY_ATTACHED);
    ck_assert_mem_eq(hand.said[0].cursor, "\x81\x01\x05", 3);
    ck_assert_uint_eq(hand.said[1].kind, DELIVERY_ASSIGNED);
    ck_assert_uint_eq(hand.said[1].count, 1);
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_ACK);
    struct request credit = {.kind = REQUEST_CREDIT, .id = ATTACH_ID, .credit = {.bytes = 77}};
    client_says(&credit);
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_CREDIT);
    ck_assert_uint_eq(hand_heard_last()->credit_bytes, 77);
    struct reply acked = {.kind = REPLY_ACKED, .id = ACK_ID, .acked = {.count = 3}};
    ck_assert_int_eq(hand_say_reply(attach->channel, &acked), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->kind, REPLY_ACKED);
    ck_assert_uint_eq(hand_said_last()->count, 3);
    const struct request stop = {.kind = REQUEST_STOP, .id = ATTACH_ID};
    client_says(&stop);
    ck_assert_uint_eq(hand_said_last()->kind, DELIVERY_END);
    ck_assert_uint_eq(hand_heard_last()->kind, PEER_FORWARD_END);
    ck_assert(hand_heard_last()->is_senders);
}
END_TEST

START_TEST(what_its_client_never_took_is_given_back)
{
    hand_coordinates();
    uint64_t channel = attached_channel();
    ck_assert_int_eq(hand_assigns(channel, 1, 10), 0);
    hand_pass_ms(0); // this went to the client
    ck_assert_int_eq(hand_assigns(channel, 5, 10), 0);
    ck_assert_int_eq(hand_assigns(channel, 3, 10), 0);
    cluster_settle(&hand.fixture);
    session_close(hand.client);
    ck_assert_int_eq(session_open(hand.fixture.nodes[0].service, &hand.fixture, &hand.client), 0);
    hand_pass_ms(0);
    const struct heard *end = hand_heard_last();
    ck_assert_uint_eq(end->kind, PEER_FORWARD_END);
    ck_assert_uint_eq(end->ranges_count, 2);
    ck_assert_uint_eq(end->range.actor, 1);
    ck_assert_uint_eq(end->range.first, 3);
    ck_assert_uint_eq(end->range.last, 3);
}
END_TEST

START_TEST(one_that_stops_waits_for_its_acknowledgements)
{
    uint8_t bytes[ACK_BYTES];
    hand_coordinates();
    uint64_t channel = attached_channel();
    struct request ack = ack_request(1, 3, bytes);
    client_says(&ack);
    const struct request stop = {.kind = REQUEST_STOP, .id = ATTACH_ID};
    client_says(&stop);
    ck_assert_uint_eq(hand.kinds[PEER_FORWARD_END], 0);
    ck_assert_uint_ne(hand_said_last()->kind, DELIVERY_END);
    struct reply acked = {.kind = REPLY_ACKED, .id = ACK_ID, .acked = {.count = 3}};
    ck_assert_int_eq(hand_say_reply(channel, &acked), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand.kinds[PEER_FORWARD_END], 1);
    ck_assert_uint_eq(hand.said[hand.said_count - 2].kind, REPLY_ACKED);
    ck_assert_uint_eq(hand_said_last()->kind, DELIVERY_END);
}
END_TEST

START_TEST(consumer_moves_here_when_the_link_ends)
{
    uint8_t bytes[ACK_BYTES];
    const struct request create = attach_request("s", true);
    client_says(&create); // here: nobody else is there yet
    ck_assert_uint_eq(hand.said[0].kind, REPLY_ATTACHED);
    cluster_produce(&hand.fixture, 0, 3, 10);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->kind, DELIVERY_ASSIGNED);
    hand_coordinates();
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_ATTACH);
    ck_assert(!hand_heard_last()->create);
    ck_assert_uint_lt(hand_heard_last()->credit_bytes, SUBSCRIPTION_CREDIT_BYTES_DEFAULT);
    ck_assert_int_eq(hand_accepts(hand_heard_last()->channel), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->kind, DELIVERY_MARK);
    ck_assert_uint_eq(hand_said_last()->which, MARK_MOVED);
    struct request ack = ack_request(1, 1000, bytes);
    client_says(&ack);
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_ACK);
    unsigned before = hand.said_count;
    hand_link_down(); // without an answer
    unsigned marks = 0;
    unsigned answers = 0;
    for (unsigned i = before; i < hand.said_count; i++) {
        const struct said *said = &hand.said[i];
        marks += said->kind == DELIVERY_MARK && said->which == MARK_MOVED;
        answers += said->kind == REPLY_ACKED && said->count == 3;
        ck_assert_uint_ne(said->kind, DELIVERY_ASSIGNED); // nothing comes again
    }
    ck_assert_uint_eq(marks, 1);
    ck_assert_uint_eq(answers, 1);
}
END_TEST

static void client_acks_up_to(uint64_t counter)
{
    struct request ack = {.kind = REQUEST_ACK, .id = ACK_ID};
    ack.ack.attachment = ATTACH_ID;
    ack.ack.up_to = (struct event_id){.counter = counter, .actor = 1};
    client_says(&ack);
}

START_TEST(up_to_names_one_event_alone_once_a_consumer_was_moved)
{
    uint8_t bytes[ACK_BYTES];
    const struct request create = attach_request("s", true);
    client_says(&create);
    cluster_produce(&hand.fixture, 0, 5, 10);
    hand_pass_ms(0);
    uint64_t first = last_counter() - 4;
    client_acks_up_to(first + 1); // not moved yet: it is two
    ck_assert_uint_eq(hand_said_last()->count, 2);
    hand_coordinates();
    ck_assert_int_eq(hand_accepts(hand_heard_last()->channel), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->which, MARK_MOVED);
    client_acks_up_to(first + 3);
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_ACK);
    ck_assert_uint_eq(hand_heard_last()->up_to, 0);
    ck_assert_uint_eq(hand_heard_last()->range.actor, 1);
    ck_assert_uint_eq(hand_heard_last()->range.first, first + 3);
    ck_assert_uint_eq(hand_heard_last()->range.last, first + 3);
    hand_link_down(); // without an answer: it is said again here
    ck_assert_uint_eq(hand_said_last()->kind, DELIVERY_ASSIGNED);
    cluster_produce(&hand.fixture, 0, 2, 10);
    hand_pass_ms(0);
    uint64_t last = last_counter();
    client_acks_up_to(last);
    ck_assert_uint_eq(hand_said_last()->kind, REPLY_ACKED);
    ck_assert_uint_eq(hand_said_last()->count, 1);
    struct request rest = ack_request(first, last, bytes);
    client_says(&rest);
    ck_assert_uint_eq(hand_said_last()->count, 3); // the third, the fifth and the sixth
}
END_TEST

START_TEST(refusal_of_the_first_attempt_is_the_clients)
{
    hand_coordinates();
    client_attaches();
    ck_assert_int_eq(hand_fails(hand_heard_last()->channel, ATTACH_ID, WIRE_BUSY), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->kind, REPLY_ERROR);
    ck_assert_uint_eq(hand_said_last()->code, WIRE_BUSY);
    ck_assert_uint_eq(hand_heard_last()->kind, PEER_FORWARD_END);
}
END_TEST

START_TEST(one_that_has_begun_is_attached_again_for_a_while)
{
    hand_coordinates();
    uint64_t channel = attached_channel();
    const struct reply stops = {
        .kind = DELIVERY_END, .id = ATTACH_ID, .end = {.reason = END_SHUTDOWN}};
    ck_assert_int_eq(hand_say_reply(channel, &stops), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_heard_of(REQUEST_ATTACH), 1);
    hand_pass_ms(100);
    ck_assert_uint_eq(hand_heard_of(REQUEST_ATTACH), 2);
    ck_assert_int_eq(hand_say_end(hand_heard_last()->channel, false), 0);
    hand_pass_ms(100);
    ck_assert_uint_eq(hand_heard_of(REQUEST_ATTACH), 3);
    unsigned before = hand.said_count;
    for (unsigned i = 0; i < 200 && hand.said_count == before; i++) {
        ck_assert_int_eq(hand_fails(hand_heard_last()->channel, ATTACH_ID, WIRE_BUSY), 0);
        hand_pass_ms(100);
    }
    ck_assert_uint_eq(hand_said_last()->kind, REPLY_ERROR);
    ck_assert_uint_eq(hand_said_last()->code, WIRE_BUSY);
    ck_assert_uint_gt(hand_heard_of(REQUEST_ATTACH), 90);
    ck_assert_uint_lt(hand_heard_of(REQUEST_ATTACH), 110);
}
END_TEST

START_TEST(events_that_are_none_end_the_link_and_move_the_consumer)
{
    hand_coordinates();
    uint64_t channel = attached_channel();
    struct reply reply = {.kind = DELIVERY_ASSIGNED, .id = ATTACH_ID};
    reply.assigned.attempt = 1;
    reply.assigned.slices = bytes_of_text("these are no slices, however one looks at them");
    ck_assert_int_lt(hand_say_reply(channel, &reply), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_MALFORMED);
    ck_assert_uint_ne(hand_said_last()->kind, DELIVERY_ASSIGNED);
}
END_TEST

START_TEST(more_than_there_is_credit_for_ends_the_consumer)
{
    hand_coordinates();
    uint64_t channel = attached_channel();
    unsigned sent = 0;
    while (hand_said_last()->kind != REPLY_ERROR) {
        ck_assert_uint_lt(++sent, 100);
        ck_assert_int_eq(hand_assigns(channel, sent, MIB), 0);
        hand_pass_ms(0);
    }
    ck_assert_uint_eq(hand_said_last()->code, WIRE_BUSY);
    ck_assert_uint_eq(hand_heard_last()->kind, PEER_FORWARD_END);
}
END_TEST

START_TEST(show_is_answered_by_the_hand_or_here)
{
    struct request ask = {.kind = REQUEST_SUBSCRIPTIONS, .id = 3};
    ask.subscriptions.which = SUBSCRIPTIONS_SHOW;
    ask.subscriptions.name = bytes_of_text("s");
    hand_coordinates();
    client_says(&ask);
    ck_assert_uint_eq(hand_heard_last()->inner, REQUEST_SUBSCRIPTIONS);
    ck_assert_uint_eq(hand.said_count, 0);
    struct reply reply = {.kind = REPLY_SUBSCRIPTIONS, .id = 3};
    ck_assert_int_eq(hand_say_reply(hand_heard_last()->channel, &reply), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(hand_said_last()->kind, REPLY_SUBSCRIPTIONS);
    ask.id = 4;
    client_says(&ask);
    hand_link_down();
    ck_assert_uint_eq(hand_said_last()->id, 4);
    ck_assert_uint_eq(hand_said_last()->code, WIRE_NOT_FOUND);
}
END_TEST

START_TEST(acknowledgements_that_nobody_answers_are_bounded)
{
    uint8_t *bytes = malloc(ACK_RANGES_MAX * (size_t)18);
    hand_coordinates();
    (void)attached_channel();
    for (uint64_t i = 0; i < ACK_RANGES_MAX; i++) {
        store_be16(bytes + 18 * i, 1);
        store_be64(bytes + 18 * i + 2, 2 * i + 1);
        store_be64(bytes + 18 * i + 10, 2 * i + 1);
    }
    struct request ack = {.kind = REQUEST_ACK};
    ack.ack.attachment = ATTACH_ID;
    ack.ack.ranges = bytes_of(bytes, ACK_RANGES_MAX * (size_t)18);
    for (ack.id = 100; hand_said_last()->kind != REPLY_ERROR; ack.id++) {
        ck_assert_uint_lt(ack.id, 200);
        client_says(&ack);
    }
    ck_assert_uint_eq(hand_said_last()->code, WIRE_BUSY);
    ck_assert_uint_gt(ack.id, 140);
    free(bytes);
}
END_TEST

// --- Anything ----------------------------------------------------------------------------------

static int say_something(struct random *random)
{
    static const uint32_t KINDS[] = {
        REPLY_ACKED,    REPLY_PONG,   DELIVERY_MARK, DELIVERY_END,
        REPLY_PRODUCED, REPLY_STATUS, REPLY_ERROR,
    };
    uint64_t channel = random_below(random, 12);
    uint64_t id = random_below(random, 3) == 0 ? ACK_ID : ATTACH_ID;
    uint8_t bytes[ACK_BYTES];
    struct request request;
    struct reply reply = {.id = id};
    switch (random_below(random, 10)) {
    case 0:
        request = attach_request(random_below(random, 2) ? "s" : "t", random_below(random, 2));
        return hand_say_request(random_u64(random) >> 1, &request);
    case 1:
        request = ack_request(1 + random_below(random, 50), 50, bytes);
        return hand_say_request(channel, &request);
    case 2:
        request = (struct request){.kind = REQUEST_CREDIT, .id = id};
        request.credit.bytes = random_u64(random);
        return hand_say_request(channel, &request);
    case 3:
        return hand_say_end(channel, random_below(random, 2));
    case 4:
        return hand_accepts(channel);
    case 5:
        return hand_assigns(channel, 1 + random_below(random, 50), random_below(random, 1000));
    case 6:
        return hand_fails(channel, id, (enum wire_error)random_below(random, 50));
    case 7:
        request = (struct request){.kind = REQUEST_SUBSCRIPTIONS, .id = id};
        request.subscriptions.which = SUBSCRIPTIONS_SHOW;
        request.subscriptions.name = bytes_of_text("s");
        return hand_say_request(channel, &request);
    default:
        reply.kind = KINDS[random_below(random, 4)];
        reply.end.reason = (uint32_t)random_below(random, 5);
        return hand_say_reply(channel, &reply);
    }
}

START_TEST(nothing_that_a_member_says_does_harm)
{
    struct random random;
    random_init(&random, test_seed());
    hand_coordinates();
    uint64_t id = 1000;
    for (unsigned round = 0; round < test_rounds(20000); round++) {
        uint8_t bytes[ACK_BYTES];
        if (hand.said_count > SAID_MAX / 2) {
            hand.said_count = 0;
        }
        if (hand.heard_count > HEARD_MAX / 2) {
            hand.heard_count = 0;
        }
        if (random_below(&random, 20) == 0) {
            struct request request = attach_request("s", true);
            request.id = ++id;
            ck_assert_int_eq(session_submit(hand.client, &request, hand.fixture.now), 0);
        } else if (random_below(&random, 20) == 0) {
            struct request request = ack_request(1, 50, bytes);
            request.id = ++id;
            request.ack.attachment = id - random_below(&random, 10);
            ck_assert_int_eq(session_submit(hand.client, &request, hand.fixture.now), 0);
        } else if (random_below(&random, 30) == 0) {
            const struct request stop = {.kind = REQUEST_STOP, .id = id - random_below(&random, 9)};
            ck_assert_int_eq(session_submit(hand.client, &stop, hand.fixture.now), 0);
        }
        bool has_ended = say_something(&random) != 0 || random_below(&random, 500) == 0;
        hand_pass_ms(random_below(&random, 4) == 0 ? 50 : 0);
        if (has_ended) {
            hand_link_down();
            scripted.links_up = 0;
            hand_link_up();
        }
    }
}
END_TEST

static void add(TCase *test_case)
{
    tcase_add_test(test_case, guest_is_attached_and_shares_events);
    tcase_add_test(test_case, what_a_guest_said_before_a_reset_does_not_count_after_it);
    tcase_add_test(test_case, slow_link_holds_a_window_of_events_and_no_more);
    tcase_add_test(test_case, events_that_a_dead_link_held_are_no_attempt);
    tcase_add_test(test_case, events_that_never_went_to_a_guests_client_are_no_attempt);
    tcase_add_test(test_case, show_says_who_a_guest_is);
    tcase_add_test(test_case, one_that_leaves_while_its_subscription_is_created_leaves_nothing);
    tcase_add_test(test_case, what_is_not_understood_is_answered);
    tcase_add_test(test_case, channel_that_is_used_twice_ends_the_link);
    tcase_add_test(test_case, more_channels_than_there_may_be_end_the_link);
    tcase_add_test(test_case, answers_that_nobody_reads_end_the_link);
    tcase_add_test(test_case, consumer_is_forwarded_with_all_it_says);
    tcase_add_test(test_case, what_its_client_never_took_is_given_back);
    tcase_add_test(test_case, one_that_stops_waits_for_its_acknowledgements);
    tcase_add_test(test_case, consumer_moves_here_when_the_link_ends);
    tcase_add_test(test_case, up_to_names_one_event_alone_once_a_consumer_was_moved);
    tcase_add_test(test_case, refusal_of_the_first_attempt_is_the_clients);
    tcase_add_test(test_case, one_that_has_begun_is_attached_again_for_a_while);
    tcase_add_test(test_case, events_that_are_none_end_the_link_and_move_the_consumer);
    tcase_add_test(test_case, more_than_there_is_credit_for_ends_the_consumer);
    tcase_add_test(test_case, show_is_answered_by_the_hand_or_here);
    tcase_add_test(test_case, acknowledgements_that_nobody_answers_are_bounded);
    tcase_add_test(test_case, nothing_that_a_member_says_does_harm);
}

int main(void)
{
    Suite *suite = suite_create("server/scripted/forwards");
    TCase *test_case = tcase_create("forwards");
    tcase_add_checked_fixture(test_case, hand_setup, hand_teardown);
    tcase_set_timeout(test_case, 120);
    add(test_case);
    suite_add_tcase(suite, test_case);
    return check_main(suite);
}
