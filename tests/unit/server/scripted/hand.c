#include "tests/unit/server/scripted/hand.h"

#include "proto/model/subscription_row.h"
#include "proto/wire/frame.h"
#include "tests/unit/check_main.h"

enum { PIECES = 16 };

struct hand hand;

void hand_setup(void)
{
    scripted = (struct scripted){0};
    hand.heard_count = 0;
    hand.said_count = 0;
    hand.is_deaf = false;
    memset(hand.kinds, 0, sizeof hand.kinds);
    cluster_fixture_init(&hand.fixture, 1, test_seed());
    cluster_node_open(&hand.fixture, 0, 1, NULL);
    cluster_settle(&hand.fixture);
    ck_assert_int_eq(session_open(hand.fixture.nodes[0].service, &hand.fixture, &hand.client), 0);
}

void hand_teardown(void)
{
    if (hand.frontend) {
        hand.frontend->ops->close(hand.frontend);
        hand.frontend = NULL;
    }
    session_close(hand.client);
    cluster_settle(&hand.fixture);
    cluster_fixture_deinit(&hand.fixture);
    buffer_deinit(&hand.stream);
    peer_scratch_deinit(&hand.scratch);
    version_vector_deinit(&hand.ahead);
}

// --- What the hand hears -----------------------------------------------------------------------

static void hear_ranges(struct heard *out, struct bytes ranges)
{
    struct done_range range;
    while (ranges.length > 0) {
        ck_assert_int_eq(done_range_next(&ranges, &range), 0);
        out->range = out->ranges_count++ == 0 ? range : out->range;
    }
}

static void hear_client(struct heard *out, struct bytes client)
{
    snprintf(out->client, sizeof out->client, "%.*s", (int)client.length,
             client.length > 0 ? (const char *)client.data : "");
}

static void hear_request(struct heard *out, struct bytes message)
{
    struct request request;
    struct reason reason;
    ck_assert_int_eq(request_decode(message, &request, &reason), 0);
    out->inner = request.kind;
    out->id = request.id;
    if (request.kind == REQUEST_ATTACH) {
        out->credit_bytes = request.attach.credit_bytes;
        out->create = request.attach.create;
        hear_client(out, request.attach.client);
        ck_assert_uint_eq(request.attach.heartbeat_ms, 0);
    } else if (request.kind == REQUEST_CREDIT) {
        out->credit_bytes = request.credit.bytes;
    } else if (request.kind == REQUEST_ACK) {
        out->up_to = request.ack.up_to.counter;
        hear_ranges(out, request.ack.ranges);
    }
}

static void hear_reply(struct heard *out, struct bytes message)
{
    struct reply reply;
    struct reason reason;
    ck_assert_int_eq(reply_decode(message, &reply, &reason), 0);
    out->inner = reply.kind;
    out->id = reply.id;
    if (reply.kind == REPLY_ERROR) {
        out->code = reply.error.code;
    } else if (reply.kind == REPLY_ACKED) {
        out->count = reply.acked.count;
    } else if (reply.kind == DELIVERY_ASSIGNED) {
        out->length = reply.assigned.slices.length;
    } else if (reply.kind == REPLY_SUBSCRIPTIONS && reply.subscriptions.consumers.length > 0) {
        struct subscription_consumer consumer;
        struct bytes rest = reply.subscriptions.consumers;
        ck_assert_int_eq(subscription_consumer_next(&rest, &consumer), 0);
        hear_client(out, consumer.client);
    } else if (reply.kind == DELIVERY_MARK) {
        out->which = reply.mark.kind;
    } else if (reply.kind == DELIVERY_END) {
        out->which = reply.end.reason;
    }
}

static void hear(struct bytes frame)
{
    struct peer_message message;
    struct reason reason;
    ck_assert_int_eq(peer_decode(frame, &hand.scratch, &message, &reason), 0);
    hand.kinds[message.kind]++;
    ck_assert_uint_lt(hand.heard_count, HEARD_MAX);
    struct heard *out = &hand.heard[hand.heard_count];
    *out = (struct heard){.kind = message.kind};
    if (message.kind == PEER_FORWARD_END) {
        out->channel = message.forward_end.channel;
        out->is_senders = message.forward_end.is_senders;
        hear_ranges(out, message.forward_end.untaken);
    } else if (message.kind == PEER_FORWARD || message.kind == PEER_FORWARDED) {
        out->channel = message.forward.channel;
        if (message.kind == PEER_FORWARD) {
            hear_request(out, message.forward.message);
        } else {
            hear_reply(out, message.forward.message);
        }
    } else {
        return;
    }
    hand.heard_count++;
}

static bool read_all(void)
{
    struct iovec pieces[PIECES];
    bool has_read = false;
    for (size_t count; (count = hand.frontend->ops->peek(hand.frontend, pieces, PIECES)) > 0;) {
        size_t length = 0;
        for (size_t i = 0; i < count; i++) {
            struct bytes piece = bytes_of(pieces[i].iov_base, pieces[i].iov_len);
            ck_assert_int_eq(buffer_append(&hand.stream, piece), 0);
            length += piece.length;
        }
        hand.frontend->ops->sent(hand.frontend, length);
        has_read = true;
    }
    struct bytes rest = buffer_bytes(&hand.stream);
    struct bytes frame;
    size_t wanted;
    while (frame_next(&rest, FRAME_BYTES_MAX, &frame, &wanted) == 0) {
        hear(frame);
    }
    buffer_consume(&hand.stream, hand.stream.length - rest.length);
    return has_read;
}

static bool client_takes(void)
{
    struct session_item item;
    bool has_taken = false;
    while (session_take(hand.client, &item)) {
        struct said *out = &hand.said[hand.said_count++];
        ck_assert_uint_lt(hand.said_count, SAID_MAX);
        *out = (struct said){.kind = item.head.kind, .id = item.head.id};
        if (item.head.kind == REPLY_ERROR) {
            out->code = item.head.error.code;
        } else if (item.head.kind == REPLY_ACKED) {
            out->count = item.head.acked.count;
        } else if (item.head.kind == DELIVERY_ASSIGNED) {
            out->count = item.block->events;
            out->attempt = item.head.assigned.attempt;
        } else if (item.head.kind == REPLY_ATTACHED) {
            struct bytes cursor = item.head.cursor;
            size_t length = cursor.length < sizeof out->cursor ? cursor.length : sizeof out->cursor;
            if (length > 0) {
                memcpy(out->cursor, cursor.data, length);
            }
        } else if (item.head.kind == DELIVERY_MARK) {
            out->which = item.head.mark.kind;
        } else if (item.head.kind == DELIVERY_END) {
            out->which = item.head.end.reason;
        }
        block_unref(item.block);
        has_taken = true;
    }
    return has_taken;
}

void hand_pass_ms(unsigned ms)
{
    cluster_pass_ms(&hand.fixture, ms);
    for (bool has_moved = true; has_moved;) {
        has_moved = client_takes();
        has_moved |= hand.frontend && !hand.is_deaf && read_all();
        cluster_settle(&hand.fixture);
    }
}

// --- What the hand says ------------------------------------------------------------------------

int hand_say(const struct peer_message *message)
{
    struct buffer frame = {0};
    size_t taken = 0;
    size_t wanted = 0;
    ck_assert_int_eq(peer_encode(message, &frame), 0);
    int result = hand.frontend->ops->feed(hand.frontend, buffer_bytes(&frame), hand.fixture.now,
                                          &taken, &wanted);
    buffer_deinit(&frame);
    hand.fixture.nodes[0].is_woken = true;
    return result;
}

int hand_say_bytes(enum peer_message_kind kind, uint64_t channel, struct bytes bytes)
{
    const struct peer_message message = {
        .kind = kind,
        .forward = {.channel = channel, .message = bytes},
    };
    return hand_say(&message);
}

int hand_say_request(uint64_t channel, const struct request *request)
{
    struct buffer frame = {0};
    ck_assert_int_eq(request_encode(request, &frame), 0);
    int result = hand_say_bytes(
        PEER_FORWARD, channel,
        bytes_of(frame.data + FRAME_HEADER_LENGTH, frame.length - FRAME_HEADER_LENGTH));
    buffer_deinit(&frame);
    return result;
}

int hand_say_reply(uint64_t channel, const struct reply *reply)
{
    struct buffer frame = {0};
    ck_assert_int_eq(reply_encode(reply, &frame), 0);
    int result = hand_say_bytes(
        PEER_FORWARDED, channel,
        bytes_of(frame.data + FRAME_HEADER_LENGTH, frame.length - FRAME_HEADER_LENGTH));
    buffer_deinit(&frame);
    return result;
}

int hand_say_end(uint64_t channel, bool is_senders)
{
    const struct peer_message message = {
        .kind = PEER_FORWARD_END,
        .forward_end = {.channel = channel, .is_senders = is_senders},
    };
    return hand_say(&message);
}

int hand_say_end_untaken(uint64_t channel, const struct done_range *ranges, size_t count)
{
    struct buffer untaken = {0};
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(done_range_append(&untaken, &ranges[i]), 0);
    }
    const struct peer_message message = {
        .kind = PEER_FORWARD_END,
        .forward_end = {.channel = channel, .is_senders = true, .untaken = buffer_bytes(&untaken)},
    };
    int result = hand_say(&message);
    buffer_deinit(&untaken);
    return result;
}

void hand_link_up(void)
{
    const struct frontend_config config = {
        .service = hand.fixture.nodes[0].service,
        .peer_name = "hand:1",
        .is_local = true,
    };
    ck_assert_int_eq(FRONTEND_PEER.open(&config, &hand.frontend), 0);
    struct peer_message message = {
        .kind = PEER_HELLO,
        .hello =
            {
                .version_min = 1,
                .version_max = 1,
                .abilities = PEER_ABILITIES,
                .actor = 2,
                .runs_count = 1,
                .run_number = 1,
            },
    };
    message.hello.node.bytes[0] = 1;
    ck_assert_int_eq(hand_say(&message), 0);
    (void)read_all();
    message = (struct peer_message){.kind = PEER_PROOF};
    ck_assert_int_eq(hand_say(&message), 0);
    hand_pass_ms(0);
    ck_assert_uint_eq(scripted.links_up, 1);
}

void hand_link_down(void)
{
    hand.frontend->ops->close(hand.frontend);
    hand.frontend = NULL;
    hand.fixture.nodes[0].is_woken = true;
    hand_pass_ms(0);
}

struct request attach_request(const char *name, bool create)
{
    struct request request = {.kind = REQUEST_ATTACH, .id = ATTACH_ID};
    request.attach.name = bytes_of_text(name);
    request.attach.create = create;
    request.attach.start.kind = START_BEGINNING;
    subscription_definition_init(&request.attach.definition);
    request.attach.definition.entries_count = 1;
    request.attach.definition.entries[0].text = bytes_of_text("/some/**");
    return request;
}

struct request ack_request(uint64_t first, uint64_t last, uint8_t bytes[ACK_BYTES])
{
    struct request request = {.kind = REQUEST_ACK, .id = ACK_ID};
    store_be16(bytes, 1);
    store_be64(bytes + 2, first);
    store_be64(bytes + 10, last);
    request.ack.attachment = ATTACH_ID;
    request.ack.ranges = bytes_of(bytes, ACK_BYTES);
    return request;
}

unsigned hand_heard_of(uint32_t inner)
{
    unsigned count = 0;
    for (unsigned i = 0; i < hand.heard_count; i++) {
        count += hand.heard[i].inner == inner;
    }
    return count;
}

const struct heard *hand_heard_last(void)
{
    ck_assert_uint_gt(hand.heard_count, 0);
    return &hand.heard[hand.heard_count - 1];
}

const struct said *hand_said_last(void)
{
    ck_assert_uint_gt(hand.said_count, 0);
    return &hand.said[hand.said_count - 1];
}

struct peer *peer_of_hand(void)
{
    struct cluster *cluster = hand.fixture.nodes[0].service->cluster;
    ck_assert(!list_is_empty(&cluster->peers));
    return container_of(cluster->peers.next, struct peer, link);
}
