// Reading one strand, for peers: whole chunks of one actor in the order of their chain, checked as
// they enter memory, in blocks that end where a produce ends.
//
// Two iterators stand side by side between steps: one over the strand's records, one over chunks.
// Chunks of one actor often follow each other, so mostly both just move on by one. They see the
// state of the moment they were opened; when that ends before the bound does, they are opened anew.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/store_state.h"

enum { CHUNKS_PER_STEP_MAX = 4096 };

struct strand_read {
    struct read_state base;
    struct disk_iterator *strands;
    struct disk_iterator *chunks;
    bool is_placed;      // the strands' iterator stands on the next record
    struct hash128 hash; // of the chunk that ends at the read's position
    struct buffer out;
    size_t complete; // so much of `out` ends where a produce ends
    uint32_t chunks_count;
    uint32_t events;
    uint64_t last;            // of the last chunk in `out`
    struct hash128 hash_last; // its hash
    uint64_t complete_last;   // the same, of the last chunk in its complete part
    struct hash128 complete_hash;
    uint32_t complete_chunks;
    uint32_t complete_events;
};

static void strand_read_free(struct read_state *state)
{
    struct strand_read *strand = (struct strand_read *)state;
    if (strand->strands != NULL) {
        disk_iterator_close(strand->strands);
    }
    if (strand->chunks != NULL) {
        disk_iterator_close(strand->chunks);
    }
    buffer_deinit(&strand->out);
    free(strand);
}

static int iterators_open(struct store *store, struct strand_read *strand)
{
    if (strand->strands != NULL) {
        disk_iterator_close(strand->strands);
        strand->strands = NULL;
    }
    if (strand->chunks != NULL) {
        disk_iterator_close(strand->chunks);
        strand->chunks = NULL;
    }
    strand->is_placed = false;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_SCAN, &strand->strands);
    if (result == 0) {
        result = disk_iterator_open(store->log, LOG_CHUNKS, DISK_READ_SCAN, &strand->chunks);
    }
    return result;
}

// Finds the chunk that ends at the read's position, for its hash. 0, STORE_NOT_FOUND, ERR_*.
static int strand_begin(struct store *store, struct read *read, struct strand_read *strand)
{
    struct chunk_place place;
    if (read->position.counter == 0) {
        return 0;
    }
    int result = strand_find(strand->strands, read->position.actor, read->position.counter, &place);
    if (result == STRAND_NONE || (result == 0 && place.record.last != read->position.counter)) {
        return STORE_NOT_FOUND;
    }
    if (result == 0) {
        result = strand_chunk_hash(store, place.actor, place.first, &place, &strand->hash);
    }
    return result == ERR_CORRUPT ? store_corrupt(store, place.actor, place.first, &read->reason)
                                 : result;
}

static int strand_open(struct store *store, struct read *read)
{
    struct strand_read *strand = calloc(1, sizeof *strand);
    if (strand == NULL) {
        return ERR_MEMORY;
    }
    strand->base.free = strand_read_free;
    int result = iterators_open(store, strand);
    if (result == 0) {
        result = strand_begin(store, read, strand);
    }
    if (result != 0) {
        strand_read_free(&strand->base);
        return result;
    }
    read->state = &strand->base;
    return 0;
}

// The record behind the last chunk that was taken. 0, STRAND_NONE, ERR_*.
static int strand_next_place(struct store *store, const struct read *read,
                             struct strand_read *strand, struct chunk_place *place_out)
{
    uint16_t actor = read->position.actor;
    int result;
    if (strand->is_placed) {
        disk_iterator_next(strand->strands);
        result = strand_at(strand->strands, actor, place_out);
    } else {
        result = strand_find_from(strand->strands, actor, strand->last + 1, place_out);
    }
    strand->is_placed = result == 0;
    if (result == STRAND_NONE) {
        result = iterators_open(store, strand);
        if (result == 0) {
            result = strand_find_from(strand->strands, actor, strand->last + 1, place_out);
        }
        strand->is_placed = result == 0;
    }
    return result;
}

// The bytes of the chunk at a place, checked: mostly the next ones under the iterator.
static int strand_chunk(struct store *store, struct read *read, struct strand_read *strand,
                        const struct chunk_place *place, struct chunk_header *header_out)
{
    uint8_t bytes[EVENT_ID_KEY_LENGTH];
    struct bytes key = bytes_of(bytes, sizeof bytes);
    event_id_encode_key((struct event_id){.counter = place->first, .actor = place->actor}, bytes);
    if (disk_iterator_is_valid(strand->chunks)) {
        disk_iterator_next(strand->chunks);
    }
    if (!disk_iterator_is_valid(strand->chunks) ||
        !bytes_equal(disk_iterator_key(strand->chunks), key)) {
        disk_iterator_seek(strand->chunks, key);
    }
    if (!disk_iterator_is_valid(strand->chunks) ||
        !bytes_equal(disk_iterator_key(strand->chunks), key)) {
        // Missing or unreadable for the iterator; repaired since it was opened, perhaps.
        return chunk_load(store, place->actor, place->first, &strand->out, header_out,
                          &read->reason);
    }
    struct bytes chunk = disk_iterator_value(strand->chunks);
    int result = 0;
    if (chunk_is_sound(place->actor, place->first, chunk, header_out)) {
        result = buffer_append(&strand->out, chunk);
    } else {
        result =
            chunk_load(store, place->actor, place->first, &strand->out, header_out, &read->reason);
    }
    return result;
}

static void strand_mark_complete(struct strand_read *strand)
{
    strand->complete = strand->out.length;
    strand->complete_last = strand->last;
    strand->complete_hash = strand->hash_last;
    strand->complete_chunks = strand->chunks_count;
    strand->complete_events = strand->events;
}

// Adds the next chunk. Positive: the step is over.
static int strand_move(struct store *store, struct read *read, struct strand_read *strand)
{
    struct chunk_place place;
    struct chunk_header header;
    uint64_t upper = version_vector_get(&read->upper, read->position.actor);
    size_t before = strand->out.length;
    if (strand->last >= upper) {
        return 1;
    }
    int result = strand_next_place(store, read, strand, &place);
    if (result != 0 || place.record.last > upper) {
        strand->is_placed = false;
        return result < 0 ? result : 1;
    }
    if (place.record.is_hollow) {
        if (strand->out.length > 0) {
            strand->is_placed = false; // the block ends here, the next step begins behind it
            return 1;
        }
        strand->last = place.record.last;
        strand->hash_last = place.record.hash;
        strand_mark_complete(strand);
        return 0;
    }
    result = strand_chunk(store, read, strand, &place, &header);
    if (result != 0) {
        return result;
    }
    if (strand->complete > 0 && strand->out.length > EVENT_BYTES_MAX) {
        strand->is_placed = false; // more than a frame holds: the next step begins with it
        return 1;
    }
    strand->chunks_count++;
    strand->events += header.count;
    strand->last = chunk_last(&header);
    strand->hash_last = chunk_hash(strand->out.data + before);
    if (header.open == 0) {
        strand_mark_complete(strand);
    }
    return strand->complete > 0 && strand->out.length >= read->bytes_max ? 1 : 0;
}

static int strand_finish(struct read *read, struct strand_read *strand)
{
    if (strand->complete > 0) {
        struct block *block = block_new(BLOCK_CHUNKS, strand->complete);
        if (block == NULL) {
            return ERR_MEMORY;
        }
        memcpy(block->data, strand->out.data, strand->complete);
        block->length = strand->complete;
        block->events = strand->complete_events;
        block->chunks = strand->complete_chunks;
        read->block = block;
    }
    if (strand->last != strand->complete_last) {
        strand->is_placed = false;
    }
    read->position.counter = strand->complete_last;
    strand->hash = strand->complete_hash;
    return 0;
}

int read_step_strand(struct store *store, struct read *read)
{
    uint64_t upper = version_vector_get(&read->upper, read->position.actor);
    assert(read->block == NULL && read->bytes_max > 0);
    read->done = false;
    if (read->position.counter > upper) {
        return STORE_NOT_FOUND;
    }
    if (read->state == NULL) {
        int result = strand_open(store, read);
        if (result != 0) {
            return result;
        }
    }
    struct strand_read *strand = read->state;
    buffer_clear(&strand->out);
    strand->chunks_count = 0;
    strand->events = 0;
    strand->last = read->position.counter;
    strand->hash_last = strand->hash;
    read->hash = strand->hash;
    strand_mark_complete(strand);
    int result = 0;
    for (unsigned chunks = 0;
         result == 0 && (chunks < CHUNKS_PER_STEP_MAX || strand->complete == 0); chunks++) {
        result = strand_move(store, read, strand);
    }
    if (result < 0 && strand->complete == 0) {
        return result;
    }
    if (result < 0) {
        strand->is_placed = false; // what is before the damage goes out; the next step meets it
        reason_clear(&read->reason);
    }
    bool is_over = result > 0 && strand->out.length < read->bytes_max;
    result = strand_finish(read, strand);
    read->done = result == 0 && (read->position.counter >= upper || (is_over && !read->block));
    return result;
}

int read_step_chunk(struct store *store, struct read *read)
{
    struct chunk_place place;
    struct chunk_header header;
    struct hash128 ignored;
    struct buffer chunk = {0};
    struct event_id id = read->position;
    assert(read->block == NULL);
    if (id.counter == 0 || id.counter > version_vector_get(&read->upper, id.actor)) {
        return STORE_NOT_FOUND;
    }
    int result = strand_chunk_hash(store, id.actor, id.counter, &place, &ignored);
    if (result == STRAND_NONE ||
        ((result == 0 || result == ERR_CORRUPT) && place.record.is_hollow)) {
        return STORE_NOT_FOUND;
    }
    if (result == 0 || result == ERR_CORRUPT) {
        result = chunk_load(store, id.actor, id.counter, &chunk, &header, &read->reason);
    }
    struct block *block = result == 0 ? block_new(BLOCK_CHUNKS, chunk.length) : NULL;
    if (block != NULL) {
        memcpy(block->data, chunk.data, chunk.length);
        block->length = chunk.length;
        block->events = header.count;
        block->chunks = 1;
        read->block = block;
        read->found = id;
    } else if (result == 0) {
        result = ERR_MEMORY;
    }
    buffer_deinit(&chunk);
    return result;
}
