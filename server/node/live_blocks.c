// A ring of the newest blocks, filled once per turn, so that a thousand subscriptions ask the store
// once. What each block adds to a cursor is computed when it comes in, not per subscription. What a
// filter selected is remembered in the filter, by the place of the block in the ring, and linked
// from the block, which drops it when it leaves.
//
// A subscription whose turn comes rarely has many small blocks before it. They are joined, for it
// and for the others that stand where it stands, so that each handles one and not many: the longer
// a round of all takes, the less each event costs.

#include "server/node/live_blocks.h"

#include <assert.h>

#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "server/node/selection.h"
#include "storage/store.h"

enum {
    UPDATE_BLOCKS_MAX = 4 * LIVE_BLOCKS_MAX,
    LIVE_BYTES_MAX = 4 * MIB,
    JOINED_BYTES_MAX = 32 * 1024,
};

void live_blocks_init(struct live_blocks *live)
{
    *live = (struct live_blocks){.ordinal_next = 1};
    for (size_t i = 0; i < LIVE_BLOCKS_MAX; i++) {
        list_init(&live->ring[i].results);
    }
}

// Those that begin with a block of the ring up to this one: nobody stands there any more.
static void drop_joined(struct live_blocks *live, uint64_t sequence)
{
    for (size_t i = 0; i < LIVE_JOINED_KEPT; i++) {
        struct live_joined *joined = &live->joined[i];
        if (joined->from <= sequence) {
            block_unref(joined->block);
            version_vector_deinit(&joined->last);
            *joined = (struct live_joined){0};
        }
    }
}

static void drop_oldest(struct live_blocks *live)
{
    struct live_block *oldest = &live->ring[(live->sequence - live->count + 1) % LIVE_BLOCKS_MAX];
    drop_joined(live, oldest->sequence);
    LIST_FOR_EACH(&oldest->results, link)
    {
        struct filter_result *result = container_of(link, struct filter_result, link);
        list_remove(link);
        block_unref(result->block);
        result->block = NULL;
        result->sequence = 0;
    }
    live->bytes -= oldest->block->length;
    live->count--;
    block_unref(oldest->block);
    oldest->block = NULL;
    version_vector_clear(&oldest->last);
}

void live_blocks_clear(struct live_blocks *live)
{
    while (live->count > 0) {
        drop_oldest(live);
    }
    for (size_t i = 0; i < LIVE_BLOCKS_MAX; i++) {
        version_vector_deinit(&live->ring[i].last);
    }
}

static int note_chunks(struct live_block *live_block, const struct block *block)
{
    struct bytes rest = block_bytes(block);
    version_vector_clear(&live_block->last);
    live_block->has_system = false;
    while (rest.length > 0) {
        struct chunk_header header;
        chunk_header_load(rest.data, &header);
        live_block->has_system |= (header.flags & CHUNK_HAS_SYSTEM) != 0;
        int err = version_vector_raise(&live_block->last, header.actor, chunk_last(&header));
        if (err) {
            return err;
        }
        size_t length = CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
        rest = bytes_of(rest.data + length, rest.length - length);
    }
    return 0;
}

// Takes over the reference.
static void add(struct live_blocks *live, struct block *block)
{
    assert(block->kind == BLOCK_CHUNKS && block->chunks > 0);
    while (live->count == LIVE_BLOCKS_MAX ||
           (live->count > 0 && live->bytes + block->length > LIVE_BYTES_MAX)) {
        drop_oldest(live);
    }
    struct live_block *added = &live->ring[(live->sequence + 1) % LIVE_BLOCKS_MAX];
    if (note_chunks(added, block)) {
        version_vector_clear(&added->last);
        block_unref(block);
        return;
    }
    live->sequence++;
    live->count++;
    live->bytes += block->length;
    added->sequence = live->sequence;
    added->ordinal_first = block->ordinal_first;
    added->ordinal_last = block->ordinal_first + block->chunks - 1;
    added->block = block;
}

void live_blocks_update(struct live_blocks *live, struct store_port *port, uint64_t ordinal)
{
    for (unsigned i = 0; live->ordinal_next <= ordinal; i++) {
        // Far behind: only the newest is worth having.
        uint64_t wanted = i < UPDATE_BLOCKS_MAX ? live->ordinal_next : ordinal;
        struct block *block = store_recent(port, wanted);
        if (!block) {
            live->ordinal_next = wanted == ordinal ? ordinal + 1 : ordinal;
            continue;
        }
        live->ordinal_next = block->ordinal_first + block->chunks;
        add(live, block);
    }
}

void live_blocks_skip(struct live_blocks *live, uint64_t ordinal)
{
    while (live->count > 0) {
        drop_oldest(live);
    }
    live->ordinal_next = ordinal + 1;
}

struct live_block *live_blocks_find(struct live_blocks *live, uint64_t ordinal)
{
    uint64_t low = live->sequence - live->count + 1;
    uint64_t high = live->sequence + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct live_block *found = &live->ring[middle % LIVE_BLOCKS_MAX];
        if (ordinal < found->ordinal_first) {
            high = middle;
        } else if (ordinal > found->ordinal_last) {
            low = middle + 1;
        } else {
            return found;
        }
    }
    return NULL;
}

int live_block_filtered(struct live_block *live_block, struct shared_filter *filter,
                        struct selection_scratch *scratch, struct block **block_out)
{
    struct filter_result *result = &filter->results[live_block->sequence % LIVE_BLOCKS_MAX];
    if (result->sequence != live_block->sequence) {
        assert(!result->block);
        const struct selection selection = {.filter = filter};
        struct block *block;
        int err = selection_apply(&selection, live_block->block, 0, scratch, &block);
        if (err) {
            return err;
        }
        result->sequence = live_block->sequence;
        result->block = block;
        if (block) {
            list_append(&live_block->results, &result->link);
        }
    }
    *block_out = result->block;
    return 0;
}

// Those that make one block: how many they are, how many of them have something, the size of that.
struct joining_blocks {
    uint32_t count;
    uint32_t full;
    size_t length;
};

static int measure(struct live_blocks *live, const struct live_block *first,
                   struct shared_filter *filter, struct selection_scratch *scratch,
                   struct joining_blocks *out)
{
    uint64_t ordinal_next = first->ordinal_first;
    *out = (struct joining_blocks){0};
    for (uint64_t at = first->sequence; at <= live->sequence; at++) {
        struct live_block *live_block = &live->ring[at % LIVE_BLOCKS_MAX];
        struct block *block;
        if (live_block->ordinal_first != ordinal_next) {
            return 0; // one was left out
        }
        int err = live_block_filtered(live_block, filter, scratch, &block);
        if (err) {
            return err;
        }
        if (block && out->full > 0 && out->length + block->length > JOINED_BYTES_MAX) {
            return 0;
        }
        ordinal_next = live_block->ordinal_last + 1;
        out->count++;
        out->full += block != NULL;
        out->length += block ? block->length : 0;
    }
    return 0;
}

// One of all that have something; a reference to it if it is the only one.
static int join(struct live_joined *joined, struct live_blocks *live,
                const struct joining_blocks *blocks, struct shared_filter *filter)
{
    struct block *made = blocks->full > 1 ? block_new(BLOCK_SLICES, blocks->length) : NULL;
    int err = blocks->full > 1 && !made ? ERR_MEMORY : 0;
    version_vector_clear(&joined->last);
    for (uint64_t at = joined->from; at < joined->from + blocks->count && err == 0; at++) {
        const struct live_block *live_block = &live->ring[at % LIVE_BLOCKS_MAX];
        struct block *block = filter->results[at % LIVE_BLOCKS_MAX].block;
        if (block && blocks->full == 1) {
            made = block_ref(block);
        } else if (block) {
            memcpy(made->data + made->length, block->data, block->length);
            made->length += block->length;
            made->events += block->events;
        }
        joined->ordinal_last = live_block->ordinal_last;
        err = version_vector_merge(&joined->last, &live_block->last);
    }
    if (err) {
        block_unref(made);
        return err;
    }
    joined->block = made;
    return 0;
}

int live_blocks_join(struct live_blocks *live, struct live_block *first,
                     struct shared_filter *filter, struct selection_scratch *scratch,
                     const struct live_joined **joined_out)
{
    struct live_joined *joined = &live->joined[filter->serial % LIVE_JOINED_KEPT];
    *joined_out = joined;
    if (joined->filter == filter->serial && joined->from == first->sequence &&
        joined->newest == live->sequence) {
        return 0;
    }
    block_unref(joined->block);
    joined->block = NULL;
    joined->filter = 0;
    joined->from = first->sequence;
    joined->newest = live->sequence;
    struct joining_blocks blocks;
    int err = measure(live, first, filter, scratch, &blocks);
    err = err ? err : join(joined, live, &blocks, filter);
    joined->filter = err ? 0 : filter->serial;
    return err;
}

bool block_has_system(const struct block *block, size_t offset)
{
    while (block->kind == BLOCK_CHUNKS && offset < block->length) {
        struct chunk_header header;
        chunk_header_load(block->data + offset, &header);
        if (header.flags & CHUNK_HAS_SYSTEM) {
            return true;
        }
        offset += CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
    }
    return false;
}
