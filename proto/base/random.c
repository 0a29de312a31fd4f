// xoshiro256** (Blackman and Vigna), its state filled by splitmix64 so that similar seeds give
// unrelated sequences. Bounded numbers use Lemire's multiplication, which needs a division only in
// the rare case that a number may have to be thrown away.

#include "proto/base/random.h"

#include <assert.h>
#include <string.h>

static uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t splitmix64(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t mixed = *state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

void random_init(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        random->state[i] = splitmix64(&seed);
    }
}

uint64_t random_u64(struct random *random)
{
    uint64_t *state = random->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t n)
{
    assert(n > 0);
    unsigned __int128 product = (unsigned __int128)random_u64(random) * n;
    if ((uint64_t)product < n) {
        uint64_t uneven = -n % n;
        while ((uint64_t)product < uneven) {
            product = (unsigned __int128)random_u64(random) * n;
        }
    }
    return (uint64_t)(product >> 64);
}

void random_bytes(struct random *random, uint8_t *out, size_t length)
{
    while (length > 0) {
        uint64_t word = __builtin_bswap64(random_u64(random));
        size_t step = length < sizeof word ? length : sizeof word;
        memcpy(out, &word, step);
        out += step;
        length -= step;
    }
}
