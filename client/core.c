// Notices are pulled: a message stays among the incoming bytes until the program asks for it, so a
// program that does not ask receives no more (credit), and every view points there. Asking for the
// next notice finishes the one before: the cursor is raised, credit is counted.
//
// Answers to produce requests are handed out in the order of the requests, which the node need not
// keep (it refuses a bad one at once while others are being stored): one that comes early waits as
// the message it came in.

#include "client/core.h"

#include <assert.h>
#include <stdlib.h>

#include "client/client_subscription.h"
#include "client/incoming.h"
#include "client/pending.h"
#include "client/stash.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

enum { HELLO_TIMEOUT_MS_DEFAULT = 10000, SILENCE_MS_DEFAULT = 20000 };

// Positive outcome of the handlers: nothing to hand out.
enum { QUIET = 2 };

struct core {
    struct incoming incoming;
    struct buffer out;
    size_t out_sent;
    uint64_t id_last;
    struct pending produces; // in order
    struct pending others;
    struct client_subscription *subscriptions;
    bool is_ready;
    uint64_t data_bytes_max;

    struct events events; // of the notice handed out last
    bool has_events;
    struct client_subscription *delivering; // whose they are
    size_t delivering_bytes;
    struct buffer scratch;
    struct buffer early; // the message, handed out last, that had waited for its turn
    struct stash stash;  // what core_next_urgent has passed

    struct duration silence; // half of it
    struct instant hello_until;
    struct instant heard;
    struct instant pinged; // INSTANT_NEVER: no ping is out

    int err;
    bool is_closing; // err counts once nothing incoming is left
    struct reason reason;
};

static int request_add(struct core *core, struct pending *pending, struct request *request,
                       const struct pending_request *entry, struct bytes events)
{
    if (core->err != 0) {
        return core->err;
    }
    struct pending_request added = *entry;
    added.id = core->id_last + 1;
    added.kind = request->kind;
    request->id = added.id;
    size_t before = core->out.length;
    int err = buffer_reserve(&core->out, events.length);
    if (err == 0) {
        err = events.length > 0 ? request_encode_head(request, events.length, &core->out)
                                : request_encode(request, &core->out);
    }
    if (err == 0 && events.length > 0) {
        err = buffer_append(&core->out, events);
        err = err ? err : request_encode_tail(request, &core->out);
    }
    if (err == 0 && pending) {
        err = pending_add(pending, &added);
    }
    if (err != 0) {
        core->out.length = before;
        return err;
    }
    core->id_last = added.id;
    return 0;
}

int core_new(const struct core_config *config, struct instant now, struct core **core_out)
{
    struct core *core = calloc(1, sizeof *core);
    if (!core) {
        return ERR_MEMORY;
    }
    uint32_t hello_ms =
        config->hello_timeout_ms ? config->hello_timeout_ms : HELLO_TIMEOUT_MS_DEFAULT;
    uint32_t silence_ms = config->silence_ms ? config->silence_ms : SILENCE_MS_DEFAULT;
    core->hello_until = instant_add(now, duration_ms(hello_ms));
    core->silence = duration_ms((silence_ms + 1) / 2);
    core->heard = now;
    core->pinged = INSTANT_NEVER;
    core->data_bytes_max = EVENT_DATA_BYTES_DEFAULT;
    struct request hello = {
        .kind = REQUEST_HELLO,
        .hello = {.version_min = PROTOCOL_VERSION_MIN,
                  .version_max = PROTOCOL_VERSION_MAX,
                  .client_name = bytes_of_text(config->name ? config->name : "libweir"),
                  .features = FEATURE_LZ4 | FEATURE_CHUNKS},
    };
    int err =
        request_add(core, &core->others, &hello, &(struct pending_request){0}, (struct bytes){0});
    if (err != 0) {
        core_free(core);
        return err;
    }
    *core_out = core;
    return 0;
}

void core_free(struct core *core)
{
    if (!core) {
        return;
    }
    while (core->subscriptions) {
        struct client_subscription *subscription = core->subscriptions;
        core->subscriptions = subscription->next;
        client_subscription_free(subscription);
    }
    incoming_deinit(&core->incoming);
    stash_deinit(&core->stash);
    buffer_deinit(&core->out);
    buffer_deinit(&core->scratch);
    buffer_deinit(&core->early);
    pending_deinit(&core->produces);
    pending_deinit(&core->others);
    free(core);
}

int core_space(struct core *core, uint8_t **space_out, size_t *length_out)
{
    return incoming_space(&core->incoming, space_out, length_out);
}

void core_received(struct core *core, size_t length, struct instant now)
{
    incoming_add(&core->incoming, length);
    core->heard = now;
    core->pinged = INSTANT_NEVER;
}

int core_feed(struct core *core, struct bytes bytes, struct instant now)
{
    while (bytes.length > 0) {
        uint8_t *space;
        size_t length;
        int err = incoming_space(&core->incoming, &space, &length);
        if (err != 0) {
            return err;
        }
        length = bytes.length < length ? bytes.length : length;
        memcpy(space, bytes.data, length);
        core_received(core, length, now);
        bytes = bytes_of(bytes.data + length, bytes.length - length);
    }
    return 0;
}

void core_fail(struct core *core, int err, const char *text)
{
    assert(err < 0);
    if (core->err == 0) {
        core->err = reason_set(&core->reason, err, "%s", text);
        core->is_closing = true;
    }
}

struct bytes core_output(const struct core *core)
{
    return bytes_of(core->out.data + core->out_sent, core->out.length - core->out_sent);
}

void core_sent(struct core *core, size_t length)
{
    assert(length <= core->out.length - core->out_sent);
    core->out_sent += length;
    if (core->out_sent == core->out.length) {
        buffer_clear(&core->out);
        core->out_sent = 0;
    } else if (core->out_sent > core->out.length / 2) {
        buffer_consume(&core->out, core->out_sent);
        core->out_sent = 0;
    }
}

static bool awaits(const struct core *core)
{
    return core->produces.count > 0 || core->others.count > 0 || core->subscriptions;
}

struct instant core_deadline(const struct core *core)
{
    if (core->err != 0) {
        return INSTANT_NEVER;
    }
    if (!core->is_ready) {
        return core->hello_until;
    }
    if (!awaits(core)) {
        return INSTANT_NEVER;
    }
    bool is_pinged = core->pinged.ns != INSTANT_NEVER.ns;
    return instant_add(is_pinged ? core->pinged : core->heard, core->silence);
}

void core_tick(struct core *core, struct instant now)
{
    if (!instant_reached(core_deadline(core), now)) {
        return;
    }
    if (!core->is_ready) {
        core_fail(core, ERR_TIMEOUT, "the node did not answer hello in time");
        return;
    }
    if (core->pinged.ns != INSTANT_NEVER.ns) {
        core_fail(core, ERR_TIMEOUT, "nothing was heard of the node for too long");
        return;
    }
    struct request ping = {.kind = REQUEST_PING};
    struct pending_request own = {.is_own = true};
    int err = request_add(core, &core->others, &ping, &own, (struct bytes){0});
    if (err != 0) {
        core_fail(core, err, "no memory for a ping");
        return;
    }
    core->pinged = now;
}

const char *core_reason(const struct core *core)
{
    return core->reason.text[0] ? core->reason.text : err_text(core->err);
}

uint64_t core_data_bytes_max(const struct core *core)
{
    return core->data_bytes_max;
}

size_t core_pending(const struct core *core)
{
    return (size_t)core->produces.count + core->others.count;
}

int refusal_err(uint32_t wire_error)
{
    switch ((enum wire_error)wire_error) {
    case WIRE_NOT_FOUND:
    case WIRE_NOT_IN_FLIGHT:
        return ERR_NOT_FOUND;
    case WIRE_TIMEOUT:
        return ERR_TIMEOUT;
    case WIRE_DISK_FULL:
        return ERR_FULL;
    case WIRE_UNKNOWN_OUTCOME:
        return ERR_UNKNOWN;
    case WIRE_CORRUPT:
        return ERR_CORRUPT;
    case WIRE_SHUTTING_DOWN:
        return ERR_CLOSED;
    case WIRE_BUSY:
        return ERR_BUSY;
    case WIRE_UNSUPPORTED:
    case WIRE_UNKNOWN_MESSAGE:
        return ERR_UNSUPPORTED;
    case WIRE_VERSION:
        return ERR_VERSION;
    case WIRE_TOO_LARGE:
    case WIRE_FRAME_TOO_LARGE:
        return ERR_LIMIT;
    case WIRE_INTERNAL:
        return ERR_IO;
    case WIRE_NOT_MEMBER:
    case WIRE_REFUSED:
    case WIRE_EXISTS:
        return ERR_DENIED;
    case WIRE_MALFORMED:
    case WIRE_NO_HELLO:
    case WIRE_DUPLICATE_ID:
    case WIRE_INVALID_NAMESPACE:
    case WIRE_INVALID_GLOB:
    case WIRE_INVALID_ID:
    case WIRE_INVALID_CURSOR:
    case WIRE_INVALID_EVENT:
    case WIRE_INVALID_ARGUMENT:
        return ERR_INVALID;
    }
    return ERR_INVALID;
}

int core_produce(struct core *core, const struct batch *batch,
                 const struct produce_options *options, uint64_t tag)
{
    assert(batch->count > 0);
    struct request request = {
        .kind = REQUEST_PRODUCE,
        .produce = {.events_count = batch->count, .events = buffer_bytes(&batch->events)},
    };
    if (options) {
        request.produce.after = options->after;
        request.produce.replicas = options->replicas;
        request.produce.replicas_timeout_ms = options->replicas_timeout_ms;
    }
    struct pending_request entry = {.tag = tag, .count = batch->count};
    return request_add(core, &core->produces, &request, &entry, buffer_bytes(&batch->events));
}

int core_request(struct core *core, struct request *request, uint64_t tag)
{
    struct pending_request entry = {.tag = tag};
    return request_add(core, &core->others, request, &entry, (struct bytes){0});
}

int core_subscribe(struct core *core, struct request *request, uint64_t tag)
{
    if (request->subscribe.credit_bytes == 0) {
        request->subscribe.credit_bytes = SUBSCRIPTION_CREDIT_BYTES_DEFAULT;
    }
    struct client_subscription *subscription;
    int err = client_subscription_new(&request->subscribe, core->id_last + 1, tag, &subscription);
    if (err != 0) {
        return err;
    }
    err = request_add(core, NULL, request, &(struct pending_request){0}, (struct bytes){0});
    if (err != 0) {
        client_subscription_free(subscription);
        return err;
    }
    subscription->next = core->subscriptions;
    core->subscriptions = subscription;
    return 0;
}

static struct client_subscription *subscription_find(const struct core *core, uint64_t id)
{
    struct client_subscription *subscription = core->subscriptions;
    while (subscription && subscription->id != id) {
        subscription = subscription->next;
    }
    return subscription;
}

static int append_plain(struct core *core, const struct request *request)
{
    return core->err != 0 ? core->err : request_encode(request, &core->out);
}

int core_stop(struct core *core, uint64_t subscription_id)
{
    struct client_subscription *subscription = subscription_find(core, subscription_id);
    if (!subscription || subscription->is_ended) {
        return 0;
    }
    struct request request = {.kind = REQUEST_STOP, .id = subscription_id};
    return append_plain(core, &request);
}

const struct version_vector *core_cursor(struct core *core, uint64_t subscription_id)
{
    struct client_subscription *subscription = subscription_find(core, subscription_id);
    if (!subscription || !subscription->has_cursor) {
        return NULL;
    }
    if (core->has_events && core->delivering == subscription && events_settle(&core->events) != 0) {
        core->events.err = ERR_MEMORY;
        return NULL;
    }
    return &subscription->cursor;
}

static int protocol_error(struct core *core, const char *text)
{
    return reason_set(&core->reason, ERR_INVALID, "the node does not speak this protocol: %s",
                      text);
}

static void drop_ended(struct core *core)
{
    struct client_subscription **link = &core->subscriptions;
    while (*link) {
        struct client_subscription *subscription = *link;
        if (subscription->is_ended) {
            *link = subscription->next;
            client_subscription_free(subscription);
        } else {
            link = &subscription->next;
        }
    }
}

// Finishes the notice that was handed out last.
static int finish(struct core *core)
{
    if (core->early.data) {
        buffer_deinit(&core->early);
    }
    incoming_unpin(&core->incoming);
    stash_release(&core->stash);
    if (core->has_events) {
        core->has_events = false;
        if (events_settle(&core->events) != 0) {
            core->events.err = ERR_MEMORY;
        }
        if (core->events.err != 0) {
            return reason_set(&core->reason, core->events.err, "received events: %s",
                              err_text(core->events.err));
        }
    }
    struct client_subscription *subscription = core->delivering;
    core->delivering = NULL;
    if (subscription) {
        uint64_t grant = client_subscription_consumed(subscription, core->delivering_bytes);
        struct request credit = {
            .kind = REQUEST_CREDIT, .id = subscription->id, .credit = {.bytes = grant}};
        if (grant > 0 && core->err == 0) {
            int err = append_plain(core, &credit);
            if (err != 0) {
                return err;
            }
        }
    }
    drop_ended(core);
    return 0;
}

static void hand_out_events(struct core *core, struct client_subscription *subscription,
                            struct notice *notice)
{
    events_init(&core->events, notice->reply.events, notice->reply.kind == DELIVERY_CHUNKS,
                &core->scratch, subscription ? &subscription->cursor : NULL);
    incoming_pin(&core->incoming);
    core->has_events = true;
    core->delivering = subscription;
    core->delivering_bytes = notice->reply.events.length;
    notice->events = &core->events;
}

// A message of an open subscription.
static int on_subscription(struct core *core, struct client_subscription *subscription,
                           struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    notice->tag = subscription->tag;
    // One that was stopped before it began ends without having begun, and without a place.
    bool is_over = reply->kind == REPLY_ERROR || reply->kind == DELIVERY_END;
    if (subscription->is_subscribed == (reply->kind == REPLY_SUBSCRIBED) && !is_over) {
        return protocol_error(core, "a subscription that begins twice, or not at all");
    }
    bool has_place = reply->kind == REPLY_SUBSCRIBED ||
                     (subscription->is_subscribed && reply->kind != REPLY_ERROR);
    int err = has_place ? client_subscription_merge(subscription, reply->cursor) : 0;
    if (err != 0) {
        return err == ERR_MEMORY ? err : protocol_error(core, "a cursor that is none");
    }
    switch ((enum reply_kind)reply->kind) {
    case REPLY_SUBSCRIBED:
        subscription->is_subscribed = true;
        notice->kind = NOTICE_SUBSCRIBED;
        return 0;
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        notice->kind = NOTICE_EVENTS;
        hand_out_events(core, subscription, notice);
        return 0;
    case DELIVERY_MARK:
        notice->kind = NOTICE_MARK;
        return 0;
    case DELIVERY_END:
        notice->kind = NOTICE_END;
        subscription->is_ended = true;
        return 0;
    case REPLY_ERROR:
        notice->kind = NOTICE_REFUSED;
        subscription->is_ended = true;
        return 0;
    case REPLY_HELLO:
    case REPLY_PONG:
    case REPLY_PRODUCED:
    case REPLY_EVENTS:
    case REPLY_NAMESPACES:
    case REPLY_STATUS:
    case REPLY_CLUSTER:
    case REPLY_ATTACHED: // no request of this library is answered so
    case REPLY_ACKED:
    case REPLY_SUBSCRIPTIONS:
    case DELIVERY_ASSIGNED:
        break;
    }
    return protocol_error(core, "a reply that does not belong to a subscription");
}

static uint32_t expected_reply(enum request_kind kind)
{
    switch (kind) {
    case REQUEST_HELLO:
        return REPLY_HELLO;
    case REQUEST_PING:
        return REPLY_PONG;
    case REQUEST_PRODUCE:
        return REPLY_PRODUCED;
    case REQUEST_GET:
    case REQUEST_LAST:
    case REQUEST_NEIGHBOR:
        return REPLY_EVENTS;
    case REQUEST_NAMESPACES:
        return REPLY_NAMESPACES;
    case REQUEST_STATUS:
        return REPLY_STATUS;
    case REQUEST_CLUSTER:
        return REPLY_CLUSTER;
    case REQUEST_ATTACH:
        return REPLY_ATTACHED;
    case REQUEST_ACK:
    case REQUEST_NACK:
        return REPLY_ACKED;
    case REQUEST_SUBSCRIPTIONS:
        return REPLY_SUBSCRIPTIONS;
    case REQUEST_SUBSCRIBE:
    case REQUEST_CREDIT:
    case REQUEST_STOP:
        break;
    }
    return 0;
}

static int on_hello(struct core *core, struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    if (reply->kind == REPLY_ERROR) {
        return reason_set(&core->reason, refusal_err(reply->error.code),
                          "the node refuses the connection: %.*s", (int)reply->error.text.length,
                          (const char *)reply->error.text.data);
    }
    if (reply->hello.version < PROTOCOL_VERSION_MIN ||
        reply->hello.version > PROTOCOL_VERSION_MAX) {
        return reason_set(&core->reason, ERR_VERSION,
                          "the node speaks version %u of the protocol, this program %d to %d",
                          reply->hello.version, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX);
    }
    core->data_bytes_max = reply->hello.data_bytes_max < EVENT_DATA_BYTES_CEILING
                               ? reply->hello.data_bytes_max
                               : EVENT_DATA_BYTES_CEILING;
    core->is_ready = true;
    notice->kind = NOTICE_READY;
    return 0;
}

static int on_answer(struct core *core, struct pending_request *request, struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    if (reply->kind != REPLY_ERROR && reply->kind != expected_reply(request->kind)) {
        return protocol_error(core, "a reply of another kind than its request");
    }
    notice->tag = request->tag;
    bool is_own = request->is_own;
    enum request_kind kind = request->kind;
    pending_answer(&core->others, request);
    if (kind == REQUEST_HELLO) {
        return on_hello(core, notice);
    }
    if (is_own) {
        return QUIET;
    }
    if (reply->kind == REPLY_ERROR) {
        notice->kind = NOTICE_REFUSED;
    } else if (reply->kind == REPLY_EVENTS) {
        notice->kind = NOTICE_FOUND;
        hand_out_events(core, NULL, notice);
    } else {
        notice->kind = NOTICE_ANSWER;
    }
    return 0;
}

// The oldest produce is answered by notice->reply.
static int on_produced(struct core *core, struct notice *notice)
{
    struct pending_request *request = pending_first(&core->produces);
    const struct reply *reply = &notice->reply;
    if (reply->kind == REPLY_PRODUCED &&
        (reply->produced.count != request->count || reply->produced.first.actor == 0 ||
         reply->produced.first.counter == 0 ||
         reply->produced.first.counter > COUNTER_MAX - request->count)) {
        return protocol_error(core, "ids that do not fit what was produced");
    }
    notice->kind = reply->kind == REPLY_ERROR ? NOTICE_REFUSED : NOTICE_PRODUCED;
    notice->id = request->id;
    notice->tag = request->tag;
    pending_drop_first(&core->produces);
    return 0;
}

static int on_produce_reply(struct core *core, struct pending_request *request,
                            struct bytes message, struct notice *notice)
{
    if (notice->reply.kind != REPLY_PRODUCED && notice->reply.kind != REPLY_ERROR) {
        return protocol_error(core, "a reply of another kind than its request");
    }
    if (request == pending_first(&core->produces)) {
        return on_produced(core, notice);
    }
    request->is_answered = true;
    int err = buffer_append(&request->message, message);
    return err != 0 ? err : QUIET;
}

static int on_message(struct core *core, struct bytes message, struct notice *notice)
{
    int outcome = reply_decode(message, &notice->reply, &core->reason);
    if (outcome == MESSAGE_UNKNOWN_KIND) {
        return QUIET; // of a later version
    }
    if (outcome != 0) {
        return outcome;
    }
    const struct reply *reply = &notice->reply;
    notice->id = reply->id;
    if (!core->is_ready && reply->kind != REPLY_HELLO && reply->kind != REPLY_ERROR) {
        return protocol_error(core, "its first message is not hello");
    }
    struct pending_request *request = pending_find(&core->produces, reply->id);
    if (request) {
        return on_produce_reply(core, request, message, notice);
    }
    request = pending_find(&core->others, reply->id);
    if (request) {
        return on_answer(core, request, notice);
    }
    struct client_subscription *subscription = subscription_find(core, reply->id);
    if (subscription && !subscription->is_ended) {
        return on_subscription(core, subscription, notice);
    }
    if (reply->kind == REPLY_ERROR && reply->id == 0) {
        return reason_set(&core->reason, refusal_err(reply->error.code), "the node says: %.*s",
                          (int)reply->error.text.length, (const char *)reply->error.text.data);
    }
    if (reply->kind == REPLY_ERROR && reply->id <= core->id_last) {
        return QUIET; // a grant or a stop that crossed the subscription's end
    }
    return protocol_error(core, "a reply to nothing");
}

// What was kept, then what is received. CORE_NOTHING, or that it is no frame.
static int next_message(struct core *core, struct bytes *message_out)
{
    if (stash_take(&core->stash, message_out)) {
        return 0;
    }
    int outcome = incoming_next(&core->incoming, message_out);
    if (outcome == FRAME_INCOMPLETE) {
        return CORE_NOTHING;
    }
    return outcome == 0 ? 0 : protocol_error(core, "a frame that is empty or too long");
}

// The oldest produce, whose answer came before its turn.
static int take_early(struct core *core, struct notice *notice)
{
    struct pending_request *first = pending_first(&core->produces);
    buffer_deinit(&core->early);
    core->early = first->message;
    first->message = (struct buffer){0};
    int err = reply_decode(buffer_bytes(&core->early), &notice->reply, &core->reason);
    return err != 0 ? err : on_produced(core, notice);
}

static bool has_early(struct core *core)
{
    struct pending_request *first = pending_first(&core->produces);
    return first && first->is_answered;
}

static int take(struct core *core, struct notice *notice)
{
    if (has_early(core)) {
        return take_early(core, notice);
    }
    for (;;) {
        struct bytes message;
        int outcome = next_message(core, &message);
        if (outcome != 0) {
            return outcome;
        }
        outcome = on_message(core, message, notice);
        if (outcome != QUIET) {
            return outcome;
        }
    }
}

int core_next(struct core *core, struct notice *notice_out)
{
    if (core->err != 0 && !core->is_closing) {
        return core->err;
    }
    int outcome = finish(core);
    if (outcome == 0) {
        *notice_out = (struct notice){0};
        outcome = take(core, notice_out);
    }
    if (outcome == CORE_NOTHING && core->is_closing) {
        core->is_closing = false;
        return core->err;
    }
    if (outcome < 0) {
        core->err = outcome;
        core->is_closing = false;
        core->has_events = false;
        core->delivering = NULL;
    }
    return outcome;
}

// A node that sends more than it was granted would fill the memory of a program that waits.
static size_t stash_bytes_max(const struct core *core)
{
    size_t bytes = FRAME_BYTES_MAX + MIB;
    for (const struct client_subscription *each = core->subscriptions; each; each = each->next) {
        bytes += each->window_bytes;
    }
    return bytes;
}

static int take_urgent(struct core *core, struct notice *notice)
{
    if (has_early(core)) {
        return take_early(core, notice);
    }
    for (;;) {
        struct bytes message;
        int outcome = incoming_next(&core->incoming, &message);
        if (outcome == FRAME_INCOMPLETE) {
            return CORE_NOTHING;
        }
        if (outcome != 0) {
            return protocol_error(core, "a frame that is empty or too long");
        }
        struct reply reply;
        struct reason ignored;
        outcome = reply_decode(message, &reply, &ignored);
        bool is_urgent = outcome == 0 && (!core->is_ready || reply.kind == REPLY_HELLO ||
                                          pending_find(&core->produces, reply.id));
        if (is_urgent) {
            outcome = on_message(core, message, notice);
        } else if (core->stash.bytes + message.length > stash_bytes_max(core)) {
            return protocol_error(core, "more than was granted");
        } else {
            outcome = stash_add(&core->stash, message);
            outcome = outcome == 0 ? QUIET : outcome;
        }
        if (outcome != QUIET) {
            return outcome;
        }
    }
}

int core_next_urgent(struct core *core, struct notice *notice_out)
{
    if (core->err != 0 && !core->is_closing) {
        return CORE_NOTHING;
    }
    *notice_out = (struct notice){0};
    int outcome = take_urgent(core, notice_out);
    if (outcome < 0) {
        incoming_clear(&core->incoming);
        core->err = outcome;
        core->is_closing = true;
        return CORE_NOTHING;
    }
    return outcome;
}

int core_err(const struct core *core)
{
    return core->err;
}

bool core_has_rest(const struct core *core)
{
    return core->has_events || core->stash.first;
}
