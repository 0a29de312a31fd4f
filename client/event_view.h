// A received event as programs see it.
#pragma once

#include "client/events.h"
#include "client/weir.h"

static inline struct weir_bytes event_view_bytes(struct bytes bytes)
{
    return (struct weir_bytes){.data = bytes.data, .length = bytes.length};
}

// Field by field, because it is done for every event.
static inline void event_view(const struct received_event *received, uint32_t attempt,
                              struct weir_event *event)
{
    const struct event *fields = &received->fields;
    event->id = (struct weir_id){.counter = received->id.counter, .actor = received->id.actor};
    event->parent = (struct weir_id){0};
    event->timestamp_ms = received->timestamp_ms;
    event->name = event_view_bytes(fields->name);
    event->data = event_view_bytes(fields->data);
    event->attributes = event_view_bytes(fields->attributes);
    event->attempt = attempt;
    if (fields->attributes.length > 0) {
        struct event_id parent = event_parent(fields);
        event->parent = (struct weir_id){.counter = parent.counter, .actor = parent.actor};
    }
}
