// Status is put together when the reply is taken: nothing is kept up to date for it but counters.

#include "server/node/status.h"

#include <string.h>

#include "server/node/cluster.h"
#include "server/node/node.h"
#include "server/node/service.h"
#include "server/node/service_state.h"

static void alarm_add(struct buffer *alarms, const char *text)
{
    if (alarms->length > 0 && buffer_append(alarms, bytes_of("\n", 1))) {
        return;
    }
    if (buffer_append(alarms, bytes_of_text(text))) {
        return; // status without its last alarm is better than none
    }
}

static void alarms_fill(struct service *service, const struct store_status *store)
{
    struct buffer *alarms = &service->alarms;
    struct reason text;
    struct reason fatal;
    buffer_clear(alarms);
    if (service_is_fatal(service, &fatal)) {
        alarm_add(alarms, fatal.text);
    }
    if (store->is_full) {
        reason_set(&text, 0,
                   "the disk is full but for its reserve (%llu bytes are free): produce is refused "
                   "until space is freed",
                   (unsigned long long)store->disk_free_bytes);
        alarm_add(alarms, text.text);
    }
    if (store->corrupt_chunks > 0) {
        reason_set(&text, 0, "reads found damage %u times since the start, last: %s",
                   store->corrupt_chunks, store->last_corruption.text);
        alarm_add(alarms, text.text);
    }
    if (store_is_congested(service->node->store)) {
        reason_set(&text, 0,
                   "the index is %llu events behind the log: produce is slowed until it follows",
                   (unsigned long long)store->index_behind);
        alarm_add(alarms, text.text);
    }
    cluster_alarms(service->node, alarms);
}

void status_fill(struct service *service, struct reply_status *status_out)
{
    const struct node *node = service->node;
    const struct identity *identity = node_identity(node);
    struct store_status store;
    store_status(node->store, &store);
    alarms_fill(service, &store);
    int64_t uptime_ns = service->now.ns - node->started.ns;
    *status_out = (struct reply_status){
        .version = bytes_of_text(WEIR_VERSION),
        .uptime_ms = uptime_ns > 0 ? (uint64_t)uptime_ns / 1000000 : 0,
        .cluster_name = bytes_of_text(identity->cluster_name),
        .cluster = bytes_of(identity->cluster.bytes, sizeof identity->cluster.bytes),
        .node = bytes_of(identity->node.bytes, sizeof identity->node.bytes),
        .actor = identity->actor,
        .events = store.events,
        .bytes = store.bytes,
        .namespaces = store.namespaces,
        .connections = node_connections(node),
        .subscriptions = node_subscriptions(node),
        .memory_bytes = store.memory_bytes,
        .disk_used_bytes = store.disk_used_bytes,
        .disk_free_bytes = store.disk_free_bytes,
        .index_behind = store.index_behind,
        .alarms = buffer_bytes(&service->alarms),
    };
}
