// Messages between members: model to bytes and back, in the same frames as those of clients
// (docs/protocol.md, "Peers"). Claimed counts and lengths are checked against the bytes that are
// there before anything is allocated.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/peer_message.h"
#include "proto/wire/message.h" // MESSAGE_UNKNOWN_KIND

// Memory for the entries of decoded notes, promises and members; reused from message to message.
// Zero-initialised is empty.
struct peer_scratch {
    struct buffer entries;
};
void peer_scratch_deinit(struct peer_scratch *scratch);

// Decodes one message (a frame's content). Views point into `message`, entries into `scratch` until
// its next use. ERR_INVALID, ERR_LIMIT, ERR_MEMORY with a reason; MESSAGE_UNKNOWN_KIND.
int peer_decode(struct bytes message, struct peer_scratch *scratch, struct peer_message *out,
                struct reason *reason) MUST_CHECK;

// Appends a whole frame. ERR_MEMORY, ERR_LIMIT leave `out` as it was.
int peer_encode(const struct peer_message *message, struct buffer *out) MUST_CHECK;

// The front of a CHUNKS frame whose chunks, of that length, follow separately.
int peer_encode_chunks_head(const struct peer_message *message, size_t chunks_length,
                            struct buffer *out) MUST_CHECK;

// The same of a FORWARD or FORWARDED whose message, of that length, follows separately.
int peer_encode_forward_head(const struct peer_message *message, size_t message_length,
                             struct buffer *out) MUST_CHECK;
