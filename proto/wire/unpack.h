// A bounded cursor over msgpack that somebody else wrote. It never allocates and never reads past
// the end; claimed lengths and counts are checked against the bytes that are left. Its first error
// sticks: from then on every function returns zero, so that a message is read in one straight run
// and checked once, at its end. Views point into the bytes that are read.
#pragma once

#include "proto/base/bytes.h"

struct unpack {
    const uint8_t *at;
    const uint8_t *end;
    int err;             // 0, or that of the first failure
    const char *field;   // of the first failure: what was read,
    const char *problem; // and what was wrong with it: "is not a bin"
};

static inline void unpack_init(struct unpack *unpack, struct bytes bytes)
{
    *unpack = (struct unpack){.at = bytes.data, .end = bytes.data};
    if (bytes.length > 0) { // bytes without a byte may be at NULL
        unpack->end += bytes.length;
    }
}

static inline size_t unpack_left(const struct unpack *unpack)
{
    return (size_t)(unpack->end - unpack->at);
}

// Fails unless it has failed before. `field` and `problem` are constants.
void unpack_fail(struct unpack *unpack, int err, const char *field, const char *problem);

// The functions below take the next value and fail with ERR_INVALID when it is of another type, is
// cut, or claims more than is left. `field` names it for people; a constant.

// Takes the next value if it is nil.
bool unpack_take_nil(struct unpack *unpack);

bool unpack_bool(struct unpack *unpack, const char *field);

// An integer from 0 to `max`, in any of msgpack's forms.
uint64_t unpack_uint(struct unpack *unpack, uint64_t max, const char *field);

struct bytes unpack_text(struct unpack *unpack, const char *field); // str
struct bytes unpack_bin(struct unpack *unpack, const char *field);

// A bin of exactly `length` bytes; NULL after a failure.
const uint8_t *unpack_bin_exact(struct unpack *unpack, size_t length, const char *field);

// How many elements, or pairs of key and value, follow.
uint32_t unpack_array(struct unpack *unpack, const char *field);
uint32_t unpack_map(struct unpack *unpack, const char *field);

// An array of at least `count` elements: returns how many more there are, for unpack_skip.
uint32_t unpack_array_of(struct unpack *unpack, uint32_t count, const char *field);

// A whole map as it is encoded, well-formed.
struct bytes unpack_map_encoded(struct unpack *unpack, const char *field);

// Passes `count` values of any type, nested at most MSGPACK_DEPTH_MAX deep.
void unpack_skip(struct unpack *unpack, uint64_t count, const char *field);
