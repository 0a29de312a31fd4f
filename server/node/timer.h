// Timers: many deadlines, the earliest first. Whoever waits for one embeds a timer.
#pragma once

#include "proto/base/err.h"
#include "proto/base/instant.h"

struct timer {
    struct instant at;
    uint32_t place; // in the heap, from 1; 0: not set
    void (*expired)(struct timer *timer);
};

struct timers {
    struct timer **heap;
    uint32_t count;
    uint32_t capacity;
};

void timers_deinit(struct timers *timers); // none may be set any more

// Sets a timer, or moves one that is set. ERR_MEMORY leaves it as it was.
int timer_set(struct timers *timers, struct timer *timer, struct instant at) MUST_CHECK;
void timer_clear(struct timers *timers, struct timer *timer); // also when it is not set

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}

// The earliest deadline; INSTANT_NEVER: none.
struct instant timers_next(const struct timers *timers);

// Takes out a timer whose deadline is reached; NULL: none.
struct timer *timers_take_expired(struct timers *timers, struct instant now);
