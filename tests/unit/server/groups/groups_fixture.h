// A node that coordinates a durable subscription: the cluster's fixture with one node, a client
// that produces numbered events, and consumers that record what they are handed.
#pragma once

#include "proto/model/event.h"
#include "server/node/cluster_state.h"
#include "server/node/groups.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/cluster_fixture.h"

enum { TAKEN_MAX = 65536 };

struct taken {
    struct event_id id;
    uint32_t attempt;
};

struct taker {
    struct attachment *attachment; // NULL: it has left, or it was ended
    struct taken *events;
    uint32_t count;
    uint32_t caught_up;
    uint32_t renewed;
    uint32_t refuses; // this delivery, counted from 1, for want of memory; 0: none
    bool is_ended;
    uint32_t end_reason;
    enum wire_error error;
    char text[256];
};

// What groups_create and the like said.
struct told {
    bool is_told;
    int err;
    char text[256];
};

#define GROUP_NAME "orders"
#define EVENTS_SPACE "/some/name" // where cluster_produce produces

void groups_open(struct cluster_fixture *fixture); // one node, which may write
void groups_close(struct cluster_fixture *fixture);
void groups_restart(struct cluster_fixture *fixture);
struct groups *groups_of(const struct cluster_fixture *fixture);

// The default one: of EVENTS_SPACE.
void definition_begin(struct subscription_definition *definition);
// From the beginning; waits until it is there.
void create(struct cluster_fixture *fixture, const struct subscription_definition *definition);
void create_named(struct cluster_fixture *fixture, const char *name,
                  const struct subscription_definition *definition);
// As if a RESET to the beginning came from another member, with that concurrency.
void take_reset(struct cluster_fixture *fixture, uint16_t actor, uint32_t concurrency);
// As if a CREATED (RESET, DELETED) of the default one came from another member.
void take_change(struct cluster_fixture *fixture, enum subscription_event_kind kind,
                 struct event_id id);
void told_done(void *told, int err, const char *text); // a groups_done

const struct attachment_ops *taker_ops(void); // their context: a taker with `events`
void taker_attach(struct cluster_fixture *fixture, struct taker *taker, uint32_t in_flight_max);
void taker_attach_named(struct cluster_fixture *fixture, const char *name, struct taker *taker,
                        uint32_t in_flight_max);
void taker_attach_with(struct cluster_fixture *fixture, const char *name, struct taker *taker,
                       uint32_t in_flight_max, uint64_t credit_bytes);
void taker_detach(struct taker *taker);
void taker_deinit(struct taker *taker); // also detaches
// Acknowledges what it was handed, from the first one on that it names. Returns how many counted.
uint64_t taker_ack(struct taker *taker, uint32_t first, uint32_t count);

void taker_nack(struct taker *taker, uint32_t index, unsigned delay_ms, const char *reason);

// Changes one bit of the chunk that begins with that event on the disk, or changes it back.
void rot(struct cluster_fixture *fixture, struct event_id first);

// One produce of these, encoded.
void produce_events(struct cluster_fixture *fixture, struct bytes events, uint32_t count);
// One produce of so many small events, all with these attributes (encoded, or empty).
void produce_to(struct cluster_fixture *fixture, const char *space, struct bytes attributes,
                uint32_t count);
uint32_t produce(struct cluster_fixture *fixture, uint32_t count); // small ones; returns count
// The event in `space` that was written last; to be unreferenced.
struct block *last_event(struct cluster_fixture *fixture, const char *space,
                         struct event *event_out);
// Events of all kinds that the node has written.
uint64_t held(const struct cluster_fixture *fixture);

struct group_row look(struct cluster_fixture *fixture); // its position is to be freed
