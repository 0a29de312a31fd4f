// The readers' queue and one step of whatever is at its front. Any number of threads may step.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/store_state.h"

void read_init(struct read *read, enum read_kind kind)
{
    *read = (struct read){.kind = kind, .bytes_max = BLOCK_BYTES_MAX};
}

void read_park(struct read *read)
{
    struct read_state *state = read->state;
    if (state != NULL) {
        read->state = NULL;
        state->free(state);
    }
}

void read_deinit(struct read *read)
{
    read_park(read);
    filter_unref(read->filter);
    version_vector_deinit(&read->lower);
    version_vector_deinit(&read->upper);
    version_vector_deinit(&read->vector);
    buffer_deinit(&read->after_name);
    buffer_deinit(&read->names);
    block_unref(read->block);
    *read = (struct read){0};
}

// A page of namespaces is exact: it waits until the index holds all that was visible when it was
// asked for (read->ordinal_end), and is put back into the queue by the indexer.
static bool read_waits_for_index(struct store *store, struct read *read)
{
    bool waits = false;
    if (read->kind != READ_NAMESPACES) {
        return false;
    }
    pthread_mutex_lock(&store->indexer.lock);
    waits =
        !atomic_load(&store->indexer.is_broken) && index_ordinal(store->index) < read->ordinal_end;
    if (waits) {
        store->indexer.is_wanted = true;
        read_list_add(&store->indexer.waiting, read);
        pthread_cond_signal(&store->indexer.changed);
    }
    pthread_mutex_unlock(&store->indexer.lock);
    return waits;
}

static int read_step_page(struct store *store, struct read *read)
{
    bool more = false;
    struct buffer next_name = {0};
    if (atomic_load(&store->indexer.is_broken)) {
        return reason_set(&read->reason, ERR_IO,
                          "the index of namespaces stands still, because the disk failed or is "
                          "damaged (see weir status): when that is mended, restart the node");
    }
    buffer_clear(&read->names);
    int result = index_names_page(store->index, read->filter, buffer_bytes(&read->after_name),
                                  read->page_max, &read->names, &more, &next_name);
    if (result == 0) {
        buffer_clear(&read->after_name);
        result = buffer_append(&read->after_name, buffer_bytes(&next_name));
        read->done = !more;
    }
    buffer_deinit(&next_name);
    return result;
}

int read_step_namespaces(struct store *store, struct read *read)
{
    return read_step_page(store, read);
}

static int read_step(struct store *store, struct read *read)
{
    switch (read->kind) {
    case READ_CANONICAL:
        return read_step_canonical(store, read);
    case READ_ARRIVAL:
        return read_step_arrival(store, read);
    case READ_EVENT:
        return read_step_event(store, read);
    case READ_LAST:
        return read_step_last(store, read);
    case READ_NEIGHBOR:
        return read_step_neighbor(store, read);
    case READ_START:
        return read_step_start(store, read);
    case READ_NAMESPACES:
        return read_step_namespaces(store, read);
    case READ_STRAND:
        return read_step_strand(store, read);
    case READ_CHUNK:
        return read_step_chunk(store, read);
    }
    return ERR_INVALID;
}

bool store_step_read(struct store *store)
{
    pthread_mutex_lock(&store->reads.lock);
    struct read *read = read_list_take(&store->reads.waiting);
    pthread_mutex_unlock(&store->reads.lock);
    if (read == NULL) {
        return false;
    }
    if (read_waits_for_index(store, read)) {
        return true;
    }
    read->reason.text[0] = '\0';
    read->result = read_step(store, read);
    if (read->result < 0) {
        read_park(read);
        block_unref(read->block);
        read->block = NULL;
        if (read->reason.text[0] == '\0') {
            reason_set(&read->reason, read->result, "%s", err_text(read->result));
        }
    }
    store_complete_read(store, read);
    return true;
}

void store_wait_read(struct store *store)
{
    pthread_mutex_lock(&store->reads.lock);
    while (store->reads.waiting.first == NULL && !store->reads.interrupted) {
        pthread_cond_wait(&store->reads.changed, &store->reads.lock);
    }
    pthread_mutex_unlock(&store->reads.lock);
}
