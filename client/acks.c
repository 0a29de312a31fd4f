// Events that are acknowledged one after the other are one range, so that the usual case costs a
// comparison each and a few bytes each batch. A range never spans what was not acknowledged: the
// node takes it at its word. A batch is put in order when it is closed.

#include "client/acks.h"

#include <stdlib.h>

#include "proto/base/limits.h"

#define INSTANT_NONE INT64_MIN

enum {
    LOOK_BACK = 8,              // ranges that may be continued: as many actors may alternate
    RANGES_FIRST = 16,          // room for so many
    UNANSWERED_RANGES = 262144, // at most
    BUSY_PAUSE_MS = 200,
};

void acks_init(struct acks *acks, uint32_t batch_max, struct duration linger, bool tells_all)
{
    *acks = (struct acks){.batch_max = batch_max, .linger = linger, .tells_all = tells_all};
    acks->not_before.ns = INSTANT_NONE;
    list_init(&acks->waiting);
    list_init(&acks->sent);
    list_init(&acks->told);
}

static struct ack_batch *batch_of(struct list_node *node)
{
    return container_of(node, struct ack_batch, node);
}

static void batch_free(struct ack_batch *batch)
{
    if (batch) {
        list_remove(&batch->node);
        free(batch->ranges);
        free(batch);
    }
}

static void list_free(struct list_node *list)
{
    while (!list_is_empty(list)) {
        batch_free(batch_of(list_first(list)));
    }
}

void acks_deinit(struct acks *acks)
{
    list_free(&acks->waiting);
    list_free(&acks->sent);
    list_free(&acks->told);
    batch_free(acks->taken);
    acks->taken = NULL;
}

// --- Collecting --------------------------------------------------------------------------------

static struct ack_batch *last_waiting(const struct acks *acks)
{
    struct list_node *node = list_last(&acks->waiting);
    return node ? batch_of(node) : NULL;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct weir_id_range *left = a;
    const struct weir_id_range *right = b;
    if (left->actor != right->actor) {
        return left->actor < right->actor ? -1 : 1;
    }
    return left->first < right->first ? -1 : left->first > right->first;
}

// Puts the ranges in order, and those that touch or overlap together.
static void close_batch(struct acks *acks, struct ack_batch *batch)
{
    if (batch->is_closed) {
        return;
    }
    batch->is_closed = true;
    acks->ranges -= batch->ranges_count;
    acks->waiting_events -= batch->events;
    qsort(batch->ranges, batch->ranges_count, sizeof *batch->ranges, compare_ranges);
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->ranges_count; i++) {
        struct weir_id_range *last = count > 0 ? &batch->ranges[count - 1] : NULL;
        const struct weir_id_range *next = &batch->ranges[i];
        if (last && last->actor == next->actor && next->first <= last->last + 1) {
            last->last = next->last > last->last ? next->last : last->last;
        } else {
            batch->ranges[count++] = *next;
        }
    }
    batch->ranges_count = count;
    batch->events = 0;
    for (uint32_t i = 0; i < count; i++) {
        batch->events += batch->ranges[i].last - batch->ranges[i].first + 1;
    }
    acks->ranges += batch->ranges_count;
    acks->waiting_events += batch->events;
}

static bool takes_more(const struct ack_batch *batch, const struct ack_batch *like, uint32_t ranges)
{
    return batch && !batch->is_closed && batch->is_nack == like->is_nack &&
           batch->delay_ms == like->delay_ms && strcmp(batch->reason, like->reason) == 0 &&
           batch->ranges_count + ranges <= ACK_RANGES_MAX;
}

static int reserve(struct ack_batch *batch, uint32_t ranges)
{
    uint32_t needed = batch->ranges_count + ranges;
    if (needed <= batch->ranges_capacity) {
        return 0;
    }
    uint32_t capacity = batch->ranges_capacity ? batch->ranges_capacity : RANGES_FIRST;
    while (capacity < needed) {
        capacity *= 2;
    }
    struct weir_id_range *grown = realloc(batch->ranges, capacity * sizeof *grown);
    if (!grown) {
        return ERR_MEMORY;
    }
    batch->ranges = grown;
    batch->ranges_capacity = capacity;
    return 0;
}

// A batch that is like that one, and has room for so many more ranges.
static int open_batch(struct acks *acks, const struct ack_batch *like, uint32_t ranges,
                      struct ack_batch **batch_out)
{
    struct ack_batch *last = last_waiting(acks);
    if (acks->ranges + ranges > UNANSWERED_RANGES) {
        return ERR_BUSY;
    }
    if (takes_more(last, like, ranges)) {
        *batch_out = last;
        return reserve(last, ranges);
    }
    struct ack_batch *batch = malloc(sizeof *batch);
    if (!batch) {
        return ERR_MEMORY;
    }
    *batch = *like;
    list_init(&batch->node);
    int err = reserve(batch, ranges);
    if (err != 0) {
        free(batch);
        return err;
    }
    if (last) {
        close_batch(acks, last);
    }
    list_append(&acks->waiting, &batch->node);
    *batch_out = batch;
    return 0;
}

static bool continues(struct ack_batch *batch, struct event_id id)
{
    for (uint32_t i = batch->ranges_count, seen = 0; i > 0 && seen < LOOK_BACK; i--, seen++) {
        struct weir_id_range *range = &batch->ranges[i - 1];
        if (range->actor == id.actor && range->last + 1 == id.counter) {
            range->last++;
            return true;
        }
    }
    return false;
}

static void note_full(struct acks *acks)
{
    acks->is_flushing = acks->is_flushing || (acks->waiting_events >= acks->batch_max &&
                                              acks->not_before.ns == INSTANT_NONE);
}

// There is room.
static void append(struct acks *acks, struct ack_batch *batch, struct done_range range)
{
    batch->ranges[batch->ranges_count++] =
        (struct weir_id_range){.actor = range.actor, .first = range.first, .last = range.last};
    batch->events += range.last - range.first + 1;
    acks->waiting_events += range.last - range.first + 1;
    acks->ranges++;
    note_full(acks);
}

static int add(struct acks *acks, const struct ack_batch *like, struct event_id id)
{
    struct ack_batch *batch = last_waiting(acks);
    if (takes_more(batch, like, 0) && continues(batch, id)) {
        batch->events++;
        acks->waiting_events++;
        note_full(acks);
        return 0;
    }
    int err = open_batch(acks, like, 1, &batch);
    if (err == 0) {
        append(acks, batch,
               (struct done_range){.actor = id.actor, .first = id.counter, .last = id.counter});
    }
    return err;
}

int acks_add(struct acks *acks, struct event_id id, struct instant now)
{
    return add(acks, &(struct ack_batch){.since = now}, id);
}

int acks_reserve(struct acks *acks, uint32_t ranges, struct instant now)
{
    struct ack_batch *batch;
    return open_batch(acks, &(struct ack_batch){.since = now}, ranges, &batch);
}

void acks_add_range(struct acks *acks, struct done_range range)
{
    append(acks, batch_of(acks->waiting.previous), range);
}

int acks_refuse(struct acks *acks, struct event_id id, uint32_t delay_ms, const char *reason,
                struct instant now)
{
    struct ack_batch like = {.is_nack = true, .delay_ms = delay_ms, .since = now};
    if (reason) {
        size_t length = strnlen(reason, ACK_REASON_BYTES_MAX);
        // a character is not cut in two
        while (length == ACK_REASON_BYTES_MAX && length > 0 &&
               ((unsigned char)reason[length] & 0xc0) == 0x80) {
            length--;
        }
        memcpy(like.reason, reason, length);
    }
    return add(acks, &like, id);
}

static bool batch_holds(const struct ack_batch *batch, struct event_id id)
{
    uint32_t low = 0;
    uint32_t high = batch->ranges_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct weir_id_range *range = &batch->ranges[middle];
        if (range->actor < id.actor || (range->actor == id.actor && range->last < id.counter)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct weir_id_range *range = &batch->ranges[low];
    return low < batch->ranges_count && range->actor == id.actor && range->first <= id.counter;
}

static bool list_holds_repeated(const struct list_node *list, struct event_id id)
{
    LIST_FOR_EACH((struct list_node *)list, node)
    {
        const struct ack_batch *batch = batch_of(node);
        if (batch->is_repeated && batch_holds(batch, id)) {
            return true;
        }
    }
    return false;
}

bool acks_is_repeated(const struct acks *acks, struct event_id id)
{
    return acks->repeated_count > 0 &&
           (list_holds_repeated(&acks->sent, id) || list_holds_repeated(&acks->waiting, id));
}

// --- Sending -----------------------------------------------------------------------------------

struct instant acks_deadline(const struct acks *acks)
{
    struct list_node *first = list_first(&acks->waiting);
    if (!first || acks->is_flushing) {
        return INSTANT_NEVER;
    }
    struct instant due = instant_add(batch_of(first)->since, acks->linger);
    return due.ns > acks->not_before.ns ? due : acks->not_before;
}

void acks_flush(struct acks *acks)
{
    acks->is_flushing = acks->not_before.ns == INSTANT_NONE && !list_is_empty(&acks->waiting);
}

static int encode_ranges(const struct ack_batch *batch, struct buffer *out)
{
    int err = buffer_reserve(out, (size_t)batch->ranges_count * DONE_RANGE_LENGTH);
    for (uint32_t i = 0; i < batch->ranges_count && err == 0; i++) {
        const struct weir_id_range *range = &batch->ranges[i];
        err = done_range_append(out, &(struct done_range){.actor = range->actor,
                                                          .first = range->first,
                                                          .last = range->last});
    }
    return err;
}

static int send_batch(struct ack_batch *batch, struct core *core, uint64_t core_id, uint64_t tag)
{
    struct buffer ranges = {0};
    int err = encode_ranges(batch, &ranges);
    struct request request = {.kind = batch->is_nack ? REQUEST_NACK : REQUEST_ACK};
    if (batch->is_nack) {
        request.nack = (struct request_nack){
            .attachment = core_id,
            .ranges = buffer_bytes(&ranges),
            .delay_ms = batch->delay_ms,
            .reason = bytes_of_text(batch->reason),
        };
    } else {
        request.ack = (struct request_ack){.attachment = core_id, .ranges = buffer_bytes(&ranges)};
    }
    err = err ? err : core_request(core, &request, tag);
    buffer_deinit(&ranges);
    batch->request_id = request.id;
    return err;
}

int acks_send(struct acks *acks, struct core *core, uint64_t core_id, uint64_t tag,
              size_t ahead_max, struct instant now)
{
    if (instant_reached(acks_deadline(acks), now)) {
        acks->not_before.ns = INSTANT_NONE;
        acks->is_flushing = true;
    }
    while (acks->is_flushing && core_output(core).length < ahead_max) {
        struct list_node *first = list_first(&acks->waiting);
        if (!first) {
            acks->is_flushing = false;
            return 0;
        }
        struct ack_batch *batch = batch_of(first);
        close_batch(acks, batch);
        int err = send_batch(batch, core, core_id, tag);
        if (err != 0) {
            return err;
        }
        acks->waiting_events -= batch->events;
        acks->sent_events += batch->events;
        list_remove(&batch->node);
        list_append(&acks->sent, &batch->node);
    }
    return 0;
}

// --- Answers -----------------------------------------------------------------------------------

// It is not under way any more.
static void leave_sent(struct acks *acks, struct ack_batch *batch)
{
    list_remove(&batch->node);
    acks->sent_events -= batch->events;
    acks->ranges -= batch->ranges_count;
    acks->repeated_count -= batch->is_repeated;
}

// In front of what waits.
static void wait_again(struct acks *acks, struct ack_batch *batch)
{
    list_prepend(&acks->waiting, &batch->node);
    acks->waiting_events += batch->events;
    acks->ranges += batch->ranges_count;
    acks->repeated_count += batch->is_repeated;
}

static struct ack_batch *find_sent(const struct acks *acks, uint64_t request_id)
{
    LIST_FOR_EACH((struct list_node *)&acks->sent, node)
    {
        if (batch_of(node)->request_id == request_id) {
            return batch_of(node);
        }
    }
    return NULL;
}

static void tell(struct acks *acks, struct ack_batch *batch)
{
    bool is_short = !batch->is_nack && batch->counted < batch->events;
    if (batch->err != 0 || is_short || acks->tells_all) {
        list_append(&acks->told, &batch->node);
    } else {
        batch_free(batch);
    }
}

void acks_answered(struct acks *acks, uint64_t request_id, const struct reply *reply,
                   struct instant now)
{
    struct ack_batch *batch = find_sent(acks, request_id);
    if (!batch) {
        return;
    }
    leave_sent(acks, batch);
    if (reply->kind == REPLY_ACKED) {
        batch->counted = reply->acked.count < batch->events ? reply->acked.count : batch->events;
        tell(acks, batch);
        return;
    }
    int err = refusal_err(reply->error.code);
    if (err == ERR_BUSY || (err == ERR_CLOSED && !batch->is_nack)) { // nothing was done
        acks->not_before = instant_add(now, duration_ms(BUSY_PAUSE_MS));
        acks->is_flushing = false;
        batch->was_busy = err == ERR_BUSY;
        wait_again(acks, batch);
        return;
    }
    batch->err = reason_set(&batch->refusal, err, "%.*s", (int)reply->error.text.length,
                            (const char *)reply->error.text.data);
    tell(acks, batch);
}

static void forget_refused(struct acks *acks)
{
    LIST_FOR_EACH(&acks->waiting, node)
    {
        struct ack_batch *batch = batch_of(node);
        if (batch->is_nack) {
            acks->waiting_events -= batch->events;
            acks->ranges -= batch->ranges_count;
            batch_free(batch);
        }
    }
}

void acks_lost(struct acks *acks, struct core *core)
{
    forget_refused(acks);
    struct list_node *node;
    while ((node = list_last(&acks->sent)) != NULL) {
        struct ack_batch *batch = batch_of(node);
        core_forget(core, batch->request_id);
        leave_sent(acks, batch);
        if (batch->is_nack) {
            batch_free(batch);
            continue;
        }
        batch->is_repeated = true;
        wait_again(acks, batch);
    }
    acks->not_before.ns = INSTANT_NONE;
    acks_flush(acks);
}

static void give_up(struct acks *acks, struct ack_batch *batch, int err, const char *text)
{
    close_batch(acks, batch);
    list_remove(&batch->node);
    batch->err = reason_set(&batch->refusal, err, "%s", text);
    list_append(&acks->told, &batch->node);
}

static void none_is_left(struct acks *acks)
{
    acks->waiting_events = 0;
    acks->sent_events = 0;
    acks->ranges = 0;
    acks->repeated_count = 0;
    acks->is_flushing = false;
}

void acks_give_up(struct acks *acks, int err, const char *text)
{
    struct list_node *const lists[] = {&acks->sent, &acks->waiting};
    for (size_t i = 0; i < 2; i++) {
        LIST_FOR_EACH(lists[i], node)
        {
            give_up(acks, batch_of(node), err, text);
        }
    }
    none_is_left(acks);
}

void acks_end(struct acks *acks)
{
    static const char UNKNOWN[] =
        "the attachment has ended before a node answered: the events may come again";
    LIST_FOR_EACH(&acks->sent, node)
    {
        give_up(acks, batch_of(node), ERR_UNKNOWN, UNKNOWN);
    }
    LIST_FOR_EACH(&acks->waiting, node)
    {
        struct ack_batch *batch = batch_of(node);
        if (batch->is_repeated) {
            give_up(acks, batch, ERR_UNKNOWN, UNKNOWN);
        } else if (batch->was_busy) {
            give_up(acks, batch, ERR_BUSY,
                    "the node was busy, and the attachment has ended: the events come again");
        } else {
            give_up(acks, batch, ERR_CLOSED,
                    "the attachment has ended before it was sent: the events come again");
        }
    }
    none_is_left(acks);
}

bool acks_take(struct acks *acks, struct weir_acked *acked_out)
{
    batch_free(acks->taken);
    acks->taken = NULL;
    struct list_node *first = list_first(&acks->told);
    if (!first) {
        return false;
    }
    struct ack_batch *batch = batch_of(first);
    list_remove(first);
    acks->taken = batch;
    *acked_out = (struct weir_acked){
        .is_nack = batch->is_nack,
        .is_repeated = batch->is_repeated,
        .err = batch->err,
        .text = batch->err ? batch->refusal.text : NULL,
        .events = batch->events,
        .counted = batch->counted,
        .ranges = batch->ranges,
        .ranges_count = batch->ranges_count,
    };
    return true;
}
