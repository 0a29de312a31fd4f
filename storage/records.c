// What is read once, at a start: the records that the cluster keeps beside the log, and the events
// of a system namespace.
#include "proto/model/slice.h"
#include "storage/store_state.h"

int store_records(struct store *store, store_record_found *found, void *context)
{
    struct disk_iterator *iterator;
    struct bytes prefix = bytes_of(META_RECORD, RECORD_PREFIX_LENGTH);
    int result = disk_iterator_open(store->log, LOG_META, DISK_READ_POINT, &iterator);
    if (result != 0) {
        return result;
    }
    disk_iterator_seek(iterator, prefix);
    while (result == 0 && disk_iterator_is_valid(iterator)) {
        struct bytes key = disk_iterator_key(iterator);
        if (key.length <= prefix.length || memcmp(key.data, prefix.data, prefix.length) != 0) {
            break;
        }
        key = bytes_of(key.data + prefix.length, key.length - prefix.length);
        result = found(context, key, disk_iterator_value(iterator));
        disk_iterator_next(iterator);
    }
    if (result == 0) {
        result = disk_iterator_status(iterator);
    }
    disk_iterator_close(iterator);
    return result;
}

static int slices_visit(struct bytes rest, store_event_found *found, void *context)
{
    while (rest.length > 0) {
        struct slice slice;
        int result = slice_next(&rest, &slice);
        struct bytes events = slice.events;
        for (unsigned i = 0; result == 0 && i < slice.count; i++) {
            struct event event;
            struct event_id id = {.counter = slice.first + i, .actor = slice.actor};
            event_next_trusted(&events, &event);
            result = found(context, id, event.data);
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static int events_visit(struct store *store, struct read *read, store_event_found *found,
                        void *context)
{
    int result = 0;
    while (result == 0 && !read->done) {
        result = read_step_canonical(store, read);
        if (result == 0 && read->block != NULL) {
            result = slices_visit(block_bytes(read->block), found, context);
        }
        block_unref(read->block);
        read->block = NULL;
    }
    return result;
}

int store_system_events(struct store *store, const char *name, store_event_found *found,
                        void *context)
{
    struct read read;
    struct filter_entry entry = {.text = bytes_of_text(name), .is_exact = true};
    read_init(&read, READ_CANONICAL);
    read.slices_only = true;
    int result = filter_new(&entry, 1, &read.filter, &read.reason);
    if (result == 0) {
        pthread_mutex_lock(&store->published.lock);
        result = version_vector_copy(&read.upper, &store->published.vector);
        pthread_mutex_unlock(&store->published.lock);
    }
    if (result == 0) {
        result = events_visit(store, &read, found, context);
    }
    read_deinit(&read);
    return result;
}
