// Incoming bytes: received and not yet taken, in one piece of memory, and the frames in them.
#pragma once

#include "proto/base/bytes.h"

// Owns `data` and `pinned`. Zero-initialised is empty.
struct incoming {
    uint8_t *data;
    size_t capacity;
    size_t start;
    size_t end;
    bool is_pinned;  // views of frames in `data` are in use
    uint8_t *pinned; // a former `data` whose views are in use
};

enum { INCOMING_SPACE_MIN = 256 * 1024, INCOMING_CAPACITY = 1024 * 1024 };

void incoming_deinit(struct incoming *incoming);

// Views of the frames taken so far stay valid until incoming_unpin, whatever is received.
void incoming_pin(struct incoming *incoming);
void incoming_unpin(struct incoming *incoming);

// Room for at least INCOMING_SPACE_MIN bytes behind what is there; invalidates views of frames,
// unless they are pinned. ERR_MEMORY.
int incoming_space(struct incoming *incoming, uint8_t **space_out, size_t *length_out) MUST_CHECK;

// `length` bytes were written into that room.
void incoming_add(struct incoming *incoming, size_t length);

// Drops what is there.
void incoming_clear(struct incoming *incoming);

// Takes the next whole frame's message; a view until the next incoming_space. FRAME_INCOMPLETE, or
// ERR_LIMIT and ERR_INVALID as frame_next.
int incoming_next(struct incoming *incoming, struct bytes *message_out) MUST_CHECK;
