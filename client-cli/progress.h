// One line on stderr that says how far a long command is: on a terminal, from the second second on.
#pragma once

#include "proto/base/instant.h"

struct progress {
    bool is_wanted;
    bool is_visible;
    struct instant started;
    struct instant next;
};

// `would_disturb`: something else is written to the same terminal.
void progress_init(struct progress *progress, bool would_disturb, struct instant now);

// Call as often as you like.
void progress_update(struct progress *progress, uint64_t events, struct instant now);

// Removes the line; call before anything else is said on stderr.
void progress_clear(struct progress *progress);
