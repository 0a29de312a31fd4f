// A filter: what a subscription wants, several patterns or exact names. Immutable once made, so it
// is shared by reference (counted, thread-safe) between subscriptions, loops and readers.
#pragma once

#include "proto/model/glob.h"

struct filter;

struct filter_entry {
    struct bytes text;
    bool is_exact; // a name, not a pattern
};

// count 0 means everything. At most PATTERNS_MAX entries. Errors as glob_compile.
int filter_new(const struct filter_entry *entries, size_t count, struct filter **filter_out,
               struct reason *reason) MUST_CHECK;
struct filter *filter_ref(struct filter *filter);
void filter_unref(struct filter *filter);

bool filter_matches(const struct filter *filter, struct bytes name);

// Whether every name (but the system's) matches. System events are not part of "everything", so a
// chunk may be delivered whole only if it holds none: see filter_positions.
bool filter_is_everything(const struct filter *filter);

// Whether it has an entry for the system's names. NULL (everything) has none.
bool filter_wants_system(const struct filter *filter);

// The entries' globs, for reading through the index. glob_prefix tells what to seek.
size_t filter_globs_count(const struct filter *filter);
const struct glob *filter_glob(const struct filter *filter, size_t i);

// Two filters with equal keys match the same names (the sorted entries as text).
struct bytes filter_key(const struct filter *filter);

// A memory of verdicts for one filter and one thread: names seen before cost a hash and a compare.
// Bounded (a few hundred KiB), allocated at its first use.
struct filter_cache;
struct filter_cache *filter_cache_new(struct filter *filter, uint64_t seed); // NULL: no memory
void filter_cache_free(struct filter_cache *cache);

// Bit i set: event i of the plain body matches. `count` is the chunk's.
uint64_t filter_positions(struct filter_cache *cache, struct bytes plain_body, uint16_t count);
