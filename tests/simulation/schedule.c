// A binary heap by instant, then by order of setting.
#include "tests/simulation/schedule.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/simulation/memory.h"

static bool is_before(const struct happening *a, const struct happening *b)
{
    return a->at.ns != b->at.ns ? a->at.ns < b->at.ns : a->order < b->order;
}

static void put(struct schedule *schedule, uint32_t place, struct happening *happening)
{
    schedule->heap[place - 1] = happening;
    happening->place = place;
}

static void settle(struct schedule *schedule, struct happening *happening)
{
    uint32_t place = happening->place;
    while (place > 1 && is_before(happening, schedule->heap[place / 2 - 1])) {
        put(schedule, place, schedule->heap[place / 2 - 1]);
        place /= 2;
    }
    for (uint32_t child = place * 2; child <= schedule->count; child = place * 2) {
        if (child < schedule->count &&
            is_before(schedule->heap[child], schedule->heap[child - 1])) {
            child++;
        }
        if (!is_before(schedule->heap[child - 1], happening)) {
            break;
        }
        put(schedule, place, schedule->heap[child - 1]);
        place = child;
    }
    put(schedule, place, happening);
}

void schedule_deinit(struct schedule *schedule)
{
    free(schedule->heap);
    *schedule = (struct schedule){0};
}

void schedule_set(struct schedule *schedule, struct happening *happening, struct instant at)
{
    assert(happening->happen);
    happening->at = at.ns > schedule->now.ns ? at : schedule->now;
    happening->order = ++schedule->order;
    if (at.ns == INT64_MAX) {
        schedule_clear(schedule, happening);
        return;
    }
    if (happening->place == 0) {
        schedule->heap =
            memory_grow(schedule->heap, &schedule->capacity, schedule->count + 1, sizeof(void *));
        schedule->count++;
        put(schedule, schedule->count, happening);
    }
    settle(schedule, happening);
}

void schedule_hasten(struct schedule *schedule, struct happening *happening, struct instant at)
{
    if (happening->place == 0 || at.ns < happening->at.ns) {
        schedule_set(schedule, happening, at);
    }
}

void schedule_clear(struct schedule *schedule, struct happening *happening)
{
    if (happening->place == 0) {
        return;
    }
    struct happening *last = schedule->heap[schedule->count - 1];
    uint32_t place = happening->place;
    schedule->count--;
    happening->place = 0;
    if (last != happening) {
        put(schedule, place, last);
        settle(schedule, last);
    }
}

bool schedule_step(struct schedule *schedule, struct instant until)
{
    struct happening *next = schedule->count > 0 ? schedule->heap[0] : NULL;
    if (!next || next->at.ns > until.ns) {
        schedule->now = until;
        return false;
    }
    assert(next->at.ns >= schedule->now.ns);
    schedule->now = next->at;
    schedule->happened++;
    schedule_clear(schedule, next);
    next->happen(next);
    return true;
}
