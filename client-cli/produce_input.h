// Produces a stream of lines, each an event or the JSON of one.
#pragma once

#include "client-cli/producer.h"

struct produce_input {
    const char *path; // "-": standard input
    bool is_json;
    const char *name;      // of lines, and of JSON that says none; NULL: none
    struct weir_id parent; // the same
    const struct weir_attribute *attributes;
    size_t attributes_count;
    uint64_t in_flight_max; // events
};

// How many events to put into a request, when so many may be in flight.
uint32_t produce_input_batch_max(uint64_t in_flight_max);

// Until the end of the input. The exit status. `names_several_out`: whether events went to another
// namespace than the first, whose name is appended to `name_out`.
int produce_input_run(const struct produce_input *input, struct producer *producer,
                      struct buffer *name_out, bool *names_several_out);
