// The log of the server: one line for what happened, written at once. To stderr, to a file that can
// be opened anew (SIGHUP), or in the journal's form.
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "proto/base/err.h"
#include "server/node/node_env.h"

enum {
    LOGGER_PARTS_MAX = 16,
    LOGGER_PART_BYTES_MAX = 15,
};

struct logger_part {
    char name[LOGGER_PART_BYTES_MAX + 1];
    enum log_level level;
};

struct logger_config {
    enum log_level level;            // of parts that have none of their own
    const struct logger_part *parts; // copied
    unsigned parts_count;
    const char *dest; // "stderr" (the journal's form when stderr is the journal), "journal" (the
                      // same, always), or the path of a file that is appended to; copied
};

struct logger;

// ERR_DENIED, ERR_IO: the file cannot be opened, the reason names it. ERR_MEMORY.
int logger_open(const struct logger_config *config, struct logger **logger_out,
                struct reason *reason) MUST_CHECK;
void logger_close(struct logger *logger);

// Opens the file again, under the same name; the old one stays in use when that fails. Without a
// file: nothing. Any thread.
int logger_reopen(struct logger *logger, struct reason *reason) MUST_CHECK;

// Any thread; a line is one write, at most 2 KiB; control characters become '?'.
void logger_write(struct logger *logger, enum log_level level, const char *part, const char *format,
                  ...) PRINTF_LIKE(4, 5);
void logger_write_list(struct logger *logger, enum log_level level, const char *part,
                       const char *format, va_list arguments) PRINTF_LIKE(4, 0);

bool logger_is_on(const struct logger *logger, enum log_level level, const char *part);
