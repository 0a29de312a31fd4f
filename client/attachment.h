// What a standing has when it is an attachment to a durable subscription.
#pragma once

#include "client/acks.h"
#include "client/definition.h"
#include "client/handed.h"
#include "proto/model/subscription_event.h"
#include "proto/model/uuid.h"

struct standing;

struct attachment {
    struct standing *standing;
    struct list_node sending; // among those that have something to send
    struct list_node telling; // or to hand out
    char name[SUBSCRIPTION_NAME_BYTES_MAX + 1];
    struct definition definition;
    bool creates;
    bool is_automatic;
    uint32_t in_flight;
    uint64_t credit_bytes;
    uint32_t heartbeat_ms;
    struct buffer after; // encoded
    uint32_t after_timeout_ms;

    struct handed handed;
    struct acks acks;
    uint32_t attempt;           // of the events that are being handed out
    struct event_id generation; // none: it was never attached
    bool is_attached;           // by the core that serves it
    bool is_stop_sent;
    struct instant retry_at;    // not asked for again before
    struct instant retry_until; // INSTANT_NEVER: nothing was refused since it was attached
    uint32_t retry_ms;

    bool is_attached_due; // to be handed out
    bool is_moved_due;
    struct weir_attached news;
    struct weir_mark moved;
    char coordinator[UUID_TEXT_LENGTH + 1];
    struct reason remark;
};

// ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED with a reason; ERR_MEMORY.
int attachment_new(const struct weir_attach_options *options, struct standing *standing,
                   struct attachment **attachment_out, struct reason *reason) MUST_CHECK;
void attachment_free(struct attachment *attachment);

// Asks a core for it. ERR_MEMORY, or the core's error.
int attachment_begin(struct attachment *attachment, struct core *core, uint64_t tag,
                     uint64_t *core_id_out) MUST_CHECK;

// A node serves it. `is_attached_due` from now on.
void attachment_attached(struct attachment *attachment, const struct reply *reply);

// It is handed out from elsewhere: what was not answered has to be said again, by this core or,
// when `is_left`, by the next one. What it had in flight comes again.
void attachment_moved(struct attachment *attachment, struct core *core, bool is_left);

// It is over: what has no answer will have none.
void attachment_give_up(struct attachment *attachment);

// Whether a refusal is not the end, since it was attached before; then it is asked for again at
// `retry_at`.
bool attachment_retries(struct attachment *attachment, enum wire_error code, struct instant now);
