// The namespace index: which chunks hold events of which namespaces. Derived from the log, written
// behind it in large blocks by one thread, dropped and rebuilt when missing, damaged or of another
// version. Internal to storage; store.h is what others use.
//
// One thread adds and flushes; cursors and pages are read by any thread at any time. Readers see
// what was added before the last flush; how far that is, is the watermark. On the disk it is
// written in parts of about a window of events: what is less than that stays in memory, is seen by
// readers all the same, and is added again after a restart.
#pragma once

#include "proto/model/chunk.h"
#include "proto/model/filter.h"
#include "proto/model/namespace_row.h"
#include "proto/model/version_vector.h"

struct disk;
struct index;
struct index_cursor;

// Opens the index over its disk; empties it when its format is another one or its meta is damaged
// (reset_out). ERR_IO, ERR_MEMORY.
int index_open(struct disk *disk, uint64_t memory_bytes_max, uint64_t seed,
               struct index **index_out, bool *reset_out) MUST_CHECK;
// Empties it: it will be built again from the first chunk on. No cursor may be open.
int index_reset(struct index *index) MUST_CHECK;

void index_close(struct index *index); // NULL is fine; what is in memory will be added again

// Adds the next chunk in order of arrival; `body` is plain. Accumulates in memory; names that are
// not in the cache are looked up on the disk. ERR_MEMORY, ERR_IO, ERR_CORRUPT, ERR_LIMIT.
int index_add(struct index *index, uint64_t ordinal, const struct chunk_header *header,
              struct bytes body) MUST_CHECK;

// Passes over the chunks up to this ordinal: one that cannot be read (its actor and last counter),
// or none (actor 0). Readers find out otherwise that the index does not have it. ERR_MEMORY.
int index_pass(struct index *index, uint64_t ordinal, uint16_t actor, uint64_t last) MUST_CHECK;

// Whether what this actor issued up to `last` was added or passed over. False after a start that
// began before it: then its turn comes again. The indexing thread only.
bool index_has_reached(const struct index *index, uint16_t actor, uint64_t last);

// Adds a chunk that was passed over (index_has_reached) and writes it to the disk, with everything
// accumulated. Not while index_is_redoing. Errors of index_add and index_flush.
int index_add_late(struct index *index, const struct chunk_header *header,
                   struct bytes body) MUST_CHECK;
// Whether a part that a crash cut short is still to be written once more.
bool index_is_redoing(const struct index *index);

// Bytes kept beside the index, and emptied with it: what was passed over. Written in order with
// everything else. ERR_*; DISK_NOT_FOUND.
int index_put_note(struct index *index, struct bytes note) MUST_CHECK;
int index_get_note(struct index *index, struct buffer *note_out) MUST_CHECK;

// After ERR_MEMORY: begins again at what is on the disk, as a start would. Readers go on.
int index_resume(struct index *index) MUST_CHECK;

// Whether so much has accumulated that it should be flushed now (a window of events, or memory).
bool index_wants_flush(const struct index *index);

// Makes everything added visible to readers, and moves the watermark. When index_wants_flush, it
// is written to the disk as a part, the state last: a crash between leaves keys that are ignored
// and written again. `durable`: also disk_flush.
// ERR_IO, ERR_CORRUPT: the index is to be abandoned; the next start empties it if need be.
int index_flush(struct index *index, bool durable) MUST_CHECK;

// The watermark readers see: every chunk up to this arrival ordinal, 0: none. After opening, what
// is on the disk. Any thread.
uint64_t index_ordinal(const struct index *index);
// What was added, visible or not. The indexing thread only.
uint64_t index_added_ordinal(const struct index *index);

uint64_t index_namespaces_count(const struct index *index);
uint64_t index_memory_bytes(const struct index *index);

// --- Reading -----------------------------------------------------------------------------------

// One chunk that holds matching events: its key and which positions match (bit i: first + i).
struct index_hit {
    uint64_t first;
    uint16_t actor;
    uint64_t positions;
};

// Positive outcomes.
enum {
    INDEX_END = 1,  // no further hit
    INDEX_SCAN = 2, // scanning the log and filtering is cheaper than merging what matches
};

// Opens a cursor over the hits of a filter, in order of chunk keys (first, actor).
// *watermark_out: exactly the events that this cursor can see. 0, INDEX_SCAN (many namespaces
// match, or most events do, or the filter is "everything"), ERR_*.
int index_cursor_open(struct index *index, const struct filter *filter,
                      struct index_cursor **cursor_out,
                      struct version_vector *watermark_out) MUST_CHECK;
void index_cursor_close(struct index_cursor *cursor); // NULL is fine

// Moves to the first hit with key >= (first, 0), or to the last with key <= (first, 65535).
int index_cursor_seek(struct index_cursor *cursor, uint64_t first) MUST_CHECK; // then next
int index_cursor_seek_backward(struct index_cursor *cursor,
                               uint64_t first) MUST_CHECK; // then previous

// The hit at the cursor, which moves on; hits of one chunk by several namespaces come as one.
// 0, INDEX_END, ERR_*.
int index_cursor_next(struct index_cursor *cursor, struct index_hit *hit_out) MUST_CHECK;
int index_cursor_previous(struct index_cursor *cursor, struct index_hit *hit_out) MUST_CHECK;

// Appends up to `rows_max` rows of matching namespaces behind `after_name` in byte order, as of
// the watermark. *more_out: there are further ones. The work of a call is bounded: a page may end
// early with more true; *next_name_out is then the name to go on behind.
int index_names_page(struct index *index, const struct filter *filter, struct bytes after_name,
                     uint32_t rows_max, struct buffer *rows_out, bool *more_out,
                     struct buffer *next_name_out) MUST_CHECK;
