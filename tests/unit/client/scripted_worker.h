// A client of a scripted cluster with one attachment, to the durable subscription "orders".
#pragma once

#include "tests/unit/client/scripted_cluster.h"

struct worker {
    struct scripted_cluster cluster;
    uint64_t number; // of the attachment
    uint64_t id;     // of the ATTACH
};

void worker_take_attach(struct worker *worker);

// Attached to "orders", generation 1, at the node "a:1".
void worker_init_lingering(struct worker *worker, const struct weir_attach_options *options);

// Its acknowledgements go with the next output, unless the options say more.
void worker_init(struct worker *worker, const struct weir_attach_options *options);
void worker_deinit(struct worker *worker);

// The connection is lost, and the next node asked.
void worker_switch(struct worker *worker, const char *address);

// Events of actor 1 come, and are handed out.
void worker_take_events(struct worker *worker, uint64_t first, uint16_t count);
void worker_ack(struct worker *worker, uint16_t actor, uint64_t counter);

// The next request is an ACK with these ranges, as text: "1:1-4096,2:7-7". Its id.
uint64_t worker_expect_ack(struct worker *worker, const char *expected);
