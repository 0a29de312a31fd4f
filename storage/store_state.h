// The inside of a store, shared by the files of the log and nobody else.
//
// Who owns what: the fields of `commit` belong to the committing thread; `queue` is appends on
// their way to it; `published` is what everybody may see, with the completions of ports; `reads`
// is the queue of the readers. Locks are never nested, but for published.lock inside none.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "storage/damage.h"
#include "storage/disk.h"
#include "storage/heads.h"
#include "storage/index.h"
#include "storage/recent.h"
#include "storage/store.h"
#include "storage/strand_ends.h"

enum { LOG_FORMAT = 1 };

#define META_FORMAT "format"
#define META_LEASE "lease"
#define META_CLEAN "clean"
#define META_TOTALS "totals"
#define META_SCRUB "scrub"
#define META_RECORD "record/"
enum { RECORD_PREFIX_LENGTH = 7, RECORD_KEY_BYTES_MAX = 200 };
#define META_SYSTEM "system/" // and the key of a chunk with CHUNK_HAS_SYSTEM
enum { SYSTEM_PREFIX_LENGTH = 7 };

struct totals {
    uint64_t events;
    uint64_t bytes;
    uint64_t chunks;
};
enum { TOTALS_LENGTH = 24 };

// A first-in first-out list of appends or reads, linked through their `next`.
struct append_list {
    struct append *first;
    struct append **end;
};
struct read_list {
    struct read *first;
    struct read **end;
};

static inline void append_list_init(struct append_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static inline void append_list_add(struct append_list *list, struct append *append)
{
    append->next = NULL;
    *list->end = append;
    list->end = &append->next;
}

static inline struct append *append_list_take(struct append_list *list)
{
    struct append *append = list->first;
    if (append != NULL) {
        list->first = append->next;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return append;
}

// Moves everything of `from` behind what `to` holds.
static inline void append_list_move(struct append_list *to, struct append_list *from)
{
    if (from->first != NULL) {
        *to->end = from->first;
        to->end = from->end;
        append_list_init(from);
    }
}

static inline void read_list_init(struct read_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static inline void read_list_add(struct read_list *list, struct read *read)
{
    read->next = NULL;
    *list->end = read;
    list->end = &read->next;
}

static inline struct read *read_list_take(struct read_list *list)
{
    struct read *read = list->first;
    if (read != NULL) {
        list->first = read->next;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return read;
}

struct store_port {
    struct store *store;
    struct store_port *next;
    store_wake *wake;
    void *context;

    // the owner's thread
    struct append_list submitted; // since the last flush
    uint64_t submitted_bytes;
    struct append_list taken; // completed, adopted at the last refresh
    struct read_list reads_taken;
    struct version_vector vector;
    struct strand_ends ends;
    uint64_t ordinal;
    int fatal;

    // under published.lock
    struct append_list appends_done;
    struct read_list reads_done;
};

struct store {
    struct store_config config;
    struct disk *log;
    struct disk *index_disk;
    struct index *index;
    struct recent recent;
    struct damage damage;

    struct {
        struct heads heads;
        uint64_t clock;   // highest counter issued or stored
        uint64_t lease;   // counters up to it may be issued: it is on the disk
        uint64_t ordinal; // of the newest chunk written
        struct totals totals;
        struct disk_batch *batch;
        struct disk_batch *lease_batch;
        bool must_write;              // the batch holds something
        struct version_vector vector; // what will be published
        struct commit_undo *undo;
        struct buffer body; // scratch: the body of the chunk being built
        void *compress_state;
        struct append_list appends; // of the commit being built
        struct block **blocks;      // of the commit being built
        size_t blocks_count;
        size_t blocks_capacity;
    } commit;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct append_list appends;
        bool interrupted;
    } queue;

    struct {
        pthread_mutex_t lock;
        struct store_port *ports;
        struct version_vector vector;
        struct strand_ends ends;
        uint32_t scrub_actor; // where the scrub goes on after a start
        uint64_t scrub_last;
        uint64_t ordinal;
        struct totals totals;
        uint64_t commits;
        int fatal;
    } published;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct read_list waiting;
        bool interrupted;
    } reads;

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct read_list waiting; // pages of namespaces that wait for a flush
        bool has_news;            // something was published since the last step
        bool is_wanted;           // a reader waits
        atomic_bool is_broken;    // a write failed: reads scan, the next start rebuilds
        bool interrupted;
        struct buffer scratch;
        struct buffer chunk;       // what has left the recent blocks is read from the disk
        bool must_retry;           // there was no memory
        bool is_flush_due;         // something has waited long enough
        struct timespec flush_due; // monotonic; tv_sec 0: nothing waits
        uint64_t unflushed_events; // added since the last flush
    } indexer;

    struct {
        uint32_t actor; // of the strand that is being checked; beyond the last: the round ends
        uint64_t last;  // up to here it was
        bool has_hash;
        struct hash128 hash; // of the chunk that ends there
        struct buffer chunk;
        unsigned steps_unsaved;
        atomic_bool is_save_due; // the next commit writes down where it is, under published.lock
        atomic_uint_fast64_t checked; // chunks, in this round
        atomic_uint_fast64_t rounds;
    } scrub;

    atomic_uint_fast64_t clock;          // highest counter issued or stored, as of the last commit
    atomic_uint_fast64_t lease;          // counters up to it may be issued
    atomic_uint_fast64_t clock_seen;     // counters seen elsewhere
    atomic_uint_fast64_t appended_bytes; // queued and in commit
    atomic_uint_fast64_t index_behind;   // events published, not yet found by readers of the index
    atomic_bool is_full;
    atomic_bool may_not_compress; // somebody in the cluster could not read it
};

// --- recovery.c: what a log says of itself ------------------------------------------------------

int store_recover(struct store *store, struct store_recovery *recovery, bool *lost_out,
                  struct reason *reason) MUST_CHECK;
void totals_encode(const struct totals *totals, uint8_t out[TOTALS_LENGTH]);
// Sets the lease back to the clock and says that the log was closed as it should be.
int store_mark_clean(struct store *store) MUST_CHECK;

// --- strand.c: finding chunks ------------------------------------------------------------------

struct chunk_place {
    uint16_t actor;
    uint64_t first;
    struct strand_record record;
};

enum { STRAND_NONE = 1 };

// The chunk at the iterator, if it is of `actor`. 0, STRAND_NONE, ERR_*.
int strand_at(const struct disk_iterator *strands, uint16_t actor,
              struct chunk_place *place_out) MUST_CHECK;
// The chunk of `actor` that holds `counter`, or the last before it. 0, STRAND_NONE, ERR_*.
int strand_find(struct disk_iterator *strands, uint16_t actor, uint64_t counter,
                struct chunk_place *place_out) MUST_CHECK;
// The first chunk of `actor` with first >= counter. 0, STRAND_NONE, ERR_*.
int strand_find_from(struct disk_iterator *strands, uint16_t actor, uint64_t counter,
                     struct chunk_place *place_out) MUST_CHECK;

// The chain hash of the chunk of `actor` that begins at `first`, and its place. 0, STRAND_NONE
// (none begins there), ERR_CORRUPT (missing or damaged; the place is set; not counted), ERR_*.
int strand_chunk_hash(struct store *store, uint16_t actor, uint64_t first,
                      struct chunk_place *place_out, struct hash128 *hash_out) MUST_CHECK;

// Appends the chunk to `out` and verifies it. A chunk that should be there and is not, or that is
// damaged, is ERR_CORRUPT, with a reason that names it, and counted.
int chunk_load(struct store *store, uint16_t actor, uint64_t first, struct buffer *out,
               struct chunk_header *header_out, struct reason *reason) MUST_CHECK;
// Header and body check of bytes found under that key, the same way.
int chunk_check(struct store *store, uint16_t actor, uint64_t first, struct bytes bytes,
                struct chunk_header *header_out, struct reason *reason) MUST_CHECK;
// The same for whoever does not count it.
bool chunk_is_sound(uint16_t actor, uint64_t first, struct bytes bytes,
                    struct chunk_header *header_out);
int store_corrupt(struct store *store, uint16_t actor, uint64_t first, struct reason *reason);

// --- commit_cluster.c ----------------------------------------------------------------------------

// Changes which actor this node is; the committing thread's.
void actor_set(struct store *store, uint16_t actor);

// --- indexer.c ---------------------------------------------------------------------------------

// What the index passed over before the last stop is still to be remembered. ERR_*.
int store_load_passed(struct store *store) MUST_CHECK;

// --- source.c ----------------------------------------------------------------------------------

// A cursor of the index, with the chunks that the index passed over (struct damaged_chunk, sorted
// by first and actor): what they hold is not among its hits. Outcomes of index_cursor_open.
int index_open_with_passed(struct store *store, const struct filter *filter,
                           struct index_cursor **cursor_out, struct version_vector *watermark_out,
                           struct buffer *passed_out) MUST_CHECK;

// --- scrub.c -----------------------------------------------------------------------------------

void scrub_deinit(struct store *store);
// Where the scrub goes on after a start: read at one, and written in passing by commits.
int scrub_load(struct store *store) MUST_CHECK;
void scrub_save(struct store *store, struct disk_batch *batch);
void scrub_status(struct store *store, struct store_status *status);

// --- read_*.c: one step of each kind; result in the read ----------------------------------------

// What a read keeps between steps begins with how to free it.
struct read_state {
    void (*free)(struct read_state *state);
};

int read_step_canonical(struct store *store, struct read *read) MUST_CHECK;
int read_step_arrival(struct store *store, struct read *read) MUST_CHECK;
int read_step_event(struct store *store, struct read *read) MUST_CHECK;
int read_step_last(struct store *store, struct read *read) MUST_CHECK;
int read_step_neighbor(struct store *store, struct read *read) MUST_CHECK;
int read_step_start(struct store *store, struct read *read) MUST_CHECK;
int read_step_namespaces(struct store *store, struct read *read) MUST_CHECK;
int read_step_strand(struct store *store, struct read *read) MUST_CHECK;
int read_step_chunk(struct store *store, struct read *read) MUST_CHECK;
int read_step_stable(struct store *store, struct read *read) MUST_CHECK;

// The vector of everything at or before `id` in canonical order (strictly before: `exclusive`),
// inside `upper`. Its entries are ids of their strands.
int vector_up_to(struct store *store, struct event_id id, bool exclusive,
                 const struct version_vector *upper, struct version_vector *out) MUST_CHECK;

// Slices of single events of one chunk into a new block.
int block_of_event(const struct chunk_header *header, struct bytes chunk, uint64_t positions,
                   struct block **block_out) MUST_CHECK;

// --- port.c ------------------------------------------------------------------------------------

// Completes a read towards its port and wakes it.
void store_complete_read(struct store *store, struct read *read);
void store_wake_ports(struct store *store);
void store_signal_index(struct store *store);
