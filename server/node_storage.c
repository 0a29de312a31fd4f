// The order matters: the lock before anything is read, the identity before the log (a log without
// an identity is somebody else's), and the raised run number synced before anything is served. The
// index is derived: one that is damaged or of another version is removed and built again.
#include "server/node_storage.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <time.h>

#include "server/config/config.h"
#include "server/config/memory_budget.h"
#include "server/log/logger.h"
#include "storage/disk_rocksdb.h"
#include "storage/store.h"
#include "storage/write_log.h"

// At least twice the log of writes that may be lost (disk_rocksdb.c: 96 MiB), in chunks.
#define WALK_BYTES (256 * MIB)

#define RESERVE_BYTES_MIN (16 * MIB)
#define RESERVE_BYTES_MAX (1024 * MIB)

int node_storage_lock(struct node_storage *storage, const struct config *config,
                      struct reason *reason)
{
    return data_dir_open(config->data_dir, &storage->dir, reason);
}

// Who the node is in a cluster, the cluster will tell.
static int make_identity(struct identity *identity, struct reason *reason)
{
    *identity = (struct identity){0};
    if (uuid_random(&identity->node) != 0) {
        return reason_set(reason, ERR_IO, "the system gives no random numbers");
    }
    return 0;
}

// A directory that is a member keeps its actor and cluster: what was asked for, and not by default,
// must agree.
static int check_identity(struct identity *identity, const struct config *config,
                          struct logger *logger, struct reason *reason)
{
    if (identity->actor == 0) {
        memcpy(identity->cluster_name, config->cluster_name, sizeof identity->cluster_name);
        return 0;
    }
    if (config->actor_id != CONFIG_AUTO && config->actor_id != identity->actor) {
        return reason_set(reason, ERR_FOREIGN,
                          "%.100s belongs to actor %u, but actor %" PRIu64 " was asked for: start "
                          "with -A %u or without, or choose another directory with --data-dir",
                          config->data_dir, identity->actor, config->actor_id, identity->actor);
    }
    if (config->sources[CONFIG_CLUSTER_NAME].origin != CONFIG_FROM_DEFAULT &&
        strcmp(config->cluster_name, identity->cluster_name) != 0) {
        logger_write(logger, LOG_WARNING, "server",
                     "%s belongs to cluster %s and keeps that name; cluster_name %s is for new "
                     "directories",
                     config->data_dir, identity->cluster_name, config->cluster_name);
    }
    return 0;
}

static void say_identity(const struct identity *identity, struct logger *logger)
{
    char node[UUID_TEXT_LENGTH + 1];
    uuid_format(&identity->node, node);
    if (identity->actor == 0) {
        logger_write(logger, LOG_INFO, "server", "node %s, not yet in a cluster, run %" PRIu64,
                     node, identity->run);
    } else {
        logger_write(logger, LOG_INFO, "server", "node %s, actor %u, cluster %s, run %" PRIu64,
                     node, identity->actor, identity->cluster_name, identity->run);
    }
}

static int open_identity(struct node_storage *storage, const struct config *config,
                         struct logger *logger, struct reason *reason)
{
    struct identity *identity = &storage->identity;
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        return reason_set(reason, ERR_IO, "the system gives no random numbers");
    }
    int err = identity_read(storage->dir, identity, reason);
    if (err == IDENTITY_FRESH) {
        err = make_identity(identity, reason);
    }
    if (err == 0) {
        err = check_identity(identity, config, logger, reason);
    }
    if (err != 0) {
        return err;
    }
    identity_begin_run(identity, random);
    err = identity_write(storage->dir, identity, reason);
    if (err == 0) {
        say_identity(identity, logger);
    }
    return err;
}

int node_storage_save(void *context, const struct identity *identity)
{
    struct node_storage *storage = context;
    int err = identity_write(storage->dir, identity, NULL);
    if (err == 0) {
        storage->identity = *identity;
    }
    return err;
}

static int open_disks(struct node_storage *storage, const struct config *config,
                      const struct memory_budget *budget, struct logger *logger,
                      struct reason *reason)
{
    struct disk_rocksdb_config log = {
        .path = data_dir_log_path(storage->dir),
        .families = LOG_FAMILY_NAMES,
        .families_count = LOG_FAMILIES,
        .has_write_log = true,
        .drop_torn_log = config->drop_torn_log,
        .block_cache_bytes = budget->log_cache_bytes,
        .write_buffer_bytes = budget->log_write_bytes,
        .scan_family_mask = 1U << LOG_CHUNKS,
    };
    struct disk_rocksdb_config index = {
        .path = data_dir_index_path(storage->dir),
        .families = INDEX_FAMILY_NAMES,
        .families_count = INDEX_FAMILIES,
        .block_cache_bytes = budget->index_cache_bytes,
        .write_buffer_bytes = budget->index_write_bytes,
    };
    int err = disk_rocksdb_open(&log, &storage->log, reason);
    if (err != 0) {
        return err;
    }
    err = disk_rocksdb_open(&index, &storage->index, reason);
    if (err == ERR_CORRUPT || err == ERR_VERSION) {
        logger_write(logger, LOG_WARNING, "server", "the index is built again: %s", reason->text);
        err = disk_rocksdb_destroy(index.path, reason);
        if (err == 0) {
            err = disk_rocksdb_open(&index, &storage->index, reason);
        }
    }
    return err;
}

// disk_reserve_mb auto: a twentieth of the file system, within bounds.
static uint64_t reserve_bytes(const struct config *config)
{
    struct statvfs status;
    if (config->disk_reserve_mb != CONFIG_AUTO) {
        return config->disk_reserve_mb * MIB;
    }
    if (statvfs(config->data_dir, &status) != 0) {
        return RESERVE_BYTES_MAX;
    }
    uint64_t bytes = (uint64_t)status.f_blocks / 20 * (uint64_t)status.f_frsize;
    return bytes < RESERVE_BYTES_MIN   ? RESERVE_BYTES_MIN
           : bytes > RESERVE_BYTES_MAX ? RESERVE_BYTES_MAX
                                       : bytes;
}

static void report(const struct store_recovery *recovery, const struct timespec *begin,
                   struct logger *logger)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
    if (recovery->was_clean) {
        logger_write(logger, LOG_INFO, "server",
                     "store opened in %" PRId64 " ms, ids go on at %" PRIu64, ms,
                     recovery->counter_next);
    } else {
        logger_write(logger, LOG_INFO, "server",
                     "store recovered in %" PRId64 " ms after an unclean stop: %" PRIu64
                     " chunks checked, ids go on at %" PRIu64,
                     ms, recovery->chunks_walked, recovery->counter_next);
    }
    if (recovery->loss.text[0] != '\0') {
        logger_write(logger, LOG_WARNING, "server", "loss accepted: %s", recovery->loss.text);
    }
}

// Below, of this node's own events; those of others come from them again.
static void report_dropped(const struct node_storage *storage,
                           const struct write_log_damage *damage, struct logger *logger)
{
    struct store_status status;
    store_status(storage->store, &status);
    logger_write(logger, LOG_WARNING, "server",
                 "dropped what the write-ahead log held from byte %" PRIu64 " of %s on, %" PRIu64
                 " bytes: events of actor %u above counter %" PRIu64 " are lost, if there were any",
                 damage->offset, damage->path, damage->bytes, storage->identity.actor,
                 status.counter_next - 1);
}

int node_storage_open(struct node_storage *storage, const struct config *config,
                      const struct memory_budget *budget, uint64_t seed, struct logger *logger,
                      struct reason *reason)
{
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int err = open_identity(storage, config, logger, reason);
    struct write_log_damage dropped;
    bool is_dropping = err == 0 && config->drop_torn_log &&
                       write_log_find_damage(data_dir_log_path(storage->dir), &dropped);
    if (err == 0) {
        err = open_disks(storage, config, budget, logger, reason);
    }
    if (err != 0) {
        return err;
    }
    struct store_config store_config = {
        .actor = storage->identity.actor,
        .compress = config->compression == CONFIG_COMPRESSION_LZ4,
        .accept_loss = config->accept_loss,
        .has_peers = storage->has_peers,
        // An event takes more than a byte, so this is above all that were in it.
        .counters_dropped = is_dropping ? dropped.bytes : 0,
        .recent_bytes_max = budget->recent_bytes,
        .index_bytes_max = budget->indexer_bytes,
        .reserve_bytes = reserve_bytes(config),
        .walk_bytes = WALK_BYTES,
        .seed = seed,
    };
    struct store_recovery recovery = {0};
    err =
        store_open(&store_config, storage->log, storage->index, &storage->store, &recovery, reason);
    storage->was_clean = recovery.was_clean;
    if (err == 0) {
        report(&recovery, &begin, logger);
    }
    if (err == 0 && is_dropping) {
        report_dropped(storage, &dropped, logger);
    }
    return err;
}

static void close_disks(struct node_storage *storage)
{
    disk_close(storage->index);
    disk_close(storage->log);
    data_dir_close(storage->dir);
    *storage = (struct node_storage){0};
}

int node_storage_close(struct node_storage *storage)
{
    int err = storage->store == NULL ? 0 : store_close(storage->store);
    close_disks(storage);
    return err;
}

void node_storage_abandon(struct node_storage *storage)
{
    if (storage->store != NULL) {
        store_abandon(storage->store);
    }
    close_disks(storage);
}
