// A group that this node coordinates: opened when somebody attaches, let go some time after the
// last one has left, begun anew when its subscription is reset.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/node/groups_state.h"

static void timer_expired(struct timer *timer)
{
    host_mark(container_of(timer, struct hosting, timer));
}

static void free_if_idle(struct hosting *hosting)
{
    if (hosting->durable || hosting->in_flight > 0) {
        return;
    }
    list_remove(&hosting->link);
    list_remove(&hosting->ready_link);
    filter_unref(hosting->system_filter);
    buffer_deinit(&hosting->definition_text);
    free(hosting);
}

void host_landed(struct hosting *hosting)
{
    assert(hosting->in_flight > 0);
    hosting->in_flight--;
    free_if_idle(hosting);
}

void host_mark(struct hosting *hosting)
{
    if (hosting->durable && list_is_empty(&hosting->ready_link)) {
        list_append(&hosting->groups->ready, &hosting->ready_link);
        service_wake(hosting->groups->cluster->service);
    }
}

// --- Generations -------------------------------------------------------------------------------

// Copies the definition by way of its bytes.
static int copy_definition(struct hosting *hosting)
{
    struct subscription_definition definition;
    subscription_fold_definition(hosting->durable->fold, &definition);
    buffer_clear(&hosting->definition_text);
    int err = subscription_definition_encode(&definition, &hosting->definition_text);
    struct bytes rest = buffer_bytes(&hosting->definition_text);
    return err ? err : subscription_definition_decode(&rest, &hosting->definition);
}

// Without a filter a read brings no events of the system.
static int make_filter(struct hosting *hosting)
{
    const struct subscription_definition *definition = &hosting->definition;
    struct filter *filter;
    struct reason reason;
    filter_unref(hosting->system_filter);
    hosting->system_filter = NULL;
    int err = filter_new(definition->entries, definition->entries_count, &filter, &reason);
    if (err == 0 && filter_wants_system(filter)) {
        hosting->system_filter = filter;
    } else if (err == 0) {
        filter_unref(filter);
    }
    return err;
}

// A group of the generation that holds now, without consumers. ERR_MEMORY.
static int make_group(struct hosting *hosting)
{
    const struct subscription_fold *fold = hosting->durable->fold;
    struct position done = {0};
    struct group *group = NULL;
    int err = subscription_fold_position(fold, &done);
    err = err ? err : copy_definition(hosting);
    err = err ? err : make_filter(hosting);
    if (err == 0) {
        struct group_config config = {.definition = &hosting->definition, .done = &done};
        err = group_new(&config, &group);
    }
    position_deinit(&done);
    if (err == 0) {
        hosting->generation = subscription_fold_generation(fold);
        hosting->group = group;
    }
    return err;
}

int host_open(struct durable *durable, struct hosting **hosting_out)
{
    assert(!durable->hosting);
    struct groups *groups = durable->groups;
    struct hosting *hosting = calloc(1, sizeof *hosting);
    if (!hosting) {
        return ERR_MEMORY;
    }
    hosting->groups = groups;
    hosting->durable = durable;
    hosting->idle_since = INSTANT_NEVER;
    hosting->timer.expired = timer_expired;
    list_init(&hosting->link);
    list_init(&hosting->ready_link);
    list_init(&hosting->attachments);
    list_init(&hosting->held);
    list_init(&hosting->redeliveries);
    list_init(&hosting->parkings);
    int err = make_group(hosting);
    if (err) {
        filter_unref(hosting->system_filter);
        buffer_deinit(&hosting->definition_text);
        free(hosting);
        return err;
    }
    list_append(&groups->hostings, &hosting->link);
    durable->hosting = hosting;
    host_mark(hosting);
    *hosting_out = hosting;
    return 0;
}

// What runs for the generation that was.
static void stop_group(struct hosting *hosting)
{
    reader_close(hosting);
    deliver_close(hosting);
    writer_close(hosting);
    group_free(hosting->group);
    hosting->group = NULL;
    hosting->has_caught_up = false;
    hosting->untold_count = hosting->attachments_count;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        container_of(link, struct attachment, link)->is_told = false;
    }
}

static void unlist(struct hosting *hosting, struct attachment *attachment)
{
    list_remove(&attachment->link);
    tree_remove(&hosting->attachments_by_id, &attachment->by_id);
    hosting->attachments_count--;
}

static void end_attachments(struct hosting *hosting, uint32_t reason, enum wire_error error,
                            const char *text)
{
    struct list_node *link;
    while ((link = list_first(&hosting->attachments)) != NULL) {
        struct attachment *attachment = container_of(link, struct attachment, link);
        unlist(hosting, attachment);
        attachment->ops->ended(attachment->context, reason, error, text);
        free(attachment);
    }
}

void host_close(struct hosting *hosting, uint32_t reason, enum wire_error error, const char *text)
{
    assert(hosting->durable);
    timer_clear(&hosting->groups->cluster->service->timers, &hosting->timer);
    if (reason != END_DELETED && hosting->group) {
        reader_note(hosting);
        writer_last_checkpoint(hosting);
    }
    stop_group(hosting);
    end_attachments(hosting, reason, error, text);
    hosting->durable->hosting = NULL;
    hosting->durable = NULL;
    list_remove(&hosting->ready_link);
    free_if_idle(hosting);
}

void groups_release(struct groups *groups, struct bytes name)
{
    const struct durable *durable = durable_find(groups, name);
    if (durable && durable->hosting) {
        host_close(durable->hosting, 0, 0, "");
    }
}

static void end_attachment(struct hosting *hosting, struct attachment *attachment,
                           enum wire_error error, const char *text)
{
    unlist(hosting, attachment);
    hosting->untold_count -= !attachment->is_told;
    attachment->ops->ended(attachment->context, 0, error, text);
    free(attachment);
}

// Those that are more than there may be now are ended.
static int rejoin(struct hosting *hosting)
{
    struct instant now = hosting->groups->cluster->service->now;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        struct attachment *attachment = container_of(link, struct attachment, link);
        struct group_consumer consumer = {
            .id = attachment->id,
            .in_flight_max = attachment->in_flight_max,
        };
        if (!attachment->ops->renewed) {
            end_attachment(hosting, attachment, 0, "");
            continue;
        }
        int err = group_join(hosting->group, &consumer, now);
        if (err == ERR_BUSY) {
            end_attachment(hosting, attachment, WIRE_BUSY,
                           "the subscription was begun anew, with fewer consumers (concurrency)");
            continue;
        }
        if (err) {
            return err;
        }
        group_credit(hosting->group, attachment->id, attachment->credit);
        attachment->ops->renewed(attachment->context);
    }
    hosting->idle_since = hosting->attachments_count > 0 ? INSTANT_NEVER : now;
    return 0;
}

void host_changed(struct hosting *hosting, const struct position *done)
{
    const struct subscription_fold *fold = hosting->durable->fold;
    struct event_id generation = subscription_fold_generation(fold);
    int err = 0;
    if (event_id_is_none(generation)) {
        host_close(hosting, END_DELETED, 0, "");
        return;
    }
    if (event_id_compare(generation, hosting->generation) != 0) {
        stop_group(hosting);
        err = make_group(hosting);
        err = err ? err : rejoin(hosting);
    } else if (done) {
        err = group_merge(hosting->group, done, hosting->groups->cluster->service->now);
    }
    if (err) {
        host_close(hosting, 0, WIRE_BUSY, "the node is out of memory for this subscription");
        return;
    }
    host_mark(hosting);
}

// --- Consumers ---------------------------------------------------------------------------------

void host_lost(struct hosting *hosting, struct done_range range)
{
    struct cluster *cluster = hosting->groups->cluster;
    uint64_t counted;
    if (group_ack(hosting->group, 0, &range, cluster->service->now, &counted) == GROUP_ACKED) {
        cluster_log(cluster, LOG_WARNING,
                    "subscription %.*s goes on without the events %llu to %llu of actor %u, which "
                    "are lost everywhere",
                    (int)hosting->durable->name_length, hosting->durable->name,
                    (unsigned long long)range.first, (unsigned long long)range.last,
                    (unsigned)range.actor);
    }
}

struct attachment *host_attachment(struct hosting *hosting, consumer_id id)
{
    struct tree_node *node = tree_at_or_below(&hosting->attachments_by_id, 0, id);
    return node && node->low == id ? container_of(node, struct attachment, by_id) : NULL;
}

static int join(struct hosting *hosting, struct attachment *attachment, struct reason *reason)
{
    struct group_consumer consumer = {
        .id = attachment->id,
        .in_flight_max = attachment->in_flight_max,
    };
    int err = group_join(hosting->group, &consumer, hosting->groups->cluster->service->now);
    if (err == ERR_BUSY) {
        return reason_set(reason, err,
                          "subscription %.*s has %u consumers, as many as it may have "
                          "(concurrency): end one, or create it anew with more",
                          (int)hosting->durable->name_length, hosting->durable->name,
                          hosting->attachments_count);
    }
    if (err) {
        return reason_set(reason, err, "out of memory");
    }
    group_credit(hosting->group, attachment->id, attachment->credit);
    list_append(&hosting->attachments, &attachment->link);
    attachment->by_id.low = attachment->id;
    tree_insert(&hosting->attachments_by_id, &attachment->by_id);
    hosting->attachments_count++;
    hosting->untold_count++;
    hosting->idle_since = INSTANT_NEVER;
    host_mark(hosting);
    return 0;
}

int groups_attach(struct groups *groups, struct bytes name, const struct attach_options *options,
                  struct attachment **attachment_out, struct event_id *generation_out,
                  struct reason *reason)
{
    struct durable *durable = durable_find(groups, name);
    if (!durable || event_id_is_none(subscription_fold_generation(durable->fold))) {
        return reason_set(reason, ERR_NOT_FOUND,
                          "there is no subscription %.*s: create it, or attach with the option to",
                          (int)name.length, (const char *)name.data);
    }
    struct attachment *attachment = calloc(1, sizeof *attachment);
    int err = !attachment ? ERR_MEMORY : 0;
    if (err == 0 && !durable->hosting) {
        struct hosting *hosting;
        err = host_open(durable, &hosting);
    }
    if (err) {
        free(attachment);
        return reason_set(reason, err, "out of memory");
    }
    *attachment = (struct attachment){
        .hosting = durable->hosting,
        .id = ++groups->consumer_last,
        .in_flight_max = options->in_flight_max,
        .credit = options->credit_bytes < SUBSCRIPTION_CREDIT_BYTES_MAX
                      ? options->credit_bytes
                      : SUBSCRIPTION_CREDIT_BYTES_MAX,
        .ops = options->ops,
        .context = options->context,
        .actor = options->actor,
        .takes_chunks = options->takes_chunks,
        .since = groups->cluster->service->now,
    };
    (void)snprintf(attachment->client, sizeof attachment->client, "%.*s",
                   (int)options->client.length,
                   options->client.length > 0 ? (const char *)options->client.data : "");
    list_init(&attachment->link);
    err = join(durable->hosting, attachment, reason);
    if (err) {
        free(attachment);
        return err;
    }
    *attachment_out = attachment;
    *generation_out = durable->hosting->generation;
    return 0;
}

// Out of the group: what it had in flight comes again.
static void leave(struct hosting *hosting, struct attachment *attachment)
{
    struct instant now = hosting->groups->cluster->service->now;
    unlist(hosting, attachment);
    hosting->untold_count -= !attachment->is_told;
    group_leave(hosting->group, attachment->id, now);
    if (hosting->attachments_count == 0) {
        hosting->idle_since = now;
        reader_note(hosting);
        group_flush(hosting->group);
    }
    host_mark(hosting);
}

void groups_detach(struct attachment *attachment)
{
    struct hosting *hosting = attachment->hosting;
    deliver_flush(hosting); // a piece may be on its way to it
    leave(hosting, attachment);
    free(attachment);
}

// Those that something could not go to. They attach again, when there is memory for that.
static void detach_short(struct hosting *hosting)
{
    if (!hosting->is_short) {
        return;
    }
    hosting->is_short = false;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        struct attachment *attachment = container_of(link, struct attachment, link);
        if (attachment->is_short) {
            leave(hosting, attachment);
            attachment->ops->ended(attachment->context, 0, 0, "");
            free(attachment);
        }
    }
}

void groups_credit(struct attachment *attachment, uint64_t bytes)
{
    const uint64_t most = SUBSCRIPTION_CREDIT_BYTES_MAX;
    attachment->credit = bytes < most - attachment->credit ? attachment->credit + bytes : most;
    group_credit(attachment->hosting->group, attachment->id, bytes);
    host_mark(attachment->hosting);
}

int groups_ack(struct attachment *attachment, struct event_id up_to,
               const struct done_range *ranges, uint32_t count, uint64_t *counted)
{
    struct hosting *hosting = attachment->hosting;
    struct instant now = hosting->groups->cluster->service->now;
    enum group_ack_result result = GROUP_ACKED;
    uint64_t done = 0;
    if (!event_id_is_none(up_to)) {
        result = group_ack_up_to(hosting->group, attachment->id, up_to, now, &done);
        *counted += done;
    }
    for (uint32_t i = 0; i < count && result != GROUP_NO_MEMORY; i++) {
        done = 0;
        result = group_ack(hosting->group, attachment->id, &ranges[i], now, &done);
        *counted += done;
    }
    host_mark(hosting);
    return result == GROUP_NO_MEMORY ? ERR_MEMORY : 0;
}

int groups_nack(struct attachment *attachment, const struct done_range *ranges, uint32_t count,
                struct duration delay, struct bytes reason, uint64_t *counted)
{
    struct hosting *hosting = attachment->hosting;
    struct instant now = hosting->groups->cluster->service->now;
    enum group_ack_result result = GROUP_ACKED;
    for (uint32_t i = 0; i < count && result != GROUP_NO_MEMORY; i++) {
        result = group_nack(hosting->group, attachment->id, &ranges[i], delay, reason, now);
        *counted += result == GROUP_ACKED;
    }
    host_mark(hosting);
    return result == GROUP_NO_MEMORY ? ERR_MEMORY : 0;
}

void groups_give_back(struct attachment *attachment, const struct done_range *range)
{
    struct hosting *hosting = attachment->hosting;
    (void)group_give_back(hosting->group, attachment->id, range, 0, duration_ms(0),
                          hosting->groups->cluster->service->now);
    host_mark(hosting);
}

// --- Turns -------------------------------------------------------------------------------------

static void run_actions(struct hosting *hosting)
{
    struct instant now = hosting->groups->cluster->service->now;
    struct group_action action;
    while (!hosting->is_short && group_next_action(hosting->group, now, &action)) {
        switch (action.kind) {
        case GROUP_DELIVER:
            deliver_run(hosting, &action);
            break;
        case GROUP_PARK:
            writer_park(hosting, &action);
            break;
        case GROUP_CHECKPOINT:
            writer_checkpoint(hosting);
            break;
        }
    }
    deliver_flush(hosting);
}

// Nobody has been here for a while, and what was done is written.
static bool is_to_be_let_go(const struct hosting *hosting)
{
    struct instant due = instant_add(hosting->idle_since, duration_ms(HOST_IDLE_MS));
    return hosting->idle_since.ns != INSTANT_NEVER.ns && hosting->in_flight == 0 &&
           group_is_covered(hosting->group) &&
           instant_reached(due, hosting->groups->cluster->service->now);
}

static void arm(struct hosting *hosting)
{
    struct service *service = hosting->groups->cluster->service;
    struct instant due = group_deadline(hosting->group);
    if (!hosting->session) {
        due = instant_earlier(due, hosting->open_at);
    }
    if (hosting->idle_since.ns != INSTANT_NEVER.ns) {
        due = instant_earlier(due, instant_add(hosting->idle_since, duration_ms(HOST_IDLE_MS)));
    }
    if (due.ns == INSTANT_NEVER.ns) {
        timer_clear(&service->timers, &hosting->timer);
        return;
    }
    if (instant_reached(due, service->now)) {
        due = instant_add(service->now, duration_ms(1));
    }
    if (timer_set(&service->timers, &hosting->timer, due)) {
        host_mark(hosting);
    }
}

// Once what the reader had brought by then is handed out.
static void tell_caught_up(struct hosting *hosting)
{
    if (!hosting->has_caught_up || hosting->untold_count == 0 ||
        group_counts(hosting->group).waiting > 0) {
        return;
    }
    hosting->untold_count = 0;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        struct attachment *attachment = container_of(link, struct attachment, link);
        if (!attachment->is_told) {
            attachment->is_told = true;
            attachment->ops->caught_up(attachment->context);
        }
    }
}

void host_turn(struct hosting *hosting)
{
    if (is_to_be_let_go(hosting)) {
        host_close(hosting, 0, 0, "");
        return;
    }
    detach_short(hosting);
    run_actions(hosting); // what was said since may make room
    reader_run(hosting);
    run_actions(hosting);
    reader_drop_held(hosting);
    tell_caught_up(hosting);
    arm(hosting);
}
