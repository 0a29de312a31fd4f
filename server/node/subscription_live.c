// Live: the position is the ordinal of the next chunk. Blocks that were just published are at hand
// in the service (live_blocks.h): sent as they are to whoever wants everything, and as the slices
// that a filter selects from them, computed once, to whoever has that filter. A subscription that
// has everything there is waits in the service's list; each turn with new chunks walks that list
// once, passes those for which nothing matches, and leaves the others to be asked by their session.
//
// One that falls behind finds older blocks in the store's cache (everything) or reads them in
// order of arrival like a replay (filters, or when the cache no longer reaches).

#include <assert.h>

#include "proto/base/planted.h"
#include "proto/model/chunk.h"
#include "server/node/session.h"
#include "server/node/subscription.h"

enum outlook {
    OUTLOOK_NOTHING, // all that is here is passed
    OUTLOOK_EVENTS,  // the next block may hold some
    OUTLOOK_READ,    // the next chunk is to be read from the disk
};

void subscription_begin_live(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    subscription->state = SUBSCRIPTION_LIVE;
    subscription->is_read_done = true;
    if (service->live_count++ == 0) {
        live_blocks_skip(&service->live_blocks, service->ordinal);
    }
}

// Whether blocks go out as they are.
static bool takes_whole_blocks(const struct subscription *subscription)
{
    return subscription->is_everything && !subscription->slices_only &&
           !subscription_must_cut(subscription, 0);
}

static void pass_block(struct subscription *subscription, uint64_t ordinal_last,
                       const struct version_vector *passed)
{
    subscription->ordinal_next = ordinal_last + 1;
    subscription_pass(subscription, passed);
    if (subscription->state == SUBSCRIPTION_LIVE && subscription_has_end(subscription)) {
        subscription_finish(subscription, END_REACHED);
    }
}

static uint64_t highest(const struct version_vector *vector)
{
    uint64_t highest = 0;
    for (uint32_t i = 0; i < vector->count; i++) {
        highest = vector->entries[i].counter > highest ? vector->entries[i].counter : highest;
    }
    return highest;
}

// Whether the block comes late: below what the subscription has passed. Only a planted bug asks.
static bool is_low(const struct subscription *subscription, const struct live_block *next)
{
    return highest(&next->last) < highest(&subscription->cursor);
}

// Passes blocks in which nothing matches, up to one that may hold something.
static enum outlook look_ahead(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    while (subscription->state == SUBSCRIPTION_LIVE) {
        if (subscription->ordinal_next > service->ordinal) {
            return OUTLOOK_NOTHING;
        }
        bool is_whole = takes_whole_blocks(subscription);
        struct live_block *next =
            live_blocks_find(&service->live_blocks, subscription->ordinal_next);
        if (next && IS_PLANTED(PLANTED_DROP_LATE_LOW) && is_low(subscription, next)) {
            pass_block(subscription, next->ordinal_last, &next->last);
            continue;
        }
        if (!next) {
            return is_whole && !subscription->is_recent_missing ? OUTLOOK_EVENTS : OUTLOOK_READ;
        }
        if (is_whole || subscription_must_cut(subscription, 0) ||
            next->ordinal_first != subscription->ordinal_next) {
            return OUTLOOK_EVENTS;
        }
        struct block *block;
        int err = live_block_filtered(next, subscription->filter, &service->selection, &block);
        if (err) {
            subscription_fail(subscription, wire_error_of(err), err_text(err));
        } else if (block) {
            return OUTLOOK_EVENTS;
        } else {
            pass_block(subscription, next->ordinal_last, &next->last);
        }
    }
    return OUTLOOK_NOTHING;
}

// --- Taking ------------------------------------------------------------------------------------

// Where the chunk with this ordinal begins in its block, and how many events are before it.
static size_t chunk_offset(const struct block *block, uint64_t ordinal, uint32_t *events_before)
{
    size_t offset = 0;
    *events_before = 0;
    for (uint64_t at = block->ordinal_first; at < ordinal; at++) {
        struct chunk_header header;
        chunk_header_load(block->data + offset, &header);
        offset += CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
        *events_before += header.count;
    }
    assert(offset < block->length);
    return offset;
}

static int note_last(const struct block *block, size_t offset, struct version_vector *last)
{
    int err = 0;
    while (offset < block->length && err == 0) {
        struct chunk_header header;
        chunk_header_load(block->data + offset, &header);
        err = version_vector_raise(last, header.actor, chunk_last(&header));
        offset += CHUNK_HEADER_LENGTH + (size_t)header.encoded_length;
    }
    return err;
}

// The block that goes out for `block` (which is the caller's), with a reference; NULL: nothing of
// it, or the subscription has failed. `next`: the block as it is at hand, or NULL.
static struct block *select_block(struct subscription *subscription, struct block *block,
                                  struct live_block *next, size_t *offset, uint32_t *events,
                                  bool *is_cut_out)
{
    struct service *service = subscription->session->service;
    bool has_system = next ? next->has_system : block_has_system(block, *offset);
    *is_cut_out = subscription_must_cut(subscription, *events);
    if (takes_whole_blocks(subscription) && !*is_cut_out && !has_system) {
        return block_ref(block);
    }
    struct block *selected = NULL;
    if (next && *offset == 0 && !subscription_must_cut(subscription, 0)) {
        int err = live_block_filtered(next, subscription->filter, &service->selection, &selected);
        if (err) {
            subscription_fail(subscription, wire_error_of(err), err_text(err));
            return NULL;
        }
        *is_cut_out = selected && subscription_must_cut(subscription, selected->events);
        if (!*is_cut_out) {
            *events = selected ? selected->events : 0;
            return selected ? block_ref(selected) : NULL;
        }
    }
    if (!subscription_cut(subscription, block, *offset, subscription->filter, &selected)) {
        return NULL;
    }
    *offset = 0;
    *events = selected ? selected->events : 0;
    return selected;
}

// Takes what is in one block, which is passed whether it holds something or not.
static bool take_block(struct subscription *subscription, struct block *block,
                       struct live_block *next, struct session_item *item_out)
{
    uint32_t before;
    size_t start = chunk_offset(block, subscription->ordinal_next, &before);
    size_t offset = start;
    uint32_t events = block->events - before;
    bool is_cut;
    bool is_limited = false;
    struct block *selected = select_block(subscription, block, next, &offset, &events, &is_cut);
    if (subscription->state == SUBSCRIPTION_OVER) {
        return false;
    }
    if (selected) {
        offset = selected == block ? start : 0;
        subscription_deliver(subscription, selected, offset, events, item_out);
        is_limited = subscription->limit > 0 && subscription->delivered == subscription->limit;
    }
    if (is_limited && is_cut) {
        subscription_pass_slices(subscription, selected);
    } else if (next) {
        pass_block(subscription, next->ordinal_last, &next->last);
    } else {
        struct version_vector last = {0};
        if (note_last(block, start, &last)) {
            subscription_fail(subscription, WIRE_BUSY, "out of memory");
        } else {
            pass_block(subscription, block->ordinal_first + block->chunks - 1, &last);
        }
        version_vector_deinit(&last);
    }
    if (is_limited) {
        subscription_finish(subscription, END_REACHED);
    }
    return selected != NULL;
}

// Whether what its filter selects from whole blocks is what it gets.
static bool may_join(const struct subscription *subscription, const struct live_block *next)
{
    return next && next->ordinal_first == subscription->ordinal_next && subscription->limit == 0 &&
           !takes_whole_blocks(subscription) && !subscription_must_cut(subscription, 0);
}

// Takes what there is in the next blocks. False: without memory for that they are taken one by one.
static bool take_joined(struct subscription *subscription, struct live_block *next,
                        struct session_item *item_out)
{
    struct service *service = subscription->session->service;
    const struct live_joined *joined;
    int err = live_blocks_join(&service->live_blocks, next, subscription->filter,
                               &service->selection, &joined);
    if (err || !joined->block) {
        return false;
    }
    subscription_deliver(subscription, block_ref(joined->block), 0, joined->block->events,
                         item_out);
    pass_block(subscription, joined->ordinal_last, &joined->last);
    return true;
}

bool subscription_take_live(struct subscription *subscription, struct session_item *item_out)
{
    struct service *service = subscription->session->service;
    subscription->is_live_due = false;
    for (unsigned i = 0; i < LIVE_BLOCKS_MAX; i++) {
        if (look_ahead(subscription) != OUTLOOK_EVENTS) {
            return false;
        }
        struct live_block *next =
            live_blocks_find(&service->live_blocks, subscription->ordinal_next);
        if (may_join(subscription, next) && take_joined(subscription, next, item_out)) {
            return true;
        }
        struct block *block =
            next ? block_ref(next->block) : store_recent(service->port, subscription->ordinal_next);
        if (!block) {
            subscription->is_recent_missing = true;
            return false;
        }
        bool is_taken = take_block(subscription, block, next, item_out);
        block_unref(block);
        if (is_taken) {
            return true;
        }
    }
    return false;
}

// --- Advancing ---------------------------------------------------------------------------------

static void begin_catching_up(struct subscription *subscription)
{
    const struct service *service = subscription->session->service;
    struct read *read = &subscription->read;
    read_deinit(read);
    read_init(read, READ_ARRIVAL);
    read->filter = subscription->is_everything ? NULL : filter_ref(subscription->filter->filter);
    read->slices_only = subscription->slices_only;
    read->ordinal = subscription->ordinal_next + IS_PLANTED(PLANTED_LIVE_GAP);
    read->ordinal_end = service->ordinal;
    subscription->is_recent_missing = false;
    subscription->is_catching_up = true;
    subscription->is_read_done = false;
    subscription_read_next(subscription);
}

// Whether reading what the cache no longer holds is over.
static bool has_caught_up(struct subscription *subscription)
{
    if (!subscription->is_read_done) {
        subscription_read_next(subscription);
        return false;
    }
    if (subscription->is_reading || subscription->step.block) {
        return false;
    }
    subscription->is_catching_up = false;
    subscription_return_place(subscription);
    if (subscription_has_end(subscription)) {
        subscription_finish(subscription, END_REACHED);
    }
    return subscription->state == SUBSCRIPTION_LIVE;
}

static void wait_for_chunks(struct subscription *subscription)
{
    struct service *service = subscription->session->service;
    if (subscription->ahead.count > 0 &&
        version_vector_includes(store_port_vector(service->port), &subscription->ahead)) {
        version_vector_deinit(&subscription->ahead); // all that it covers has passed by
    }
    if (list_is_empty(&subscription->wait_link)) {
        list_append(&service->live, &subscription->wait_link);
    }
}

void subscription_live(struct subscription *subscription)
{
    if (subscription->is_catching_up && !has_caught_up(subscription)) {
        return;
    }
    switch (look_ahead(subscription)) {
    case OUTLOOK_NOTHING:
        subscription->is_live_due = false;
        if (subscription->state == SUBSCRIPTION_LIVE) {
            wait_for_chunks(subscription);
            subscription_note_frontier(subscription);
        }
        return;
    case OUTLOOK_EVENTS:
        list_remove(&subscription->wait_link);
        subscription->is_live_due = true;
        return;
    case OUTLOOK_READ:
        list_remove(&subscription->wait_link);
        subscription->is_live_due = false;
        if (subscription->credit > 0) {
            begin_catching_up(subscription);
        }
        return;
    }
}
