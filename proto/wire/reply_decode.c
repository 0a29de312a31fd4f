// Bytes to replies. As request_decode.c: one straight run per kind, checked once. Numbers whose
// meanings may grow (error codes, marks, reasons of an end) are passed on as they are.

#include "proto/wire/envelope.h"
#include "proto/wire/message.h"

enum { UUID_LENGTH = 16 };

static struct bytes unpack_uuid(struct unpack *unpack, const char *field)
{
    const uint8_t *uuid = unpack_bin_exact(unpack, UUID_LENGTH, field);
    return uuid ? bytes_of(uuid, UUID_LENGTH) : (struct bytes){0};
}

static uint64_t unpack_u64(struct unpack *unpack, const char *field)
{
    return unpack_uint(unpack, UINT64_MAX, field);
}

static uint32_t unpack_u32(struct unpack *unpack, const char *field)
{
    return (uint32_t)unpack_uint(unpack, UINT32_MAX, field);
}

static uint16_t unpack_u16(struct unpack *unpack, const char *field)
{
    return (uint16_t)unpack_uint(unpack, UINT16_MAX, field);
}

static void unpack_hello(struct unpack *unpack, struct reply_hello *hello)
{
    hello->version = unpack_u32(unpack, "version");
    hello->server_version = unpack_text(unpack, "server's version");
    hello->features = unpack_u32(unpack, "features");
    hello->actor = unpack_u16(unpack, "actor");
    hello->cluster_name = unpack_text(unpack, "cluster's name");
    hello->cluster = unpack_uuid(unpack, "cluster's uuid");
    hello->node = unpack_uuid(unpack, "node's uuid");
    hello->data_bytes_max = unpack_u64(unpack, "largest data");
}

static void unpack_produced(struct unpack *unpack, struct reply_produced *produced)
{
    produced->first = envelope_unpack_event_id(unpack, "first id");
    produced->count = unpack_u32(unpack, "count");
    produced->nodes_durable = unpack_u32(unpack, "durable nodes");
    produced->remarks = unpack_u32(unpack, "remarks");
}

static void unpack_status(struct unpack *unpack, struct reply_status *status)
{
    status->version = unpack_text(unpack, "version");
    status->uptime_ms = unpack_u64(unpack, "uptime");
    status->cluster_name = unpack_text(unpack, "cluster's name");
    status->cluster = unpack_uuid(unpack, "cluster's uuid");
    status->node = unpack_uuid(unpack, "node's uuid");
    status->actor = unpack_u16(unpack, "actor");
    status->events = unpack_u64(unpack, "events");
    status->bytes = unpack_u64(unpack, "bytes");
    status->namespaces = unpack_u64(unpack, "namespaces");
    status->connections = unpack_u64(unpack, "connections");
    status->subscriptions = unpack_u64(unpack, "subscriptions");
    status->memory_bytes = unpack_u64(unpack, "memory");
    status->disk_used_bytes = unpack_u64(unpack, "disk used");
    status->disk_free_bytes = unpack_u64(unpack, "disk free");
    status->index_behind = unpack_u64(unpack, "index behind");
    status->alarms = unpack_text(unpack, "alarms");
}

static void unpack_cluster(struct unpack *unpack, struct reply_cluster *cluster)
{
    cluster->cluster_name = unpack_text(unpack, "cluster's name");
    cluster->cluster = unpack_uuid(unpack, "cluster's uuid");
    cluster->node = unpack_uuid(unpack, "node's uuid");
    cluster->actor = unpack_u16(unpack, "actor");
    cluster->phase = unpack_text(unpack, "phase");
    cluster->may_produce = unpack_bool(unpack, "may produce");
    cluster->why_not = unpack_text(unpack, "why it may not");
    cluster->frontier = unpack_u64(unpack, "frontier");
    cluster->waits_for = unpack_u16(unpack, "whom it waits for");
    cluster->events_applied = unpack_u64(unpack, "events applied");
    cluster->events_duplicate = unpack_u64(unpack, "duplicate events");
    cluster->damaged_chunks = unpack_u64(unpack, "damaged chunks");
    cluster->repaired_chunks = unpack_u64(unpack, "repaired chunks");
    cluster->scrub_checked = unpack_u64(unpack, "chunks checked");
    cluster->scrub_total = unpack_u64(unpack, "chunks to check");
    cluster->text = unpack_text(unpack, "text");
    cluster->members = unpack_bin(unpack, "members");
    cluster->alarms = unpack_text(unpack, "alarms");
}

static void unpack_attached(struct unpack *unpack, struct reply_attached *attached)
{
    attached->generation = envelope_unpack_event_id(unpack, "generation");
    attached->is_created = unpack_bool(unpack, "created");
    attached->remark = unpack_text(unpack, "remark");
    attached->coordinator = unpack_uuid(unpack, "coordinator's uuid");
}

// The kind's name and how many elements it has behind kind and id; NULL: unknown.
static const char *describe(uint64_t kind, uint32_t *elements_out)
{
    static const struct {
        const char *name;
        uint32_t elements;
    } KINDS[] = {
        [REPLY_HELLO] = {"hello", 9},          [REPLY_PONG] = {"pong", 1},
        [REPLY_PRODUCED] = {"produced", 5},    [REPLY_SUBSCRIBED] = {"subscribed", 1},
        [REPLY_EVENTS] = {"events", 2},        [REPLY_NAMESPACES] = {"namespaces", 3},
        [REPLY_STATUS] = {"status", 17},       [REPLY_ERROR] = {"error", 3},
        [DELIVERY_CHUNKS] = {"chunks", 2},     [DELIVERY_SLICES] = {"slices", 2},
        [DELIVERY_MARK] = {"mark", 3},         [DELIVERY_END] = {"end", 3},
        [REPLY_CLUSTER] = {"cluster", 19},     [REPLY_ATTACHED] = {"attached", 5},
        [REPLY_ACKED] = {"acked", 2},          [REPLY_SUBSCRIPTIONS] = {"subscriptions", 4},
        [DELIVERY_ASSIGNED] = {"assigned", 3}, [DELIVERY_ASSIGNED_CHUNKS] = {"assigned chunks", 3},
    };
    if (kind >= sizeof KINDS / sizeof KINDS[0]) {
        return NULL;
    }
    *elements_out = KINDS[kind].elements;
    return KINDS[kind].name;
}

static void unpack_elements(struct unpack *unpack, struct reply *reply)
{
    switch ((enum reply_kind)reply->kind) {
    case REPLY_HELLO:
        unpack_hello(unpack, &reply->hello);
        return;
    case REPLY_PONG:
    case REPLY_SUBSCRIBED:
        return;
    case REPLY_PRODUCED:
        unpack_produced(unpack, &reply->produced);
        return;
    case REPLY_EVENTS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        reply->events = unpack_bin(unpack, "events");
        return;
    case REPLY_NAMESPACES:
        reply->namespaces.more = unpack_bool(unpack, "more");
        reply->namespaces.rows = unpack_bin(unpack, "rows");
        return;
    case REPLY_STATUS:
        unpack_status(unpack, &reply->status);
        return;
    case REPLY_CLUSTER:
        unpack_cluster(unpack, &reply->cluster_status);
        return;
    case REPLY_ATTACHED:
        unpack_attached(unpack, &reply->attached);
        return;
    case REPLY_ACKED:
        reply->acked.count = unpack_u64(unpack, "count");
        return;
    case REPLY_SUBSCRIPTIONS:
        reply->subscriptions.text = unpack_text(unpack, "text");
        reply->subscriptions.more = unpack_bool(unpack, "more");
        reply->subscriptions.rows = unpack_bin(unpack, "rows");
        reply->subscriptions.consumers = (struct bytes){0};
        return;
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        reply->assigned.attempt = unpack_u32(unpack, "attempt");
        reply->assigned.slices = unpack_bin(unpack, "events");
        return;
    case REPLY_ERROR:
        reply->error.code = unpack_u32(unpack, "code");
        reply->error.text = unpack_text(unpack, "text");
        return;
    case DELIVERY_MARK:
        reply->mark.kind = unpack_u32(unpack, "kind of mark");
        reply->mark.passed = unpack_u64(unpack, "passed");
        reply->mark.at = (struct event_id){0};
        return;
    case DELIVERY_END:
        reply->end.reason = unpack_u32(unpack, "reason");
        reply->end.delivered = unpack_u64(unpack, "delivered");
        return;
    }
}

int reply_decode(struct bytes message, struct reply *reply_out, struct reason *reason)
{
    struct envelope envelope;
    envelope_unpack(&envelope, message);
    reply_out->id = envelope.id;
    if (envelope.unpack.err) {
        return envelope_close(&envelope, 0, "message", reason);
    }
    uint32_t elements;
    const char *name = describe(envelope.kind, &elements);
    if (!name) {
        int err = envelope_close(&envelope, 0, "message", reason);
        return err ? err
                   : reason_set(reason, MESSAGE_UNKNOWN_KIND, "replies of kind %llu are unknown",
                                (unsigned long long)envelope.kind);
    }
    reply_out->kind = (uint32_t)envelope.kind;
    envelope_require(&envelope, elements);
    reply_out->cursor = (struct bytes){0};
    if (!unpack_take_nil(&envelope.unpack)) {
        reply_out->cursor = unpack_map_encoded(&envelope.unpack, "cursor");
    }
    unpack_elements(&envelope.unpack, reply_out);
    if (envelope.kind == DELIVERY_MARK && !envelope.unpack.err && envelope.elements > elements) {
        reply_out->mark.at = envelope_unpack_event_id(&envelope.unpack, "the mark's id");
        elements++;
    }
    if (envelope.kind == REPLY_SUBSCRIPTIONS && !envelope.unpack.err &&
        envelope.elements > elements) {
        reply_out->subscriptions.consumers = unpack_bin(&envelope.unpack, "consumers");
        elements++;
    }
    return envelope_close(&envelope, elements, name, reason);
}
