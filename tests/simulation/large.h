// Clusters of many nodes: no faults but a parting in two; measures how fast they converge and what
// that costs.
#pragma once

#include "tests/simulation/run.h"

// Prints what it measures. Returns whether there was no violation.
bool large_run(const struct options *options, bool is_traced);
