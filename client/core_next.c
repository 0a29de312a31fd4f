// Notices are pulled: a message stays among the incoming bytes until the program asks for it, so a
// program that does not ask receives no more (credit), and every view points there. Asking for the
// next notice finishes the one before: the cursor is raised, credit is counted.
//
// Answers to produce requests are handed out in the order of the requests, which the node need not
// keep (it refuses a bad one at once while others are being stored): one that comes early waits as
// the message it came in.

#include <assert.h>

#include "client/core_state.h"
#include "proto/base/limits.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

// Positive outcome of the handlers: nothing to hand out.
enum { QUIET = 2 };

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
            int err = core_append(core, &credit);
            if (err != 0) {
                return err;
            }
        }
    }
    drop_ended(core);
    return 0;
}

static bool is_assigned(const struct reply *reply)
{
    return reply->kind == DELIVERY_ASSIGNED || reply->kind == DELIVERY_ASSIGNED_CHUNKS;
}

static void hand_out_events(struct core *core, struct client_subscription *subscription,
                            struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    bool is_chunks = reply->kind == DELIVERY_CHUNKS || reply->kind == DELIVERY_ASSIGNED_CHUNKS;
    struct bytes events = is_assigned(reply) ? reply->assigned.slices : reply->events;
    events_init(&core->events, events, is_chunks, &core->scratch,
                subscription->is_attachment ? NULL : &subscription->cursor);
    incoming_pin(&core->incoming);
    core->has_events = true;
    core->delivering = subscription;
    core->delivering_bytes = events.length;
    notice->kind = NOTICE_EVENTS;
    notice->events = &core->events;
}

// Whether it belongs to an attachment, or to a subscription, and when.
static bool fits(const struct client_subscription *subscription, uint32_t kind)
{
    switch ((enum reply_kind)kind) {
    case REPLY_SUBSCRIBED:
        return !subscription->is_subscribed && !subscription->is_attachment;
    case REPLY_ATTACHED:
        return !subscription->is_subscribed && subscription->is_attachment;
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        return subscription->is_subscribed && !subscription->is_attachment;
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        return subscription->is_subscribed && subscription->is_attachment;
    case DELIVERY_MARK:
        return subscription->is_subscribed;
    case DELIVERY_END: // one that was stopped before it began ends without having begun
    case REPLY_ERROR:
        return true;
    case REPLY_HELLO:
    case REPLY_PONG:
    case REPLY_PRODUCED:
    case REPLY_EVENTS:
    case REPLY_NAMESPACES:
    case REPLY_STATUS:
    case REPLY_CLUSTER:
    case REPLY_ACKED:
    case REPLY_SUBSCRIPTIONS:
        break;
    }
    return false;
}

// A message of an open subscription.
static int on_subscription(struct core *core, struct client_subscription *subscription,
                           struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    notice->tag = subscription->tag;
    if (!fits(subscription, reply->kind)) {
        return protocol_error(core, "a reply that does not belong to a subscription, or not now");
    }
    bool has_place = !subscription->is_attachment &&
                     (reply->kind == REPLY_SUBSCRIBED ||
                      (subscription->is_subscribed && reply->kind != REPLY_ERROR));
    int err = has_place ? client_subscription_merge(subscription, reply->cursor) : 0;
    if (err != 0) {
        return err == ERR_MEMORY ? err : protocol_error(core, "a cursor that is none");
    }
    if (reply->kind == REPLY_SUBSCRIBED || reply->kind == REPLY_ATTACHED) {
        subscription->is_subscribed = true;
        notice->kind = subscription->is_attachment ? NOTICE_ATTACHED : NOTICE_SUBSCRIBED;
    } else if (reply->kind == DELIVERY_MARK) {
        notice->kind = NOTICE_MARK;
    } else if (reply->kind == DELIVERY_END) {
        notice->kind = NOTICE_END;
        subscription->is_ended = true;
    } else if (reply->kind == REPLY_ERROR) {
        notice->kind = NOTICE_REFUSED;
        notice->request = subscription->is_attachment ? REQUEST_ATTACH : REQUEST_SUBSCRIBE;
        subscription->is_ended = true;
    } else {
        hand_out_events(core, subscription, notice);
    }
    return 0;
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
    notice->request = request->kind;
    pending_answer(&core->others, request);
    if (notice->request == REQUEST_HELLO) {
        return on_hello(core, notice);
    }
    if (is_own) {
        return QUIET;
    }
    notice->kind = reply->kind == REPLY_ERROR ? NOTICE_REFUSED : NOTICE_ANSWER;
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
    notice->request = REQUEST_PRODUCE;
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

// About a grant or a stop that crossed the subscription's end; an answer that was forgotten; what
// an attachment delivered before its end, which was urgent.
static bool is_late(const struct core *core, const struct reply *reply)
{
    return reply->id <= core->id_last &&
           (reply->kind == REPLY_ERROR || reply->kind == REPLY_ACKED ||
            reply->kind == DELIVERY_MARK || is_assigned(reply));
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
    notice->message = message;
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
    struct client_subscription *subscription = core_subscription(core, reply->id);
    if (subscription && !subscription->is_ended) {
        return on_subscription(core, subscription, notice);
    }
    if (reply->kind == REPLY_ERROR && reply->id == 0) {
        return reason_set(&core->reason, refusal_err(reply->error.code), "the node says: %.*s",
                          (int)reply->error.text.length, (const char *)reply->error.text.data);
    }
    if (is_late(core, reply)) {
        return QUIET;
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

static bool is_urgent(struct core *core, const struct reply *reply)
{
    if (!core->is_ready || reply->kind == REPLY_HELLO || pending_find(&core->produces, reply->id) ||
        pending_find(&core->others, reply->id)) {
        return true;
    }
    const struct client_subscription *subscription = core_subscription(core, reply->id);
    bool is_delivery =
        is_assigned(reply) || (reply->kind == DELIVERY_MARK && reply->mark.kind != MARK_MOVED);
    return subscription && subscription->is_attachment && !is_delivery;
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
        if (outcome == 0 && is_urgent(core, &reply)) {
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
