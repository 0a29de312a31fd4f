// The threads that drive the store's steps in production: one commits, one indexes, some read.
#pragma once

#include "proto/base/err.h"

struct store;
struct store_threads;

int store_threads_start(struct store *store, unsigned readers_count,
                        struct store_threads **threads_out) MUST_CHECK;

// Lets the commit finish what was flushed to it, then stops and joins all.
void store_threads_stop(struct store_threads *threads);
