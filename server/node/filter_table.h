// The filters of a service's subscriptions, each once, with its memory of verdicts and with what it
// selects from the newest blocks: computed once, sent to every subscription that has it.
#pragma once

#include "proto/base/list.h"
#include "proto/model/block.h"
#include "proto/model/filter.h"

enum {
    FILTER_BUCKETS = 1024,
    FILTER_CACHES_MAX = 64, // a cache takes some hundred KiB; filters beyond are matched each time

// How many of the newest blocks a service has at hand. Who falls further behind reads from the
// disk, each by itself, which a thousand subscriptions would not recover from; so this is how
// many commits a turn of the loop may last. Few in the simulator, where that is to happen.
#ifdef WEIR_PLANTED
    LIVE_BLOCKS_MAX = 32,
#else
    LIVE_BLOCKS_MAX = 256,
#endif
};

struct filter_table {
    struct list_node *buckets; // allocated with the first filter
    uint64_t seed;
    uint64_t serial; // of the filter that came last
    uint32_t caches_count;
};

// What a filter selects from one of the newest blocks.
struct filter_result {
    struct list_node link; // of the block's results, when block is not NULL
    uint64_t sequence;     // of the block; 0: not computed
    struct block *block;   // slices; NULL: nothing matches
};

struct shared_filter {
    struct list_node link;
    struct filter_table *table;
    struct filter *filter;
    struct filter_cache *cache;
    uint64_t serial; // no other filter ever has it
    uint32_t references;
    struct filter_result results[LIVE_BLOCKS_MAX]; // by sequence
};

void filter_table_init(struct filter_table *table, uint64_t seed);
void filter_table_deinit(struct filter_table *table); // all filters must be back

// The table's one for this filter, which it takes over. ERR_MEMORY: it is unreferenced.
int shared_filter_get(struct filter_table *table, struct filter *filter,
                      struct shared_filter **shared_out) MUST_CHECK;
void shared_filter_put(struct shared_filter *shared); // NULL is fine

// Bit i set: event i of the plain body matches, but for its time.
uint64_t shared_filter_positions(struct shared_filter *shared, struct bytes body, uint16_t count);
