// Follows one subscription and prints its events: what `consume` and `last` do.
#pragma once

#include "client-cli/command.h"
#include "client-cli/print_event.h"
#include "proto/model/request.h"

struct consumer_options {
    struct request request;  // SUBSCRIBE
    const char *cursor_file; // NULL: none
    enum format format;
    bool reconnects;
    bool says_heartbeats;
};

// Until its end, or forever. The exit status.
int consumer_run(const struct cli *cli, const struct consumer_options *options);

// A mark of the frontier as a line of JSON between the events. ERR_MEMORY; positive outcome
// CONSUMER_NOT_PRINTED: the format has no place for it.
enum { CONSUMER_NOT_PRINTED = 1 };
int consumer_print_frontier(struct output *output, enum format format,
                            struct event_id at) MUST_CHECK;
