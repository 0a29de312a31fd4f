// libweir: produce events to a weir cluster, and consume them, from C or C++.
//
// Two layers in one library. The core does no I/O and reads no clock: bytes go in, bytes come out,
// notices are taken, a deadline is told, so that it fits any event loop (weir_new,
// weir/connection.h). The blocking layer brings its own socket (weir_open, weir/blocking.h). What
// is between them, producing and subscribing, is the same for both.
//
// Programs include this file alone. Its parts, to be read in this order:
//
//   weir/outcomes.h    errors and their texts
//   weir/values.h      ids, names, attributes, events
//   weir/client.h      weir_new, weir_free, the options
//   weir/produce.h     weir_produce, weir_respond, weir_flush
//   weir/subscribe.h   weir_subscribe, weir_cursor
//   weir/attach.h      weir_attach, weir_ack: durable subscriptions, and requests about them
//   weir/request.h     weir_get, weir_last, weir_status, weir_cluster, and other questions
//   weir/notice.h      weir_next: what has happened
//   weir/blocking.h    weir_open, weir_wait_next: for simple programs
//   weir/connection.h  weir_want, weir_tick: for event loops
//   weir/msgpack.h     weir_pack_map, weir_unpack: data as msgpack
//
// Threads: no global state. A struct weir, and all that came from it, is used by one thread at a
// time; different ones have nothing to do with each other.
//
// Outcomes: functions return int: 0 done; positive: an outcome that is no error; negative: an
// enum weir_err. Where an outcome is not mentioned it does not occur. Outputs are written only on
// success. WEIR_ERR_MEMORY leaves everything as it was.
//
// Texts are UTF-8. What is passed in is copied, unless it is said otherwise. What the network
// brings is checked: no bytes can make the library abort. Wrong use by the program can: a NULL
// where none is allowed, more bytes said to be sent than there were.
//
// Growth: a struct that the program fills in begins with its size; the rest is zero for the
// defaults (C: `= {.size = sizeof options}`; C++: `weir_options options{}; options.size = sizeof
// options;`). Structs that the library fills in are handed out by pointer, and may become longer.
// Enums may get more values: pass over kinds of notices that you do not know.
#pragma once

#include "weir/attach.h"
#include "weir/blocking.h"
#include "weir/client.h"
#include "weir/connection.h"
#include "weir/msgpack.h"
#include "weir/notice.h"
#include "weir/outcomes.h"
#include "weir/produce.h"
#include "weir/request.h"
#include "weir/subscribe.h"
#include "weir/values.h"
