// A seeded generator of pseudo-random numbers (xoshiro256**): the same seed gives the same numbers
// on every machine, so that a run can be repeated. Fast and even; not for secrets.
#pragma once

#include <stddef.h>
#include <stdint.h>

// A value: a copy continues the same sequence on its own.
struct random {
    uint64_t state[4];
};

// Any seed is good, 0 and consecutive ones too.
void random_init(struct random *random, uint64_t seed);

uint64_t random_u64(struct random *random);

// Evenly distributed over 0 .. n - 1; n is not 0.
uint64_t random_below(struct random *random, uint64_t n);

// Fills out[0..length).
void random_bytes(struct random *random, uint8_t *out, size_t length);
