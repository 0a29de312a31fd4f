// A list, because views of one message must stay where they are while others are added.

#include "client/stash.h"

#include <stdlib.h>

struct stashed {
    struct stashed *next;
    size_t length;
    uint8_t data[];
};

void stash_deinit(struct stash *stash)
{
    stash_release(stash);
    while (stash->first) {
        struct stashed *next = stash->first->next;
        free(stash->first);
        stash->first = next;
    }
    *stash = (struct stash){0};
}

int stash_add(struct stash *stash, struct bytes message)
{
    struct stashed *added = malloc(sizeof *added + message.length);
    if (!added) {
        return ERR_MEMORY;
    }
    added->next = NULL;
    added->length = message.length;
    memcpy(added->data, message.data, message.length);
    if (stash->last) {
        stash->last->next = added;
    } else {
        stash->first = added;
    }
    stash->last = added;
    stash->bytes += message.length;
    return 0;
}

bool stash_take(struct stash *stash, struct bytes *message_out)
{
    stash_release(stash);
    if (!stash->first) {
        return false;
    }
    stash->taken = stash->first;
    stash->first = stash->first->next;
    stash->last = stash->first ? stash->last : NULL;
    stash->bytes -= stash->taken->length;
    *message_out = bytes_of(stash->taken->data, stash->taken->length);
    return true;
}

void stash_release(struct stash *stash)
{
    free(stash->taken);
    stash->taken = NULL;
}
