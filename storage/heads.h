// The newest chunk of every actor: what the next chunk of that actor must follow. Owned by the
// commit; sorted by actor.
#pragma once

#include "storage/keys.h"

struct heads {
    struct head *entries;
    size_t count;
    size_t capacity;
};

void heads_deinit(struct heads *heads);

// The actor's head; one without any chunk (last 0, hash zero) is added when there was none.
// NULL: no memory. The pointer holds until the next call.
struct head *heads_get(struct heads *heads, uint16_t actor);
