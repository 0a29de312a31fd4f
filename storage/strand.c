// Finding chunks: the place of a counter in its actor's strand, and the chunk at a place, checked
// as it enters memory.
#include "proto/model/chunk.h"
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
    if (key.length != STRAND_KEY_LENGTH || value.length != STRAND_VALUE_LENGTH) {
        return ERR_CORRUPT;
    }
    struct chunk_place place = {.record = strand_record_decode(value.data)};
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

int store_corrupt(struct store *store, uint16_t actor, uint64_t first, struct reason *reason)
{
    struct reason text;
    char id[EVENT_ID_SHORT_LENGTH_MAX + 1];
    event_id_format_short((struct event_id){.counter = first, .actor = actor}, id);
    reason_set(&text, ERR_CORRUPT,
               "the chunk of events from %s on is damaged or missing on this node's disk: "
               "restore the data directory, or read from another node",
               id);
    pthread_mutex_lock(&store->published.lock);
    store->published.corrupt_chunks++;
    store->published.last_corruption = text;
    pthread_mutex_unlock(&store->published.lock);
    *reason = text;
    return ERR_CORRUPT;
}

int chunk_check(struct store *store, uint16_t actor, uint64_t first, struct bytes bytes,
                struct chunk_header *header_out, struct reason *reason)
{
    struct chunk_header header;
    if (chunk_header_parse(bytes, &header) != 0 ||
        bytes.length != CHUNK_HEADER_LENGTH + (size_t)header.encoded_length ||
        header.actor != actor || header.first != first || chunk_verify(&header, bytes) != 0) {
        return store_corrupt(store, actor, first, reason);
    }
    *header_out = header;
    return 0;
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
