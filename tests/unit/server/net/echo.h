// A front end and a service for the tests of server/net. The protocol is frames: a length (4 bytes,
// big-endian, of what follows) and a payload, which is echoed. Some payloads are commands:
//   "loop"      answers with the number of its loop, one byte
//   "later"     answers "later" after a wake from the service's environment
//   "subscribe" answers nothing; is not idle until the service shuts down, then sends "end"
//   "soon"      sets a deadline in 20 ms, at which "soon" is sent
//   "late"      the same, but the connection ends then, after "late" was sent
//   "refuse"    answers "refused" and gives up
// When more than ECHO_OUT_MAX bytes wait to be sent, the session is saturated.
#pragma once

#include <stdatomic.h>

#include "server/net/net.h"

enum { ECHO_OUT_MAX = 1 << 20 };

struct frontend_ops;
extern const struct frontend_ops FRONTEND_ECHO;

struct service *echo_service_new(const struct node_env *env, unsigned loop);
void echo_service_free(struct service *service); // asserts that no session is left
// Any thread.
int echo_service_connections(struct service *service);
void echo_service_fail(struct service *service); // is fatal from the next turn on
void echo_service_hold(struct service *service); // is never idle again

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
bool echo_wait(bool (*is_so)(void *context), void *context);
