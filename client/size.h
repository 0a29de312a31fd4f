// Structs that programs fill in and that grow from version to version: their first member is their
// size, as the program knows it.
#pragma once

#include <stddef.h>

#include "proto/base/err.h"

// Copies such a struct into `out`, the newest form of it; what the program does not know is zero.
// `size_first` is the size of its first version. ERR_INVALID: it has no size; ERR_UNSUPPORTED: it
// sets what only a later version of the library knows.
int size_read(const void *from, size_t size_first, void *out, size_t out_size,
              struct reason *reason) MUST_CHECK;
