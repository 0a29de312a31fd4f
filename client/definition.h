// What a program says of a durable subscription, as the protocol says it.
#pragma once

#include "client/weir.h"
#include "proto/model/request.h"

// Owns `texts`, into which the views point. Zero-initialised is empty.
struct definition {
    struct buffer texts;
    struct request_start start;
    struct subscription_definition wanted;
};

void definition_deinit(struct definition *definition);

// Everything is copied. ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED with a reason; ERR_MEMORY. Then,
// and before, `out` is empty. `from` NULL: everything from the beginning.
int definition_read(const struct weir_definition *from, struct definition *out,
                    struct reason *reason) MUST_CHECK;

// The same the other way round, for programs that list them: without the start. `out` points into
// the view and into `memory`, which is filled anew, and whose bytes must not move. ERR_MEMORY.
int definition_write(const struct subscription_definition *from, struct buffer *memory,
                     struct weir_definition *out) MUST_CHECK;
