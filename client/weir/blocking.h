// Blocking, for simple programs.
//
// Timeouts are milliseconds; -1: for ever; 0: without waiting. With such a client the functions of
// weir/connection.h are not called, but weir_deadline.
#pragma once

#include "client.h"
#include "notice.h"
#include "outcomes.h"
#include "produce.h"
#include "request.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Makes a client that brings its socket, and waits until it is connected. WEIR_ERR_TIMEOUT: no node
// has answered in time, the reason (may be NULL) says why the last did not; WEIR_WOKEN; the errors
// of weir_new and weir_next (with WEIR_RECONNECT_LATER and NEVER: of the last attempt). (It lingers
// as the options say, but a wait sends what there is.)
WEIR_API int weir_open(const struct weir_options *options, int64_t timeout_ms,
                       struct weir **weir_out, struct weir_reason *reason) WEIR_MUST_CHECK;

// Sends, receives and connects as needed until there is a notice. WEIR_LATE, WEIR_WOKEN, or the
// errors of weir_next.
WEIR_API int weir_wait_next(struct weir *weir, int64_t timeout_ms,
                            const struct weir_notice **notice_out) WEIR_MUST_CHECK;

// Sends the batch and waits for a result, which is then handed out neither as a notice nor to a
// callback. Notices that come meanwhile wait for weir_wait_next. WEIR_NOTHING: it was handed out
// before, or there is no such ticket; WEIR_LATE, WEIR_WOKEN; the errors of weir_next.
// The outcome of the produce itself is in produced_out->err; the views are valid until the next
// call.
WEIR_API int weir_wait_produced(struct weir *weir, uint64_t ticket, int64_t timeout_ms,
                                struct weir_produced *produced_out) WEIR_MUST_CHECK;

// Sends the batch and waits until at most `events_max` produced events have no result (0: all have
// one). Callbacks are called; results without one are taken here: if one says that its events are
// not stored, this returns its err as soon as it comes, and weir_reason_text says why. Notices that
// come meanwhile wait for weir_wait_next. WEIR_LATE, WEIR_WOKEN, or the errors of weir_next.
WEIR_API int weir_wait_settled(struct weir *weir, uint64_t events_max,
                               int64_t timeout_ms) WEIR_MUST_CHECK;

// Sends the request and waits for its result, which is then not handed out as a notice. Notices
// that come meanwhile wait for weir_wait_next. WEIR_NOTHING: it was handed out before, or there is
// no such ticket; WEIR_LATE, WEIR_WOKEN; the errors of weir_next. The outcome of the request itself
// is in the result, which is valid until the next call of weir_wait_result.
WEIR_API int weir_wait_result(struct weir *weir, uint64_t ticket, int64_t timeout_ms,
                              const struct weir_result **result_out) WEIR_MUST_CHECK;

// Sends what was acknowledged and waits until all of it is answered; refusals come as notices.
// Notices that come meanwhile wait for weir_wait_next. WEIR_NOTHING: no such attachment, or it has
// ended; WEIR_LATE, WEIR_WOKEN; the errors of weir_next.
WEIR_API int weir_wait_acked(struct weir *weir, uint64_t attachment,
                             int64_t timeout_ms) WEIR_MUST_CHECK;

// A client of weir_open within another loop, of many clients, or with other descriptors to wait
// for:
//
//   weir_turn                connects, sends, receives, all without waiting; when its descriptor is
//                            ready, or weir_deadline has come
//   weir_next                until WEIR_NOTHING
//   weir_push                sends what has come of that
//   weir_descriptor          and wait for it, or for weir_deadline
//
// (To find the address of a host's name may take its time all the same.)
// 0: something has come, see weir_next; WEIR_NOTHING.
WEIR_API int weir_turn(struct weir *weir);
WEIR_API void weir_push(struct weir *weir);

// The socket, to be waited for until it is readable, and if so said until it is writable; -1: there
// is none now. Another one after every connection. Asking for it sends the batch to its queue,
// unless it lingers.
WEIR_API int weir_descriptor(struct weir *weir, bool *wants_output_out);

// The clock of the blocking layer: CLOCK_MONOTONIC in nanoseconds.
WEIR_API int64_t weir_clock(void);

#ifdef __cplusplus
}
#endif
