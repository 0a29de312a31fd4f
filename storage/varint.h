// Numbers in as few bytes as they need: seven bits a byte, lowest first, the top bit says that more
// follow (LEB128). For the values of the index.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { VARINT_LENGTH_MAX = 10 };

// Writes at most VARINT_LENGTH_MAX bytes; returns the place behind them.
static inline uint8_t *varint_put(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

// Takes a number off the front of *at, which ends at `end`; false: it is cut or too long.
static inline bool varint_take(const uint8_t **at, const uint8_t *end, uint64_t *value_out)
{
    const uint8_t *in = *at;
    if (in < end && *in < 0x80) {
        *value_out = *in;
        *at = in + 1;
        return true;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; in < end && shift < 64; shift += 7) {
        uint8_t byte = *in++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value_out = value;
            *at = in;
            return true;
        }
    }
    return false;
}

// Signed numbers near zero as small unsigned ones.
static inline uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline int64_t zigzag_inverse(uint64_t value)
{
    return (int64_t)(value >> 1 ^ -(value & 1));
}
