// msgpack-c's own unpacker builds objects: it allocates, and reserves what a hostile count claims.
// Here every value begins with take(), which reads its first byte and its number (an integer's
// value, a length or a count), and refuses a length or count that cannot be there; the typed
// functions only compare types. Numbers are loaded with the library's macros.

#include "proto/wire/unpack.h"

#include <msgpack/sysdep.h>

#include "proto/base/limits.h"

enum type {
    TYPE_NONE, // no value begins with this byte
    TYPE_NIL,
    TYPE_FALSE,
    TYPE_TRUE,
    TYPE_UINT,
    TYPE_NEGATIVE,
    TYPE_SIGNED, // either of the two above
    TYPE_FLOAT,
    TYPE_TEXT,
    TYPE_BIN,
    TYPE_EXT,
    TYPE_ARRAY,
    TYPE_MAP,
};

struct value {
    enum type type;
    uint64_t number; // of bytes that follow, of elements or pairs, or the integer itself
};

// For the first bytes from 0xc0 to 0xdf: the type, the bytes of the number that follows, and what
// is added to it.
static const struct {
    uint8_t type;
    uint8_t width;
    uint8_t more;
} FORMATS[32] = {
    {TYPE_NIL, 0, 0},    {TYPE_NONE, 0, 0},   {TYPE_FALSE, 0, 0},  {TYPE_TRUE, 0, 0},
    {TYPE_BIN, 1, 0},    {TYPE_BIN, 2, 0},    {TYPE_BIN, 4, 0},    {TYPE_EXT, 1, 1},
    {TYPE_EXT, 2, 1},    {TYPE_EXT, 4, 1},    {TYPE_FLOAT, 0, 4},  {TYPE_FLOAT, 0, 8},
    {TYPE_UINT, 1, 0},   {TYPE_UINT, 2, 0},   {TYPE_UINT, 4, 0},   {TYPE_UINT, 8, 0},
    {TYPE_SIGNED, 1, 0}, {TYPE_SIGNED, 2, 0}, {TYPE_SIGNED, 4, 0}, {TYPE_SIGNED, 8, 0},
    {TYPE_EXT, 0, 2},    {TYPE_EXT, 0, 3},    {TYPE_EXT, 0, 5},    {TYPE_EXT, 0, 9},
    {TYPE_EXT, 0, 17},   {TYPE_TEXT, 1, 0},   {TYPE_TEXT, 2, 0},   {TYPE_TEXT, 4, 0},
    {TYPE_ARRAY, 2, 0},  {TYPE_ARRAY, 4, 0},  {TYPE_MAP, 2, 0},    {TYPE_MAP, 4, 0},
};

void unpack_fail(struct unpack *unpack, int err, const char *field, const char *problem)
{
    if (!unpack->err) {
        unpack->err = err;
        unpack->field = field;
        unpack->problem = problem;
        unpack->at = unpack->end;
    }
}

static struct value failed(struct unpack *unpack, const char *field, const char *problem)
{
    unpack_fail(unpack, ERR_INVALID, field, problem);
    return (struct value){.type = TYPE_NONE};
}

static uint64_t load(const uint8_t *at, uint8_t width)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (width) {
    case 0:
        return 0;
    case 1:
        return at[0];
    case 2:
        _msgpack_load16(uint16_t, at, &two);
        return two;
    case 4:
        _msgpack_load32(uint32_t, at, &four);
        return four;
    default:
        _msgpack_load64(uint64_t, at, &eight);
        return eight;
    }
}

// Whether what the number claims can be in `left` bytes.
static bool fits(struct value value, size_t left)
{
    switch (value.type) {
    case TYPE_NONE:
    case TYPE_NIL:
    case TYPE_FALSE:
    case TYPE_TRUE:
    case TYPE_UINT:
    case TYPE_NEGATIVE:
    case TYPE_SIGNED:
        return true;
    case TYPE_FLOAT:
    case TYPE_TEXT:
    case TYPE_BIN:
    case TYPE_EXT:
    case TYPE_ARRAY:
        return value.number <= left;
    case TYPE_MAP:
        return value.number <= left / 2;
    }
    return false;
}

// Reads a value's first byte and its number; what the number counts comes next.
static struct value take(struct unpack *unpack, const char *field)
{
    if (unpack->at == unpack->end) {
        return failed(unpack, field, "is missing: the message ends before it");
    }
    uint8_t first = *unpack->at++;
    struct value value;
    if (first < 0x80) {
        return (struct value){.type = TYPE_UINT, .number = first};
    } else if (first < 0x90) {
        value = (struct value){.type = TYPE_MAP, .number = first & 0x0f};
    } else if (first < 0xa0) {
        value = (struct value){.type = TYPE_ARRAY, .number = first & 0x0f};
    } else if (first < 0xc0) {
        value = (struct value){.type = TYPE_TEXT, .number = first & 0x1f};
    } else if (first >= 0xe0) {
        return (struct value){.type = TYPE_NEGATIVE};
    } else {
        uint8_t width = FORMATS[first - 0xc0].width;
        value.type = (enum type)FORMATS[first - 0xc0].type;
        if (value.type == TYPE_NONE) {
            return failed(unpack, field, "is not msgpack");
        }
        if (width > unpack_left(unpack)) {
            return failed(unpack, field, "is cut short");
        }
        value.number = load(unpack->at, width) + FORMATS[first - 0xc0].more;
        unpack->at += width;
        if (value.type == TYPE_SIGNED) {
            bool is_negative = value.number >> (8 * width - 1);
            value.type = is_negative ? TYPE_NEGATIVE : TYPE_UINT;
        }
    }
    if (!fits(value, unpack_left(unpack))) {
        return failed(unpack, field, "claims more than the message holds");
    }
    return value;
}

static struct bytes take_bytes(struct unpack *unpack, uint64_t length)
{
    struct bytes bytes = bytes_of(unpack->at, length);
    unpack->at += length;
    return bytes;
}

bool unpack_take_nil(struct unpack *unpack)
{
    if (unpack->at < unpack->end && *unpack->at == 0xc0) {
        unpack->at++;
        return true;
    }
    return false;
}

bool unpack_bool(struct unpack *unpack, const char *field)
{
    struct value value = take(unpack, field);
    if (value.type != TYPE_TRUE && value.type != TYPE_FALSE) {
        unpack_fail(unpack, ERR_INVALID, field, "is not a boolean");
    }
    return value.type == TYPE_TRUE;
}

uint64_t unpack_uint(struct unpack *unpack, uint64_t max, const char *field)
{
    struct value value = take(unpack, field);
    if (value.type != TYPE_UINT) {
        unpack_fail(unpack, ERR_INVALID, field, "is not an integer from 0 up");
        return 0;
    }
    if (value.number > max) {
        unpack_fail(unpack, ERR_INVALID, field, "is too large a number");
        return 0;
    }
    return value.number;
}

struct bytes unpack_text(struct unpack *unpack, const char *field)
{
    struct value value = take(unpack, field);
    if (value.type != TYPE_TEXT) {
        unpack_fail(unpack, ERR_INVALID, field, "is not a str");
        return (struct bytes){0};
    }
    return take_bytes(unpack, value.number);
}

struct bytes unpack_bin(struct unpack *unpack, const char *field)
{
    struct value value = take(unpack, field);
    if (value.type != TYPE_BIN) {
        unpack_fail(unpack, ERR_INVALID, field, "is not a bin");
        return (struct bytes){0};
    }
    return take_bytes(unpack, value.number);
}

const uint8_t *unpack_bin_exact(struct unpack *unpack, size_t length, const char *field)
{
    struct bytes bytes = unpack_bin(unpack, field);
    if (!unpack->err && bytes.length != length) {
        unpack_fail(unpack, ERR_INVALID, field, "is not of the right length");
    }
    return unpack->err ? NULL : bytes.data;
}

uint32_t unpack_array(struct unpack *unpack, const char *field)
{
    struct value value = take(unpack, field);
    if (value.type != TYPE_ARRAY) {
        unpack_fail(unpack, ERR_INVALID, field, "is not an array");
        return 0;
    }
    return (uint32_t)value.number;
}

uint32_t unpack_map(struct unpack *unpack, const char *field)
{
    struct value value = take(unpack, field);
    if (value.type != TYPE_MAP) {
        unpack_fail(unpack, ERR_INVALID, field, "is not a map");
        return 0;
    }
    return (uint32_t)value.number;
}

uint32_t unpack_array_of(struct unpack *unpack, uint32_t count, const char *field)
{
    uint32_t elements = unpack_array(unpack, field);
    if (!unpack->err && elements < count) {
        unpack_fail(unpack, ERR_INVALID, field, "has too few elements");
    }
    return unpack->err ? 0 : elements - count;
}

struct bytes unpack_map_encoded(struct unpack *unpack, const char *field)
{
    const uint8_t *start = unpack->at;
    uint64_t pairs = unpack_map(unpack, field);
    unpack_skip(unpack, 2 * pairs, field);
    return unpack->err ? (struct bytes){0} : bytes_of(start, (size_t)(unpack->at - start));
}

void unpack_skip(struct unpack *unpack, uint64_t count, const char *field)
{
    uint64_t pending[MSGPACK_DEPTH_MAX + 1] = {count};
    size_t depth = 0;
    while (!unpack->err) {
        if (pending[depth] == 0) {
            if (depth == 0) {
                return;
            }
            depth--;
            continue;
        }
        pending[depth]--;
        struct value value = take(unpack, field);
        if (value.type == TYPE_ARRAY || value.type == TYPE_MAP) {
            if (depth == MSGPACK_DEPTH_MAX) {
                unpack_fail(unpack, ERR_INVALID, field, "is nested too deep");
                return;
            }
            pending[++depth] = value.type == TYPE_MAP ? 2 * value.number : value.number;
        } else if (value.type >= TYPE_FLOAT) {
            (void)take_bytes(unpack, value.number);
        }
    }
}
