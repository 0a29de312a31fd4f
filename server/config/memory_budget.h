// How the memory that a node may use (max_memory_mb) is divided.
#pragma once

#include <stdint.h>
#include <stdio.h>

struct memory_budget {
    uint64_t total_bytes;
    uint64_t log_write_bytes;   // RocksDB's write buffers of the log
    uint64_t log_cache_bytes;   // RocksDB's block cache of the log
    uint64_t index_write_bytes; // write buffers of the index
    uint64_t index_cache_bytes; // block cache of the index
    uint64_t indexer_bytes;     // what the indexer gathers before it writes
    uint64_t recent_bytes;      // the newest blocks, for consumers at the end of the log
    uint64_t connections_bytes; // receive buffers of connections
    uint64_t process_bytes;     // code, stacks, sessions, everything else
};

// Divides `total_bytes` (at least MEMORY_BYTES_MIN). recent_bytes: what recent_cache_mb asks for,
// at most half of the total; UINT64_MAX: let this decide.
struct memory_budget memory_budget_divide(uint64_t total_bytes, uint64_t recent_bytes);

// As comment lines, one a part.
void memory_budget_print(const struct memory_budget *budget, FILE *out);
