// Bytes for tests: hex to bytes, and copies that end exactly where their allocation ends, so that
// the address sanitizer sees a read of one byte too many.
#pragma once

#include <check.h>
#include <stdlib.h>

#include "proto/base/bytes.h"

// Given back by exact_free.
static inline struct bytes exact_copy(struct bytes bytes)
{
    uint8_t *data = malloc(bytes.length ? bytes.length : 1);
    ck_assert_ptr_nonnull(data);
    if (bytes.length > 0) {
        memcpy(data, bytes.data, bytes.length);
    }
    // An empty copy points behind its allocation, where nothing may be read.
    return bytes_of(bytes.length ? data : data + 1, bytes.length);
}

static inline void exact_free(struct bytes copy)
{
    free((void *)(uintptr_t)(copy.length ? copy.data : copy.data - 1));
}

static inline uint8_t hex_digit(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

// Appends the bytes of lower-case hex text; blanks are skipped.
static inline void append_hex(struct buffer *out, const char *hex)
{
    while (*hex) {
        if (*hex == ' ') {
            hex++;
            continue;
        }
        uint8_t byte = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        ck_assert_int_eq(buffer_append(out, bytes_of(&byte, 1)), 0);
        hex += 2;
    }
}

static inline void assert_bytes_are(struct bytes bytes, const char *hex)
{
    struct buffer expected = {0};
    append_hex(&expected, hex);
    ck_assert_uint_eq(bytes.length, expected.length);
    ck_assert_mem_eq(bytes.data, expected.data, bytes.length);
    buffer_deinit(&expected);
}
