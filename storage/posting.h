// A posting block: the hits of up to 256 neighbouring namespaces in one window of counters, as one
// part of the index holds them; and the keys under which blocks are stored.
//
// Namespaces are numbered; 256 consecutive numbers are a group, a number's place in it is its
// member. A window is 262,144 counters; a chunk belongs to the window of its first counter.
// Key: group (4), window (6), slot (2), part (4), big-endian. Slot 0 holds a block of all members
// with few events, slot 1 + member a block of that one alone. Parts are numbered.
//
// Block: time base, actor (0: each hit names its own), count of members, length of the lengths
// (varints); the members (a byte each, ascending); the lengths of their sections (varints); the
// sections. So a foreign member costs two bytes to pass.
// Section: events, bytes, time of the first event above the base; for more than one event also
// hits, first id (counter above the window's first, actor), last id (counter above the first
// one's, actor), time of the last; then the hits in order of chunk keys. A hit: first counter above
// the one before (or the window's first), actor, positions. Positions: a byte below 64, the only
// one; 64 + n and n ascending bytes, 2 <= n <= 7; or 72 and a mask in 8 bytes, big-endian.
#pragma once

#include "proto/model/event_id.h"
#include "storage/index.h"

enum {
    POSTING_KEY_LENGTH = 16,
    POSTING_MEMBERS_MAX = 256,
    POSTING_WINDOW_BITS = 18,
};
enum { POSTING_SLOT_SHARED = 0, POSTING_SLOT_OWN = 1, POSTING_SLOT_MAX = 0xffff };

#define POSTING_WINDOW_MAX (((uint64_t)1 << 48) - 2)
#define POSTING_WINDOW_SUMMARY (POSTING_WINDOW_MAX + 1) // behind all windows, see index_summary.c

// Positive outcome: nothing further.
enum { POSTING_END = 1 };

struct posting_key {
    uint64_t window;
    uint32_t group;
    uint32_t part;
    uint16_t slot;
};

void posting_key_encode(const struct posting_key *key, uint8_t out[POSTING_KEY_LENGTH]);
int posting_key_decode(struct bytes bytes, struct posting_key *key_out) MUST_CHECK; // ERR_CORRUPT

// What is in a namespace, or in a part of it. events 0: nothing, the rest means nothing.
struct posting_totals {
    uint64_t events;
    uint64_t bytes;
    uint64_t hits;
    struct event_id first;
    struct event_id last;
    uint64_t first_timestamp_ms;
    uint64_t last_timestamp_ms;
};

void posting_totals_merge(struct posting_totals *to, const struct posting_totals *from);

// --- Building ----------------------------------------------------------------------------------

struct posting_touch {
    struct index_hit hit;
    uint64_t timestamp_ms; // the chunk's
};

// Zero-initialised is valid; reused.
struct posting_builder {
    uint64_t window;
    uint64_t timestamp_base_ms;
    uint16_t actor;
    uint32_t members_count;
    uint8_t members[POSTING_MEMBERS_MAX];
    struct buffer lengths;
    struct buffer sections;
};

void posting_builder_deinit(struct posting_builder *builder);

// Begins a block. `timestamp_base_ms`: no touch is earlier. `actor`: of all touches, 0: several.
void posting_builder_begin(struct posting_builder *builder, uint64_t window,
                           uint64_t timestamp_base_ms, uint16_t actor);

// Adds the next member (ascending) with its touches, at least one, in order of chunk keys.
int posting_builder_add(struct posting_builder *builder, uint8_t member,
                        const struct posting_touch *touches, size_t count,
                        uint64_t bytes) MUST_CHECK;

// The block into `out` (cleared first). At least one member was added.
int posting_builder_finish(const struct posting_builder *builder, struct buffer *out) MUST_CHECK;

// --- Reading -----------------------------------------------------------------------------------

// Views into a block's bytes. `next` counts the members passed by posting_block_next.
struct posting_block {
    uint64_t window;
    uint64_t timestamp_base_ms;
    uint16_t actor;
    uint32_t members_count;
    uint32_t next;
    const uint8_t *members;
    const uint8_t *length_at;
    const uint8_t *lengths_end;
    const uint8_t *section_at;
    const uint8_t *end;
};

struct posting_section {
    struct posting_totals totals;
    uint64_t window;
    uint64_t hits_left;
    uint64_t events_left;
    uint16_t actor;
    struct event_id previous; // key of the hit before; counter is the window's first at first
    const uint8_t *at;
    const uint8_t *end;
};

int posting_block_parse(struct bytes value, uint64_t window,
                        struct posting_block *block_out) MUST_CHECK; // ERR_CORRUPT

// The next member and its section, unparsed. 0, POSTING_END, ERR_CORRUPT.
int posting_block_next(struct posting_block *block, uint8_t *member_out,
                       struct bytes *section_out) MUST_CHECK;

// What is in a section, without going through its hits. ERR_CORRUPT.
int posting_section_totals(const struct posting_block *block, struct bytes bytes,
                           struct posting_totals *totals_out) MUST_CHECK;

// As that, to go through the hits after it.
int posting_section_parse(const struct posting_block *block, struct bytes bytes,
                          struct posting_section *section_out) MUST_CHECK;

// The next hit. 0, POSTING_END (the section was whole and right), ERR_CORRUPT.
int posting_section_next(struct posting_section *section, struct index_hit *hit_out) MUST_CHECK;
