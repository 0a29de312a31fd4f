// A filter: what a subscription wants, several patterns or exact names, and conditions that events
// with such names must meet. Immutable once made, so it is shared by reference (counted,
// thread-safe) between subscriptions, loops and readers.
#pragma once

#include "proto/model/attribute_match.h"
#include "proto/model/glob.h"

struct filter;

struct filter_entry {
    struct bytes text;
    bool is_exact; // a name, not a pattern
};

struct filter_conditions {
    const struct attribute_match *attributes; // all must match
    uint32_t attributes_count;
    uint64_t timestamp_min_ms; // events before it do not match; 0: no bound
};

// count 0 means everything. At most PATTERNS_MAX entries. Errors as glob_compile.
int filter_new(const struct filter_entry *entries, size_t count, struct filter **filter_out,
               struct reason *reason) MUST_CHECK;

// The same with conditions, which must be sound (attribute_matches_check).
int filter_new_with(const struct filter_entry *entries, size_t count,
                    const struct filter_conditions *conditions, struct filter **filter_out,
                    struct reason *reason) MUST_CHECK;

struct filter *filter_ref(struct filter *filter);
void filter_unref(struct filter *filter);

// The name alone, whatever the conditions.
bool filter_matches(const struct filter *filter, struct bytes name);

// Whether every name (but the system's) matches.
bool filter_is_every_name(const struct filter *filter);

bool filter_has_conditions(const struct filter *filter);

// Whether every event matches: every name, without conditions. System events are not part of
// "everything", so a chunk may be delivered whole only if it holds none: see filter_positions.
bool filter_is_everything(const struct filter *filter);

// Whether it has an entry for the system's names. NULL (everything) has none.
bool filter_wants_system(const struct filter *filter);

// Whether no event of a chunk with this timestamp matches: it need not be decoded. NULL: false.
bool filter_excludes_time(const struct filter *filter, uint64_t timestamp_ms);

// The entries' globs, for reading through the index. glob_prefix tells what to seek.
size_t filter_globs_count(const struct filter *filter);
const struct glob *filter_glob(const struct filter *filter, size_t i);

// Two filters with equal keys match the same events (the sorted entries as text, the conditions).
struct bytes filter_key(const struct filter *filter);

// A memory of verdicts for one filter and one thread: names seen before cost a hash and a compare.
// Bounded (a few hundred KiB), allocated at its first use.
struct filter_cache;
struct filter_cache *filter_cache_new(struct filter *filter, uint64_t seed); // NULL: no memory
void filter_cache_free(struct filter_cache *cache);

// Bit i set: event i of the plain body matches, but for its time. `count` is the chunk's.
uint64_t filter_positions(struct filter_cache *cache, struct bytes plain_body, uint16_t count);

// Those of `positions`, whose names match, that match, but for their time.
uint64_t filter_narrow(const struct filter *filter, struct bytes plain_body, uint16_t count,
                       uint64_t positions);
