// A client that blocks: a core with a socket, for programs without an event loop of their own.
// One thread at a time.
#pragma once

#include <poll.h>

#include "client/core.h"
#include "client/dial.h"

struct weir_client;

struct weir_client_config {
    struct weir_address address; // its texts must outlive the client
    const char *name;            // must outlive the client
    uint32_t connect_timeout_ms; // hello included; 0: 10 s
    uint32_t silence_ms;         // as weir_core_config
    int wake_fd;                 // ends every wait when it becomes readable; -1: none
};

// Positive outcomes of the waits.
enum {
    WEIR_LATE = 2,  // the time is over
    WEIR_WOKEN = 3, // wake_fd is readable
};

// Connects and says hello. WEIR_WOKEN; ERR_CONNECT, ERR_VERSION, ERR_TIMEOUT (connected, but no
// answer), ... with a reason.
int weir_client_open(const struct weir_client_config *config, struct weir_client **client_out,
                     struct reason *reason) MUST_CHECK;
void weir_client_close(struct weir_client *client);

// Tries again and again, with jittered back-off, until it is connected. What was pending is lost
// with the old connection, and so are its subscriptions: take their cursors before.
// WEIR_LATE, WEIR_WOKEN; ERR_VERSION and the like when trying again is of no use.
int weir_client_reconnect(struct weir_client *client, struct instant until,
                          struct reason *reason) MUST_CHECK;

// For requests. Another one after every reconnect.
struct weir_core *weir_client_core(struct weir_client *client);

// Sends what there is and waits for the next notice. WEIR_LATE, WEIR_WOKEN, or the errors of
// weir_core_next.
int weir_client_next(struct weir_client *client, struct instant until,
                     struct weir_notice *notice_out) MUST_CHECK;

// Sends and receives what is possible without waiting, then, if that was nothing, waits for the
// connection, for one of `others` (their revents are set) or for the time. 0: something happened,
// see weir_core_next and `others`. WEIR_LATE, WEIR_WOKEN.
int weir_client_wait(struct weir_client *client, struct pollfd *others, size_t others_count,
                     struct instant until) MUST_CHECK;

enum { WEIR_OTHERS_MAX = 2 };
