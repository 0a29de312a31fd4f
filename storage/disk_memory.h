// A disk in memory that keeps written and synced apart, so that tests and the simulator can crash
// it: what was not synced is dropped from the end, at a batch chosen by the caller.
#pragma once

#include "storage/disk.h"

// The contents outlive the disk handles opened over them, as a medium outlives a process.
struct disk_medium;

struct disk_medium *disk_medium_new(void); // NULL: no memory
void disk_medium_free(struct disk_medium *medium);

// Opens a disk with `families` families over the medium (empty at first). One handle at a time.
int disk_memory_open(struct disk_medium *medium, unsigned families,
                     struct disk **disk_out) MUST_CHECK;

// How many batches are written and not yet synced.
size_t disk_medium_unsynced(const struct disk_medium *medium);

// Crash: the last `dropped` unsynced batches never happened. The handle must be closed before.
void disk_medium_crash(struct disk_medium *medium, size_t dropped);

// Faults. The n-th call from now (1: the next) of write, sync or get/iterator move fails with
// ERR_IO; 0 disarms. A failed write or sync leaves the batch on the medium or not, as `survives`.
enum disk_fault { DISK_FAULT_WRITE, DISK_FAULT_SYNC, DISK_FAULT_READ };
void disk_medium_fail(struct disk_medium *medium, enum disk_fault fault, uint64_t nth,
                      bool survives);

// Damage: flips one bit of the value under key, or removes the key. DISK_NOT_FOUND.
int disk_medium_flip(struct disk_medium *medium, unsigned family, struct bytes key, size_t bit);
int disk_medium_remove(struct disk_medium *medium, unsigned family, struct bytes key);

// Sets what disk_free_bytes reports.
void disk_medium_set_free(struct disk_medium *medium, uint64_t bytes);
