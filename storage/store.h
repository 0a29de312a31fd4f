// The log: appends are collected, committed in groups and published; everything a node holds is
// read back by position and filter. One implementation, over two disks (disk.h), as step
// functions: threads call them in production (store_threads.h), a scheduler in the simulator.
//
// Each loop owns a port. It submits through its port and takes completions from it after its wake
// function was called (from any thread; calls coalesce). Nothing completes inside the call that
// submits it. Nothing is acknowledged, readable or published before it is durable.
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/hash.h"
#include "proto/model/block.h"
#include "proto/model/event_id.h"
#include "proto/model/filter.h"
#include "proto/model/version_vector.h"

struct disk;
struct store;
struct store_port;

// The families of the two disks, in this order.
enum { LOG_CHUNKS, LOG_STRANDS, LOG_ARRIVALS, LOG_META, LOG_FAMILIES };
enum { INDEX_META, INDEX_NAMESPACES, INDEX_POSTINGS, INDEX_FAMILIES };
extern const char *const LOG_FAMILY_NAMES[LOG_FAMILIES];
extern const char *const INDEX_FAMILY_NAMES[INDEX_FAMILIES];

struct store_config {
    uint16_t actor;            // this node's; 0: none yet, see APPEND_ACTOR
    bool compress;             // LZ4 bodies
    bool accept_loss;          // open although the walk of the strands found a hole
    bool has_peers;            // the same: what is lost is pulled from them again
    uint64_t counters_dropped; // that may have been issued above the lease: see --drop-torn-log
    uint64_t recent_bytes_max; // the cache of recent blocks
    uint64_t index_bytes_max;  // memory of the indexer
    uint64_t reserve_bytes;    // free disk space below which produce is refused
    uint64_t walk_bytes;       // how much of each strand is walked after an unclean stop
    uint64_t seed;             // for keyed hashes
};

// What opening found, for the log file and for status.
struct store_recovery {
    bool was_clean;
    uint64_t chunks_walked;
    uint64_t counter_next; // where this node's ids go on
    struct reason loss;    // text not empty: all that is missing, accepted or to be pulled again
};

// Recovers (head check, walk of the strands, lease), syncs what was recovered, and reads the
// index's watermark; an index of another version or damaged is emptied and built again.
// Both disks stay the caller's. ERR_CORRUPT (a hole in a strand: the reason says exactly what is
// missing and names --accept-loss), ERR_VERSION, ERR_IO, ERR_MEMORY.
int store_open(const struct store_config *config, struct disk *log, struct disk *index,
               struct store **store_out, struct store_recovery *recovery_out,
               struct reason *reason) MUST_CHECK;

// Marks the log clean, sets the lease back to the clock, flushes the index. Everything submitted
// must have been taken, ports closed and threads stopped before. An error means "not clean".
int store_close(struct store *store) MUST_CHECK;

// Frees without marking anything: what a crash leaves behind.
void store_abandon(struct store *store);

// --- Ports -------------------------------------------------------------------------------------

typedef void store_wake(void *context); // called from other threads; must not block or call back

int store_port_open(struct store *store, store_wake *wake, void *context,
                    struct store_port **port_out) MUST_CHECK;
void store_port_close(struct store_port *port); // nothing may be outstanding

// Call after each wake, before taking completions: adopts the newest published state. Port state
// (vector, ordinal, fatal error) changes only here.
void store_port_refresh(struct store_port *port);

// Everything that was visible at the last refresh: as a set, and as the arrival ordinal of its
// newest chunk (0: none). Every chunk of an ordinal up to it is in the vector and no other.
const struct version_vector *store_port_vector(const struct store_port *port);
uint64_t store_port_ordinal(const struct store_port *port);

// 0, or the error (ERR_IO, ERR_CORRUPT) after which this store commits nothing any more: the
// outcome of what was in flight is unknown, the process must end.
int store_port_fatal(const struct store_port *port);

// --- Append ------------------------------------------------------------------------------------

// A run: events back to back that fit one chunk (at most CHUNK_EVENTS_MAX events and
// CHUNK_BODY_BYTES_CLOSE bytes, or one event). The submitter cuts its produce into runs while it
// validates, so that the commit never looks at single events.
//
// A run that no other will share a chunk with may come compressed (chunk_compress_body), so that
// the commit, which is one thread, need not: then it takes compressed_length bytes of the append.
struct append_run {
    uint32_t length;            // plain
    uint32_t compressed_length; // 0: it is plain
    uint16_t count;
};

enum append_kind {
    APPEND_PRODUCE, // events of this node, ids are assigned in the commit; atomic
    APPEND_CHUNKS,  // whole chunks of one other actor, validated, ending complete (open 0)
    APPEND_SYSTEM,  // as APPEND_PRODUCE; chunks of their own, with CHUNK_HAS_SYSTEM
    APPEND_RECORDS, // `records`: kept beside the log, synced (store_records)
    APPEND_PROMISE, // -> `first`: never again will a counter up to it be issued; `head`: where the
                    // strand up to it ends. Below the lease on the disk, after all before it.
    APPEND_ACTOR,   // this node has `actor` from now on, and ids above `first`; the lease is synced
    APPEND_YIELD,   // this node has no actor any more, if nothing was issued under the one it has
    APPEND_REPAIR,  // `bytes`: one chunk, to take the place of a damaged or missing one
    APPEND_HOLLOW,  // `actor`, `first`, `last`: lost everywhere; the strand goes on behind it.
                    // `bytes`: 16, the hash that the next chunk names; or none, for a range that
                    // is held
};

// Kept for the cluster, durable once the append is completed. An empty value removes the key.
struct append_record {
    struct bytes key; // 1 to 200 bytes
    struct bytes value;
};

// One append. The submitter owns the memory (it may be embedded) and must leave it alone from
// store_append until store_port_take_append returns it.
struct append {
    struct append *next;     // the store's
    struct store_port *port; // the store's
    enum append_kind kind;
    struct bytes bytes;            // the events or chunks, encoded
    const struct append_run *runs; // APPEND_PRODUCE
    uint32_t runs_count;
    uint32_t events;                     // how many events in all
    uint16_t actor;                      // ACTOR, HOLLOW; PRODUCE, SYSTEM: a result
    uint64_t last;                       // HOLLOW
    const struct append_record *records; // RECORDS
    uint32_t records_count;
    void *owner; // the submitter's
    // results
    int result;     // 0, STORE_DUPLICATE, STORE_GAP, STORE_FORK, STORE_ISSUED; ERR_FULL,
                    // ERR_UNKNOWN, ERR_CLOSED, ERR_LIMIT (counters from nowhere, or used up),
                    // ERR_INVALID; PRODUCE, SYSTEM: ERR_INVALID without an actor alone
    uint64_t first; // PRODUCE: counter of the first event, the others follow by 1; PROMISE
    uint64_t head;  // PROMISE
};

// REPAIR: it is whole already; what is behind it, and names its hash, is damaged too and comes
// first; it is not the chunk that was there (not of that place at all: ERR_INVALID). HOLLOW: it is
// held whole; it begins behind the head; its bounds or its hash are not the strand's. CHUNKS: all
// of them are held; something before them is not held; they contradict what is held (a chunk that
// overlaps, or whose `prev_hash` is not the hash of the chunk that it follows). YIELD: something
// was issued, here or in front of it.
enum { STORE_DUPLICATE = 1, STORE_GAP = 2, STORE_FORK = 4, STORE_ISSUED = 8 };

// Queues it; it is handed to the commit with the next store_port_flush at the latest.
void store_append(struct store_port *port, struct append *append);

// Hands over everything queued since the last flush: one lock, one wake-up. Once per loop turn.
void store_port_flush(struct store_port *port);

// The next completed append, in the order of submission of this port; NULL: none.
struct append *store_port_take_append(struct store_port *port);

// Raises the clock to a counter seen elsewhere (Lamport). One that is more than COUNTER_JUMP_MAX
// ahead of it, or above COUNTER_MAX, is passed over. Any thread.
void store_clock_raise(struct store *store, uint64_t counter);

// Whether produce should wait because the indexer is too far behind. Any thread.
bool store_is_congested(const struct store *store);

// Whether new chunks may be compressed, if the configuration wants it. Any thread.
void store_allow_compression(struct store *store, bool is_allowed);

// What strands end with, as of the port's last refresh; sorted by actor. Valid until the next one.
struct strand_end {
    uint16_t actor;
    uint64_t last;
    struct hash128 hash;
};
const struct strand_end *store_port_ends(const struct store_port *port, uint32_t *count_out);

// Every record (APPEND_RECORDS). Blocking; at a start. The callback's error ends it.
typedef int store_record_found(void *context, struct bytes key, struct bytes value);
int store_records(struct store *store, store_record_found *found, void *context) MUST_CHECK;

// Every event of that system namespace that can be read, in the order of their chunks' ids; of all
// namespaces that begin with it, if it ends in a slash. Blocking; at a start.
typedef int store_event_found(void *context, struct bytes space, struct event_id id,
                              struct bytes data);
int store_system_events(struct store *store, const char *name, store_event_found *found,
                        void *context) MUST_CHECK;

// The highest counter issued or stored; after an unclean stop, what was leased. Any thread.
uint64_t store_clock(const struct store *store);

// Damage that reads, the index or the scrub have found and that is not repaired yet: the next one
// after `after` in (actor, first) order. false: none. Any thread.
struct damaged_chunk {
    uint16_t actor;
    uint64_t first;
    uint64_t last; // of the strand's record; 0: not known
};
bool store_next_damage(struct store *store, struct damaged_chunk after,
                       struct damaged_chunk *damage_out);

// --- Read --------------------------------------------------------------------------------------

// The published block that holds the chunk with this arrival ordinal, from the cache of recent
// blocks, with a reference for the caller; NULL: not cached (older, or not yet published).
// Never blocks on a disk.
struct block *store_recent(struct store_port *port, uint64_t ordinal);

enum read_kind {
    READ_CANONICAL,  // events in canonical order: above `lower`, inside `upper`, after `position`
    READ_ARRIVAL,    // chunks in order of arrival: ordinals ordinal .. ordinal_end
    READ_EVENT,      // one event by `position`
    READ_LAST,       // where to start for the last `events_max` matching events inside `upper`
    READ_NEIGHBOR,   // the matching event next to `position`, in `direction`, inside `upper`
    READ_START,      // the vector of a start position
    READ_NAMESPACES, // a page of namespaces with what is in them
    READ_STRAND,     // whole chunks of position.actor above position.counter, ending complete; a
                     // block ends before a hollow range, and the next begins behind it: whoever
                     // pulls finds a gap there until it has made the range hollow too
    READ_CHUNK,      // the one chunk of position.actor that begins at position.counter
};

enum read_start {
    START_AFTER_ID, // -> the vector of everything up to and including `position`
    START_FROM_ID,  // -> the vector of everything before `position`
    START_TIME,     // -> the vector of everything before `time_ms`
    START_CURSOR,   // -> `lower`, after checking that its entries are ids of their strands
    START_STABLE,   // -> as START_AFTER_ID, lowered until no produce is cut in two
};

// One read, or a sequence of reads that go on from where the last one ended. The submitter owns
// the memory and leaves it alone from store_read until store_port_take_read returns it. Results
// are the submitter's to release; read_deinit releases everything.
struct read {
    struct read *next;       // the store's
    struct store_port *port; // the store's
    void *state;             // the store's: open iterators; see read_park
    enum read_kind kind;
    void *owner; // the submitter's

    // what to read
    struct filter *filter;       // CANONICAL, ARRIVAL, LAST, NEIGHBOR, NAMESPACES; a reference
                                 // that the read owns; NULL: everything, unfiltered
    struct version_vector lower; // CANONICAL: exclusive; START_CURSOR: the cursor
    struct version_vector upper; // CANONICAL, LAST, NEIGHBOR: inclusive; READ_START: bound
    struct event_id position;    // CANONICAL: everything up to it is done (advanced by reads);
                                 // EVENT, NEIGHBOR, READ_START, CHUNK: the id; STRAND: see there
                                 // (advanced by reads; the counter is 0 or the last of a chunk,
                                 // else STORE_NOT_FOUND), inside `upper`
    uint64_t ordinal;            // ARRIVAL: next to read (advanced by reads)
    uint64_t ordinal_end;        // ARRIVAL: last to read
    enum read_start start;
    uint64_t time_ms;         // START_TIME
    int direction;            // NEIGHBOR: -1 previous, +1 next
    uint64_t events_max;      // CANONICAL: stop after so many events; 0: no limit
    size_t bytes_max;         // CANONICAL, ARRIVAL: about how many bytes in this step
    bool slices_only;         // CANONICAL, ARRIVAL: the reader of these takes no encoded chunks
    struct buffer after_name; // NAMESPACES: names behind this one
    uint32_t page_max;        // NAMESPACES

    // results
    int result;           // 0, STORE_NOT_FOUND (EVENT, NEIGHBOR); ERR_*; ERR_CORRUPT names the
    struct reason reason; // chunk in reason
    struct block *block;  // CANONICAL, ARRIVAL, EVENT, NEIGHBOR: events; NULL: none this step
    bool done;            // CANONICAL, ARRIVAL, NAMESPACES: nothing more to read in bounds;
                          // LAST, NEIGHBOR: this is the answer, else submit it again
    struct version_vector vector; // CANONICAL, ARRIVAL: see below; READ_START: the answer
    struct event_id found;        // LAST: the first of the last N (none id: fewer than N exist);
                                  // EVENT, NEIGHBOR: the id
    struct buffer names; // NAMESPACES: namespace_row entries (namespace_row.h), back to back
    struct hash128 hash; // STRAND: of the chunk that ends at position, before the step; or zero
};
// A step of LAST or NEIGHBOR, too, ends after a bounded amount of work: then it has found nothing
// yet, and is not done.
//
// `vector` after a CANONICAL step: for each actor that the step passed, the last counter that is
// delivered or did not match (so: raise the cursor by it). Always ids of their strands. When
// `done`, everything in `upper` is passed. A step may pass many chunks without any match: it ends
// after a bounded amount of work, with block NULL and not done.

enum { STORE_NOT_FOUND = 3 };

void read_init(struct read *read, enum read_kind kind);
void read_deinit(struct read *read); // must not be in flight; closes what read_park would

// Submits a step; goes to a reader thread.
void store_read(struct store_port *port, struct read *read);

// The next completed read; NULL: none.
struct read *store_port_take_read(struct store_port *port);

// Gives back iterators between steps of a read that waits (no credit). The next step reopens.
void read_park(struct read *read);

// --- State -------------------------------------------------------------------------------------

struct store_status {
    uint64_t events;
    uint64_t bytes; // plain bytes of events' bodies
    uint64_t chunks;
    uint64_t namespaces;
    uint64_t disk_used_bytes;
    uint64_t disk_free_bytes;
    uint64_t memory_bytes; // caches, buffers, in flight
    uint64_t index_behind; // events
    uint64_t commits;
    uint64_t counter_next;
    bool is_full;            // disk reserve reached
    uint32_t corrupt_chunks; // found by reads since the start
    uint32_t damaged_chunks; // of those, not repaired yet
    uint32_t repaired_chunks;
    uint64_t scrub_checked; // chunks, in the round that runs
    uint64_t scrub_total;   // about, in a round
    uint64_t scrub_rounds;  // completed since the start
    struct reason last_corruption;
};
void store_status(struct store *store, struct store_status *status_out); // any thread

// --- Steps -------------------------------------------------------------------------------------
// Each does at most one unit of work and returns whether it did any. `now_ms` is the wall clock,
// UTC, for timestamps. Commit and index steps each belong to one thread at a time; read steps may
// run in several at once.

bool store_step_commit(struct store *store,
                       uint64_t now_ms); // collect, build, write, sync, publish
bool store_step_read(struct store *store);
bool store_step_index(struct store *store);
// Checks some chunks of some strand, body and chain; false: the round is over. One thread at a
// time.
bool store_step_scrub(struct store *store);

// Blocks until there may be work for that step, or store_interrupt was called.
void store_wait_commit(struct store *store);
void store_wait_read(struct store *store);
void store_wait_index(struct store *store);
void store_interrupt(struct store *store);
