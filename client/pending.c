// Ids ascend, so the ring is sorted and the usual case, replies in the order of requests, is found
// at the first look. A request that is answered out of order leaves a hole until it is the oldest.

#include "client/pending.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"

enum { PENDING_CAPACITY_FIRST = 64 };

static struct pending_request *at(struct pending *pending, uint32_t i)
{
    return &pending->ring[(pending->head + i) & (pending->capacity - 1)];
}

void pending_deinit(struct pending *pending)
{
    for (uint32_t i = 0; i < pending->count; i++) {
        buffer_deinit(&at(pending, i)->message);
    }
    free(pending->ring);
    *pending = (struct pending){0};
}

static int grow(struct pending *pending)
{
    uint32_t capacity = pending->capacity ? 2 * pending->capacity : PENDING_CAPACITY_FIRST;
    struct pending_request *ring = calloc(capacity, sizeof *ring);
    if (!ring) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < pending->count; i++) {
        ring[i] = *at(pending, i);
    }
    free(pending->ring);
    pending->ring = ring;
    pending->capacity = capacity;
    pending->head = 0;
    return 0;
}

int pending_add(struct pending *pending, const struct pending_request *request)
{
    if (pending->count >= SESSION_REQUESTS_MAX) {
        return ERR_BUSY;
    }
    if (pending->count == pending->capacity) {
        int err = grow(pending);
        if (err != 0) {
            return err;
        }
    }
    assert(pending->count == 0 || at(pending, pending->count - 1)->id < request->id);
    *at(pending, pending->count) = *request;
    pending->count++;
    return 0;
}

struct pending_request *pending_find(struct pending *pending, uint64_t id)
{
    if (pending->count == 0) {
        return NULL;
    }
    uint32_t low = 0;
    uint32_t high = pending->count - 1;
    if (at(pending, 0)->id == id) {
        high = 0;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (at(pending, middle)->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct pending_request *request = at(pending, low);
    return request->id == id && !request->is_answered ? request : NULL;
}

struct pending_request *pending_first(struct pending *pending)
{
    return pending->count > 0 ? at(pending, 0) : NULL;
}

void pending_drop_first(struct pending *pending)
{
    assert(pending->count > 0);
    buffer_deinit(&at(pending, 0)->message);
    pending->head = (pending->head + 1) & (pending->capacity - 1);
    pending->count--;
}

void pending_answer(struct pending *pending, struct pending_request *request)
{
    request->is_answered = true;
    while (pending->count > 0 && at(pending, 0)->is_answered) {
        pending_drop_first(pending);
    }
}
