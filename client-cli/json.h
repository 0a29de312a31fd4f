// JSON text, appended to a buffer. Each returns 0 or ERR_MEMORY.
#pragma once

#include "proto/base/bytes.h"

// A string with its quotes. The text must be UTF-8.
int json_append_string(struct buffer *out, struct bytes utf8) MUST_CHECK;

// A string of base64 with its quotes.
int json_append_base64(struct buffer *out, struct bytes bytes) MUST_CHECK;

// As is: punctuation, keys.
static inline int MUST_CHECK json_append(struct buffer *out, const char *text)
{
    return buffer_append(out, bytes_of_text(text));
}

int json_append_number(struct buffer *out, uint64_t number) MUST_CHECK;

// Decodes base64 with padding, strictly. ERR_INVALID, ERR_MEMORY.
int base64_decode(struct bytes text, struct buffer *out) MUST_CHECK;
