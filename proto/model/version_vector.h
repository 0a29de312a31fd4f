// A version vector: actor -> highest counter of which everything up to it is held. Describes a
// set of events exactly, and is the consumer's cursor. Entries are sorted by actor; an absent
// actor is 0 and an entry of 0 is never stored.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/event_id.h"

struct version_entry {
    uint64_t counter;
    uint16_t actor;
};

// Owns `entries`. Zero-initialised is the empty vector.
struct version_vector {
    struct version_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

void version_vector_deinit(struct version_vector *vector);
void version_vector_clear(struct version_vector *vector);

// version_vector_get where there are several entries.
uint64_t version_vector_find(const struct version_vector *vector, uint16_t actor);

// The actor's counter, 0 when absent.
static inline uint64_t version_vector_get(const struct version_vector *vector, uint16_t actor)
{
    if (vector->count > 1) {
        return version_vector_find(vector, actor);
    }
    return vector->count == 1 && vector->entries->actor == actor ? vector->entries->counter : 0;
}

// Sets an entry, up or down; 0 removes it. ERR_MEMORY leaves it as it was.
int version_vector_set(struct version_vector *vector, uint16_t actor, uint64_t counter) MUST_CHECK;

// Raises an entry to `counter` if it is lower.
int version_vector_raise(struct version_vector *vector, uint16_t actor,
                         uint64_t counter) MUST_CHECK;

int version_vector_copy(struct version_vector *to, const struct version_vector *from) MUST_CHECK;

// Pointwise maximum into `to`.
int version_vector_merge(struct version_vector *to, const struct version_vector *from) MUST_CHECK;

// Whether `id` is in the set.
static inline bool version_vector_covers(const struct version_vector *vector, struct event_id id)
{
    return version_vector_get(vector, id.actor) >= id.counter;
}

// Whether a holds everything that b holds.
bool version_vector_includes(const struct version_vector *a, const struct version_vector *b);
bool version_vector_equal(const struct version_vector *a, const struct version_vector *b);

// Text: '@' and "counter.actor" sorted by actor, joined by commas; the empty vector is "@".
int version_vector_format(const struct version_vector *vector, struct buffer *out) MUST_CHECK;

// Parses the text (any order, an actor twice is an error). ERR_INVALID with a reason, ERR_MEMORY.
int version_vector_parse(struct bytes text, struct version_vector *out,
                         struct reason *reason) MUST_CHECK;

// msgpack: a map actor -> counter, sorted by actor. Decode takes it off the front of *rest; the
// claimed count is checked against the bytes that are there. ERR_INVALID, ERR_MEMORY.
int version_vector_encode(const struct version_vector *vector, struct buffer *out) MUST_CHECK;
int version_vector_decode(struct bytes *rest, struct version_vector *out) MUST_CHECK;

// Passes over one as version_vector_decode, without keeping it. ERR_INVALID.
int version_vector_skip(struct bytes *rest) MUST_CHECK;
