// The disk over RocksDB 7.8. A disk with a log of writes (the log) has a column family per family
// and is durable by that log. A disk without one (the index) is durable by flushing memtables
// alone, and there the C API can flush one column family at a time only, even with atomic_flush;
// so its families share one column family and are told apart by the first byte of the key: one
// memtable, one flush, and a crash always goes back to a prefix of the batches.
//
// Settings that have cost somebody data are set here even where they are the default, each with
// its reason. After a failed write or sync nothing is tried again: the outcome is unknown, and
// RocksDB, as Debian builds it, aborts the process when a file is used after it has failed.

#include "storage/disk_rocksdb.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "storage/write_log.h"

#define WRITE_LOG_BYTES_MAX (96 * MIB) // reopening after kill -9: 0.27 s (1 GiB: 2.1 s)
#define TABLE_BYTES (64 * MIB)
#define BLOCK_BYTES_LARGE (16 * KIB) // one or two chunks
#define BLOCK_BYTES_SMALL (4 * KIB)
#define READ_AHEAD_BYTES (256 * KIB) // per table that a scan has open
#define MANIFEST_BYTES_MAX (4 * MIB)
#define BATCH_BYTES_KEPT (8 * MIB) // a larger batch gives its memory back when cleared
#define WRITE_BUFFER_BYTES_MIN (64 * KIB)
enum {
    TABLES_OPEN_MAX = 256, // at some 10 KiB each; of them index and filter are in the block cache
    BLOOM_BITS_PER_KEY = 10,
    CACHE_SHARD_BITS = 3,
    LOG_LEVEL_NOTHING = 6, // above the highest: not even the header lines of level 5
    COLUMNS_MAX = DISK_FAMILIES_MAX + 1,
};

struct rocksdb_disk {
    struct disk disk;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *columns[COLUMNS_MAX]; // 0: "default"
    unsigned columns_count;
    unsigned families_count;
    bool has_write_log;
    atomic_bool has_failed;
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *write_options;
    rocksdb_writeoptions_t *synced_options;
    rocksdb_flushoptions_t *flush_options;
    rocksdb_readoptions_t *read_options[DISK_FAMILIES_MAX][DISK_READ_SCAN + 1];
    char prefixes[DISK_FAMILIES_MAX + 1]; // prefixes[f] == f: first key bytes, bounds of iterators
    char *path;
};

struct rocksdb_batch {
    struct disk_batch batch;
    rocksdb_writebatch_t *inner;
};

struct rocksdb_disk_iterator {
    struct disk_iterator iterator;
    rocksdb_iterator_t *inner;
    unsigned family;
};

static struct rocksdb_disk *disk_of(const struct disk *disk)
{
    return (struct rocksdb_disk *)(uintptr_t)disk;
}

static rocksdb_column_family_handle_t *column_of(const struct rocksdb_disk *disk, unsigned family)
{
    assert(family < disk->families_count);
    return disk->columns[disk->has_write_log ? family + 1 : 0];
}

// Messages are "Kind: detail"; only texts tell one IO error from another.
static int error_of(const char *message)
{
    if (strncmp(message, "Corruption", strlen("Corruption")) == 0) {
        return ERR_CORRUPT;
    }
    if (strstr(message, "No such file") && strstr(message, ".sst")) {
        return ERR_CORRUPT; // a table is missing
    }
    if (strstr(message, "lock hold by current process") || strstr(message, "While lock file")) {
        return ERR_LOCKED;
    }
    if (strstr(message, "Column families not opened") ||
        strncmp(message, "Not implemented", strlen("Not implemented")) == 0) {
        return ERR_VERSION;
    }
    return ERR_IO;
}

static int error_take(char *message)
{
    if (!message) {
        return 0;
    }
    int result = error_of(message);
    rocksdb_free(message);
    return result;
}

// --- Batches and writing

static struct disk_batch *batch_new(struct disk *disk)
{
    struct rocksdb_batch *batch = malloc(sizeof *batch);
    if (!batch) {
        return NULL;
    }
    *batch = (struct rocksdb_batch){.batch.disk = disk, .inner = rocksdb_writebatch_create()};
    return &batch->batch;
}

static void batch_free(struct disk_batch *base)
{
    struct rocksdb_batch *batch = (struct rocksdb_batch *)base;
    rocksdb_writebatch_destroy(batch->inner);
    free(batch);
}

static size_t batch_bytes(const struct disk_batch *base)
{
    size_t length;
    rocksdb_writebatch_data(((const struct rocksdb_batch *)base)->inner, &length);
    return length;
}

static void batch_clear(struct disk_batch *base)
{
    struct rocksdb_batch *batch = (struct rocksdb_batch *)base;
    if (batch_bytes(base) > BATCH_BYTES_KEPT) {
        rocksdb_writebatch_destroy(batch->inner);
        batch->inner = rocksdb_writebatch_create();
    } else {
        rocksdb_writebatch_clear(batch->inner);
    }
}

static void batch_put(struct disk_batch *base, unsigned family, struct bytes key,
                      struct bytes value)
{
    struct rocksdb_disk *disk = disk_of(base->disk);
    rocksdb_writebatch_t *inner = ((struct rocksdb_batch *)base)->inner;
    const char *key_data = (const char *)key.data;
    const char *value_data = value.length > 0 ? (const char *)value.data : "";
    if (disk->has_write_log) {
        rocksdb_writebatch_put_cf(inner, column_of(disk, family), key_data, key.length, value_data,
                                  value.length);
    } else {
        rocksdb_writebatch_putv_cf(inner, column_of(disk, family), 2,
                                   (const char *[]){&disk->prefixes[family], key_data},
                                   (size_t[]){1, key.length}, 1, &value_data, &value.length);
    }
}

static void batch_delete(struct disk_batch *base, unsigned family, struct bytes key)
{
    struct rocksdb_disk *disk = disk_of(base->disk);
    rocksdb_writebatch_t *inner = ((struct rocksdb_batch *)base)->inner;
    const char *key_data = (const char *)key.data;
    if (disk->has_write_log) {
        rocksdb_writebatch_delete_cf(inner, column_of(disk, family), key_data, key.length);
    } else {
        rocksdb_writebatch_deletev_cf(inner, column_of(disk, family), 2,
                                      (const char *[]){&disk->prefixes[family], key_data},
                                      (size_t[]){1, key.length});
    }
}

// Whatever RocksDB calls it, a write that failed is an IO error of unknown outcome.
static int settle_write(struct rocksdb_disk *disk, char *message)
{
    if (!message) {
        return 0;
    }
    rocksdb_free(message);
    atomic_store(&disk->has_failed, true);
    return ERR_IO;
}

static int write_with(struct rocksdb_disk *disk, const rocksdb_writeoptions_t *options,
                      struct disk_batch *batch)
{
    if (atomic_load(&disk->has_failed)) {
        return ERR_IO;
    }
    char *message = NULL;
    rocksdb_write(disk->db, options, ((struct rocksdb_batch *)batch)->inner, &message);
    return settle_write(disk, message);
}

static int disk_rocksdb_write(struct disk *base, struct disk_batch *batch)
{
    return write_with(disk_of(base), disk_of(base)->write_options, batch);
}

// One call instead of two: 6 - 21 % less time for a commit of one chunk.
static int disk_rocksdb_write_synced(struct disk *base, struct disk_batch *batch)
{
    struct rocksdb_disk *disk = disk_of(base);
    return disk->has_write_log ? write_with(disk, disk->synced_options, batch) : ERR_UNSUPPORTED;
}

static int disk_rocksdb_flush(struct disk *base)
{
    struct rocksdb_disk *disk = disk_of(base);
    if (atomic_load(&disk->has_failed)) {
        return ERR_IO;
    }
    char *message = NULL;
    for (unsigned column = 0; column < disk->columns_count && !message; column++) {
        rocksdb_flush_cf(disk->db, disk->flush_options, disk->columns[column], &message);
    }
    return settle_write(disk, message);
}

static int disk_rocksdb_sync(struct disk *base)
{
    struct rocksdb_disk *disk = disk_of(base);
    if (!disk->has_write_log) {
        return disk_rocksdb_flush(base);
    }
    if (atomic_load(&disk->has_failed)) {
        return ERR_IO;
    }
    char *message = NULL;
    rocksdb_flush_wal(disk->db, true, &message);
    return settle_write(disk, message);
}

// --- Reading

// The key as it is stored: `room` holds it if it needs a prefix.
static struct bytes stored_key(const struct rocksdb_disk *disk, unsigned family, struct bytes key,
                               uint8_t room[1 + DISK_KEY_BYTES_MAX])
{
    if (disk->has_write_log) {
        return key;
    }
    assert(key.length <= DISK_KEY_BYTES_MAX);
    room[0] = (uint8_t)family;
    if (key.length > 0) {
        memcpy(room + 1, key.data, key.length);
    }
    return bytes_of(room, 1 + key.length);
}

static int disk_rocksdb_get(struct disk *base, unsigned family, struct bytes key,
                            struct buffer *value)
{
    struct rocksdb_disk *disk = disk_of(base);
    uint8_t room[1 + DISK_KEY_BYTES_MAX];
    struct bytes stored = stored_key(disk, family, key, room);
    char *message = NULL;
    rocksdb_pinnableslice_t *found = rocksdb_get_pinned_cf(
        disk->db, disk->read_options[family][DISK_READ_POINT], column_of(disk, family),
        (const char *)stored.data, stored.length, &message);
    if (message) {
        return error_take(message);
    }
    if (!found) {
        return DISK_NOT_FOUND;
    }
    size_t length;
    const char *data = rocksdb_pinnableslice_value(found, &length);
    int result = buffer_append(value, bytes_of(data, length));
    rocksdb_pinnableslice_destroy(found);
    return result;
}

static int iterator_open(struct disk *base, unsigned family, enum disk_read_pattern pattern,
                         struct disk_iterator **iterator_out)
{
    struct rocksdb_disk *disk = disk_of(base);
    struct rocksdb_disk_iterator *iterator = malloc(sizeof *iterator);
    if (!iterator) {
        return ERR_MEMORY;
    }
    *iterator = (struct rocksdb_disk_iterator){
        .iterator.disk = base,
        .family = family,
        .inner = rocksdb_create_iterator_cf(disk->db, disk->read_options[family][pattern],
                                            column_of(disk, family)),
    };
    *iterator_out = &iterator->iterator;
    return 0;
}

static void iterator_close(struct disk_iterator *base)
{
    struct rocksdb_disk_iterator *iterator = (struct rocksdb_disk_iterator *)base;
    rocksdb_iter_destroy(iterator->inner);
    free(iterator);
}

static void iterator_seek(struct disk_iterator *base, struct bytes key)
{
    struct rocksdb_disk_iterator *iterator = (struct rocksdb_disk_iterator *)base;
    uint8_t room[1 + DISK_KEY_BYTES_MAX];
    struct bytes stored = stored_key(disk_of(base->disk), iterator->family, key, room);
    rocksdb_iter_seek(iterator->inner, (const char *)stored.data, stored.length);
}

static void iterator_seek_for_prev(struct disk_iterator *base, struct bytes key)
{
    struct rocksdb_disk_iterator *iterator = (struct rocksdb_disk_iterator *)base;
    uint8_t room[1 + DISK_KEY_BYTES_MAX];
    struct bytes stored = stored_key(disk_of(base->disk), iterator->family, key, room);
    rocksdb_iter_seek_for_prev(iterator->inner, (const char *)stored.data, stored.length);
}

static void iterator_seek_to_last(struct disk_iterator *base)
{
    rocksdb_iter_seek_to_last(((struct rocksdb_disk_iterator *)base)->inner);
}

static void iterator_next(struct disk_iterator *base)
{
    rocksdb_iter_next(((struct rocksdb_disk_iterator *)base)->inner);
}

static void iterator_previous(struct disk_iterator *base)
{
    rocksdb_iter_prev(((struct rocksdb_disk_iterator *)base)->inner);
}

static bool iterator_is_valid(const struct disk_iterator *base)
{
    return rocksdb_iter_valid(((const struct rocksdb_disk_iterator *)base)->inner);
}

static struct bytes iterator_key(const struct disk_iterator *base)
{
    size_t prefix_length = disk_of(base->disk)->has_write_log ? 0 : 1;
    size_t length;
    const char *data =
        rocksdb_iter_key(((const struct rocksdb_disk_iterator *)base)->inner, &length);
    assert(length >= prefix_length);
    return bytes_of(data + prefix_length, length - prefix_length);
}

static struct bytes iterator_value(const struct disk_iterator *base)
{
    size_t length;
    const char *data =
        rocksdb_iter_value(((const struct rocksdb_disk_iterator *)base)->inner, &length);
    return bytes_of(data, length);
}

static int iterator_status(const struct disk_iterator *base)
{
    char *message = NULL;
    rocksdb_iter_get_error(((const struct rocksdb_disk_iterator *)base)->inner, &message);
    return error_take(message);
}

// --- The rest

static uint64_t used_bytes(struct disk *base)
{
    DIR *directory = opendir(disk_of(base)->path);
    uint64_t used = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            used += (uint64_t)status.st_blocks * 512;
        }
    }
    if (directory) {
        closedir(directory);
    }
    return used;
}

static uint64_t free_bytes(struct disk *base)
{
    struct statvfs status;
    if (statvfs(disk_of(base)->path, &status) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)status.f_bavail * status.f_frsize;
}

static uint64_t memory_bytes(struct disk *base)
{
    struct rocksdb_disk *disk = disk_of(base);
    uint64_t total = rocksdb_cache_get_usage(disk->cache);
    for (unsigned column = 0; column < disk->columns_count; column++) {
        static const char *const NAMES[] = {"rocksdb.cur-size-all-mem-tables",
                                            "rocksdb.estimate-table-readers-mem"};
        for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
            uint64_t bytes = 0;
            if (rocksdb_property_int_cf(disk->db, disk->columns[column], NAMES[i], &bytes) == 0) {
                total += bytes;
            }
        }
    }
    return total;
}

static void disk_rocksdb_close(struct disk *base)
{
    struct rocksdb_disk *disk = disk_of(base);
    for (unsigned column = 0; column < disk->columns_count; column++) {
        if (disk->columns[column]) {
            rocksdb_column_family_handle_destroy(disk->columns[column]);
        }
    }
    if (disk->db) {
        rocksdb_close(disk->db);
    }
    for (unsigned family = 0; family < disk->families_count; family++) {
        rocksdb_readoptions_destroy(disk->read_options[family][DISK_READ_POINT]);
        rocksdb_readoptions_destroy(disk->read_options[family][DISK_READ_SCAN]);
    }
    rocksdb_writeoptions_destroy(disk->write_options);
    rocksdb_writeoptions_destroy(disk->synced_options);
    rocksdb_flushoptions_destroy(disk->flush_options);
    rocksdb_cache_destroy(disk->cache);
    free(disk->path);
    free(disk);
}

static const struct disk_ops ROCKSDB_OPS = {
    .name = "rocksdb",
    .batch_new = batch_new,
    .batch_free = batch_free,
    .batch_clear = batch_clear,
    .batch_put = batch_put,
    .batch_delete = batch_delete,
    .batch_bytes = batch_bytes,
    .write = disk_rocksdb_write,
    .sync = disk_rocksdb_sync,
    .write_synced = disk_rocksdb_write_synced,
    .get = disk_rocksdb_get,
    .iterator_open = iterator_open,
    .iterator_close = iterator_close,
    .iterator_seek = iterator_seek,
    .iterator_seek_for_prev = iterator_seek_for_prev,
    .iterator_seek_to_last = iterator_seek_to_last,
    .iterator_next = iterator_next,
    .iterator_previous = iterator_previous,
    .iterator_is_valid = iterator_is_valid,
    .iterator_key = iterator_key,
    .iterator_value = iterator_value,
    .iterator_status = iterator_status,
    .flush = disk_rocksdb_flush,
    .used_bytes = used_bytes,
    .free_bytes = free_bytes,
    .memory_bytes = memory_bytes,
    .close = disk_rocksdb_close,
};

// --- Options

static void set_durability(rocksdb_options_t *options, const struct disk_rocksdb_config *config)
{
    // The default mode drops everything behind one flipped byte without a word. Mode 0 refuses,
    // and accepts only what a crash leaves: a last record cut short.
    rocksdb_options_set_wal_recovery_mode(
        options, config->drop_torn_log ? rocksdb_point_in_time_recovery
                                       : rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_max_total_wal_size(options, WRITE_LOG_BYTES_MAX);
    rocksdb_options_set_paranoid_checks(options, true);
    // Each of these has had a fix for lost data after 7.8, or measurably hurts.
    rocksdb_options_set_manual_wal_flush(options, false);
    rocksdb_options_set_recycle_log_file_num(options, 0);
    rocksdb_options_set_WAL_ttl_seconds(options, 0);
    rocksdb_options_set_WAL_size_limit_MB(options, 0);
    rocksdb_options_set_wal_compression(options, rocksdb_no_compression);
    rocksdb_options_set_unordered_write(options, false);
    rocksdb_options_set_enable_pipelined_write(options, false);
    rocksdb_options_set_max_background_flushes(options, 1);
    rocksdb_options_set_max_background_compactions(options, 1);
}

static void set_housekeeping(rocksdb_options_t *options)
{
    // RocksDB's own log must stay silent: written to a full disk it aborts the process.
    rocksdb_options_set_info_log_level(options, LOG_LEVEL_NOTHING);
    rocksdb_options_set_keep_log_file_num(options, 1);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_max_manifest_file_size(options, MANIFEST_BYTES_MAX);
    rocksdb_options_set_max_open_files(options, TABLES_OPEN_MAX);
    rocksdb_options_set_skip_stats_update_on_db_open(options, true);
    rocksdb_options_set_create_missing_column_families(options, true);
}

static void set_tables(rocksdb_options_t *options, rocksdb_cache_t *cache, bool is_large)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, true);
    rocksdb_block_based_options_set_block_size(table,
                                               is_large ? BLOCK_BYTES_LARGE : BLOCK_BYTES_SMALL);
    rocksdb_block_based_options_set_whole_key_filtering(table, true);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
}

// Two buffers per column: one fills while the other is flushed. A flush of a column of large values
// becomes a table that is never rewritten, so these get most of the memory: small tables are many.
static void set_write_buffers(rocksdb_options_t *options, const struct disk_rocksdb_config *config,
                              bool is_large)
{
    unsigned large_count = (unsigned)__builtin_popcount(config->scan_family_mask);
    unsigned small_count = config->families_count + 1 - large_count;
    uint64_t share = config->write_buffer_bytes;
    if (config->has_write_log && large_count > 0) {
        share = is_large ? share / 4 * 3 / large_count : share / 4 / small_count;
    } else if (config->has_write_log) {
        share /= small_count;
    }
    uint64_t bytes = share / 2;
    rocksdb_options_set_write_buffer_size(
        options, bytes < WRITE_BUFFER_BYTES_MIN ? WRITE_BUFFER_BYTES_MIN : bytes);
    rocksdb_options_set_max_write_buffer_number(options, 2);
}

static rocksdb_options_t *options_new(const struct disk_rocksdb_config *config,
                                      rocksdb_cache_t *cache, bool is_large)
{
    rocksdb_options_t *options = rocksdb_options_create();
    set_durability(options, config);
    set_housekeeping(options);
    set_tables(options, cache, is_large);
    set_write_buffers(options, config, is_large);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    // Levels, and one compression on all of them: a table that overlaps nothing is moved down
    // without being rewritten. New chunks lie behind all others, so nearly all tables are.
    rocksdb_options_set_compaction_style(options, rocksdb_level_compaction);
    rocksdb_options_set_target_file_size_base(options, TABLE_BYTES);
    return options;
}

// The upper bound of family f is the prefix of the next one.
static rocksdb_readoptions_t *read_options_new(const struct rocksdb_disk *disk, unsigned family,
                                               enum disk_read_pattern pattern)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(options, true);
    rocksdb_readoptions_set_background_purge_on_iterator_cleanup(options, true);
    if (!disk->has_write_log) {
        rocksdb_readoptions_set_iterate_lower_bound(options, &disk->prefixes[family], 1);
        rocksdb_readoptions_set_iterate_upper_bound(options, &disk->prefixes[family + 1], 1);
    }
    switch (pattern) {
    case DISK_READ_POINT:
        break;
    case DISK_READ_SCAN:
        rocksdb_readoptions_set_fill_cache(options, false);
        rocksdb_readoptions_set_readahead_size(options, READ_AHEAD_BYTES);
        break;
    }
    return options;
}

// --- Opening

static bool has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text);
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

// Without the file CURRENT, RocksDB would take the directory for empty and delete its tables.
// And with a log level of its own invention it cannot write its options down: what is left of the
// attempt is removed here.
static int prepare_directory(const char *path, struct reason *reason)
{
    DIR *directory = opendir(path);
    if (!directory) {
        return errno == ENOENT ? 0 : reason_set(reason, ERR_IO, "%s: %s", path, strerror(errno));
    }
    bool has_current = false;
    bool has_data = false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        has_current |= strcmp(entry->d_name, "CURRENT") == 0;
        has_data |= has_suffix(entry->d_name, ".sst") || has_suffix(entry->d_name, ".log");
        if (strncmp(entry->d_name, "OPTIONS-", 8) == 0 && has_suffix(entry->d_name, ".dbtmp")) {
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    closedir(directory);
    if (has_data && !has_current) {
        return reason_set(reason, ERR_CORRUPT,
                          "%s/CURRENT is missing: restore it, or move the data directory away and "
                          "let this node fetch everything from its peers",
                          path);
    }
    return 0;
}

static int explain_corruption(const struct disk_rocksdb_config *config, const char *message,
                              struct reason *reason)
{
    struct write_log_damage damage;
    if (config->has_write_log && write_log_find_damage(config->path, &damage)) {
        if (config->drop_torn_log) {
            return reason_set(reason, ERR_CORRUPT,
                              "%s is damaged at byte %" PRIu64 " and later data is already in "
                              "tables: restore it, or move the data directory away and let this "
                              "node fetch everything from its peers (%s)",
                              damage.path, damage.offset, message);
        }
        return reason_set(reason, ERR_CORRUPT,
                          "%s is damaged at byte %" PRIu64 ": restore it, or start weir-server "
                          "--drop-torn-log to go on without what it holds from there (%s)",
                          damage.path, damage.offset, message);
    }
    return reason_set(reason, ERR_CORRUPT,
                      "%s is damaged: restore it, or move the data directory away and let this "
                      "node fetch everything from its peers (%s)",
                      config->path, message);
}

static int explain(const struct disk_rocksdb_config *config, char *message, struct reason *reason)
{
    int err = error_of(message);
    if (err == ERR_CORRUPT) {
        err = explain_corruption(config, message, reason);
    } else if (err == ERR_LOCKED) {
        err = reason_set(reason, err, "%s is in use by another process: stop that one first",
                         config->path);
    } else if (err == ERR_VERSION) {
        err = reason_set(reason, err, "%s was written by a newer weir: start that version (%s)",
                         config->path, message);
    } else {
        err = reason_set(reason, err, "cannot open %s: %s", config->path, message);
    }
    rocksdb_free(message);
    return err;
}

// Few shards: a filter over a million names takes 1.25 MB, and one that fits no shard is read again
// at every lookup (measured: 403 us an event instead of 8.7).
static rocksdb_cache_t *cache_new(uint64_t bytes)
{
    rocksdb_lru_cache_options_t *options = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(options, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(options, CACHE_SHARD_BITS);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(options);
    rocksdb_lru_cache_options_destroy(options);
    return cache;
}

static int open_database(struct rocksdb_disk *disk, const struct disk_rocksdb_config *config,
                         struct reason *reason)
{
    rocksdb_options_t *large = options_new(config, disk->cache, true);
    rocksdb_options_t *small = options_new(config, disk->cache, false);
    rocksdb_options_set_create_if_missing(small, true);
    const char *names[COLUMNS_MAX] = {"default"};
    const rocksdb_options_t *column_options[COLUMNS_MAX] = {small};
    for (unsigned column = 1; column < disk->columns_count; column++) {
        names[column] = config->families[column - 1];
        column_options[column] = config->scan_family_mask & 1U << (column - 1) ? large : small;
    }
    char *message = NULL;
    disk->db = rocksdb_open_column_families(small, config->path, (int)disk->columns_count, names,
                                            column_options, disk->columns, &message);
    rocksdb_options_destroy(large);
    rocksdb_options_destroy(small);
    return message ? explain(config, message, reason) : 0;
}

int disk_rocksdb_open(const struct disk_rocksdb_config *config, struct disk **disk_out,
                      struct reason *reason)
{
    assert(config->families_count > 0 && config->families_count <= DISK_FAMILIES_MAX);
    assert(config->scan_family_mask < 1U << config->families_count);
    int result = prepare_directory(config->path, reason);
    if (result) {
        return result;
    }
    struct rocksdb_disk *disk = calloc(1, sizeof *disk);
    char *path = strdup(config->path);
    if (!disk || !path) {
        free(disk);
        free(path);
        return reason_set(reason, ERR_MEMORY, "no memory to open %s", config->path);
    }
    disk->disk.ops = &ROCKSDB_OPS;
    disk->path = path;
    disk->has_write_log = config->has_write_log;
    disk->families_count = config->families_count;
    disk->columns_count = config->has_write_log ? config->families_count + 1 : 1;
    disk->cache = cache_new(config->block_cache_bytes);
    disk->flush_options = rocksdb_flushoptions_create();
    disk->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(disk->write_options, !config->has_write_log);
    disk->synced_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(disk->synced_options, true);
    for (unsigned family = 0; family <= DISK_FAMILIES_MAX; family++) {
        disk->prefixes[family] = (char)family;
    }
    for (unsigned family = 0; family < disk->families_count; family++) {
        disk->read_options[family][DISK_READ_POINT] =
            read_options_new(disk, family, DISK_READ_POINT);
        disk->read_options[family][DISK_READ_SCAN] = read_options_new(disk, family, DISK_READ_SCAN);
    }
    result = open_database(disk, config, reason);
    if (result) {
        disk_rocksdb_close(&disk->disk);
        return result;
    }
    *disk_out = &disk->disk;
    return 0;
}

int disk_rocksdb_destroy(const char *path, struct reason *reason)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_info_log_level(options, LOG_LEVEL_NOTHING);
    char *message = NULL;
    rocksdb_destroy_db(options, path, &message);
    rocksdb_options_destroy(options);
    if (!message) {
        return 0;
    }
    int result = reason_set(reason, ERR_IO, "cannot remove %s: %s", path, message);
    rocksdb_free(message);
    return result;
}
