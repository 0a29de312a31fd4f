// Namespaces are numbered in the order of their first arrival, so numbering again after a crash
// gives the same numbers: a name found on the disk with a number that is not given yet was written
// by a part that the crash has cut, counts as unknown, and will get that very number again.
// Most names are found in the table of known ones; a miss costs a read of the disk, unless the
// table is known to hold all there are. New names are written in byte order, because the disk's
// buffer takes a key near the one before faster.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

int index_number_decode(struct bytes value, uint32_t *number_out)
{
    if (value.length != 4) {
        return ERR_CORRUPT;
    }
    *number_out = load_be32(value.data);
    return 0;
}

static int find_on_disk(struct index *index, struct bytes name, uint32_t *number_out)
{
    buffer_clear(&index->number_value);
    int result = disk_get(index->disk, INDEX_NAMESPACES, name, &index->number_value);
    if (result == 0) {
        result = index_number_decode(buffer_bytes(&index->number_value), number_out);
    }
    if (result == 0 && *number_out >= index->names_next) {
        result = DISK_NOT_FOUND;
    }
    return result;
}

static int add_fresh(struct index *index, struct bytes name, const struct hash128 *hash,
                     uint32_t *number_out)
{
    if (index->names_next == UINT32_MAX) {
        return ERR_LIMIT;
    }
    struct buffer *names = &index->fresh_names;
    int err = buffer_reserve(names, 2 + name.length);
    err = err ? err : name_table_add(&index->fresh, hash, index->names_next);
    if (err) {
        return err;
    }
    assert(name.length <= UINT16_MAX);
    store_be16(names->data + names->length, (uint16_t)name.length);
    memcpy(names->data + names->length + 2, name.data, name.length);
    names->length += 2 + name.length;
    *number_out = index->names_next++;
    return 0;
}

int index_number(struct index *index, struct bytes name, const struct hash128 *hash,
                 uint32_t *number_out)
{
    if (name_table_find(&index->known, hash, number_out) ||
        name_table_find(&index->fresh, hash, number_out)) {
        return 0;
    }
    if (!index->known_is_complete) {
        int result = find_on_disk(index, name, number_out);
        if (result == 0) {
            return name_table_add(&index->known, hash, *number_out);
        }
        if (result != DISK_NOT_FOUND) {
            return result;
        }
    }
    return add_fresh(index, name, hash, number_out);
}

static struct bytes fresh_name_take(const uint8_t **at)
{
    struct bytes name = bytes_of(*at + 2, load_be16(*at));
    *at = name.data + name.length;
    return name;
}

static uint32_t fresh_first(const struct index *index)
{
    return index->names_next - (uint32_t)index->fresh.count;
}

struct fresh_name {
    struct bytes name;
    uint32_t number;
};

static int compare_names(const void *left, const void *right)
{
    const struct fresh_name *a = left;
    const struct fresh_name *b = right;
    return bytes_compare(a->name, b->name);
}

static struct fresh_name *fresh_names_sorted(const struct index *index, size_t count)
{
    struct fresh_name *names = malloc(count * sizeof *names);
    if (names) {
        const uint8_t *at = index->fresh_names.data;
        uint32_t first = fresh_first(index);
        for (size_t i = 0; i < count; i++) {
            names[i].name = fresh_name_take(&at);
            names[i].number = first + (uint32_t)i;
        }
        qsort(names, count, sizeof *names, compare_names);
    }
    return names;
}

int index_numbers_put(struct index *index)
{
    size_t count = index->fresh.count;
    if (count == 0) {
        return 0;
    }
    struct fresh_name *names = fresh_names_sorted(index, count);
    int err = names ? 0 : ERR_MEMORY;
    for (size_t i = 0; !err && i < count; i++) {
        uint8_t value[4];
        store_be32(value, names[i].number);
        err =
            index_batch_put(index, INDEX_NAMESPACES, names[i].name, bytes_of(value, sizeof value));
    }
    free(names);
    return err;
}

int index_numbers_settle(struct index *index)
{
    const uint8_t *at = index->fresh_names.data;
    for (uint32_t number = fresh_first(index); number < index->names_next; number++) {
        struct hash128 hash = hash128_keyed(fresh_name_take(&at), index->seed);
        int err = name_table_add(&index->known, &hash, number);
        if (err) {
            return err;
        }
    }
    index->known_is_complete = index->known_is_complete && index->known.dropped == 0;
    if (index->fresh.count > 0) {
        name_table_clear(&index->fresh);
        buffer_clear(&index->fresh_names);
    }
    return 0;
}
