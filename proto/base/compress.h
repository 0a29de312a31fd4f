// LZ4 block compression, wrapped here and nowhere else. Lengths are the caller's to know and to
// check against its limits before it calls.
#pragma once

#include "proto/base/bytes.h"

// The largest output for `length` bytes of input.
size_t compress_bound(size_t length);

// Compresses into out[0..out_max); returns the length, or 0 when it does not fit.
// `state` is a scratch area of compress_state_bytes() bytes, 8-aligned, that is reused.
size_t compress_state_bytes(void);
size_t compress_block(void *state, struct bytes plain, uint8_t *out, size_t out_max);

// Decompresses exactly `plain_length` bytes into out. ERR_CORRUPT when the input is not that.
int decompress_block(struct bytes encoded, uint8_t *out, size_t plain_length) MUST_CHECK;
