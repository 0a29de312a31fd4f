// Who this node is: the file `identity` and the file `lock` in the data directory, read and taken
// before anything else is opened.
#pragma once

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/model/uuid.h"

// A random one (version 4) from the system's source. ERR_IO.
int uuid_random(struct uuid *uuid_out) MUST_CHECK;

struct identity {
    char cluster_name[NAME_BYTES_MAX + 1];
    struct uuid cluster; // zero: none yet
    struct uuid node;
    uint16_t actor;                            // 0: none yet, joins a cluster or founds one
    uint64_t run;                              // raised and synced at each start
    uint64_t run_randoms[RUNS_REMEMBERED_MAX]; // of this run, of the one before, ...
    uint32_t run_randoms_count;
};

struct data_dir; // an open, locked data directory

// Creates the directory when missing (0700; its parent must exist), locks it. Errors name the path
// and the remedy: ERR_LOCKED (by which pid, where known), ERR_DENIED (read-only, no permission),
// ERR_FOREIGN (not empty and not ours), ERR_IO.
int data_dir_open(const char *path, struct data_dir **dir_out, struct reason *reason) MUST_CHECK;
void data_dir_close(struct data_dir *dir);
// "path/name", valid as long as dir; `name` is one of "log", "index".
const char *data_dir_log_path(const struct data_dir *dir);
const char *data_dir_index_path(const struct data_dir *dir);

// Positive outcome: a fresh directory, no identity yet.
enum { IDENTITY_FRESH = 1 };
// 0, IDENTITY_FRESH, ERR_VERSION (written by a newer weir), ERR_CORRUPT (the reason names the line;
// also a log without an identity: write the identity before the log is first opened), ERR_IO.
int identity_read(struct data_dir *dir, struct identity *identity_out,
                  struct reason *reason) MUST_CHECK;
// Replaces the file atomically (write, fsync, rename, fsync of the directory). ERR_INVALID (a
// cluster name that is empty or holds control characters), ERR_DENIED, ERR_IO.
int identity_write(struct data_dir *dir, const struct identity *identity,
                   struct reason *reason) MUST_CHECK;

// The next start: raises the run, and remembers `random` in front of those of earlier runs.
void identity_begin_run(struct identity *identity, uint64_t random);
