// The events of one delivery or answer, one by one, as they lie in the receive buffer: nothing is
// allocated or copied per event.
#pragma once

#include "proto/model/event.h"
#include "proto/model/version_vector.h"

// Views point into the receive buffer: valid until the next core_next.
struct received_event {
    struct event_id id;
    uint64_t timestamp_ms;
    struct event fields; // namespace, data, attributes
};

// A walk. Only `taken` is for callers: how many events were handed out so far.
struct events {
    struct bytes rest; // chunks or slices not begun
    struct bytes run;  // events of the current one not taken
    uint64_t next;     // counter of the next of them
    uint64_t timestamp_ms;
    uint32_t left; // how many are left in it
    uint16_t actor;
    bool is_chunks;
    int err; // sticks
    uint64_t taken;
    struct buffer *scratch;        // where compressed bodies are decoded
    struct version_vector *cursor; // raised behind the events taken; NULL: none
};

// Positive outcome: no event is left.
enum { EVENTS_END = 1 };

// `scratch` and `cursor` (may be NULL) stay the caller's and must outlive the walk.
void events_init(struct events *events, struct bytes message, bool is_chunks,
                 struct buffer *scratch, struct version_vector *cursor);

// Raises the cursor to what was taken. ERR_MEMORY.
int events_settle(struct events *events) MUST_CHECK;

// Moves on to the next chunk or slice: what events_next calls at the end of one.
int events_advance(struct events *events) MUST_CHECK;

// Takes the next event. 0, EVENTS_END, ERR_CORRUPT (bytes that are not what the node should
// send: the connection cannot be used further) or ERR_MEMORY.
static inline int MUST_CHECK events_next(struct events *events, struct received_event *event_out)
{
    if (events->left == 0) {
        int outcome = events_advance(events);
        if (outcome != 0) {
            return outcome;
        }
    }
    if (event_next(&events->run, &event_out->fields) != 0) {
        events->left = 0;
        events->err = ERR_CORRUPT;
        return ERR_CORRUPT;
    }
    event_out->id = (struct event_id){.counter = events->next, .actor = events->actor};
    event_out->timestamp_ms = events->timestamp_ms;
    events->next++;
    events->left--;
    events->taken++;
    return 0;
}
