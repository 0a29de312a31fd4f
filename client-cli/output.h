// Standard output: collected, and written in large pieces when somebody might be waiting for it.
#pragma once

#include <signal.h>

#include "proto/base/bytes.h"

// Append to `buffer` at will; then flush.
struct output {
    struct buffer buffer;
    const volatile sig_atomic_t *signal;
    bool is_terminal;
};

// Positive outcomes of flushing; what was not written stays in the buffer.
enum {
    OUTPUT_CLOSED = 1,      // the reader has gone
    OUTPUT_INTERRUPTED = 2, // by a signal
};

void output_init(struct output *output, const volatile sig_atomic_t *signal);
void output_deinit(struct output *output);

// Writes everything. OUTPUT_CLOSED, OUTPUT_INTERRUPTED, or ERR_IO after saying so.
int output_flush(struct output *output) MUST_CHECK;

// Flushes what a command has left to say, unless making it failed with `err`. The exit status.
int output_end(struct output *output, int err);

// Whether there is enough for a write that is worth it.
static inline bool output_is_full(const struct output *output)
{
    return output->buffer.length >= (size_t)64 * 1024;
}

// Appends text. ERR_MEMORY.
int output_text(struct output *output, const char *format, ...) PRINTF_LIKE(2, 3) MUST_CHECK;
