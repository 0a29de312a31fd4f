// Everything goes through the codecs of proto/wire, as with real nodes.

#include "tests/unit/client/scripted_cluster.h"

#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

void cluster_init(struct scripted_cluster *cluster, const struct weir_options *options)
{
    static const char *const addresses[] = {"a:1", "b:2"};
    *cluster = (struct scripted_cluster){.now = 1000, .cluster = 'c', .node = 'a'};
    struct weir_options all = {.size = sizeof all};
    all = options ? *options : all;
    if (!all.addresses) {
        all.addresses = addresses;
        all.addresses_count = 2;
    }
    all.begins_with_first = true;
    struct weir_reason reason = {0};
    int err = weir_new(&all, cluster->now, &cluster->weir, &reason);
    ck_assert_msg(err == 0, "%s", reason.text);
}

void cluster_deinit(struct scripted_cluster *cluster)
{
    weir_free(cluster->weir);
    buffer_deinit(&cluster->received);
}

void cluster_connect(struct scripted_cluster *cluster, const char *address)
{
    if (weir_want(cluster->weir) == WEIR_WANT_TIME) {
        cluster->now = weir_deadline(cluster->weir);
        weir_tick(cluster->weir, cluster->now);
    }
    ck_assert_int_eq(weir_want(cluster->weir), WEIR_WANT_CONNECT);
    ck_assert_str_eq(weir_address(cluster->weir), address);
    buffer_clear(&cluster->received);
    ck_assert_int_eq(weir_connected(cluster->weir, cluster->now), 0);
    ck_assert_int_eq(weir_want(cluster->weir), WEIR_WANT_BYTES);
}

void cluster_reply(struct scripted_cluster *cluster, const struct reply *reply)
{
    struct buffer frame = {0};
    ck_assert_int_eq(reply_encode(reply, &frame), 0);
    ck_assert_int_eq(weir_feed(cluster->weir, frame.data, frame.length, cluster->now), 0);
    buffer_deinit(&frame);
}

void cluster_say_hello(struct scripted_cluster *cluster)
{
    struct request hello = cluster_take(cluster, REQUEST_HELLO);
    uint8_t uuid[16];
    uint8_t node[16];
    memset(uuid, cluster->cluster, sizeof uuid);
    memset(node, cluster->node, sizeof node);
    cluster_reply(cluster, &(struct reply){
                               .kind = REPLY_HELLO,
                               .id = hello.id,
                               .cursor = bytes_of("\x80", 1),
                               .hello = {.version = 1,
                                         .server_version = bytes_of_text("weir test"),
                                         .actor = 7,
                                         .cluster_name = bytes_of_text("test"),
                                         .cluster = bytes_of(uuid, sizeof uuid),
                                         .node = bytes_of(node, sizeof node),
                                         .data_bytes_max = 12345},
                           });
}

const struct weir_connection *cluster_greet(struct scripted_cluster *cluster, const char *address)
{
    cluster_connect(cluster, address);
    cluster_say_hello(cluster);
    return cluster_expect(cluster, WEIR_NOTICE_CONNECTED)->connection;
}

void cluster_lose(struct scripted_cluster *cluster)
{
    weir_disconnected(cluster->weir, WEIR_ERR_CLOSED, "lost", cluster->now);
}

bool cluster_has_request(struct scripted_cluster *cluster)
{
    struct weir_bytes output = weir_output(cluster->weir);
    ck_assert_int_eq(buffer_append(&cluster->received, bytes_of(output.data, output.length)), 0);
    weir_sent(cluster->weir, output.length);
    return cluster->received.length > 0;
}

struct request cluster_take(struct scripted_cluster *cluster, enum request_kind kind)
{
    static struct buffer taken; // the views of the request that was taken last
    ck_assert(cluster_has_request(cluster));
    struct bytes rest = buffer_bytes(&cluster->received);
    struct bytes message;
    size_t needed;
    ck_assert_int_eq(frame_next(&rest, FRAME_BYTES_MAX, &message, &needed), 0);
    buffer_deinit(&taken);
    ck_assert_int_eq(buffer_append(&taken, message), 0);
    buffer_consume(&cluster->received, cluster->received.length - rest.length);
    struct request request;
    struct reason reason = {0};
    ck_assert_msg(request_decode(buffer_bytes(&taken), &request, &reason) == 0, "%s", reason.text);
    ck_assert_int_eq(request.kind, kind);
    return request;
}

void cluster_produced(struct scripted_cluster *cluster, uint64_t id, uint64_t first, uint32_t count)
{
    cluster_reply(cluster,
                  &(struct reply){
                      .kind = REPLY_PRODUCED,
                      .id = id,
                      .cursor = bytes_of("\x80", 1),
                      .produced = {.first = {first, 7}, .count = count, .nodes_durable = 2},
                  });
}

void cluster_error(struct scripted_cluster *cluster, uint64_t id, enum wire_error code)
{
    cluster_reply(cluster, &(struct reply){
                               .kind = REPLY_ERROR,
                               .id = id,
                               .cursor = bytes_of("\x80", 1),
                               .error = {.code = code, .text = bytes_of_text("as scripted")},
                           });
}

void cluster_position(struct scripted_cluster *cluster, enum reply_kind kind, uint64_t id,
                      const char *cursor, uint32_t detail)
{
    struct version_vector vector = {0};
    struct buffer encoded = {0};
    ck_assert_int_eq(version_vector_parse(bytes_of_text(cursor), &vector, NULL), 0);
    ck_assert_int_eq(version_vector_encode(&vector, &encoded), 0);
    struct reply position = {.kind = kind, .id = id, .cursor = buffer_bytes(&encoded)};
    if (kind == DELIVERY_MARK) {
        position.mark.kind = detail;
    } else if (kind == DELIVERY_END) {
        position.end.reason = detail;
    }
    cluster_reply(cluster, &position);
    version_vector_deinit(&vector);
    buffer_deinit(&encoded);
}

void cluster_slice(struct scripted_cluster *cluster, uint64_t id, uint16_t actor, uint64_t first,
                   uint16_t count)
{
    struct buffer events = {0};
    append_sample_slice(&events, actor, first, count);
    cluster_reply(cluster, &(struct reply){
                               .kind = DELIVERY_SLICES, .id = id, .events = buffer_bytes(&events)});
    buffer_deinit(&events);
}

void cluster_chunk(struct scripted_cluster *cluster, uint64_t id, uint16_t actor, uint64_t first,
                   uint16_t count)
{
    struct buffer events = {0};
    append_sample_chunk(&events, actor, first, count, true);
    cluster_reply(cluster, &(struct reply){
                               .kind = DELIVERY_CHUNKS, .id = id, .events = buffer_bytes(&events)});
    buffer_deinit(&events);
}

void cluster_attached(struct scripted_cluster *cluster, uint64_t id, uint64_t generation)
{
    cluster_reply(cluster,
                  &(struct reply){
                      .kind = REPLY_ATTACHED,
                      .id = id,
                      .cursor = bytes_of("\x80", 1),
                      .attached = {.generation = {generation, 7},
                                   .is_created = generation == 1,
                                   .remark = bytes_of_text(generation == 1 ? "" : "was there"),
                                   .coordinator = bytes_of("0123456789abcdef", 16)},
                  });
}

void cluster_assigned(struct scripted_cluster *cluster, uint64_t id, uint32_t attempt,
                      uint16_t actor, uint64_t first, uint16_t count)
{
    struct buffer events = {0};
    append_sample_slice(&events, actor, first, count);
    cluster_reply(cluster, &(struct reply){
                               .kind = DELIVERY_ASSIGNED,
                               .id = id,
                               .assigned = {.attempt = attempt, .slices = buffer_bytes(&events)},
                           });
    buffer_deinit(&events);
}

void cluster_assigned_chunk(struct scripted_cluster *cluster, uint64_t id, uint32_t attempt,
                            uint16_t actor, uint64_t first, uint16_t count)
{
    struct buffer events = {0};
    append_sample_chunk(&events, actor, first, count, true);
    cluster_reply(cluster, &(struct reply){
                               .kind = DELIVERY_ASSIGNED_CHUNKS,
                               .id = id,
                               .assigned = {.attempt = attempt, .slices = buffer_bytes(&events)},
                           });
    buffer_deinit(&events);
}

void cluster_acked(struct scripted_cluster *cluster, uint64_t id, uint64_t count)
{
    cluster_reply(cluster, &(struct reply){
                               .kind = REPLY_ACKED,
                               .id = id,
                               .cursor = bytes_of("\x80", 1),
                               .acked = {.count = count},
                           });
}

const struct weir_notice *cluster_expect(struct scripted_cluster *cluster,
                                         enum weir_notice_kind kind)
{
    const struct weir_notice *notice;
    int outcome = weir_next(cluster->weir, &notice);
    ck_assert_msg(outcome == 0, "outcome %d: %s", outcome, weir_reason_text(cluster->weir));
    ck_assert_int_eq(notice->kind, kind);
    return notice;
}

void cluster_expect_event(struct scripted_cluster *cluster, uint16_t actor, uint64_t counter)
{
    const struct weir_event *event = cluster_expect(cluster, WEIR_NOTICE_EVENT)->event;
    char name[32];
    snprintf(name, sizeof name, "/a/%" PRIu64, counter);
    ck_assert_uint_eq(event->id.actor, actor);
    ck_assert_uint_eq(event->id.counter, counter);
    ck_assert_uint_eq(event->timestamp_ms, SAMPLE_TIMESTAMP_MS);
    ck_assert(bytes_equal(bytes_of(event->name.data, event->name.length), bytes_of_text(name)));
}

void cluster_expect_nothing(struct scripted_cluster *cluster)
{
    const struct weir_notice *notice;
    ck_assert_int_eq(weir_next(cluster->weir, &notice), WEIR_NOTHING);
}

void cluster_expect_cursor(struct scripted_cluster *cluster, uint64_t subscription,
                           const char *expected)
{
    const char *cursor;
    ck_assert_int_eq(weir_cursor(cluster->weir, subscription, &cursor), 0);
    ck_assert_str_eq(cursor, expected);
}

uint64_t cluster_subscribe(struct scripted_cluster *cluster,
                           const struct weir_subscribe_options *options, uint64_t *id_out)
{
    uint64_t subscription;
    int err = weir_subscribe(cluster->weir, options, &subscription);
    ck_assert_msg(err == 0, "%s", weir_reason_text(cluster->weir));
    *id_out = cluster_take(cluster, REQUEST_SUBSCRIBE).id;
    return subscription;
}

uint64_t cluster_produce(struct scripted_cluster *cluster, const char *name)
{
    struct weir_draft draft = {.size = sizeof draft, .name = name, .data = weir_text("x")};
    uint64_t ticket;
    int err = weir_produce(cluster->weir, &draft, 1, NULL, &ticket);
    ck_assert_msg(err == 0, "%s", weir_reason_text(cluster->weir));
    return ticket;
}
