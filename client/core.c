// The life of a core: what was received, what is to be sent, what is awaited. What becomes of what
// was received is in core_next.c.

#include <assert.h>
#include <stdlib.h>

#include "client/core_state.h"
#include "proto/base/limits.h"
#include "proto/wire/message.h"

enum { HELLO_TIMEOUT_MS_DEFAULT = 10000, SILENCE_MS_DEFAULT = 20000 };

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

static int add_subscription(struct core *core, struct request *request,
                            struct client_subscription *subscription)
{
    int err = request_add(core, NULL, request, &(struct pending_request){0}, (struct bytes){0});
    if (err != 0) {
        client_subscription_free(subscription);
        return err;
    }
    subscription->next = core->subscriptions;
    core->subscriptions = subscription;
    return 0;
}

int core_subscribe(struct core *core, struct request *request, uint64_t tag)
{
    if (request->subscribe.credit_bytes == 0) {
        request->subscribe.credit_bytes = SUBSCRIPTION_CREDIT_BYTES_DEFAULT;
    }
    struct client_subscription *subscription;
    int err = client_subscription_new(&request->subscribe, core->id_last + 1, tag, &subscription);
    return err != 0 ? err : add_subscription(core, request, subscription);
}

int core_attach(struct core *core, struct request *request, uint64_t tag)
{
    if (request->attach.credit_bytes == 0) {
        request->attach.credit_bytes = SUBSCRIPTION_CREDIT_BYTES_DEFAULT;
    }
    struct request_subscribe like = {.credit_bytes = request->attach.credit_bytes};
    struct client_subscription *subscription;
    int err = client_subscription_new(&like, core->id_last + 1, tag, &subscription);
    if (err != 0) {
        return err;
    }
    subscription->is_attachment = true;
    return add_subscription(core, request, subscription);
}

void core_forget(struct core *core, uint64_t request_id)
{
    struct pending_request *request = pending_find(&core->others, request_id);
    if (request) {
        pending_answer(&core->others, request);
    }
}

struct client_subscription *core_subscription(const struct core *core, uint64_t id)
{
    struct client_subscription *subscription = core->subscriptions;
    while (subscription && subscription->id != id) {
        subscription = subscription->next;
    }
    return subscription;
}

int core_append(struct core *core, const struct request *request)
{
    return core->err != 0 ? core->err : request_encode(request, &core->out);
}

int core_stop(struct core *core, uint64_t subscription_id)
{
    struct client_subscription *subscription = core_subscription(core, subscription_id);
    if (!subscription || subscription->is_ended) {
        return 0;
    }
    struct request request = {.kind = REQUEST_STOP, .id = subscription_id};
    return core_append(core, &request);
}

const struct version_vector *core_cursor(struct core *core, uint64_t subscription_id)
{
    struct client_subscription *subscription = core_subscription(core, subscription_id);
    if (!subscription || !subscription->has_cursor) {
        return NULL;
    }
    if (core->has_events && core->delivering == subscription && events_settle(&core->events) != 0) {
        core->events.err = ERR_MEMORY;
        return NULL;
    }
    return &subscription->cursor;
}

int core_err(const struct core *core)
{
    return core->err;
}

bool core_has_rest(const struct core *core)
{
    return core->has_events || core->stash.first;
}
