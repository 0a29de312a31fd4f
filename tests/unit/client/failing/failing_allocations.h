// Allocations that fail when a test wants it: the program is linked with --wrap for each of them.
// To be included once.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static uint64_t allocations;
static uint64_t failing; // 0: none

static bool fails(void)
{
    allocations++;
    return failing != 0 && allocations == failing;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *pointer, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_realloc(void *pointer, size_t size)
{
    return fails() ? NULL : __real_realloc(pointer, size);
}
