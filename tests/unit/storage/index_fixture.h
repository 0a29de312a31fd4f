// An index over a disk beside a model of what it must hold: every chunk ever made, in order
// of arrival, and a number of its name for every event. The model is the log: after a crash what
// the index has lost is added again from it.
#pragma once

#include "proto/base/random.h"
#include "proto/model/chunk.h"
#include "storage/disk_memory.h"
#include "storage/index_internal.h"

enum { INDEX_NAMES_MAX = 4000, INDEX_ACTORS = 4 };

struct index_chunk {
    struct chunk_header header;
    struct buffer body;
    uint16_t names[CHUNK_EVENTS_MAX];
    uint32_t bytes[CHUNK_EVENTS_MAX];
};

struct index_fixture {
    struct random random;
    struct disk_medium *medium;
    const char *path; // of a database; NULL: the disk is over the medium
    struct disk *disk;
    struct index *index;
    bool was_reset;
    struct index_chunk *chunks; // chunk i has ordinal i + 1
    size_t chunks_count;
    size_t chunks_capacity;
    uint64_t counters[INDEX_ACTORS]; // last of actor i + 1
    unsigned names_count;
    unsigned events_per_chunk_max;
    uint64_t jump_max;    // how far counters may jump between chunks
    uint32_t part_events; // about how many events a part has
    uint64_t memory_bytes_max;
    uint64_t now_ms;
};

void index_fixture_init(struct index_fixture *fixture, uint64_t seed);
void index_fixture_deinit(struct index_fixture *fixture);

void index_fixture_open(struct index_fixture *fixture);
void index_fixture_close(struct index_fixture *fixture);
// Closes, forgets the last `dropped` batches, and opens.
void index_fixture_crash(struct index_fixture *fixture, size_t dropped);

// The name with this number in the model: NUL-terminated, until the next call.
const char *index_fixture_name(unsigned name);

// Makes `count` random chunks, without adding them.
void index_fixture_make(struct index_fixture *fixture, size_t count);
// Makes one chunk of the given names by an actor, its first counter at least `counter`.
void index_fixture_make_chunk(struct index_fixture *fixture, uint16_t actor, uint64_t counter,
                              const uint16_t *names, uint16_t count);
// Adds up to `count` chunks that the index does not have, flushing when it wants to. 0 or ERR_*.
int index_fixture_add(struct index_fixture *fixture, size_t count);
// Adds everything and flushes.
void index_fixture_catch_up(struct index_fixture *fixture);

// The number of chunks that readers must see.
size_t index_fixture_visible(const struct index_fixture *fixture);

struct filter *index_fixture_filter(const char *const *patterns, size_t count);
struct filter *index_fixture_random_filter(struct index_fixture *fixture);

// Compares with the model what the index shows: hits of the filter from a place on in both
// directions; pages of names with their rows.
void index_fixture_check_hits(struct index_fixture *fixture, struct filter *filter, uint64_t first);
void index_fixture_check_names(struct index_fixture *fixture, struct filter *filter,
                               uint32_t rows_max);
// Some of everything.
void index_fixture_check(struct index_fixture *fixture);
