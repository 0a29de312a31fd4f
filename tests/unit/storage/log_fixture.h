// A store over memory disks, driven step by step, beside a model of what it must hold: a plain
// array of events. Peers are simulated: strands of other actors whose counters overlap with ours.
#pragma once

#include "proto/base/random.h"
#include "proto/model/chunk.h"
#include "storage/disk_memory.h"
#include "storage/store.h"

struct model_event {
    struct event_id id;
    uint64_t ordinal; // arrival of its chunk
    uint64_t timestamp_ms;
    char name[48];
    uint32_t number; // its data, so that an event is recognised
};

struct fixture_peer {
    uint64_t last;
    struct hash128 hash;
};

enum { FIXTURE_PEERS = 3 }; // actors 2 ..

struct log_fixture {
    struct random random;
    struct disk_medium *log_medium;
    struct disk_medium *index_medium;
    struct disk *log;
    struct disk *index;
    struct store *store;
    struct store_port *port;
    struct store_config config;
    struct store_recovery recovery;
    struct model_event *events; // in order of commit
    size_t events_count;
    size_t events_capacity;
    uint64_t ordinal;
    uint64_t now_ms;
    uint32_t number;
    unsigned names_count;
    bool has_system;     // whether random work includes events of the system
    bool has_attributes; // events have a type (fixture_has_type), and peers' clocks step back
    char wanted_type;    // what the checks expect: events with this type alone; 0: all
    uint64_t wanted_timestamp_min_ms; // and none before
    struct fixture_peer peers[FIXTURE_PEERS];
};

void fixture_init(struct log_fixture *fixture, uint64_t seed);
void fixture_deinit(struct log_fixture *fixture);

// Opens the store over the media; asserts that it succeeds unless result_out is given.
void fixture_open(struct log_fixture *fixture);
int fixture_try_open(struct log_fixture *fixture, struct reason *reason);
void fixture_close(struct log_fixture *fixture);   // cleanly
void fixture_abandon(struct log_fixture *fixture); // as a crash leaves it, everything written kept

// Produces `count` events in one append and commits it; the model follows. Returns the first id.
uint64_t fixture_produce(struct log_fixture *fixture, unsigned count);

// The same with events of the system.
uint64_t fixture_produce_system(struct log_fixture *fixture, unsigned count);

// Commits one append of any kind alone; returns its result.
int fixture_submit(struct log_fixture *fixture, struct append *append);

// Several appends of random size in one commit.
void fixture_produce_group(struct log_fixture *fixture, unsigned appends);

// A run of `chunks` chunks of simulated peer `peer` (0 ..), counters near ours.
void fixture_replicate(struct log_fixture *fixture, unsigned peer, unsigned chunks);

void fixture_index(struct log_fixture *fixture); // the indexer catches up

// Runs a read to its next completion: steps the reader (and the indexer, where it waits for it).
void fixture_read(struct log_fixture *fixture, struct read *read);

// The same for LAST and NEIGHBOR, until they are done. Returns how many steps it took.
unsigned fixture_search(struct log_fixture *fixture, struct read *read);

// Sorts the model canonically.
void fixture_sort(struct log_fixture *fixture);

// Checks that the block's events are, in order, events of the model; calls visit for each.
typedef void fixture_visit(void *context, struct event_id id, uint64_t timestamp_ms,
                           const struct event *event);
void block_visit(const struct block *block, fixture_visit *visit, void *context);

struct filter *fixture_filter(const char *pattern);

// Whether the model's event has this type: an attribute of one letter, 'a' to 'd'. Some events have
// none, some have two.
bool fixture_has_type(const struct model_event *event, char type);

// Whether it is what the fixture says is wanted, whatever its name; and the conditions that say so
// to a filter or a request. `match` and the fixture must stay.
bool fixture_is_wanted(const struct log_fixture *fixture, const struct model_event *event);
struct filter_conditions fixture_conditions(const struct log_fixture *fixture,
                                            struct attribute_match *match);
struct filter *fixture_filter_with(const struct log_fixture *fixture, const char *pattern);
