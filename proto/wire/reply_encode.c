// Replies to bytes, in the order of docs/protocol.md. Sixty to a hundred bytes are the rule, half a
// million times a second, so a reply is one straight run of packs into a buffer that is kept.

#include <assert.h>

#include "proto/wire/envelope.h"
#include "proto/wire/message.h"

enum { UUID_LENGTH = 16 };

// Kind, id and cursor, with `more` elements to come.
static void pack_front(struct pack *pack, const struct reply *reply, uint32_t more,
                       struct buffer *out)
{
    envelope_pack(pack, out, 3 + more, reply->kind, reply->id);
    if (reply->cursor.length == 0) {
        pack_nil(pack);
    } else {
        pack_raw(pack, reply->cursor);
    }
}

static void pack_uuid(struct pack *pack, struct bytes uuid)
{
    assert(uuid.length == UUID_LENGTH);
    pack_bin(pack, uuid);
}

static void pack_hello(struct pack *pack, const struct reply_hello *hello)
{
    pack_uint(pack, hello->version);
    pack_text(pack, hello->server_version);
    pack_uint(pack, hello->features);
    pack_uint(pack, hello->actor);
    pack_text(pack, hello->cluster_name);
    pack_uuid(pack, hello->cluster);
    pack_uuid(pack, hello->node);
    pack_uint(pack, hello->data_bytes_max);
}

static void pack_produced(struct pack *pack, const struct reply_produced *produced)
{
    envelope_pack_event_id(pack, produced->first);
    pack_uint(pack, produced->count);
    pack_uint(pack, produced->nodes_durable);
    pack_uint(pack, produced->remarks);
}

static void pack_status(struct pack *pack, const struct reply_status *status)
{
    pack_text(pack, status->version);
    pack_uint(pack, status->uptime_ms);
    pack_text(pack, status->cluster_name);
    pack_uuid(pack, status->cluster);
    pack_uuid(pack, status->node);
    pack_uint(pack, status->actor);
    pack_uint(pack, status->events);
    pack_uint(pack, status->bytes);
    pack_uint(pack, status->namespaces);
    pack_uint(pack, status->connections);
    pack_uint(pack, status->subscriptions);
    pack_uint(pack, status->memory_bytes);
    pack_uint(pack, status->disk_used_bytes);
    pack_uint(pack, status->disk_free_bytes);
    pack_uint(pack, status->index_behind);
    pack_text(pack, status->alarms);
}

static void pack_cluster(struct pack *pack, const struct reply_cluster *cluster)
{
    pack_text(pack, cluster->cluster_name);
    pack_uuid(pack, cluster->cluster);
    pack_uuid(pack, cluster->node);
    pack_uint(pack, cluster->actor);
    pack_text(pack, cluster->phase);
    pack_bool(pack, cluster->may_produce);
    pack_text(pack, cluster->why_not);
    pack_uint(pack, cluster->frontier);
    pack_uint(pack, cluster->waits_for);
    pack_uint(pack, cluster->events_applied);
    pack_uint(pack, cluster->events_duplicate);
    pack_uint(pack, cluster->damaged_chunks);
    pack_uint(pack, cluster->repaired_chunks);
    pack_uint(pack, cluster->scrub_checked);
    pack_uint(pack, cluster->scrub_total);
    pack_text(pack, cluster->text);
    pack_bin(pack, cluster->members);
    pack_text(pack, cluster->alarms);
}

static void pack_mark(struct pack *pack, const struct reply *reply, struct buffer *out)
{
    bool has_id = !event_id_is_none(reply->mark.at);
    pack_front(pack, reply, has_id ? 3 : 2, out);
    pack_uint(pack, reply->mark.kind);
    pack_uint(pack, reply->mark.passed);
    if (has_id) {
        envelope_pack_event_id(pack, reply->mark.at);
    }
}

static void pack_attached(struct pack *pack, const struct reply_attached *attached)
{
    envelope_pack_event_id(pack, attached->generation);
    pack_bool(pack, attached->is_created);
    pack_text(pack, attached->remark);
    pack_uuid(pack, attached->coordinator);
}

static void pack_events_head(struct pack *pack, const struct reply *reply, size_t events_length,
                             struct buffer *out)
{
    bool is_assigned = reply->kind == DELIVERY_ASSIGNED || reply->kind == DELIVERY_ASSIGNED_CHUNKS;
    pack_front(pack, reply, is_assigned ? 2 : 1, out);
    if (is_assigned) {
        pack_uint(pack, reply->assigned.attempt);
    }
    pack_bin_head(pack, events_length);
}

static void pack_small(struct pack *pack, const struct reply *reply, struct buffer *out)
{
    switch ((enum reply_kind)reply->kind) {
    case REPLY_PONG:
    case REPLY_SUBSCRIBED:
        pack_front(pack, reply, 0, out);
        return;
    case REPLY_ERROR:
        pack_front(pack, reply, 2, out);
        pack_uint(pack, reply->error.code);
        pack_text(pack, reply->error.text);
        return;
    case DELIVERY_MARK:
        pack_mark(pack, reply, out);
        return;
    case DELIVERY_END:
        pack_front(pack, reply, 2, out);
        pack_uint(pack, reply->end.reason);
        pack_uint(pack, reply->end.delivered);
        return;
    case REPLY_ACKED:
        pack_front(pack, reply, 1, out);
        pack_uint(pack, reply->acked.count);
        return;
    case REPLY_HELLO:
    case REPLY_PRODUCED:
    case REPLY_EVENTS:
    case REPLY_NAMESPACES:
    case REPLY_STATUS:
    case REPLY_CLUSTER:
    case REPLY_ATTACHED:
    case REPLY_SUBSCRIPTIONS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        break;
    }
    assert(!"a kind of reply");
}

int reply_encode(const struct reply *reply, struct buffer *out)
{
    struct pack pack;
    switch ((enum reply_kind)reply->kind) {
    case REPLY_HELLO:
        pack_front(&pack, reply, 8, out);
        pack_hello(&pack, &reply->hello);
        break;
    case REPLY_PRODUCED:
        pack_front(&pack, reply, 4, out);
        pack_produced(&pack, &reply->produced);
        break;
    case REPLY_EVENTS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        pack_events_head(&pack, reply, reply->events.length, out);
        pack_raw(&pack, reply->events);
        break;
    case REPLY_NAMESPACES:
        pack_front(&pack, reply, 2, out);
        pack_bool(&pack, reply->namespaces.more);
        pack_bin(&pack, reply->namespaces.rows);
        break;
    case REPLY_STATUS:
        pack_front(&pack, reply, 16, out);
        pack_status(&pack, &reply->status);
        break;
    case REPLY_CLUSTER:
        pack_front(&pack, reply, 18, out);
        pack_cluster(&pack, &reply->cluster_status);
        break;
    case REPLY_ATTACHED:
        pack_front(&pack, reply, 4, out);
        pack_attached(&pack, &reply->attached);
        break;
    case REPLY_SUBSCRIPTIONS:
        pack_front(&pack, reply, reply->subscriptions.consumers.length > 0 ? 4 : 3, out);
        pack_text(&pack, reply->subscriptions.text);
        pack_bool(&pack, reply->subscriptions.more);
        pack_bin(&pack, reply->subscriptions.rows);
        if (reply->subscriptions.consumers.length > 0) {
            pack_bin(&pack, reply->subscriptions.consumers);
        }
        break;
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        pack_events_head(&pack, reply, reply->assigned.slices.length, out);
        pack_raw(&pack, reply->assigned.slices);
        break;
    case REPLY_PONG:
    case REPLY_SUBSCRIBED:
    case REPLY_ACKED:
    case REPLY_ERROR:
    case DELIVERY_MARK:
    case DELIVERY_END:
        pack_small(&pack, reply, out);
        break;
    }
    return envelope_finish(&pack, 0);
}

int reply_encode_head(const struct reply *reply, size_t events_length, struct buffer *out)
{
    assert(reply->kind == REPLY_EVENTS || reply->kind == DELIVERY_CHUNKS ||
           reply->kind == DELIVERY_SLICES || reply->kind == DELIVERY_ASSIGNED ||
           reply->kind == DELIVERY_ASSIGNED_CHUNKS);
    struct pack pack;
    pack_events_head(&pack, reply, events_length, out);
    return envelope_finish(&pack, events_length);
}
