// Every node folds these events into what a subscription is, and all must come to the same: so the
// layout is fixed, and what is refused here is refused everywhere.

#include "proto/model/subscription_event.h"

#include <assert.h>

#include "proto/model/namespace.h"

enum {
    LAYOUT_VERSION = 1,
    HEAD_LENGTH = 2, // version, kind
    START_HEAD_LENGTH = 4,
};

// --- To bytes ----------------------------------------------------------------------------------

static int append_made(const struct subscription_event *event, struct buffer *out)
{
    int err = subscription_definition_encode(&event->definition, out);
    uint8_t length[START_HEAD_LENGTH];
    store_be32(length, (uint32_t)event->start.length);
    err = err ? err : buffer_append(out, bytes_of(length, sizeof length));
    return err ? err : buffer_append(out, event->start);
}

static int append_checkpoint(const struct subscription_event *event, struct buffer *out)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key(event->generation, key);
    int err = buffer_append(out, bytes_of(key, sizeof key));
    return err ? err : buffer_append(out, event->position);
}

int subscription_event_encode(const struct subscription_event *event, struct buffer *out)
{
    size_t before = out->length;
    uint8_t head[HEAD_LENGTH] = {LAYOUT_VERSION, (uint8_t)event->kind};
    int err = buffer_append(out, bytes_of(head, sizeof head));
    switch (event->kind) {
    case SUBSCRIPTION_CREATED:
    case SUBSCRIPTION_RESET:
        err = err ? err : append_made(event, out);
        break;
    case SUBSCRIPTION_CHECKPOINT:
        err = err ? err : append_checkpoint(event, out);
        break;
    case SUBSCRIPTION_DELETED:
        break;
    }
    if (err == 0 && out->length - before > SUBSCRIPTION_EVENT_BYTES_MAX) {
        err = ERR_LIMIT;
    }
    if (err) {
        out->length = before;
    }
    return err;
}

// --- From bytes --------------------------------------------------------------------------------

static bool take_start(struct bytes *rest, struct bytes *start_out)
{
    if (rest->length < START_HEAD_LENGTH) {
        return false;
    }
    size_t length = load_be32(rest->data);
    struct bytes behind =
        bytes_of(rest->data + START_HEAD_LENGTH, rest->length - START_HEAD_LENGTH);
    if (length > behind.length) {
        return false;
    }
    struct bytes start = bytes_of(behind.data, length);
    struct bytes end = start;
    if (version_vector_skip(&end) != 0 || end.length != 0) {
        return false;
    }
    *start_out = start;
    *rest = bytes_of(behind.data + length, behind.length - length);
    return true;
}

static bool take_generation(struct bytes *rest, struct event_id *generation_out)
{
    if (rest->length < EVENT_ID_KEY_LENGTH) {
        return false;
    }
    struct event_id id = event_id_decode_key(rest->data);
    if (id.actor == 0 || id.counter == 0 || id.counter > COUNTER_MAX) {
        return false;
    }
    *generation_out = id;
    *rest = bytes_of(rest->data + EVENT_ID_KEY_LENGTH, rest->length - EVENT_ID_KEY_LENGTH);
    return true;
}

static bool take_position(struct bytes *rest, struct bytes *position_out)
{
    struct bytes behind = *rest;
    if (position_skip(&behind) != 0) {
        return false;
    }
    *position_out = bytes_of(rest->data, rest->length - behind.length);
    *rest = behind;
    return true;
}

static bool take_content(struct bytes *rest, struct subscription_event *event)
{
    switch (event->kind) {
    case SUBSCRIPTION_CREATED:
    case SUBSCRIPTION_RESET:
        return subscription_definition_decode(rest, &event->definition) == 0 &&
               take_start(rest, &event->start);
    case SUBSCRIPTION_CHECKPOINT:
        return take_generation(rest, &event->generation) && take_position(rest, &event->position);
    case SUBSCRIPTION_DELETED:
        return true;
    }
    return false;
}

int subscription_event_decode(struct bytes data, struct subscription_event *event_out)
{
    if (data.length == 0 || data.data[0] == 0) {
        return ERR_INVALID;
    }
    if (data.data[0] != LAYOUT_VERSION) {
        return ERR_VERSION;
    }
    if (data.length < HEAD_LENGTH || data.length > SUBSCRIPTION_EVENT_BYTES_MAX) {
        return ERR_INVALID;
    }
    struct bytes rest = bytes_of(data.data + HEAD_LENGTH, data.length - HEAD_LENGTH);
    struct subscription_event event = {.kind = (enum subscription_event_kind)data.data[1]};
    if (!take_content(&rest, &event)) {
        return ERR_INVALID;
    }
    *event_out = event;
    return 0;
}

// --- Names -------------------------------------------------------------------------------------

bool subscription_name_is_valid(struct bytes name, struct reason *reason)
{
    int err = 0;
    if (name.length == 0 || name.length > SUBSCRIPTION_NAME_BYTES_MAX) {
        err = reason_set(reason, ERR_INVALID, "a subscription's name has 1 to %d bytes, not %zu",
                         SUBSCRIPTION_NAME_BYTES_MAX, name.length);
    } else if (name.data[0] == '.') {
        err = reason_set(reason, ERR_INVALID, "a subscription's name does not begin with a dot");
    } else if (memchr(name.data, '/', name.length)) {
        err = reason_set(reason, ERR_INVALID, "a subscription's name has no '/' in it");
    } else if (namespace_validate(name, NULL) != 0) {
        err = reason_set(reason, ERR_INVALID,
                         "a subscription's name is UTF-8 without control characters");
    }
    return err == 0;
}
