// Room is made at the end; only when that is used up, the unfinished frame moves to the front. So
// a stream of frames of 256 KiB copies a fraction of itself, inside the cache, and views of frames
// stay put until more is received. It grows by doubling, with what came and not with what a frame
// claims, so a lying length costs nothing.

#include "client/inbox.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/wire/frame.h"

void inbox_deinit(struct inbox *inbox)
{
    free(inbox->data);
    *inbox = (struct inbox){0};
}

int inbox_space(struct inbox *inbox, uint8_t **space_out, size_t *length_out)
{
    if (inbox->start == inbox->end) {
        inbox->start = 0;
        inbox->end = 0;
    }
    if (inbox->capacity - inbox->end < INBOX_SPACE_MIN && inbox->start > 0) {
        memmove(inbox->data, inbox->data + inbox->start, inbox->end - inbox->start);
        inbox->end -= inbox->start;
        inbox->start = 0;
    }
    if (inbox->capacity - inbox->end < INBOX_SPACE_MIN) {
        size_t capacity = inbox->capacity ? 2 * inbox->capacity : INBOX_CAPACITY;
        uint8_t *data = realloc(inbox->data, capacity);
        if (!data) {
            return ERR_MEMORY;
        }
        inbox->data = data;
        inbox->capacity = capacity;
    }
    *space_out = inbox->data + inbox->end;
    *length_out = inbox->capacity - inbox->end;
    return 0;
}

void inbox_add(struct inbox *inbox, size_t length)
{
    assert(length <= inbox->capacity - inbox->end);
    inbox->end += length;
}

int inbox_next(struct inbox *inbox, struct bytes *message_out)
{
    if (inbox->start == inbox->end) {
        return FRAME_INCOMPLETE;
    }
    struct bytes rest = bytes_of(inbox->data + inbox->start, inbox->end - inbox->start);
    size_t needed;
    int outcome = frame_next(&rest, FRAME_BYTES_MAX, message_out, &needed);
    if (outcome == 0) {
        inbox->start = inbox->end - rest.length;
    }
    return outcome;
}
