// A file that holds a consumer's cursor as text, replaced as a whole.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/instant.h"

struct cursor_file {
    const char *path; // NULL: none, everything is a no-op
    char *path_temporary;
    struct buffer written;  // what is in the file
    struct instant changed; // when it was last written
};

// Reads the cursor, if the file exists, into the empty buffer, ended by a NUL that does not count,
// and makes sure that the file can be written. Positive outcome CURSOR_FILE_NEW: it does not exist
// yet. ERR_INVALID (not a cursor) or ERR_IO, with a reason.
enum { CURSOR_FILE_NEW = 1 };
int cursor_file_open(struct cursor_file *file, const char *path, struct buffer *cursor_out,
                     struct reason *reason) MUST_CHECK;
void cursor_file_close(struct cursor_file *file);

// Replaces the file, unless it holds this cursor already: whenever the process ends, the file
// holds the old one or the new one. ERR_IO with a reason, ERR_MEMORY.
int cursor_file_write(struct cursor_file *file, struct bytes cursor, struct instant now,
                      struct reason *reason) MUST_CHECK;
