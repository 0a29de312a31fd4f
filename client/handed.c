// Most events are acknowledged soon, and in order: so the first run is looked at first, and then
// the others from the last one on. Its memory is there from the start, because events that are
// handed out cannot fail for the lack of it. More is not kept than twice what can be in flight:
// what a program forgets comes again, and is then the last once more.

#include "client/handed.h"

#include <assert.h>
#include <stdlib.h>

static struct done_range *at(const struct handed *handed, uint32_t i)
{
    return &handed->runs[(handed->head + i) & (handed->capacity - 1)];
}

int handed_init(struct handed *handed, uint32_t events_max)
{
    assert(events_max > 0);
    uint32_t capacity = 1;
    while (capacity < events_max) {
        capacity *= 2;
    }
    *handed = (struct handed){.capacity = capacity, .events_max = events_max};
    handed->runs = calloc(capacity, sizeof *handed->runs);
    return handed->runs ? 0 : ERR_MEMORY;
}

void handed_deinit(struct handed *handed)
{
    free(handed->runs);
    *handed = (struct handed){0};
}

void handed_clear(struct handed *handed)
{
    handed->count = 0;
    handed->old = 0;
    handed->events = 0;
}

void handed_age(struct handed *handed)
{
    handed->old = handed->count;
}

static bool holds(const struct done_range *run, struct event_id id)
{
    return run->actor == id.actor && run->first <= id.counter && id.counter <= run->last;
}

// Its place among the first `among`, or `count`.
static uint32_t find(const struct handed *handed, struct event_id id, uint32_t among)
{
    if (among > 0 && holds(at(handed, 0), id)) {
        return 0;
    }
    for (uint32_t i = among; i > 1; i--) {
        if (holds(at(handed, i - 1), id)) {
            return i - 1;
        }
    }
    return handed->count;
}

static void drop_run(struct handed *handed, uint32_t i)
{
    handed->old -= i < handed->old;
    if (i == 0) {
        handed->head = (handed->head + 1) & (handed->capacity - 1);
    }
    for (; i > 0 && i + 1 < handed->count; i++) {
        *at(handed, i) = *at(handed, i + 1);
    }
    handed->count--;
}

// One run becomes two; the event between them is gone.
static void split_run(struct handed *handed, uint32_t i, uint64_t counter)
{
    assert(handed->count < handed->capacity);
    handed->old += i < handed->old;
    for (uint32_t j = handed->count; j > i; j--) {
        *at(handed, j) = *at(handed, j - 1);
    }
    handed->count++;
    at(handed, i)->last = counter - 1;
    at(handed, i + 1)->first = counter + 1;
}

static void remove_among(struct handed *handed, struct event_id id, uint32_t among)
{
    uint32_t i = find(handed, id, among);
    if (i == handed->count) {
        return;
    }
    struct done_range *run = at(handed, i);
    handed->events--;
    if (run->first == run->last) {
        drop_run(handed, i);
    } else if (run->first == id.counter) {
        run->first++;
    } else if (run->last == id.counter) {
        run->last--;
    } else {
        split_run(handed, i, id.counter);
    }
}

void handed_remove(struct handed *handed, struct event_id id)
{
    remove_among(handed, id, handed->count);
}

void handed_add(struct handed *handed, struct event_id id, bool is_again)
{
    remove_among(handed, id, is_again ? handed->count : handed->old);
    if (handed->events == handed->events_max) {
        const struct done_range *first = at(handed, 0);
        handed_remove(handed, (struct event_id){.counter = first->first, .actor = first->actor});
    }
    handed->events++;
    struct done_range *last = handed->count > 0 ? at(handed, handed->count - 1) : NULL;
    if (last && last->actor == id.actor && last->last + 1 == id.counter) {
        last->last++;
        return;
    }
    *at(handed, handed->count) =
        (struct done_range){.actor = id.actor, .first = id.counter, .last = id.counter};
    handed->count++;
}

uint32_t handed_up_to(const struct handed *handed, struct event_id id)
{
    uint32_t i = find(handed, id, handed->count);
    return i == handed->count ? 0 : i + 1;
}

struct done_range handed_take(struct handed *handed, struct event_id until)
{
    assert(handed->count > 0);
    struct done_range *first = at(handed, 0);
    struct done_range taken = *first;
    if (holds(first, until)) {
        taken.last = until.counter;
    }
    handed->events -= taken.last - taken.first + 1;
    if (taken.last == first->last) {
        drop_run(handed, 0);
    } else {
        first->first = taken.last + 1;
    }
    return taken;
}
