// Memory of the simulator itself: it ends the process when there is none.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Zeroed.
void *memory_new(size_t count, size_t size);

// Room for `count` items of `size` bytes; *capacity is in items. Returns the array, perhaps moved;
// what is new is zero.
void *memory_grow(void *items, uint32_t *capacity, uint32_t count, size_t size);

// Asserts that a result of production code, which can only be for want of memory, is 0.
void memory_must(int result);
