// Recovery: what the log's meta says, and after an unclean stop whether it is true.
//
// RocksDB's write-ahead log can come back with a hole in its middle (docs/decisions): an older file
// cut short opens without an error. So each strand is walked back from its head and every link of
// the chain is checked: the chunk is there, whole, and its hash is what its successor (or the head)
// says. Below a hole the strand ends; that is an error unless the operator accepts the loss.
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/base/planted.h"
#include "proto/model/chunk.h"
#include "storage/commit.h"

void totals_encode(const struct totals *totals, uint8_t out[TOTALS_LENGTH])
{
    store_be64(out, totals->events);
    store_be64(out + 8, totals->bytes);
    store_be64(out + 16, totals->chunks);
}

static int meta_get(struct store *store, const char *name, size_t length, uint8_t *out)
{
    struct buffer value = {0};
    int result = disk_get(store->log, LOG_META, bytes_of_text(name), &value);
    if (result == 0 && value.length != length) {
        result = ERR_CORRUPT;
    }
    if (result == 0) {
        memcpy(out, value.data, length);
    }
    buffer_deinit(&value);
    return result;
}

static int meta_get_u64(struct store *store, const char *name, uint64_t *out)
{
    uint8_t value[8];
    int result = meta_get(store, name, sizeof value, value);
    if (result == 0) {
        *out = load_be64(value);
    }
    return result;
}

static void batch_put_u64(struct disk_batch *batch, const char *name, uint64_t number)
{
    uint8_t value[8];
    store_be64(value, number);
    disk_batch_put(batch, LOG_META, bytes_of_text(name), bytes_of(value, sizeof value));
}

static int recover_format(struct store *store, struct reason *reason)
{
    uint64_t format = LOG_FORMAT;
    int result = meta_get_u64(store, META_FORMAT, &format);
    if (result == DISK_NOT_FOUND) {
        return 0;
    }
    if (result != 0) {
        return reason_set(
            reason, result,
            "the meta data of the log cannot be read: restore the data directory (%s)",
            err_text(result));
    }
    if (format != LOG_FORMAT) {
        return reason_set(reason, ERR_VERSION,
                          "the log is of format %llu, this version reads format %d: use the "
                          "version of weir that wrote it, or a newer one",
                          (unsigned long long)format, LOG_FORMAT);
    }
    return 0;
}

static int recover_heads(struct store *store)
{
    struct disk_iterator *iterator;
    int result = disk_iterator_open(store->log, LOG_META, DISK_READ_POINT, &iterator);
    if (result != 0) {
        return result;
    }
    for (disk_iterator_seek(iterator, bytes_of_text("head"));
         disk_iterator_is_valid(iterator) && result == 0; disk_iterator_next(iterator)) {
        struct bytes key = disk_iterator_key(iterator);
        struct bytes value = disk_iterator_value(iterator);
        if (key.length < 4 || memcmp(key.data, "head", 4) != 0) {
            break;
        }
        if (key.length != HEAD_KEY_LENGTH || value.length != HEAD_VALUE_LENGTH) {
            result = ERR_CORRUPT;
            break;
        }
        struct head *head = heads_get(&store->commit.heads, load_be16(key.data + 4));
        if (head == NULL) {
            result = ERR_MEMORY;
            break;
        }
        *head = head_decode(load_be16(key.data + 4), value.data);
    }
    if (result == 0) {
        result = disk_iterator_status(iterator);
    }
    disk_iterator_close(iterator);
    return result;
}

static int recover_ordinal(struct store *store)
{
    struct disk_iterator *iterator;
    int result = disk_iterator_open(store->log, LOG_ARRIVALS, DISK_READ_POINT, &iterator);
    if (result != 0) {
        return result;
    }
    store->commit.ordinal = 0;
    disk_iterator_seek_to_last(iterator);
    if (disk_iterator_is_valid(iterator)) {
        struct bytes key = disk_iterator_key(iterator);
        if (key.length == ARRIVAL_KEY_LENGTH) {
            store->commit.ordinal = load_be64(key.data);
        } else {
            result = ERR_CORRUPT;
        }
    }
    if (result == 0) {
        result = disk_iterator_status(iterator);
    }
    disk_iterator_close(iterator);
    return result;
}

// --- The walk ------------------------------------------------------------------------------------

struct walk {
    struct store *store;
    struct disk_iterator *strands;
    struct disk_iterator *chunk_iterator;
    bool is_placed; // the strands' iterator stands at the last chunk that was checked
    struct buffer chunk;
    uint64_t walked_bytes;
    uint64_t chunks;
    struct head expected; // the chunk that must come next, going down
    struct head sound;    // where the strand ends if there is a hole below: see walk_strand
    bool has_hole;
    uint64_t hole_last; // the last counter that is missing
};

// The place of the chunk that ends at expected.last. Walking down, it is the one before the last.
static int walk_place(struct walk *walk, struct chunk_place *place_out)
{
    if (walk->is_placed) {
        disk_iterator_previous(walk->strands);
        return strand_at(walk->strands, walk->expected.actor, place_out);
    }
    walk->is_placed = true;
    return strand_find(walk->strands, walk->expected.actor, walk->expected.last, place_out);
}

// The bytes under a key: mostly those before the last ones. A get is only for what the iterator
// does not find there, and says whether it is missing or damaged. 0, STRAND_NONE, ERR_*.
static int walk_bytes(struct walk *walk, const struct chunk_place *place, struct bytes *chunk_out)
{
    uint8_t bytes[EVENT_ID_KEY_LENGTH];
    struct bytes key = bytes_of(bytes, sizeof bytes);
    event_id_encode_key((struct event_id){.counter = place->first, .actor = place->actor}, bytes);
    if (disk_iterator_is_valid(walk->chunk_iterator)) {
        disk_iterator_previous(walk->chunk_iterator);
    }
    if (!disk_iterator_is_valid(walk->chunk_iterator) ||
        !bytes_equal(disk_iterator_key(walk->chunk_iterator), key)) {
        disk_iterator_seek_for_prev(walk->chunk_iterator, key);
    }
    if (disk_iterator_is_valid(walk->chunk_iterator) &&
        bytes_equal(disk_iterator_key(walk->chunk_iterator), key)) {
        *chunk_out = disk_iterator_value(walk->chunk_iterator);
        return 0;
    }
    buffer_clear(&walk->chunk);
    int result = disk_get(walk->store->log, LOG_CHUNKS, key, &walk->chunk);
    if (result == DISK_NOT_FOUND || result == ERR_CORRUPT) {
        return STRAND_NONE;
    }
    *chunk_out = buffer_bytes(&walk->chunk);
    return result;
}

// A hollow place is what its record says; the chunk before it ends right below, and its hash is
// known only to itself.
static int walk_hollow(struct walk *walk, const struct chunk_place *place,
                       struct chunk_header *header_out)
{
    struct chunk_place before;
    if (!hash128_equal(&place->record.hash, &walk->expected.hash)) {
        return STRAND_NONE;
    }
    *header_out = (struct chunk_header){.prev = place->first - 1};
    if (place->first == 1) {
        return 0;
    }
    int result = strand_find(walk->strands, place->actor, place->first - 1, &before);
    walk->is_placed = false;
    if (result != 0 || before.record.last != header_out->prev) {
        return result < 0 ? result : STRAND_NONE;
    }
    result =
        strand_chunk_hash(walk->store, place->actor, before.first, &before, &header_out->prev_hash);
    return result == ERR_CORRUPT ? STRAND_NONE : result;
}

// Checks the chunk that ends at expected.last with that hash; 0, STRAND_NONE (not there), ERR_*.
static int walk_chunk(struct walk *walk, struct chunk_header *header_out)
{
    struct chunk_place place;
    struct bytes chunk;
    int result = walk_place(walk, &place);
    if (result != 0) {
        return result;
    }
    if (place.record.last != walk->expected.last) {
        return STRAND_NONE;
    }
    if (place.record.is_hollow) {
        return walk_hollow(walk, &place, header_out);
    }
    result = walk_bytes(walk, &place, &chunk);
    if (result != 0) {
        return result;
    }
    if (!chunk_is_sound(place.actor, place.first, chunk, header_out)) {
        return STRAND_NONE;
    }
    struct hash128 hash = chunk_hash(chunk.data);
    walk->walked_bytes += chunk.length;
    return hash128_equal(&hash, &walk->expected.hash) ? 0 : STRAND_NONE;
}

// Walks one strand down from its head over walk_bytes. On a hole: the newest chunk below it whose
// own chain is sound becomes walk->sound.
static int walk_strand(struct walk *walk, const struct head *head)
{
    walk->expected = *head;
    walk->sound = *head;
    walk->walked_bytes = 0;
    walk->is_placed = false;
    walk->has_hole = false;
    while (walk->expected.last != 0 &&
           (walk->walked_bytes < walk->store->config.walk_bytes || walk->sound.last == 0)) {
        struct chunk_header header;
        int result = walk_chunk(walk, &header);
        if (result < 0) {
            return result;
        }
        if (result == 0) {
            walk->chunks++;
            walk->expected.last = header.prev;
            walk->expected.hash = header.prev_hash;
            continue;
        }
        // A hole: go on below it from what the strand itself has there.
        struct chunk_place place;
        walk->is_placed = false;
        walk->has_hole = true;
        walk->hole_last = walk->expected.last;
        uint64_t below = walk->expected.last;
        result = strand_find(walk->strands, head->actor, below - 1, &place);
        if (result == 0 && place.record.last >= below) {
            result = strand_find(walk->strands, head->actor, place.first - 1, &place);
        }
        if (result < 0) {
            return result;
        }
        walk->sound = (struct head){.actor = head->actor};
        if (result == STRAND_NONE) {
            return 0;
        }
        struct reason ignored;
        buffer_clear(&walk->chunk);
        result = chunk_load(walk->store, place.actor, place.first, &walk->chunk, &header, &ignored);
        bool is_half = result == 0 && header.open != 0; // a produce whose rest is gone
        if (result == ERR_CORRUPT || is_half) {
            walk->expected = (struct head){.actor = head->actor, .last = place.record.last};
            continue;
        }
        if (result != 0) {
            return result;
        }
        walk->sound.last = chunk_last(&header);
        walk->sound.hash = chunk_hash(walk->chunk.data);
        walk->sound.timestamp_ms_max = place.record.timestamp_ms_max;
        walk->expected = walk->sound;
    }
    return 0;
}

// Chunks above the new end of their strand that the strand does not name: the table that holds them
// was written, their records were in the part of the write-ahead log that is missing.
static int strand_cut_chunks(struct store *store, const struct head *end)
{
    struct disk_iterator *chunks;
    uint8_t bytes[EVENT_ID_KEY_LENGTH];
    int result = disk_iterator_open(store->log, LOG_CHUNKS, DISK_READ_SCAN, &chunks);
    if (result != 0) {
        return result;
    }
    event_id_encode_key((struct event_id){.counter = end->last + 1}, bytes);
    for (disk_iterator_seek(chunks, bytes_of(bytes, sizeof bytes)); disk_iterator_is_valid(chunks);
         disk_iterator_next(chunks)) {
        struct bytes key = disk_iterator_key(chunks);
        if (key.length == EVENT_ID_KEY_LENGTH &&
            event_id_decode_key(key.data).actor == end->actor) {
            disk_batch_delete(store->commit.batch, LOG_CHUNKS, key);
        }
    }
    result = disk_iterator_status(chunks);
    disk_iterator_close(chunks);
    return result;
}

// Removes what stands above the new end of a strand: it can no longer be reached by its chain.
static int strand_cut(struct store *store, struct disk_iterator *strands, const struct head *end)
{
    struct chunk_place place;
    uint64_t from = end->last + 1;
    int result;
    struct disk_batch *batch = store->commit.batch;
    while ((result = strand_find_from(strands, end->actor, from, &place)) == 0) {
        uint8_t key[EVENT_ID_KEY_LENGTH];
        uint8_t strand_key[STRAND_KEY_LENGTH];
        uint8_t ordinal[ARRIVAL_KEY_LENGTH];
        event_id_encode_key((struct event_id){.counter = place.first, .actor = place.actor}, key);
        strand_key_encode(place.actor, place.first, strand_key);
        store_be64(ordinal, place.record.ordinal);
        disk_batch_delete(batch, LOG_CHUNKS, bytes_of(key, sizeof key));
        disk_batch_delete(batch, LOG_STRANDS, bytes_of(strand_key, sizeof strand_key));
        if (place.record.ordinal > 0) {
            disk_batch_delete(batch, LOG_ARRIVALS, bytes_of(ordinal, sizeof ordinal));
        }
        from = place.record.last + 1;
    }
    return result == STRAND_NONE ? strand_cut_chunks(store, end) : result;
}

static int recover_hole(struct walk *walk, struct head *head, struct store_recovery *recovery,
                        struct reason *reason)
{
    struct store *store = walk->store;
    struct reason loss;
    reason_set(&loss, ERR_CORRUPT,
               "events of actor %u above counter %llu up to %llu are missing or damaged, which "
               "cuts off all after them, up to %llu",
               head->actor, (unsigned long long)walk->sound.last,
               (unsigned long long)walk->hole_last, (unsigned long long)head->last);
    bool is_first = recovery->loss.text[0] == '\0';
    struct reason before = recovery->loss;
    reason_set(&recovery->loss, ERR_CORRUPT, "%s%s%s", before.text, is_first ? "" : "; ",
               loss.text);
    if (!store->config.accept_loss && !store->config.has_peers) {
        return reason_set(reason, ERR_CORRUPT,
                          "%s: restore the data directory, or start once with --accept-loss to go "
                          "on without them",
                          recovery->loss.text);
    }
    int result = strand_cut(store, walk->strands, &walk->sound);
    if (result != 0) {
        return result;
    }
    if (head->last > store->commit.lease) {
        store->commit.lease = head->last; // the lease may be among what is missing
    }
    *head = walk->sound;
    uint8_t key[HEAD_KEY_LENGTH];
    uint8_t value[HEAD_VALUE_LENGTH];
    head_key_encode(head->actor, key);
    head_encode(head, value);
    disk_batch_put(store->commit.batch, LOG_META, bytes_of(key, sizeof key),
                   bytes_of(value, sizeof value));
    return 0;
}

static int recover_walk(struct store *store, struct store_recovery *recovery, bool *lost_out,
                        struct reason *reason)
{
    struct walk walk = {.store = store};
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &walk.strands);
    if (result != 0) {
        return result;
    }
    result = disk_iterator_open(store->log, LOG_CHUNKS, DISK_READ_POINT, &walk.chunk_iterator);
    if (result != 0) {
        disk_iterator_close(walk.strands);
        return result;
    }
    for (size_t i = 0; i < store->commit.heads.count && result == 0; i++) {
        struct head *head = &store->commit.heads.entries[i];
        result = walk_strand(&walk, head);
        if (result == 0 && walk.has_hole) {
            *lost_out = true;
            result = recover_hole(&walk, head, recovery, reason);
        }
    }
    recovery->chunks_walked = walk.chunks;
    disk_iterator_close(walk.strands);
    disk_iterator_close(walk.chunk_iterator);
    buffer_deinit(&walk.chunk);
    return result;
}

// --- The whole -----------------------------------------------------------------------------------

static int recover_meta(struct store *store, struct store_recovery *recovery)
{
    uint8_t totals[TOTALS_LENGTH] = {0};
    uint64_t clean = 0;
    bool has_lease = true;
    int result = meta_get(store, META_TOTALS, sizeof totals, totals);
    if (result == 0 || result == DISK_NOT_FOUND) {
        store->commit.totals = (struct totals){.events = load_be64(totals),
                                               .bytes = load_be64(totals + 8),
                                               .chunks = load_be64(totals + 16)};
        result = meta_get_u64(store, META_LEASE, &store->commit.lease);
    }
    if (result == DISK_NOT_FOUND) {
        has_lease = false;
        result = 0;
    } else if (result == 0) {
        result = meta_get_u64(store, META_CLEAN, &clean);
        recovery->was_clean = result == 0;
        result = result == DISK_NOT_FOUND ? 0 : result;
    }
    if (result == 0) {
        result = recover_heads(store);
    }
    if (result == 0) {
        result = recover_ordinal(store);
    }
    if (!has_lease) {
        // Fresh, or what held the lease is missing.
        recovery->was_clean = store->commit.heads.count == 0 && store->commit.ordinal == 0;
    }
    return result;
}

// After a loss nobody knows what the missing chunks held: what is left is counted anew.
static int recover_totals(struct store *store)
{
    struct disk_iterator *chunks;
    struct chunk_header header;
    struct totals totals = {0};
    int result = disk_iterator_open(store->log, LOG_CHUNKS, DISK_READ_SCAN, &chunks);
    if (result != 0) {
        return result;
    }
    for (disk_iterator_seek(chunks, bytes_of(NULL, 0)); disk_iterator_is_valid(chunks);
         disk_iterator_next(chunks)) {
        if (chunk_header_parse(disk_iterator_value(chunks), &header) == 0) {
            totals.chunks++;
            totals.events += header.count;
            totals.bytes += header.plain_length;
        }
    }
    result = disk_iterator_status(chunks);
    disk_iterator_close(chunks);
    store->commit.totals = totals;
    store->published.totals = totals;
    return result;
}

// The vector of the heads, and the clock: above the lease, so that an id that might have been
// written is never issued again. A clean stop has set the lease back to the clock.
static int recover_clock(struct store *store)
{
    uint64_t dropped = store->config.counters_dropped;
    uint64_t clock = IS_PLANTED(PLANTED_NO_LEASE) ? 0 : store->commit.lease;
    clock = clock > COUNTER_MAX ? COUNTER_MAX : clock;
    store->commit.clock = dropped > COUNTER_MAX - clock ? COUNTER_MAX : clock + dropped;
    int reserved = strand_ends_reserve(&store->published.ends, store->commit.heads.count);
    if (reserved != 0) {
        return reserved;
    }
    for (size_t i = 0; i < store->commit.heads.count; i++) {
        const struct head *head = &store->commit.heads.entries[i];
        if (head->last > store->commit.clock) {
            store->commit.clock = head->last;
        }
        int result = version_vector_set(&store->published.vector, head->actor, head->last);
        if (result != 0) {
            return result;
        }
        strand_ends_set(&store->published.ends, head);
    }
    clock = store->commit.clock;
    store->commit.lease =
        clock > COUNTER_MAX - COUNTER_LEASE_STEP ? COUNTER_MAX : clock + COUNTER_LEASE_STEP;
    atomic_store(&store->clock, clock);
    store->published.ordinal = store->commit.ordinal;
    store->published.totals = store->commit.totals;
    return 0;
}

int store_recover(struct store *store, struct store_recovery *recovery, bool *lost_out,
                  struct reason *reason)
{
    *lost_out = false;
    int result = recover_format(store, reason);
    if (result != 0) {
        return result;
    }
    result = recover_meta(store, recovery);
    if (result == 0 && !recovery->was_clean) {
        result = recover_walk(store, recovery, lost_out, reason);
    }
    damage_clear(&store->damage); // what the walk met is cut off
    if (result == 0) {
        result = recover_clock(store);
    }
    if (result == 0) {
        result = scrub_load(store);
    }
    if (result == 0) {
        struct disk_batch *batch = store->commit.batch;
        batch_put_u64(batch, META_FORMAT, LOG_FORMAT);
        batch_put_u64(batch, META_LEASE, store->commit.lease);
        disk_batch_delete(batch, LOG_META, bytes_of_text(META_CLEAN));
        result = disk_write(store->log, batch);
        disk_batch_clear(batch);
    }
    if (result == 0 && !IS_PLANTED(PLANTED_UNSYNCED_VISIBLE)) {
        result = disk_sync(store->log); // nothing recovered is visible before it is synced again
    }
    if (result == 0 && *lost_out) {
        result = recover_totals(store);
    }
    if (result == 0 && *lost_out) {
        result = recover_ordinal(store); // the newest arrivals may be gone
        store->published.ordinal = store->commit.ordinal;
    }
    recovery->counter_next = store->commit.clock + 1;
    if (result == ERR_CORRUPT && *lost_out && reason->text[0] == '\0') {
        reason_set(reason, result,
                   "the log cannot go on without what is lost, because its tables are damaged too: "
                   "restore the data directory (%s)",
                   err_text(result));
    }
    if (result != 0 && reason->text[0] == '\0') {
        reason_set(reason, result, "cannot recover the log: %s", err_text(result));
    }
    return result;
}

int store_mark_clean(struct store *store)
{
    struct disk_batch *batch = store->commit.batch;
    disk_batch_clear(batch);
    batch_put_u64(batch, META_LEASE, store->commit.clock);
    batch_put_u64(batch, META_CLEAN, 1);
    uint8_t totals[TOTALS_LENGTH];
    totals_encode(&store->commit.totals, totals);
    disk_batch_put(batch, LOG_META, bytes_of_text(META_TOTALS), bytes_of(totals, sizeof totals));
    int result = disk_write(store->log, batch);
    return result == 0 ? disk_sync(store->log) : result;
}
