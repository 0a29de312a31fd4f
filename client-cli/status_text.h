// Pieces of what nodes say of themselves, shared by `status` and `cluster`.
#pragma once

#include "client-cli/json.h"
#include "proto/model/uuid.h"

// Text of a uuid as it came; zeros where it has fewer than 16 bytes.
void status_format_uuid(struct bytes uuid, char out[UUID_TEXT_LENGTH + 1]);

// A JSON string of what a node sent. ERR_INVALID when it is not UTF-8, ERR_MEMORY.
int status_append_text(struct buffer *out, struct bytes text) MUST_CHECK;

// Takes the next line off the lines; false: there is none.
bool status_take_line(struct bytes *lines, struct bytes *line_out);
