// What the cluster asks of the commit beside events: records, promises, and which actor this node
// is. They take their turn among the appends, because only here it is known what has been issued.
#include <assert.h>

#include "proto/base/limits.h"
#include "proto/base/planted.h"
#include "storage/commit.h"

static bool records_are_valid(const struct append *append)
{
    for (uint32_t i = 0; i < append->records_count; i++) {
        size_t length = append->records[i].key.length;
        if (length == 0 || length > RECORD_KEY_BYTES_MAX) {
            return false;
        }
    }
    return true;
}

int builder_add_records(struct builder *builder, struct append *append)
{
    struct store *store = builder->store;
    append->result = records_are_valid(append) ? 0 : ERR_INVALID;
    for (uint32_t i = 0; append->result == 0 && i < append->records_count; i++) {
        const struct append_record *record = &append->records[i];
        uint8_t bytes[RECORD_PREFIX_LENGTH + RECORD_KEY_BYTES_MAX];
        memcpy(bytes, META_RECORD, RECORD_PREFIX_LENGTH);
        memcpy(bytes + RECORD_PREFIX_LENGTH, record->key.data, record->key.length);
        struct bytes key = bytes_of(bytes, RECORD_PREFIX_LENGTH + record->key.length);
        if (record->value.length == 0) {
            disk_batch_delete(store->commit.batch, LOG_META, key);
        } else {
            disk_batch_put(store->commit.batch, LOG_META, key, record->value);
        }
        store->commit.must_write = true;
    }
    return 0;
}

int builder_add_promise(struct builder *builder, struct append *append)
{
    struct store *store = builder->store;
    if (store->config.actor == 0) {
        append->result = ERR_INVALID;
        return 0;
    }
    // Nothing of it is written: the clock goes on above the lease after any crash, and the lease is
    // at or above the clock on the disk before this completes.
    int result = builder_close_chunk(builder, 0);
    const struct head *head =
        result == 0 ? heads_get(&store->commit.heads, store->config.actor) : NULL;
    if (head == NULL) {
        return ERR_MEMORY;
    }
    append->first = store->commit.clock;
    append->head = head->last;
    return 0;
}

void actor_set(struct store *store, uint16_t actor)
{
    if (store->config.actor != actor) {
        pthread_mutex_lock(&store->published.lock);
        store->config.actor = actor;
        pthread_mutex_unlock(&store->published.lock);
    }
}

int builder_add_actor(struct builder *builder, struct append *append)
{
    struct store *store = builder->store;
    append->result = append->actor == 0 ? ERR_INVALID : append->first > COUNTER_MAX ? ERR_LIMIT : 0;
    if (append->result != 0) {
        return 0;
    }
    int result = builder_close_chunk(builder, 0);
    if (result == 0 && append->first > store->commit.clock) {
        store->commit.clock = append->first;
    }
    if (result == 0) {
        actor_set(store, append->actor);
    }
    return result;
}

// Nothing of it is written: after a crash the node has the actor that its identity names.
int builder_add_yield(struct builder *builder, struct append *append)
{
    struct store *store = builder->store;
    if (store->config.actor == 0) {
        return 0;
    }
    int result = builder_close_chunk(builder, 0);
    const struct head *head =
        result == 0 ? heads_get(&store->commit.heads, store->config.actor) : NULL;
    if (head == NULL) {
        return result != 0 ? result : ERR_MEMORY;
    }
    if (head->last != 0) {
        append->result = STORE_ISSUED;
        return 0;
    }
    actor_set(store, 0);
    return 0;
}
