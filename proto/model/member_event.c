// Every node folds these events into its table of members, and all must come to the same table: so
// the layout is fixed, and what is refused here is refused everywhere.

#include "proto/model/member_event.h"

#include <assert.h>

enum {
    LAYOUT_VERSION = 1,
    FIXED_LENGTH = 80, // what stands before the address
    FLAG_FORCED = 1 << 0,
};

int member_event_encode(const struct member_event *event, struct buffer *out)
{
    assert(event->address.length <= PEER_ADDRESS_BYTES_MAX);
    int err = buffer_reserve(out, FIXED_LENGTH + event->address.length);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    at[0] = LAYOUT_VERSION;
    at[1] = (uint8_t)event->kind;
    store_be16(at + 2, event->actor);
    store_be16(at + 4, event->is_forced ? FLAG_FORCED : 0);
    memcpy(at + 6, event->node.bytes, sizeof event->node.bytes);
    memcpy(at + 22, event->by.bytes, sizeof event->by.bytes);
    store_be64(at + 38, event->seal);
    memcpy(at + 46, event->seal_hash.bytes, sizeof event->seal_hash.bytes);
    store_be64(at + 62, event->first);
    store_be64(at + 70, event->last);
    store_be16(at + 78, (uint16_t)event->address.length);
    out->length += FIXED_LENGTH;
    return buffer_append(out, event->address);
}

static bool makes_sense(const struct member_event *event)
{
    if (event->actor == 0) {
        return false;
    }
    switch (event->kind) {
    case MEMBER_ADMITTED:
        return !uuid_is_zero(&event->node) && !uuid_is_zero(&event->by);
    case MEMBER_RETIRED:
        return event->seal <= COUNTER_MAX;
    case MEMBER_LOST:
        return event->first > 0 && event->first <= event->last && event->last <= COUNTER_MAX;
    case MEMBER_FORGIVEN:
        return true;
    }
    return false;
}

int member_event_decode(struct bytes data, struct member_event *event_out)
{
    if (data.length == 0 || data.data[0] == 0) {
        return ERR_INVALID;
    }
    const uint8_t *at = data.data;
    if (at[0] != LAYOUT_VERSION) {
        return ERR_VERSION;
    }
    if (data.length < FIXED_LENGTH) {
        return ERR_INVALID;
    }
    size_t address_length = load_be16(at + 78);
    if (address_length > PEER_ADDRESS_BYTES_MAX || address_length > data.length - FIXED_LENGTH) {
        return ERR_INVALID;
    }
    struct member_event event = {
        .kind = (enum member_event_kind)at[1],
        .actor = load_be16(at + 2),
        .is_forced = load_be16(at + 4) & FLAG_FORCED,
        .seal = load_be64(at + 38),
        .first = load_be64(at + 62),
        .last = load_be64(at + 70),
        .address = bytes_of(at + FIXED_LENGTH, address_length),
    };
    memcpy(event.node.bytes, at + 6, sizeof event.node.bytes);
    memcpy(event.by.bytes, at + 22, sizeof event.by.bytes);
    memcpy(event.seal_hash.bytes, at + 46, sizeof event.seal_hash.bytes);
    if (!makes_sense(&event)) {
        return ERR_INVALID;
    }
    *event_out = event;
    return 0;
}
