// A batch: events to be produced together, atomically, encoded as they are added.
#pragma once

#include "proto/base/limits.h"
#include "proto/model/event.h"

// Owns `events`. Zero-initialised is empty; reused after batch_clear.
struct batch {
    struct buffer events;
    uint32_t count;
};

void batch_deinit(struct batch *batch);
void batch_clear(struct batch *batch);

// Positive outcome: the batch is at a limit of one produce; send it first. It is as it was.
enum { BATCH_FULL = 1 };

// Adds an event after checking all that a node would check. `attributes` as attributes_append
// makes them, or empty. Everything is copied. ERR_INVALID or ERR_LIMIT with a reason, ERR_MEMORY;
// then the batch is as it was.
int batch_add(struct batch *batch, struct bytes name, struct bytes data, struct bytes attributes,
              uint64_t data_bytes_max, struct reason *reason) MUST_CHECK;

// Adds an event that is known to be valid. BATCH_FULL or ERR_MEMORY.
int batch_add_trusted(struct batch *batch, struct bytes name, struct bytes data,
                      struct bytes attributes) MUST_CHECK;

// batch_add_trusted of an event without attributes, whose name is not empty.
static inline MUST_CHECK int batch_add_plain(struct batch *batch, struct bytes name,
                                             struct bytes data)
{
    size_t before = batch->events.length;
    if (batch->count == PRODUCE_EVENTS_MAX) {
        return BATCH_FULL;
    }
    int err = event_append_plain(&batch->events, name, data);
    if (err == 0 && batch->count > 0 && batch->events.length > PRODUCE_BYTES_MAX) {
        batch->events.length = before;
        return BATCH_FULL;
    }
    batch->count += err == 0;
    return err;
}
