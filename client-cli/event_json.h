// An event as one JSON object, as `weir consume --output json` prints it and `weir produce --json`
// takes it: namespace, data or data_base64, parent, attributes; id and timestamp are ignored.
#pragma once

#include "client/weir.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"

// What was read; owned, and reused from line to line. Zero-initialised is valid.
struct event_json {
    struct buffer text; // what the views point into
    const char *name;   // NULL: not said
    struct weir_bytes data;
    struct weir_id parent;
    const struct weir_attribute *attributes; // `own`, or the defaults
    size_t attributes_count;
    struct weir_attribute own[ATTRIBUTES_MAX];
};

void event_json_deinit(struct event_json *event);

// Reads a line. What it does not say is taken from the defaults: parent (none: {0}) and attributes,
// which must stay. Whether a node would take it is not looked at. ERR_INVALID with a reason,
// ERR_MEMORY.
int event_json_read(struct event_json *event, struct bytes line, struct weir_id parent_default,
                    const struct weir_attribute *attributes_default, size_t attributes_count,
                    struct reason *reason) MUST_CHECK;
