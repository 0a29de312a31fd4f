// The native protocol over one connection. Frames are decoded where they lie in the receive buffer
// and submitted at once: the service copies what it keeps. What the service has to say is asked for
// when the network wants to send, and only while less than a bounded amount waits, so a client that
// does not read costs a position in the service and no memory here.
//
// Errors about one request are replies like any other and go through the session, in order. Errors
// that end the connection are appended behind what is already on its way, and nothing more is taken
// from the session then.

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "server/frontend/frontend.h"
#include "server/frontend/output.h"
#include "server/node/service.h"

enum {
    HELLO_DEADLINE_MS = 10000,
    FRAME_DEADLINE_MS = 30000, // for a frame of no bytes; each of these many adds a second
    FRAME_BYTES_PER_SECOND = 64 * 1024,
    HEAD_BYTES_MAX = 512,         // of a message without its views: numbers, names, uuids
    OUTPUT_BYTES_LOW = 64 * 1024, // less than this waits: more is asked for
    SERVER_FEATURES = FEATURE_LZ4 | FEATURE_CHUNKS,
};

struct native {
    struct frontend frontend;
    struct service *service;
    struct session *session;
    const char *peer_name; // may be NULL
    struct output output;
    bool has_clock; // the first tick has told the time
    bool has_hello;
    bool is_half; // a frame is begun, the rest has not come
    struct instant opened;
    struct instant half_since;
    size_t half_length; // of what is here
    int failure;        // the connection ends with it
};

static struct native *native_of(struct frontend *frontend)
{
    assert(frontend->ops == &FRONTEND_NATIVE);
    return container_of(frontend, struct native, frontend);
}

static const struct native *native_of_const(const struct frontend *frontend)
{
    assert(frontend->ops == &FRONTEND_NATIVE);
    return (const struct native *)frontend; // its first member
}

static int native_open(const struct frontend_config *config, struct frontend **frontend_out)
{
    struct native *native = calloc(1, sizeof *native);
    if (!native) {
        return ERR_MEMORY;
    }
    native->frontend.ops = &FRONTEND_NATIVE;
    native->service = config->service;
    native->peer_name = config->peer_name;
    int err = session_open(config->service, config->owner, &native->session);
    if (err) {
        free(native);
        return err;
    }
    *frontend_out = &native->frontend;
    return 0;
}

static void native_close(struct frontend *frontend)
{
    struct native *native = native_of(frontend);
    session_close(native->session);
    output_deinit(&native->output);
    free(native);
}

// --- Out ---------------------------------------------------------------------------------------

// An upper bound of what the views of a reply take in its head.
static size_t views_length(const struct reply *reply)
{
    switch ((enum reply_kind)reply->kind) {
    case REPLY_HELLO:
        return reply->hello.server_version.length + reply->hello.cluster_name.length;
    case REPLY_NAMESPACES:
        return reply->namespaces.rows.length;
    case REPLY_STATUS:
        return reply->status.version.length + reply->status.cluster_name.length +
               reply->status.alarms.length;
    case REPLY_CLUSTER:
        return reply->cluster_status.cluster_name.length + reply->cluster_status.phase.length +
               reply->cluster_status.why_not.length + reply->cluster_status.text.length +
               reply->cluster_status.members.length + reply->cluster_status.alarms.length;
    case REPLY_ERROR:
        return reply->error.text.length;
    case REPLY_ATTACHED:
        return reply->attached.remark.length;
    case REPLY_SUBSCRIPTIONS:
        return reply->subscriptions.text.length + reply->subscriptions.rows.length +
               reply->subscriptions.consumers.length;
    case REPLY_ACKED:
    case REPLY_PONG:
    case REPLY_PRODUCED:
    case REPLY_SUBSCRIBED:
    case REPLY_EVENTS:
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
    case DELIVERY_MARK:
    case DELIVERY_END:
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        break;
    }
    return 0;
}

static bool has_events(const struct reply *reply)
{
    return reply->kind == REPLY_EVENTS || reply->kind == DELIVERY_CHUNKS ||
           reply->kind == DELIVERY_SLICES || reply->kind == DELIVERY_ASSIGNED ||
           reply->kind == DELIVERY_ASSIGNED_CHUNKS;
}

static int send_item(struct native *native, const struct session_item *item)
{
    const struct reply *head = &item->head;
    struct buffer *buffer =
        output_begin(&native->output, HEAD_BYTES_MAX + head->cursor.length + views_length(head));
    int err = ERR_MEMORY;
    if (buffer) {
        err = has_events(head) ? reply_encode_head(head, item->length, buffer)
                               : reply_encode(head, buffer);
    }
    if (err == 0) {
        err = output_commit(&native->output);
    }
    if (!item->block) {
        return err;
    }
    if (err) {
        block_unref(item->block);
        return err;
    }
    return output_add_block(&native->output, item->block, item->offset, item->length);
}

static size_t native_peek(struct frontend *frontend, struct iovec *out, size_t max)
{
    struct native *native = native_of(frontend);
    struct session_item item;
    while (native->failure == 0 && native->output.bytes < OUTPUT_BYTES_LOW &&
           session_take(native->session, &item)) {
        native->failure = send_item(native, &item);
    }
    return output_peek(&native->output, out, max);
}

static void native_sent(struct frontend *frontend, size_t length)
{
    output_sent(&native_of(frontend)->output, length);
}

static bool native_is_patient(const struct frontend *frontend)
{
    const struct native *native = native_of_const(frontend);
    return native->failure == 0 && native->output.bytes == 0 && session_is_patient(native->session);
}

static bool native_is_idle(const struct frontend *frontend)
{
    const struct native *native = native_of_const(frontend);
    return native->output.bytes == 0 && (native->failure != 0 || session_is_idle(native->session));
}

// --- In ----------------------------------------------------------------------------------------

// Ends the connection with a last message; returns the error for net.
static int end_with(struct native *native, uint64_t id, enum wire_error code, int err,
                    const char *text)
{
    struct session_item item = {.head = {.kind = REPLY_ERROR, .id = id}};
    item.head.error.code = code;
    item.head.error.text = bytes_of_text(text);
    native->failure = send_item(native, &item);
    if (native->failure == 0) {
        native->failure = err;
    }
    return native->failure;
}

static void name_client(struct native *native, struct bytes name)
{
    struct reason text;
    reason_set(&text, 0, "%.*s%s%s", (int)name.length,
               name.length > 0 ? (const char *)name.data : "", name.length > 0 ? " " : "",
               native->peer_name ? native->peer_name : "");
    session_set_client(native->session, text.text);
}

static int take_hello(struct native *native, const struct request *request)
{
    const struct request_hello *hello = &request->hello;
    if (hello->version_max < PROTOCOL_VERSION_MIN || hello->version_min > PROTOCOL_VERSION_MAX ||
        hello->version_min > hello->version_max) {
        struct reason reason;
        reason_set(&reason, 0,
                   "this node speaks versions %d to %d of the protocol, the client %" PRIu32
                   " to %" PRIu32 ": upgrade the older side",
                   PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, hello->version_min,
                   hello->version_max);
        return end_with(native, request->id, WIRE_VERSION, ERR_VERSION, reason.text);
    }
    struct session_item item = {0};
    service_describe(native->service, &item.head);
    item.head.id = request->id;
    item.head.hello.version =
        hello->version_max < PROTOCOL_VERSION_MAX ? hello->version_max : PROTOCOL_VERSION_MAX;
    item.head.hello.features = hello->features & SERVER_FEATURES;
    session_set_features(native->session, hello->features & SERVER_FEATURES);
    name_client(native, hello->client_name);
    native->has_hello = true;
    native->failure = send_item(native, &item);
    return native->failure;
}

static int take_request(struct native *native, const struct request *request, struct instant now)
{
    if (!native->has_hello) {
        if (request->kind == REQUEST_HELLO) {
            return take_hello(native, request);
        }
        return end_with(native, request->id, WIRE_NO_HELLO, ERR_INVALID,
                        "the first message must be hello");
    }
    if (request->kind == REQUEST_HELLO) {
        return session_refuse(native->session, request->id, WIRE_INVALID_ARGUMENT,
                              "hello was said already: it is only for the first message");
    }
    return session_submit(native->session, request, now);
}

// 0, SESSION_SATURATED: not taken; negative: the connection ends.
static int take_message(struct native *native, struct bytes message, struct instant now)
{
    struct request request;
    struct reason reason;
    int outcome = request_decode(message, &request, &reason);
    if (outcome == 0) {
        return take_request(native, &request, now);
    }
    bool is_bearable =
        outcome == MESSAGE_UNKNOWN_KIND || outcome == ERR_LIMIT || outcome == ERR_UNSUPPORTED;
    if (outcome == MESSAGE_UNKNOWN_KIND && !native->has_hello) {
        return end_with(native, request.id, WIRE_NO_HELLO, ERR_INVALID,
                        "the first message must be hello");
    }
    if (is_bearable && native->has_hello) {
        enum wire_error code = outcome == MESSAGE_UNKNOWN_KIND ? WIRE_UNKNOWN_MESSAGE
                               : outcome == ERR_LIMIT          ? WIRE_INVALID_ARGUMENT
                                                               : WIRE_UNSUPPORTED;
        return session_refuse(native->session, request.id, code, reason.text);
    }
    if (outcome == ERR_MEMORY) {
        return outcome;
    }
    return end_with(native, request.id, WIRE_MALFORMED, ERR_INVALID, reason.text);
}

static int end_at_frame(struct native *native, int err, size_t length_max)
{
    struct reason reason;
    if (err == ERR_LIMIT) {
        reason_set(&reason, 0, "a frame is longer than the %zu bytes that are allowed%s",
                   length_max, native->has_hello ? "" : " before hello");
        return end_with(native, 0, WIRE_FRAME_TOO_LARGE, err, reason.text);
    }
    return end_with(native, 0, WIRE_MALFORMED, err, "a frame of no bytes is no message");
}

// Notes that a frame has begun and its rest has not come, or that there is none.
static void note_half(struct native *native, size_t length, struct instant now)
{
    if (length > 0 && !native->is_half) {
        native->half_since = now;
    }
    native->is_half = length > 0;
    native->half_length = length;
}

static int native_feed(struct frontend *frontend, struct bytes bytes, struct instant now,
                       size_t *taken_out, size_t *wanted_out)
{
    struct native *native = native_of(frontend);
    struct bytes rest = bytes;
    size_t wanted = 0;
    int outcome = 0;
    if (native->failure != 0) {
        return native->failure;
    }
    while (outcome == 0) {
        size_t length_max = native->has_hello ? FRAME_BYTES_MAX : FRAME_BYTES_MAX_BEFORE_HELLO;
        struct bytes behind = rest;
        struct bytes message;
        int framed = frame_next(&behind, length_max, &message, &wanted);
        if (framed == FRAME_INCOMPLETE) {
            break;
        }
        wanted = 0;
        outcome = framed < 0 ? end_at_frame(native, framed, length_max)
                             : take_message(native, message, now);
        if (outcome == 0) {
            native->is_half = false;
            rest = behind;
        }
    }
    if (outcome < 0) {
        native->failure = outcome;
        return outcome;
    }
    note_half(native, outcome == SESSION_SATURATED ? 0 : rest.length, now);
    *taken_out = bytes.length - rest.length;
    *wanted_out = wanted;
    return 0;
}

// --- Time --------------------------------------------------------------------------------------

static struct instant half_deadline(const struct native *native)
{
    int64_t extra_ms = (int64_t)(native->half_length / FRAME_BYTES_PER_SECOND) * 1000;
    return instant_add(native->half_since, duration_ms(FRAME_DEADLINE_MS + extra_ms));
}

static struct instant native_deadline(const struct frontend *frontend)
{
    const struct native *native = native_of_const(frontend);
    struct instant deadline = INSTANT_NEVER;
    if (!native->has_clock || native->failure != 0) {
        return (struct instant){.ns = INT64_MIN}; // a tick at once
    }
    if (!native->has_hello) {
        deadline = instant_add(native->opened, duration_ms(HELLO_DEADLINE_MS));
    }
    return native->is_half ? instant_earlier(deadline, half_deadline(native)) : deadline;
}

static int native_tick(struct frontend *frontend, struct instant now)
{
    struct native *native = native_of(frontend);
    if (!native->has_clock) {
        native->has_clock = true;
        native->opened = now;
    }
    if (native->failure != 0) {
        return native->failure;
    }
    if (!native->has_hello &&
        instant_reached(instant_add(native->opened, duration_ms(HELLO_DEADLINE_MS)), now)) {
        return end_with(native, 0, WIRE_NO_HELLO, ERR_TIMEOUT, "no hello came within 10 seconds");
    }
    if (native->is_half && instant_reached(half_deadline(native), now)) {
        return end_with(native, 0, WIRE_MALFORMED, ERR_TIMEOUT,
                        "the rest of a frame did not come within 30 seconds");
    }
    return 0;
}

const struct frontend_ops FRONTEND_NATIVE = {
    .name = "native",
    .open = native_open,
    .feed = native_feed,
    .peek = native_peek,
    .sent = native_sent,
    .is_patient = native_is_patient,
    .is_idle = native_is_idle,
    .deadline = native_deadline,
    .tick = native_tick,
    .close = native_close,
};
