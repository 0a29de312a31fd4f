// The only file that sees LZ4. The state is the caller's so that a thread that compresses many
// blocks keeps one, warm in its cache, instead of having 16 KiB on the stack each time.

#include "proto/base/compress.h"

#include <assert.h>
#include <limits.h>
#include <lz4.h>

size_t compress_bound(size_t length)
{
    assert(length <= LZ4_MAX_INPUT_SIZE);
    return (size_t)LZ4_compressBound((int)length);
}

size_t compress_state_bytes(void)
{
    return (size_t)LZ4_sizeofState();
}

size_t compress_block(void *state, struct bytes plain, uint8_t *out, size_t out_max)
{
    assert(plain.length <= LZ4_MAX_INPUT_SIZE);
    int capacity = out_max > INT_MAX ? INT_MAX : (int)out_max;
    int length = LZ4_compress_fast_extState(state, (const char *)plain.data, (char *)out,
                                            (int)plain.length, capacity, 1);
    return length > 0 ? (size_t)length : 0;
}

int decompress_block(struct bytes encoded, uint8_t *out, size_t plain_length)
{
    if (encoded.length > INT_MAX || plain_length > INT_MAX) {
        return ERR_CORRUPT;
    }
    int length = LZ4_decompress_safe((const char *)encoded.data, (char *)out, (int)encoded.length,
                                     (int)plain_length);
    return length >= 0 && (size_t)length == plain_length ? 0 : ERR_CORRUPT;
}
