// Allocations that do not fail.
#include "tests/simulation/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(void)
{
    fprintf(stderr, "simulation: no memory\n");
    abort();
}

void *memory_new(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        give_up();
    }
    return memory;
}

void *memory_grow(void *items, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count <= *capacity) {
        return items;
    }
    uint32_t grown = *capacity * 2 > count ? *capacity * 2 : count + 8;
    char *moved = realloc(items, grown * size);
    if (!moved) {
        give_up();
    }
    memset(moved + *capacity * size, 0, (grown - *capacity) * size);
    *capacity = grown;
    return moved;
}

void memory_must(int result)
{
    if (result != 0) {
        give_up();
    }
}
