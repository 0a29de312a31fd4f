// A binary heap of pointers; each timer knows its place, so that it can be moved and taken out
// without a search. Those that wait long and are refreshed often (heartbeats) do not move their
// timer each time, but look when it expires whether it is really due.

#include "server/node/timer.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 16 };

void timers_deinit(struct timers *timers)
{
    assert(timers->count == 0);
    free(timers->heap);
    *timers = (struct timers){0};
}

static void put(struct timers *timers, uint32_t place, struct timer *timer)
{
    timers->heap[place - 1] = timer;
    timer->place = place;
}

static void sift_up(struct timers *timers, struct timer *timer)
{
    uint32_t place = timer->place;
    while (place > 1 && timers->heap[place / 2 - 1]->at.ns > timer->at.ns) {
        put(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void sift_down(struct timers *timers, struct timer *timer)
{
    uint32_t place = timer->place;
    for (;;) {
        uint32_t child = 2 * place;
        if (child > timers->count) {
            break;
        }
        if (child < timers->count && timers->heap[child]->at.ns < timers->heap[child - 1]->at.ns) {
            child++;
        }
        if (timers->heap[child - 1]->at.ns >= timer->at.ns) {
            break;
        }
        put(timers, place, timers->heap[child - 1]);
        place = child;
    }
    put(timers, place, timer);
}

static int reserve(struct timers *timers)
{
    if (timers->count < timers->capacity) {
        return 0;
    }
    uint32_t capacity = timers->capacity ? 2 * timers->capacity : CAPACITY_MIN;
    struct timer **heap = realloc(timers->heap, capacity * sizeof(struct timer *));
    if (!heap) {
        return ERR_MEMORY;
    }
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

int timer_set(struct timers *timers, struct timer *timer, struct instant at)
{
    if (!timer_is_set(timer)) {
        int err = reserve(timers);
        if (err) {
            return err;
        }
        timers->count++;
        put(timers, timers->count, timer);
    }
    timer->at = at;
    sift_up(timers, timer);
    sift_down(timers, timer);
    return 0;
}

void timer_clear(struct timers *timers, struct timer *timer)
{
    if (!timer_is_set(timer)) {
        return;
    }
    assert(timers->heap[timer->place - 1] == timer);
    struct timer *last = timers->heap[--timers->count];
    if (last != timer) {
        put(timers, timer->place, last);
        sift_up(timers, last);
        sift_down(timers, last);
    }
    timer->place = 0;
}

struct instant timers_next(const struct timers *timers)
{
    return timers->count > 0 ? timers->heap[0]->at : INSTANT_NEVER;
}

struct timer *timers_take_expired(struct timers *timers, struct instant now)
{
    if (timers->count == 0 || !instant_reached(timers->heap[0]->at, now)) {
        return NULL;
    }
    struct timer *timer = timers->heap[0];
    timer_clear(timers, timer);
    return timer;
}
