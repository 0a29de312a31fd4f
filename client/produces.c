// Batches are a list in the order of the calls, and calls ("tickets") a ring beside it: a batch
// knows which tickets it holds. A batch keeps its events until it is answered, so that it can be
// sent again when it is certain that nothing was stored. Results are handed out from the front of
// the ring, in the order of the calls.

#include "client/produces.h"

#include <assert.h>
#include <stdlib.h>

#include "client/size.h"
#include "proto/base/limits.h"
#include "proto/base/utf8.h"
#include "proto/model/namespace.h"

enum { TICKETS_FIRST = 256, SPARE_BYTES_MAX = 1024 * 1024 };

static struct ticket *ticket_at(const struct produces *produces, uint64_t ticket)
{
    return &produces->ring[ticket & (produces->ring_capacity - 1)];
}

static struct outgoing *outgoing_of(struct list_node *node)
{
    return node ? container_of(node, struct outgoing, node) : NULL;
}

// Of the memory of batches that are done, some is kept: it has the size that the next one needs.
static void give_back(struct produces *produces, struct batch *batch)
{
    bool has_use = batch->events.capacity > 0 && batch->events.capacity <= SPARE_BYTES_MAX;
    if (has_use && produces->spares_count < PRODUCES_SPARES_MAX) {
        batch_clear(batch);
        produces->spares[produces->spares_count++] = *batch;
        *batch = (struct batch){0};
    }
    batch_deinit(batch);
}

static void outgoing_free(struct produces *produces, struct outgoing *outgoing)
{
    if (produces->queued == &outgoing->node) {
        produces->queued = NULL;
    }
    list_remove(&outgoing->node);
    give_back(produces, &outgoing->batch);
    buffer_deinit(&outgoing->after);
    free(outgoing);
}

void produces_init(struct produces *produces, const struct produces_limits *limits)
{
    *produces = (struct produces){.limits = *limits, .ticket_front = 1, .ticket_end = 1};
    list_init(&produces->batches);
}

void produces_deinit(struct produces *produces)
{
    while (!list_is_empty(&produces->batches)) {
        outgoing_free(produces, outgoing_of(list_first(&produces->batches)));
    }
    while (produces->spares_count > 0) {
        batch_deinit(&produces->spares[--produces->spares_count]);
    }
    free(produces->ring);
}

static int ring_grow(struct produces *produces)
{
    uint64_t count = produces->ticket_end - produces->ticket_front;
    if (count < produces->ring_capacity) {
        return 0;
    }
    struct produces grown = *produces;
    grown.ring_capacity = produces->ring_capacity ? 2 * produces->ring_capacity : TICKETS_FIRST;
    grown.ring = calloc(grown.ring_capacity, sizeof *grown.ring);
    if (!grown.ring) {
        return ERR_MEMORY;
    }
    for (uint64_t i = produces->ticket_front; i < produces->ticket_end; i++) {
        *ticket_at(&grown, i) = *ticket_at(produces, i);
    }
    free(produces->ring);
    *produces = grown;
    return 0;
}

static bool settings_equal(const struct produce_settings *a, const struct produce_settings *b)
{
    return bytes_equal(a->after, b->after) && a->after_timeout_ms == b->after_timeout_ms &&
           a->replicas == b->replicas && a->replicas_timeout_ms == b->replicas_timeout_ms;
}

static struct outgoing *open_batch(const struct produces *produces)
{
    struct outgoing *last = outgoing_of(list_last(&produces->batches));
    return last && last->state == OUTGOING_OPEN ? last : NULL;
}

static int open_new(struct produces *produces, const struct produces_call *call,
                    struct outgoing **outgoing_out)
{
    struct outgoing *outgoing = calloc(1, sizeof *outgoing);
    if (!outgoing) {
        return ERR_MEMORY;
    }
    list_init(&outgoing->node);
    int err = buffer_append(&outgoing->after, call->settings.after);
    if (err != 0) {
        free(outgoing);
        return err;
    }
    if (produces->spares_count > 0) {
        outgoing->batch = produces->spares[--produces->spares_count];
    }
    outgoing->settings = call->settings;
    outgoing->settings.after = buffer_bytes(&outgoing->after);
    outgoing->ticket_first = produces->ticket_end;
    outgoing->ticket_end = produces->ticket_end;
    outgoing->lingers_until = instant_add(call->now, produces->limits.linger);
    list_append(&produces->batches, &outgoing->node);
    *outgoing_out = outgoing;
    return 0;
}

static struct bytes bytes_from(struct weir_bytes bytes)
{
    return bytes_of(bytes.data, bytes.length);
}

static int append_attributes(const struct weir_draft *draft, struct weir_id parent,
                             struct buffer *out, struct reason *reason)
{
    struct attribute attributes[ATTRIBUTES_MAX];
    if (draft->attributes_count > ATTRIBUTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "%zu attributes, at most %d", draft->attributes_count,
                          ATTRIBUTES_MAX);
    }
    bool has_parent = parent.counter != 0 || parent.actor != 0;
    if (has_parent && (parent.counter == 0 || parent.actor == 0 || parent.counter > COUNTER_MAX)) {
        return reason_set(reason, ERR_INVALID, "the parent is no id");
    }
    for (size_t i = 0; i < draft->attributes_count; i++) {
        const struct weir_attribute *from = &draft->attributes[i];
        if (from->value.length > ATTRIBUTES_BYTES_MAX || from->key.length > ATTRIBUTES_BYTES_MAX) {
            return reason_set(reason, ERR_LIMIT, "attribute %zu is longer than %d bytes", i,
                              (int)ATTRIBUTES_BYTES_MAX);
        }
        attributes[i] = (struct attribute){
            .key = bytes_from(from->key),
            .value = bytes_from(from->value),
            .value_is_text = from->is_text,
        };
    }
    return attributes_append(out, attributes, draft->attributes_count,
                             (struct event_id){.counter = parent.counter, .actor = parent.actor});
}

static bool is_plain(const struct produces_call *call, const struct weir_draft *draft)
{
    return draft->attributes_count == 0 && draft->name && !call->parent &&
           (draft->parent.counter | draft->parent.actor) == 0;
}

// The usual case: one look, one copy.
static int add_plain(struct batch *batch, const struct weir_draft *draft, uint64_t data_bytes_max,
                     struct reason *reason)
{
    struct bytes name = bytes_of_text(draft->name);
    struct bytes data = bytes_from(draft->data);
    bool is_usual = name.length >= 1 && name.length <= NAMESPACE_BYTES_MAX &&
                    ascii_is_printable(name.data, name.length) && !namespace_is_system(name) &&
                    data.length <= data_bytes_max;
    return is_usual ? batch_add_plain(batch, name, data)
                    : batch_add(batch, name, data, (struct bytes){0}, data_bytes_max, reason);
}

static int add_draft(struct batch *batch, const struct produces_call *call,
                     const struct weir_draft *draft, struct reason *reason)
{
    if (!draft->name) {
        return reason_set(reason, ERR_INVALID, "an event without a name");
    }
    struct weir_id parent = call->parent ? *call->parent : draft->parent;
    struct buffer attributes = {0};
    int err = append_attributes(draft, parent, &attributes, reason);
    if (err == 0) {
        err = batch_add(batch, bytes_of_text(draft->name), bytes_from(draft->data),
                        buffer_bytes(&attributes), call->data_bytes_max, reason);
    }
    buffer_deinit(&attributes);
    return err;
}

// All drafts, or none. BATCH_FULL.
static int add_drafts(struct batch *batch, const struct produces_call *call, struct reason *reason)
{
    size_t length = batch->events.length;
    uint32_t count = batch->count;
    size_t stride = call->drafts->size;
    int err = 0;
    for (size_t i = 0; i < call->count && err == 0; i++) {
        const void *at = (const char *)call->drafts + i * stride;
        const struct weir_draft *draft = at;
        struct weir_draft other; // of a program that knows more or less
        if (draft->size != stride) {
            err = reason_set(reason, ERR_INVALID, "drafts of different sizes");
        } else if (stride != sizeof other) {
            err = size_read(at, sizeof other, &other, sizeof other, reason);
            draft = &other;
        }
        if (err == 0) {
            err = is_plain(call, draft) ? add_plain(batch, draft, call->data_bytes_max, reason)
                                        : add_draft(batch, call, draft, reason);
        }
    }
    if (err != 0) {
        batch->events.length = length;
        batch->count = count;
    }
    return err;
}

static int check_room(const struct produces *produces, const struct produces_call *call,
                      struct reason *reason)
{
    if (call->count == 0 || call->count > PRODUCE_EVENTS_MAX) {
        return reason_set(reason, ERR_LIMIT, "%zu events in one call; 1 to %d are possible",
                          call->count, PRODUCE_EVENTS_MAX);
    }
    bool is_empty = produces->pending_events == 0;
    uint64_t events_max = produces->limits.pending_events_max;
    if (!is_empty && (produces->pending_events + call->count > events_max ||
                      produces->pending_bytes >= produces->limits.pending_bytes_max)) {
        return reason_set(reason, ERR_BUSY,
                          "%llu events wait for their results; take results first",
                          (unsigned long long)produces->pending_events);
    }
    return 0;
}

// Into the open batch, or a new one where that is full or stored in another way.
static int add_call(struct produces *produces, const struct produces_call *call,
                    struct outgoing **outgoing_out, uint32_t *offset_out, struct reason *reason)
{
    struct outgoing *outgoing = open_batch(produces);
    int err = BATCH_FULL;
    if (outgoing && settings_equal(&outgoing->settings, &call->settings)) {
        *offset_out = outgoing->batch.count;
        size_t before = outgoing->batch.events.length;
        err = add_drafts(&outgoing->batch, call, reason);
        produces->pending_bytes += outgoing->batch.events.length - before;
    }
    if (err == BATCH_FULL) {
        struct outgoing *added;
        err = open_new(produces, call, &added);
        if (err != 0) {
            return err;
        }
        *offset_out = 0;
        err = add_drafts(&added->batch, call, reason);
        if (err == BATCH_FULL) {
            err = reason_set(reason, ERR_LIMIT, "events of more than %llu bytes in one call",
                             (unsigned long long)PRODUCE_BYTES_MAX);
        }
        if (err != 0) {
            outgoing_free(produces, added);
            return err;
        }
        if (outgoing) {
            outgoing->state = OUTGOING_QUEUED;
        }
        outgoing = added;
        produces->pending_bytes += outgoing->batch.events.length;
    }
    *outgoing_out = outgoing;
    return err;
}

int produces_add(struct produces *produces, const struct produces_call *call, uint64_t *ticket_out,
                 struct reason *reason)
{
    int err = check_room(produces, call, reason);
    err = err ? err : ring_grow(produces);
    struct outgoing *outgoing;
    uint32_t offset;
    err = err ? err : add_call(produces, call, &outgoing, &offset, reason);
    if (err != 0) {
        return err;
    }
    uint64_t ticket = produces->ticket_end++;
    *ticket_at(produces, ticket) = (struct ticket){
        .on_produced = call->on_produced,
        .context = call->context,
        .count = (uint32_t)call->count,
        .offset = offset,
    };
    outgoing->ticket_end = produces->ticket_end;
    produces->pending_events += call->count;
    if (outgoing->batch.count >= produces->limits.batch_events_max ||
        outgoing->batch.events.length >= produces->limits.batch_bytes_max) {
        outgoing->state = OUTGOING_QUEUED;
    }
    *ticket_out = ticket;
    return 0;
}

void produces_flush(struct produces *produces)
{
    struct outgoing *outgoing = open_batch(produces);
    if (outgoing) {
        outgoing->state = OUTGOING_QUEUED;
    }
}

void produces_linger(struct produces *produces, struct instant now)
{
    if (instant_reached(produces_deadline(produces), now)) {
        produces_flush(produces);
    }
}

struct instant produces_deadline(const struct produces *produces)
{
    const struct outgoing *outgoing = open_batch(produces);
    return outgoing ? outgoing->lingers_until : INSTANT_NEVER;
}

struct outgoing *produces_queued(struct produces *produces)
{
    struct list_node *node = produces->queued ? produces->queued : produces->batches.next;
    while (node != &produces->batches && outgoing_of(node)->state != OUTGOING_QUEUED) {
        node = node->next;
    }
    if (node == &produces->batches) {
        produces->queued = list_last(&produces->batches);
        return NULL;
    }
    produces->queued = node;
    return outgoing_of(node);
}

void produces_sent(struct produces *produces, struct outgoing *outgoing, uint64_t stream_end)
{
    assert(outgoing->state == OUTGOING_QUEUED);
    outgoing->state = OUTGOING_SENT;
    outgoing->stream_end = stream_end;
    produces->sent_count++;
}

static void settle(struct produces *produces, struct outgoing *outgoing, int err)
{
    outgoing->state = OUTGOING_ANSWERED;
    outgoing->err = err;
    produces->sent_count--;
    produces->pending_bytes -= outgoing->batch.events.length;
    give_back(produces, &outgoing->batch);
}

void produces_answered(struct produces *produces, struct outgoing *outgoing,
                       const struct reply *reply)
{
    assert(outgoing->state == OUTGOING_SENT);
    if (reply->kind == REPLY_PRODUCED) {
        outgoing->first = reply->produced.first;
        outgoing->nodes_durable = reply->produced.nodes_durable;
        outgoing->remarks = reply->produced.remarks;
        settle(produces, outgoing, 0);
        return;
    }
    int err = refusal_err(reply->error.code);
    if (err == ERR_CLOSED) { // the node stops, and has done nothing
        outgoing->state = OUTGOING_QUEUED;
        produces->queued = NULL;
        produces->sent_count--;
        return;
    }
    reason_set(&outgoing->reason, err, "%.*s", (int)reply->error.text.length,
               (const char *)reply->error.text.data);
    settle(produces, outgoing, err);
}

void produces_lost(struct produces *produces, uint64_t stream_sent)
{
    produces->queued = NULL;
    LIST_FOR_EACH(&produces->batches, node)
    {
        struct outgoing *outgoing = outgoing_of(node);
        if (outgoing->state != OUTGOING_SENT) {
            continue;
        }
        if (outgoing->stream_end > stream_sent) {
            outgoing->state = OUTGOING_QUEUED;
            produces->sent_count--;
            continue;
        }
        reason_set(&outgoing->reason, ERR_UNKNOWN,
                   "the connection was lost before the node answered: "
                   "the events may or may not be stored");
        settle(produces, outgoing, ERR_UNKNOWN);
    }
}

static void fill(const struct outgoing *outgoing, const struct ticket *entry, uint64_t ticket,
                 struct weir_produced *produced)
{
    *produced = (struct weir_produced){
        .ticket = ticket,
        .err = outgoing->err,
        .count = entry->count,
        .context = entry->context,
    };
    if (outgoing->err != 0) {
        produced->text = outgoing->reason.text[0] ? outgoing->reason.text : err_text(outgoing->err);
        return;
    }
    produced->first.counter = outgoing->first.counter + entry->offset;
    produced->first.actor = outgoing->first.actor;
    produced->nodes_durable = outgoing->nodes_durable;
    produced->is_not_after_parent = outgoing->remarks & REMARK_NOT_AFTER_PARENT;
    produced->is_replicas_late = outgoing->remarks & REMARK_REPLICAS_LATE;
}

bool produces_take(struct produces *produces, struct weir_produced *produced_out,
                   weir_on_produced **on_produced_out)
{
    for (;;) {
        struct outgoing *outgoing = outgoing_of(list_first(&produces->batches));
        if (!outgoing || outgoing->state != OUTGOING_ANSWERED) {
            return false;
        }
        if (produces->ticket_front == outgoing->ticket_end) {
            outgoing_free(produces, outgoing);
            continue;
        }
        uint64_t ticket = produces->ticket_front++;
        const struct ticket *entry = ticket_at(produces, ticket);
        if (entry->is_taken) {
            continue;
        }
        produces->pending_events -= entry->count;
        fill(outgoing, entry, ticket, produced_out);
        *on_produced_out = entry->on_produced;
        return true;
    }
}

int produces_take_ticket(struct produces *produces, uint64_t ticket,
                         struct weir_produced *produced_out)
{
    if (ticket < produces->ticket_front || ticket >= produces->ticket_end) {
        return WEIR_NOTHING;
    }
    struct ticket *entry = ticket_at(produces, ticket);
    if (entry->is_taken) {
        return WEIR_NOTHING;
    }
    LIST_FOR_EACH(&produces->batches, node)
    {
        struct outgoing *outgoing = outgoing_of(node);
        if (ticket < outgoing->ticket_end) {
            if (outgoing->state != OUTGOING_ANSWERED) {
                return WEIR_LATE;
            }
            entry->is_taken = true;
            produces->pending_events -= entry->count;
            fill(outgoing, entry, ticket, produced_out);
            return 0;
        }
    }
    return WEIR_NOTHING;
}
