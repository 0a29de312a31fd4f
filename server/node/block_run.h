// What blocks are made of, one by one, whichever kind they are: the events of a chunk or a slice,
// without a look at them. Of blocks that were made in this process: nothing is checked.
#pragma once

#include "proto/model/block.h"
#include "proto/model/slice.h"

struct block_run {
    uint16_t actor;
    uint32_t count;
    uint64_t first;
    uint64_t timestamp_ms;
    struct bytes bytes;  // header and all
    size_t plain_length; // as a slice, header and all
};

// Takes the next one off *rest, which is not empty.
void block_run_next(enum block_kind kind, struct bytes *rest, struct block_run *out);

// The run as a slice. A chunk's events are decoded into `scratch` if they have to be; the slice's
// views point there, or into the run. ERR_CORRUPT, ERR_MEMORY.
int block_run_slice(enum block_kind kind, const struct block_run *run, struct buffer *scratch,
                    struct slice *slice_out) MUST_CHECK;
