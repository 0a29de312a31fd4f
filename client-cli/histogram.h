// How often which value: log-linear buckets, exact to one part in 128, any 64-bit value.
#pragma once

#include <stdint.h>

enum { HISTOGRAM_STEPS = 128, HISTOGRAM_BUCKETS = 58 * HISTOGRAM_STEPS };

// Zero-initialised is empty. 58 KiB.
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

// The smallest value that at least this fraction (0..1) of the values does not exceed; 0 when
// empty.
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);
