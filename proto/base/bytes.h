// Bytes: views that own nothing, buffers that own and grow, and numbers in big-endian order.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/err.h"

// A view: valid as long as what it points to.
struct bytes {
    const uint8_t *data;
    size_t length;
};

static inline struct bytes bytes_of(const void *data, size_t length)
{
    return (struct bytes){.data = data, .length = length};
}

// A view of a C string, without its NUL.
static inline struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .length = strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

// Order by bytes, a prefix first; <0, 0, >0.
int bytes_compare(struct bytes a, struct bytes b);

// A growing buffer that owns `data`. Zero-initialised is empty and valid.
struct buffer {
    uint8_t *data;
    size_t length;
    size_t capacity;
};

void buffer_deinit(struct buffer *buffer);

// buffer_reserve where there is not enough room.
int buffer_grow(struct buffer *buffer, size_t more) MUST_CHECK;

// Makes room for `more` bytes beyond length; contents stay. ERR_MEMORY leaves it as it was.
static inline MUST_CHECK int buffer_reserve(struct buffer *buffer, size_t more)
{
    return more <= buffer->capacity - buffer->length ? 0 : buffer_grow(buffer, more);
}

// Appends; ERR_MEMORY leaves it as it was.
int buffer_append(struct buffer *buffer, struct bytes bytes) MUST_CHECK;

static inline void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
}

static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return bytes_of(buffer->data, buffer->length);
}

// Removes the first `length` bytes (at most what is there) by moving the rest down.
void buffer_consume(struct buffer *buffer, size_t length);

static inline void store_be16(uint8_t *out, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(out, &value, sizeof value);
}

static inline void store_be32(uint8_t *out, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(out, &value, sizeof value);
}

static inline void store_be64(uint8_t *out, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof value);
}

static inline uint16_t load_be16(const uint8_t *in)
{
    uint16_t value;
    memcpy(&value, in, sizeof value);
    return __builtin_bswap16(value);
}

static inline uint32_t load_be32(const uint8_t *in)
{
    uint32_t value;
    memcpy(&value, in, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t load_be64(const uint8_t *in)
{
    uint64_t value;
    memcpy(&value, in, sizeof value);
    return __builtin_bswap64(value);
}
