// The scrub: every chunk of every strand is read in turn, body against its hash and link by link
// along the chain up to the head, so that what rots unread is found while other nodes still have
// it. A step checks a few chunks behind where the last one ended; a round ends behind the last
// strand. Its place is written down now and then, by a commit that writes anyway, so that a node
// that is restarted often comes around too.
#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "storage/store_state.h"

enum { CHUNKS_PER_STEP = 64, BYTES_PER_STEP = 1 << 20, STEPS_PER_SAVE = 64, SAVED_LENGTH = 12 };

void scrub_deinit(struct store *store)
{
    buffer_deinit(&store->scrub.chunk);
}

void scrub_status(struct store *store, struct store_status *status)
{
    status->scrub_checked = atomic_load(&store->scrub.checked);
    status->scrub_rounds = atomic_load(&store->scrub.rounds);
    status->scrub_total = status->chunks;
}

int scrub_load(struct store *store)
{
    struct buffer value = {0};
    int result = disk_get(store->log, LOG_META, bytes_of_text(META_SCRUB), &value);
    if (result == 0 && value.length == SAVED_LENGTH) {
        store->scrub.actor = load_be32(value.data);
        store->scrub.last = load_be64(value.data + 4);
        store->published.scrub_actor = store->scrub.actor;
        store->published.scrub_last = store->scrub.last;
    }
    buffer_deinit(&value);
    return result == DISK_NOT_FOUND ? 0 : result;
}

void scrub_save(struct store *store, struct disk_batch *batch)
{
    uint8_t value[SAVED_LENGTH];
    pthread_mutex_lock(&store->published.lock);
    store_be32(value, store->published.scrub_actor);
    store_be64(value + 4, store->published.scrub_last);
    pthread_mutex_unlock(&store->published.lock);
    disk_batch_put(batch, LOG_META, bytes_of_text(META_SCRUB), bytes_of(value, sizeof value));
}

static void scrub_note(struct store *store)
{
    if (++store->scrub.steps_unsaved < STEPS_PER_SAVE) {
        return;
    }
    store->scrub.steps_unsaved = 0;
    pthread_mutex_lock(&store->published.lock);
    store->published.scrub_actor = store->scrub.actor;
    store->published.scrub_last = store->scrub.last;
    pthread_mutex_unlock(&store->published.lock);
    atomic_store(&store->scrub.is_save_due, true);
}

// The strand of `actor`, or the next one. False: there is none.
static bool end_from(struct store *store, uint32_t actor, struct strand_end *end_out)
{
    bool is_found = false;
    pthread_mutex_lock(&store->published.lock);
    for (uint32_t i = 0; i < store->published.ends.count && !is_found; i++) {
        is_found = store->published.ends.entries[i].actor >= actor;
        if (is_found) {
            *end_out = store->published.ends.entries[i];
        }
    }
    pthread_mutex_unlock(&store->published.lock);
    return is_found;
}

static int scrub_load_chunk(struct store *store, const struct chunk_place *place)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key((struct event_id){.counter = place->first, .actor = place->actor}, key);
    buffer_clear(&store->scrub.chunk);
    int result = disk_get(store->log, LOG_CHUNKS, bytes_of(key, sizeof key), &store->scrub.chunk);
    return result == DISK_NOT_FOUND ? ERR_CORRUPT : result;
}

// Checks the chunk at a place: itself, and against the one before it and, at the end, the head.
// Returns ERR_* only where it cannot tell.
static int scrub_place(struct store *store, const struct chunk_place *place,
                       const struct strand_end *end)
{
    struct chunk_header header;
    struct reason reason;
    int result = scrub_load_chunk(store, place);
    if (result != 0 && result != ERR_CORRUPT) {
        return result;
    }
    struct bytes chunk = buffer_bytes(&store->scrub.chunk);
    bool is_sound = result == 0 && chunk_is_sound(place->actor, place->first, chunk, &header) &&
                    chunk_last(&header) == place->record.last;
    struct hash128 hash = {{0}};
    if (is_sound) {
        hash = chunk_hash(chunk.data);
        bool follows = header.prev == store->scrub.last &&
                       hash128_equal(&header.prev_hash, &store->scrub.hash);
        bool is_end = place->record.last == end->last;
        is_sound =
            (follows || !store->scrub.has_hash) && (!is_end || hash128_equal(&hash, &end->hash));
    }
    if (!is_sound) {
        store_corrupt(store, place->actor, place->first, &reason);
    }
    store->scrub.has_hash = is_sound;
    store->scrub.hash = hash;
    return 0;
}

// Goes on in one strand. 0, STRAND_NONE (its end is reached), ERR_*.
static int scrub_strand(struct store *store, struct disk_iterator *strands,
                        const struct strand_end *end)
{
    struct chunk_place place;
    size_t bytes = 0;
    int result = strand_find_from(strands, end->actor, store->scrub.last + 1, &place);
    for (unsigned i = 0; result == 0 && i < CHUNKS_PER_STEP && bytes < BYTES_PER_STEP; i++) {
        if (place.record.last > end->last) {
            return STRAND_NONE;
        }
        if (place.record.is_hollow) {
            store->scrub.has_hash = true;
            store->scrub.hash = place.record.hash;
        } else {
            result = scrub_place(store, &place, end);
            bytes += store->scrub.chunk.length;
        }
        if (result != 0) {
            return result;
        }
        store->scrub.last = place.record.last;
        atomic_fetch_add(&store->scrub.checked, 1);
        disk_iterator_next(strands);
        result = strand_at(strands, end->actor, &place);
    }
    return result;
}

bool store_step_scrub(struct store *store)
{
    struct strand_end end;
    struct disk_iterator *strands;
    if (!end_from(store, store->scrub.actor, &end)) {
        store->scrub.actor = 0;
        store->scrub.last = 0;
        atomic_store(&store->scrub.checked, 0);
        atomic_fetch_add(&store->scrub.rounds, 1);
        return false;
    }
    if (end.actor != store->scrub.actor) {
        store->scrub.actor = end.actor;
        store->scrub.last = 0;
    }
    if (store->scrub.last == 0) {
        store->scrub.has_hash = true; // the chain begins with zeros
        store->scrub.hash = (struct hash128){{0}};
    }
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result == 0) {
        result = scrub_strand(store, strands, &end);
        disk_iterator_close(strands);
    }
    if (result == STRAND_NONE || result < 0) {
        store->scrub.last = 0; // what cannot be told now is looked at in the next round
        store->scrub.actor = end.actor + 1U;
    }
    scrub_note(store);
    return true;
}
