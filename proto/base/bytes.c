// Buffers double when they grow, so that appending costs constant time per byte; a failed growth
// leaves the old contents in place.

#include "proto/base/bytes.h"

#include <assert.h>
#include <stdlib.h>

enum { BUFFER_CAPACITY_MIN = 64 };

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) {
        return order;
    }
    return a.length < b.length ? -1 : a.length > b.length;
}

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

int buffer_grow(struct buffer *buffer, size_t more)
{
    assert(buffer->length <= buffer->capacity);
    if (more > SIZE_MAX / 2 - buffer->length) {
        return ERR_MEMORY;
    }
    size_t capacity = buffer->length + more;
    if (capacity < 2 * buffer->capacity) {
        capacity = 2 * buffer->capacity;
    }
    if (capacity < BUFFER_CAPACITY_MIN) {
        capacity = BUFFER_CAPACITY_MIN;
    }
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data) {
        return ERR_MEMORY;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, struct bytes bytes)
{
    if (bytes.length == 0) {
        return 0;
    }
    int err = buffer_reserve(buffer, bytes.length);
    if (err) {
        return err;
    }
    memcpy(buffer->data + buffer->length, bytes.data, bytes.length);
    buffer->length += bytes.length;
    return 0;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    if (length >= buffer->length) {
        buffer->length = 0;
        return;
    }
    buffer->length -= length;
    memmove(buffer->data, buffer->data + length, buffer->length);
}
