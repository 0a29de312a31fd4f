// What strands end with, sorted by actor: what a note to peers is made of. Owned by whoever embeds
// it.
#pragma once

#include "storage/heads.h"
#include "storage/store.h"

// Zero-initialised is empty.
struct strand_ends {
    struct strand_end *entries;
    uint32_t count;
    uint32_t capacity;
};

void strand_ends_deinit(struct strand_ends *ends);

// Makes room for `count` actors in all. ERR_MEMORY.
int strand_ends_reserve(struct strand_ends *ends, size_t count) MUST_CHECK;

// Sets the end of a strand, for which there must be room. A head without any chunk is passed over.
void strand_ends_set(struct strand_ends *ends, const struct head *head);

// ERR_MEMORY leaves `to` as it was.
int strand_ends_copy(struct strand_ends *to, const struct strand_ends *from) MUST_CHECK;
