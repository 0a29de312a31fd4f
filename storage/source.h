// Chunks of the log in order of their keys (first counter, actor): those that hold events above
// one vector and inside another, and, with a filter that few namespaces match, only those that
// hold matching events. What a canonical read is made of.
#pragma once

#include "proto/model/chunk.h"
#include "proto/model/filter.h"
#include "proto/model/version_vector.h"

struct source;
struct store;

struct source_chunk {
    struct chunk_header header;
    struct bytes chunk;  // whole, verified; a view until source_next
    uint64_t positions;  // events inside the bounds; exact_match: and that match
    bool is_exact_match; // the index has answered for the names of this chunk
};

// Positive outcomes.
enum {
    SOURCE_END = 1,
    SOURCE_PAUSE = 2, // many chunks were passed without one that is wanted: call again
};

// `lower` is exclusive, `upper` inclusive; both are copied. `filter` may be NULL.
int source_open(struct store *store, const struct filter *filter,
                const struct version_vector *lower, const struct version_vector *upper,
                struct source **source_out) MUST_CHECK;
void source_close(struct source *source);

// The chunk at the source's place. 0, SOURCE_END, SOURCE_PAUSE, ERR_* with a reason.
int source_current(struct source *source, struct source_chunk *chunk_out,
                   struct reason *reason) MUST_CHECK;

// Moves behind it.
void source_next(struct source *source);
