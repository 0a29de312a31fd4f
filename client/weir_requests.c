// What a program asks the nodes.

#include "client/size.h"
#include "client/weir_state.h"
#include "proto/base/limits.h"

// Adds the question, unless `err` says that it is none.
static int ask(struct weir *weir, int err, struct asked *asked, uint64_t *ticket_out,
               struct reason *reason)
{
    uint64_t ticket;
    if (err != 0) {
        asked_free(asked);
    } else {
        err = requests_add(&weir->requests, asked, &ticket, reason);
    }
    if (err == 0 && ticket_out) {
        *ticket_out = ticket;
    }
    return weir_refused(weir, err, reason);
}

static bool is_id(struct weir_id id)
{
    return id.actor != 0 && id.counter != 0 && id.counter <= COUNTER_MAX;
}

static int ask_plain(struct weir *weir, enum request_kind kind,
                     const struct weir_request_options *options, uint64_t *ticket_out)
{
    struct reason reason = {0};
    struct asked *asked = NULL;
    if (weir->err != 0) {
        return weir->err;
    }
    int err = asked_new(kind, options, &asked, &reason);
    return ask(weir, err, asked, ticket_out, &reason);
}

int weir_ping(struct weir *weir, const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask_plain(weir, REQUEST_PING, options, ticket_out);
}

int weir_status(struct weir *weir, const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask_plain(weir, REQUEST_STATUS, options, ticket_out);
}

int weir_get(struct weir *weir, struct weir_id id, const struct weir_request_options *options,
             uint64_t *ticket_out)
{
    struct reason reason = {0};
    struct asked *asked = NULL;
    if (weir->err != 0) {
        return weir->err;
    }
    int err = is_id(id) ? asked_new(REQUEST_GET, options, &asked, &reason)
                        : reason_set(&reason, ERR_INVALID, "the id is none");
    if (err == 0) {
        asked->request.get.event = (struct event_id){.counter = id.counter, .actor = id.actor};
    }
    return ask(weir, err, asked, ticket_out, &reason);
}

int weir_last(struct weir *weir, uint32_t events_max, const struct weir_request_options *options,
              uint64_t *ticket_out)
{
    struct reason reason = {0};
    struct asked *asked = NULL;
    if (weir->err != 0) {
        return weir->err;
    }
    int err = events_max >= 1 && events_max <= LAST_EVENTS_MAX
                  ? asked_new(REQUEST_LAST, options, &asked, &reason)
                  : reason_set(&reason, ERR_LIMIT, "the last %u events; 1 to %d can be asked for",
                               events_max, LAST_EVENTS_MAX);
    if (err == 0) {
        asked->request.last.events_max = events_max;
    }
    return ask(weir, err, asked, ticket_out, &reason);
}

int weir_neighbor(struct weir *weir, enum weir_neighbor which, struct weir_id id,
                  const struct weir_request_options *options, uint64_t *ticket_out)
{
    struct reason reason = {0};
    struct asked *asked = NULL;
    int err = 0;
    if (weir->err != 0) {
        return weir->err;
    }
    if (which > WEIR_NEIGHBOR_PREVIOUS) {
        err = reason_set(&reason, ERR_UNSUPPORTED, "a neighbour that libweir %s does not know",
                         WEIR_VERSION);
    } else if (which != WEIR_NEIGHBOR_FIRST && !is_id(id)) {
        err = reason_set(&reason, ERR_INVALID, "the id is none");
    }
    err = err ? err : asked_new(REQUEST_NEIGHBOR, options, &asked, &reason);
    if (err == 0) {
        asked->request.neighbor.which = (enum neighbor_kind)which;
        asked->request.neighbor.event = (struct event_id){.counter = id.counter, .actor = id.actor};
    }
    return ask(weir, err, asked, ticket_out, &reason);
}

int weir_namespaces(struct weir *weir, const char *pattern, struct weir_bytes after_name,
                    uint32_t rows_max, const struct weir_request_options *options,
                    uint64_t *ticket_out)
{
    struct reason reason = {0};
    struct asked *asked = NULL;
    struct bytes text = bytes_of_text(pattern ? pattern : "");
    if (weir->err != 0) {
        return weir->err;
    }
    int err = pattern ? standing_check_entry(text, false, &reason) : 0;
    err = err ? err : asked_new(REQUEST_NAMESPACES, options, &asked, &reason);
    if (err == 0) {
        struct request_namespaces *namespaces = &asked->request.namespaces;
        namespaces->page_max = rows_max < NAMESPACES_PAGE_MAX ? rows_max : 0;
        err = asked_keep(asked, text, &namespaces->pattern);
        err = err ? err
                  : asked_keep(asked, bytes_of(after_name.data, after_name.length),
                               &namespaces->after_name);
    }
    return ask(weir, err, asked, ticket_out, &reason);
}

static int check_action(const struct weir *weir, const struct weir_cluster_action *action,
                        struct reason *reason)
{
    bool is_read = action->kind == WEIR_CLUSTER_STATUS || action->kind == WEIR_CLUSTER_VERIFY;
    bool has_actor = action->kind == WEIR_CLUSTER_RETIRE || action->kind == WEIR_CLUSTER_LOST ||
                     action->kind == WEIR_CLUSTER_FORGIVE;
    if (action->kind > WEIR_CLUSTER_FORGIVE) {
        return reason_set(reason, ERR_UNSUPPORTED, "an action that libweir %s does not know",
                          WEIR_VERSION);
    }
    if (has_actor && action->actor == 0) {
        return reason_set(reason, ERR_INVALID, "the actor is missing");
    }
    if (action->kind == WEIR_CLUSTER_LOST &&
        (action->first == 0 || action->last < action->first || action->last > COUNTER_MAX)) {
        return reason_set(reason, ERR_INVALID, "the range of lost events is none");
    }
    if (!is_read && !weir_is_serving(weir)) {
        return reason_set(reason, ERR_CLOSED,
                          "no node is connected, and an action is for the one "
                          "that is");
    }
    return 0;
}

int weir_cluster(struct weir *weir, const struct weir_cluster_action *action,
                 const struct weir_request_options *options, uint64_t *ticket_out)
{
    struct weir_cluster_action read;
    struct reason reason = {0};
    struct asked *asked = NULL;
    if (weir->err != 0) {
        return weir->err;
    }
    int err = size_read(action, sizeof read, &read, sizeof read, &reason);
    err = err ? err : check_action(weir, &read, &reason);
    err = err ? err : asked_new(REQUEST_CLUSTER, options, &asked, &reason);
    if (err == 0) {
        asked->is_once = read.kind > WEIR_CLUSTER_VERIFY;
        asked->is_here = asked->is_once;
        asked->request.cluster = (struct request_cluster){
            .which = (enum cluster_request_kind)read.kind,
            .actor = read.actor,
            .first = read.first,
            .last = read.last,
            .is_forced = read.is_forced,
        };
    }
    return ask(weir, err, asked, ticket_out, &reason);
}
