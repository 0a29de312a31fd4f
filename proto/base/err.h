// The errors of weir: one table of codes, names and texts.
//
// Functions that can fail return int: 0 done; a negative `enum err`: cannot go on, returned
// unchanged up the stack; positive: an outcome of that function's own module, named in its header
// and handled by its caller.
#pragma once

#include <stddef.h>

enum err {
    ERR_NONE = 0,
    ERR_MEMORY = -1,     // an allocation failed or a bounded buffer is full
    ERR_IO = -2,         // the operating system or the disk refused
    ERR_CORRUPT = -3,    // stored or received bytes fail their checksum or contradict themselves
    ERR_INVALID = -4,    // input that is not what it must be: id, cursor, glob, namespace, message
    ERR_LIMIT = -5,      // input beyond a named limit
    ERR_FULL = -6,       // the disk reserve is reached: produce is refused, reads go on
    ERR_LOCKED = -7,     // another process uses it
    ERR_VERSION = -8,    // a format or protocol that this version does not know
    ERR_FOREIGN = -9,    // belongs to something else: another program, node or cluster
    ERR_NOT_FOUND = -10, // what was asked for is not there
    ERR_TIMEOUT = -11,   // did not happen in the time allowed
    ERR_CLOSED = -12,    // the other side, or we, have closed
    ERR_UNKNOWN = -13,   // outcome unknown: it may or may not have happened
    ERR_BUSY = -14,      // a bounded resource is taken: try again later
    ERR_DENIED = -15,    // not permitted
    ERR_CONNECT = -16,   // cannot connect
    ERR_UNSUPPORTED = -17, // known, but not by this node or this build
};

// How many codes there are, ERR_NONE included.
enum { ERR_COUNT = 18 };

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text_index, first_index)                                                       \
    __attribute__((format(printf, text_index, first_index)))

// The code's short name ("corrupt"); never NULL, "unknown code" for a number that is no code.
const char *err_name(int err);

// One sentence for people; never NULL.
const char *err_text(int err);

// Why something was refused, in words that name the thing and the remedy. A value: zero it or
// reason_clear it before use; functions write it only when they fail.
enum { REASON_LENGTH_MAX = 255 };
struct reason {
    char text[REASON_LENGTH_MAX + 1];
};

void reason_clear(struct reason *reason);

// Sets the text (cut at REASON_LENGTH_MAX, control characters replaced by '?') and returns `err`,
// so that callers write `return reason_set(reason, ERR_INVALID, ...)`. `reason` may be NULL.
int reason_set(struct reason *reason, int err, const char *format, ...) PRINTF_LIKE(3, 4);
