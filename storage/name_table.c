// Linear probing in buckets of four slots, one cache line each: nearly every lookup costs one cache
// miss. A lookup ends at the first bucket with a free slot, or after a few: what finds no place in
// them replaces something there, in turn, once the table is at its bound. Nothing is ever deleted.
// A slot keeps the hash that chose its bucket, so growing needs no names; the number of buckets
// need not be a power of two: the hash is scaled to it.

#include "storage/name_table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    BUCKET_SLOTS = 4,
    BUCKET_BYTES = 64,
    BUCKETS_MIN = 64,
    BUCKETS_CEILING = 1 << 30,
    PROBE_BUCKETS_MAX = 16,
    HUGE_PAGE_BYTES = 2 << 20,
};

struct name_slot {
    uint32_t number_plus_one; // 0: free
    uint32_t place;           // scaled to the number of buckets
    uint64_t rest;
};

static_assert(sizeof(struct name_slot) * BUCKET_SLOTS == BUCKET_BYTES, "a bucket is a cache line");

static int slots_new(uint32_t buckets, struct name_slot **slots_out)
{
    size_t bytes = (size_t)buckets * BUCKET_BYTES;
    size_t alignment = bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : BUCKET_BYTES;
    struct name_slot *slots = aligned_alloc(alignment, (bytes + alignment - 1) & -alignment);
    if (!slots) {
        return ERR_MEMORY;
    }
    if (bytes >= HUGE_PAGE_BYTES) {
        madvise(slots, bytes, MADV_HUGEPAGE); // a wish: each lookup is in another page
    }
    memset(slots, 0, bytes);
    *slots_out = slots;
    return 0;
}

int name_table_init(struct name_table *table, uint64_t bytes_max)
{
    uint64_t buckets_max = bytes_max / BUCKET_BYTES;
    if (bytes_max == 0 || buckets_max > BUCKETS_CEILING) {
        buckets_max = BUCKETS_CEILING;
    }
    *table = (struct name_table){
        .buckets = BUCKETS_MIN,
        .buckets_max = buckets_max < BUCKETS_MIN ? BUCKETS_MIN : (uint32_t)buckets_max,
        .is_bounded = bytes_max != 0,
    };
    return slots_new(BUCKETS_MIN, &table->slots);
}

void name_table_deinit(struct name_table *table)
{
    free(table->slots);
    *table = (struct name_table){0};
}

static struct name_slot slot_of(const struct hash128 *hash, uint32_t number)
{
    return (struct name_slot){
        .number_plus_one = number + 1,
        .place = load_be32(hash->bytes),
        .rest = load_be64(hash->bytes + 8),
    };
}

static uint32_t home_of(const struct name_table *table, uint32_t place)
{
    return (uint32_t)((uint64_t)place * table->buckets >> 32);
}

static uint32_t bucket_after(const struct name_table *table, uint32_t bucket)
{
    return bucket + 1 == table->buckets ? 0 : bucket + 1;
}

// Without a bound nothing may be dropped, and there is always a free slot.
static uint32_t probes_max(const struct name_table *table)
{
    return table->is_bounded ? PROBE_BUCKETS_MAX : table->buckets;
}

void name_table_prefetch(const struct name_table *table, const struct hash128 *hash)
{
    uint32_t home = home_of(table, load_be32(hash->bytes));
    __builtin_prefetch(&table->slots[(size_t)home * BUCKET_SLOTS]);
}

bool name_table_find(const struct name_table *table, const struct hash128 *hash,
                     uint32_t *number_out)
{
    struct name_slot wanted = slot_of(hash, 0);
    uint32_t bucket = home_of(table, wanted.place);
    uint32_t probes = probes_max(table);
    for (uint32_t i = 0; i < probes; i++) {
        const struct name_slot *slots = &table->slots[(size_t)bucket * BUCKET_SLOTS];
        for (int j = 0; j < BUCKET_SLOTS; j++) {
            if (slots[j].number_plus_one == 0) {
                return false;
            }
            if (slots[j].rest == wanted.rest && slots[j].place == wanted.place) {
                *number_out = slots[j].number_plus_one - 1;
                return true;
            }
        }
        bucket = bucket_after(table, bucket);
    }
    return false;
}

static bool put_slot(struct name_table *table, struct name_slot slot)
{
    uint32_t bucket = home_of(table, slot.place);
    uint32_t probes = probes_max(table);
    for (uint32_t i = 0; i < probes; i++) {
        struct name_slot *slots = &table->slots[(size_t)bucket * BUCKET_SLOTS];
        for (int j = 0; j < BUCKET_SLOTS; j++) {
            if (slots[j].number_plus_one == 0) {
                slots[j] = slot;
                table->count++;
                return true;
            }
        }
        bucket = bucket_after(table, bucket);
    }
    return false;
}

static void replace_slot(struct name_table *table, struct name_slot slot)
{
    uint32_t bucket = home_of(table, slot.place);
    table->slots[(size_t)bucket * BUCKET_SLOTS + table->dropped % BUCKET_SLOTS] = slot;
    table->dropped++;
}

static int grow(struct name_table *table)
{
    struct name_table larger = *table;
    uint32_t doubled = 2 * table->buckets;
    larger.buckets = doubled < table->buckets_max ? doubled : table->buckets_max;
    larger.count = 0;
    int err = slots_new(larger.buckets, &larger.slots);
    if (err) {
        return err;
    }
    for (size_t i = 0; i < (size_t)table->buckets * BUCKET_SLOTS; i++) {
        struct name_slot slot = table->slots[i];
        if (slot.number_plus_one != 0 && !put_slot(&larger, slot)) {
            replace_slot(&larger, slot);
        }
    }
    free(table->slots);
    *table = larger;
    return 0;
}

int name_table_add(struct name_table *table, const struct hash128 *hash, uint32_t number)
{
    assert(number < UINT32_MAX);
    struct name_slot slot = slot_of(hash, number);
    bool is_tight = table->count >= (uint64_t)table->buckets * BUCKET_SLOTS * 3 / 4;
    bool is_placed = !is_tight && put_slot(table, slot);
    if (!is_placed && table->buckets < table->buckets_max) {
        int err = grow(table);
        if (err && !table->is_bounded) {
            return err;
        }
    }
    if (!is_placed && !put_slot(table, slot)) {
        assert(table->is_bounded);
        replace_slot(table, slot);
    }
    return 0;
}

void name_table_clear(struct name_table *table)
{
    memset(table->slots, 0, (size_t)table->buckets * BUCKET_BYTES);
    table->count = 0;
}

uint64_t name_table_bytes(const struct name_table *table)
{
    return (uint64_t)table->buckets * BUCKET_BYTES;
}
