// Work per event happens here, once: each is walked, checked, and counted into a run that will be
// one chunk; then all bytes are copied in one piece into the object that goes to the store, and
// nobody looks at single events again until they are read.
//
// Produces of one session are stored in the order in which they were sent. One that must wait for
// its parent or for `after` therefore holds up those behind it: they are in the session's list, of
// which only the first is a waiter.

#include "server/node/produce.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/model/chunk.h"
#include "proto/model/event.h"
#include "proto/model/namespace.h"
#include "server/node/cluster.h"
#include "server/node/node.h"
#include "server/node/service_state.h"
#include "server/node/session.h"
#include "server/node/waiter.h"

enum {
    PARENT_ACTORS_MAX = 64, // of how many actors one produce can await parents
    REPLICAS_TIMEOUT_MS = 5000,
    CONGESTION_POLL_MS = 10,
};

// What a produce must come after; only for those that wait.
struct produce_wait {
    struct waiter waiter; // needs `after` and the parents
    struct version_vector after;
    struct produce *produce;
};

struct produce {
    struct append append;
    struct session *session;
    struct list_node link; // of the session's that are not in the store, or of those that wait
                           // for other nodes
    struct list_node replica_link; // of the service's that wait for other nodes
    struct timer replica_timer;
    uint32_t replicas;
    uint32_t replicas_timeout_ms;
    struct produce_wait *wait;
    uint64_t id;
    size_t memory_bytes; // what its session and the node are charged
    uint32_t remarks;
};

// What validation found.
struct draft {
    uint32_t runs_count;
    bool has_parents; // some that are not here; in service->parents
    bool has_orphans; // parents that cannot be awaited
};

static void produces_advance(struct session *session);

// --- Validation --------------------------------------------------------------------------------

static void note_parent(struct service *service, const struct event *event, struct draft *draft)
{
    struct event_id parent = event_parent(event);
    if (event_id_is_none(parent) ||
        version_vector_covers(store_port_vector(service->port), parent)) {
        return;
    }
    struct version_vector *parents = &service->parents;
    bool is_new = version_vector_get(parents, parent.actor) == 0;
    if ((is_new && parents->count >= PARENT_ACTORS_MAX) ||
        version_vector_raise(parents, parent.actor, parent.counter)) {
        draft->has_orphans = true;
    } else {
        draft->has_parents = true;
    }
}

// Which error of the protocol it is when an event is refused.
static enum wire_error refusal(const struct event *event, int err)
{
    struct reason ignored;
    if (namespace_validate(event->name, &ignored) || namespace_is_system(event->name)) {
        return WIRE_INVALID_NAMESPACE;
    }
    return err == ERR_LIMIT ? WIRE_TOO_LARGE : WIRE_INVALID_EVENT;
}

// Walks all events and cuts them into service->runs. Answers the request when one is refused.
static bool events_validate(struct session *session, const struct request *request,
                            struct draft *draft)
{
    struct service *service = session->service;
    uint64_t data_bytes_max = service->node->data_bytes_max;
    uint32_t count = request->produce.events_count;
    struct bytes rest = request->produce.events;
    struct append_run run = {0};
    uint32_t runs_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct event event;
        struct reason reason;
        if (event_next(&rest, &event)) {
            session_answer_error(session, request->id, WIRE_INVALID_EVENT,
                                 "event %u of %u is not an event, or it is cut off: nothing was "
                                 "stored",
                                 i + 1, count);
            return false;
        }
        int err = event_validate(&event, data_bytes_max, false, &reason);
        if (err) {
            session_answer_error(session, request->id, refusal(&event, err),
                                 "event %u of %u: %s; nothing was stored", i + 1, count,
                                 reason.text);
            return false;
        }
        if (event.attributes.length > 0) {
            note_parent(service, &event, draft);
        }
        size_t length = event.encoded.length;
        if (run.count == CHUNK_EVENTS_MAX ||
            (run.count > 0 && run.length + length > CHUNK_BODY_BYTES_CLOSE)) {
            assert(runs_count < RUNS_MAX - 1);
            service->runs[runs_count++] = run;
            run = (struct append_run){0};
        }
        run.count++;
        run.length += (uint32_t)length;
    }
    if (rest.length > 0) {
        session_answer_error(session, request->id, WIRE_INVALID_EVENT,
                             "there are %zu bytes behind the %u events that were announced: "
                             "nothing was stored",
                             rest.length, count);
        return false;
    }
    service->runs[runs_count++] = run;
    draft->runs_count = runs_count;
    return true;
}

// Whether this node may produce; if not, the request is answered.
static bool node_may_produce(struct session *session, uint64_t id)
{
    const struct cluster_view *view = &session->service->node->view;
    if (!atomic_load_explicit(&view->may_produce, memory_order_relaxed)) {
        struct reason why = {0};
        cluster_why_not(session->service->node, &why);
        session_answer_error(session, id, WIRE_NOT_MEMBER, "%s", why.text);
        return false;
    }
    return true;
}

// The same, and whether as many nodes as are asked for exist.
static bool cluster_allows(struct session *session, const struct request *request)
{
    const struct cluster_view *view = &session->service->node->view;
    if (!node_may_produce(session, request->id)) {
        return false;
    }
    uint32_t members = atomic_load_explicit(&view->members, memory_order_relaxed);
    uint32_t replicas = request->produce.replicas;
    if (replicas > REPLICAS_MAX || (replicas > 1 && replicas > members)) {
        session_answer_error(session, request->id, WIRE_INVALID_ARGUMENT,
                             "%u replicas are asked for, but the cluster has %u members and the "
                             "limit is %u: nothing was stored",
                             replicas, members, REPLICAS_MAX);
        return false;
    }
    return true;
}

static bool limits_validate(struct session *session, const struct request *request)
{
    uint32_t count = request->produce.events_count;
    size_t length = request->produce.events.length;
    if (count == 0) {
        session_answer_error(session, request->id, WIRE_INVALID_ARGUMENT,
                             "a produce holds at least one event");
        return false;
    }
    if (count > PRODUCE_EVENTS_MAX || (count > 1 && length > PRODUCE_BYTES_MAX)) {
        session_answer_error(session, request->id, WIRE_TOO_LARGE,
                             "%u events of %zu bytes are too much for one produce, which holds %u "
                             "events and %llu bytes, or one larger event: send several",
                             count, length, PRODUCE_EVENTS_MAX,
                             (unsigned long long)PRODUCE_BYTES_MAX);
        return false;
    }
    return true;
}

// --- The object that goes to the store ---------------------------------------------------------

static void produce_free(struct produce *produce)
{
    if (produce->wait) {
        waiter_deinit(&produce->wait->waiter);
        version_vector_deinit(&produce->wait->after);
        free(produce->wait);
    }
    free(produce);
}

// Copies the events run by run. A run that will be a chunk of its own is compressed instead, here,
// because the commit is one thread for all loops. Returns how many bytes they take.
static size_t copy_runs(struct service *service, struct append_run *runs, uint32_t count,
                        const uint8_t *events, uint8_t *out)
{
    bool may_compress = service->compress_state &&
                        atomic_load_explicit(&service->node->view.compress, memory_order_relaxed);
    size_t length = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct append_run *run = &runs[i];
        struct bytes plain = bytes_of(events, run->length);
        bool is_full = run->count == CHUNK_EVENTS_MAX || i + 1 < count;
        if (is_full && may_compress) {
            run->compressed_length =
                (uint32_t)chunk_compress_body(service->compress_state, plain, out + length);
        }
        if (run->compressed_length == 0) {
            memcpy(out + length, plain.data, plain.length);
        }
        length += run->compressed_length > 0 ? run->compressed_length : run->length;
        events += run->length;
    }
    return length;
}

// One allocation: the object, its runs, its bytes.
static struct produce *produce_new(struct session *session, const struct request *request,
                                   uint32_t runs_count)
{
    struct service *service = session->service;
    struct bytes events = request->produce.events;
    size_t runs_length = runs_count * sizeof(struct append_run);
    struct produce *produce = malloc(sizeof *produce + runs_length + events.length);
    if (!produce) {
        return NULL;
    }
    uint8_t *runs = (uint8_t *)(produce + 1);
    uint8_t *bytes = runs + runs_length;
    size_t length = copy_runs(service, service->runs, runs_count, events.data, bytes);
    memcpy(runs, service->runs, runs_length);
    *produce = (struct produce){
        .append =
            {
                .kind = APPEND_PRODUCE,
                .bytes = bytes_of(bytes, length),
                .runs = (const struct append_run *)(const void *)runs,
                .runs_count = runs_count,
                .events = request->produce.events_count,
                .owner = produce,
            },
        .session = session,
        .id = request->id,
        .memory_bytes = events.length,
        .replicas = request->produce.replicas,
        .replicas_timeout_ms = request->produce.replicas_timeout_ms,
    };
    list_init(&produce->link);
    list_init(&produce->replica_link);
    return produce;
}

// Ends a produce that is not, or no more, in the store.
static void produce_end(struct produce *produce)
{
    struct session *session = produce->session;
    session->append_bytes -= produce->memory_bytes;
    atomic_fetch_sub_explicit(&session->service->node->append_bytes, produce->memory_bytes,
                              memory_order_relaxed);
    list_remove(&produce->link);
    produce_free(produce);
    session_relieve(session);
}

static void produce_refuse(struct produce *produce, enum wire_error code, const char *text)
{
    session_answer_error(produce->session, produce->id, code, "%s", text);
    produce_end(produce);
}

static void produce_launch(struct produce *produce)
{
    list_remove(&produce->link);
    session_launched(produce->session);
    store_append(produce->session->service->port, &produce->append);
}

// While it waited the node may have been retired, or have become another.
static void produce_launch_late(struct produce *produce)
{
    if (node_may_produce(produce->session, produce->id)) {
        produce_launch(produce);
    } else {
        produce_end(produce);
    }
}

// How many nodes are known to hold it, this one included.
static uint32_t nodes_durable(const struct produce *produce)
{
    const struct cluster_view *view = &produce->session->service->node->view;
    uint64_t last = produce->append.first + produce->append.events - 1;
    uint32_t nodes = 1;
    while (nodes < REPLICAS_MAX && atomic_load(&view->held_by[nodes + 1]) >= last) {
        nodes++;
    }
    // A rescue gives the node another actor: what waits then is not in the strand that is counted.
    bool is_counted = nodes == 1 || atomic_load(&view->held_actor) == produce->append.actor;
    return is_counted ? nodes : 1;
}

static void produce_answer(struct produce *produce, uint32_t nodes)
{
    struct session *session = produce->session;
    struct answer answer = {
        .id = produce->id,
        .kind = REPLY_PRODUCED,
        .code = produce->append.events,
        .remarks = produce->remarks | (nodes < produce->replicas ? REMARK_REPLICAS_LATE : 0),
        .nodes = nodes,
        .first = {.counter = produce->append.first, .actor = produce->append.actor},
    };
    session_answer(session, &answer);
}

// --- Waiting for other nodes -------------------------------------------------------------------

static void replica_wait_end(struct produce *produce)
{
    struct service *service = produce->session->service;
    list_remove(&produce->link);
    list_remove(&produce->replica_link);
    timer_clear(&service->timers, &produce->replica_timer);
    atomic_fetch_sub(&service->node->view.replica_waiters, 1);
}

static void replicas_late(struct timer *timer)
{
    struct produce *produce = container_of(timer, struct produce, replica_timer);
    replica_wait_end(produce);
    produce_answer(produce, nodes_durable(produce));
    produce_end(produce);
}

// Whether it is answered only when other nodes hold it too.
static bool replica_wait_begin(struct produce *produce)
{
    struct session *session = produce->session;
    struct service *service = session->service;
    if (produce->replicas <= 1 || session->is_closed || service->is_shutting_down) {
        return false;
    }
    // Announced before it looks: what comes in between wakes this service.
    atomic_fetch_add(&service->node->view.replica_waiters, 1);
    uint32_t timeout_ms =
        produce->replicas_timeout_ms > 0 ? produce->replicas_timeout_ms : REPLICAS_TIMEOUT_MS;
    produce->replica_timer.expired = replicas_late;
    bool is_held = nodes_durable(produce) >= produce->replicas;
    if (is_held || timer_set(&service->timers, &produce->replica_timer,
                             instant_add(service->now, duration_ms(timeout_ms)))) {
        atomic_fetch_sub(&service->node->view.replica_waiters, 1);
        return false;
    }
    list_append(&session->produces_held, &produce->link);
    list_append(&service->replica_waits, &produce->replica_link);
    return true;
}

void replica_waits_check(struct service *service)
{
    LIST_FOR_EACH(&service->replica_waits, link)
    {
        struct produce *produce = container_of(link, struct produce, replica_link);
        uint32_t nodes = nodes_durable(produce);
        if (nodes >= produce->replicas || service->is_shutting_down) {
            replica_wait_end(produce);
            produce_answer(produce, nodes);
            produce_end(produce);
        }
    }
}

void produce_completed(struct append *append)
{
    struct produce *produce = append->owner;
    struct session *session = produce->session;
    if (append->result == 0) {
        if (replica_wait_begin(produce)) {
            session_landed(session);
            return;
        }
        produce_answer(produce, nodes_durable(produce));
    } else if (append->result == ERR_FULL) {
        session_answer_error(session, produce->id, WIRE_DISK_FULL,
                             "the disk of this node is full but for its reserve: nothing was "
                             "stored; free space, or produce elsewhere");
    } else if (append->result == ERR_UNKNOWN) {
        session_answer_error(session, produce->id, WIRE_UNKNOWN_OUTCOME,
                             "the log failed while it stored this: the events may or may not be "
                             "there after the restart");
    } else if (append->result == ERR_INVALID) {
        session_answer_error(session, produce->id, WIRE_NOT_MEMBER,
                             "nothing was stored: this node is just joining a cluster; produce on "
                             "another node, or wait");
    } else {
        session_answer_error(session, produce->id, wire_error_of(append->result),
                             "nothing was stored: %s", err_text(append->result));
    }
    produce_end(produce);
    session_landed(session);
}

// --- Waiting -----------------------------------------------------------------------------------

// A wait is over: result as for waiter.resolve. False: the produce was refused.
static bool wait_is_settled(struct produce *produce, int result)
{
    struct produce_wait *wait = produce->wait;
    const struct version_vector *here = store_port_vector(produce->session->service->port);
    if (result == ERR_CLOSED) {
        produce_refuse(produce, WIRE_SHUTTING_DOWN,
                       "this node is stopping: nothing was stored; go on with another one");
        return false;
    }
    if (result == ERR_TIMEOUT && !version_vector_includes(here, &wait->after)) {
        produce_refuse(produce, WIRE_TIMEOUT,
                       "this node does not hold what `after` names, and it did not come in time: "
                       "nothing was stored");
        return false;
    }
    if (result == ERR_TIMEOUT) {
        produce->remarks |= REMARK_NOT_AFTER_PARENT;
    }
    waiter_deinit(&wait->waiter);
    version_vector_deinit(&wait->after);
    free(wait);
    produce->wait = NULL;
    return true;
}

static void produce_resolved(struct waiter *waiter, int result)
{
    struct produce_wait *wait = container_of(waiter, struct produce_wait, waiter);
    struct produce *produce = wait->produce;
    struct session *session = produce->session;
    if (wait_is_settled(produce, result)) {
        produce_launch_late(produce);
    }
    produces_advance(session);
}

// Sends to the store what may go, in order. The first that must wait becomes a waiter.
static void produces_advance(struct session *session)
{
    const struct service *service = session->service;
    struct list_node *link;
    while ((link = list_first(&session->produces)) != NULL) {
        struct produce *produce = container_of(link, struct produce, link);
        if (produce->wait) {
            struct waiter *waiter = &produce->wait->waiter;
            bool is_covered = waiter_is_covered(waiter);
            bool is_late = instant_reached(waiter->deadline, service->now);
            if (!is_covered && !is_late && !service->is_shutting_down) {
                if (waiter_is_waiting(waiter) || waiter_begin(waiter) == 0) {
                    return;
                }
                produce_refuse(produce, WIRE_BUSY, "out of memory: nothing was stored");
                continue;
            }
            waiter_stop(waiter);
            int result = is_covered ? 0 : is_late ? ERR_TIMEOUT : ERR_CLOSED;
            if (!wait_is_settled(produce, result)) {
                continue;
            }
        }
        produce_launch_late(produce);
    }
}

// Gives the produce what it must wait for, if anything. ERR_INVALID: `after` is no cursor.
static int produce_add_wait(struct produce *produce, const struct request *request,
                            const struct draft *draft)
{
    struct service *service = produce->session->service;
    if (request->produce.after.cursor.length == 0 && !draft->has_parents) {
        return 0;
    }
    struct produce_wait *wait = calloc(1, sizeof *wait);
    if (!wait) {
        return ERR_MEMORY;
    }
    waiter_init(&wait->waiter, produce->session, produce_resolved);
    wait->produce = produce;
    produce->wait = wait; // from here on produce_free frees it
    int err = waiter_take_after(&wait->waiter, &request->produce.after);
    if (err == 0) {
        err = version_vector_copy(&wait->after, &wait->waiter.need);
    }
    if (err == 0 && draft->has_parents) {
        err = version_vector_merge(&wait->waiter.need, &service->parents);
    }
    return err;
}

// --- Requests ----------------------------------------------------------------------------------

// Whether the node as a whole has as much of produces in memory as it may: those of all sessions.
static bool node_is_loaded(const struct node *node, size_t more)
{
    uint64_t bytes = atomic_load_explicit(&node->append_bytes, memory_order_relaxed);
    return bytes > 0 && bytes + more > node->append_bytes_max;
}

static void congestion_expired(struct timer *timer)
{
    struct service *service = container_of(timer, struct service, congestion);
    bool is_congested =
        store_is_congested(service->node->store) || node_is_loaded(service->node, 0);
    if (is_congested &&
        timer_set(&service->timers, timer,
                  instant_add(service->now, duration_ms(CONGESTION_POLL_MS))) == 0) {
        return;
    }
    struct list_node *link;
    while ((link = list_first(&service->congested)) != NULL) {
        list_remove(link);
        session_relieve(container_of(link, struct session, congested_link));
    }
}

// Whether the indexer is too far behind, or memory for produces is used up: asked again by a timer.
static bool waits_for_node(struct session *session, size_t length)
{
    struct service *service = session->service;
    if (!store_is_congested(service->node->store) && !node_is_loaded(service->node, length)) {
        return false;
    }
    if (!timer_is_set(&service->congestion)) {
        service->congestion.expired = congestion_expired;
        struct instant at = instant_add(service->now, duration_ms(CONGESTION_POLL_MS));
        if (timer_set(&service->timers, &service->congestion, at)) {
            return false;
        }
    }
    if (list_is_empty(&session->congested_link)) {
        list_append(&service->congested, &session->congested_link);
    }
    return true;
}

bool produce_must_wait(struct session *session, const struct request *request)
{
    size_t length = request->produce.events.length;
    if (session->append_bytes > 0 && session->append_bytes + length > SESSION_APPEND_BYTES_MAX) {
        return true;
    }
    return waits_for_node(session, length);
}

void produce_submit(struct session *session, const struct request *request)
{
    struct service *service = session->service;
    struct draft draft = {0};
    version_vector_clear(&service->parents);
    if (!cluster_allows(session, request) || !limits_validate(session, request) ||
        !events_validate(session, request, &draft)) {
        return;
    }
    struct produce *produce = produce_new(session, request, draft.runs_count);
    if (!produce) {
        session_answer_error(session, request->id, WIRE_BUSY, "out of memory: nothing was stored");
        return;
    }
    session->append_bytes += produce->memory_bytes;
    atomic_fetch_add_explicit(&service->node->append_bytes, produce->memory_bytes,
                              memory_order_relaxed);
    produce->remarks = draft.has_orphans ? REMARK_NOT_AFTER_PARENT : 0;
    int err = produce_add_wait(produce, request, &draft);
    if (err == ERR_INVALID) {
        produce_refuse(produce, WIRE_INVALID_CURSOR, "the cursor in `after` is none");
    } else if (err) {
        produce_refuse(produce, wire_error_of(err), "out of memory: nothing was stored");
    } else if (!produce->wait && list_is_empty(&session->produces)) {
        produce_launch(produce);
    } else {
        list_append(&session->produces, &produce->link);
        produces_advance(session);
    }
}

void produces_close(struct session *session)
{
    struct list_node *link;
    while ((link = list_first(&session->produces)) != NULL) {
        produce_end(container_of(link, struct produce, link));
    }
    while ((link = list_first(&session->produces_held)) != NULL) {
        struct produce *produce = container_of(link, struct produce, link);
        replica_wait_end(produce);
        produce_end(produce);
    }
}
