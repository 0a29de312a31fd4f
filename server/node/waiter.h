// A request that waits until the node holds what it names (`after`, `parent`), or its time is over.
#pragma once

#include "proto/base/list.h"
#include "proto/model/request.h"
#include "server/node/timer.h"

struct service;
struct session;

struct waiter {
    struct list_node link; // of all that wait in this service
    struct timer timer;
    struct session *session;
    struct version_vector need;
    struct instant deadline;
    // It waits no more: 0 (the node holds it), ERR_TIMEOUT, ERR_CLOSED (the node stops). May free
    // the waiter's owner.
    void (*resolve)(struct waiter *waiter, int result);
};

void waiter_init(struct waiter *waiter, struct session *session,
                 void (*resolve)(struct waiter *waiter, int result));
void waiter_deinit(struct waiter *waiter); // also while it waits

// Takes what is needed, and until when, from a request. ERR_INVALID: the cursor is none.
int waiter_take_after(struct waiter *waiter, const struct request_after *after) MUST_CHECK;

// Whether the node holds it already.
bool waiter_is_covered(const struct waiter *waiter);

// From now on resolve will be called, never from inside. ERR_MEMORY: it will not.
int waiter_begin(struct waiter *waiter) MUST_CHECK;
void waiter_stop(struct waiter *waiter); // resolve is not called any more

static inline bool waiter_is_waiting(const struct waiter *waiter)
{
    return !list_is_empty(&waiter->link);
}

// Resolves those whose need is covered; after the node's vector has grown.
void waiters_check(struct service *service);

// Resolves all with ERR_CLOSED.
void waiters_close(struct service *service);
