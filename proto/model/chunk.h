// A chunk: a run of events by one actor with consecutive counters first .. first + count - 1 and
// one timestamp; the unit of commit, storage, replication and unfiltered delivery. Its bytes are
// made once, by the node that accepted the events, and are the same on every disk and wire.
//
// Header, CHUNK_HEADER_LENGTH bytes, all numbers big-endian:
//    0  u8   format version (1)
//    1  u8   body encoding (enum chunk_encoding)
//    2  u16  flags (enum chunk_flag)
//    4  u16  actor
//    6  u16  count, 1..64
//    8  u64  first counter
//   16  u32  open: events of the same produce that follow in later chunks; 0 = complete
//   20  u32  body length, plain
//   24  u32  body length, as encoded
//   28  u32  header check: low 32 bits of XXH3-64 over the header with this field zero
//   32  u64  prev: last counter of this actor's previous chunk, 0 for its first
//   40  16   prev_hash: XXH3-128 of that chunk's header, zero for the first
//   56  u64  timestamp, UTC milliseconds
//   64  16   body hash: XXH3-128 of the body as encoded
//   80       body
#pragma once

#include "proto/base/bytes.h"
#include "proto/base/hash.h"
#include "proto/model/event.h"
#include "proto/model/event_id.h"

enum { CHUNK_HEADER_LENGTH = 80, CHUNK_FORMAT = 1 };

enum chunk_encoding {
    CHUNK_PLAIN = 0,
    CHUNK_LZ4 = 1,
};

enum chunk_flag {
    CHUNK_HAS_SYSTEM = 1 << 0, // events of the system's namespaces, and no others
};

struct chunk_header {
    uint8_t encoding;
    uint16_t flags;
    uint16_t actor;
    uint16_t count;
    uint64_t first;
    uint32_t open;
    uint32_t plain_length;
    uint32_t encoded_length;
    uint64_t prev;
    struct hash128 prev_hash;
    uint64_t timestamp_ms;
    struct hash128 body_hash;
};

static inline uint64_t chunk_last(const struct chunk_header *header)
{
    return header->first + header->count - 1;
}

// Reads the header at the front of `bytes`: length, format, check, and that its fields make sense
// (actor, count, counters, lengths within limits). Does not look at the body.
// ERR_CORRUPT, ERR_VERSION (a newer format, unknown encoding or flags), or ERR_LIMIT.
int chunk_header_parse(struct bytes bytes, struct chunk_header *header_out) MUST_CHECK;

// As chunk_header_parse for bytes that were checked when they entered memory: reads the fields,
// asserts that the format is right and verifies no check. The hot path.
void chunk_header_load(const uint8_t *bytes, struct chunk_header *header_out);

// Writes the header with its check. body_hash must be set.
void chunk_header_encode(const struct chunk_header *header, uint8_t out[CHUNK_HEADER_LENGTH]);

// The chain hash of a chunk: XXH3-128 of its encoded header.
struct hash128 chunk_hash(const uint8_t header[CHUNK_HEADER_LENGTH]);

// Takes the next whole chunk off the front of *rest: its header and its body as encoded.
// ERR_CORRUPT when it is cut; errors of chunk_header_parse.
int chunk_next(struct bytes *rest, struct chunk_header *header_out,
               struct bytes *chunk_out) MUST_CHECK;

// Verifies the body hash of a whole chunk (header and body) whose header was parsed: ERR_CORRUPT.
int chunk_verify(const struct chunk_header *header, struct bytes chunk) MUST_CHECK;

// The body in plain: points into the chunk when it is plain already, else decodes into `scratch`
// (cleared first). ERR_CORRUPT, ERR_MEMORY.
int chunk_body(const struct chunk_header *header, struct bytes chunk, struct buffer *scratch,
               struct bytes *body_out) MUST_CHECK;

// Full validation of a chunk from outside (a peer): header, hash, exactly `count` well-formed
// events that fill the plain body, of the system's namespaces if and only if the flag says so.
// `scratch` as in chunk_body.
int chunk_validate(struct bytes chunk, uint64_t data_bytes_max, struct buffer *scratch,
                   struct reason *reason) MUST_CHECK;

// Builds one chunk at the end of `out`: fills plain_length, encoded_length, encoding and body_hash
// of *header (the rest is the caller's), compresses the body when `compress_state` is not NULL and
// that saves at least 1/8th, and appends header and body. ERR_MEMORY leaves `out` as it was.
int chunk_append(struct buffer *out, struct chunk_header *header, struct bytes plain_body,
                 void *compress_state) MUST_CHECK;

// Compresses a body ahead of its chunk, into out[0..plain_body.length). Returns its length, or 0
// when that does not save an eighth (`out` is then undefined).
size_t chunk_compress_body(void *compress_state, struct bytes plain_body, uint8_t *out);

// As chunk_append, for a body that chunk_compress_body made of `plain_length` bytes.
int chunk_append_compressed(struct buffer *out, struct chunk_header *header, struct bytes body,
                            size_t plain_length) MUST_CHECK;
