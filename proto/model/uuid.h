// Random 128-bit names of nodes and clusters, and their text: 8-4-4-4-12 hexadecimal digits,
// written in lower case and read in either.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/err.h"

struct uuid {
    uint8_t bytes[16];
};

enum { UUID_TEXT_LENGTH = 36 };

void uuid_format(const struct uuid *uuid, char out[UUID_TEXT_LENGTH + 1]);
int uuid_parse(const char *text, struct uuid *uuid_out) MUST_CHECK; // ERR_INVALID

static inline int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return uuid_compare(a, b) == 0;
}

static inline bool uuid_is_zero(const struct uuid *uuid)
{
    const struct uuid zero = {0};
    return uuid_equal(uuid, &zero);
}
