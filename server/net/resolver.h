// Host names to addresses, without holding up the loop: a thread of its own asks the system, and
// what it said is kept for a while. Internal to server/net.
#pragma once

#include "proto/base/err.h"
#include "proto/base/instant.h"
#include "server/net/address.h"

struct resolver;

enum { RESOLVED_ADDRESSES_MAX = 8 };

struct resolved {
    union net_address items[RESOLVED_ADDRESSES_MAX]; // without a port
    unsigned count;
};

// `notify` is called in the resolver's thread when an answer has come, never after resolver_close.
// ERR_MEMORY.
int resolver_new(void (*notify)(void *context), void *context,
                 struct resolver **resolver_out) MUST_CHECK;

// The thread may be waiting for the system: it frees the rest when it comes back.
void resolver_close(struct resolver *resolver); // NULL is fine

// Positive outcome: the answer will be notified; call again then, with is_new false.
enum { RESOLVER_PENDING = 1 };
// The addresses of `host`, which may be numeric. Known ones are returned at once, and asked for
// again in the background when they are old. ERR_NOT_FOUND: the system knows none, or there is no
// memory for the question.
int resolver_find(struct resolver *resolver, const char *host, bool is_new, struct instant now,
                  struct resolved *resolved_out) MUST_CHECK;
