// The network: loops that accept connections, read and write their bytes, and drive a front end
// for each and a service per loop. What the bytes mean is the front ends' affair.
//
// Life: new; a service for each loop's environment; listen; start; poll net_event_fd for the end;
// shut_down; join; the services are freed by their maker; free.
#pragma once

#include <stdarg.h>

#include "proto/base/bytes.h"
#include "server/node/node_env.h"

struct frontend_ops;
struct net;
struct service;

enum { NET_LOOPS_MAX = 64 };

struct net_config {
    // What a connection speaks, by its first bytes: see frontend_choose.
    const struct frontend_ops *(*choose)(struct bytes first);
    const struct frontend_ops *peer; // what is dialled, and what choose may say
    unsigned loops_count;            // 1 .. NET_LOOPS_MAX
    uint64_t connections_max;        // of clients; beyond it new ones are closed
    uint64_t receive_bytes_max;      // frames that are not complete, over all loops
    void (*log)(void *context, enum log_level level, const char *part, const char *format,
                va_list arguments) PRINTF_LIKE(4, 0); // any thread
    void *log_context;
};

// ERR_MEMORY, ERR_IO.
int net_new(const struct net_config *config, struct net **net_out,
            struct reason *reason) MUST_CHECK;
void net_free(struct net *net); // not running; NULL is fine

// The environment of a loop's service, and the service itself, which the loop drives from
// net_start on and does not own.
const struct node_env *net_env(struct net *net, unsigned loop);
void net_set_service(struct net *net, unsigned loop, struct service *service);

// Listens on every address of `host` ("*": all there are); port 0: a free one. The reason names
// the address and the remedy. ERR_BUSY: in use; ERR_DENIED; ERR_INVALID: no such host; ERR_IO.
int net_listen_tcp(struct net *net, const char *host, uint16_t port,
                   struct reason *reason) MUST_CHECK;
// A socket file that nobody answers on is replaced; nothing else is. Mode 0660.
int net_listen_unix(struct net *net, const char *path, struct reason *reason) MUST_CHECK;

// What is listened on: "127.0.0.1:3000", "[::1]:3000", "unix:/run/weir/socket".
unsigned net_listeners_count(const struct net *net);
const char *net_listener_name(const struct net *net, unsigned listener);

// Starts a thread per loop. ERR_MEMORY, ERR_IO: none runs.
int net_start(struct net *net, struct reason *reason) MUST_CHECK;

// Becomes readable when net_is_fatal, net_is_finished or net_has_answered may have changed; the
// caller reads it empty.
int net_event_fd(const struct net *net);

// Whether the store of some service cannot commit any more.
bool net_is_fatal(struct net *net, struct reason *fatal_out);

// Asks every loop for a sign of life; has_answered: all have given it since.
void net_ping(struct net *net);
bool net_has_answered(const struct net *net);

// Connections of clients that are open, in all loops.
uint64_t net_connections_count(const struct net *net);

// Stops accepting, ends the services, and lets each loop end once everything accepted is answered
// and sent, at the latest after 3 s.
void net_shut_down(struct net *net);
bool net_is_finished(const struct net *net);

// Waits for the threads; only after net_is_finished. false: a service still had something in
// flight in the store when its time was over; it must not be freed.
bool net_join(struct net *net);
