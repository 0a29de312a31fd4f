// The connection, for event loops of the program.
//
// The program owns the socket; the core says what it wants of it. One turn of the loop:
//
//   weir_tick                when weir_deadline has come (or always)
//   weir_want                open or close the socket, if it says so
//   weir_space, weir_received    what the socket has
//   weir_next                until WEIR_NOTHING
//   weir_output, weir_sent   what the socket takes
//   weir_deadline            and wait for it, or for the socket
//
// Times are nanoseconds of a clock that never steps back, with any origin: weir_clock is one.
#pragma once

#include "client.h"
#include "outcomes.h"
#include "values.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_want {
    WEIR_WANT_TIME = 0,    // no connection: wait until weir_deadline
    WEIR_WANT_CONNECT = 1, // connect to weir_address, then call weir_connected or weir_disconnected
    WEIR_WANT_BYTES = 2,   // send and receive
    WEIR_WANT_CLOSE = 3,   // close the socket or give up connecting, then call weir_disconnected
    WEIR_WANT_NOTHING = 4, // the client has ended: see weir_next
};

#define WEIR_NEVER INT64_MAX

WEIR_API enum weir_want weir_want(const struct weir *weir);

// Where to connect, as in the options; "localhost" when these had none. Host and port: see
// weir_address_split. Valid as long as the client.
WEIR_API const char *weir_address(const struct weir *weir);

// Splits an address. `host` and `port` are texts with NUL; a Unix socket, which begins with a slash
// or a dot, has an empty port. Without port: 3000. WEIR_ERR_INVALID, with a reason (which may be
// NULL).
struct weir_address_parts {
    char host[256];
    char port[8];
};
WEIR_API int weir_address_split(const char *address, struct weir_address_parts *parts_out,
                                struct weir_reason *reason) WEIR_MUST_CHECK;

// The connection that was wanted stands. WEIR_ERR_MEMORY: close it, call weir_disconnected.
WEIR_API int weir_connected(struct weir *weir, int64_t now_ns) WEIR_MUST_CHECK;

// The connection is over: it could not be made, was closed by the node, has failed, or was closed
// as wanted. `err` (CONNECT, CLOSED, IO, ...; of no account when closing was wanted) and `text`
// (may be NULL) are for the notice. What was received is still handed out.
WEIR_API void weir_disconnected(struct weir *weir, int err, const char *text, int64_t now_ns);

// Room for received bytes, at least 256 KiB, and then how many were put there; only while bytes are
// wanted. WEIR_ERR_MEMORY.
WEIR_API int weir_space(struct weir *weir, void **space_out, size_t *length_out) WEIR_MUST_CHECK;
WEIR_API void weir_received(struct weir *weir, size_t length, int64_t now_ns);

// The same with a copy, for bytes that are elsewhere. WEIR_ERR_MEMORY.
WEIR_API int weir_feed(struct weir *weir, const void *data, size_t length,
                       int64_t now_ns) WEIR_MUST_CHECK;

// What waits to be sent now, valid until the next call, and how much of it was. Empty unless bytes
// are wanted. Asking for it sends the batch, unless it lingers.
WEIR_API struct weir_bytes weir_output(struct weir *weir);
WEIR_API void weir_sent(struct weir *weir, size_t length);

// When weir_tick wants to be called; WEIR_NEVER: not. It may have passed already. Receive before
// ticking, lest a program that was busy takes its own silence for the node's.
WEIR_API int64_t weir_deadline(const struct weir *weir);
WEIR_API void weir_tick(struct weir *weir, int64_t now_ns);

#ifdef __cplusplus
}
#endif
