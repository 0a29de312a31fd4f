// Lines of a file or pipe, as they come.
#pragma once

#include "proto/base/bytes.h"

struct line_source {
    int fd;
    struct buffer buffer;
    size_t start;    // of the next line
    size_t searched; // up to here there is no newline
    size_t line_max; // bytes
    uint64_t number; // of lines taken
    bool has_ended;  // the file
};

// "-" is standard input. ERR_IO with a reason.
int line_source_open(struct line_source *source, const char *path, size_t line_max,
                     struct reason *reason) MUST_CHECK;
void line_source_close(struct line_source *source);

// Positive outcomes of line_source_peek.
enum {
    LINE_NONE = 1, // none is complete: read more
    LINE_END = 2,  // there will be no more
};

// The next line, without its newline; the last one may have none. Stays the next until
// line_source_take. ERR_LIMIT when it is longer than line_max.
int line_source_peek(struct line_source *source, struct bytes *line_out) MUST_CHECK;
void line_source_take(struct line_source *source);

// Whether line_source_read would return at once.
bool line_source_is_readable(const struct line_source *source);

// Reads once, waiting if need be. ERR_IO with a reason, ERR_MEMORY.
int line_source_read(struct line_source *source, struct reason *reason) MUST_CHECK;
