// Reads everything through one handle and writes it in one batch through another.
#include "tests/simulation/disk_copy.h"

#include "storage/disk.h"
#include "tests/simulation/memory.h"

struct disk_medium *disk_copy(struct disk_medium *from, unsigned families)
{
    struct disk_medium *medium = disk_medium_new();
    struct disk *source;
    struct disk *target;
    memory_must(medium ? 0 : ERR_MEMORY);
    memory_must(disk_memory_open(from, families, &source));
    memory_must(disk_memory_open(medium, families, &target));
    struct disk_batch *batch = disk_batch_new(target);
    for (unsigned family = 0; family < families; family++) {
        struct disk_iterator *iterator;
        memory_must(disk_iterator_open(source, family, DISK_READ_SCAN, &iterator));
        for (disk_iterator_seek(iterator, bytes_of(NULL, 0)); disk_iterator_is_valid(iterator);
             disk_iterator_next(iterator)) {
            disk_batch_put(batch, family, disk_iterator_key(iterator),
                           disk_iterator_value(iterator));
        }
        memory_must(disk_iterator_status(iterator));
        disk_iterator_close(iterator);
    }
    memory_must(disk_write(target, batch));
    memory_must(disk_sync(target));
    disk_batch_free(batch);
    disk_close(target);
    disk_close(source);
    return medium;
}
