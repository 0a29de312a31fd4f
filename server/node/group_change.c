// Creating, resetting and deleting: one event each. Where a subscription starts is found by a
// subscription: what it says it starts at is written. Whoever asked is answered when the event has
// come back from the log, so that what he asks next finds it.

#include <assert.h>
#include <stdlib.h>

#include "server/node/groups_state.h"
#include "server/node/session.h"

enum { CHANGES_MAX = 1024, START_ID = 1 };

struct change {
    struct list_node link;
    struct groups *groups;
    enum subscription_event_kind kind;
    uint32_t name_length;
    char name[SUBSCRIPTION_NAME_BYTES_MAX];
    struct subscription_definition definition; // points into `definition_text`
    struct buffer definition_text;             // CREATED, RESET: the event as it will be, decoded
    struct session *session;                   // that finds the start; NULL: it is found
    bool is_ready;                             // the session has something
    struct cluster_append append;
    struct append_run run;
    struct buffer event;
    bool is_appending;
    struct event_id written; // none: not yet
    groups_done *done;       // NULL: answered
    void *context;
};

static struct bytes change_name(const struct change *change)
{
    return bytes_of(change->name, change->name_length);
}

static void change_free(struct change *change)
{
    list_remove(&change->link);
    session_close(change->session);
    buffer_deinit(&change->definition_text);
    buffer_deinit(&change->event);
    free(change);
}

static void change_answer(struct change *change, int err, const char *text)
{
    groups_done *done = change->done;
    change->done = NULL;
    if (done) {
        done(change->context, err, text);
    }
}

static void change_end(struct change *change, int err, const char *text)
{
    change_answer(change, err, text);
    if (!change->is_appending) {
        change_free(change);
    }
}

// --- The event ---------------------------------------------------------------------------------

static void appended(struct cluster_append *done)
{
    struct change *change = container_of(done, struct change, append);
    change->is_appending = false;
    if (!change->done) {
        change_free(change);
        return;
    }
    if (done->append.result != 0) {
        change_end(change, done->append.result, err_text(done->append.result));
        return;
    }
    // it comes from the log later in this turn, at the earliest
    change->written = (struct event_id){.counter = done->append.first, .actor = done->append.actor};
}

static void change_write(struct change *change, struct bytes start)
{
    struct buffer data = {0};
    struct subscription_event event = {
        .kind = change->kind,
        .definition = change->definition,
        .start = start,
    };
    if (!writer_may_write(change->groups)) {
        change_end(change, ERR_DENIED, "this node may not write now: weir cluster status says why");
        return;
    }
    int err = subscription_event_encode(&event, &data);
    err = err ? err
              : writer_event(&change->event, SUBSCRIPTIONS_NAMESPACE, change_name(change),
                             buffer_bytes(&data), bytes_of(NULL, 0));
    buffer_deinit(&data);
    if (err) {
        change_end(change, err, err_text(err));
        return;
    }
    change->is_appending = true;
    writer_append(change->groups->cluster, &change->append, &change->run,
                  buffer_bytes(&change->event), appended);
}

void changes_look(struct groups *groups, struct event_id id, int err, const char *text)
{
    LIST_FOR_EACH(&groups->changes, link)
    {
        struct change *change = container_of(link, struct change, link);
        if (event_id_compare(change->written, id) == 0) {
            change_end(change, err, text);
            return;
        }
    }
}

void changes_close(struct groups *groups)
{
    struct list_node *link;
    while ((link = list_first(&groups->changes)) != NULL) {
        struct change *change = container_of(link, struct change, link);
        list_remove(link);
        change_end(change, ERR_CLOSED, "this node is stopping");
    }
}

// --- The start ---------------------------------------------------------------------------------

static void start_ready(struct session *session)
{
    struct change *change = session->owner;
    change->is_ready = true; // looked at in the turn: who marks it ready goes on with the session
    service_wake(session->service);
}

// SUBSCRIBED says where it starts.
static void take_start(struct change *change)
{
    struct session_item item;
    change->is_ready = false;
    if (!session_take(change->session, &item)) {
        return;
    }
    block_unref(item.block);
    if (item.head.kind == REPLY_SUBSCRIBED) {
        struct buffer start = {0};
        bool has_cursor = item.head.cursor.length > 0; // else there was no memory for it
        int err = has_cursor ? buffer_append(&start, item.head.cursor) : ERR_MEMORY;
        session_close(change->session);
        change->session = NULL;
        if (err) {
            change_end(change, err, err_text(err));
        } else {
            change_write(change, buffer_bytes(&start));
        }
        buffer_deinit(&start);
        return;
    }
    struct reason why;
    reason_set(&why, 0, "%.*s", (int)item.head.error.text.length,
               item.head.kind == REPLY_ERROR ? (const char *)item.head.error.text.data : "");
    change_end(change, ERR_INVALID, why.text);
}

void changes_run(struct groups *groups)
{
    LIST_FOR_EACH(&groups->changes, link)
    {
        struct change *change = container_of(link, struct change, link);
        if (change->is_ready && change->session) {
            take_start(change);
            service_wake(groups->cluster->service); // the list may be another one now
            return;
        }
    }
}

static int find_start(struct change *change, const struct request_subscribe *start)
{
    struct service *service = change->groups->cluster->service;
    struct request request = {.kind = REQUEST_SUBSCRIBE, .id = START_ID};
    const struct subscription_definition *definition = &change->definition;
    request.subscribe.start = start->start;
    request.subscribe.start_id = start->start_id;
    request.subscribe.start_cursor = start->start_cursor;
    request.subscribe.start_time_ms = start->start_time_ms;
    request.subscribe.start_last = start->start_last;
    request.subscribe.credit_bytes = 1;
    request.subscribe.is_stable_order = definition->is_stable_order;
    request.subscribe.entries_count = definition->entries_count;
    memcpy(request.subscribe.entries, definition->entries,
           definition->entries_count * sizeof definition->entries[0]);
    int err = session_open(service, change, &change->session);
    if (err == 0) {
        change->session->on_ready = start_ready;
        err = session_submit(change->session, &request, service->now);
    }
    return err == 0 ? 0 : ERR_MEMORY;
}

// --- Asking ------------------------------------------------------------------------------------

// Copies a definition by way of its encoding.
static int copy_definition(struct change *change, const struct subscription_definition *definition)
{
    int err = subscription_definition_encode(definition, &change->definition_text);
    struct bytes rest = buffer_bytes(&change->definition_text);
    return err ? err : subscription_definition_decode(&rest, &change->definition);
}

static int change_new(struct groups *groups, enum subscription_event_kind kind, struct bytes name,
                      const struct subscription_definition *definition, groups_done *done,
                      void *context, struct change **change_out)
{
    struct change *change = calloc(1, sizeof *change);
    if (!change) {
        return ERR_MEMORY;
    }
    list_init(&change->link);
    change->groups = groups;
    change->kind = kind;
    change->name_length = (uint32_t)name.length;
    memcpy(change->name, name.data, name.length);
    if (definition && copy_definition(change, definition)) {
        change_free(change);
        return ERR_MEMORY;
    }
    list_append(&groups->changes, &change->link);
    change->done = done;
    change->context = context;
    *change_out = change;
    return 0;
}

static bool is_there(struct groups *groups, struct bytes name, struct durable **durable_out)
{
    *durable_out = durable_find(groups, name);
    return *durable_out && !event_id_is_none(subscription_fold_generation((*durable_out)->fold));
}

static const char TOO_MANY[] =
    "the cluster has as many names of subscriptions as it may have, deleted ones included: use one "
    "of them again";
static void say_not_there(struct bytes name, groups_done *done, void *context)
{
    struct reason reason;
    reason_set(&reason, ERR_NOT_FOUND, "there is no subscription %.*s", (int)name.length,
               (const char *)name.data);
    done(context, ERR_NOT_FOUND, reason.text);
}

int groups_create(struct groups *groups, struct bytes name,
                  const struct subscription_definition *definition,
                  const struct request_subscribe *start, groups_done *done, void *context)
{
    struct durable *durable;
    struct change *change;
    if (is_there(groups, name, &durable)) {
        done(context, 0, "it exists already: start and options are those of its creation");
        return 0;
    }
    if (!durable && groups->durables_count >= SUBSCRIPTIONS_MAX) {
        done(context, ERR_LIMIT, TOO_MANY);
        return 0;
    }
    int err = change_new(groups, SUBSCRIPTION_CREATED, name, definition, done, context, &change);
    if (err == 0 && find_start(change, start)) {
        change_end(change, ERR_MEMORY, err_text(ERR_MEMORY));
    }
    return err;
}

int groups_reset(struct groups *groups, struct bytes name, const struct request_subscribe *start,
                 groups_done *done, void *context)
{
    struct durable *durable;
    struct change *change;
    if (!is_there(groups, name, &durable)) {
        say_not_there(name, done, context);
        return 0;
    }
    struct subscription_definition definition;
    subscription_fold_definition(durable->fold, &definition);
    int err = change_new(groups, SUBSCRIPTION_RESET, name, &definition, done, context, &change);
    if (err == 0 && find_start(change, start)) {
        change_end(change, ERR_MEMORY, err_text(ERR_MEMORY));
    }
    return err;
}

int groups_delete(struct groups *groups, struct bytes name, groups_done *done, void *context)
{
    struct durable *durable;
    struct change *change;
    if (!is_there(groups, name, &durable)) {
        say_not_there(name, done, context);
        return 0;
    }
    int err = change_new(groups, SUBSCRIPTION_DELETED, name, NULL, done, context, &change);
    if (err == 0) {
        change_write(change, bytes_of(NULL, 0));
    }
    return err;
}
