// One batch is filled and written again and again. It is kept short, because a long write holds up
// the commits of the log on the same machine.

#include "storage/index_internal.h"

#include "proto/base/limits.h"

enum { BATCH_KEYS_MAX = 1000 };

#define BATCH_BYTES_MAX (512 * KIB)

int index_batch_write(struct index *index)
{
    struct part_scratch *scratch = &index->scratch;
    if (scratch->batch_keys == 0) {
        return 0;
    }
    int err = disk_write(index->disk, scratch->batch);
    disk_batch_clear(scratch->batch);
    scratch->batch_keys = 0;
    return err;
}

int index_batch_put(struct index *index, unsigned family, struct bytes key, struct bytes value)
{
    struct part_scratch *scratch = &index->scratch;
    disk_batch_put(scratch->batch, family, key, value);
    scratch->batch_keys++;
    if (scratch->batch_keys < BATCH_KEYS_MAX &&
        disk_batch_bytes(scratch->batch) < BATCH_BYTES_MAX) {
        return 0;
    }
    return index_batch_write(index);
}
