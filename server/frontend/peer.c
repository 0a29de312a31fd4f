// The protocol of peers over one connection: frames to messages and back, and nothing else. What
// the node has to say is asked for when the network wants to send, and only while less than a
// bounded amount waits here.

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "proto/wire/peer_wire.h"
#include "server/frontend/frontend.h"
#include "server/frontend/output.h"
#include "server/node/peer.h"

enum {
    HEAD_BYTES_MAX = 1024,        // of a message without its views: numbers, hashes, runs
    NOTE_ENTRY_BYTES_MAX = 48,    //
    PROMISE_BYTES_MAX = 32,       //
    MEMBER_BYTES_MAX = 96,        // without its address
    OUTPUT_BYTES_LOW = 64 * 1024, // less than this waits: more is asked for
};

struct peer_frontend {
    struct frontend frontend;
    struct peer *peer;
    struct output output;
    struct peer_scratch scratch;
    struct buffer forwarded; // one message of a client, or to one
    int failure;             // the connection ends with it
};

static struct peer_frontend *peer_of(struct frontend *frontend)
{
    assert(frontend->ops == &FRONTEND_PEER);
    return container_of(frontend, struct peer_frontend, frontend);
}

static const struct peer_frontend *peer_of_const(const struct frontend *frontend)
{
    assert(frontend->ops == &FRONTEND_PEER);
    return (const struct peer_frontend *)(const void *)frontend; // its first member
}

static int peer_frontend_open(const struct frontend_config *config, struct frontend **frontend_out)
{
    struct peer_frontend *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return ERR_MEMORY;
    }
    opened->frontend.ops = &FRONTEND_PEER;
    int err = peer_open(config->service, config->owner, config->dial, config->is_local,
                        config->peer_name, &opened->peer);
    if (err) {
        free(opened);
        return err;
    }
    *frontend_out = &opened->frontend;
    return 0;
}

static void peer_frontend_close(struct frontend *frontend)
{
    struct peer_frontend *closed = peer_of(frontend);
    peer_close(closed->peer);
    output_deinit(&closed->output);
    peer_scratch_deinit(&closed->scratch);
    buffer_deinit(&closed->forwarded);
    free(closed);
}

// --- Out ---------------------------------------------------------------------------------------

// An upper bound of what the views of a message take.
static size_t views_length(const struct peer_message *message)
{
    size_t length = 0;
    switch (message->kind) {
    case PEER_HELLO:
        return message->hello.server_version.length + message->hello.cluster_name.length +
               message->hello.address.length;
    case PEER_PROOF:
        return message->proof.mac.length;
    case PEER_NOTE:
        return message->note.count * (size_t)NOTE_ENTRY_BYTES_MAX;
    case PEER_PROMISES:
        return message->promises.count * (size_t)PROMISE_BYTES_MAX;
    case PEER_MEMBERS:
        for (uint32_t i = 0; i < message->members.count; i++) {
            length += MEMBER_BYTES_MAX + message->members.entries[i].address.length;
        }
        return length;
    case PEER_ASK:
        return message->ask.address.length;
    case PEER_ANSWER:
        return message->answer.text.length + message->answer.chunk.length;
    case PEER_REFUSE:
        return message->refuse.text.length;
    case PEER_FORWARD:
    case PEER_FORWARDED:
        return message->forward.message.length;
    case PEER_PULL:
    case PEER_UNPULL:
    case PEER_CREDIT:
    case PEER_CHUNKS:
    case PEER_HEARTBEAT:
    case PEER_FORWARD_END:
        break;
    }
    return 0;
}

// A message inside of another: what follows separately belongs to both.
static int encode_forward(struct peer_frontend *sender, const struct peer_item *item)
{
    struct buffer *inner = &sender->forwarded;
    buffer_clear(inner);
    int err = item->request ? request_encode(item->request, inner)
              : item->block ? reply_encode_head(item->reply, item->length, inner)
                            : reply_encode(item->reply, inner);
    if (err) {
        return err;
    }
    struct bytes head =
        bytes_of(inner->data + FRAME_HEADER_LENGTH, inner->length - FRAME_HEADER_LENGTH);
    struct buffer *buffer = output_begin(&sender->output, HEAD_BYTES_MAX + head.length);
    err = buffer ? peer_encode_forward_head(&item->head, head.length + item->length, buffer)
                 : ERR_MEMORY;
    err = err ? err : buffer_append(buffer, head);
    return err ? err : output_commit(&sender->output);
}

static int encode(struct peer_frontend *sender, const struct peer_item *item)
{
    if (item->head.kind == PEER_FORWARD || item->head.kind == PEER_FORWARDED) {
        return encode_forward(sender, item);
    }
    struct buffer *buffer =
        output_begin(&sender->output, HEAD_BYTES_MAX + views_length(&item->head));
    if (!buffer) {
        return ERR_MEMORY;
    }
    size_t before = buffer->length;
    size_t capacity = buffer->capacity;
    int err = item->head.kind == PEER_CHUNKS
                  ? peer_encode_chunks_head(&item->head, item->length, buffer)
                  : peer_encode(&item->head, buffer);
    assert(buffer->capacity == capacity);
    if (err == 0 && item->head.kind == PEER_HELLO) {
        size_t begin = before + FRAME_HEADER_LENGTH;
        peer_sent_hello(sender->peer, bytes_of(buffer->data + begin, buffer->length - begin));
    }
    return err ? err : output_commit(&sender->output);
}

static int send_item(struct peer_frontend *sender, const struct peer_item *item)
{
    int err = encode(sender, item);
    if (!item->block) {
        return err;
    }
    if (err) {
        block_unref(item->block);
        return err;
    }
    return output_add_block(&sender->output, item->block, item->offset, item->length);
}

static size_t peer_frontend_peek(struct frontend *frontend, struct iovec *out, size_t max)
{
    struct peer_frontend *sender = peer_of(frontend);
    struct peer_item item;
    while (sender->failure >= 0 && sender->output.bytes < OUTPUT_BYTES_LOW &&
           peer_take(sender->peer, &item)) {
        sender->failure = send_item(sender, &item);
    }
    return output_peek(&sender->output, out, max);
}

static void peer_frontend_sent(struct frontend *frontend, size_t length)
{
    output_sent(&peer_of(frontend)->output, length);
}

static bool peer_frontend_is_idle(const struct frontend *frontend)
{
    const struct peer_frontend *sender = peer_of_const(frontend);
    return sender->output.bytes == 0 && (sender->failure < 0 || peer_is_idle(sender->peer));
}

// --- In ----------------------------------------------------------------------------------------

static int take_forward(struct peer_frontend *receiver, const struct peer_forward *forward,
                        struct instant now)
{
    struct request request;
    struct reason reason = {0};
    int outcome = request_decode(forward->message, &request, &reason);
    if (outcome == 0) {
        return peer_submit_request(receiver->peer, forward->channel, &request, now);
    }
    if (outcome == ERR_MEMORY) {
        return outcome;
    }
    if (outcome == ERR_INVALID) {
        return peer_malformed(receiver->peer, reason.text);
    }
    return peer_refuse_request(receiver->peer, forward->channel, request.id,
                               outcome == ERR_LIMIT ? WIRE_INVALID_ARGUMENT : WIRE_UNSUPPORTED,
                               reason.text);
}

static int take_forwarded(struct peer_frontend *receiver, const struct peer_forward *forward,
                          struct instant now)
{
    struct reply reply;
    struct reason reason = {0};
    int outcome = reply_decode(forward->message, &reply, &reason);
    if (outcome == MESSAGE_UNKNOWN_KIND) {
        return 0; // of a newer version
    }
    return outcome == 0 ? peer_submit_reply(receiver->peer, forward->channel, &reply, now)
                        : peer_malformed(receiver->peer, reason.text);
}

static int take_message(struct peer_frontend *receiver, struct bytes bytes, struct instant now)
{
    struct peer_message message;
    struct reason reason = {0};
    int outcome = peer_decode(bytes, &receiver->scratch, &message, &reason);
    if (outcome == MESSAGE_UNKNOWN_KIND && peer_is_accepted(receiver->peer)) {
        return 0; // of a newer version
    }
    if (outcome == ERR_MEMORY) {
        return outcome;
    }
    if (outcome != 0) {
        return peer_malformed(receiver->peer, outcome == MESSAGE_UNKNOWN_KIND
                                                  ? "the first message must be hello"
                                                  : reason.text);
    }
    if (peer_is_accepted(receiver->peer) && message.kind == PEER_FORWARD) {
        return take_forward(receiver, &message.forward, now);
    }
    if (peer_is_accepted(receiver->peer) && message.kind == PEER_FORWARDED) {
        return take_forwarded(receiver, &message.forward, now);
    }
    return peer_submit(receiver->peer, &message, bytes, now);
}

static int peer_frontend_feed(struct frontend *frontend, struct bytes bytes, struct instant now,
                              size_t *taken_out, size_t *wanted_out)
{
    struct peer_frontend *receiver = peer_of(frontend);
    struct bytes rest = bytes;
    size_t wanted = 0;
    int err = 0;
    if (receiver->failure < 0) {
        return receiver->failure;
    }
    while (err == 0) {
        size_t length_max =
            peer_is_accepted(receiver->peer) ? FRAME_BYTES_MAX : FRAME_BYTES_MAX_BEFORE_HELLO;
        struct bytes behind = rest;
        struct bytes message;
        int framed = frame_next(&behind, length_max, &message, &wanted);
        if (framed == FRAME_INCOMPLETE) {
            break;
        }
        wanted = 0;
        err = framed < 0 ? peer_malformed(receiver->peer, "a frame of no bytes, or too many")
                         : take_message(receiver, message, now);
        rest = err == 0 ? behind : rest;
    }
    if (err < 0) {
        return err; // the refusal is still to be taken: failure stays as it is
    }
    if (rest.length > 0) {
        peer_heard(receiver->peer, now);
    }
    *taken_out = bytes.length - rest.length;
    *wanted_out = wanted;
    return 0;
}

// --- Time --------------------------------------------------------------------------------------

static struct instant peer_frontend_deadline(const struct frontend *frontend)
{
    const struct peer_frontend *waiting = peer_of_const(frontend);
    bool is_over = waiting->failure < 0 || peer_has_ended(waiting->peer);
    return is_over ? (struct instant){.ns = INT64_MIN} : INSTANT_NEVER; // a tick at once
}

static int peer_frontend_tick(struct frontend *frontend, struct instant now)
{
    const struct peer_frontend *waiting = peer_of(frontend);
    if (waiting->failure < 0) {
        return waiting->failure;
    }
    return peer_has_ended(waiting->peer) ? ERR_CLOSED : 0;
}

const struct frontend_ops FRONTEND_PEER = {
    .name = "peer",
    .open = peer_frontend_open,
    .feed = peer_frontend_feed,
    .peek = peer_frontend_peek,
    .sent = peer_frontend_sent,
    .is_idle = peer_frontend_is_idle,
    .deadline = peer_frontend_deadline,
    .tick = peer_frontend_tick,
    .close = peer_frontend_close,
};
