// Numbers are drawn by their length in bits, so that every msgpack form of an integer turns up;
// texts and bins by lengths around the limits of their forms. Optional parts are there half of the
// time.

#include "tests/unit/proto/wire/sample_message.h"

#include <check.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/position.h"
#include "tests/unit/proto/model/sample_definition.h"

const enum request_kind REQUEST_KINDS[] = {
    REQUEST_HELLO,    REQUEST_PING,       REQUEST_PRODUCE, REQUEST_SUBSCRIBE,
    REQUEST_CREDIT,   REQUEST_STOP,       REQUEST_GET,     REQUEST_LAST,
    REQUEST_NEIGHBOR, REQUEST_NAMESPACES, REQUEST_STATUS,  REQUEST_CLUSTER,
    REQUEST_ATTACH,   REQUEST_ACK,        REQUEST_NACK,    REQUEST_SUBSCRIPTIONS,
};
const size_t REQUEST_KINDS_COUNT = sizeof REQUEST_KINDS / sizeof REQUEST_KINDS[0];

const enum reply_kind REPLY_KINDS[] = {
    REPLY_HELLO,         REPLY_PONG,        REPLY_PRODUCED,
    REPLY_SUBSCRIBED,    REPLY_EVENTS,      REPLY_NAMESPACES,
    REPLY_STATUS,        REPLY_ERROR,       DELIVERY_CHUNKS,
    DELIVERY_SLICES,     DELIVERY_MARK,     DELIVERY_END,
    REPLY_CLUSTER,       REPLY_ATTACHED,    REPLY_ACKED,
    REPLY_SUBSCRIPTIONS, DELIVERY_ASSIGNED, DELIVERY_ASSIGNED_CHUNKS,
};
const size_t REPLY_KINDS_COUNT = sizeof REPLY_KINDS / sizeof REPLY_KINDS[0];

void sample_init(struct sample *sample, uint64_t seed)
{
    *sample = (struct sample){.arena = malloc(SAMPLE_ARENA_BYTES)};
    ck_assert_ptr_nonnull(sample->arena);
    random_init(&sample->random, seed);
}

void sample_deinit(struct sample *sample)
{
    free(sample->arena);
}

static uint64_t number(struct sample *sample, unsigned bits)
{
    uint64_t length = random_below(&sample->random, bits + 1);
    return length == 0 ? 0 : random_u64(&sample->random) >> (64 - length);
}

static uint32_t number32(struct sample *sample)
{
    return (uint32_t)number(sample, 32);
}

static bool toss(struct sample *sample)
{
    return random_below(&sample->random, 2) == 1;
}

static struct bytes keep(struct sample *sample, size_t length)
{
    ck_assert_uint_le(length, SAMPLE_ARENA_BYTES - sample->used);
    struct bytes bytes = bytes_of(sample->arena + sample->used, length);
    random_bytes(&sample->random, sample->arena + sample->used, length);
    sample->used += length;
    return bytes;
}

static struct bytes bytes_up_to(struct sample *sample, size_t length_max)
{
    static const size_t LENGTHS[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    size_t length = LENGTHS[random_below(&sample->random, sizeof LENGTHS / sizeof LENGTHS[0])];
    if (length > length_max || toss(sample)) {
        size_t usual = length_max < 64 ? length_max : 64;
        length = random_below(&sample->random, usual + 1);
    }
    return keep(sample, length);
}

static struct event_id event_id(struct sample *sample)
{
    return (struct event_id){.counter = number(sample, 64), .actor = (uint16_t)number(sample, 16)};
}

static struct bytes cursor(struct sample *sample)
{
    struct version_vector vector = {0};
    for (uint64_t left = random_below(&sample->random, 20); left > 0; left--) {
        uint16_t actor = (uint16_t)(1 + number(sample, 16) % ACTORS_MAX);
        ck_assert_int_eq(version_vector_set(&vector, actor, number(sample, 63)), 0);
    }
    struct buffer encoded = {0};
    ck_assert_int_eq(version_vector_encode(&vector, &encoded), 0);
    ck_assert_uint_le(encoded.length, SAMPLE_ARENA_BYTES - sample->used);
    struct bytes kept = bytes_of(sample->arena + sample->used, encoded.length);
    memcpy(sample->arena + sample->used, encoded.data, encoded.length);
    sample->used += encoded.length;
    buffer_deinit(&encoded);
    version_vector_deinit(&vector);
    return kept;
}

static struct request_after after(struct sample *sample)
{
    if (toss(sample)) {
        return (struct request_after){0};
    }
    return (struct request_after){.cursor = cursor(sample), .timeout_ms = number32(sample)};
}

static uint32_t filter(struct sample *sample, struct filter_entry *entries)
{
    uint32_t count = (uint32_t)random_below(&sample->random, 4);
    if (random_below(&sample->random, 16) == 0) {
        count = PATTERNS_TOTAL_MAX;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t length = random_below(&sample->random, 300);
        entries[i] = (struct filter_entry){.text = keep(sample, length), .is_exact = toss(sample)};
    }
    return count;
}

static void sample_subscribe(struct sample *sample, struct request_subscribe *subscribe)
{
    subscribe->after = after(sample);
    subscribe->entries_count = filter(sample, subscribe->entries);
    subscribe->start = (enum start_kind)random_below(&sample->random, START_LAST + 1);
    subscribe->start_id = event_id(sample);
    subscribe->start_cursor = cursor(sample);
    subscribe->start_time_ms = number(sample, 64);
    subscribe->start_last = number(sample, 64);
    subscribe->end = (enum end_kind)random_below(&sample->random, END_CURSOR + 1);
    subscribe->end_cursor = cursor(sample);
    subscribe->limit = number(sample, 64);
    subscribe->credit_bytes = number(sample, 64);
    subscribe->heartbeat_ms = number32(sample);
    subscribe->is_stable_order = toss(sample);
    subscribe->wants_marks = toss(sample);
    subscribe->attributes_count = (uint32_t)random_below(&sample->random, 4);
    if (random_below(&sample->random, 16) == 0) {
        subscribe->attributes_count = ATTRIBUTE_MATCHES_MAX;
    }
    for (uint32_t i = 0; i < subscribe->attributes_count; i++) {
        subscribe->attributes[i].name = keep(sample, random_below(&sample->random, 300));
        subscribe->attributes[i].value = keep(sample, random_below(&sample->random, 300));
    }
    subscribe->timestamp_min_ms = number(sample, 64);
}

static struct request_start start(struct sample *sample)
{
    return (struct request_start){
        .kind = (enum start_kind)random_below(&sample->random, START_AT_TIME + 1),
        .id = event_id(sample),
        .cursor = cursor(sample),
        .time_ms = number(sample, 64),
    };
}

static void sample_attach(struct sample *sample, struct request_attach *attach)
{
    attach->after = after(sample);
    attach->name = bytes_up_to(sample, 256);
    attach->in_flight = (uint32_t)number(sample, 14);
    attach->credit_bytes = number(sample, 64);
    attach->heartbeat_ms = number32(sample);
    attach->create = toss(sample);
    attach->client = bytes_up_to(sample, 300);
    attach->start = start(sample);
    sample_definition(&sample->random, &attach->definition);
}

static void sample_subscriptions(struct sample *sample, struct request_subscriptions *subscriptions)
{
    subscriptions->after = after(sample);
    subscriptions->which =
        (enum subscriptions_request_kind)random_below(&sample->random, SUBSCRIPTIONS_DELETE + 1);
    subscriptions->name = bytes_up_to(sample, 256);
    subscriptions->after_name = bytes_up_to(sample, 256);
    subscriptions->start = start(sample);
    sample_definition(&sample->random, &subscriptions->definition);
}

static struct bytes ranges(struct sample *sample)
{
    struct buffer encoded = {0};
    for (uint64_t left = random_below(&sample->random, 4); left > 0; left--) {
        struct done_range range = {.actor = (uint16_t)(1 + number(sample, 16) % ACTORS_MAX)};
        range.first = 1 + number(sample, 60);
        range.last = range.first + number(sample, 60);
        ck_assert_int_eq(done_range_append(&encoded, &range), 0);
    }
    struct bytes kept = keep(sample, encoded.length);
    if (encoded.length > 0) {
        memcpy(sample->arena + sample->used - encoded.length, encoded.data, encoded.length);
    }
    buffer_deinit(&encoded);
    return kept;
}

static void sample_cluster(struct sample *sample, struct request_cluster *cluster)
{
    *cluster = (struct request_cluster){
        .which = (enum cluster_request_kind)random_below(&sample->random, CLUSTER_FORGIVE + 1),
        .actor = (uint16_t)number(sample, 16),
        .first = number(sample, 63),
        .last = number(sample, 63),
        .is_forced = toss(sample),
    };
}

static void sample_ack(struct sample *sample, struct request_ack *ack)
{
    ack->attachment = number(sample, 64);
    ack->up_to = toss(sample) ? event_id(sample) : (struct event_id){0};
    ack->ranges = ranges(sample);
}

static void sample_nack(struct sample *sample, struct request_nack *nack)
{
    nack->attachment = number(sample, 64);
    nack->ranges = ranges(sample);
    nack->delay_ms = number32(sample);
    nack->reason = bytes_up_to(sample, 300);
}

static void sample_last(struct sample *sample, struct request_last *last)
{
    last->after = after(sample);
    last->entries_count = filter(sample, last->entries);
    last->events_max = number32(sample);
}

void sample_request(struct sample *sample, enum request_kind kind, struct request *request_out)
{
    sample->used = 0;
    memset(request_out, 0, sizeof *request_out);
    request_out->kind = kind;
    request_out->id = number(sample, 64) | 1;
    switch (kind) {
    case REQUEST_PING:
    case REQUEST_STOP:
    case REQUEST_STATUS:
        return;
    case REQUEST_HELLO:
        request_out->hello = (struct request_hello){
            .version_min = number32(sample),
            .version_max = number32(sample),
            .client_name = bytes_up_to(sample, NAME_BYTES_MAX),
            .features = number32(sample),
        };
        return;
    case REQUEST_PRODUCE:
        request_out->produce = (struct request_produce){
            .after = after(sample),
            .events_count = number32(sample),
            .events = bytes_up_to(sample, 65536),
            .replicas = toss(sample) ? number32(sample) : 0,
            .replicas_timeout_ms = toss(sample) ? number32(sample) : 0,
        };
        return;
    case REQUEST_CLUSTER:
        sample_cluster(sample, &request_out->cluster);
        return;
    case REQUEST_SUBSCRIBE:
        sample_subscribe(sample, &request_out->subscribe);
        return;
    case REQUEST_CREDIT:
        request_out->credit.bytes = number(sample, 64);
        return;
    case REQUEST_GET:
        request_out->get = (struct request_get){.after = after(sample), .event = event_id(sample)};
        return;
    case REQUEST_LAST:
        sample_last(sample, &request_out->last);
        return;
    case REQUEST_NEIGHBOR:
        request_out->neighbor.after = after(sample);
        request_out->neighbor.which = (enum neighbor_kind)random_below(&sample->random, 3);
        request_out->neighbor.event = event_id(sample);
        request_out->neighbor.entries_count = filter(sample, request_out->neighbor.entries);
        return;
    case REQUEST_NAMESPACES:
        request_out->namespaces = (struct request_namespaces){
            .after = after(sample),
            .pattern = bytes_up_to(sample, PATTERN_BYTES_MAX),
            .after_name = bytes_up_to(sample, NAMESPACE_BYTES_MAX),
            .page_max = number32(sample),
        };
        return;
    case REQUEST_ATTACH:
        sample_attach(sample, &request_out->attach);
        return;
    case REQUEST_ACK:
        sample_ack(sample, &request_out->ack);
        return;
    case REQUEST_NACK:
        sample_nack(sample, &request_out->nack);
        return;
    case REQUEST_SUBSCRIPTIONS:
        sample_subscriptions(sample, &request_out->subscriptions);
        return;
    }
}

static struct reply_hello reply_hello(struct sample *sample)
{
    return (struct reply_hello){
        .version = number32(sample),
        .server_version = bytes_up_to(sample, 300),
        .features = number32(sample),
        .actor = (uint16_t)number(sample, 16),
        .cluster_name = bytes_up_to(sample, 300),
        .cluster = keep(sample, 16),
        .node = keep(sample, 16),
        .data_bytes_max = number(sample, 64),
    };
}

static struct reply_status reply_status(struct sample *sample)
{
    return (struct reply_status){
        .version = bytes_up_to(sample, 300),
        .uptime_ms = number(sample, 64),
        .cluster_name = bytes_up_to(sample, 300),
        .cluster = keep(sample, 16),
        .node = keep(sample, 16),
        .actor = (uint16_t)number(sample, 16),
        .events = number(sample, 64),
        .bytes = number(sample, 64),
        .namespaces = number(sample, 64),
        .connections = number(sample, 64),
        .subscriptions = number(sample, 64),
        .memory_bytes = number(sample, 64),
        .disk_used_bytes = number(sample, 64),
        .disk_free_bytes = number(sample, 64),
        .index_behind = number(sample, 64),
        .alarms = bytes_up_to(sample, 65536),
    };
}

static struct reply_cluster reply_cluster(struct sample *sample)
{
    return (struct reply_cluster){
        .cluster_name = bytes_up_to(sample, 300),
        .cluster = keep(sample, 16),
        .node = keep(sample, 16),
        .actor = (uint16_t)number(sample, 16),
        .phase = bytes_up_to(sample, 32),
        .may_produce = toss(sample),
        .why_not = bytes_up_to(sample, 300),
        .frontier = number(sample, 64),
        .waits_for = (uint16_t)number(sample, 16),
        .events_applied = number(sample, 64),
        .events_duplicate = number(sample, 64),
        .damaged_chunks = number(sample, 64),
        .repaired_chunks = number(sample, 64),
        .scrub_checked = number(sample, 64),
        .scrub_total = number(sample, 64),
        .text = bytes_up_to(sample, 300),
        .members = bytes_up_to(sample, 65536),
        .alarms = bytes_up_to(sample, 300),
    };
}

void sample_reply(struct sample *sample, enum reply_kind kind, struct reply *reply_out)
{
    sample->used = 0;
    *reply_out = (struct reply){.kind = kind, .id = number(sample, 64)};
    reply_out->cursor = toss(sample) ? cursor(sample) : (struct bytes){0};
    switch (kind) {
    case REPLY_PONG:
    case REPLY_SUBSCRIBED:
        return;
    case REPLY_HELLO:
        reply_out->hello = reply_hello(sample);
        return;
    case REPLY_PRODUCED:
        reply_out->produced = (struct reply_produced){
            .first = event_id(sample),
            .count = number32(sample),
            .nodes_durable = number32(sample),
            .remarks = number32(sample),
        };
        return;
    case REPLY_EVENTS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        reply_out->events = bytes_up_to(sample, 65536);
        return;
    case REPLY_NAMESPACES:
        reply_out->namespaces.rows = bytes_up_to(sample, 65536);
        reply_out->namespaces.more = toss(sample);
        return;
    case REPLY_STATUS:
        reply_out->status = reply_status(sample);
        return;
    case REPLY_CLUSTER:
        reply_out->cluster_status = reply_cluster(sample);
        return;
    case REPLY_ATTACHED:
        reply_out->attached.generation = event_id(sample);
        reply_out->attached.is_created = toss(sample);
        reply_out->attached.remark = bytes_up_to(sample, 300);
        reply_out->attached.coordinator = keep(sample, 16);
        return;
    case REPLY_ACKED:
        reply_out->acked.count = number(sample, 64);
        return;
    case REPLY_SUBSCRIPTIONS:
        reply_out->subscriptions.text = bytes_up_to(sample, 300);
        reply_out->subscriptions.more = toss(sample);
        reply_out->subscriptions.rows = bytes_up_to(sample, 65536);
        reply_out->subscriptions.consumers = bytes_up_to(sample, 1000);
        return;
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        reply_out->assigned.attempt = number32(sample);
        reply_out->assigned.slices = bytes_up_to(sample, 65536);
        return;
    case REPLY_ERROR:
        reply_out->error.code = number32(sample);
        reply_out->error.text = bytes_up_to(sample, 300);
        return;
    case DELIVERY_MARK:
        reply_out->mark.kind = number32(sample);
        reply_out->mark.passed = number(sample, 64);
        reply_out->mark.at = toss(sample) ? event_id(sample) : (struct event_id){0};
        return;
    case DELIVERY_END:
        reply_out->end.reason = number32(sample);
        reply_out->end.delivered = number(sample, 64);
        return;
    }
}
