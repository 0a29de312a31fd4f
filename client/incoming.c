// Room is made at the end; only when that is used up, the unfinished frame moves to the front. So
// a stream of frames of 256 KiB copies a fraction of itself, inside the cache, and views of frames
// stay put until more is received. It grows by doubling, with what came and not with what a frame
// claims, so a lying length costs nothing. Where views must stay although more is received, the
// piece of memory is left to them, and another one is begun.

#include "client/incoming.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/wire/frame.h"

void incoming_deinit(struct incoming *incoming)
{
    free(incoming->data);
    free(incoming->pinned);
    *incoming = (struct incoming){0};
}

void incoming_pin(struct incoming *incoming)
{
    incoming->is_pinned = true;
}

void incoming_unpin(struct incoming *incoming)
{
    incoming->is_pinned = false;
    free(incoming->pinned);
    incoming->pinned = NULL;
}

void incoming_clear(struct incoming *incoming)
{
    incoming->start = incoming->end;
}

// Leaves the memory to the views and goes on in another piece.
static int leave_pinned(struct incoming *incoming)
{
    size_t length = incoming->end - incoming->start;
    uint8_t *data = malloc(incoming->capacity);
    if (!data) {
        return ERR_MEMORY;
    }
    memcpy(data, incoming->data + incoming->start, length);
    assert(!incoming->pinned);
    incoming->pinned = incoming->data;
    incoming->is_pinned = false;
    incoming->data = data;
    incoming->start = 0;
    incoming->end = length;
    return 0;
}

int incoming_space(struct incoming *incoming, uint8_t **space_out, size_t *length_out)
{
    if (incoming->is_pinned && incoming->capacity - incoming->end < INCOMING_SPACE_MIN) {
        int err = leave_pinned(incoming);
        if (err != 0) {
            return err;
        }
    }
    if (incoming->start == incoming->end && !incoming->is_pinned) {
        incoming->start = 0;
        incoming->end = 0;
    }
    if (incoming->capacity - incoming->end < INCOMING_SPACE_MIN && incoming->start > 0) {
        memmove(incoming->data, incoming->data + incoming->start, incoming->end - incoming->start);
        incoming->end -= incoming->start;
        incoming->start = 0;
    }
    if (incoming->capacity - incoming->end < INCOMING_SPACE_MIN) {
        size_t capacity = incoming->capacity ? 2 * incoming->capacity : INCOMING_CAPACITY;
        uint8_t *data = realloc(incoming->data, capacity);
        if (!data) {
            return ERR_MEMORY;
        }
        incoming->data = data;
        incoming->capacity = capacity;
    }
    *space_out = incoming->data + incoming->end;
    *length_out = incoming->capacity - incoming->end;
    return 0;
}

void incoming_add(struct incoming *incoming, size_t length)
{
    assert(length <= incoming->capacity - incoming->end);
    incoming->end += length;
}

int incoming_next(struct incoming *incoming, struct bytes *message_out)
{
    if (incoming->start == incoming->end) {
        return FRAME_INCOMPLETE;
    }
    struct bytes rest = bytes_of(incoming->data + incoming->start, incoming->end - incoming->start);
    size_t needed;
    int outcome = frame_next(&rest, FRAME_BYTES_MAX, message_out, &needed);
    if (outcome == 0) {
        incoming->start = incoming->end - rest.length;
    }
    return outcome;
}
