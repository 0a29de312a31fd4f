// Finds where RocksDB's log of writes is damaged, because its errors do not name the file.
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct write_log_damage {
    char path[PATH_MAX];
    uint64_t offset; // of the damaged record
    uint64_t bytes;  // from there on, in this file and in newer ones
};

// Looks through the files NNNNNN.log of a database that is not open, oldest first. True: found a
// record that is neither whole nor merely cut short by the end of its file.
bool write_log_find_damage(const char *database_path, struct write_log_damage *damage_out);
