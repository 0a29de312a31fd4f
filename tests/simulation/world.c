// The common part of everything that happens.
#include "tests/simulation/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
    hash *= 0xff51afd7ed558ccdULL;
    return hash ^ (hash >> 32);
}

void world_trace(struct world *world, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t hash = mix(world->trace, (uint64_t)world->schedule.now.ns);
    hash = mix(hash, ((uint64_t)(uint8_t)what[0] << 8) | (uint8_t)what[1]);
    world->trace = mix(mix(mix(hash, a), b), c);
    if (world->is_traced) {
        printf("%12.6f  %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
               (double)world->schedule.now.ns / 1e9, what, a, b, c);
    }
}

void world_violation(struct world *world, const char *check, const char *format, ...)
{
    struct violation *violation = &world->violation;
    if (violation->check) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(violation->text, sizeof violation->text, format, arguments);
    va_end(arguments);
    violation->check = check;
    violation->at = world->schedule.now;
}
