// What really happened, as an observer of all disks and clients knows it: every strand as its
// owner's commits made it, every produce and what its client was told. The checkers judge by it.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/hash.h"
#include "proto/base/instant.h"
#include "proto/model/block.h"
#include "proto/model/chunk.h"
#include "proto/model/event_id.h"

struct world;

enum { NAMES_COUNT = 12, NAME_SYSTEM = NAMES_COUNT };
extern const char *const HISTORY_NAMES[NAMES_COUNT];

// Events carry in their data: the number of their produce and their place in it.
enum { EVENT_MARK_LENGTH = 12 };

struct history_event {
    uint64_t counter;
    uint32_t produce;    // UINT32_MAX: the system's
    uint16_t place;      // in its produce
    uint8_t name;        // NAME_SYSTEM: the system's
    struct event_id was; // issued again; actor 0: it is not
};

struct history_chunk {
    uint64_t first;
    uint64_t last;
    struct hash128 hash;
    uint32_t event_first;    // index into the strand's events
    bool is_complete;        // a produce ends here
    bool is_lost;            // given up: no copy was left
    struct instant first_at; // when its owner published it
    struct instant last_at;  // and the last machine that did
    uint32_t machines;       // that did
};

struct history_strand {
    struct history_chunk *chunks;
    uint32_t chunks_count;
    uint32_t chunks_capacity;
    struct history_event *events;
    uint32_t events_count;
    uint32_t events_capacity;
    bool is_lossy;  // its owner's disk is lost, or went back: what nobody holds is gone
    bool is_branch; // of one machine alone (branch.h)
};

enum produce_state { PRODUCE_SENT, PRODUCE_ACKED, PRODUCE_REFUSED, PRODUCE_UNKNOWN };

struct history_produce {
    struct event_id first; // as stored
    struct event_id told;  // as acknowledged
    uint32_t count;
    uint32_t stored; // how many of its events were seen on a disk
    uint16_t machine;
    uint16_t nodes_durable;
    uint8_t name;
    uint8_t state; // enum produce_state
    uint32_t life; // of the machine, when it was sent
    bool is_on_branch;
};

struct history {
    struct world *world;
    struct history_strand **strands; // by actor
    uint32_t strands_count;          // capacity: actors below
    struct history_produce *produces;
    uint32_t produces_count;
    uint32_t produces_capacity;
    struct buffer scratch;
    uint64_t events; // of all strands
    uint64_t acked;
    uint64_t stable_counter; // the highest id that a reader in stable order was given
    uint16_t stable_actor;
};

void history_init(struct history *history, struct world *world);
void history_deinit(struct history *history);

// Never NULL.
struct history_strand *history_strand(struct history *history, uint16_t actor);

// The index of the chunk that ends at `last`; UINT32_MAX: there is none. 0 chunks for last 0.
uint32_t history_chunk_at(const struct history_strand *strand, uint64_t last);

// The index of the first event with counter > `counter`.
uint32_t history_event_above(const struct history_strand *strand, uint64_t counter);

// A chunk that a disk holds for the first time anywhere: the strand grows by it.
void history_add_chunk(struct history *history, struct history_strand *strand,
                       const struct chunk_header *header, struct bytes chunk);

// The operator has given it up: nobody waits for its events any more, and nobody may get them.
void history_lose_chunk(struct history_strand *strand, uint32_t chunk);

// A new produce; returns its number.
uint32_t history_new_produce(struct history *history, unsigned machine, uint32_t life, uint8_t name,
                             uint32_t count);
