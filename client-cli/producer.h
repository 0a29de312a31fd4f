// Sends batches and prints the ids of what was acknowledged, in order.
#pragma once

#include "client-cli/command.h"
#include "client-cli/output.h"
#include "client-cli/print_event.h"
#include "client-cli/progress.h"

struct producer {
    const struct cli *cli;
    struct client *client;
    struct output output;
    struct progress progress;
    enum format format;
    bool is_quiet;
    struct produce_options produce; // of every batch
    uint64_t in_flight;             // events sent and not answered
    uint64_t acknowledged;          // events
    uint64_t late;                  // events that fewer nodes hold than were asked for
    uint32_t late_nodes;            // the fewest that held them
    bool has_remarked;              // that something is not ordered after its parent
    int status;                     // of the first thing that went wrong, or 0
};

// Connects. What `produce` points to must outlive the producer. 0 or the exit status, after saying
// why.
int producer_open(struct producer *producer, const struct cli *cli, enum format format,
                  bool is_quiet, const struct produce_options *produce);
void producer_close(struct producer *producer);

// Queues a batch, which it clears. 0 or the exit status.
int producer_send(struct producer *producer, struct batch *batch);

// Prints what was acknowledged so far, then sends and receives; with `waits`, not before more was
// acknowledged or one of `others` is ready. 0 or the exit status: the connection or the output is
// lost, or a signal came. What a node refuses is said and kept in producer->status; what else is in
// flight still gets its answers.
int producer_turn(struct producer *producer, struct pollfd *others, size_t others_count,
                  bool waits);

// Waits for all answers. The exit status of the whole, without a last word.
int producer_finish(struct producer *producer);
