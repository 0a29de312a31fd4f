// The disks that tests of storage run over: in memory, and RocksDB as the log and as the index
// open it, in a temporary directory.
#pragma once

#include "storage/disk_memory.h"
#include "storage/disk_rocksdb.h"

enum disk_kind { DISK_KIND_MEMORY, DISK_KIND_LOG, DISK_KIND_INDEX, DISK_KINDS };

enum { FIXTURE_FAMILIES = 4 };

struct disk_fixture {
    enum disk_kind kind;
    struct disk_medium *medium;
    char path[64]; // of the database, below a temporary directory
    struct disk *disk;
};

// Makes the medium or directory and opens the disk.
void disk_fixture_init(struct disk_fixture *fixture, enum disk_kind kind);
void disk_fixture_deinit(struct disk_fixture *fixture);
// Closes and opens.
void disk_fixture_reopen(struct disk_fixture *fixture);
// Opens after a close; returns the result.
int disk_fixture_open(struct disk_fixture *fixture, bool drop_torn_log, struct reason *reason);
void disk_fixture_close(struct disk_fixture *fixture);

// The configuration of the RocksDB kinds: small buffers, family 0 scanned.
struct disk_rocksdb_config disk_fixture_config(enum disk_kind kind, const char *path);

// Writes one batch of one put.
void disk_fixture_put(struct disk *disk, unsigned family, const char *key, const char *value);

// "key=value ..." of a family, forward; asserts that the iteration ended without an error.
void disk_fixture_expect(struct disk *disk, unsigned family, const char *expected);
