// Messages of the native protocol: model to bytes and back (docs/protocol.md). Every message is a
// msgpack array [kind, id, ...]; further elements at its end are ignored, so that later versions
// can add some. Claimed counts and lengths are checked against the bytes that are there.
#pragma once

#include "proto/base/bytes.h"
#include "proto/model/reply.h"
#include "proto/model/request.h"

enum { PROTOCOL_VERSION_MIN = 1, PROTOCOL_VERSION_MAX = 1 };

// Positive outcome of the decoders: well formed, but of a kind that this version does not know
// (id_out tells the request).
enum { MESSAGE_UNKNOWN_KIND = 1 };

// Decodes one message (a frame's content). Views point into `message`; only the fields of the
// message's kind are written. With a reason: ERR_INVALID (not a message of this protocol),
// ERR_LIMIT (too many patterns, ranges, events in flight, too long a name), ERR_UNSUPPORTED (well
// formed, but with an option, a start, an order ... that this version does not know),
// MESSAGE_UNKNOWN_KIND. On all of these request_out->id is the request's id where it could be read,
// else 0.
int request_decode(struct bytes message, struct request *request_out,
                   struct reason *reason) MUST_CHECK;
int reply_decode(struct bytes message, struct reply *reply_out, struct reason *reason) MUST_CHECK;

// Append a whole frame: length and message. ERR_MEMORY and ERR_LIMIT (a frame beyond
// FRAME_BYTES_MAX) leave `out` as it was. A request's id is not 0; uuids have 16 bytes.
int request_encode(const struct request *request, struct buffer *out) MUST_CHECK;
int reply_encode(const struct reply *reply, struct buffer *out) MUST_CHECK;

// The front of a frame whose message ends with `events_length` bytes of events that follow
// separately (never copied): REQUEST_PRODUCE, REPLY_EVENTS, DELIVERY_CHUNKS, DELIVERY_SLICES,
// DELIVERY_ASSIGNED, DELIVERY_ASSIGNED_CHUNKS.
// The event views of the struct are ignored. Behind the events of a produce comes what
// request_encode_tail appends: nothing, unless it waits for replicas. ERR_MEMORY leaves `out` as it
// was.
int request_encode_head(const struct request *request, size_t events_length,
                        struct buffer *out) MUST_CHECK;
int request_encode_tail(const struct request *request, struct buffer *out) MUST_CHECK;
int reply_encode_head(const struct reply *reply, size_t events_length,
                      struct buffer *out) MUST_CHECK;
