// The inbox: bytes received and not yet taken, in one piece of memory, and the frames in it.
#pragma once

#include "proto/base/bytes.h"

// Owns `data`. Zero-initialised is empty.
struct inbox {
    uint8_t *data;
    size_t capacity;
    size_t start;
    size_t end;
};

enum { INBOX_SPACE_MIN = 256 * 1024, INBOX_CAPACITY = 1024 * 1024 };

void inbox_deinit(struct inbox *inbox);

// Room for at least INBOX_SPACE_MIN bytes behind what is there; invalidates views of frames.
// ERR_MEMORY.
int inbox_space(struct inbox *inbox, uint8_t **space_out, size_t *length_out) MUST_CHECK;

// `length` bytes were written into that room.
void inbox_add(struct inbox *inbox, size_t length);

// Takes the next whole frame's message; a view until the next inbox_space. FRAME_INCOMPLETE, or
// ERR_LIMIT and ERR_INVALID as frame_next.
int inbox_next(struct inbox *inbox, struct bytes *message_out) MUST_CHECK;
