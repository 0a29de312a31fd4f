// The window is given back in halves: while the second half travels the first is granted again, so
// a stream never waits for a round trip, and a grant is rare. Credit comes back only for what the
// program has taken: that is the back-pressure.

#include "client/client_subscription.h"

#include <stdlib.h>

#include "proto/base/limits.h"

int client_subscription_new(const struct request_subscribe *request, uint64_t id, uint64_t tag,
                            struct client_subscription **subscription_out)
{
    struct client_subscription *subscription = calloc(1, sizeof *subscription);
    if (!subscription) {
        return ERR_MEMORY;
    }
    subscription->id = id;
    subscription->tag = tag;
    subscription->window_bytes = request->credit_bytes;
    if (request->start == START_AT_CURSOR) {
        int err = client_subscription_merge(subscription, request->start_cursor);
        if (err != 0) {
            client_subscription_free(subscription);
            return err;
        }
        subscription->has_cursor = true;
    }
    *subscription_out = subscription;
    return 0;
}

void client_subscription_free(struct client_subscription *subscription)
{
    if (subscription) {
        version_vector_deinit(&subscription->cursor);
        free(subscription);
    }
}

int client_subscription_merge(struct client_subscription *subscription, struct bytes cursor)
{
    if (cursor.length == 0) {
        return 0;
    }
    struct version_vector vector = {0};
    int err = version_vector_decode(&cursor, &vector);
    if (err == 0) {
        err = version_vector_merge(&subscription->cursor, &vector);
    }
    if (err == 0) {
        subscription->has_cursor = true;
    }
    version_vector_deinit(&vector);
    return err;
}

uint64_t client_subscription_consumed(struct client_subscription *subscription, size_t length)
{
    subscription->consumed_bytes += length;
    uint64_t consumed = subscription->consumed_bytes;
    if (subscription->is_ended || consumed < subscription->window_bytes / 2 || consumed == 0) {
        return 0;
    }
    subscription->consumed_bytes = 0;
    return consumed;
}
