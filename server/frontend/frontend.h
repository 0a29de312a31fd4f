// A front end translates one protocol between the bytes of one connection and the requests of the
// service; nothing about events is decided here. Sans-I/O: bytes come in by feed and go out by
// peek and sent. Everything happens in the thread of the service's loop.
#pragma once

#include <stddef.h>
#include <sys/uio.h>

#include "proto/base/bytes.h"
#include "proto/base/instant.h"

struct service;
struct frontend;

struct frontend_config {
    struct service *service;
    const char *peer_name; // "127.0.0.1:51312", for log and status; valid while open
    void *owner;           // net's connection; service_take_ready returns it
    uint64_t dial;         // FRONTEND_PEER: node_env's connect; 0: the connection came in
    bool is_local;         // the other side is on this machine
};

// Negative results of feed end the connection, after what peek still offers was sent.
struct frontend_ops {
    const char *name; // "native"

    int (*open)(const struct frontend_config *config, struct frontend **frontend_out);

    // Takes received bytes. *taken_out may be less than given: a partial message is kept by the
    // caller and fed again with more behind it (`wanted_out`: how many bytes from the front make
    // the next step possible, at most FRAME_BYTES_MAX + 4), or the session is saturated
    // (wanted_out 0): then nothing more is read until the session is ready again. FRONTEND_PEER is
    // also fed less than it wanted, whenever some of it has come.
    int (*feed)(struct frontend *frontend, struct bytes bytes, struct instant now,
                size_t *taken_out, size_t *wanted_out);

    // What can be sent now, at most `max` pieces; they stay valid until `sent` covers them.
    // Returns the number of pieces; 0: nothing.
    size_t (*peek)(struct frontend *frontend, struct iovec *out, size_t max);
    void (*sent)(struct frontend *frontend, size_t length);

    // Whether there is nothing to send but what waits for more, to go out with that:
    // service_take_ready returns the session when it has waited long enough. NULL: never.
    bool (*is_patient)(const struct frontend *frontend);

    // Whether everything is answered and sent, so that closing loses nothing.
    bool (*is_idle)(const struct frontend *frontend);

    // When tick wants to be called next: INSTANT_NEVER if not. A connection that says no hello
    // within 10 s, or leaves a frame half sent for 30 s, ends here; so does one that was ended from
    // inside: it says a deadline in the past after service_take_ready, and its tick is negative.
    struct instant (*deadline)(const struct frontend *frontend);
    int (*tick)(struct frontend *frontend, struct instant now);

    // Frees. The session is closed; what is in flight in the store is finished without it.
    void (*close)(struct frontend *frontend);
};

// Implementations embed this as their first member.
struct frontend {
    const struct frontend_ops *ops;
};

extern const struct frontend_ops FRONTEND_NATIVE;
extern const struct frontend_ops FRONTEND_PEER;

// What a connection speaks, by its first bytes: a peer's first message is PEER_HELLO. NULL: more
// bytes are needed (at most FRONTEND_GREETING_BYTES).
enum { FRONTEND_GREETING_BYTES = 8 };
const struct frontend_ops *frontend_choose(struct bytes first);
