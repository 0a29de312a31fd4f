// A client that blocks: a core with a socket, for programs without an event loop of their own.
// One thread at a time.
#pragma once

#include <poll.h>

#include "client/core.h"
#include "client/dial.h"

struct client;

struct client_config {
    struct dial_address address; // its texts must outlive the client
    const char *name;            // must outlive the client
    uint32_t connect_timeout_ms; // hello included; 0: 10 s
    uint32_t silence_ms;         // as core_config
    int wake_fd;                 // ends every wait when it becomes readable; -1: none
};

// Positive outcomes of the waits.
enum {
    CLIENT_LATE = 2,  // the time is over
    CLIENT_WOKEN = 3, // wake_fd is readable
};

// Connects and says hello. CLIENT_WOKEN; ERR_CONNECT, ERR_VERSION, ERR_TIMEOUT (connected, but no
// answer), ... with a reason.
int client_open(const struct client_config *config, struct client **client_out,
                struct reason *reason) MUST_CHECK;
void client_close(struct client *client);

// Tries again and again, with jittered back-off, until it is connected. What was pending is lost
// with the old connection, and so are its subscriptions: take their cursors before.
// CLIENT_LATE, CLIENT_WOKEN; ERR_VERSION and the like when trying again is of no use.
int client_reconnect(struct client *client, struct instant until, struct reason *reason) MUST_CHECK;

// For requests. Another one after every reconnect.
struct core *client_core(struct client *client);

// Sends what there is and waits for the next notice. CLIENT_LATE, CLIENT_WOKEN, or the errors of
// core_next.
int client_next(struct client *client, struct instant until, struct notice *notice_out) MUST_CHECK;

// Sends and receives what is possible without waiting, then, if that was nothing, waits for the
// connection, for one of `others` (their revents are set) or for the time. 0: something happened,
// see core_next and `others`. CLIENT_LATE, CLIENT_WOKEN.
int client_wait(struct client *client, struct pollfd *others, size_t others_count,
                struct instant until) MUST_CHECK;

enum { CLIENT_OTHERS_MAX = 2 };
