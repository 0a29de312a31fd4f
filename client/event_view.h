// A received event as programs see it.
#pragma once

#include "client/events.h"
#include "client/weir.h"

static inline struct weir_event event_view(const struct received_event *received)
{
    const struct event *fields = &received->fields;
    struct weir_event event = {
        .id = {.counter = received->id.counter, .actor = received->id.actor},
        .timestamp_ms = received->timestamp_ms,
        .name = {.data = fields->name.data, .length = fields->name.length},
        .data = {.data = fields->data.data, .length = fields->data.length},
        .attributes = {.data = fields->attributes.data, .length = fields->attributes.length},
    };
    if (fields->attributes.length > 0) {
        struct event_id parent = event_parent(fields);
        event.parent = (struct weir_id){.counter = parent.counter, .actor = parent.actor};
    }
    return event;
}
