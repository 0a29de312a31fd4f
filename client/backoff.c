// Doubling with a ceiling; half of each wait is fixed, half is random.

#include "client/backoff.h"

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 5000 };

void backoff_init(struct backoff *backoff, uint64_t seed)
{
    backoff->tries = 0;
    random_init(&backoff->random, seed);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->tries = 0;
}

struct duration backoff_next(struct backoff *backoff)
{
    int64_t wait_ms = BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < backoff->tries && wait_ms < BACKOFF_MAX_MS; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    backoff->tries++;
    int64_t half = wait_ms / 2;
    return duration_ms(half +
                       (int64_t)random_below(&backoff->random, (uint64_t)(wait_ms - half) + 1));
}
