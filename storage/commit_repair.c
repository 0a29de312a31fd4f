// Mending strands: a chunk takes the place of its damaged self, or a range of which no copy is left
// becomes hollow.
//
// A chunk is only taken if it can be no other than the one that was there: the strand's record has
// its first and last counter, its `prev` and `prev_hash` are those of the chunk before, and the
// chunk behind it (or the head) names its hash. That hash covers the header, which covers the body.
#include <assert.h>

#include "proto/base/limits.h"
#include "proto/base/planted.h"
#include "storage/commit.h"

enum { HOLLOW_CHUNKS_MAX = 4096 };

// The hash that the strand expects of the chunk that ends at `last`. 0, STORE_GAP (what is behind
// it cannot be read either), ERR_*.
static int repair_expects(struct store *store, struct disk_iterator *strands, uint16_t actor,
                          uint64_t last, struct hash128 *hash_out)
{
    const struct head *head = heads_get(&store->commit.heads, actor);
    struct chunk_place next;
    struct chunk_header header;
    struct buffer chunk = {0};
    uint8_t key[EVENT_ID_KEY_LENGTH];
    if (head == NULL) {
        return ERR_MEMORY;
    }
    if (head->last == last) {
        *hash_out = head->hash;
        return 0;
    }
    int result = strand_find_from(strands, actor, last + 1, &next);
    if (result != 0 || next.record.is_hollow) {
        return result < 0 ? result : STORE_GAP;
    }
    event_id_encode_key((struct event_id){.counter = next.first, .actor = actor}, key);
    result = disk_get(store->log, LOG_CHUNKS, bytes_of(key, sizeof key), &chunk);
    bool is_damaged = result == DISK_NOT_FOUND || result == ERR_CORRUPT ||
                      (result == 0 && (chunk_header_parse(buffer_bytes(&chunk), &header) != 0 ||
                                       header.actor != actor || header.first != next.first));
    if (is_damaged) {
        struct reason ignored;
        (void)store_corrupt(store, actor, next.first, &ignored); // so that it is mended first
        result = STORE_GAP;
    }
    if (result == 0 && header.prev != last) {
        result = STORE_GAP;
    }
    if (result == 0) {
        *hash_out = header.prev_hash;
    }
    buffer_deinit(&chunk);
    return result;
}

// Whether the chunk's `prev` and `prev_hash` are those of the chunk before it. What cannot be read
// there is vouched for by the chain: the hash of this chunk covers both.
static int repair_follows(struct store *store, struct disk_iterator *strands,
                          const struct chunk_header *header)
{
    struct chunk_place before;
    struct hash128 hash;
    int result = header->first > 1 ? strand_find(strands, header->actor, header->first - 1, &before)
                                   : STRAND_NONE;
    if (result < 0) {
        return result;
    }
    uint64_t last = result == STRAND_NONE ? 0 : before.record.last;
    if (header->prev != last) {
        return STORE_FORK;
    }
    if (last == 0) {
        return 0;
    }
    result = strand_chunk_hash(store, header->actor, before.first, &before, &hash);
    if (result == 0) {
        return hash128_equal(&hash, &header->prev_hash) ? 0 : STORE_FORK;
    }
    return result == ERR_CORRUPT ? 0 : result;
}

// 0: it fits; STORE_*, ERR_* otherwise.
static int repair_check(struct store *store, const struct chunk_header *header, struct bytes chunk)
{
    struct disk_iterator *strands;
    struct chunk_place place;
    struct hash128 expected;
    struct hash128 hash = chunk_hash(chunk.data);
    if (IS_PLANTED(PLANTED_REPAIR_UNCHECKED)) {
        return 0;
    }
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    result = strand_find(strands, header->actor, header->first, &place);
    bool is_place = result == 0 && !place.record.is_hollow && place.first == header->first &&
                    place.record.last == chunk_last(header);
    if (result >= 0 && !is_place) {
        result = ERR_INVALID;
    }
    if (result == 0) {
        result = repair_expects(store, strands, header->actor, chunk_last(header), &expected);
    }
    if (result == 0 && !hash128_equal(&hash, &expected)) {
        result = STORE_FORK;
    }
    if (result == 0) {
        result = repair_follows(store, strands, header);
    }
    disk_iterator_close(strands);
    return result;
}

// Whether what is there is whole: then there is nothing to repair, and nothing lost. 0: it is not;
// STORE_DUPLICATE, ERR_*: who knows.
static int chunk_whole(struct store *store, uint16_t actor, uint64_t first)
{
    struct buffer held = {0};
    struct chunk_header ignored;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key((struct event_id){.counter = first, .actor = actor}, key);
    int result = disk_get(store->log, LOG_CHUNKS, bytes_of(key, sizeof key), &held);
    if (result == 0 && chunk_is_sound(actor, first, buffer_bytes(&held), &ignored)) {
        result = STORE_DUPLICATE;
    } else if (result == DISK_NOT_FOUND || result == ERR_CORRUPT) {
        result = 0;
    }
    buffer_deinit(&held);
    return result;
}

int builder_add_repair(struct builder *builder, struct append *append)
{
    struct store *store = builder->store;
    struct bytes rest = append->bytes;
    struct bytes chunk;
    struct chunk_header header;
    uint8_t bytes[EVENT_ID_KEY_LENGTH];
    struct bytes key = bytes_of(bytes, sizeof bytes);
    int result = chunk_next(&rest, &header, &chunk);
    if (result == 0 && (rest.length > 0 || chunk_verify(&header, chunk) != 0)) {
        result = ERR_CORRUPT;
    }
    if (result == 0) {
        result = repair_check(store, &header, chunk);
    }
    if (result == 0) {
        result = chunk_whole(store, header.actor, header.first);
    }
    append->result = result;
    if (result != 0 && result != STORE_DUPLICATE) {
        return 0;
    }
    append->actor = header.actor;
    append->first = header.first;
    append->last = chunk_last(&header);
    if (result == STORE_DUPLICATE) {
        return 0;
    }
    event_id_encode_key((struct event_id){.counter = header.first, .actor = header.actor}, bytes);
    disk_batch_put(store->commit.batch, LOG_CHUNKS, key, chunk);
    store->commit.must_write = true;
    return 0;
}

// --- Hollow ranges -------------------------------------------------------------------------------

static void hollow_put(struct store *store, const struct append *append, const uint8_t *hash,
                       uint64_t timestamp_ms_max)
{
    uint8_t key[STRAND_KEY_LENGTH];
    uint8_t value[STRAND_HOLLOW_LENGTH];
    struct strand_record record = {.last = append->last, .timestamp_ms_max = timestamp_ms_max};
    strand_key_encode(append->actor, append->first, key);
    strand_record_encode(&record, value);
    memcpy(value + STRAND_VALUE_LENGTH, hash, sizeof(struct hash128));
    disk_batch_put(store->commit.batch, LOG_STRANDS, bytes_of(key, sizeof key),
                   bytes_of(value, sizeof value));
    store->commit.must_write = true;
}

static void place_take_out(struct store *store, const struct chunk_place *place)
{
    struct disk_batch *batch = store->commit.batch;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    uint8_t strand_key[STRAND_KEY_LENGTH];
    uint8_t ordinal[ARRIVAL_KEY_LENGTH];
    event_id_encode_key((struct event_id){.counter = place->first, .actor = place->actor}, key);
    strand_key_encode(place->actor, place->first, strand_key);
    store_be64(ordinal, place->record.ordinal);
    disk_batch_delete(batch, LOG_CHUNKS, bytes_of(key, sizeof key));
    disk_batch_delete(batch, LOG_STRANDS, bytes_of(strand_key, sizeof strand_key));
    disk_batch_delete(batch, LOG_ARRIVALS, bytes_of(ordinal, sizeof ordinal));
}

// Walks the records of a range that is held, to check that all of it is damaged here, and then to
// take it out. 0, STORE_DUPLICATE (it is not), STORE_FORK (its bounds are not those of chunks),
// ERR_*.
static int hollow_walk(struct store *store, struct disk_iterator *strands,
                       const struct append *append, bool takes_out, uint64_t *timestamp_ms_max_out)
{
    struct chunk_place place;
    int found = strand_find_from(strands, append->actor, append->first, &place);
    if (found == 0 && place.first != append->first) {
        return STORE_FORK;
    }
    for (unsigned i = 0; found == 0; i++) {
        if (takes_out) {
            place_take_out(store, &place);
        } else if (place.record.last > append->last) {
            return STORE_FORK;
        } else if (i == HOLLOW_CHUNKS_MAX) {
            return ERR_LIMIT;
        } else {
            int whole = place.record.is_hollow ? STORE_DUPLICATE
                                               : chunk_whole(store, place.actor, place.first);
            if (whole != 0) {
                return whole;
            }
        }
        *timestamp_ms_max_out = place.record.timestamp_ms_max;
        if (place.record.last == append->last) {
            return 0;
        }
        disk_iterator_next(strands);
        found = strand_at(strands, append->actor, &place);
    }
    return found == STRAND_NONE ? STORE_FORK : found;
}

// A range that is held, but damaged: its records give way to one.
static int hollow_inside(struct store *store, struct append *append)
{
    struct disk_iterator *strands;
    struct hash128 expected = {{0}};
    uint64_t timestamp_ms_max = 0;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    result = repair_expects(store, strands, append->actor, append->last, &expected);
    if (result == 0 && append->bytes.length > 0 &&
        memcmp(expected.bytes, append->bytes.data, sizeof expected.bytes) != 0) {
        result = STORE_FORK;
    }
    if (result == 0) {
        result = hollow_walk(store, strands, append, false, &timestamp_ms_max);
    }
    if (result == 0) {
        result = hollow_walk(store, strands, append, true, &timestamp_ms_max);
    }
    disk_iterator_close(strands);
    if (result == 0) {
        hollow_put(store, append, expected.bytes, timestamp_ms_max);
    }
    return result;
}

// A range behind the head.
static int hollow_at_head(struct builder *builder, const struct append *append)
{
    struct store *store = builder->store;
    struct head *head = head_touch(store, append->actor);
    if (head == NULL) {
        return ERR_MEMORY;
    }
    hollow_put(store, append, append->bytes.data, head->timestamp_ms_max);
    head->last = append->last;
    memcpy(head->hash.bytes, append->bytes.data, sizeof head->hash.bytes);
    store->commit.ordinal++; // so that whoever follows the order of arrival sees that it moved
    builder->block = NULL;   // ordinals in a block follow by one
    if (head->last > store->commit.clock) {
        store->commit.clock = head->last;
    }
    return 0;
}

int builder_add_hollow(struct builder *builder, struct append *append)
{
    struct store *store = builder->store;
    int result = builder_close_chunk(builder, 0);
    const struct head *held = result == 0 ? heads_get(&store->commit.heads, append->actor) : NULL;
    if (held == NULL) {
        return ERR_MEMORY;
    }
    bool is_inside = append->last <= held->last;
    bool is_valid = append->actor != 0 && append->first != 0 && append->last >= append->first &&
                    append->last <= COUNTER_MAX &&
                    (append->bytes.length == sizeof held->hash.bytes ||
                     (append->bytes.length == 0 && is_inside));
    if (!is_valid) {
        append->result = ERR_INVALID;
    } else if (is_inside) {
        append->result = hollow_inside(store, append);
    } else if (append->first - 1 != held->last) {
        append->result = append->first - 1 > held->last ? STORE_GAP : STORE_FORK;
    } else if (append->last > store->commit.clock &&
               append->last - store->commit.clock > COUNTER_JUMP_MAX) {
        append->result = ERR_LIMIT;
    }
    return append->result == 0 && !is_inside ? hollow_at_head(builder, append) : 0;
}

bool commit_note_repairs(struct store *store)
{
    bool has_repaired = false;
    for (const struct append *append = store->commit.appends.first; append != NULL;
         append = append->next) {
        if (append->kind != APPEND_REPAIR && append->kind != APPEND_HOLLOW) {
            continue;
        }
        struct damaged_chunk chunk = {
            .actor = append->actor, .first = append->first, .last = append->last};
        bool is_repair = append->kind == APPEND_REPAIR;
        if (append->result == 0 || (is_repair && append->result == STORE_DUPLICATE)) {
            bool counts = is_repair && append->result == 0;
            has_repaired |= damage_ended(&store->damage, chunk, counts);
        }
    }
    return has_repaired;
}
