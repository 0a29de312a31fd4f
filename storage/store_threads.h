// The threads that drive the store's steps in production: one commits, one indexes, some read,
// one scrubs.
#pragma once

#include <stdint.h>

#include "proto/base/err.h"

struct store;
struct store_threads;

// `scrub_interval_s`: in how many seconds every chunk is checked once, at low priority, spread
// evenly; 0: never. ERR_MEMORY.
int store_threads_start(struct store *store, unsigned readers_count, uint64_t scrub_interval_s,
                        struct store_threads **threads_out) MUST_CHECK;

// How long the committing thread has been in its current step; 0: in none. A step that takes many
// seconds hangs, in the disk for example. Any thread.
uint64_t store_threads_commit_step_ms(struct store_threads *threads);

// Lets the commit finish what was flushed to it, then stops and joins all.
void store_threads_stop(struct store_threads *threads);
