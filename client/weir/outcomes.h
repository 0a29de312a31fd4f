// What the functions of libweir return.
#pragma once

#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#else
#define WEIR_API
#define WEIR_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum weir_err {
    WEIR_ERR_MEMORY = -1,       // an allocation failed
    WEIR_ERR_IO = -2,           // the operating system, or the node's disk, refused
    WEIR_ERR_CORRUPT = -3,      // bytes that contradict themselves, or were damaged
    WEIR_ERR_INVALID = -4,      // not what it must be: an id, cursor, pattern, name, option
    WEIR_ERR_LIMIT = -5,        // beyond a limit (docs/protocol.md, "Limits")
    WEIR_ERR_FULL = -6,         // the node's disk is full: it can still be read from
    WEIR_ERR_VERSION = -8,      // no protocol version in common
    WEIR_ERR_FOREIGN = -9,      // a node of another cluster
    WEIR_ERR_NOT_FOUND = -10,   // what was asked for is not there
    WEIR_ERR_TIMEOUT = -11,     // did not happen in the time allowed
    WEIR_ERR_CLOSED = -12,      // the node has closed the connection, or stops
    WEIR_ERR_UNKNOWN = -13,     // outcome unknown: it may or may not have happened
    WEIR_ERR_BUSY = -14,        // a bounded resource is taken: try again later
    WEIR_ERR_DENIED = -15,      // the state of the node or cluster does not permit it
    WEIR_ERR_CONNECT = -16,     // cannot connect
    WEIR_ERR_UNSUPPORTED = -17, // known, but not by this node or this version of the library
};

// Positive outcomes.
enum {
    WEIR_NOTHING = 1, // there is none (any more, or now)
    WEIR_LATE = 2,    // the time is over
    WEIR_WOKEN = 3,   // wake_fd is readable
};

// A short name ("corrupt"), and a sentence for people. Never NULL.
WEIR_API const char *weir_err_name(int err);
WEIR_API const char *weir_err_text(int err);

// Why something was refused, for people. A value; written only on failure.
struct weir_reason {
    char text[256];
};

// The version of the library: "0.1.0".
WEIR_API const char *weir_version(void);

#ifdef __cplusplus
}
#endif
