// What a connection has received and its front end has not taken yet: the beginning of a message,
// or what a saturated session leaves lying. Empty, it owns no memory.
#pragma once

#include "proto/base/bytes.h"

// Zero-initialised is empty and valid.
struct inbox {
    uint8_t *data;
    size_t start;    // what lies before it is taken
    size_t length;   // of what is not
    size_t capacity; // of data
    size_t wanted;   // how many bytes, from start, make the next step possible; 0: not known
};

void inbox_deinit(struct inbox *inbox);

static inline struct bytes inbox_bytes(const struct inbox *inbox)
{
    return bytes_of(inbox->data + inbox->start, inbox->length);
}

// Appends. ERR_MEMORY leaves it as it was.
int inbox_append(struct inbox *inbox, struct bytes bytes) MUST_CHECK;

// Takes away from the front; frees the memory when nothing is left.
void inbox_consume(struct inbox *inbox, size_t length);

// Makes room to receive towards `wanted`: not at once for all that a peer claims it will send, but
// twice what has come so far. ERR_MEMORY leaves it as it was.
int inbox_make_room(struct inbox *inbox) MUST_CHECK;

// The room behind the content, never beyond `wanted`; `received` says how much of it was filled.
static inline uint8_t *inbox_room(const struct inbox *inbox, size_t *length_out)
{
    size_t end = inbox->capacity - inbox->start;
    end = end < inbox->wanted ? end : inbox->wanted;
    *length_out = end > inbox->length ? end - inbox->length : 0;
    return inbox->data + inbox->start + inbox->length;
}
static inline void inbox_received(struct inbox *inbox, size_t length)
{
    inbox->length += length;
}

// Nothing is missing behind the room.
static inline bool inbox_room_completes(const struct inbox *inbox)
{
    return inbox->capacity - inbox->start >= inbox->wanted;
}
