// The disk under the log: ordered key/value families, written in atomic batches. Two
// implementations: RocksDB (disk_rocksdb.h) and memory (disk_memory.h, for tests and simulation).
//
// Written and synced are two things: what a batch wrote is seen by gets and iterators at once, but
// survives a crash for certain only after disk_sync returned 0. Batches survive whole or not at
// all, and in order. After ERR_IO from write or sync the outcome is unknown: no retry, the process
// must end (see docs/decisions).
// Threads: writes and syncs come from one thread; gets and iterators from any.
#pragma once

#include "proto/base/bytes.h"

struct disk;
struct disk_batch;
struct disk_iterator;

enum { DISK_FAMILIES_MAX = 6, DISK_KEY_BYTES_MAX = 2048 };

// Positive outcome of disk_get.
enum { DISK_NOT_FOUND = 1 };

// Batches, reused: put keeps copies of key and value.
struct disk_batch *disk_batch_new(struct disk *disk); // NULL: no memory
void disk_batch_free(struct disk_batch *batch);
void disk_batch_clear(struct disk_batch *batch);
void disk_batch_put(struct disk_batch *batch, unsigned family, struct bytes key,
                    struct bytes value);
void disk_batch_delete(struct disk_batch *batch, unsigned family, struct bytes key);
size_t disk_batch_bytes(const struct disk_batch *batch);

// Writes a batch atomically (ERR_IO, ERR_MEMORY; a put that found no memory makes this fail).
int disk_write(struct disk *disk, struct disk_batch *batch) MUST_CHECK;

// Returns once everything written before is durable. ERR_IO.
int disk_sync(struct disk *disk) MUST_CHECK;

// Both in one: for a disk that does it faster so. Errors of either.
int disk_write_synced(struct disk *disk, struct disk_batch *batch) MUST_CHECK;

// Appends the value to `value`. 0, DISK_NOT_FOUND, ERR_IO, ERR_CORRUPT, ERR_MEMORY.
int disk_get(struct disk *disk, unsigned family, struct bytes key, struct buffer *value) MUST_CHECK;

// An iterator sees the state of the moment it was opened. Every move may end up nowhere: then
// valid is false, and disk_iterator_status says whether that is the end (0) or an error
// (ERR_IO, ERR_CORRUPT); it must be asked at the end of every iteration.
// key and value are views that hold until the next move or close.
enum disk_read_pattern {
    DISK_READ_POINT, // a few keys near each other
    DISK_READ_SCAN,  // a long run forward: read ahead
};
int disk_iterator_open(struct disk *disk, unsigned family, enum disk_read_pattern pattern,
                       struct disk_iterator **iterator_out) MUST_CHECK;
void disk_iterator_close(struct disk_iterator *iterator);
void disk_iterator_seek(struct disk_iterator *iterator, struct bytes key);          // first >= key
void disk_iterator_seek_for_prev(struct disk_iterator *iterator, struct bytes key); // last <= key
void disk_iterator_seek_to_last(struct disk_iterator *iterator);
void disk_iterator_next(struct disk_iterator *iterator);
void disk_iterator_previous(struct disk_iterator *iterator);
bool disk_iterator_is_valid(const struct disk_iterator *iterator);
struct bytes disk_iterator_key(const struct disk_iterator *iterator);
struct bytes disk_iterator_value(const struct disk_iterator *iterator);
int disk_iterator_status(const struct disk_iterator *iterator) MUST_CHECK;

// Makes everything written durable in tables and drops what the log of writes no longer needs to
// hold (all families together). For disks without a log of writes this is the only durability.
int disk_flush(struct disk *disk) MUST_CHECK;

// What the disk holds, in bytes on the medium; an estimate.
uint64_t disk_used_bytes(struct disk *disk);
// Free space where it lives, in bytes; UINT64_MAX when unknown.
uint64_t disk_free_bytes(struct disk *disk);
// Memory it uses for itself (caches, write buffers, table readers), in bytes; an estimate.
uint64_t disk_memory_bytes(struct disk *disk);

void disk_close(struct disk *disk); // NULL is fine

// What an implementation provides; the functions above call it and assert their contracts.
struct disk_ops {
    const char *name;
    struct disk_batch *(*batch_new)(struct disk *disk);
    void (*batch_free)(struct disk_batch *batch);
    void (*batch_clear)(struct disk_batch *batch);
    void (*batch_put)(struct disk_batch *batch, unsigned family, struct bytes key,
                      struct bytes value);
    void (*batch_delete)(struct disk_batch *batch, unsigned family, struct bytes key);
    size_t (*batch_bytes)(const struct disk_batch *batch);
    int (*write)(struct disk *disk, struct disk_batch *batch);
    int (*sync)(struct disk *disk);
    int (*write_synced)(struct disk *disk, struct disk_batch *batch); // NULL: write, then sync
    int (*get)(struct disk *disk, unsigned family, struct bytes key, struct buffer *value);
    int (*iterator_open)(struct disk *disk, unsigned family, enum disk_read_pattern pattern,
                         struct disk_iterator **iterator_out);
    void (*iterator_close)(struct disk_iterator *iterator);
    void (*iterator_seek)(struct disk_iterator *iterator, struct bytes key);
    void (*iterator_seek_for_prev)(struct disk_iterator *iterator, struct bytes key);
    void (*iterator_seek_to_last)(struct disk_iterator *iterator);
    void (*iterator_next)(struct disk_iterator *iterator);
    void (*iterator_previous)(struct disk_iterator *iterator);
    bool (*iterator_is_valid)(const struct disk_iterator *iterator);
    struct bytes (*iterator_key)(const struct disk_iterator *iterator);
    struct bytes (*iterator_value)(const struct disk_iterator *iterator);
    int (*iterator_status)(const struct disk_iterator *iterator);
    int (*flush)(struct disk *disk);
    uint64_t (*used_bytes)(struct disk *disk);
    uint64_t (*free_bytes)(struct disk *disk);
    uint64_t (*memory_bytes)(struct disk *disk);
    void (*close)(struct disk *disk);
};

// Implementations embed these as their first member.
struct disk {
    const struct disk_ops *ops;
};
struct disk_batch {
    struct disk *disk;
};
struct disk_iterator {
    struct disk *disk;
};
