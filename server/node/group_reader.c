// What is read for a group: an ordinary subscription of this service, in a session of its own, from
// the group's position on. It is asked for more only while the group wants it, so a group that
// takes nothing costs a place in the log.

#include <assert.h>
#include <stdlib.h>

#include "proto/base/planted.h"
#include "proto/model/event.h"
#include "proto/model/slice.h"
#include "server/node/groups_state.h"
#include "server/node/session.h"
#include "server/node/subscription.h"

enum {
    READER_ID = 1,
    READER_CREDIT_BYTES = 1024 * 1024, // given back as it is spent
    RUNS_PER_OFFER = 256,
};

static void session_ready(struct session *session)
{
    host_mark(session->owner);
}

// --- Life --------------------------------------------------------------------------------------

static void try_again(struct hosting *hosting, const char *why)
{
    struct cluster *cluster = hosting->groups->cluster;
    reader_close(hosting);
    hosting->open_at = instant_add(cluster->service->now, duration_ms(HOST_RETRY_MS));
    cluster_log(cluster, LOG_WARNING, "subscription %.*s cannot be read (%s): tried again",
                (int)hosting->durable->name_length, hosting->durable->name, why);
}

static int subscribe(struct hosting *hosting)
{
    const struct subscription_definition *definition = &hosting->definition;
    struct position position = {0};
    struct buffer cursor = {0};
    struct request request = {.kind = REQUEST_SUBSCRIBE, .id = READER_ID};
    int err = group_position(hosting->group, &position);
    err = err ? err : version_vector_encode(&position.vector, &cursor);
    if (err == 0) {
        request.subscribe.start = START_AT_CURSOR;
        request.subscribe.start_cursor = buffer_bytes(&cursor);
        request.subscribe.credit_bytes = READER_CREDIT_BYTES;
        request.subscribe.is_stable_order = definition->is_stable_order;
        request.subscribe.entries_count = definition->entries_count;
        memcpy(request.subscribe.entries, definition->entries,
               definition->entries_count * sizeof definition->entries[0]);
        if (IS_PLANTED(PLANTED_OWN_CHECKPOINTS_SEEN) && definition->entries_count > 0) {
            request.subscribe.entries[request.subscribe.entries_count++] =
                (struct filter_entry){.text = bytes_of_text(SUBSCRIPTIONS_NAMESPACE "*")};
        }
        request.subscribe.attributes_count = definition->attributes_count;
        memcpy(request.subscribe.attributes, definition->attributes,
               definition->attributes_count * sizeof definition->attributes[0]);
        request.subscribe.timestamp_min_ms = definition->timestamp_min_ms;
        err = session_submit(hosting->session, &request, hosting->groups->cluster->service->now);
    }
    buffer_deinit(&cursor);
    position_deinit(&position);
    return err;
}

// Whether chunks can go out as they stand. Where events have keys they are looked at one by one,
// and what is decoded for that goes out.
static bool all_take_chunks(const struct hosting *hosting)
{
    bool all = hosting->definition.key == GROUP_KEY_NONE;
    LIST_FOR_EACH((struct list_node *)&hosting->attachments, link)
    {
        all &= container_of(link, struct attachment, link)->takes_chunks;
    }
    return all;
}

static void reader_open(struct hosting *hosting)
{
    struct service *service = hosting->groups->cluster->service;
    if (session_open(service, hosting, &hosting->session)) {
        try_again(hosting, "out of memory");
        return;
    }
    hosting->session->on_ready = session_ready;
    hosting->session->begins_anywhere = true; // a position ends in front of what is not done
    if (all_take_chunks(hosting)) {
        session_set_features(hosting->session, FEATURE_CHUNKS | FEATURE_LZ4);
    }
    if (subscribe(hosting) != 0) {
        try_again(hosting, "out of memory");
    }
}

static void drop(struct hosting *hosting, struct held *held)
{
    if (hosting->find_held == held) {
        hosting->find_held = NULL;
    }
    hosting->held_bytes -= held->bytes;
    list_remove(&held->link);
    block_unref(held->block);
    free(held);
}

void reader_close(struct hosting *hosting)
{
    session_close(hosting->session);
    hosting->session = NULL;
    struct list_node *link;
    while ((link = list_first(&hosting->held)) != NULL) {
        drop(hosting, container_of(link, struct held, link));
    }
}

// Whether anything of it waits; passes over the slices of which nothing does.
static bool still_waits(struct hosting *hosting, struct held *held)
{
    struct bytes rest = bytes_of(held->block->data + held->offset, held->end - held->offset);
    while (rest.length > 0) {
        struct block_run run;
        block_run_next(held->block->kind, &rest, &run);
        if (group_has_waiting(hosting->group, run.actor, run.first, run.first + run.count - 1)) {
            return true;
        }
        held->offset = held->end - rest.length;
    }
    return false;
}

// What waits behind a key that somebody has may stay for long, while much else comes and goes.
static void sweep(struct hosting *hosting)
{
    LIST_FOR_EACH(&hosting->held, link)
    {
        struct held *held = container_of(link, struct held, link);
        if (!still_waits(hosting, held)) {
            drop(hosting, held);
        }
    }
    hosting->sweep_bytes =
        hosting->held_bytes < HELD_BYTES_MAX / 2 ? 2 * hosting->held_bytes : HELD_BYTES_MAX;
}

void reader_drop_held(struct hosting *hosting)
{
    struct list_node *link;
    bool is_all = hosting->group && group_counts(hosting->group).waiting == 0;
    if (!is_all && hosting->held_bytes > HELD_SWEEP_BYTES &&
        hosting->held_bytes > hosting->sweep_bytes) {
        sweep(hosting);
    }
    while ((link = list_first(&hosting->held)) != NULL &&
           (is_all || hosting->held_bytes > HELD_BYTES_MAX)) {
        drop(hosting, container_of(link, struct held, link));
    }
    hosting->sweep_bytes = is_all ? 0 : hosting->sweep_bytes;
}

// --- Events ------------------------------------------------------------------------------------

struct offer {
    struct hosting *hosting;
    struct group_run runs[RUNS_PER_OFFER];
    uint32_t count;
};

static int offer_flush(struct offer *offer)
{
    uint32_t count = offer->count;
    offer->count = 0;
    return count == 0 ? 0
                      : group_offer(offer->hosting->group, offer->runs, count,
                                    offer->hosting->groups->cluster->service->now);
}

static int offer_run(struct offer *offer, const struct group_run *run)
{
    int err = offer->count == RUNS_PER_OFFER ? offer_flush(offer) : 0;
    if (err == 0) {
        offer->runs[offer->count++] = *run;
    }
    return err;
}

// Event by event, where there are keys: runs of one key.
static int offer_events(struct offer *offer, const struct slice *slice)
{
    const struct subscription_definition *definition = &offer->hosting->definition;
    struct group_run run = {.actor = slice->actor};
    struct bytes rest = slice->events;
    int err = 0;
    for (uint16_t i = 0; i < slice->count && err == 0; i++) {
        struct event event;
        event_next_trusted(&rest, &event);
        uint64_t key = group_key_hash(definition, event.name, event.attributes);
        if (run.count > 0 && key != run.key) {
            err = offer_run(offer, &run);
            run.count = 0;
        }
        if (run.count == 0) {
            run.first = slice->first + i;
            run.key = key;
            run.bytes = SLICE_HEADER_LENGTH;
            run.timestamp_ms = slice->timestamp_ms;
        }
        run.count++;
        run.bytes += event.encoded.length;
    }
    return err || run.count == 0 ? err : offer_run(offer, &run);
}

// A chunk that is handed out as a slice, or compressed: it is counted with what is more.
static int offer_whole(struct offer *offer, const struct block_run *whole)
{
    size_t length = whole->bytes.length;
    struct group_run run = {
        .actor = whole->actor,
        .first = whole->first,
        .count = whole->count,
        .bytes = length > whole->plain_length ? length : whole->plain_length,
        .timestamp_ms = whole->timestamp_ms,
    };
    return offer_run(offer, &run);
}

static int offer_block_run(struct offer *offer, enum block_kind kind, const struct block_run *run)
{
    if (offer->hosting->definition.key == GROUP_KEY_NONE) {
        return offer_whole(offer, run);
    }
    struct buffer scratch = {0};
    struct slice slice;
    int err = block_run_slice(kind, run, &scratch, &slice);
    err = err ? err : offer_events(offer, &slice);
    buffer_deinit(&scratch);
    return err;
}

static int hold(struct hosting *hosting, struct block *block, size_t offset, size_t length,
                struct held **held_out)
{
    struct held *held = malloc(sizeof *held);
    if (!held) {
        return ERR_MEMORY;
    }
    *held = (struct held){
        .block = block_ref(block),
        .offset = offset,
        .end = offset + length,
        .bytes = sizeof *held + sizeof *block + block->capacity,
        .first = UINT64_MAX,
    };
    list_init(&held->link);
    list_append(&hosting->held, &held->link);
    hosting->held_bytes += held->bytes;
    *held_out = held;
    return 0;
}

static int take_events(struct hosting *hosting, const struct session_item *item)
{
    struct offer offer = {.hosting = hosting};
    struct bytes rest = bytes_of(item->block->data + item->offset, item->length);
    struct held *held;
    int err = hold(hosting, item->block, item->offset, item->length, &held);
    while (rest.length > 0 && err == 0) {
        struct block_run run;
        block_run_next(item->block->kind, &rest, &run);
        uint64_t last = run.first + run.count - 1;
        held->first = run.first < held->first ? run.first : held->first;
        held->last = last > held->last ? last : held->last;
        hosting->reader_at_ms = run.timestamp_ms;
        err = offer_block_run(&offer, item->block->kind, &run);
    }
    return err ? err : offer_flush(&offer);
}

// --- Taking ------------------------------------------------------------------------------------

// Everything that the subscription has passed is offered.
static int note_cursor(struct hosting *hosting, uint64_t spent)
{
    struct subscription *subscription = session_subscription(hosting->session, READER_ID);
    if (!subscription) {
        return 0;
    }
    if (spent > 0) {
        subscription_credit(subscription, spent);
    }
    return group_passed(hosting->group, &subscription->cursor);
}

void reader_note(struct hosting *hosting)
{
    if (hosting->session && note_cursor(hosting, 0)) {
        return; // without memory less is said to be done
    }
}

// What is new comes in small chunks, and with checkpoints in between: selected once for all groups
// that want the same it costs less than chunks that each would have to look through.
static void go_live(struct hosting *hosting)
{
    struct subscription *subscription = session_subscription(hosting->session, READER_ID);
    if (subscription) {
        subscription->slices_only = true;
    }
}

// False: the reader is gone.
static bool take_item(struct hosting *hosting, const struct session_item *item)
{
    int err = 0;
    switch (item->head.kind) {
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        err = take_events(hosting, item);
        err = err ? err : note_cursor(hosting, item->length);
        break;
    case DELIVERY_MARK:
        err = note_cursor(hosting, 0);
        if (item->head.mark.kind == MARK_CAUGHT_UP) {
            hosting->has_caught_up = true;
            go_live(hosting);
        }
        break;
    case REPLY_ERROR: {
        struct reason why;
        reason_set(&why, 0, "%.*s", (int)item->head.error.text.length,
                   (const char *)item->head.error.text.data);
        try_again(hosting, why.text);
        return false;
    }
    case DELIVERY_END:
        try_again(hosting, "it ended");
        return false;
    default:
        break;
    }
    if (err) {
        try_again(hosting, err_text(err)); // from the position, which is behind what was offered
        return false;
    }
    return true;
}

void reader_run(struct hosting *hosting)
{
    struct service *service = hosting->groups->cluster->service;
    if (hosting->attachments_count == 0 || service->is_shutting_down) {
        return;
    }
    if (!hosting->session) {
        if (!instant_reached(hosting->open_at, service->now)) {
            return;
        }
        reader_open(hosting);
    }
    struct session_item item;
    for (int i = 0; hosting->session && group_wants(hosting->group); i++) {
        if (i == HOST_PARTS_PER_TURN_MAX) {
            host_mark(hosting);
            return;
        }
        if (!session_take(hosting->session, &item)) {
            return;
        }
        bool goes_on = take_item(hosting, &item);
        block_unref(item.block);
        if (!goes_on) {
            return;
        }
    }
}

// --- Finding -----------------------------------------------------------------------------------

static bool find_in(const struct held *held, size_t offset, struct event_id event,
                    struct held_run *out)
{
    struct bytes rest = bytes_of(held->block->data + offset, held->end - offset);
    while (rest.length > 0) {
        size_t at = held->end - rest.length;
        block_run_next(held->block->kind, &rest, &out->run);
        if (out->run.actor == event.actor && out->run.first <= event.counter &&
            event.counter - out->run.first < out->run.count) {
            out->block = held->block;
            out->offset = at;
            return true;
        }
    }
    return false;
}

// Whether it can be in it: of a replay blocks hardly overlap, and the others are passed over.
static bool may_hold(const struct held *held, struct event_id event)
{
    return held->first <= event.counter && event.counter <= held->last;
}

// Runs go out mostly in the order in which they came in: the search begins where the last ended.
bool reader_find(struct hosting *hosting, struct event_id event, struct held_run *out)
{
    if (hosting->find_held && may_hold(hosting->find_held, event) &&
        find_in(hosting->find_held, hosting->find_offset, event, out)) {
        hosting->find_offset = out->offset;
        return true;
    }
    struct list_node *begin =
        hosting->find_held ? hosting->find_held->link.next : hosting->held.next;
    struct list_node *link = begin;
    do {
        if (link != &hosting->held) {
            struct held *held = container_of(link, struct held, link);
            if (may_hold(held, event) && find_in(held, held->offset, event, out)) {
                hosting->find_held = held;
                hosting->find_offset = out->offset;
                return true;
            }
        }
        link = link->next;
    } while (link != begin);
    return false;
}
