// Events are encoded once, here, in the form in which the node stores them. What a node refuses is
// refused here first, because a node refuses the whole batch for one bad event.

#include "client/batch.h"

#include "proto/base/limits.h"

void batch_deinit(struct batch *batch)
{
    buffer_deinit(&batch->events);
    batch->count = 0;
}

void batch_clear(struct batch *batch)
{
    buffer_clear(&batch->events);
    batch->count = 0;
}

int batch_add_trusted(struct batch *batch, struct bytes name, struct bytes data,
                      struct bytes attributes)
{
    if (batch->count == PRODUCE_EVENTS_MAX) {
        return BATCH_FULL;
    }
    size_t before = batch->events.length;
    int err = event_append(&batch->events, name, data, attributes);
    if (err != 0) {
        return err;
    }
    if (batch->count > 0 && batch->events.length > PRODUCE_BYTES_MAX) {
        batch->events.length = before;
        return BATCH_FULL;
    }
    batch->count++;
    return 0;
}

int batch_add(struct batch *batch, struct bytes name, struct bytes data, struct bytes attributes,
              uint64_t data_bytes_max, struct reason *reason)
{
    struct event event = {.name = name, .data = data, .attributes = attributes};
    int err = event_validate(&event, data_bytes_max, false, reason);
    return err != 0 ? err : batch_add_trusted(batch, name, data, attributes);
}
