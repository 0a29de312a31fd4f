// Produces events and prints the ids of what was acknowledged, in order.
#pragma once

#include <poll.h>

#include "client-cli/command.h"
#include "client-cli/output.h"
#include "client-cli/print_event.h"
#include "client-cli/progress.h"

enum { PRODUCER_EVENTS_MAX = 1000000 }; // that can be in flight

struct producer_options {
    enum format format;
    bool is_quiet;
    const char *after; // as those of libweir
    uint32_t after_timeout_ms;
    uint32_t replicas;
    uint32_t replicas_timeout_ms;
    uint32_t batch_events_max; // per request; 0: as libweir likes
};

struct producer {
    const struct cli *cli;
    struct weir *weir;
    const struct producer_options *options;
    struct output output;
    struct progress progress;
    uint64_t acknowledged; // events
    uint64_t unknown;      // events whose answer was lost
    uint64_t late;         // events that fewer nodes hold than were asked for
    uint32_t late_nodes;   // the fewest that held them
    bool is_lost;          // the connection, and that was said
    bool has_remarked;     // that something is not ordered after its parent
    int status;            // of the first thing that went wrong, or 0
    struct reason said;    // of what was refused last
};

// Connects; again, to another node, if there are several addresses. `options` must outlive the
// producer. 0 or the exit status, after saying why.
int producer_open(struct producer *producer, const struct cli *cli,
                  const struct producer_options *options);
void producer_close(struct producer *producer);

// Adds events, all or none. The outcomes of weir_produce, whose reason is weir_reason_text.
int producer_add(struct producer *producer, const struct weir_draft *drafts,
                 size_t count) MUST_CHECK;

// Prints what was acknowledged so far, then sends and receives; with `waits`, not before more was
// acknowledged or one of `others` (at most two) is ready. 0 or the exit status: the connection or
// the output is lost, or a signal came. What a node refuses is said and kept in producer->status;
// what else is in flight still gets its answers.
int producer_turn(struct producer *producer, struct pollfd *others, size_t others_count,
                  bool waits);

// Waits for all answers. The exit status of the whole, without a last word.
int producer_finish(struct producer *producer);
