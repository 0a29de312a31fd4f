// A view is made by the indexing thread, published by swapping a pointer under the lock, and freed
// by whoever releases it last. Readers open their iterators after they have taken a view: the disk
// then holds at least what the view promises, and keys of later parts are passed over.

#include "storage/index_internal.h"

#include <assert.h>
#include <stdlib.h>

static void view_free(struct index_view *view)
{
    for (uint32_t i = 0; i < view->segments_count; i++) {
        tail_segment_unref(view->segments[i]);
    }
    index_state_deinit(&view->state);
    free(view);
}

struct index_view *index_view_take(struct index *index)
{
    pthread_mutex_lock(&index->lock);
    struct index_view *view = index->view;
    view->references++;
    pthread_mutex_unlock(&index->lock);
    return view;
}

static bool view_is_of_newest_part(struct index *index, const struct index_view *view)
{
    pthread_mutex_lock(&index->lock);
    bool is_newest = index->view->state.parts == view->state.parts;
    pthread_mutex_unlock(&index->lock);
    return is_newest;
}

// Summaries are written over, after the view with the part that they count is published: while that
// view is not there, the disk holds none that counts what this one has in its tail.
int index_view_take_summed(struct index *index, struct index_view **view_out,
                           struct disk_iterator **postings_out)
{
    for (;;) {
        struct index_view *view = index_view_take(index);
        struct disk_iterator *postings;
        int err = disk_iterator_open(index->disk, INDEX_POSTINGS, DISK_READ_POINT, &postings);
        if (err) {
            index_view_release(index, view);
            return err;
        }
        if (view_is_of_newest_part(index, view)) {
            *view_out = view;
            *postings_out = postings;
            return 0;
        }
        disk_iterator_close(postings);
        index_view_release(index, view);
    }
}

void index_view_release(struct index *index, struct index_view *view)
{
    if (!view) {
        return;
    }
    pthread_mutex_lock(&index->lock);
    bool is_last = --view->references == 0;
    pthread_mutex_unlock(&index->lock);
    if (is_last) {
        view_free(view);
    }
}

int index_view_new(const struct index *index, const struct index_view *old, uint32_t segments_count,
                   struct index_view **view_out)
{
    const struct accumulator *added = &index->added;
    struct index_view *view = calloc(1, sizeof *view);
    if (!view) {
        return ERR_MEMORY;
    }
    view->references = 1;
    int err = index_state_copy(&view->state, &index->state);
    err = err ? err : version_vector_copy(&view->state.vector, &added->vector);
    if (err) {
        view_free(view);
        return err;
    }
    view->state.ordinal = added->ordinal;
    view->state.names = index->names_next;
    view->state.events += added->events_count;
    view->state.chunks += added->chunks_count;
    for (uint32_t i = 0; i < segments_count; i++) {
        view->segments[i] = tail_segment_ref(old->segments[i]);
    }
    view->segments_count = segments_count;
    *view_out = view;
    return 0;
}

void index_view_publish(struct index *index, struct index_view *view)
{
    pthread_mutex_lock(&index->lock);
    struct index_view *old = index->view;
    index->view = view;
    pthread_mutex_unlock(&index->lock);
    atomic_store_explicit(&index->namespaces, view->state.names, memory_order_relaxed);
    atomic_store_explicit(&index->ordinal, view->state.ordinal, memory_order_release);
    index_view_release(index, old);
}
