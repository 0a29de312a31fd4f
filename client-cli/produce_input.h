// Produces a stream of lines, each an event or the JSON of one.
#pragma once

#include "client-cli/producer.h"
#include "proto/model/event.h"

struct produce_input {
    const char *path; // "-": standard input
    bool is_json;
    struct bytes name;      // of lines, and of JSON that says none; empty: none
    struct event_id parent; // the same
    const struct attribute *attributes;
    size_t attributes_count;
    struct bytes attributes_encoded; // with the parent
    uint64_t in_flight_max;          // events
};

// Until the end of the input. The exit status. `names_several_out`: whether events went to another
// namespace than the first, whose name is appended to `name_out`.
int produce_input_run(const struct produce_input *input, struct producer *producer,
                      struct buffer *name_out, bool *names_several_out);
