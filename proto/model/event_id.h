// The id of an event: a Lamport counter and the actor (node) that accepted it. Immutable, total
// order by counter, then actor. Actor 0 or counter 0 is no event's id; {0, 0} means "none".
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"

struct event_id {
    uint64_t counter;
    uint16_t actor;
};

enum { EVENT_ID_TEXT_LENGTH = 25, EVENT_ID_KEY_LENGTH = 10 };

// <0, 0, >0 in canonical order.
static inline int event_id_compare(struct event_id a, struct event_id b)
{
    if (a.counter != b.counter) {
        return a.counter < b.counter ? -1 : 1;
    }
    return a.actor < b.actor ? -1 : a.actor > b.actor;
}

static inline bool event_id_is_none(struct event_id id)
{
    return id.counter == 0 && id.actor == 0;
}

// Canonical text: 20 digits of counter, 5 of actor; NUL-terminated.
void event_id_format(struct event_id id, char out[EVENT_ID_TEXT_LENGTH + 1]);

// Short text "counter.actor"; returns its length, at most 26; NUL-terminated.
enum { EVENT_ID_SHORT_LENGTH_MAX = 26 };
size_t event_id_format_short(struct event_id id, char out[EVENT_ID_SHORT_LENGTH_MAX + 1]);

// Parses the canonical text, "counter.actor" or "counter-actor". Refuses counter 0 or above
// COUNTER_MAX, actor 0 or above 65535. ERR_INVALID with a reason.
int event_id_parse(struct bytes text, struct event_id *id_out, struct reason *reason) MUST_CHECK;

// Key form: counter (8, big-endian), actor (2): sorts as bytes exactly as ids sort.
void event_id_encode_key(struct event_id id, uint8_t out[EVENT_ID_KEY_LENGTH]);
struct event_id event_id_decode_key(const uint8_t key[EVENT_ID_KEY_LENGTH]);
