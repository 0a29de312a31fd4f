// What the files of the index share. The writer's fields belong to the indexing thread; readers of
// any thread see a view: the state on the disk and the tail in memory, immutable, counted.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "storage/disk.h"
#include "storage/index.h"
#include "storage/name_table.h"
#include "storage/posting.h"
#include "storage/store.h"

enum {
    GROUP_MEMBERS = POSTING_MEMBERS_MAX,
    GROUP_BITMAP_WORDS = GROUP_MEMBERS / 64,
};

// --- State (index_state.c) ---------------------------------------------------------------------

// A window that some part touched which is not yet in every group's summary.
struct window_mark {
    uint64_t window;
    uint32_t part_last; // the newest part that touched it
};

// What is on the disk: the value under INDEX_STATE_KEY.
struct index_state {
    uint64_t ordinal; // watermark: every chunk up to it is in
    uint32_t parts;   // so far; keys of this part or a later one are leftovers of a crash
    uint32_t names;   // namespaces so far; names with this number or a later one are leftovers
    uint64_t events;
    uint64_t chunks;
    uint32_t fold_group; // whose summary is brought up to date next
    uint32_t fold_start; // parts when the current round over the groups began
    uint32_t fold_floor; // every summary holds the parts below it
    uint32_t marks_count;
    uint32_t marks_capacity;
    struct window_mark *marks; // ascending
    struct version_vector vector;
};

// Announces a part before its first key. After a crash in it, exactly this part is written again:
// numbers and parts follow from the order of arrival, so every leftover key is written over.
struct index_intent {
    uint32_t part;
    uint64_t ordinal;     // last chunk of the part
    uint64_t vector_hash; // of the vector with it
};

extern const struct bytes INDEX_STATE_KEY;
extern const struct bytes INDEX_INTENT_KEY;
extern const struct bytes INDEX_NOTE_KEY;

void index_state_deinit(struct index_state *state);
int index_state_copy(struct index_state *to, const struct index_state *from) MUST_CHECK;
int index_state_encode(const struct index_state *state, struct buffer *out) MUST_CHECK;
// ERR_CORRUPT, ERR_VERSION, ERR_MEMORY; *state is zeroed or a former state.
int index_state_decode(struct bytes bytes, struct index_state *state) MUST_CHECK;
// Adds a window, or raises its part.
int index_state_mark(struct index_state *state, uint64_t window, uint32_t part) MUST_CHECK;
// Drops the marks that every summary holds.
void index_state_prune(struct index_state *state);

int index_intent_encode(const struct index_intent *intent, struct buffer *out) MUST_CHECK;
int index_intent_decode(struct bytes bytes, struct index_intent *intent_out) MUST_CHECK;
int index_vector_hash(const struct version_vector *vector, uint64_t *hash_out) MUST_CHECK;

// --- Accumulating (index_accumulator.c) --------------------------------------------------------

struct event_record {
    uint32_t number; // of its namespace
    uint32_t place;  // position in its chunk; sorted: chunk << 6 | position
    uint32_t bytes;
};

struct chunk_record {
    uint64_t first;
    uint64_t timestamp_ms;
    uint32_t events_at; // its records
    uint16_t actor;
    uint16_t count;
};

// Everything added since the last part, in order of arrival.
struct accumulator {
    struct event_record *events;
    struct chunk_record *chunks;
    size_t events_count;
    size_t events_capacity;
    size_t chunks_count;
    size_t chunks_capacity;
    uint64_t ordinal;
    struct version_vector vector;
    bool is_window_full; // the last chunk ends its window
};

void accumulator_deinit(struct accumulator *added);
void accumulator_clear(struct accumulator *added); // ordinal and vector stay
// Makes room for one chunk more.
int accumulator_reserve(struct accumulator *added, size_t events) MUST_CHECK;
uint64_t accumulator_bytes(const struct accumulator *added);

// In order of chunk keys.
void chunk_records_sort(struct chunk_record *chunks, size_t count);
// The events of `chunks` by number, and of one number by chunk and position; in one of the buffers
// a and b, which have room for them. `events` is the accumulator's.
struct event_record *event_records_sort(const struct event_record *events,
                                        const struct chunk_record *chunks, size_t chunks_count,
                                        struct event_record *a, struct event_record *b);

// --- Tail (index_tail.c) -----------------------------------------------------------------------

// A run of chunks that are added and not on the disk, sorted and immutable.
struct tail_segment {
    atomic_uint references;
    size_t events_count;
    size_t chunks_count;
    struct event_record *events;
    struct chunk_record *chunks;
};

enum { TAIL_SEGMENTS_MAX = 32 };

// What readers see. In `state`, ordinal, names, events, chunks and vector include the tail.
struct index_view {
    uint32_t references; // under the index's lock
    uint32_t segments_count;
    struct index_state state;
    struct tail_segment *segments[TAIL_SEGMENTS_MAX]; // each more than twice the next
};

int tail_segment_new(const struct accumulator *added, size_t chunks_from,
                     struct tail_segment **segment_out) MUST_CHECK;
struct tail_segment *tail_segment_ref(struct tail_segment *segment);
void tail_segment_unref(struct tail_segment *segment);

// Merges what the tail holds of a namespace into *totals.
void index_tail_totals(const struct index_view *view, uint32_t number,
                       struct posting_totals *totals);

// Appends the namespace's hits (struct index_hit) in no order.
int index_tail_hits(const struct index_view *view, uint32_t number, struct buffer *hits) MUST_CHECK;

// --- The index ---------------------------------------------------------------------------------

// Buffers that writing a part needs, kept for the next.
struct part_scratch {
    struct event_record *events[2];
    size_t events_capacity;
    struct posting_touch *touches;
    size_t touches_capacity;
    struct posting_builder shared;
    struct posting_builder own;
    struct buffer value;
    struct disk_batch *batch;
    uint32_t batch_keys;
};

struct index {
    struct disk *disk;
    uint64_t memory_bytes_max;
    uint64_t seed;
    uint32_t part_events_min; // a part is written at the end of a window from here on
    uint32_t part_events_max; // and anyway from here on
    int failed;               // a failed write: nothing goes on
    struct index_state state; // on the disk
    struct accumulator added;
    struct part_scratch scratch;
    uint64_t redo_ordinal; // a part up to here was cut by a crash and is the next; 0: none
    uint64_t redo_vector_hash;
    struct name_table known;   // names on the disk, as many as there is memory for
    struct name_table fresh;   // names that are not
    struct buffer fresh_names; // their texts in order of number: length (2), text
    uint32_t names_next;
    bool known_is_complete; // every name is in one of the tables
    struct buffer number_value;
    pthread_mutex_t lock; // view and the references of views
    struct index_view *view;
    _Atomic uint64_t ordinal;
    _Atomic uint64_t namespaces;
    _Atomic uint64_t memory_bytes;
};

void index_account(struct index *index); // memory_bytes

// index_batch.c: writes of at most so many keys, in order.
int index_batch_put(struct index *index, unsigned family, struct bytes key,
                    struct bytes value) MUST_CHECK;
int index_batch_write(struct index *index) MUST_CHECK;

// index_part.c: writes everything accumulated as the next part, and the state with it.
int index_part_write(struct index *index) MUST_CHECK;

// index_view.c
struct index_view *index_view_take(struct index *index);
void index_view_release(struct index *index, struct index_view *view); // NULL is fine
// A view, and an iterator over postings whose summaries do not count more than the view's parts.
int index_view_take_summed(struct index *index, struct index_view **view_out,
                           struct disk_iterator **postings_out) MUST_CHECK;
// The view of now: the state and the first `segments_count` segments of `old`, one reference.
int index_view_new(const struct index *index, const struct index_view *old, uint32_t segments_count,
                   struct index_view **view_out) MUST_CHECK;
void index_view_publish(struct index *index, struct index_view *view); // takes the reference

// --- Numbers (index_numbers.c) -----------------------------------------------------------------

// The number of a name, a new one if it is new. ERR_MEMORY, ERR_IO, ERR_CORRUPT, ERR_LIMIT.
int index_number(struct index *index, struct bytes name, const struct hash128 *hash,
                 uint32_t *number_out) MUST_CHECK;
// Puts the fresh names into the batch; and, once that is written, among the known.
int index_numbers_put(struct index *index) MUST_CHECK;
int index_numbers_settle(struct index *index) MUST_CHECK;
// The value under a name. ERR_CORRUPT.
int index_number_decode(struct bytes value, uint32_t *number_out) MUST_CHECK;

// --- Names (index_names.c) ---------------------------------------------------------------------

// Walks the names that match a filter, in byte order, passing over what no pattern can match.
// `filter` NULL: all.
struct name_walk {
    struct disk_iterator *iterator;
    const struct filter *filter;
    uint32_t names; // numbers below it exist
    uint64_t examined;
    uint64_t examined_max;
    bool is_begun;
};

// Positive outcomes.
enum {
    NAME_WALK_END = 1,
    NAME_WALK_PAUSE = 2, // examined_max names were looked at; the walk stands at one of them
};

int name_walk_open(struct name_walk *walk, struct disk *disk, const struct filter *filter,
                   uint32_t names, uint64_t examined_max) MUST_CHECK;
void name_walk_close(struct name_walk *walk);
// The next call looks for names behind `name` (empty: from the first).
void name_walk_seek(struct name_walk *walk, struct bytes name);
// 0, a positive outcome, or ERR_*. *name_out is a view until the next call; PAUSE sets it too.
int name_walk_next(struct name_walk *walk, struct bytes *name_out, uint32_t *number_out) MUST_CHECK;

// --- Groups (index_group.c) --------------------------------------------------------------------

// A walk over the blocks of one group, window by window. `iterator` is over postings.
struct group_walk {
    struct disk_iterator *iterator;
    const uint64_t *wanted; // members; NULL: all
    uint32_t group;
    uint32_t part_from; // blocks of these parts
    uint32_t part_end;
    int (*section)(void *context, uint8_t member, const struct posting_block *block,
                   struct bytes bytes);
    void *context;
    bool is_between; // the iterator stands right behind the last window, or before it
};

// Gives the sections of the wanted members in the next window from `window` on (previous: down)
// to `section`, in no order. 0 (*window_out; perhaps nothing in it was wanted), GROUP_END, ERR_*.
// A walk goes in one direction.
enum { GROUP_END = 1 };
int group_walk_next(struct group_walk *walk, uint64_t window, uint64_t *window_out) MUST_CHECK;
int group_walk_previous(struct group_walk *walk, uint64_t window, uint64_t *window_out) MUST_CHECK;
// Gives only the windows of `marks`, ascending, that were touched by part_from or later.
int group_walk_marks(struct group_walk *walk, const struct window_mark *marks,
                     uint32_t count) MUST_CHECK;

// --- Summaries (index_summary.c) ---------------------------------------------------------------

// After a part: brings the summaries of a share of the groups up to date.
int index_fold(struct index *index) MUST_CHECK;

// The totals of the members in `wanted` of a group, as of the view. `iterator` is over postings
// and was opened after the view was taken.
int index_group_totals(struct disk_iterator *iterator, const struct index_view *view,
                       uint32_t group, const uint64_t wanted[GROUP_BITMAP_WORDS],
                       struct posting_totals totals_out[GROUP_MEMBERS]) MUST_CHECK;

// Where a namespace's hits are: in no window below `window_first`, and in none from gap_from to
// before gap_to.
struct index_extent {
    uint64_t window_first;
    uint64_t gap_from;
    uint64_t gap_to;
};

// About how many hits a namespace has, and where; quick.
int index_number_estimate(struct disk_iterator *iterator, const struct index_view *view,
                          uint32_t number, uint64_t *hits_out,
                          struct index_extent *extent_out) MUST_CHECK;

// --- Sources (index_source.c) ------------------------------------------------------------------

enum index_direction { INDEX_FORWARD, INDEX_BACKWARD };

// The hits of some members of one group, read ahead in batches; or hits given from memory.
// Zero-initialise, then set group, members and extent.
struct index_source {
    uint32_t group;
    bool is_memory;       // hits are all there is, ascending
    bool is_exhausted;    // nothing further behind the hits
    uint64_t window_next; // where the next batch begins
    struct index_extent extent;
    uint64_t members[GROUP_BITMAP_WORDS];
    struct buffer hits; // struct index_hit, in the order in which they are read
    size_t at;          // the next of them
    size_t hits_wanted; // in the next batch
};

// A read of sources: one iterator, one state of the disk.
struct source_read {
    struct disk_iterator *iterator;
    uint32_t parts;
    size_t hits_wanted_max;
    uint64_t first; // no hit before it (forward) or behind it (backward)
    enum index_direction direction;
};

// Puts the source before its first hit.
int index_source_rewind(struct index_source *source, const struct source_read *read) MUST_CHECK;
// The hit the source stands at; NULL: none any more.
const struct index_hit *index_source_hit(const struct index_source *source);
// Moves to the next.
int index_source_advance(struct index_source *source, const struct source_read *read) MUST_CHECK;
void index_source_deinit(struct index_source *source);

// By chunk key.
int index_hit_compare(const struct index_hit *a, const struct index_hit *b);
// Sorts `hits` (struct index_hit) from `from` on by chunk key, one hit for each chunk.
void index_hits_sort(struct buffer *hits, size_t from);

static inline bool bitmap_has(const uint64_t *bitmap, unsigned bit)
{
    return bitmap[bit / 64] >> bit % 64 & 1;
}

static inline void bitmap_set(uint64_t *bitmap, unsigned bit)
{
    bitmap[bit / 64] |= (uint64_t)1 << bit % 64;
}

// As index_cursor_open, but never INDEX_SCAN because of costs: for tests.
int index_cursor_open_merging(struct index *index, const struct filter *filter,
                              struct index_cursor **cursor_out,
                              struct version_vector *watermark_out) MUST_CHECK;
