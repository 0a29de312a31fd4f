// Requests that wait for their reply, oldest first.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/request.h"

struct pending_request {
    uint64_t id; // ascending
    uint64_t tag;
    enum request_kind kind;
    uint32_t count; // events of a produce
    bool is_own;    // the core's own: its reply is not handed out
    bool is_answered;
    struct buffer message; // the reply, when it came before its turn
};

// A ring. Zero-initialised is empty.
struct pending {
    struct pending_request *ring;
    uint32_t capacity; // a power of two, or 0
    uint32_t head;
    uint32_t count;
};

void pending_deinit(struct pending *pending);

// Appends; request->id is above all ids in it. ERR_BUSY at the limit (SESSION_REQUESTS_MAX),
// ERR_MEMORY.
int pending_add(struct pending *pending, const struct pending_request *request) MUST_CHECK;

// NULL: not there, or answered already. Valid until the next add or drop.
struct pending_request *pending_find(struct pending *pending, uint64_t id);

// The oldest; NULL when empty.
struct pending_request *pending_first(struct pending *pending);

// Removes the oldest, which must be there.
void pending_drop_first(struct pending *pending);

// Marks as answered and removes what is answered from the front.
void pending_answer(struct pending *pending, struct pending_request *request);
