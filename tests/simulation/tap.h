// Listens to one side of a link between members: chunks go out only against credit.
#pragma once

#include "proto/base/bytes.h"

struct world;

enum { TAP_FRONT = 32 }; // bytes of a frame that are looked at

struct tap_stream {
    uint8_t front[TAP_FRONT];
    size_t front_length;
    size_t left; // of the frame, not looked at
    size_t length;
};

// Zero-initialised listens from the first byte on.
struct tap {
    unsigned machine; // on whose side
    struct tap_stream in;
    struct tap_stream out;
    uint64_t granted; // beyond the first window
    uint64_t sent;    // bytes of chunks
};

void tap_sends(struct tap *tap, struct world *world, struct bytes bytes);
void tap_receives(struct tap *tap, struct world *world, struct bytes bytes);
