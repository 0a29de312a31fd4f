// A writer of msgpack at the end of a buffer. Its first error sticks and what follows is not
// written, so that a message is written in one straight run and checked once, at its end.
#pragma once

#include "proto/base/bytes.h"

struct pack {
    struct buffer *out;
    size_t start; // length of `out` before
    int err;
};

void pack_init(struct pack *pack, struct buffer *out);

// 0, or ERR_MEMORY: then `out` is as it was before pack_init.
int pack_finish(struct pack *pack) MUST_CHECK;

void pack_nil(struct pack *pack);
void pack_bool(struct pack *pack, bool value);
void pack_uint(struct pack *pack, uint64_t value);    // in the shortest form
void pack_text(struct pack *pack, struct bytes text); // str
void pack_bin(struct pack *pack, struct bytes bytes);

// The front of a bin of `length` bytes that follow.
void pack_bin_head(struct pack *pack, size_t length);

// `count` elements, or pairs of key and value, follow.
void pack_array(struct pack *pack, uint32_t count);
void pack_map(struct pack *pack, uint32_t count);

// Bytes as they are: values that are encoded already, or what a head announced.
void pack_raw(struct pack *pack, struct bytes bytes);
