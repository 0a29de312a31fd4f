// What is read once, at a start: the records that the cluster keeps beside the log, and the events
// of a system namespace.
#include "proto/model/chunk.h"
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

// Whether an event's namespace is that one, or begins with it, if it ends in a slash.
static bool is_named(struct bytes space, struct bytes name)
{
    bool is_prefix = name.length > 0 && name.data[name.length - 1] == '/';
    return is_prefix ? space.length > name.length && memcmp(space.data, name.data, name.length) == 0
                     : bytes_equal(space, name);
}

// The events of that name in one system chunk.
static int chunk_visit(const struct chunk_header *header, struct bytes chunk, struct bytes name,
                       store_event_found *found, void *context)
{
    struct buffer scratch = {0};
    struct bytes events;
    int result = chunk_body(header, chunk, &scratch, &events);
    for (unsigned i = 0; result == 0 && i < header->count; i++) {
        struct event event;
        struct event_id id = {.counter = header->first + i, .actor = header->actor};
        event_next_trusted(&events, &event);
        if (is_named(event.name, name)) {
            result = found(context, event.name, id, event.data);
        }
    }
    buffer_deinit(&scratch);
    return result;
}

// One that is damaged is noted, to be repaired, and passed over: the others tell what they can. One
// that is not held any more was cut off by a recovery.
static int system_key_visit(struct store *store, struct event_id first, struct bytes name,
                            store_event_found *found, void *context)
{
    struct chunk_header header;
    struct buffer chunk = {0};
    struct reason ignored;
    if (version_vector_get(&store->published.vector, first.actor) < first.counter) {
        return 0;
    }
    int result = chunk_load(store, first.actor, first.counter, &chunk, &header, &ignored);
    if (result == 0) {
        result = chunk_visit(&header, buffer_bytes(&chunk), name, found, context);
    } else if (result == ERR_CORRUPT) {
        result = 0;
    }
    buffer_deinit(&chunk);
    return result;
}

// By a list of the chunks that hold such events, not by the index: that may be behind, and looking
// through the log would end at the first damaged chunk, whatever is in it.
int store_system_events(struct store *store, const char *name, store_event_found *found,
                        void *context)
{
    struct disk_iterator *iterator;
    struct bytes prefix = bytes_of(META_SYSTEM, SYSTEM_PREFIX_LENGTH);
    int result = disk_iterator_open(store->log, LOG_META, DISK_READ_POINT, &iterator);
    if (result != 0) {
        return result;
    }
    disk_iterator_seek(iterator, prefix);
    while (result == 0 && disk_iterator_is_valid(iterator)) {
        struct bytes key = disk_iterator_key(iterator);
        if (key.length != prefix.length + EVENT_ID_KEY_LENGTH ||
            memcmp(key.data, prefix.data, prefix.length) != 0) {
            break;
        }
        result = system_key_visit(store, event_id_decode_key(key.data + prefix.length),
                                  bytes_of_text(name), found, context);
        disk_iterator_next(iterator);
    }
    if (result == 0) {
        result = disk_iterator_status(iterator);
    }
    disk_iterator_close(iterator);
    return result;
}
