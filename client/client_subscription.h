// One open subscription, as the client keeps it: its cursor and its credit.
#pragma once

#include "proto/model/reply.h"
#include "proto/model/request.h"
#include "proto/model/version_vector.h"

struct client_subscription {
    struct client_subscription *next;
    uint64_t id;
    uint64_t tag;
    struct version_vector cursor;
    bool is_attachment; // to a durable subscription: the cursor stays on the servers
    bool has_cursor;    // the cursor says where to go on
    bool is_subscribed; // the node has accepted it
    bool is_ended;      // nothing comes any more
    uint64_t window_bytes;
    uint64_t consumed_bytes; // of the window, not granted again
};

// ERR_MEMORY; ERR_INVALID when its start cursor is none.
int client_subscription_new(const struct request_subscribe *request, uint64_t id, uint64_t tag,
                            struct client_subscription **subscription_out) MUST_CHECK;
void client_subscription_free(struct client_subscription *subscription);

// Merges an encoded cursor that the node sent; empty: nothing to do. ERR_INVALID, ERR_MEMORY.
int client_subscription_merge(struct client_subscription *subscription,
                              struct bytes cursor) MUST_CHECK;

// `length` bytes of events are done with. How much to grant, 0: not yet.
uint64_t client_subscription_consumed(struct client_subscription *subscription, size_t length);
