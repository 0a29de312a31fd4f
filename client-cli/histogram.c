// Values below 128 have a bucket each; above, every power of two is cut into 64 to 128 equal steps:
// the index is the value's top seven bits behind its magnitude.

#include "client-cli/histogram.h"

#include <stdbool.h>

enum { STEP_BITS = 7 };

static uint32_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_STEPS) {
        return (uint32_t)value;
    }
    uint32_t shift = (uint32_t)(63 - __builtin_clzll(value)) - STEP_BITS;
    return (shift + 1) * HISTOGRAM_STEPS + (uint32_t)(value >> shift) - HISTOGRAM_STEPS;
}

// The largest value of the bucket.
static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t top = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return ((top + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->count++;
    histogram->max = value > histogram->max ? value : histogram->max;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)(fraction * (double)histogram->count + 0.5);
    wanted = wanted < 1 ? 1 : wanted > histogram->count ? histogram->count : wanted;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && histogram->count > 0; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
