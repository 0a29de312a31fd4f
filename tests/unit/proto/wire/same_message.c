// Field by field, so that a failure names the field; what a kind of message, of start or of end
// does not use is not looked at.

#include <check.h>

#include "tests/unit/proto/wire/sample_message.h"

static void assert_same_bytes(struct bytes a, struct bytes b)
{
    ck_assert_uint_eq(a.length, b.length);
    ck_assert(bytes_equal(a, b));
}

static void assert_same_after(const struct request_after *a, const struct request_after *b)
{
    assert_same_bytes(a->cursor, b->cursor);
    if (a->cursor.length > 0) {
        ck_assert_uint_eq(a->timeout_ms, b->timeout_ms);
    }
}

static void assert_same_id(struct event_id a, struct event_id b)
{
    ck_assert_uint_eq(a.counter, b.counter);
    ck_assert_uint_eq(a.actor, b.actor);
}

static void assert_same_filter(const struct filter_entry *a, uint32_t a_count,
                               const struct filter_entry *b, uint32_t b_count)
{
    ck_assert_uint_eq(a_count, b_count);
    for (uint32_t i = 0; i < a_count; i++) {
        ck_assert_int_eq(a[i].is_exact, b[i].is_exact);
        assert_same_bytes(a[i].text, b[i].text);
    }
}

static void assert_same_start(const struct request_start *a, const struct request_start *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    switch (a->kind) {
    case START_BEGINNING:
    case START_END:
    case START_LAST:
        return;
    case START_AT_AFTER_ID:
    case START_AT_ID:
        assert_same_id(a->id, b->id);
        return;
    case START_AT_CURSOR:
        assert_same_bytes(a->cursor, b->cursor);
        return;
    case START_AT_TIME:
        ck_assert_uint_eq(a->time_ms, b->time_ms);
        return;
    }
}

static struct request_start start_of(const struct request_subscribe *subscribe)
{
    return (struct request_start){
        .kind = subscribe->start,
        .id = subscribe->start_id,
        .cursor = subscribe->start_cursor,
        .time_ms = subscribe->start_time_ms,
    };
}

static void assert_same_subscribe(const struct request_subscribe *a,
                                  const struct request_subscribe *b)
{
    assert_same_after(&a->after, &b->after);
    assert_same_filter(a->entries, a->entries_count, b->entries, b->entries_count);
    struct request_start a_start = start_of(a);
    struct request_start b_start = start_of(b);
    assert_same_start(&a_start, &b_start);
    if (a->start == START_LAST) {
        ck_assert_uint_eq(a->start_last, b->start_last);
    }
    ck_assert_int_eq(a->end, b->end);
    if (a->end == END_CURSOR) {
        assert_same_bytes(a->end_cursor, b->end_cursor);
    }
    ck_assert_uint_eq(a->limit, b->limit);
    ck_assert_uint_eq(a->credit_bytes, b->credit_bytes);
    ck_assert_uint_eq(a->heartbeat_ms, b->heartbeat_ms);
    ck_assert_int_eq(a->is_stable_order, b->is_stable_order);
    ck_assert_int_eq(a->wants_marks, b->wants_marks);
    ck_assert_uint_eq(a->attributes_count, b->attributes_count);
    for (uint32_t i = 0; i < a->attributes_count; i++) {
        assert_same_bytes(a->attributes[i].name, b->attributes[i].name);
        assert_same_bytes(a->attributes[i].value, b->attributes[i].value);
    }
    ck_assert_uint_eq(a->timestamp_min_ms, b->timestamp_min_ms);
}

static void assert_same_neighbor(const struct request_neighbor *a, const struct request_neighbor *b)
{
    assert_same_after(&a->after, &b->after);
    ck_assert_int_eq(a->which, b->which);
    if (a->which != NEIGHBOR_FIRST) {
        assert_same_id(a->event, b->event);
    }
    assert_same_filter(a->entries, a->entries_count, b->entries, b->entries_count);
}

static void assert_same_attach(const struct request_attach *a, const struct request_attach *b)
{
    assert_same_after(&a->after, &b->after);
    assert_same_bytes(a->name, b->name);
    ck_assert_uint_eq(a->in_flight, b->in_flight);
    ck_assert_uint_eq(a->credit_bytes, b->credit_bytes);
    ck_assert_uint_eq(a->heartbeat_ms, b->heartbeat_ms);
    ck_assert_int_eq(a->create, b->create);
    assert_same_bytes(a->client, b->client);
    assert_same_start(&a->start, &b->start);
    ck_assert(subscription_definition_equal(&a->definition, &b->definition));
}

static void assert_same_ack(const struct request_ack *a, const struct request_ack *b)
{
    ck_assert_uint_eq(a->attachment, b->attachment);
    assert_same_id(a->up_to, b->up_to);
    assert_same_bytes(a->ranges, b->ranges);
}

static void assert_same_nack(const struct request_nack *a, const struct request_nack *b)
{
    ck_assert_uint_eq(a->attachment, b->attachment);
    assert_same_bytes(a->ranges, b->ranges);
    ck_assert_uint_eq(a->delay_ms, b->delay_ms);
    assert_same_bytes(a->reason, b->reason);
}

static void assert_same_subscriptions(const struct request_subscriptions *a,
                                      const struct request_subscriptions *b)
{
    assert_same_after(&a->after, &b->after);
    ck_assert_int_eq(a->which, b->which);
    assert_same_bytes(a->name, b->name);
    assert_same_bytes(a->after_name, b->after_name);
    assert_same_start(&a->start, &b->start);
    ck_assert(subscription_definition_equal(&a->definition, &b->definition));
}

void assert_same_request(const struct request *a, const struct request *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->id, b->id);
    switch (a->kind) {
    case REQUEST_PING:
    case REQUEST_STOP:
    case REQUEST_STATUS:
        return;
    case REQUEST_HELLO:
        ck_assert_uint_eq(a->hello.version_min, b->hello.version_min);
        ck_assert_uint_eq(a->hello.version_max, b->hello.version_max);
        assert_same_bytes(a->hello.client_name, b->hello.client_name);
        ck_assert_uint_eq(a->hello.features, b->hello.features);
        return;
    case REQUEST_PRODUCE:
        assert_same_after(&a->produce.after, &b->produce.after);
        ck_assert_uint_eq(a->produce.events_count, b->produce.events_count);
        assert_same_bytes(a->produce.events, b->produce.events);
        ck_assert_uint_eq(a->produce.replicas, b->produce.replicas);
        ck_assert_uint_eq(a->produce.replicas_timeout_ms, b->produce.replicas_timeout_ms);
        return;
    case REQUEST_CLUSTER:
        ck_assert_int_eq(a->cluster.which, b->cluster.which);
        ck_assert_uint_eq(a->cluster.actor, b->cluster.actor);
        ck_assert_uint_eq(a->cluster.first, b->cluster.first);
        ck_assert_uint_eq(a->cluster.last, b->cluster.last);
        ck_assert_int_eq(a->cluster.is_forced, b->cluster.is_forced);
        return;
    case REQUEST_SUBSCRIBE:
        assert_same_subscribe(&a->subscribe, &b->subscribe);
        return;
    case REQUEST_CREDIT:
        ck_assert_uint_eq(a->credit.bytes, b->credit.bytes);
        return;
    case REQUEST_GET:
        assert_same_after(&a->get.after, &b->get.after);
        assert_same_id(a->get.event, b->get.event);
        return;
    case REQUEST_LAST:
        assert_same_after(&a->last.after, &b->last.after);
        ck_assert_uint_eq(a->last.events_max, b->last.events_max);
        assert_same_filter(a->last.entries, a->last.entries_count, b->last.entries,
                           b->last.entries_count);
        return;
    case REQUEST_NEIGHBOR:
        assert_same_neighbor(&a->neighbor, &b->neighbor);
        return;
    case REQUEST_NAMESPACES:
        assert_same_after(&a->namespaces.after, &b->namespaces.after);
        assert_same_bytes(a->namespaces.pattern, b->namespaces.pattern);
        assert_same_bytes(a->namespaces.after_name, b->namespaces.after_name);
        ck_assert_uint_eq(a->namespaces.page_max, b->namespaces.page_max);
        return;
    case REQUEST_ATTACH:
        assert_same_attach(&a->attach, &b->attach);
        return;
    case REQUEST_ACK:
        assert_same_ack(&a->ack, &b->ack);
        return;
    case REQUEST_NACK:
        assert_same_nack(&a->nack, &b->nack);
        return;
    case REQUEST_SUBSCRIPTIONS:
        assert_same_subscriptions(&a->subscriptions, &b->subscriptions);
        return;
    }
}

static void assert_same_hello(const struct reply_hello *a, const struct reply_hello *b)
{
    ck_assert_uint_eq(a->version, b->version);
    assert_same_bytes(a->server_version, b->server_version);
    ck_assert_uint_eq(a->features, b->features);
    ck_assert_uint_eq(a->actor, b->actor);
    assert_same_bytes(a->cluster_name, b->cluster_name);
    assert_same_bytes(a->cluster, b->cluster);
    assert_same_bytes(a->node, b->node);
    ck_assert_uint_eq(a->data_bytes_max, b->data_bytes_max);
}

static void assert_same_status(const struct reply_status *a, const struct reply_status *b)
{
    assert_same_bytes(a->version, b->version);
    ck_assert_uint_eq(a->uptime_ms, b->uptime_ms);
    assert_same_bytes(a->cluster_name, b->cluster_name);
    assert_same_bytes(a->cluster, b->cluster);
    assert_same_bytes(a->node, b->node);
    ck_assert_uint_eq(a->actor, b->actor);
    ck_assert_uint_eq(a->events, b->events);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_uint_eq(a->namespaces, b->namespaces);
    ck_assert_uint_eq(a->connections, b->connections);
    ck_assert_uint_eq(a->subscriptions, b->subscriptions);
    ck_assert_uint_eq(a->memory_bytes, b->memory_bytes);
    ck_assert_uint_eq(a->disk_used_bytes, b->disk_used_bytes);
    ck_assert_uint_eq(a->disk_free_bytes, b->disk_free_bytes);
    ck_assert_uint_eq(a->index_behind, b->index_behind);
    assert_same_bytes(a->alarms, b->alarms);
}

static void assert_same_cluster(const struct reply_cluster *a, const struct reply_cluster *b)
{
    assert_same_bytes(a->cluster_name, b->cluster_name);
    assert_same_bytes(a->cluster, b->cluster);
    assert_same_bytes(a->node, b->node);
    ck_assert_uint_eq(a->actor, b->actor);
    assert_same_bytes(a->phase, b->phase);
    ck_assert_int_eq(a->may_produce, b->may_produce);
    assert_same_bytes(a->why_not, b->why_not);
    ck_assert_uint_eq(a->frontier, b->frontier);
    ck_assert_uint_eq(a->waits_for, b->waits_for);
    ck_assert_uint_eq(a->events_applied, b->events_applied);
    ck_assert_uint_eq(a->events_duplicate, b->events_duplicate);
    ck_assert_uint_eq(a->damaged_chunks, b->damaged_chunks);
    ck_assert_uint_eq(a->repaired_chunks, b->repaired_chunks);
    ck_assert_uint_eq(a->scrub_checked, b->scrub_checked);
    ck_assert_uint_eq(a->scrub_total, b->scrub_total);
    assert_same_bytes(a->text, b->text);
    assert_same_bytes(a->members, b->members);
    assert_same_bytes(a->alarms, b->alarms);
}

void assert_same_reply(const struct reply *a, const struct reply *b)
{
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->id, b->id);
    assert_same_bytes(a->cursor, b->cursor);
    switch ((enum reply_kind)a->kind) {
    case REPLY_PONG:
    case REPLY_SUBSCRIBED:
        return;
    case REPLY_HELLO:
        assert_same_hello(&a->hello, &b->hello);
        return;
    case REPLY_PRODUCED:
        assert_same_id(a->produced.first, b->produced.first);
        ck_assert_uint_eq(a->produced.count, b->produced.count);
        ck_assert_uint_eq(a->produced.nodes_durable, b->produced.nodes_durable);
        ck_assert_uint_eq(a->produced.remarks, b->produced.remarks);
        return;
    case REPLY_EVENTS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        assert_same_bytes(a->events, b->events);
        return;
    case REPLY_NAMESPACES:
        assert_same_bytes(a->namespaces.rows, b->namespaces.rows);
        ck_assert_int_eq(a->namespaces.more, b->namespaces.more);
        return;
    case REPLY_STATUS:
        assert_same_status(&a->status, &b->status);
        return;
    case REPLY_CLUSTER:
        assert_same_cluster(&a->cluster_status, &b->cluster_status);
        return;
    case REPLY_ATTACHED:
        assert_same_id(a->attached.generation, b->attached.generation);
        ck_assert_int_eq(a->attached.is_created, b->attached.is_created);
        assert_same_bytes(a->attached.remark, b->attached.remark);
        assert_same_bytes(a->attached.coordinator, b->attached.coordinator);
        return;
    case REPLY_ACKED:
        ck_assert_uint_eq(a->acked.count, b->acked.count);
        return;
    case REPLY_SUBSCRIPTIONS:
        assert_same_bytes(a->subscriptions.text, b->subscriptions.text);
        ck_assert_int_eq(a->subscriptions.more, b->subscriptions.more);
        assert_same_bytes(a->subscriptions.rows, b->subscriptions.rows);
        assert_same_bytes(a->subscriptions.consumers, b->subscriptions.consumers);
        return;
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        ck_assert_uint_eq(a->assigned.attempt, b->assigned.attempt);
        assert_same_bytes(a->assigned.slices, b->assigned.slices);
        return;
    case REPLY_ERROR:
        ck_assert_uint_eq(a->error.code, b->error.code);
        assert_same_bytes(a->error.text, b->error.text);
        return;
    case DELIVERY_MARK:
        ck_assert_uint_eq(a->mark.kind, b->mark.kind);
        ck_assert_uint_eq(a->mark.passed, b->mark.passed);
        assert_same_id(a->mark.at, b->mark.at);
        return;
    case DELIVERY_END:
        ck_assert_uint_eq(a->end.reason, b->end.reason);
        ck_assert_uint_eq(a->end.delivered, b->end.delivered);
        return;
    }
}
