// The inside of a core, for the files that make it up.
#pragma once

#include "client/client_subscription.h"
#include "client/core.h"
#include "client/incoming.h"
#include "client/pending.h"
#include "client/stash.h"

struct core {
    struct incoming incoming;
    struct buffer out;
    size_t out_sent;
    uint64_t id_last;
    struct pending produces; // in order
    struct pending others;
    struct client_subscription *subscriptions;
    bool is_ready;
    uint64_t data_bytes_max;

    struct events events; // of the notice handed out last
    bool has_events;
    struct client_subscription *delivering; // whose they are
    size_t delivering_bytes;
    struct buffer scratch;
    struct buffer early; // the message, handed out last, that had waited for its turn
    struct stash stash;  // what core_next_urgent has passed

    struct duration silence; // half of it
    struct instant hello_until;
    struct instant heard;
    struct instant pinged; // INSTANT_NEVER: no ping is out

    int err;
    bool is_closing; // err counts once nothing incoming is left
    struct reason reason;
};

// An open subscription, or one that ended with the last notice; NULL: there is none.
struct client_subscription *core_subscription(const struct core *core, uint64_t id);

// Queues a request that has no answer of its own. ERR_MEMORY, or the core's error.
int core_append(struct core *core, const struct request *request) MUST_CHECK;
