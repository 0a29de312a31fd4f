// What a front end has to send: pieces of bytes in order, heads made here and blocks by reference.
// Pieces never move, so that they can be pointed to until they are sent.
#pragma once

#include <sys/uio.h>

#include "proto/base/bytes.h"
#include "proto/model/block.h"

struct output_page;

struct output_piece {
    const uint8_t *data;
    size_t length;
    struct block *block;      // a reference, or NULL
    struct output_page *page; // to be freed behind this piece, or NULL
};

// Zero-initialised is empty.
struct output {
    struct output_piece *pieces; // a ring
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    size_t bytes; // of all pieces
    struct output_page *page;
};

void output_deinit(struct output *output);

// A buffer to append a head of at most `room` bytes to, which must then be given to output_commit.
// NULL: no memory.
struct buffer *output_begin(struct output *output, size_t room);

// What was appended since output_begin is to be sent. ERR_MEMORY: the output is of no use any more.
int output_commit(struct output *output) MUST_CHECK;

// The bytes of a block, whose reference it takes over. Small ones are copied.
int output_add_block(struct output *output, struct block *block, size_t offset,
                     size_t length) MUST_CHECK;

size_t output_peek(const struct output *output, struct iovec *out, size_t max);
void output_sent(struct output *output, size_t length);
