// Finding chunks: the place of a counter in its actor's strand, and the chunk at a place, checked
// as it enters memory.
#include "proto/model/chunk.h"
#include "proto/model/namespace.h"
#include "proto/model/slice.h"
#include "storage/store_state.h"

int strand_at(const struct disk_iterator *strands, uint16_t actor, struct chunk_place *place_out)
{
    if (!disk_iterator_is_valid(strands)) {
        int result = disk_iterator_status(strands);
        return result != 0 ? result : STRAND_NONE;
    }
    struct bytes key = disk_iterator_key(strands);
    struct bytes value = disk_iterator_value(strands);
    bool is_hollow = value.length == STRAND_HOLLOW_LENGTH;
    if (key.length != STRAND_KEY_LENGTH || (value.length != STRAND_VALUE_LENGTH && !is_hollow)) {
        return ERR_CORRUPT;
    }
    struct chunk_place place = {.record = strand_record_decode(value.data)};
    if (is_hollow) {
        place.record.is_hollow = true;
        memcpy(place.record.hash.bytes, value.data + STRAND_VALUE_LENGTH,
               sizeof place.record.hash.bytes);
    }
    strand_key_decode(key.data, &place.actor, &place.first);
    if (place.actor != actor) {
        return STRAND_NONE;
    }
    *place_out = place;
    return 0;
}

int strand_find(struct disk_iterator *strands, uint16_t actor, uint64_t counter,
                struct chunk_place *place_out)
{
    uint8_t key[STRAND_KEY_LENGTH];
    strand_key_encode(actor, counter, key);
    disk_iterator_seek_for_prev(strands, bytes_of(key, sizeof key));
    return strand_at(strands, actor, place_out);
}

int strand_find_from(struct disk_iterator *strands, uint16_t actor, uint64_t counter,
                     struct chunk_place *place_out)
{
    uint8_t key[STRAND_KEY_LENGTH];
    strand_key_encode(actor, counter, key);
    disk_iterator_seek(strands, bytes_of(key, sizeof key));
    return strand_at(strands, actor, place_out);
}

static int strand_exact(struct store *store, uint16_t actor, uint64_t first,
                        struct chunk_place *place_out)
{
    struct disk_iterator *strands;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    result = strand_find(strands, actor, first, place_out);
    disk_iterator_close(strands);
    bool is_inside = result == 0 && place_out->record.is_hollow && place_out->record.last >= first;
    return result == 0 && place_out->first != first && !is_inside ? STRAND_NONE : result;
}

int strand_chunk_hash(struct store *store, uint16_t actor, uint64_t first,
                      struct chunk_place *place_out, struct hash128 *hash_out)
{
    struct buffer chunk = {0};
    struct chunk_header header;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    int result = strand_exact(store, actor, first, place_out);
    if (result != 0) {
        return result;
    }
    if (place_out->record.is_hollow) {
        *hash_out = place_out->record.hash;
        return place_out->first == first ? 0 : ERR_CORRUPT;
    }
    event_id_encode_key((struct event_id){.counter = first, .actor = actor}, key);
    result = disk_get(store->log, LOG_CHUNKS, bytes_of(key, sizeof key), &chunk);
    result = result == DISK_NOT_FOUND ? ERR_CORRUPT : result;
    if (result == 0) {
        bool is_it = chunk_header_parse(buffer_bytes(&chunk), &header) == 0 &&
                     header.actor == actor && header.first == first &&
                     chunk_last(&header) == place_out->record.last;
        result = is_it ? 0 : ERR_CORRUPT;
    }
    if (result == 0) {
        *hash_out = chunk_hash(chunk.data);
    }
    buffer_deinit(&chunk);
    return result;
}

int store_corrupt(struct store *store, uint16_t actor, uint64_t first, struct reason *reason)
{
    struct reason text;
    char id[EVENT_ID_SHORT_LENGTH_MAX + 1];
    event_id_format_short((struct event_id){.counter = first, .actor = actor}, id);
    reason_set(&text, ERR_CORRUPT,
               "the chunk of events from %s on is damaged or missing on this node's disk: "
               "restore the data directory, or read from another node",
               id);
    struct chunk_place place;
    struct damaged_chunk chunk = {.actor = actor, .first = first};
    if (strand_exact(store, actor, first, &place) == 0) {
        chunk.last = place.record.last;
    }
    damage_found(&store->damage, chunk, &text);
    *reason = text;
    return ERR_CORRUPT;
}

bool chunk_is_sound(uint16_t actor, uint64_t first, struct bytes bytes,
                    struct chunk_header *header_out)
{
    struct chunk_header header;
    if (chunk_header_parse(bytes, &header) != 0 ||
        bytes.length != CHUNK_HEADER_LENGTH + (size_t)header.encoded_length ||
        header.actor != actor || header.first != first || chunk_verify(&header, bytes) != 0) {
        return false;
    }
    *header_out = header;
    return true;
}

int chunk_check(struct store *store, uint16_t actor, uint64_t first, struct bytes bytes,
                struct chunk_header *header_out, struct reason *reason)
{
    return chunk_is_sound(actor, first, bytes, header_out)
               ? 0
               : store_corrupt(store, actor, first, reason);
}

int chunk_load(struct store *store, uint16_t actor, uint64_t first, struct buffer *out,
               struct chunk_header *header_out, struct reason *reason)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    size_t before = out->length;
    event_id_encode_key((struct event_id){.counter = first, .actor = actor}, key);
    int result = disk_get(store->log, LOG_CHUNKS, bytes_of(key, sizeof key), out);
    if (result == DISK_NOT_FOUND || result == ERR_CORRUPT) {
        return store_corrupt(store, actor, first, reason);
    }
    if (result != 0) {
        return result;
    }
    return chunk_check(store, actor, first, bytes_of(out->data + before, out->length - before),
                       header_out, reason);
}

int block_of_event(const struct chunk_header *header, struct bytes chunk, uint64_t positions,
                   struct block **block_out)
{
    struct buffer scratch = {0};
    struct buffer slices = {0};
    struct bytes body;
    int result = chunk_body(header, chunk, &scratch, &body);
    if (result == 0) {
        result = slices_append(&slices, header, body, positions);
    }
    struct block *block = result == 0 ? block_new(BLOCK_SLICES, slices.length) : NULL;
    if (block != NULL) {
        memcpy(block->data, slices.data, slices.length);
        block->length = slices.length;
        block->events = (uint32_t)__builtin_popcountll(positions);
        *block_out = block;
    } else if (result == 0) {
        result = ERR_MEMORY;
    }
    buffer_deinit(&scratch);
    buffer_deinit(&slices);
    return result;
}
