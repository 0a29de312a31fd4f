// One allocation, with the content at `start`. It moves to the front only when it has to grow, so
// taking many small messages off the front costs nothing.
#include "server/net/inbox.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"

enum { FIRST_ROOM = 256 * 1024 };

void inbox_deinit(struct inbox *inbox)
{
    free(inbox->data);
    *inbox = (struct inbox){0};
}

static int grow(struct inbox *inbox, size_t capacity)
{
    if (inbox->capacity - inbox->start >= capacity) {
        return 0;
    }
    if (inbox->start > 0) {
        memmove(inbox->data, inbox->data + inbox->start, inbox->length);
        inbox->start = 0;
    }
    if (inbox->capacity >= capacity) {
        return 0;
    }
    uint8_t *data = realloc(inbox->data, capacity);
    if (data == NULL) {
        return ERR_MEMORY;
    }
    inbox->data = data;
    inbox->capacity = capacity;
    return 0;
}

int inbox_append(struct inbox *inbox, struct bytes bytes)
{
    if (bytes.length == 0) {
        return 0;
    }
    int err = grow(inbox, inbox->length + bytes.length);
    if (err != 0) {
        return err;
    }
    memcpy(inbox->data + inbox->start + inbox->length, bytes.data, bytes.length);
    inbox->length += bytes.length;
    return 0;
}

void inbox_consume(struct inbox *inbox, size_t length)
{
    assert(length <= inbox->length);
    inbox->start += length;
    inbox->length -= length;
    inbox->wanted = 0;
    if (inbox->length == 0) {
        inbox_deinit(inbox);
    }
}

int inbox_make_room(struct inbox *inbox)
{
    size_t capacity = inbox->length < FIRST_ROOM / 2 ? FIRST_ROOM : 2 * inbox->length;
    return grow(inbox, capacity < inbox->wanted ? capacity : inbox->wanted);
}
