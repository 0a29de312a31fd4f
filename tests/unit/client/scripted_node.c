// Everything goes through the codecs of proto/wire, as with a real node.

#include "tests/unit/client/scripted_node.h"

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/model/slice.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

void node_init(struct scripted_node *node, bool says_hello)
{
    *node = (struct scripted_node){.now = {.ns = 1000}};
    struct core_config config = {.name = "test"};
    ck_assert_int_eq(core_new(&config, node->now, &node->core), 0);
    if (!says_hello) {
        return;
    }
    struct request hello = node_take(node);
    ck_assert_int_eq(hello.kind, REQUEST_HELLO);
    struct reply reply = {
        .kind = REPLY_HELLO,
        .id = hello.id,
        .hello = {.version = 1,
                  .server_version = bytes_of_text("weir test"),
                  .actor = 1,
                  .cluster_name = bytes_of_text("test"),
                  .cluster = bytes_of("0123456789abcdef", 16),
                  .node = bytes_of("fedcba9876543210", 16),
                  .data_bytes_max = 12345},
    };
    struct version_vector empty = {0};
    struct buffer cursor = {0};
    ck_assert_int_eq(version_vector_encode(&empty, &cursor), 0);
    reply.cursor = buffer_bytes(&cursor);
    node_reply(node, &reply);
    buffer_deinit(&cursor);
    expect_notice(node, NOTICE_READY);
}

void node_deinit(struct scripted_node *node)
{
    core_free(node->core);
    buffer_deinit(&node->received);
}

static void receive(struct scripted_node *node)
{
    struct bytes output = core_output(node->core);
    ck_assert_int_eq(buffer_append(&node->received, output), 0);
    core_sent(node->core, output.length);
}

bool node_has_request(struct scripted_node *node)
{
    receive(node);
    return node->received.length > 0;
}

struct request node_take(struct scripted_node *node)
{
    receive(node);
    static struct buffer taken; // the views of the request that was taken last
    struct bytes rest = buffer_bytes(&node->received);
    struct bytes message;
    size_t needed;
    ck_assert_int_eq(frame_next(&rest, FRAME_BYTES_MAX, &message, &needed), 0);
    buffer_deinit(&taken);
    ck_assert_int_eq(buffer_append(&taken, message), 0);
    buffer_consume(&node->received, node->received.length - rest.length);
    struct request request;
    struct reason reason = {0};
    ck_assert_msg(request_decode(buffer_bytes(&taken), &request, &reason) == 0, "%s", reason.text);
    return request;
}

void node_reply_bytes(struct scripted_node *node, struct bytes bytes)
{
    ck_assert_int_eq(core_feed(node->core, bytes, node->now), 0);
}

void node_reply(struct scripted_node *node, const struct reply *reply)
{
    struct buffer frame = {0};
    ck_assert_int_eq(reply_encode(reply, &frame), 0);
    node_reply_bytes(node, buffer_bytes(&frame));
    buffer_deinit(&frame);
}

static struct buffer encode_cursor(const char *text)
{
    struct version_vector vector = {0};
    struct buffer encoded = {0};
    struct reason reason = {0};
    ck_assert_msg(version_vector_parse(bytes_of_text(text), &vector, &reason) == 0, "%s",
                  reason.text);
    ck_assert_int_eq(version_vector_encode(&vector, &encoded), 0);
    version_vector_deinit(&vector);
    return encoded;
}

void node_error(struct scripted_node *node, uint64_t id, uint32_t code)
{
    struct buffer cursor = encode_cursor("@");
    struct reply reply = {
        .kind = REPLY_ERROR,
        .id = id,
        .cursor = buffer_bytes(&cursor),
        .error = {.code = code, .text = bytes_of_text("as scripted")},
    };
    node_reply(node, &reply);
    buffer_deinit(&cursor);
}

void node_produced(struct scripted_node *node, uint64_t id, uint64_t first, uint32_t count)
{
    struct buffer cursor = encode_cursor("@");
    struct reply reply = {
        .kind = REPLY_PRODUCED,
        .id = id,
        .cursor = buffer_bytes(&cursor),
        .produced = {.first = {first, 1}, .count = count, .nodes_durable = 1},
    };
    node_reply(node, &reply);
    buffer_deinit(&cursor);
}

void node_position(struct scripted_node *node, enum reply_kind kind, uint64_t id,
                   const char *cursor, uint32_t detail)
{
    struct buffer encoded = encode_cursor(cursor);
    struct reply reply = {.kind = kind, .id = id, .cursor = buffer_bytes(&encoded)};
    if (kind == DELIVERY_MARK) {
        reply.mark.kind = detail;
    } else if (kind == DELIVERY_END) {
        reply.end.reason = detail;
    }
    node_reply(node, &reply);
    buffer_deinit(&encoded);
}

void node_events(struct scripted_node *node, enum reply_kind kind, uint64_t id, struct bytes events)
{
    struct buffer cursor = encode_cursor("@");
    struct reply reply = {.kind = kind, .id = id, .events = events};
    if (kind == REPLY_EVENTS) {
        reply.cursor = buffer_bytes(&cursor);
    }
    node_reply(node, &reply);
    buffer_deinit(&cursor);
}

struct notice expect_notice(struct scripted_node *node, enum notice_kind kind)
{
    struct notice notice;
    int outcome = core_next(node->core, &notice);
    ck_assert_msg(outcome == 0, "outcome %d: %s", outcome, core_reason(node->core));
    ck_assert_int_eq(notice.kind, kind);
    return notice;
}

void expect_nothing(struct scripted_node *node)
{
    struct notice notice;
    ck_assert_int_eq(core_next(node->core, &notice), CORE_NOTHING);
}

void expect_failure(struct scripted_node *node, int err)
{
    struct notice notice;
    ck_assert_int_eq(core_next(node->core, &notice), err);
    ck_assert_int_eq(core_next(node->core, &notice), err); // it sticks
    ck_assert_int_ne(core_reason(node->core)[0], '\0');
    struct request ping = {.kind = REQUEST_PING};
    ck_assert_int_eq(core_request(node->core, &ping, 0), err);
}

char *node_cursor(struct scripted_node *node, uint64_t subscription)
{
    const struct version_vector *cursor = core_cursor(node->core, subscription);
    struct buffer text = {0};
    if (!cursor) {
        return NULL;
    }
    ck_assert_int_eq(version_vector_format(cursor, &text), 0);
    ck_assert_int_eq(buffer_append(&text, bytes_of("", 1)), 0);
    return (char *)text.data;
}

uint64_t node_subscribe(struct scripted_node *node, uint64_t credit_bytes)
{
    struct request request = {.kind = REQUEST_SUBSCRIBE,
                              .subscribe = {.credit_bytes = credit_bytes}};
    ck_assert_int_eq(core_subscribe(node->core, &request, 77), 0);
    struct request sent = node_take(node);
    ck_assert_int_eq(sent.kind, REQUEST_SUBSCRIBE);
    ck_assert_uint_eq(sent.id, request.id);
    return request.id;
}

static struct buffer sample_events(uint64_t first, uint16_t count)
{
    struct buffer events = {0};
    for (uint64_t i = first; i < first + count; i++) {
        char name[32];
        char data[48];
        snprintf(name, sizeof name, "/a/%" PRIu64, i);
        snprintf(data, sizeof data, "data %" PRIu64 " aaaaaaaaaaaaaaaaaa", i);
        ck_assert_int_eq(
            event_append(&events, bytes_of_text(name), bytes_of_text(data), (struct bytes){0}), 0);
    }
    return events;
}

void append_sample_chunk(struct buffer *out, uint16_t actor, uint64_t first, uint16_t count,
                         bool is_compressed)
{
    struct buffer events = sample_events(first, count);
    struct chunk_header header = {
        .actor = actor,
        .count = count,
        .first = first,
        .prev = first - 1,
        .timestamp_ms = SAMPLE_TIMESTAMP_MS,
    };
    void *state = is_compressed ? malloc(compress_state_bytes()) : NULL;
    ck_assert_int_eq(chunk_append(out, &header, buffer_bytes(&events), state), 0);
    ck_assert_int_eq(header.encoding, is_compressed ? CHUNK_LZ4 : CHUNK_PLAIN);
    free(state);
    buffer_deinit(&events);
}

void append_sample_slice(struct buffer *out, uint16_t actor, uint64_t first, uint16_t count)
{
    struct buffer events = sample_events(first, count);
    struct chunk_header header = {
        .actor = actor,
        .count = count,
        .first = first,
        .timestamp_ms = SAMPLE_TIMESTAMP_MS,
    };
    uint64_t positions = count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
    ck_assert_int_eq(slices_append(out, &header, buffer_bytes(&events), positions), 0);
    buffer_deinit(&events);
}

void expect_event(struct events *events, uint16_t actor, uint64_t counter)
{
    struct received_event event;
    char name[32];
    snprintf(name, sizeof name, "/a/%" PRIu64, counter);
    ck_assert_int_eq(events_next(events, &event), 0);
    ck_assert_uint_eq(event.id.actor, actor);
    ck_assert_uint_eq(event.id.counter, counter);
    ck_assert_uint_eq(event.timestamp_ms, SAMPLE_TIMESTAMP_MS);
    ck_assert(bytes_equal(event.fields.name, bytes_of_text(name)));
}
