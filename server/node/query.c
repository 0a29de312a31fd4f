// A query is one read of the store, or a few in sequence, and one reply. Few of a session run at
// once, by weight, and none is started while the session has much to send: so what they hold in
// memory is bounded however many are asked for.
//
// The last N are found from the end, then read forward from the first of them. Where they are more
// than a reply holds, the oldest are left out.

#include "server/node/query.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "proto/model/slice.h"
#include "server/node/node.h"
#include "server/node/service_state.h"
#include "server/node/session.h"
#include "server/node/waiter.h"

enum { LAST_BYTES_MAX = 16 * MIB }; // of the reply to LAST, or one larger event

struct query {
    struct session *session;
    struct list_node link;       // of the session's queries
    struct list_node queue_link; // of those not started
    uint64_t id;
    enum request_kind kind;
    uint32_t weight;
    bool is_running;
    struct waiter waiter;
    struct read_owner owner;
    struct read read;
    struct filter *filter;  // NULL for GET
    struct buffer gathered; // LAST: slices
    size_t gathered_start;  // LAST: what is before it was left out
};

static void query_completed(struct read_owner *owner);

// --- Life --------------------------------------------------------------------------------------

static void query_free(struct query *query)
{
    waiter_deinit(&query->waiter);
    read_deinit(&query->read);
    filter_unref(query->filter);
    buffer_deinit(&query->gathered);
    free(query);
}

static void query_end(struct query *query)
{
    struct session *session = query->session;
    list_remove(&query->link);
    list_remove(&query->queue_link);
    session->queries_count--;
    if (query->is_running) {
        session->queries_weight -= query->weight;
    }
    query_free(query);
    session_relieve(session);
}

static void query_refuse(struct query *query, enum wire_error code, const char *text)
{
    session_answer_error(query->session, query->id, code, "%s", text);
    query_end(query);
}

void queries_close(struct session *session)
{
    LIST_FOR_EACH(&session->queries, link)
    {
        struct query *query = container_of(link, struct query, link);
        if (!query->is_running) {
            query_end(query);
        }
    }
}

// --- Running -----------------------------------------------------------------------------------

static void query_launch(struct query *query)
{
    query->read.owner = &query->owner;
    session_launched(query->session);
    store_read(query->session->service->port, &query->read);
}

// What is visible at this moment bounds the whole query. ERR_MEMORY.
static int query_prepare(struct query *query)
{
    const struct service *service = query->session->service;
    query->read.filter = query->filter ? filter_ref(query->filter) : NULL;
    query->read.ordinal_end = service->ordinal;
    query->read.slices_only = true;
    return version_vector_copy(&query->read.upper, store_port_vector(service->port));
}

void queries_start(struct session *session)
{
    struct list_node *link;
    while (session->answer_bytes < SESSION_OUT_BYTES_MAX &&
           (link = list_first(&session->queries_queued)) != NULL) {
        struct query *query = container_of(link, struct query, queue_link);
        if (session->queries_weight + query->weight > SESSION_QUERIES_WEIGHT) {
            return;
        }
        if (query_prepare(query)) {
            query_refuse(query, WIRE_BUSY, "out of memory");
            continue;
        }
        list_remove(&query->queue_link);
        query->is_running = true;
        session->queries_weight += query->weight;
        query_launch(query);
    }
}

static void query_resolved(struct waiter *waiter, int result)
{
    struct query *query = container_of(waiter, struct query, waiter);
    struct session *session = query->session;
    if (result == ERR_CLOSED) {
        query_refuse(query, WIRE_SHUTTING_DOWN,
                     "this node is stopping: go on with another one, or here later");
    } else if (result == ERR_TIMEOUT) {
        query_refuse(query, WIRE_TIMEOUT,
                     "this node does not hold what `after` names, and it did not come in time");
    } else {
        list_append(&session->queries_queued, &query->queue_link);
        queries_start(session);
    }
}

// --- Results -----------------------------------------------------------------------------------

static void answer_events(struct query *query, struct block *block)
{
    struct answer answer = {.id = query->id, .kind = REPLY_EVENTS, .block = block};
    session_answer(query->session, &answer);
    query_end(query);
}

static void answer_namespaces(struct query *query)
{
    struct answer answer = {
        .id = query->id,
        .kind = REPLY_NAMESPACES,
        .code = !query->read.done,
        .rows = query->read.names,
    };
    query->read.names = (struct buffer){0};
    session_answer(query->session, &answer);
    query_end(query);
}

static void answer_not_found(struct query *query)
{
    const struct event_id *id = &query->read.position;
    if (query->kind == REQUEST_GET) {
        session_answer_error(query->session, query->id, WIRE_NOT_FOUND,
                             "this node holds no event %" PRIu64 ".%u", id->counter, id->actor);
        query_end(query);
    } else {
        query_refuse(query, WIRE_NOT_FOUND, "this node holds no such event that matches");
    }
}

// The first of the last N is known: read on from there. ERR_MEMORY.
static int last_begin_reading(struct query *query)
{
    struct event_id found = query->read.found;
    struct version_vector upper = query->read.upper;
    query->read.upper = (struct version_vector){0};
    read_deinit(&query->read);
    if (event_id_is_none(found)) {
        read_init(&query->read, READ_CANONICAL);
    } else {
        read_init(&query->read, READ_START);
        query->read.start = START_FROM_ID;
        query->read.position = found;
    }
    query->read.upper = upper;
    query->read.filter = filter_ref(query->filter);
    query->read.slices_only = true;
    return 0;
}

static int last_begin_gathering(struct query *query)
{
    struct version_vector upper = query->read.upper;
    struct version_vector lower = query->read.vector;
    query->read.upper = (struct version_vector){0};
    query->read.vector = (struct version_vector){0};
    read_deinit(&query->read);
    read_init(&query->read, READ_CANONICAL);
    query->read.upper = upper;
    query->read.lower = lower;
    query->read.filter = filter_ref(query->filter);
    query->read.slices_only = true;
    return 0;
}

// Leaves out the oldest slices while there is too much; the newest stays, however large.
static void last_trim(struct query *query)
{
    struct bytes rest = bytes_of(query->gathered.data + query->gathered_start,
                                 query->gathered.length - query->gathered_start);
    while (rest.length > LAST_BYTES_MAX) {
        struct bytes behind = rest;
        struct slice slice;
        int err = slice_next(&behind, &slice);
        assert(err == 0);
        if (behind.length == 0) {
            break;
        }
        rest = behind;
    }
    query->gathered_start = query->gathered.length - rest.length;
    if (query->gathered_start > LAST_BYTES_MAX) {
        buffer_consume(&query->gathered, query->gathered_start);
        query->gathered_start = 0;
    }
}

static int last_gather(struct query *query)
{
    struct block *block = query->read.block;
    if (!block) {
        return 0;
    }
    assert(block->kind == BLOCK_SLICES);
    int err = buffer_append(&query->gathered, block_bytes(block));
    block_unref(block);
    query->read.block = NULL;
    if (err == 0) {
        last_trim(query);
    }
    return err;
}

// Positive: the reply is complete.
static int last_advance(struct query *query)
{
    switch (query->read.kind) {
    case READ_LAST:
        return query->read.done ? last_begin_reading(query) : 0;
    case READ_START:
        return last_begin_gathering(query);
    case READ_CANONICAL: {
        int err = last_gather(query);
        return err == 0 && query->read.done ? 1 : err;
    }
    case READ_ARRIVAL:
    case READ_EVENT:
    case READ_NEIGHBOR:
    case READ_NAMESPACES:
    case READ_STRAND:
    case READ_CHUNK:
        break;
    }
    assert(false);
    return ERR_INVALID;
}

static void last_completed(struct query *query)
{
    int outcome = last_advance(query);
    if (outcome == 0) {
        query_launch(query);
        return;
    }
    size_t length = query->gathered.length - query->gathered_start;
    struct block *block = outcome > 0 && length > 0 ? block_new(BLOCK_SLICES, length) : NULL;
    if (outcome < 0 || (length > 0 && !block)) {
        query_refuse(query, WIRE_BUSY, "out of memory: ask for fewer events");
        return;
    }
    if (block) {
        memcpy(block->data, query->gathered.data + query->gathered_start, length);
        block->length = length;
    }
    answer_events(query, block);
}

static void query_succeeded(struct query *query)
{
    struct block *block = query->read.block;
    if (query->kind == REQUEST_LAST) {
        last_completed(query);
    } else if (query->kind == REQUEST_NEIGHBOR && !query->read.done) {
        query_launch(query); // a long way without a match
    } else if (query->kind != REQUEST_NAMESPACES) {
        query->read.block = NULL;
        answer_events(query, block);
    } else if (!query->read.done && query->read.names.length == 0) {
        query_launch(query); // a long stretch of names that do not match
    } else {
        answer_namespaces(query);
    }
}

static void query_completed(struct read_owner *owner)
{
    struct query *query = container_of(owner, struct query, owner);
    struct session *session = query->session;
    int result = query->read.result;
    if (session->is_closed) {
        query_end(query);
    } else if (result == STORE_NOT_FOUND) {
        answer_not_found(query);
    } else if (result < 0) {
        query_refuse(query, wire_error_of(result), query->read.reason.text);
    } else {
        query_succeeded(query);
    }
    if (!session->is_closed) {
        queries_start(session);
    }
    session_landed(session);
}

// --- Requests ----------------------------------------------------------------------------------

static int read_of_neighbor(struct read *read, const struct request_neighbor *neighbor)
{
    read->direction = neighbor->which == NEIGHBOR_PREVIOUS ? -1 : 1;
    if (neighbor->which != NEIGHBOR_FIRST) {
        read->position = neighbor->event;
    }
    return 0;
}

static int read_of_namespaces(struct read *read, const struct request_namespaces *namespaces)
{
    read->page_max = namespaces->page_max > 0 && namespaces->page_max < NAMESPACES_PAGE_MAX
                         ? namespaces->page_max
                         : NAMESPACES_PAGE_MAX;
    return buffer_append(&read->after_name, namespaces->after_name);
}

// Fills the filter and the read of a request of that kind. ERR_INVALID, ERR_LIMIT: the filter is
// none, with a reason; ERR_MEMORY.
static int query_fill(struct query *query, const struct request *request,
                      const struct request_after **after_out, struct reason *reason)
{
    const struct request_namespaces *namespaces = &request->namespaces;
    struct filter_entry pattern = {.text = namespaces->pattern};
    int err;
    switch (request->kind) {
    case REQUEST_GET:
        *after_out = &request->get.after;
        read_init(&query->read, READ_EVENT);
        query->read.position = request->get.event;
        return 0;
    case REQUEST_LAST:
        *after_out = &request->last.after;
        read_init(&query->read, READ_LAST);
        query->read.events_max = request->last.events_max;
        return filter_new(request->last.entries, request->last.entries_count, &query->filter,
                          reason);
    case REQUEST_NEIGHBOR:
        *after_out = &request->neighbor.after;
        read_init(&query->read, READ_NEIGHBOR);
        err = read_of_neighbor(&query->read, &request->neighbor);
        return err ? err
                   : filter_new(request->neighbor.entries, request->neighbor.entries_count,
                                &query->filter, reason);
    case REQUEST_NAMESPACES:
        *after_out = &namespaces->after;
        read_init(&query->read, READ_NAMESPACES);
        err = read_of_namespaces(&query->read, namespaces);
        return err ? err
                   : filter_new(&pattern, namespaces->pattern.length > 0, &query->filter, reason);
    case REQUEST_HELLO:
    case REQUEST_PING:
    case REQUEST_PRODUCE:
    case REQUEST_SUBSCRIBE:
    case REQUEST_CREDIT:
    case REQUEST_STOP:
    case REQUEST_STATUS:
    case REQUEST_CLUSTER:
    case REQUEST_ATTACH:
    case REQUEST_ACK:
    case REQUEST_NACK:
    case REQUEST_SUBSCRIPTIONS:
        break;
    }
    assert(false);
    return ERR_INVALID;
}

// What is wrong with the arguments, or NULL.
static const char *arguments_are_wrong(const struct request *request, enum wire_error *code_out)
{
    *code_out = WIRE_INVALID_ARGUMENT;
    if (request->kind == REQUEST_LAST &&
        (request->last.events_max == 0 || request->last.events_max > LAST_EVENTS_MAX)) {
        return "the last 1 to 65536 events can be asked for";
    }
    if (request->kind == REQUEST_NAMESPACES &&
        (request->namespaces.page_max > NAMESPACES_PAGE_MAX ||
         request->namespaces.after_name.length > NAMESPACE_BYTES_MAX)) {
        return "a page has at most 1000 namespaces, and begins behind a name of at most 1024 bytes";
    }
    struct event_id id = {.counter = 1, .actor = 1};
    if (request->kind == REQUEST_GET) {
        id = request->get.event;
    } else if (request->kind == REQUEST_NEIGHBOR && request->neighbor.which != NEIGHBOR_FIRST) {
        id = request->neighbor.event;
    }
    *code_out = WIRE_INVALID_ID;
    bool is_id = id.actor > 0 && id.counter > 0 && id.counter <= COUNTER_MAX;
    return is_id ? NULL : "an id has a counter from 1 to 2^63-1 and an actor from 1 to 65535";
}

static struct query *query_new(struct session *session, const struct request *request)
{
    struct query *query = calloc(1, sizeof *query);
    if (!query) {
        return NULL;
    }
    query->session = session;
    query->id = request->id;
    query->kind = request->kind;
    bool is_small = request->kind == REQUEST_GET || request->kind == REQUEST_NEIGHBOR;
    query->weight = is_small ? 1 : SESSION_QUERIES_WEIGHT;
    query->owner.completed = query_completed;
    waiter_init(&query->waiter, session, query_resolved);
    list_init(&query->link);
    list_init(&query->queue_link);
    list_append(&session->queries, &query->link);
    session->queries_count++;
    return query;
}

void query_submit(struct session *session, const struct request *request)
{
    enum wire_error code;
    const char *wrong = arguments_are_wrong(request, &code);
    if (wrong) {
        session_answer_error(session, request->id, code, "%s", wrong);
        return;
    }
    struct query *query = query_new(session, request);
    if (!query) {
        session_answer_error(session, request->id, WIRE_BUSY, "out of memory");
        return;
    }
    struct reason reason;
    const struct request_after *after = NULL;
    int err = query_fill(query, request, &after, &reason);
    if (err) {
        query_refuse(query, err == ERR_MEMORY ? WIRE_BUSY : WIRE_INVALID_GLOB,
                     err == ERR_MEMORY ? "out of memory" : reason.text);
        return;
    }
    err = waiter_take_after(&query->waiter, after);
    if (err == ERR_INVALID) {
        query_refuse(query, WIRE_INVALID_CURSOR, "the cursor in `after` is none");
    } else if (err == 0 && waiter_is_covered(&query->waiter)) {
        query_resolved(&query->waiter, 0);
    } else if (err || waiter_begin(&query->waiter)) {
        query_refuse(query, WIRE_BUSY, "out of memory");
    }
}
