// Which durable subscriptions there are: a fold of events for each name, in the order of names.

#include "proto/model/subscription_row.h"
#include "server/node/groups_state.h"

#include <assert.h>
#include <stdlib.h>

int groups_new(struct cluster *cluster, struct groups **groups_out)
{
    struct groups *groups = calloc(1, sizeof *groups);
    if (!groups) {
        return ERR_MEMORY;
    }
    groups->cluster = cluster;
    list_init(&groups->hostings);
    list_init(&groups->ready);
    list_init(&groups->changes);
    *groups_out = groups;
    return 0;
}

static void durable_free(struct durable *durable)
{
    if (durable) {
        assert(!durable->hosting);
        subscription_fold_free(durable->fold);
        free(durable);
    }
}

void groups_free(struct groups *groups)
{
    if (!groups) {
        return;
    }
    groups_shut_down(groups);
    assert(list_is_empty(&groups->hostings) && list_is_empty(&groups->changes));
    for (uint32_t i = 0; i < groups->durables_count; i++) {
        durable_free(groups->durables[i]);
    }
    free(groups->durables);
    free(groups);
}

void groups_shut_down(struct groups *groups)
{
    if (groups->is_over) {
        return;
    }
    groups->is_over = true;
    changes_close(groups);
    LIST_FOR_EACH(&groups->hostings, link)
    {
        struct hosting *hosting = container_of(link, struct hosting, link);
        if (hosting->durable) {
            host_close(hosting, END_SHUTDOWN, 0, "");
        }
    }
}

// --- Names -------------------------------------------------------------------------------------

static int compare_names(struct bytes a, struct bytes b)
{
    size_t length = a.length < b.length ? a.length : b.length;
    int order = length > 0 ? memcmp(a.data, b.data, length) : 0;
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

// The place of the first name that is not below.
static uint32_t place_of(const struct groups *groups, struct bytes name)
{
    uint32_t low = 0;
    uint32_t high = groups->durables_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_names(durable_name(groups->durables[middle]), name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct durable *durable_find(struct groups *groups, struct bytes name)
{
    uint32_t place = place_of(groups, name);
    bool is_there =
        place < groups->durables_count && bytes_equal(durable_name(groups->durables[place]), name);
    return is_there ? groups->durables[place] : NULL;
}

static int make_room(struct groups *groups)
{
    if (groups->durables_count < groups->durables_capacity) {
        return 0;
    }
    uint32_t capacity = groups->durables_capacity > 0 ? 2 * groups->durables_capacity : 16;
    struct durable **durables = realloc(groups->durables, capacity * sizeof(struct durable *));
    if (!durables) {
        return ERR_MEMORY;
    }
    groups->durables = durables;
    groups->durables_capacity = capacity;
    return 0;
}

static int durable_add(struct groups *groups, struct bytes name, struct durable **durable_out)
{
    if (make_room(groups)) {
        return ERR_MEMORY;
    }
    struct durable *durable = calloc(1, sizeof *durable);
    int err = durable ? subscription_fold_new(&durable->fold) : ERR_MEMORY;
    if (err) {
        free(durable);
        return err;
    }
    durable->groups = groups;
    durable->name_length = (uint32_t)name.length;
    memcpy(durable->name, name.data, name.length);
    uint32_t place = place_of(groups, name);
    struct durable **at = groups->durables + place;
    memmove(at + 1, at, (groups->durables_count - place) * sizeof(struct durable *));
    *at = durable;
    groups->durables_count++;
    *durable_out = durable;
    return 0;
}

// --- Events ------------------------------------------------------------------------------------

// Without the name where it is none. (cluster_log would cut behind a long one.)
static void complain(struct groups *groups, struct bytes name, struct event_id id, const char *why)
{
    const struct node_env *env = &groups->cluster->service->env;
    char text[EVENT_ID_SHORT_LENGTH_MAX + 1];
    event_id_format_short(id, text);
    env->log(env->context, LOG_WARNING, "cluster", "the event %s about %s%.*s is passed over: %s",
             text, name.length > 0 ? "the subscription " : "a subscription", (int)name.length,
             (const char *)name.data, why);
}

// What another coordinator of this generation has done, or this node: the last checkpoint of a
// group that was let go may come when the next one has begun without it.
static int take_done(struct hosting *hosting, const struct subscription_event *event)
{
    struct position done = {0};
    struct bytes rest = event->position;
    if (event_id_compare(event->generation, hosting->generation) != 0) {
        return 0;
    }
    int err = position_decode(&rest, &done);
    if (err == 0) {
        host_changed(hosting, &done);
    }
    position_deinit(&done);
    return err == ERR_INVALID ? 0 : err;
}

static int take(struct groups *groups, struct durable *durable,
                const struct subscription_event *event)
{
    struct event_id last;
    struct event_id before = subscription_fold_generation(durable->fold);
    uint32_t voids = subscription_fold_void(durable->fold, &last);
    int err = subscription_fold_add(durable->fold, event);
    if (err) {
        return err;
    }
    if (subscription_fold_void(durable->fold, &last) > voids) {
        // one alone: the event, or what held until it came
        struct event_id holds = subscription_fold_generation(durable->fold);
        bool has_come_second = event_id_compare(holds, event->id) != 0;
        complain(groups, durable_name(durable), has_come_second ? event->id : before,
                 "it creates a subscription that there was already");
    }
    if (!durable->hosting) {
        return 0;
    }
    if (event->kind == SUBSCRIPTION_CHECKPOINT) {
        return take_done(durable->hosting, event);
    }
    host_changed(durable->hosting, NULL);
    return 0;
}

int groups_take_event(struct groups *groups, struct bytes space, struct event_id id,
                      struct bytes data)
{
    size_t prefix = sizeof SUBSCRIPTIONS_NAMESPACE - 1;
    struct subscription_event event;
    struct reason reason;
    if (space.length < prefix || memcmp(space.data, SUBSCRIPTIONS_NAMESPACE, prefix) != 0) {
        return 0;
    }
    struct bytes name = bytes_of((const uint8_t *)space.data + prefix, space.length - prefix);
    if (!subscription_name_is_valid(name, &reason)) {
        complain(groups, bytes_of_text(""), id, reason.text);
        return 0;
    }
    int err = subscription_event_decode(data, &event);
    if (err == ERR_INVALID || err == ERR_VERSION) {
        complain(groups, name, id, "it is not understood: a newer version wrote it");
        return 0;
    }
    event.id = id;
    struct durable *durable = err == 0 ? durable_find(groups, name) : NULL;
    if (err == 0 && !durable) {
        if (groups->durables_count >= SUBSCRIPTIONS_MAX) {
            complain(groups, name, id, "there are too many");
            changes_look(groups, id, ERR_LIMIT, "there are too many subscriptions");
            return 0;
        }
        err = durable_add(groups, name, &durable);
    }
    err = err ? err : take(groups, durable, &event);
    if (err == 0) {
        changes_look(groups, id, 0, "");
    }
    return err;
}

// --- What there is -----------------------------------------------------------------------------

// How many counters the node holds beyond a vector: no fewer than there are events.
static uint64_t counters_beyond(const struct groups *groups, const struct version_vector *read)
{
    const struct version_vector *held = store_port_vector(groups->cluster->service->port);
    uint64_t beyond = 0;
    for (uint32_t i = 0; i < held->count; i++) {
        uint64_t counter = version_vector_get(read, held->entries[i].actor);
        beyond += held->entries[i].counter > counter ? held->entries[i].counter - counter : 0;
    }
    return beyond;
}

static uint64_t lag_of_position(const struct groups *groups, const struct position *done)
{
    uint64_t lag = counters_beyond(groups, &done->vector);
    for (uint32_t i = 0; i < done->ranges_count; i++) {
        uint64_t covered = done->ranges[i].last - done->ranges[i].first + 1;
        lag -= covered < lag ? covered : lag;
    }
    return lag;
}

// Of a reader that is behind and has nothing open, the place counts.
static uint64_t lag_ms_of(const struct hosting *hosting)
{
    const struct service *service = hosting->groups->cluster->service;
    uint64_t now_ms = service->env.wall_ms(service->env.context);
    uint64_t oldest_ms = group_oldest_ms(hosting->group);
    if (oldest_ms == 0 && !hosting->has_caught_up) {
        oldest_ms = hosting->reader_at_ms;
    }
    return oldest_ms > 0 && oldest_ms < now_ms ? now_ms - oldest_ms : 0;
}

int groups_look(struct groups *groups, struct bytes name, bool after, struct group_row *row_out)
{
    uint32_t place = place_of(groups, name);
    if (after && place < groups->durables_count &&
        bytes_equal(durable_name(groups->durables[place]), name)) {
        place++;
    }
    while (after && place < groups->durables_count &&
           event_id_is_none(subscription_fold_generation(groups->durables[place]->fold))) {
        place++;
    }
    struct durable *durable = place < groups->durables_count ? groups->durables[place] : NULL;
    if (!durable || (!after && !bytes_equal(durable_name(durable), name))) {
        return ERR_NOT_FOUND;
    }
    struct event_id generation = subscription_fold_generation(durable->fold);
    if (event_id_is_none(generation)) {
        return ERR_NOT_FOUND;
    }
    *row_out = (struct group_row){
        .name = durable_name(durable),
        .generation = generation,
    };
    subscription_fold_definition(durable->fold, &row_out->definition);
    row_out->voids = subscription_fold_void(durable->fold, &row_out->void_last);
    struct hosting *hosting = durable->hosting;
    if (!hosting) {
        int err = subscription_fold_position(durable->fold, &row_out->position);
        row_out->lag_events = lag_of_position(groups, &row_out->position);
        return err;
    }
    reader_note(hosting); // what did not match since the last event is no lag
    row_out->is_coordinated = true;
    row_out->consumers = hosting->attachments_count;
    row_out->counts = group_counts(hosting->group);
    const struct group_counts *counts = &row_out->counts;
    row_out->lag_events = counts->waiting + counts->in_flight + counts->again +
                          counters_beyond(groups, group_read(hosting->group));
    row_out->lag_ms = lag_ms_of(hosting);
    return group_position(hosting->group, &row_out->position);
}

// Numbers of consumers, by their ids.
static const struct group_consumer_counts *counts_of(const struct group_consumer_counts *counts,
                                                     uint32_t count, consumer_id id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (counts[i].id == id) {
            return &counts[i];
        }
    }
    return NULL;
}

static int append_consumer(const struct attachment *attachment,
                           const struct group_consumer_counts *counts, struct buffer *out)
{
    const struct service *service = attachment->hosting->groups->cluster->service;
    const struct subscription_consumer row = {
        .id = attachment->id,
        .actor = attachment->actor,
        .in_flight = counts->in_flight,
        .attached_ms = (uint64_t)(service->now.ns - attachment->since.ns) / 1000000,
        .delivered = counts->delivered,
        .acked = counts->acked,
        .client = bytes_of_text(attachment->client),
    };
    return subscription_consumer_append(out, &row);
}

int groups_append_consumers(struct groups *groups, struct bytes name, struct buffer *out)
{
    const struct durable *durable = durable_find(groups, name);
    if (!durable || !durable->hosting || durable->hosting->attachments_count == 0) {
        return 0;
    }
    const struct hosting *hosting = durable->hosting;
    uint32_t most = hosting->attachments_count;
    struct group_consumer_counts *counts = malloc(most * sizeof *counts);
    if (!counts) {
        return ERR_MEMORY;
    }
    uint32_t count = group_consumers(hosting->group, counts, most);
    int err = 0;
    LIST_FOR_EACH(&hosting->attachments, link)
    {
        const struct attachment *attachment = container_of(link, struct attachment, link);
        const struct group_consumer_counts *found = counts_of(counts, count, attachment->id);
        err = err || !found ? err : append_consumer(attachment, found, out);
    }
    free(counts);
    return err;
}

// --- Turns -------------------------------------------------------------------------------------

void groups_turn(struct groups *groups)
{
    struct list_node due; // each once: what goes on is marked again
    struct list_node *link;
    if (groups->is_over) {
        return;
    }
    changes_run(groups);
    list_init(&due);
    for (int i = 0; i < HOSTS_PER_TURN_MAX && (link = list_first(&groups->ready)) != NULL; i++) {
        list_remove(link);
        list_append(&due, link);
    }
    while ((link = list_first(&due)) != NULL) {
        list_remove(link);
        host_turn(container_of(link, struct hosting, ready_link));
    }
    if (!list_is_empty(&groups->ready)) {
        service_wake(groups->cluster->service);
    }
}
