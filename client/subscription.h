// One open subscription, as the client keeps it: its cursor and its credit.
#pragma once

#include "proto/model/reply.h"
#include "proto/model/request.h"
#include "proto/model/version_vector.h"

struct subscription {
    struct subscription *next;
    uint64_t id;
    uint64_t tag;
    struct version_vector cursor;
    bool has_cursor;    // the cursor says where to go on
    bool is_subscribed; // the node has accepted it
    bool is_ended;      // nothing comes any more
    uint64_t window_bytes;
    uint64_t consumed_bytes; // of the window, not granted again
};

// ERR_MEMORY; ERR_INVALID when its start cursor is none.
int subscription_new(const struct request_subscribe *request, uint64_t id, uint64_t tag,
                     struct subscription **subscription_out) MUST_CHECK;
void subscription_free(struct subscription *subscription);

// Merges an encoded cursor that the node sent; empty: nothing to do. ERR_INVALID, ERR_MEMORY.
int subscription_merge(struct subscription *subscription, struct bytes cursor) MUST_CHECK;

// `length` bytes of events are done with. How much to grant, 0: not yet.
uint64_t subscription_consumed(struct subscription *subscription, size_t length);
