// Rows and events are taken off the answer one by one: a page is not unpacked into memory of its
// own. A struct weir_result is the first thing that programs see of a struct asked, which remembers
// what was taken.

#include "client/result.h"

#include "client/event_view.h"
#include "proto/model/cluster_row.h"
#include "proto/model/namespace_row.h"
#include "proto/model/subscription_row.h"

static_assert(WEIR_UUID_TEXT_SIZE == UUID_TEXT_LENGTH + 1, "a uuid fits");
static_assert(WEIR_MEMBER_RETIRED == (int)CLUSTER_RETIRED &&
                  WEIR_MEMBER_RETIRING == (int)CLUSTER_RETIRING &&
                  WEIR_MEMBER_JOINING == (int)CLUSTER_JOINING &&
                  WEIR_MEMBER_ACTIVE == (int)CLUSTER_ACTIVE,
              "states pass through");
static_assert(WEIR_VERDICT_UNKNOWN == (int)CLUSTER_UNKNOWN &&
                  WEIR_VERDICT_EQUAL == (int)CLUSTER_EQUAL &&
                  WEIR_VERDICT_BEHIND == (int)CLUSTER_BEHIND &&
                  WEIR_VERDICT_AHEAD == (int)CLUSTER_AHEAD &&
                  WEIR_VERDICT_DIVERGED == (int)CLUSTER_DIVERGED,
              "verdicts pass through");

static struct weir_bytes view(struct bytes bytes)
{
    return (struct weir_bytes){.data = bytes.data, .length = bytes.length};
}

static struct weir_id id_view(struct event_id id)
{
    return (struct weir_id){.counter = id.counter, .actor = id.actor};
}

// Zeros where the node sent something else.
static const char *uuid_text(struct bytes uuid, char out[UUID_TEXT_LENGTH + 1])
{
    struct uuid value = {0};
    if (uuid.length == sizeof value.bytes) {
        memcpy(value.bytes, uuid.data, sizeof value.bytes);
    }
    uuid_format(&value, out);
    return out;
}

static void fill_status(struct asked *asked)
{
    const struct reply_status *status = &asked->reply.status;
    asked->alarms = status->alarms;
    asked->status = (struct weir_node_status){
        .version = view(status->version),
        .uptime_ms = status->uptime_ms,
        .cluster_name = view(status->cluster_name),
        .cluster = uuid_text(status->cluster, asked->cluster_uuid),
        .node = uuid_text(status->node, asked->node_uuid),
        .actor = status->actor,
        .events = status->events,
        .bytes = status->bytes,
        .namespaces = status->namespaces,
        .connections = status->connections,
        .subscriptions = status->subscriptions,
        .memory_bytes = status->memory_bytes,
        .disk_used_bytes = status->disk_used_bytes,
        .disk_free_bytes = status->disk_free_bytes,
        .index_behind = status->index_behind,
    };
    asked->result.status = &asked->status;
}

static void fill_cluster(struct asked *asked)
{
    const struct reply_cluster *cluster = &asked->reply.cluster_status;
    asked->rest = cluster->members;
    asked->alarms = cluster->alarms;
    asked->cluster = (struct weir_cluster_status){
        .cluster_name = view(cluster->cluster_name),
        .cluster = uuid_text(cluster->cluster, asked->cluster_uuid),
        .node = uuid_text(cluster->node, asked->node_uuid),
        .actor = cluster->actor,
        .phase = view(cluster->phase),
        .may_produce = cluster->may_produce,
        .why_not = view(cluster->why_not),
        .frontier = cluster->frontier,
        .waits_for = cluster->waits_for,
        .events_applied = cluster->events_applied,
        .events_duplicate = cluster->events_duplicate,
        .damaged_chunks = cluster->damaged_chunks,
        .repaired_chunks = cluster->repaired_chunks,
        .scrub_checked = cluster->scrub_checked,
        .scrub_total = cluster->scrub_total,
        .text = view(cluster->text),
    };
    asked->result.cluster = &asked->cluster;
}

static void fill_subscriptions(struct asked *asked)
{
    struct bytes text = asked->reply.subscriptions.text;
    asked->rest = asked->reply.subscriptions.rows;
    asked->consumers = asked->reply.subscriptions.consumers;
    asked->result.has_more = asked->reply.subscriptions.more && asked->rest.length > 0;
    if (text.length > 0) {
        reason_set(&asked->reason, 0, "%.*s", (int)text.length, (const char *)text.data);
        asked->result.remark = asked->reason.text;
    }
}

void result_fill(struct asked *asked)
{
    switch (asked->result.kind) {
    case WEIR_RESULT_PONG:
        break;
    case WEIR_RESULT_SUBSCRIPTIONS:
        fill_subscriptions(asked);
        break;
    case WEIR_RESULT_EVENTS:
        events_init(&asked->walk, asked->reply.events, false, &asked->scratch, NULL);
        break;
    case WEIR_RESULT_NAMESPACES:
        asked->rest = asked->reply.namespaces.rows;
        asked->result.has_more = asked->reply.namespaces.more && asked->rest.length > 0;
        break;
    case WEIR_RESULT_STATUS:
        fill_status(asked);
        break;
    case WEIR_RESULT_CLUSTER:
        fill_cluster(asked);
        break;
    }
}

// Every result that programs have is in a struct asked of this library, which is not constant.
static struct asked *asked_of(const struct weir_result *result)
{
    return container_of(result, struct asked, result);
}

int weir_result_event(const struct weir_result *result, const struct weir_event **event_out)
{
    struct asked *asked = asked_of(result);
    struct received_event received;
    if (result->kind != WEIR_RESULT_EVENTS || result->err != 0) {
        return WEIR_NOTHING;
    }
    int outcome = events_next(&asked->walk, &received);
    if (outcome != 0) {
        return outcome == EVENTS_END ? WEIR_NOTHING : outcome;
    }
    event_view(&received, 0, &asked->event);
    *event_out = &asked->event;
    return 0;
}

int weir_result_namespace(const struct weir_result *result, const struct weir_namespace **row_out)
{
    struct asked *asked = asked_of(result);
    struct namespace_row row;
    if (result->kind != WEIR_RESULT_NAMESPACES || asked->rest.length == 0) {
        return WEIR_NOTHING;
    }
    if (namespace_row_next(&asked->rest, &row) != 0) {
        return WEIR_ERR_CORRUPT;
    }
    asked->row = (struct weir_namespace){
        .name = view(row.name),
        .events = row.events,
        .bytes = row.bytes,
        .first = id_view(row.first),
        .last = id_view(row.last),
        .first_timestamp_ms = row.first_timestamp_ms,
        .last_timestamp_ms = row.last_timestamp_ms,
    };
    *row_out = &asked->row;
    return 0;
}

int weir_result_member(const struct weir_result *result, const struct weir_member **row_out)
{
    struct asked *asked = asked_of(result);
    struct cluster_row row;
    if (result->kind != WEIR_RESULT_CLUSTER || asked->rest.length == 0) {
        return WEIR_NOTHING;
    }
    if (cluster_row_next(&asked->rest, &row) != 0) {
        return WEIR_ERR_CORRUPT;
    }
    asked->member = (struct weir_member){
        .actor = row.actor,
        .state = (enum weir_member_state)row.state,
        .verdict = (enum weir_verdict)row.verdict,
        .is_self = row.flags & CLUSTER_ROW_SELF,
        .is_connected = row.flags & CLUSTER_ROW_CONNECTED,
        .is_source_direct = row.flags & CLUSTER_ROW_SOURCE_DIRECT,
        .source = row.source,
        .run = row.run,
        .held = row.held,
        .claimed = row.claimed,
        .lag_ms = row.lag_ms,
        .promised = row.promised,
        .seal = row.seal,
        .diverged_actor = row.diverged_actor,
        .diverged_since = row.diverged_since,
        .address = view(row.address),
        .version = view(row.version),
    };
    uuid_format(&row.node, asked->member.node);
    *row_out = &asked->member;
    return 0;
}

// As text with a NUL; empty on failure.
static int write_cursor(struct bytes encoded, struct buffer *out)
{
    struct version_vector vector = {0};
    int err = version_vector_decode(&encoded, &vector);
    err = err == 0 || err == ERR_MEMORY ? err : ERR_CORRUPT;
    buffer_clear(out);
    err = err ? err : version_vector_format(&vector, out);
    err = err ? err : buffer_append(out, bytes_of("", 1));
    version_vector_deinit(&vector);
    if (err) {
        buffer_clear(out);
    }
    return err;
}

int weir_result_subscription(const struct weir_result *result,
                             const struct weir_subscription_row **row_out)
{
    struct asked *asked = asked_of(result);
    struct subscription_row row;
    struct bytes rest = asked->rest;
    if (result->kind != WEIR_RESULT_SUBSCRIPTIONS || rest.length == 0) {
        return WEIR_NOTHING;
    }
    if (subscription_row_next(&rest, &row) != 0) {
        return WEIR_ERR_CORRUPT;
    }
    int err = definition_write(&row.definition, &asked->wanted_memory, &asked->wanted);
    err = err ? err : write_cursor(row.cursor, &asked->position_text);
    if (err != 0) {
        return err;
    }
    asked->rest = rest;
    asked->subscription = (struct weir_subscription_row){
        .name = view(row.name),
        .generation = id_view(row.generation),
        .definition = &asked->wanted,
        .cursor = (const char *)asked->position_text.data,
        .lag_events = row.lag_events,
        .lag_ms = row.lag_ms,
        .voids = row.voids,
        .void_last = id_view(row.void_last),
        .is_coordinated = row.flags & SUBSCRIPTION_ROW_COORDINATED,
        .coordinator = row.coordinator,
        .consumers = row.consumers,
        .in_flight = row.in_flight,
        .waiting = row.waiting,
        .delivered = row.delivered,
        .redelivered = row.redelivered,
        .acked = row.acked,
        .parked = row.parked,
    };
    *row_out = &asked->subscription;
    return 0;
}

int weir_result_consumer(const struct weir_result *result,
                         const struct weir_subscription_consumer **consumer_out)
{
    struct asked *asked = asked_of(result);
    struct subscription_consumer consumer;
    if (result->kind != WEIR_RESULT_SUBSCRIPTIONS || asked->consumers.length == 0) {
        return WEIR_NOTHING;
    }
    if (subscription_consumer_next(&asked->consumers, &consumer) != 0) {
        return WEIR_ERR_CORRUPT;
    }
    asked->consumer = (struct weir_subscription_consumer){
        .client = view(consumer.client),
        .number = consumer.id,
        .actor = consumer.actor,
        .in_flight = consumer.in_flight,
        .attached_ms = consumer.attached_ms,
        .delivered = consumer.delivered,
        .acked = consumer.acked,
    };
    *consumer_out = &asked->consumer;
    return 0;
}

int weir_result_alarm(const struct weir_result *result, const struct weir_alarm **alarm_out)
{
    struct asked *asked = asked_of(result);
    struct bytes rest = asked->alarms;
    if (rest.length == 0) {
        return WEIR_NOTHING;
    }
    const uint8_t *end = memchr(rest.data, '\n', rest.length);
    struct bytes line = bytes_of(rest.data, end ? (size_t)(end - rest.data) : rest.length);
    size_t passed = line.length + (end != NULL);
    asked->alarms = bytes_of(rest.data + passed, rest.length - passed);
    const uint8_t *colon = line.length > 0 ? memchr(line.data, ':', line.length) : NULL;
    size_t code_length = colon ? (size_t)(colon - line.data) : 0;
    size_t text_start = colon ? code_length + 1 : 0;
    if (colon && text_start < line.length && line.data[text_start] == ' ') {
        text_start++;
    }
    asked->alarm = (struct weir_alarm){
        .line = view(line),
        .code = {.data = line.data, .length = code_length},
        .text = {.data = line.data + text_start, .length = line.length - text_start},
    };
    *alarm_out = &asked->alarm;
    return 0;
}

int weir_result_cursor(const struct weir_result *result, const char **cursor_out)
{
    struct asked *asked = asked_of(result);
    struct bytes encoded = asked->reply.cursor;
    if (result->err != 0 || encoded.length == 0) {
        return WEIR_NOTHING;
    }
    int err = asked->cursor_text.length == 0 ? write_cursor(encoded, &asked->cursor_text) : 0;
    if (err != 0) {
        return err;
    }
    *cursor_out = (const char *)asked->cursor_text.data;
    return 0;
}
