// Namespaces: UTF-8, 1..1024 bytes, no NUL and no control characters (C0, DEL, C1); by convention
// a '/'-separated path. Those that begin with "/$" are the system's.
#pragma once

#include "proto/base/bytes.h"

// ERR_INVALID or ERR_LIMIT with a reason that says what is wrong, and where.
int namespace_validate(struct bytes name, struct reason *reason) MUST_CHECK;

static inline bool namespace_is_system(struct bytes name)
{
    return name.length >= 2 && name.data[0] == '/' && name.data[1] == '$';
}

// Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7).
bool utf8_is_valid(struct bytes text);
