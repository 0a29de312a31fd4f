// A front end and a service for the tests of server/net. The protocol is frames: a length (4 bytes,
// big-endian, of what follows) and a payload, which is echoed. Some payloads are commands:
//   "loop"      answers with the number of its loop, one byte
//   "later"     answers "later" after a wake from the service's environment
//   "subscribe" answers nothing; is not idle until the service shuts down, then sends "end"
//   "soon"      sets a deadline in 20 ms, at which "soon" is sent
//   "late"      the same, but the connection ends then, after "late" was sent
//   "refuse"    answers "refused" and gives up
// When more than ECHO_OUT_MAX bytes wait to be sent, the session is saturated.
//
// A connection whose first payload is "peer" is a peer's: a front end of its own, which takes two
// more commands and counts what it meets:
//   "peer"      answers "met"
//   "met"       answers nothing: both sides are peers
//   "where"     answers "local" or "remote"
// One that was dialled begins with "peer".
#pragma once

#include <stdatomic.h>

#include "server/net/net.h"

enum { ECHO_OUT_MAX = 1 << 20 };

struct frontend_ops;
extern const struct frontend_ops FRONTEND_ECHO;
extern const struct frontend_ops FRONTEND_ECHO_PEER;
const struct frontend_ops *echo_choose(struct bytes first);

struct service *echo_service_new(const struct node_env *env, unsigned loop);
void echo_service_free(struct service *service); // asserts that no session is left
// Any thread.
int echo_service_connections(struct service *service);
void echo_service_fail(struct service *service); // is fatal from the next turn on
void echo_service_hold(struct service *service); // is never idle again

// Lets the service, which must be the first loop's, dial an address; one at a time.
void echo_service_dial(struct service *service, uint64_t dial, const char *address);
// What has become of all dials so far.
struct echo_dials {
    unsigned heard;       // feeds of a peer that were no complete frame
    unsigned met;         // peers that answered
    unsigned failed;      // peer_dial_failed
    uint64_t last;        // which failed last
    struct reason why;    // it did
    bool was_synchronous; // it was said within the call that dialled
};
struct echo_dials echo_service_dials(struct service *service);

// A net with echoing services, listening on 127.0.0.1 and a Unix socket.
struct echo_server {
    struct net *net;
    struct service *services[NET_LOOPS_MAX];
    unsigned loops_count;
    uint16_t port;
    char socket[64];
    atomic_uint lines; // logged
};

struct echo_options {
    unsigned loops;           // 0: one
    uint64_t connections_max; // 0: plenty
    uint64_t receive_bytes;   // 0: plenty
    bool is_second;           // of two in one process: another Unix socket
};
void echo_server_start(struct echo_server *server, struct echo_options options);
// Shuts down, checks that it ends, frees everything. Returns whether all services were idle.
bool echo_server_stop(struct echo_server *server);

// The client's side: blocking, with a time limit of 20 s for everything.
int echo_connect(const struct echo_server *server);
int echo_connect_unix(const struct echo_server *server);
void echo_send(int fd, const void *bytes, size_t length);
void echo_send_frame(int fd, const void *payload, size_t length);
void echo_send_text(int fd, const char *text);
// Receives exactly so many bytes.
void echo_receive(int fd, void *out, size_t length);
void echo_expect_text(int fd, const char *text); // a frame
void echo_expect_end(int fd);                    // orderly, not a reset
void echo_expect_gone(int fd);                   // or a reset: what was sent may be unread
bool echo_wait(bool (*is_so)(void *context), void *context);
