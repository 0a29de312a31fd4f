// Start positions as vectors: every way to say where to start becomes, per actor, the last counter
// that lies before it. The answers are always ids of their strands, so they are cursors.
#include "storage/store_state.h"

// The highest counter of an actor that is held, at or below `counter`, and inside `upper`.
static int entry_up_to(struct disk_iterator *strands, uint16_t actor, uint64_t counter,
                       uint64_t upper, uint64_t *entry_out)
{
    struct chunk_place place;
    *entry_out = 0;
    counter = counter < upper ? counter : upper;
    if (counter == 0) {
        return 0;
    }
    int result = strand_find(strands, actor, counter, &place);
    if (result == 0) {
        *entry_out = place.record.last < counter ? place.record.last : counter;
    }
    return result == STRAND_NONE ? 0 : result;
}

int vector_up_to(struct store *store, struct event_id id, bool exclusive,
                 const struct version_vector *upper, struct version_vector *out)
{
    struct disk_iterator *strands;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    version_vector_clear(out);
    for (uint32_t i = 0; i < upper->count && result == 0; i++) {
        uint16_t actor = upper->entries[i].actor;
        bool includes = actor < id.actor || (actor == id.actor && !exclusive);
        uint64_t counter = includes ? id.counter : id.counter - (id.counter > 0);
        uint64_t entry;
        result = entry_up_to(strands, actor, counter, upper->entries[i].counter, &entry);
        if (result == 0) {
            result = version_vector_set(out, actor, entry);
        }
    }
    disk_iterator_close(strands);
    return result;
}

// --- Time ----------------------------------------------------------------------------------------

// The last counter of the strand before its first chunk whose highest timestamp so far reaches
// `time_ms`, by bisection: that maximum never falls along a strand.
static int entry_before_time(struct disk_iterator *strands, uint16_t actor, uint64_t time_ms,
                             uint64_t upper, uint64_t *entry_out)
{
    struct chunk_place place;
    uint64_t low = 0; // up to here everything is before
    uint64_t high = upper;
    *entry_out = 0;
    while (low < high) {
        int result = strand_find(strands, actor, low + (high - low + 1) / 2, &place);
        if (result < 0) {
            return result;
        }
        uint64_t middle = low + (high - low + 1) / 2;
        if (result == STRAND_NONE || place.record.last <= low) {
            low = middle; // a gap: nothing new up to here
            continue;
        }
        if (place.record.timestamp_ms_max < time_ms) {
            *entry_out = place.record.last < upper ? place.record.last : upper;
            low = place.record.last > middle ? place.record.last : middle;
        } else {
            high = place.first - 1;
        }
    }
    return 0;
}

static int vector_before_time(struct store *store, uint64_t time_ms,
                              const struct version_vector *upper, struct version_vector *out)
{
    struct disk_iterator *strands;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    version_vector_clear(out);
    for (uint32_t i = 0; i < upper->count && result == 0; i++) {
        const struct version_entry *entry = &upper->entries[i];
        uint64_t counter;
        result = entry_before_time(strands, entry->actor, time_ms, entry->counter, &counter);
        if (result == 0) {
            result = version_vector_set(out, entry->actor, counter);
        }
    }
    disk_iterator_close(strands);
    return result;
}

// --- Cursors -------------------------------------------------------------------------------------

// Every entry that this node can judge must be an id of its strand; one that is ahead of the node
// cannot be judged yet.
static int cursor_check(struct store *store, struct read *read)
{
    struct disk_iterator *strands;
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    for (uint32_t i = 0; i < read->lower.count && result == 0; i++) {
        const struct version_entry *entry = &read->lower.entries[i];
        struct chunk_place place;
        if (entry->counter > version_vector_get(&read->upper, entry->actor)) {
            continue;
        }
        result = strand_find(strands, entry->actor, entry->counter, &place);
        if (result == STRAND_NONE || (result == 0 && place.record.last < entry->counter)) {
            result = reason_set(&read->reason, ERR_INVALID,
                                "the cursor's entry %llu.%u is no event of this cluster: is the "
                                "cursor of another cluster, or from before a loss of data?",
                                (unsigned long long)entry->counter, entry->actor);
        }
    }
    disk_iterator_close(strands);
    return result;
}

int read_step_start(struct store *store, struct read *read)
{
    switch (read->start) {
    case START_AFTER_ID:
        return vector_up_to(store, read->position, false, &read->upper, &read->vector);
    case START_FROM_ID:
        return vector_up_to(store, read->position, true, &read->upper, &read->vector);
    case START_TIME:
        return vector_before_time(store, read->time_ms, &read->upper, &read->vector);
    case START_CURSOR: {
        int result = cursor_check(store, read);
        return result == 0 ? version_vector_copy(&read->vector, &read->lower) : result;
    }
    case START_STABLE:
        return read_step_stable(store, read);
    }
    return ERR_INVALID;
}
