// Virtual time: what happens, and when. Happenings of the same instant happen in the order in which
// they were set, so a run depends on nothing but its seed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/instant.h"

// Embedded in whatever waits. Zero-initialised is not set.
struct happening {
    struct instant at;
    uint64_t order;
    uint32_t place; // in the heap, from 1; 0: not set
    void (*happen)(struct happening *happening);
};

// Zero-initialised is empty, at instant 0.
struct schedule {
    struct happening **heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t order;
    struct instant now;
    uint64_t happened;
};

void schedule_deinit(struct schedule *schedule);

// Sets a happening, or moves one that is set. An instant in the past is now.
void schedule_set(struct schedule *schedule, struct happening *happening, struct instant at);
void schedule_clear(struct schedule *schedule, struct happening *happening);

// As schedule_set, but one that is set already is only moved to an earlier instant.
void schedule_hasten(struct schedule *schedule, struct happening *happening, struct instant at);

static inline bool happening_is_set(const struct happening *happening)
{
    return happening->place != 0;
}

// Lets the next one happen, if it is not after `until`; false: none is, and it is `until` now.
bool schedule_step(struct schedule *schedule, struct instant until);
