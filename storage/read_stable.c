// Where a reader in stable order goes on behind a single id: everything up to it in canonical
// order, but no part of a produce. Produces are not marked inside chunks, so what is never cut is a
// group: chunks of one actor up to one that ends complete. Where the id cuts a group, everything
// from its first event on is left out, of all actors; that may cut another one, which begins lower
// still.
#include "storage/store_state.h"

static int chunk_header_load_at(struct store *store, const struct chunk_place *place,
                                struct chunk_header *header_out, struct reason *reason)
{
    struct buffer chunk = {0};
    int result = chunk_load(store, place->actor, place->first, &chunk, header_out, reason);
    buffer_deinit(&chunk);
    return result;
}

// The first counter of the group that `counter` lies in and does not end, or 0.
static int group_cut(struct store *store, struct disk_iterator *strands, uint16_t actor,
                     uint64_t counter, struct reason *reason, uint64_t *first_out)
{
    struct chunk_place place;
    struct chunk_header header;
    *first_out = 0;
    int result = strand_find(strands, actor, counter, &place);
    if (result != 0 || place.record.is_hollow) {
        return result == STRAND_NONE ? 0 : result;
    }
    result = chunk_header_load_at(store, &place, &header, reason);
    if (result != 0 || (header.open == 0 && chunk_last(&header) == counter)) {
        return result;
    }
    do {
        *first_out = place.first;
        disk_iterator_previous(strands);
        result = strand_at(strands, actor, &place);
        if (result != 0 || place.record.is_hollow) {
            return result == STRAND_NONE ? 0 : result;
        }
        result = chunk_header_load_at(store, &place, &header, reason);
    } while (result == 0 && header.open > 0);
    return result;
}

// The lowest id at which a group begins that the vector cuts; none: all are whole.
static int vector_cut(struct store *store, struct read *read, struct event_id *cut_out)
{
    struct disk_iterator *strands;
    *cut_out = (struct event_id){0};
    int result = disk_iterator_open(store->log, LOG_STRANDS, DISK_READ_POINT, &strands);
    if (result != 0) {
        return result;
    }
    for (uint32_t i = 0; i < read->vector.count && result == 0; i++) {
        const struct version_entry *entry = &read->vector.entries[i];
        struct event_id first = {.actor = entry->actor};
        result =
            group_cut(store, strands, entry->actor, entry->counter, &read->reason, &first.counter);
        if (result == 0 && first.counter > 0 &&
            (event_id_is_none(*cut_out) || event_id_compare(first, *cut_out) < 0)) {
            *cut_out = first;
        }
    }
    disk_iterator_close(strands);
    return result;
}

int read_step_stable(struct store *store, struct read *read)
{
    struct event_id cut;
    int result = vector_up_to(store, read->position, false, &read->upper, &read->vector);
    while (result == 0 && (result = vector_cut(store, read, &cut)) == 0 && !event_id_is_none(cut)) {
        result = vector_up_to(store, cut, true, &read->upper, &read->vector);
    }
    return result;
}
