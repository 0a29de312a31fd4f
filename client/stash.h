// Messages that are kept for later, oldest first, each a copy in memory of its own.
#pragma once

#include "proto/base/bytes.h"

struct stashed;

// Zero-initialised is empty.
struct stash {
    struct stashed *first;
    struct stashed *last;
    struct stashed *taken; // the one taken last: its view is in use
    size_t bytes;          // of those not taken
};

void stash_deinit(struct stash *stash);

// ERR_MEMORY.
int stash_add(struct stash *stash, struct bytes message) MUST_CHECK;

// Takes the oldest; a view until the next stash_take or stash_release. False: there is none.
bool stash_take(struct stash *stash, struct bytes *message_out);

// The view of the message taken last is not in use any more.
void stash_release(struct stash *stash);
