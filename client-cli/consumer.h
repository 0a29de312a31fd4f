// Follows one subscription and prints its events: what `consume` and `last` do.
#pragma once

#include "client-cli/command.h"
#include "client-cli/print_event.h"

struct consumer_options {
    struct weir_subscribe_options subscribe; // but for its size
    const char *cursor_file;                 // NULL: none
    enum format format;
    bool reconnects;
    bool says_heartbeats;
};

// Until its end, or forever. The exit status.
int consumer_run(const struct cli *cli, const struct consumer_options *options);
