// An event as one JSON object, as `weir consume --output json` prints it and `weir produce --json`
// takes it: namespace, data or data_base64, parent, attributes; id and timestamp are ignored.
#pragma once

#include "proto/model/event.h"

// What was read; owned, and reused from line to line. Zero-initialised is valid.
struct event_json {
    struct buffer text; // what the views point into
    struct bytes name;
    bool has_name;
    struct bytes data;
    struct buffer attributes; // encoded, with the parent
    bool has_parent;
    bool has_attributes;
    struct event_id parent;
};

void event_json_deinit(struct event_json *event);

// Reads a line. What it does not say is taken from the defaults: parent (none: {0}) and attributes.
// ERR_INVALID with a reason, ERR_MEMORY.
int event_json_read(struct event_json *event, struct bytes line, struct event_id parent_default,
                    const struct attribute *attributes_default, size_t attributes_count,
                    struct reason *reason) MUST_CHECK;
