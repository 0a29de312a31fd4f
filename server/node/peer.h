// A peer: one link to another node, as its front end sees it; the part of the service that is for
// members and not for clients. Peers live in the first loop, whose service owns the cluster
// (server/node/cluster.h). The front end turns bytes into messages and back; everything else (the
// order of hello and proof, who is accepted, what is sent) is decided behind this header.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/instant.h"
#include "proto/model/block.h"
#include "proto/model/peer_message.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

struct service;
struct peer;

// `dial` is the number of node_env's connect, 0 for a connection that came in; is_local: the other
// side is on this machine. `owner` is returned by service_take_ready when the peer has something to
// send, or has ended. ERR_MEMORY, ERR_BUSY (as many links as there may be), ERR_CLOSED.
int peer_open(struct service *service, void *owner, uint64_t dial, bool is_local, const char *name,
              struct peer **peer_out) MUST_CHECK;
void peer_close(struct peer *peer); // the connection is gone

// The next peer that is ready, as service_take_ready; its owner. NULL: none.
void *peer_take_ready(struct service *service);

// Bytes of a message that is not complete have come: the other side is alive.
void peer_heard(struct peer *peer, struct instant now);

// One message that came, and its bytes as they were on the wire, without their length (what proofs
// are made of; valid during the call). Negative: the connection ends after what peer_take still
// gives (a REFUSE).
int peer_submit(struct peer *peer, const struct peer_message *message, struct bytes wire,
                struct instant now) MUST_CHECK;

// What a FORWARD or a FORWARDED of an accepted peer holds, decoded; as peer_submit. Views are valid
// during the call.
int peer_submit_request(struct peer *peer, uint64_t channel, const struct request *request,
                        struct instant now) MUST_CHECK;
int peer_submit_reply(struct peer *peer, uint64_t channel, const struct reply *reply,
                      struct instant now) MUST_CHECK;
// A request in a FORWARD that is well formed but not understood: it is answered with the error.
int peer_refuse_request(struct peer *peer, uint64_t channel, uint64_t id, enum wire_error code,
                        const char *text) MUST_CHECK;

// Bytes that are no message: ends the link. Returns the error for net.
int peer_malformed(struct peer *peer, const char *text) MUST_CHECK;

// One message to send. Views stay valid until the next peer_take. CHUNKS: `block` with a reference
// for the taker; offset and length are its chunks, to be sent behind the head. FORWARD: `request`
// is its message; FORWARDED: `reply` is, and the block as in a session_item. Hellos must be given
// back as they go on the wire by peer_sent_hello.
struct peer_item {
    struct peer_message head;
    const struct request *request;
    const struct reply *reply;
    struct block *block;
    size_t offset;
    size_t length;
};
bool peer_take(struct peer *peer, struct peer_item *item_out);
void peer_sent_hello(struct peer *peer, struct bytes wire);

// Whether the other side has proved itself; before that its frames are small.
bool peer_is_accepted(const struct peer *peer);

// The link has been ended from inside: net sends what there is and closes.
bool peer_has_ended(const struct peer *peer);

// Nothing that must be sent is left.
bool peer_is_idle(const struct peer *peer);

// A dial that did not become a connection.
void peer_dial_failed(struct service *service, uint64_t dial, const char *why);
