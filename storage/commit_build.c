// Building a commit: appended runs become chunks, and chunks of other nodes are taken over, in
// blocks of memory and in the batch that is about to be written.
//
// Runs of encoded events are handled, never single ones: a chunk's body is a view of the append's
// own bytes wherever its runs lie back to back, and is copied only when several appends share a
// chunk.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "proto/base/planted.h"
#include "proto/model/chunk.h"
#include "storage/commit.h"

struct head *head_touch(struct store *store, uint16_t actor)
{
    struct commit_undo *undo = store->commit.undo;
    struct head *head = heads_get(&store->commit.heads, actor);
    if (head == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < undo->heads_count; i++) {
        if (undo->heads[i].actor == actor) {
            return head;
        }
    }
    if (undo->heads_count == undo->heads_capacity) {
        size_t capacity = undo->heads_capacity == 0 ? 4 : undo->heads_capacity * 2;
        struct head *heads = realloc(undo->heads, capacity * sizeof *heads);
        if (heads == NULL) {
            return NULL;
        }
        undo->heads = heads;
        undo->heads_capacity = capacity;
    }
    undo->heads[undo->heads_count++] = *head;
    return head;
}

static int blocks_add(struct store *store, struct block *block)
{
    if (store->commit.blocks_count == store->commit.blocks_capacity) {
        size_t capacity =
            store->commit.blocks_capacity == 0 ? 16 : store->commit.blocks_capacity * 2;
        struct block **blocks = realloc(store->commit.blocks, capacity * sizeof *blocks);
        if (blocks == NULL) {
            return ERR_MEMORY;
        }
        store->commit.blocks = blocks;
        store->commit.blocks_capacity = capacity;
    }
    store->commit.blocks[store->commit.blocks_count++] = block;
    return 0;
}

// Makes room for a chunk of at most `length` bytes at the end of the builder's block.
static int builder_reserve(struct builder *builder, size_t length)
{
    if (builder->block != NULL && builder->block->capacity - builder->block->length >= length) {
        return 0;
    }
    size_t capacity = builder->bytes_left + length;
    if (capacity > BLOCK_BYTES_MAX) {
        capacity = length > BLOCK_BYTES_MAX ? length : BLOCK_BYTES_MAX;
    }
    struct block *block = block_new(BLOCK_CHUNKS, capacity);
    if (block == NULL) {
        return ERR_MEMORY;
    }
    if (blocks_add(builder->store, block) != 0) {
        block_unref(block);
        return ERR_MEMORY;
    }
    block->ordinal_first = builder->store->commit.ordinal + 1;
    builder->block = block;
    return 0;
}

// Puts the chunk that stands at the end of the builder's block into the batch and moves its head.
static int builder_put(struct builder *builder, const struct chunk_header *header, size_t length)
{
    struct store *store = builder->store;
    struct disk_batch *batch = store->commit.batch;
    const uint8_t *chunk = builder->block->data + builder->block->length - length;
    struct head *head = head_touch(store, header->actor);
    if (head == NULL) {
        return ERR_MEMORY;
    }
    assert(header->prev == head->last || IS_PLANTED(PLANTED_IGNORE_PREV));
    assert(header->first > head->last && chunk_last(header) <= COUNTER_MAX);
    head->last = chunk_last(header);
    head->hash = chunk_hash(chunk);
    if (header->timestamp_ms > head->timestamp_ms_max) {
        head->timestamp_ms_max = header->timestamp_ms;
    }
    store->commit.ordinal++;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    uint8_t strand_key[STRAND_KEY_LENGTH];
    uint8_t strand_value[STRAND_VALUE_LENGTH];
    uint8_t ordinal[ARRIVAL_KEY_LENGTH];
    uint8_t arrival_value[ARRIVAL_VALUE_LENGTH];
    struct arrival arrival = {
        .actor = header->actor, .first = header->first, .count = header->count};
    struct strand_record record = {.last = head->last,
                                   .timestamp_ms_max = head->timestamp_ms_max,
                                   .ordinal = store->commit.ordinal};
    event_id_encode_key((struct event_id){.counter = header->first, .actor = header->actor}, key);
    strand_key_encode(header->actor, header->first, strand_key);
    strand_record_encode(&record, strand_value);
    store_be64(ordinal, store->commit.ordinal);
    arrival_encode(&arrival, arrival_value);
    disk_batch_put(batch, LOG_CHUNKS, bytes_of(key, sizeof key), bytes_of(chunk, length));
    disk_batch_put(batch, LOG_STRANDS, bytes_of(strand_key, sizeof strand_key),
                   bytes_of(strand_value, sizeof strand_value));
    disk_batch_put(batch, LOG_ARRIVALS, bytes_of(ordinal, sizeof ordinal),
                   bytes_of(arrival_value, sizeof arrival_value));
    if (header->flags & CHUNK_HAS_SYSTEM) {
        uint8_t system_key[SYSTEM_PREFIX_LENGTH + EVENT_ID_KEY_LENGTH];
        memcpy(system_key, META_SYSTEM, SYSTEM_PREFIX_LENGTH);
        memcpy(system_key + SYSTEM_PREFIX_LENGTH, key, sizeof key);
        disk_batch_put(batch, LOG_META, bytes_of(system_key, sizeof system_key),
                       bytes_of_text("1"));
    }
    store->commit.must_write = true;
    builder->block->chunks++;
    builder->block->events += header->count;
    store->commit.totals.chunks++;
    store->commit.totals.events += header->count;
    store->commit.totals.bytes += header->plain_length;
    return 0;
}

// Makes room for a chunk of this node of at most `length` bytes and begins its header.
static int builder_begin_chunk(struct builder *builder, size_t length,
                               struct chunk_header *header_out)
{
    struct store *store = builder->store;
    const struct head *head = head_touch(store, store->config.actor);
    if (head == NULL || builder_reserve(builder, length) != 0) {
        return ERR_MEMORY;
    }
    assert(store->config.actor != 0);
    *header_out = (struct chunk_header){.flags = builder->flags,
                                        .actor = store->config.actor,
                                        .prev = head->last,
                                        .prev_hash = head->hash,
                                        .timestamp_ms = builder->now_ms};
    return 0;
}

// What a chunk is appended through: the builder's block, which is not to grow, for
// builder_begin_chunk has made room for `length` bytes.
static struct buffer builder_view(const struct builder *builder, size_t length)
{
    struct block *block = builder->block;
    assert(block->capacity - block->length >= length);
    return (struct buffer){
        .data = block->data, .length = block->length, .capacity = block->capacity};
}

// The chunk was appended through `out`, a view of the builder's block: it is put into the batch.
static int builder_end_chunk(struct builder *builder, const struct chunk_header *header,
                             const struct buffer *out, size_t consumed)
{
    struct block *block = builder->block;
    assert(out->data == block->data && out->length <= block->capacity);
    size_t length = out->length - block->length;
    block->length = out->length;
    builder->bytes_left -= consumed < builder->bytes_left ? consumed : builder->bytes_left;
    return builder_put(builder, header, length);
}

int builder_close_chunk(struct builder *builder, uint32_t open)
{
    struct chunk_header header;
    if (builder->count == 0) {
        return 0;
    }
    size_t need = CHUNK_HEADER_LENGTH + compress_bound(builder->body.length);
    int result = builder_begin_chunk(builder, need, &header);
    if (result != 0) {
        return result;
    }
    header.count = builder->count;
    header.first = builder->first;
    header.open = open;
    struct buffer out = builder_view(builder, need);
    void *state = builder->store->commit.compress_state;
    bool may_compress = !atomic_load(&builder->store->may_not_compress);
    result = chunk_append(&out, &header, builder->body, may_compress ? state : NULL);
    if (result != 0) {
        return result;
    }
    builder->count = 0;
    return builder_end_chunk(builder, &header, &out, builder->body.length);
}

// Adds bytes to the open chunk's body: in place when they follow it in memory, else by copying.
static int builder_extend_body(struct builder *builder, struct bytes run)
{
    struct buffer *scratch = &builder->store->commit.body;
    if (builder->count == 0) {
        builder->body = run;
        return 0;
    }
    if (builder->body.data + builder->body.length == run.data) {
        builder->body.length += run.length;
        return 0;
    }
    if (builder->body.data != scratch->data) {
        buffer_clear(scratch);
        if (buffer_append(scratch, builder->body) != 0) {
            return ERR_MEMORY;
        }
    }
    if (buffer_append(scratch, run) != 0) {
        return ERR_MEMORY;
    }
    builder->body = buffer_bytes(scratch);
    return 0;
}

// Makes a chunk of a run that came compressed.
static int builder_add_compressed(struct builder *builder, struct append_run run,
                                  const uint8_t *bytes, uint32_t open)
{
    struct chunk_header header;
    size_t need = CHUNK_HEADER_LENGTH + (size_t)run.compressed_length;
    int result = builder_begin_chunk(builder, need, &header);
    if (result != 0) {
        return result;
    }
    header.count = run.count;
    header.first = builder->store->commit.clock + 1;
    header.open = open;
    struct buffer out = builder_view(builder, need);
    result =
        chunk_append_compressed(&out, &header, bytes_of(bytes, run.compressed_length), run.length);
    if (result != 0) {
        return result;
    }
    builder->store->commit.clock += run.count;
    return builder_end_chunk(builder, &header, &out, run.compressed_length);
}

// Adds a plain run to the open chunk, which has room for it.
static int builder_add_plain(struct builder *builder, struct append_run run, const uint8_t *bytes)
{
    if (builder_extend_body(builder, bytes_of(bytes, run.length)) != 0) {
        return ERR_MEMORY;
    }
    if (builder->count == 0) {
        builder->first = builder->store->commit.clock + 1;
    }
    builder->count += run.count;
    builder->store->commit.clock += run.count;
    return 0;
}

static bool run_fits(const struct builder *builder, struct append_run run)
{
    return run.compressed_length == 0 && builder->count + run.count <= CHUNK_EVENTS_MAX &&
           builder->body.length + run.length <= CHUNK_BODY_BYTES_CLOSE;
}

static int builder_add_runs(struct builder *builder, struct append *append)
{
    uint32_t left = append->events;
    const uint8_t *at = append->bytes.data;
    append->first = builder->store->commit.clock + !IS_PLANTED(PLANTED_REUSE_COUNTER);
    append->actor = builder->store->config.actor;
    for (uint32_t i = 0; i < append->runs_count; i++) {
        struct append_run run = append->runs[i];
        int result = 0;
        assert(run.count > 0 && run.count <= CHUNK_EVENTS_MAX && run.count <= left);
        if (builder->count > 0 && !run_fits(builder, run)) {
            result = builder_close_chunk(builder, i == 0 ? 0 : left);
        }
        left -= run.count;
        if (result == 0) {
            result = run.compressed_length > 0 ? builder_add_compressed(builder, run, at, left)
                                               : builder_add_plain(builder, run, at);
        }
        if (result != 0) {
            return result;
        }
        at += run.compressed_length > 0 ? run.compressed_length : run.length;
    }
    assert(left == 0 && at == append->bytes.data + append->bytes.length);
    return 0;
}

int builder_add_produce(struct builder *builder, struct append *append)
{
    const struct store *store = builder->store;
    bool is_system = append->kind == APPEND_SYSTEM;
    append->result = store->config.actor == 0                             ? ERR_INVALID
                     : append->events > COUNTER_MAX - store->commit.clock ? ERR_LIMIT
                                                                          : 0;
    if (append->result != 0) {
        return 0;
    }
    if (!is_system) {
        return builder_add_runs(builder, append);
    }
    int result = builder_close_chunk(builder, 0);
    builder->flags = CHUNK_HAS_SYSTEM;
    if (result == 0) {
        result = builder_add_runs(builder, append);
    }
    if (result == 0) {
        result = builder_close_chunk(builder, 0);
    }
    builder->flags = 0;
    return result;
}

// --- Chunks of other nodes -----------------------------------------------------------------------

// Whether the chunk that is held at this place is of the commit that is being built: it is not on
// the disk yet, and nothing to compare with.
static bool is_pending(const struct store *store, const struct chunk_header *header)
{
    const struct commit_undo *undo = store->commit.undo;
    for (size_t i = 0; i < undo->heads_count; i++) {
        if (undo->heads[i].actor == header->actor) {
            return header->first > undo->heads[i].last;
        }
    }
    return false;
}

// Whether this chunk, at or below the head, is the one that is held. 0, STORE_FORK, ERR_*.
static int chunk_is_held(struct store *store, const struct chunk_header *header,
                         struct hash128 hash, const struct head *head)
{
    if (chunk_last(header) == head->last) {
        return hash128_equal(&hash, &head->hash) ? 0 : STORE_FORK;
    }
    if (is_pending(store, header)) {
        return 0;
    }
    struct hash128 held;
    struct chunk_place place;
    int result = strand_chunk_hash(store, header->actor, header->first, &place, &held);
    if (result == STRAND_NONE) {
        return STORE_FORK;
    }
    if (result == ERR_CORRUPT || (result == 0 && place.record.is_hollow)) {
        return place.record.last >= chunk_last(header) ? 0 : STORE_FORK; // nothing to compare with
    }
    return result != 0 ? result : hash128_equal(&hash, &held) ? 0 : STORE_FORK;
}

// Whether the chunk can stand on `head`. 0, STORE_GAP, STORE_FORK.
static int chunk_follows(const struct chunk_header *header, const struct head *head)
{
    if (header->prev > head->last) {
        return IS_PLANTED(PLANTED_IGNORE_PREV) ? 0 : STORE_GAP;
    }
    if (header->first <= head->last || header->prev < head->last) {
        return STORE_FORK;
    }
    return hash128_equal(&header->prev_hash, &head->hash) ? 0 : STORE_FORK;
}

struct follow {
    struct head held; // the actor's head before them
    struct head head; // with them
    struct chunk_header header;
    struct hash128 hash; // of the last one looked at
    size_t count;
    size_t skip; // so many at the front are held already
};

static int follow_next(struct store *store, struct follow *follow, struct bytes *rest)
{
    struct bytes chunk;
    int result = chunk_next(rest, &follow->header, &chunk);
    if (result != 0) {
        return result;
    }
    if (follow->count == 0) {
        const struct head *known = heads_get(&store->commit.heads, follow->header.actor);
        if (known == NULL) {
            return ERR_MEMORY;
        }
        follow->held = follow->head = *known;
    }
    if (follow->header.actor != follow->head.actor) {
        return ERR_INVALID;
    }
    follow->hash = chunk_hash(chunk.data);
    if (chunk_last(&follow->header) <= follow->head.last) {
        if (follow->skip < follow->count) {
            return ERR_INVALID; // behind one that is not held
        }
        follow->skip++;
    } else {
        result = chunk_follows(&follow->header, &follow->head);
        if (result != 0 && !(result == STORE_FORK && IS_PLANTED(PLANTED_FORK_OVERWRITES))) {
            return result;
        }
        follow->head.last = chunk_last(&follow->header);
        follow->head.hash = follow->hash;
    }
    follow->count++;
    return 0;
}

// Whether these chunks follow what is held of their actor, as a whole: 0, STORE_DUPLICATE (all of
// them are held), STORE_GAP, STORE_FORK, ERR_*. *skip_out: how many at their front are held
// already. Where a chunk follows those its `prev_hash` speaks for them; where none does, the last
// of them is compared with what is held.
static int chunks_follow(struct store *store, struct bytes rest, size_t *skip_out)
{
    struct follow follow = {0};
    while (rest.length > 0) {
        int result = follow_next(store, &follow, &rest);
        if (result != 0) {
            return result;
        }
    }
    if (follow.count == 0 || (follow.header.open != 0 && !IS_PLANTED(PLANTED_HALF_PRODUCE))) {
        return ERR_INVALID;
    }
    *skip_out = follow.skip;
    if (follow.skip == follow.count) {
        int result = chunk_is_held(store, &follow.header, follow.hash, &follow.held);
        return result != 0 ? result : STORE_DUPLICATE;
    }
    uint64_t clock = store->commit.clock;
    return follow.head.last > clock && follow.head.last - clock > COUNTER_JUMP_MAX ? ERR_LIMIT : 0;
}

static int builder_add_chunk(struct builder *builder, const struct chunk_header *header,
                             struct bytes chunk)
{
    if (builder_reserve(builder, chunk.length) != 0) {
        return ERR_MEMORY;
    }
    memcpy(builder->block->data + builder->block->length, chunk.data, chunk.length);
    builder->block->length += chunk.length;
    if (IS_PLANTED(PLANTED_FORK_OVERWRITES)) {
        struct head *head = head_touch(builder->store, header->actor);
        if (head != NULL) {
            head->last = header->prev; // the last writer wins
        }
    }
    int result = builder_put(builder, header, chunk.length);
    if (result == 0 && chunk_last(header) > builder->store->commit.clock) {
        builder->store->commit.clock = chunk_last(header);
    }
    return result;
}

int builder_add_chunks(struct builder *builder, struct append *append)
{
    struct bytes rest = append->bytes;
    struct chunk_header header;
    struct bytes chunk;
    size_t skip = 0;
    int result = builder_close_chunk(builder, 0);
    if (result != 0) {
        return result;
    }
    append->result = chunks_follow(builder->store, append->bytes, &skip);
    if (append->result != 0) {
        return 0;
    }
    for (size_t i = 0; rest.length > 0 && result == 0; i++) {
        result = chunk_next(&rest, &header, &chunk);
        assert(result == 0);
        if (i >= skip) {
            result = builder_add_chunk(builder, &header, chunk);
        }
    }
    return result;
}
