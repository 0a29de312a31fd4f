// Channels of a link by number: a sorted array. Numbers are given in ascending order as a rule, so
// that a new one stands at the end.
#pragma once

#include <stdint.h>

#include "proto/base/err.h"

struct channel {
    uint64_t number;
    void *owner;
};

// Zero-initialised is empty.
struct channel_table {
    struct channel *channels;
    uint32_t count;
    uint32_t capacity;
};

void channel_table_deinit(struct channel_table *table);

void *channel_find(const struct channel_table *table, uint64_t number); // its owner; NULL: none

// ERR_BUSY: there are `max`, or there is one of that number; ERR_MEMORY.
int channel_add(struct channel_table *table, uint64_t number, void *owner, uint32_t max) MUST_CHECK;

// One that is not there changes nothing.
void channel_remove(struct channel_table *table, uint64_t number);
