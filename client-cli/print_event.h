// Events as they are printed: for people, as JSON, or the bodies alone.
#pragma once

#include "client-cli/output.h"
#include "client/weir.h"

enum format {
    FORMAT_HUMAN,
    FORMAT_JSON,
    FORMAT_RAW,
};

// "human", "json", and "raw" where it is allowed.
bool format_parse(const char *text, bool allows_raw, enum format *format_out);

// Appends the event to the output. ERR_MEMORY; ERR_CORRUPT when its attributes are none.
int print_event(struct output *output, enum format format,
                const struct weir_event *event) MUST_CHECK;
