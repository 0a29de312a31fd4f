// Ports: the two-way street between a loop and the store's threads. What a loop submits stays in
// its own list until the flush, which takes one lock for all of it; what is completed waits under
// the published lock until the loop's refresh adopts it together with the vector that covers it.
#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/store_state.h"

// So much is handed over before the flush, so that the commit of the first of it begins while the
// loop still validates the rest.
enum { FLUSH_BYTES = 64 * KIB };

int store_port_open(struct store *store, store_wake *wake, void *context,
                    struct store_port **port_out)
{
    struct store_port *port = calloc(1, sizeof *port);
    if (port == NULL) {
        return ERR_MEMORY;
    }
    port->store = store;
    port->wake = wake;
    port->context = context;
    append_list_init(&port->submitted);
    append_list_init(&port->taken);
    append_list_init(&port->appends_done);
    read_list_init(&port->reads_taken);
    read_list_init(&port->reads_done);
    pthread_mutex_lock(&store->published.lock);
    int result = version_vector_copy(&port->vector, &store->published.vector);
    if (result == 0) {
        result = strand_ends_copy(&port->ends, &store->published.ends);
    }
    if (result == 0) {
        port->ordinal = store->published.ordinal;
        port->fatal = store->published.fatal;
        port->next = store->published.ports;
        store->published.ports = port;
    }
    pthread_mutex_unlock(&store->published.lock);
    if (result != 0) {
        version_vector_deinit(&port->vector);
        strand_ends_deinit(&port->ends);
        free(port);
        return result;
    }
    *port_out = port;
    return 0;
}

void store_port_close(struct store_port *port)
{
    if (port == NULL) {
        return;
    }
    struct store *store = port->store;
    pthread_mutex_lock(&store->published.lock);
    struct store_port **link = &store->published.ports;
    while (*link != port) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = port->next;
    pthread_mutex_unlock(&store->published.lock);
    assert(port->submitted.first == NULL && port->taken.first == NULL &&
           port->appends_done.first == NULL && port->reads_done.first == NULL);
    version_vector_deinit(&port->vector);
    strand_ends_deinit(&port->ends);
    free(port);
}

void store_port_refresh(struct store_port *port)
{
    struct store *store = port->store;
    pthread_mutex_lock(&store->published.lock);
    append_list_move(&port->taken, &port->appends_done);
    struct read *read;
    while ((read = read_list_take(&port->reads_done)) != NULL) {
        read_list_add(&port->reads_taken, read);
    }
    port->fatal = store->published.fatal;
    if (port->ordinal != store->published.ordinal) {
        if (strand_ends_copy(&port->ends, &store->published.ends) == 0 &&
            version_vector_copy(&port->vector, &store->published.vector) == 0) {
            port->ordinal = store->published.ordinal;
        } else {
            port->wake(port->context); // no memory now: once more
        }
    }
    pthread_mutex_unlock(&store->published.lock);
}

const struct version_vector *store_port_vector(const struct store_port *port)
{
    return &port->vector;
}

const struct strand_end *store_port_ends(const struct store_port *port, uint32_t *count_out)
{
    *count_out = port->ends.count;
    return port->ends.entries;
}

uint64_t store_port_ordinal(const struct store_port *port)
{
    return port->ordinal;
}

int store_port_fatal(const struct store_port *port)
{
    return port->fatal;
}

void store_append(struct store_port *port, struct append *append)
{
    append->port = port;
    append->result = 0;
    append->first =
        append->kind == APPEND_ACTOR || append->kind == APPEND_HOLLOW ? append->first : 0;
    append->head = 0;
    append_list_add(&port->submitted, append);
    port->submitted_bytes += append->bytes.length;
    if (port->submitted_bytes >= FLUSH_BYTES) {
        store_port_flush(port);
    }
}

void store_port_flush(struct store_port *port)
{
    struct store *store = port->store;
    if (port->submitted.first == NULL) {
        return;
    }
    atomic_fetch_add(&store->appended_bytes, port->submitted_bytes);
    port->submitted_bytes = 0;
    pthread_mutex_lock(&store->queue.lock);
    append_list_move(&store->queue.appends, &port->submitted);
    pthread_mutex_unlock(&store->queue.lock);
    pthread_cond_signal(&store->queue.changed);
}

struct append *store_port_take_append(struct store_port *port)
{
    return append_list_take(&port->taken);
}

void store_clock_raise(struct store *store, uint64_t counter)
{
    uint64_t clock = atomic_load(&store->clock);
    uint64_t seen = atomic_load(&store->clock_seen);
    if (counter > COUNTER_MAX || (counter > clock && counter - clock > COUNTER_JUMP_MAX)) {
        return;
    }
    while (counter > seen && !atomic_compare_exchange_weak(&store->clock_seen, &seen, counter)) {
    }
}

uint64_t store_clock(const struct store *store)
{
    return atomic_load(&store->clock);
}

void store_allow_compression(struct store *store, bool is_allowed)
{
    atomic_store(&store->may_not_compress, !is_allowed);
}

bool store_is_congested(const struct store *store)
{
    return atomic_load(&store->index_behind) > INDEX_BEHIND_EVENTS_MAX &&
           !atomic_load(&store->indexer.is_broken);
}

struct block *store_recent(struct store_port *port, uint64_t ordinal)
{
    return ordinal > port->ordinal ? NULL : recent_find(&port->store->recent, ordinal);
}

void store_read(struct store_port *port, struct read *read)
{
    struct store *store = port->store;
    read->port = port;
    read->result = 0;
    if (read->kind == READ_NAMESPACES) {
        read->ordinal_end = port->ordinal;
    }
    pthread_mutex_lock(&store->reads.lock);
    read_list_add(&store->reads.waiting, read);
    pthread_mutex_unlock(&store->reads.lock);
    pthread_cond_signal(&store->reads.changed);
}

struct read *store_port_take_read(struct store_port *port)
{
    return read_list_take(&port->reads_taken);
}

void store_complete_read(struct store *store, struct read *read)
{
    struct store_port *port = read->port;
    pthread_mutex_lock(&store->published.lock);
    read_list_add(&port->reads_done, read);
    port->wake(port->context);
    pthread_mutex_unlock(&store->published.lock);
}

void store_wake_ports(struct store *store)
{
    for (struct store_port *port = store->published.ports; port != NULL; port = port->next) {
        port->wake(port->context);
    }
}
