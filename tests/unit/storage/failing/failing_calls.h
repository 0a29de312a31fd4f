// Makes the n-th call of a kind fail in this process: the libc calls that reach the disk, whoever
// makes them (RocksDB too), and the allocations of our own code (linked with --wrap).
#pragma once

#include <stdint.h>

enum failing_call {
    FAILING_WRITE, // write, pwrite
    FAILING_SYNC,  // fsync, fdatasync, sync_file_range
    FAILING_READ,  // read, pread
    FAILING_ALLOCATION,
    FAILING_CALLS,
};

// The n-th call of that kind from now on fails (1: the next), once; 0: none. Also counts anew.
void failing_calls_arm(enum failing_call call, uint64_t nth);

// How many calls of that kind were made since it was armed.
uint64_t failing_calls_count(enum failing_call call);
