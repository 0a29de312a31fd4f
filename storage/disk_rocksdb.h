// The disk over RocksDB: the only file that includes rocksdb/c.h implements this. The settings
// that are decisions, not tuning, are explained where they are made (disk_rocksdb.c).
#pragma once

#include "storage/disk.h"

struct disk_rocksdb_config {
    const char *path;            // the database's directory; created when missing
    const char *const *families; // names, index = family number
    unsigned families_count;
    bool has_write_log;          // the log: yes; the index: no, durable by disk_flush alone
    bool drop_torn_log;          // open in recovery mode 2: what is torn at the end is dropped
    uint64_t block_cache_bytes;  // index and filter blocks are charged to it
    uint64_t write_buffer_bytes; // over all families
    unsigned scan_family_mask;   // bit f: family f is read by long scans, of large values
};

// ERR_LOCKED, ERR_VERSION, ERR_CORRUPT (the reason names the file, and for a torn log of writes
// the remedy --drop-torn-log), ERR_IO, ERR_MEMORY.
int disk_rocksdb_open(const struct disk_rocksdb_config *config, struct disk **disk_out,
                      struct reason *reason) MUST_CHECK;

// Removes a database that is derived and damaged (the index). ERR_IO.
int disk_rocksdb_destroy(const char *path, struct reason *reason) MUST_CHECK;
