// Frames: a length (4 bytes, big-endian, of what follows) and a message. Sans-I/O.
#pragma once

#include "proto/base/bytes.h"

enum { FRAME_HEADER_LENGTH = 4 };

// Positive outcome: the frame is not complete; `needed_out` says how many bytes from its front.
enum { FRAME_INCOMPLETE = 1 };

// Takes the next frame off *rest. ERR_LIMIT when its length is above `length_max` (known from the
// first four bytes on), ERR_INVALID when it is 0.
int frame_next(struct bytes *rest, size_t length_max, struct bytes *message_out,
               size_t *needed_out) MUST_CHECK;
