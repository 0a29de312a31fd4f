// What is asked of `weir cluster`: the action, what it is done to, and how.
#pragma once

#include "client-cli/connection_options.h"
#include "client-cli/print_event.h"
#include "client/weir.h"

enum {
    CLUSTER_QUESTION_LENGTH = 256,
};

struct cluster_options {
    struct connection_options *connection;
    enum format format;
    const char *action; // NULL: not given
    bool is_dangerous;  // asks, or needs --yes
    bool is_sure;       // --yes
    bool waits;         // --wait
    uint64_t wait_ms;
    uint32_t words; // of those that are wanted behind the action, how many came
    struct weir_cluster_action request;
};

// The parser; its input is a struct cluster_options.
extern const struct argp cluster_argp;

// The question to which somebody says yes before a dangerous action.
void cluster_options_question(const struct cluster_options *options,
                              char out[CLUSTER_QUESTION_LENGTH]);
