// Filters come and go with subscriptions, so finding one may walk a short list; matching is the hot
// path. A memory of verdicts is worth its space for a few filters with many events; a service with
// very many filters matches the later ones each time.

#include "server/node/filter_table.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/hash.h"
#include "proto/model/event.h"

void filter_table_init(struct filter_table *table, uint64_t seed)
{
    *table = (struct filter_table){.seed = seed};
}

void filter_table_deinit(struct filter_table *table)
{
    for (size_t i = 0; table->buckets && i < FILTER_BUCKETS; i++) {
        assert(list_is_empty(&table->buckets[i]));
    }
    free(table->buckets);
    table->buckets = NULL;
}

static int buckets_allocate(struct filter_table *table)
{
    if (table->buckets) {
        return 0;
    }
    table->buckets = malloc(FILTER_BUCKETS * sizeof *table->buckets);
    if (!table->buckets) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < FILTER_BUCKETS; i++) {
        list_init(&table->buckets[i]);
    }
    return 0;
}

static struct shared_filter *find(struct list_node *bucket, struct bytes key)
{
    LIST_FOR_EACH(bucket, link)
    {
        struct shared_filter *shared = container_of(link, struct shared_filter, link);
        if (bytes_equal(filter_key(shared->filter), key)) {
            return shared;
        }
    }
    return NULL;
}

int shared_filter_get(struct filter_table *table, struct filter *filter,
                      struct shared_filter **shared_out)
{
    int err = buckets_allocate(table);
    if (err) {
        filter_unref(filter);
        return err;
    }
    struct bytes key = filter_key(filter);
    struct list_node *bucket = &table->buckets[hash64_keyed(key, table->seed) % FILTER_BUCKETS];
    struct shared_filter *shared = find(bucket, key);
    if (shared) {
        filter_unref(filter);
        shared->references++;
        *shared_out = shared;
        return 0;
    }
    shared = calloc(1, sizeof *shared);
    if (!shared) {
        filter_unref(filter);
        return ERR_MEMORY;
    }
    shared->table = table;
    shared->filter = filter;
    shared->serial = ++table->serial;
    shared->references = 1;
    for (size_t i = 0; i < LIVE_BLOCKS_MAX; i++) {
        list_init(&shared->results[i].link);
    }
    list_init(&shared->link);
    list_append(bucket, &shared->link);
    *shared_out = shared;
    return 0;
}

void shared_filter_put(struct shared_filter *shared)
{
    if (!shared || --shared->references > 0) {
        return;
    }
    for (size_t i = 0; i < LIVE_BLOCKS_MAX; i++) {
        list_remove(&shared->results[i].link);
        block_unref(shared->results[i].block);
    }
    if (shared->cache) {
        shared->table->caches_count--;
        filter_cache_free(shared->cache);
    }
    filter_unref(shared->filter);
    list_remove(&shared->link);
    free(shared);
}

static struct filter_cache *cache_of(struct shared_filter *shared)
{
    struct filter_table *table = shared->table;
    if (!shared->cache && table->caches_count < FILTER_CACHES_MAX) {
        shared->cache = filter_cache_new(shared->filter, table->seed);
        table->caches_count += shared->cache != NULL;
    }
    return shared->cache;
}

uint64_t shared_filter_positions(struct shared_filter *shared, struct bytes body, uint16_t count)
{
    struct filter_cache *cache = cache_of(shared);
    if (cache) {
        return filter_positions(cache, body, count);
    }
    struct bytes whole = body;
    uint64_t positions = 0;
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        event_next_trusted(&body, &event);
        positions |= (uint64_t)filter_matches(shared->filter, event.name) << i;
    }
    return filter_narrow(shared->filter, whole, count, positions);
}
