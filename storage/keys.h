// Keys and small values of the log's families (docs/architecture.md, "On disk"): big-endian, so
// that they sort as numbers.
#pragma once

#include "proto/base/hash.h"
#include "proto/model/event_id.h"

// chunks: first counter, actor -> a whole chunk. The same form as an event id's key.
// strands: actor, first counter -> strand record.
// arrivals: ordinal -> actor, first counter, count.
enum {
    STRAND_KEY_LENGTH = 10,
    STRAND_VALUE_LENGTH = 24,
    STRAND_HOLLOW_LENGTH =
        40, // of a range without chunks: the hash that the next chunk names follows
    ARRIVAL_KEY_LENGTH = 8,
    ARRIVAL_VALUE_LENGTH = 12,
    HEAD_KEY_LENGTH = 6,
    HEAD_VALUE_LENGTH = 32,
};

struct strand_record {
    uint64_t last;             // counter of the chunk's last event
    uint64_t timestamp_ms_max; // highest timestamp of this strand so far
    uint64_t ordinal;          // arrival; 0: hollow
    bool is_hollow;            // lost everywhere: there is no chunk
    struct hash128 hash;       // hollow: the one that the next chunk names
};

// The newest chunk of one actor.
struct head {
    uint16_t actor;
    uint64_t last;
    uint64_t timestamp_ms_max;
    struct hash128 hash;
};

static inline void strand_key_encode(uint16_t actor, uint64_t first, uint8_t out[STRAND_KEY_LENGTH])
{
    store_be16(out, actor);
    store_be64(out + 2, first);
}

static inline void strand_key_decode(const uint8_t *key, uint16_t *actor_out, uint64_t *first_out)
{
    *actor_out = load_be16(key);
    *first_out = load_be64(key + 2);
}

// A chunk that arrived.
struct arrival {
    uint16_t actor;
    uint64_t first;
    uint16_t count;
};

static inline void arrival_encode(const struct arrival *arrival, uint8_t out[ARRIVAL_VALUE_LENGTH])
{
    store_be16(out, arrival->actor);
    store_be64(out + 2, arrival->first);
    store_be16(out + 10, arrival->count);
}

static inline struct arrival arrival_decode(const uint8_t *value)
{
    return (struct arrival){
        .actor = load_be16(value), .first = load_be64(value + 2), .count = load_be16(value + 10)};
}

static inline void strand_record_encode(const struct strand_record *record,
                                        uint8_t out[STRAND_VALUE_LENGTH])
{
    store_be64(out, record->last);
    store_be64(out + 8, record->timestamp_ms_max);
    store_be64(out + 16, record->ordinal);
}

static inline struct strand_record strand_record_decode(const uint8_t *value)
{
    return (struct strand_record){.last = load_be64(value),
                                  .timestamp_ms_max = load_be64(value + 8),
                                  .ordinal = load_be64(value + 16)};
}

static inline void head_key_encode(uint16_t actor, uint8_t out[HEAD_KEY_LENGTH])
{
    memcpy(out, "head", 4);
    store_be16(out + 4, actor);
}

static inline void head_encode(const struct head *head, uint8_t out[HEAD_VALUE_LENGTH])
{
    store_be64(out, head->last);
    store_be64(out + 8, head->timestamp_ms_max);
    memcpy(out + 16, head->hash.bytes, sizeof head->hash.bytes);
}

static inline struct head head_decode(uint16_t actor, const uint8_t *value)
{
    struct head head = {
        .actor = actor, .last = load_be64(value), .timestamp_ms_max = load_be64(value + 8)};
    memcpy(head.hash.bytes, value + 16, sizeof head.hash.bytes);
    return head;
}
