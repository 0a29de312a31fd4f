// A message that waits to be sent to a peer: a copy with everything that it points to.
#pragma once

#include <stdalign.h>

#include "proto/base/list.h"
#include "proto/model/peer_message.h"

struct peer_parcel {
    struct list_node link;
    size_t bytes; // of memory
    struct peer_message message;
    alignas(16) uint8_t data[];
};

// Any kind but CHUNKS. NULL: no memory.
struct peer_parcel *peer_parcel_new(const struct peer_message *message);
