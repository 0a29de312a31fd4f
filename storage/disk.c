// Dispatch to the implementation, with the contract of disk.h asserted in one place for all of
// them. One indirect call per chunk-sized value is nothing beside what the call does, so nothing
// here is inline.

#include "storage/disk.h"

#include <assert.h>

struct disk_batch *disk_batch_new(struct disk *disk)
{
    assert(disk);
    struct disk_batch *batch = disk->ops->batch_new(disk);
    assert(!batch || batch->disk == disk);
    return batch;
}

void disk_batch_free(struct disk_batch *batch)
{
    if (batch) {
        batch->disk->ops->batch_free(batch);
    }
}

void disk_batch_clear(struct disk_batch *batch)
{
    batch->disk->ops->batch_clear(batch);
}

void disk_batch_put(struct disk_batch *batch, unsigned family, struct bytes key, struct bytes value)
{
    assert(family < DISK_FAMILIES_MAX);
    assert(key.length > 0 && key.length <= DISK_KEY_BYTES_MAX);
    batch->disk->ops->batch_put(batch, family, key, value);
}

void disk_batch_delete(struct disk_batch *batch, unsigned family, struct bytes key)
{
    assert(family < DISK_FAMILIES_MAX);
    assert(key.length > 0 && key.length <= DISK_KEY_BYTES_MAX);
    batch->disk->ops->batch_delete(batch, family, key);
}

size_t disk_batch_bytes(const struct disk_batch *batch)
{
    return batch->disk->ops->batch_bytes(batch);
}

int disk_write(struct disk *disk, struct disk_batch *batch)
{
    assert(batch->disk == disk);
    int result = disk->ops->write(disk, batch);
    assert(result <= 0);
    return result;
}

int disk_write_synced(struct disk *disk, struct disk_batch *batch)
{
    assert(batch->disk == disk);
    if (disk->ops->write_synced == NULL) {
        int result = disk_write(disk, batch);
        return result == 0 ? disk_sync(disk) : result;
    }
    int result = disk->ops->write_synced(disk, batch);
    assert(result <= 0);
    return result;
}

int disk_sync(struct disk *disk)
{
    int result = disk->ops->sync(disk);
    assert(result <= 0);
    return result;
}

int disk_get(struct disk *disk, unsigned family, struct bytes key, struct buffer *value)
{
    assert(family < DISK_FAMILIES_MAX);
    assert(key.length > 0 && key.length <= DISK_KEY_BYTES_MAX);
    size_t length_before = value->length;
    int result = disk->ops->get(disk, family, key, value);
    assert(result <= 0 || result == DISK_NOT_FOUND);
    assert(result == 0 ? value->length >= length_before : value->length == length_before);
    return result;
}

int disk_iterator_open(struct disk *disk, unsigned family, enum disk_read_pattern pattern,
                       struct disk_iterator **iterator_out)
{
    assert(family < DISK_FAMILIES_MAX);
    int result = disk->ops->iterator_open(disk, family, pattern, iterator_out);
    assert(result <= 0);
    assert(result < 0 || (*iterator_out)->disk == disk);
    return result;
}

void disk_iterator_close(struct disk_iterator *iterator)
{
    if (iterator) {
        iterator->disk->ops->iterator_close(iterator);
    }
}

void disk_iterator_seek(struct disk_iterator *iterator, struct bytes key)
{
    assert(key.length <= DISK_KEY_BYTES_MAX);
    iterator->disk->ops->iterator_seek(iterator, key);
}

void disk_iterator_seek_for_prev(struct disk_iterator *iterator, struct bytes key)
{
    assert(key.length <= DISK_KEY_BYTES_MAX);
    iterator->disk->ops->iterator_seek_for_prev(iterator, key);
}

void disk_iterator_seek_to_last(struct disk_iterator *iterator)
{
    iterator->disk->ops->iterator_seek_to_last(iterator);
}

void disk_iterator_next(struct disk_iterator *iterator)
{
    assert(disk_iterator_is_valid(iterator));
    iterator->disk->ops->iterator_next(iterator);
}

void disk_iterator_previous(struct disk_iterator *iterator)
{
    assert(disk_iterator_is_valid(iterator));
    iterator->disk->ops->iterator_previous(iterator);
}

bool disk_iterator_is_valid(const struct disk_iterator *iterator)
{
    return iterator->disk->ops->iterator_is_valid(iterator);
}

struct bytes disk_iterator_key(const struct disk_iterator *iterator)
{
    assert(disk_iterator_is_valid(iterator));
    return iterator->disk->ops->iterator_key(iterator);
}

struct bytes disk_iterator_value(const struct disk_iterator *iterator)
{
    assert(disk_iterator_is_valid(iterator));
    return iterator->disk->ops->iterator_value(iterator);
}

int disk_iterator_status(const struct disk_iterator *iterator)
{
    int result = iterator->disk->ops->iterator_status(iterator);
    assert(result <= 0);
    return result;
}

int disk_flush(struct disk *disk)
{
    int result = disk->ops->flush(disk);
    assert(result <= 0);
    return result;
}

uint64_t disk_used_bytes(struct disk *disk)
{
    return disk->ops->used_bytes(disk);
}

uint64_t disk_free_bytes(struct disk *disk)
{
    return disk->ops->free_bytes(disk);
}

uint64_t disk_memory_bytes(struct disk *disk)
{
    return disk->ops->memory_bytes(disk);
}

void disk_close(struct disk *disk)
{
    if (disk) {
        disk->ops->close(disk);
    }
}
