// What a node keeps on disk, opened and closed in order: the data directory, who the node is, the
// two databases, the store over them.
#pragma once

#include "storage/identity.h"

struct config;
struct logger;
struct memory_budget;
struct disk;
struct store;

// Zero-initialised is closed.
struct node_storage {
    struct data_dir *dir;
    struct identity identity;
    struct disk *log;
    struct disk *index;
    struct store *store;
    bool was_clean; // the last stop
    bool has_peers; // set before it is opened: what is lost can come again from other nodes
};

// Takes the data directory: nothing else may use it. See data_dir_open.
int node_storage_lock(struct node_storage *storage, const struct config *config,
                      struct reason *reason) MUST_CHECK;

// Reads or makes the identity, raises its run, and opens the store. Says in the log what it found.
// Errors name the file or flag and the remedy.
int node_storage_open(struct node_storage *storage, const struct config *config,
                      const struct memory_budget *budget, uint64_t seed, struct logger *logger,
                      struct reason *reason) MUST_CHECK;

// Writes the identity and syncs it; `context` is the storage. ERR_INVALID, ERR_DENIED, ERR_IO.
int node_storage_save(void *context, const struct identity *identity) MUST_CHECK;

// Closes everything that is open. An error: the store could not be closed cleanly; the next start
// recovers.
int node_storage_close(struct node_storage *storage) MUST_CHECK;
// The same for a store that something may still be in flight in: marks nothing.
void node_storage_abandon(struct node_storage *storage);
