// What goes out to consumers: slices of the blocks that the reader brought, as they stand, where a
// whole slice goes to one consumer; copied where it is parted; read again where it comes again.
// To one consumer all goes out in the order in which the group handed it out: what the reader has
// brought waits behind what is being read.

#include <stdlib.h>

#include "proto/model/event.h"
#include "proto/model/slice.h"
#include "server/node/groups_state.h"

// A run that comes again, being read, or waiting for that; or that follows one to the same
// consumer.
struct redelivery {
    struct list_node link;
    struct hosting *hosting;
    bool is_reading;
    bool is_read;    // and waits for those before it
    bool is_dropped; // its group is gone
    bool is_behind;  // one of its key before it was given back, and so is this
    consumer_id consumer;
    uint32_t attempt;
    struct group_run run;
    struct piece piece; // the run, if it is not to be read
    struct read_owner owner;
    struct read read;
};

static struct done_range range_of(const struct group_run *run)
{
    return (struct done_range){
        .actor = run->actor,
        .first = run->first,
        .last = run->first + run->count - 1,
    };
}

// --- Pieces ------------------------------------------------------------------------------------

// Nothing goes to it any more, because what follows would overtake something; host_turn detaches
// it.
static void make_short(struct hosting *hosting, struct attachment *attachment)
{
    attachment->is_short = true;
    hosting->is_short = true;
    host_mark(hosting);
}

// The consumer gets nothing: what it was to get comes again, to it too if it is still there.
// Without memory for that, when it is detached.
static void take_back(struct hosting *hosting, consumer_id consumer, const struct group_run *run,
                      uint32_t attempt)
{
    const struct done_range range = range_of(run);
    struct instant now = hosting->groups->cluster->service->now;
    bool is_back =
        group_give_back(hosting->group, consumer, &range, attempt, duration_ms(HOST_RETRY_MS), now);
    struct attachment *attachment = is_back ? NULL : host_attachment(hosting, consumer);
    if (attachment) {
        make_short(hosting, attachment);
    }
    group_credit(hosting->group, consumer, run->bytes);
}

// What is to be handed out behind it to this consumer; with a key, no more than that is.
static void take_back_behind(struct hosting *hosting, consumer_id consumer, struct list_node *link,
                             const uint64_t *key)
{
    for (; link != &hosting->redeliveries; link = link->next) {
        struct redelivery *later = container_of(link, struct redelivery, link);
        if (later->consumer == consumer && !later->is_behind && (!key || later->run.key == *key)) {
            later->is_behind = true;
            take_back(hosting, later->consumer, &later->run, later->attempt);
        }
    }
}

static void take_back_piece(struct hosting *hosting, consumer_id consumer,
                            const struct piece *piece)
{
    struct bytes rest = bytes_of(piece->block->data + piece->offset, piece->length);
    while (rest.length > 0) {
        struct block_run there;
        block_run_next(piece->block->kind, &rest, &there);
        const struct group_run run = {
            .actor = there.actor, .first = there.first, .count = there.count};
        take_back(hosting, consumer, &run, piece->attempt);
    }
}

void deliver_flush(struct hosting *hosting)
{
    struct attachment *attachment = hosting->piece_to;
    if (!attachment) {
        return;
    }
    const struct piece piece = hosting->piece;
    hosting->piece_to = NULL;
    hosting->piece.block = NULL;
    bool is_taken = !attachment->is_short && attachment->ops->deliver(attachment->context, &piece);
    if (is_taken) {
        attachment->credit -= piece.length < attachment->credit ? piece.length : attachment->credit;
    } else {
        make_short(hosting, attachment);
        take_back_piece(hosting, attachment->id, &piece);
        take_back_behind(hosting, attachment->id, hosting->redeliveries.next, NULL);
        block_unref(piece.block);
    }
}

// The group has spent as much as the run may take; what goes out may be less, compressed, or more:
// a part of a run is counted with its share of the bytes.
static void settle(struct hosting *hosting, struct attachment *attachment, uint64_t spent,
                   size_t length)
{
    if (spent > length) {
        group_credit(hosting->group, attachment->id, spent - length);
    } else if (spent < length) {
        group_spend(hosting->group, attachment->id, length - spent);
    }
}

// Takes over the reference.
static void deliver_piece(struct hosting *hosting, struct attachment *attachment,
                          const struct piece *piece)
{
    struct piece *before = &hosting->piece;
    bool follows = hosting->piece_to == attachment && before->block == piece->block &&
                   before->attempt == piece->attempt &&
                   before->offset + before->length == piece->offset &&
                   before->length + piece->length <= BLOCK_BYTES_MAX;
    if (follows) {
        before->length += piece->length;
        before->events += piece->events;
        block_unref(piece->block);
        return;
    }
    deliver_flush(hosting);
    hosting->piece_to = attachment;
    hosting->piece = *piece;
}

// The events of a run out of a slice, as a block of one slice; NULL: no memory.
static struct block *cut(const struct slice *slice, const struct group_run *run)
{
    struct bytes rest = slice->events;
    struct event event;
    for (uint64_t counter = slice->first; counter < run->first; counter++) {
        event_next_trusted(&rest, &event);
    }
    const uint8_t *begin = rest.data;
    for (uint32_t i = 0; i < run->count; i++) {
        event_next_trusted(&rest, &event);
    }
    struct slice part = {
        .actor = slice->actor,
        .count = (uint16_t)run->count,
        .first = run->first,
        .timestamp_ms = slice->timestamp_ms,
        .events = bytes_of(begin, (size_t)((const uint8_t *)rest.data - begin)),
    };
    struct buffer bytes = {0};
    struct block *block = NULL;
    if (slice_append(&bytes, &part) == 0) {
        block = block_new(BLOCK_SLICES, bytes.length);
    }
    if (block) {
        memcpy(block->data, bytes.data, bytes.length);
        block->length = bytes.length;
        block->events = run->count;
    }
    buffer_deinit(&bytes);
    return block;
}

// The run by itself, with a reference to its block; NULL: no memory.
static struct piece piece_of(const struct held_run *held, const struct group_run *run,
                             bool takes_chunks)
{
    struct piece piece = {.events = run->count, .attempt = 1};
    enum block_kind kind = held->block->kind;
    bool is_whole = held->run.first == run->first && held->run.count == run->count;
    if (is_whole && (takes_chunks || kind == BLOCK_SLICES)) {
        piece.block = block_ref(held->block);
        piece.offset = held->offset;
        piece.length = held->run.bytes.length;
        return piece;
    }
    struct buffer scratch = {0};
    struct slice slice;
    int err = block_run_slice(kind, &held->run, &scratch, &slice);
    piece.block = err ? NULL : cut(&slice, run);
    piece.length = piece.block ? piece.block->length : 0;
    buffer_deinit(&scratch);
    return piece;
}

// --- What comes again --------------------------------------------------------------------------

static void redeliveries_launch(struct hosting *hosting);

static void redelivery_free(struct redelivery *redelivery)
{
    list_remove(&redelivery->link);
    block_unref(redelivery->piece.block);
    block_unref(redelivery->read.block);
    redelivery->read.block = NULL;
    read_deinit(&redelivery->read);
    free(redelivery);
}

// Of several chunks one may be unreadable, or lost: then the halves come again each by itself, so
// that in the end only what is in that one waits.
static void take_back_failed(struct redelivery *failed)
{
    struct group_run first = failed->run;
    struct group_run second = failed->run;
    if (!failed->run.is_joined || failed->run.count == 1) {
        take_back(failed->hosting, failed->consumer, &failed->run, failed->attempt);
        return;
    }
    first.count = failed->run.count / 2;
    first.bytes = failed->run.bytes / 2;
    second.first += first.count;
    second.count -= first.count;
    second.bytes -= first.bytes;
    take_back(failed->hosting, failed->consumer, &first, failed->attempt);
    take_back(failed->hosting, failed->consumer, &second, failed->attempt);
}

// With a key, what follows it to this consumer would go out before it.
static void take_back_in_order(struct redelivery *failed)
{
    struct hosting *hosting = failed->hosting;
    take_back_failed(failed);
    if (hosting->definition.key != GROUP_KEY_NONE) {
        take_back_behind(hosting, failed->consumer, failed->link.next, &failed->run.key);
    }
}

static void redelivered(struct redelivery *redelivery)
{
    struct hosting *hosting = redelivery->hosting;
    struct attachment *attachment = host_attachment(hosting, redelivery->consumer);
    struct block *block = redelivery->read.block;
    if (!attachment) {
        return; // it comes again elsewhere: the group knows that it is gone
    }
    attachment->redeliveries--;
    if (redelivery->is_behind || attachment->is_short) {
        return;
    }
    if (redelivery->piece.block) {
        settle(hosting, attachment, redelivery->run.bytes, redelivery->piece.length);
        deliver_piece(hosting, attachment, &redelivery->piece);
        redelivery->piece.block = NULL;
        deliver_flush(hosting);
        return;
    }
    if (redelivery->read.result == 0 && !block && redelivery->read.done) {
        host_lost(hosting, range_of(&redelivery->run));
        group_credit(hosting->group, redelivery->consumer, redelivery->run.bytes);
        return;
    }
    if (redelivery->read.result != 0 || !block || block->events != redelivery->run.count) {
        take_back_in_order(redelivery);
        return;
    }
    settle(hosting, attachment, redelivery->run.bytes, block->length);
    deliver_piece(hosting, attachment,
                  &(struct piece){
                      .block = block_ref(block),
                      .length = block->length,
                      .events = block->events,
                      .attempt = redelivery->attempt,
                  });
    deliver_flush(hosting);
}

// In the order in which they were handed out, in whatever order reads come back.
static void redeliveries_hand_out(struct hosting *hosting)
{
    while (!list_is_empty(&hosting->redeliveries)) {
        struct redelivery *redelivery =
            container_of(hosting->redeliveries.next, struct redelivery, link);
        if (!redelivery->is_read) {
            return;
        }
        hosting->redeliveries_reading -= redelivery->piece.block == NULL;
        redelivered(redelivery);
        redelivery_free(redelivery);
    }
}

static void redelivery_completed(struct read_owner *owner)
{
    struct redelivery *redelivery = container_of(owner, struct redelivery, owner);
    struct hosting *hosting = redelivery->hosting;
    hosting->groups->cluster->service->in_flight--;
    redelivery->is_read = true;
    if (redelivery->is_dropped) {
        redelivery_free(redelivery);
    } else {
        redeliveries_hand_out(hosting);
        redeliveries_launch(hosting);
        host_mark(hosting);
    }
    host_landed(hosting);
}

static int prepare(struct redelivery *redelivery)
{
    struct read *read = &redelivery->read;
    const struct hosting *hosting = redelivery->hosting;
    const struct group_run *run = &redelivery->run;
    int err = 0;
    if (run->first > 1) {
        err = version_vector_set(&read->lower, run->actor, run->first - 1);
    }
    read->filter = hosting->system_filter ? filter_ref(hosting->system_filter) : NULL;
    read->bytes_max = BLOCK_BYTES_MAX;
    read->slices_only = true;
    return err ? err : version_vector_set(&read->upper, run->actor, run->first + run->count - 1);
}

static void redeliveries_launch(struct hosting *hosting)
{
    struct cluster *cluster = hosting->groups->cluster;
    LIST_FOR_EACH(&hosting->redeliveries, link)
    {
        struct redelivery *redelivery = container_of(link, struct redelivery, link);
        if (hosting->redeliveries_reading == REDELIVERIES_MAX) {
            return;
        }
        if (redelivery->is_reading) {
            continue;
        }
        redelivery->is_reading = true;
        hosting->redeliveries_reading++;
        hosting->in_flight++;
        cluster_read(cluster, &redelivery->read, &redelivery->owner, redelivery_completed);
    }
}

// NULL: no memory.
static struct redelivery *redelivery_new(struct hosting *hosting, const struct group_action *action)
{
    struct redelivery *redelivery = calloc(1, sizeof *redelivery);
    if (!redelivery) {
        return NULL;
    }
    redelivery->hosting = hosting;
    redelivery->consumer = action->consumer;
    redelivery->attempt = action->attempt;
    redelivery->run = action->run;
    list_init(&redelivery->link);
    read_init(&redelivery->read, READ_CANONICAL);
    return redelivery;
}

static void redeliver(struct hosting *hosting, struct attachment *attachment,
                      const struct group_action *action)
{
    struct redelivery *redelivery = redelivery_new(hosting, action);
    if (!redelivery || prepare(redelivery)) {
        if (redelivery) {
            redelivery_free(redelivery);
        }
        take_back(hosting, action->consumer, &action->run, action->attempt);
        return;
    }
    list_append(&hosting->redeliveries, &redelivery->link);
    attachment->redeliveries++;
    redeliveries_launch(hosting);
}

// Behind what is being read for this consumer. Takes over the reference. False: no memory.
static bool queue(struct hosting *hosting, struct attachment *attachment,
                  const struct group_action *action, const struct piece *piece)
{
    struct redelivery *redelivery = redelivery_new(hosting, action);
    if (!redelivery) {
        block_unref(piece->block);
        return false;
    }
    redelivery->piece = *piece;
    redelivery->is_reading = true;
    redelivery->is_read = true;
    list_append(&hosting->redeliveries, &redelivery->link);
    attachment->redeliveries++;
    return true;
}

// --- Actions -----------------------------------------------------------------------------------

// The first events of an action, which are held as one chunk or slice. False: no memory.
static bool deliver_part(struct hosting *hosting, struct attachment *attachment,
                         const struct held_run *held, struct group_action *left)
{
    struct group_action part = *left;
    uint64_t there = held->run.first + held->run.count - left->run.first;
    part.run.count = left->run.count < there ? left->run.count : (uint32_t)there;
    const struct piece piece = piece_of(held, &part.run, attachment->takes_chunks);
    if (!piece.block) {
        return false;
    }
    if (part.run.count < left->run.count && piece.length < left->run.bytes) {
        part.run.bytes = piece.length; // what was spent and not used is settled with the last part
    }
    if (attachment->redeliveries == 0) {
        settle(hosting, attachment, part.run.bytes, piece.length);
        deliver_piece(hosting, attachment, &piece);
    } else if (!queue(hosting, attachment, &part, &piece)) {
        return false;
    }
    left->run.first += part.run.count;
    left->run.count -= part.run.count;
    left->run.bytes -= part.run.bytes;
    return true;
}

void deliver_run(struct hosting *hosting, const struct group_action *action)
{
    struct attachment *attachment = host_attachment(hosting, action->consumer);
    struct group_action left = *action;
    assert(attachment);
    if (attachment->is_short) {
        take_back(hosting, left.consumer, &left.run, left.attempt);
        return;
    }
    while (left.run.count > 0) {
        const struct event_id next = {.counter = left.run.first, .actor = left.run.actor};
        struct held_run held;
        if (left.attempt > 1 || !reader_find(hosting, next, &held)) {
            redeliver(hosting, attachment, &left);
            return;
        }
        if (!deliver_part(hosting, attachment, &held, &left)) {
            take_back(hosting, left.consumer, &left.run, left.attempt); // also what is behind it
            return;
        }
    }
}

void deliver_close(struct hosting *hosting)
{
    deliver_flush(hosting);
    LIST_FOR_EACH(&hosting->redeliveries, link)
    {
        struct redelivery *redelivery = container_of(link, struct redelivery, link);
        list_remove(link);
        redelivery->is_dropped = true;
        if (!redelivery->is_reading || redelivery->is_read) {
            redelivery_free(redelivery);
        }
    }
    hosting->redeliveries_reading = 0;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        container_of(link, struct attachment, link)->redeliveries = 0;
    }
}
