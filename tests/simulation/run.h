// One run: a seed, its options, and what came of it.
#pragma once

#include "tests/simulation/options.h"

struct run_result {
    bool is_violated;
    char check[24];
    double at_s; // virtual
    char text[600];
    uint64_t trace;
    double virtual_s;
    double converged_s; // after healing
    uint64_t happenings;
    uint64_t events;
    uint64_t acked;
    uint64_t bytes; // between machines
    double copies;  // per event and machine, in steady state
};

void run_seed(const struct options *options, bool is_traced, struct run_result *result_out);

// In a process of its own, so that nothing of it stays, and a failed assertion is a result.
void run_seed_apart(const struct options *options, struct run_result *result_out);
