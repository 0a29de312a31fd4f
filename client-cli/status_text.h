// Pieces of what nodes say of themselves, shared by `status` and `cluster`.
#pragma once

#include "client-cli/json.h"
#include "client/weir.h"

// A JSON string of what a node sent. ERR_INVALID when it is not UTF-8, ERR_MEMORY.
int status_append_text(struct buffer *out, struct weir_bytes text) MUST_CHECK;

// A JSON key, given with all its punctuation, and such a string.
int status_append_field(struct buffer *out, const char *key, struct weir_bytes text) MUST_CHECK;
