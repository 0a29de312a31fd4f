// What a program says of the events of an attachment, from weir_ack and weir_nack to the answer:
// batches of ranges, each of which is one request.
#pragma once

#include "client/core.h"
#include "client/weir.h"
#include "proto/base/list.h"
#include "proto/model/position.h"

enum { ACK_REASON_BYTES_MAX = 200 };

// The ranges of one request.
struct ack_batch {
    struct list_node node;
    bool is_nack;
    bool is_repeated;
    bool was_busy;  // the node was, and has done nothing
    bool is_closed; // takes no more; its ranges ascend
    uint32_t delay_ms;
    char reason[ACK_REASON_BYTES_MAX + 1];
    struct weir_id_range *ranges;
    uint32_t ranges_count;
    uint32_t ranges_capacity;
    uint64_t events;
    uint64_t request_id;  // while it is sent
    struct instant since; // its first event
    int err;              // answered
    uint64_t counted;
    struct reason refusal;
};

struct acks {
    struct list_node waiting; // struct ack_batch, oldest first
    struct list_node sent;
    struct list_node told; // answered, to be handed out
    struct ack_batch *taken;
    uint64_t waiting_events;
    uint64_t sent_events;
    uint64_t ranges;           // waiting and sent
    uint32_t repeated_count;   // batches, waiting and sent, that are repeated
    uint32_t batch_max;        // sent when there are so many events,
    struct duration linger;    // or the first is so old
    struct instant not_before; // the node has asked for patience
    bool is_flushing;          // all that waits is to be sent now
    bool tells_all;            // answers without a refusal are handed out, too
};

void acks_init(struct acks *acks, uint32_t batch_max, struct duration linger, bool tells_all);
void acks_deinit(struct acks *acks);

// The event is done. ERR_BUSY: too much waits; ERR_MEMORY.
int acks_add(struct acks *acks, struct event_id id, struct instant now) MUST_CHECK;

// Makes room for so many calls of acks_add_range, which then cannot fail. The same errors.
int acks_reserve(struct acks *acks, uint32_t ranges, struct instant now) MUST_CHECK;
void acks_add_range(struct acks *acks, struct done_range range);

// The event is to come again. `reason` may be NULL. The same errors.
int acks_refuse(struct acks *acks, struct event_id id, uint32_t delay_ms, const char *reason,
                struct instant now) MUST_CHECK;

// Whether it is acknowledged in a batch that is repeated and not answered.
bool acks_is_repeated(const struct acks *acks, struct event_id id);

// When what waits becomes due; INSTANT_NEVER: nothing waits, or it is due.
struct instant acks_deadline(const struct acks *acks);

// Everything that waits is due, unless the node has asked for patience.
void acks_flush(struct acks *acks);

// Sends what is due to a core that serves the attachment `core_id`, until so many bytes wait there.
// `tag` comes back with the answers. ERR_MEMORY, or the core's error: the rest still waits.
int acks_send(struct acks *acks, struct core *core, uint64_t core_id, uint64_t tag,
              size_t ahead_max, struct instant now) MUST_CHECK;

// An answer, if it is one to a batch.
void acks_answered(struct acks *acks, uint64_t request_id, const struct reply *reply,
                   struct instant now);

// What was sent has no answer, and will have none: it is to be sent again. What was refused comes
// again by itself, and is forgotten. `core`: it lives, and is to forget the requests; NULL: it is
// gone.
void acks_lost(struct acks *acks, struct core *core);

// What is not answered never will be: all of it is told, with this error and text.
void acks_give_up(struct acks *acks, int err, const char *text);
// The attachment has ended, and what is not answered is told: ERR_UNKNOWN, what was sent;
// ERR_CLOSED, what was not, and ERR_BUSY, what was refused so: nothing was done then.
void acks_end(struct acks *acks);

// The next outcome to be handed out; a view until the next call. False: none.
bool acks_take(struct acks *acks, struct weir_acked *acked_out);
