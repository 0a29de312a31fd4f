// The events that an attachment has handed out and that were neither acknowledged nor refused, in
// this order: what "everything up to" means.
#pragma once

#include "proto/base/err.h"
#include "proto/model/event_id.h"
#include "proto/model/position.h"

// A ring of runs of consecutive events. Zero-initialised it keeps nothing.
struct handed {
    struct done_range *runs;
    uint32_t capacity; // a power of two, or 0
    uint32_t head;
    uint32_t count;
    uint32_t old; // so many of the first may come again unsaid
    uint64_t events;
    uint64_t events_max;
};

// Keeps the last `events_max` (at least 1). ERR_MEMORY.
int handed_init(struct handed *handed, uint32_t events_max) MUST_CHECK;
void handed_deinit(struct handed *handed);
void handed_clear(struct handed *handed);

// What is there may come again as if for the first time: another node hands out.
void handed_age(struct handed *handed);

// An event was handed out, for the second time or later: it is the last from now on.
void handed_add(struct handed *handed, struct event_id id, bool is_again);

// It is not to be kept any more. Nothing if it is not there.
void handed_remove(struct handed *handed, struct event_id id);

// How many runs there are up to the event, the last of which may go on behind it; 0: it is not
// there.
uint32_t handed_up_to(const struct handed *handed, struct event_id id);

// Takes the oldest run, but nothing of it behind the event. There must be one.
struct done_range handed_take(struct handed *handed, struct event_id until);
