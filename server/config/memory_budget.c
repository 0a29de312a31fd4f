// The table. Shares are 32nds of the total; a part that has no use for more has a ceiling, and what
// is above it goes to the block cache of the log, which serves readers of old events.
//
//   part            share   64 MB   512 MB   ceiling
//   log writes       8/32      16      128   256 MiB  more only makes flushes and restarts longer
//   log cache        4/32       8       64   none
//   index writes     2/32       4       32    64 MiB
//   index cache      2/32       4       32   256 MiB
//   indexer          4/32       8       64   256 MiB
//   recent           4/32       8       64   512 MiB  unless recent_cache_mb says otherwise
//   connections      4/32       8       64   none
//   process          4/32       8       64   512 MiB
#include "server/config/memory_budget.h"

#include <assert.h>

#include "proto/base/limits.h"

enum { SHARES = 32 };

static uint64_t share(uint64_t total, uint64_t shares, uint64_t ceiling, uint64_t *spare)
{
    uint64_t bytes = total / SHARES * shares;
    if (bytes > ceiling) {
        *spare += bytes - ceiling;
        bytes = ceiling;
    }
    return bytes;
}

struct memory_budget memory_budget_divide(uint64_t total_bytes, uint64_t recent_bytes)
{
    assert(total_bytes >= MEMORY_BYTES_MIN);
    struct memory_budget budget = {.total_bytes = total_bytes};
    uint64_t spare = 0;
    uint64_t total = total_bytes;
    if (recent_bytes == UINT64_MAX) {
        budget.recent_bytes = share(total, 4, 512 * MIB, &spare);
    } else {
        // What is asked for is taken off first, the others share the rest as if it were the
        // 28/32 that they have otherwise.
        budget.recent_bytes = recent_bytes < total / 2 ? recent_bytes : total / 2;
        total = (total - budget.recent_bytes) / (SHARES - 4) * SHARES;
    }
    budget.log_write_bytes = share(total, 8, 256 * MIB, &spare);
    budget.index_write_bytes = share(total, 2, 64 * MIB, &spare);
    budget.index_cache_bytes = share(total, 2, 256 * MIB, &spare);
    budget.indexer_bytes = share(total, 4, 256 * MIB, &spare);
    budget.connections_bytes = share(total, 4, UINT64_MAX, &spare);
    budget.process_bytes = share(total, 4, 512 * MIB, &spare);
    budget.log_cache_bytes = share(total, 4, UINT64_MAX, &spare) + spare;
    return budget;
}

static void print_part(FILE *out, const char *name, uint64_t bytes)
{
    fprintf(out, "#   %-14s %8.1f MiB\n", name, (double)bytes / (double)MIB);
}

void memory_budget_print(const struct memory_budget *budget, FILE *out)
{
    fprintf(out, "# memory, %.0f MiB:\n", (double)budget->total_bytes / (double)MIB);
    print_part(out, "log writes", budget->log_write_bytes);
    print_part(out, "log cache", budget->log_cache_bytes);
    print_part(out, "index writes", budget->index_write_bytes);
    print_part(out, "index cache", budget->index_cache_bytes);
    print_part(out, "indexer", budget->indexer_bytes);
    print_part(out, "recent events", budget->recent_bytes);
    print_part(out, "connections", budget->connections_bytes);
    print_part(out, "process", budget->process_bytes);
}
