// Several descriptors as one, which is readable when any of them is ready: what a wait of libweir
// takes as its wake_fd.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct wakes {
    int fd; // readable when one of them is ready
};

// ERR_IO: see errno.
int wakes_open(struct wakes *wakes) MUST_CHECK;
void wakes_close(struct wakes *wakes);

// Watches a descriptor, which stays the caller's; `tag` says later which one it was. Take it out
// before closing it. Positive outcome WAKES_ALWAYS_READY: a file, which is not watched. ERR_IO: see
// errno.
enum { WAKES_ALWAYS_READY = 1 };
int wakes_add(struct wakes *wakes, int fd, bool for_output, uint64_t tag) MUST_CHECK;
void wakes_remove(struct wakes *wakes, int fd);

// From now on nothing is watched.
void wakes_clear(struct wakes *wakes);

// The tags of those that are ready now. Returns how many, at most `max`.
size_t wakes_take(struct wakes *wakes, uint64_t *tags_out, size_t max);
