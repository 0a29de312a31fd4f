// An attachment is resumed by its name alone: its position is on the servers. What the program has
// acknowledged is kept until a node has answered, and said again to the next one.

#include "client/attachment.h"

#include <stdlib.h>

#include "client/size.h"
#include "client/standing.h"
#include "proto/base/limits.h"

enum {
    RETRY_FOR_MS = 10000,
    RETRY_FIRST_MS = 50,
    RETRY_LAST_MS = 1000,
    ACK_BATCHES_IN_FLIGHT = 8,    // so that the node hands out anew long before nothing is left
    ACK_LINGER_US_DEFAULT = 5000, // else each event costs a request, an answer and their packets
};

static uint32_t batch_max_of(const struct weir_attach_options *options, uint32_t in_flight)
{
    uint32_t part = in_flight / ACK_BATCHES_IN_FLIGHT;
    return options->ack_batch_max ? options->ack_batch_max : part > 0 ? part : 1;
}

static struct duration linger_of(const struct weir_attach_options *options)
{
    uint32_t us = options->ack_linger_us ? options->ack_linger_us : ACK_LINGER_US_DEFAULT;
    return (struct duration){.ns = us > 1 ? (int64_t)us * 1000 : 0};
}

static int check(const struct weir_attach_options *options, struct reason *reason)
{
    if (!options->name) {
        return reason_set(reason, ERR_INVALID, "the durable subscription needs a name");
    }
    if (!subscription_name_is_valid(bytes_of_text(options->name), reason)) {
        return ERR_INVALID;
    }
    if (options->ack_mode > WEIR_ACK_AUTOMATIC) {
        return reason_set(reason, ERR_UNSUPPORTED,
                          "a way to acknowledge that libweir %s does not know", WEIR_VERSION);
    }
    if (options->in_flight > GROUP_IN_FLIGHT_MAX) {
        return reason_set(reason, ERR_LIMIT, "more than %d events in flight", GROUP_IN_FLIGHT_MAX);
    }
    if (options->credit_bytes > SUBSCRIPTION_CREDIT_BYTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "credit of more than %llu bytes",
                          (unsigned long long)SUBSCRIPTION_CREDIT_BYTES_MAX);
    }
    return 0;
}

static int fill(struct attachment *attachment, const struct weir_attach_options *options,
                struct reason *reason)
{
    int err = check(options, reason);
    if (err != 0) {
        return err;
    }
    memcpy(attachment->name, options->name, strlen(options->name) + 1);
    attachment->creates = options->definition != NULL;
    attachment->is_automatic = options->ack_mode == WEIR_ACK_AUTOMATIC;
    attachment->in_flight = options->in_flight ? options->in_flight : ATTACH_IN_FLIGHT_DEFAULT;
    attachment->credit_bytes = options->credit_bytes;
    attachment->heartbeat_ms = options->heartbeat_ms;
    attachment->after_timeout_ms = options->after_timeout_ms;
    acks_init(&attachment->acks, batch_max_of(options, attachment->in_flight), linger_of(options),
              options->has_ack_results);
    err = definition_read(options->definition, &attachment->definition, reason);
    if (err == 0 && options->after) {
        err = standing_encode_cursor(options->after, &attachment->after, reason);
    }
    return err ? err : handed_init(&attachment->handed, 2 * attachment->in_flight);
}

int attachment_new(const struct weir_attach_options *options, struct standing *standing,
                   struct attachment **attachment_out, struct reason *reason)
{
    struct weir_attach_options read = {0};
    int err = size_read(options, sizeof read, &read, sizeof read, reason);
    if (err != 0) {
        return err;
    }
    struct attachment *attachment = calloc(1, sizeof *attachment);
    if (!attachment) {
        return ERR_MEMORY;
    }
    attachment->standing = standing;
    list_init(&attachment->sending);
    list_init(&attachment->telling);
    attachment->retry_at.ns = INT64_MIN;
    attachment->retry_until = INSTANT_NEVER;
    acks_init(&attachment->acks, 1, (struct duration){0}, false);
    err = fill(attachment, &read, reason);
    if (err != 0) {
        attachment_free(attachment);
        return err;
    }
    *attachment_out = attachment;
    return 0;
}

void attachment_free(struct attachment *attachment)
{
    if (attachment) {
        list_remove(&attachment->sending);
        list_remove(&attachment->telling);
        definition_deinit(&attachment->definition);
        buffer_deinit(&attachment->after);
        handed_deinit(&attachment->handed);
        acks_deinit(&attachment->acks);
        free(attachment);
    }
}

int attachment_begin(struct attachment *attachment, struct core *core, uint64_t tag,
                     uint64_t *core_id_out)
{
    bool is_first = event_id_is_none(attachment->generation);
    struct request request = {
        .kind = REQUEST_ATTACH,
        .attach = {.name = bytes_of_text(attachment->name),
                   .in_flight = attachment->in_flight,
                   .credit_bytes = attachment->credit_bytes,
                   .heartbeat_ms = attachment->heartbeat_ms,
                   .create = attachment->creates && is_first,
                   .start = attachment->definition.start,
                   .definition = attachment->definition.wanted},
    };
    if (is_first) { // a later node that does not hold it yet knows no subscription either
        request.attach.after.cursor = buffer_bytes(&attachment->after);
        request.attach.after.timeout_ms = attachment->after_timeout_ms;
    }
    int err = core_attach(core, &request, tag);
    if (err == 0) {
        *core_id_out = request.id;
        attachment->is_attached = false;
        attachment->is_stop_sent = false;
    }
    return err;
}

void attachment_attached(struct attachment *attachment, const struct reply *reply)
{
    const struct reply_attached *attached = &reply->attached;
    bool is_other = !event_id_is_none(attachment->generation) &&
                    event_id_compare(attachment->generation, attached->generation) != 0;
    if (is_other) { // what was said is not about this one
        acks_give_up(&attachment->acks, ERR_NOT_FOUND,
                     "the durable subscription was reset or created anew meanwhile: "
                     "its events come again");
        handed_clear(&attachment->handed);
    }
    struct uuid node;
    memcpy(node.bytes, attached->coordinator.data, sizeof node.bytes);
    uuid_format(&node, attachment->coordinator);
    reason_clear(&attachment->remark);
    if (attached->remark.length > 0) {
        reason_set(&attachment->remark, 0, "%.*s", (int)attached->remark.length,
                   (const char *)attached->remark.data);
    }
    attachment->generation = attached->generation;
    attachment->is_attached = true;
    attachment->retry_until = INSTANT_NEVER;
    attachment->retry_ms = 0;
    attachment->is_attached_due = true;
    attachment->is_moved_due = false; // this says more
    attachment->news = (struct weir_attached){
        .is_created = attached->is_created,
        .remark = attachment->remark.text[0] ? attachment->remark.text : NULL,
        .generation = {.counter = attached->generation.counter,
                       .actor = attached->generation.actor},
        .coordinator = attachment->coordinator,
    };
}

void attachment_moved(struct attachment *attachment, struct core *core, bool is_left)
{
    handed_age(&attachment->handed);
    acks_lost(&attachment->acks, core);
    attachment->is_attached = attachment->is_attached && !is_left;
}

void attachment_give_up(struct attachment *attachment)
{
    acks_end(&attachment->acks);
}

bool attachment_retries(struct attachment *attachment, enum wire_error code, struct instant now)
{
    if (event_id_is_none(attachment->generation) || (code != WIRE_NOT_FOUND && code != WIRE_BUSY)) {
        return false;
    }
    if (attachment->retry_until.ns == INSTANT_NEVER.ns) {
        attachment->retry_until = instant_add(now, duration_ms(RETRY_FOR_MS));
    } else if (instant_reached(attachment->retry_until, now)) {
        return false;
    }
    attachment->retry_ms = attachment->retry_ms ? 2 * attachment->retry_ms : RETRY_FIRST_MS;
    if (attachment->retry_ms > RETRY_LAST_MS) {
        attachment->retry_ms = RETRY_LAST_MS;
    }
    attachment->retry_at = instant_add(now, duration_ms(attachment->retry_ms));
    return true;
}
