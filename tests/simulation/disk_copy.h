// Copies of a machine's disks: what a clone of a virtual machine, or a restored backup, brings.
#pragma once

#include "storage/disk_memory.h"

// A medium with what the other one holds. Nobody may have it open.
struct disk_medium *disk_copy(struct disk_medium *from, unsigned families);
