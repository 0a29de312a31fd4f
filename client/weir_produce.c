// What a program asks for: to produce, to subscribe, to stop.

#include "client/size.h"
#include "client/weir_state.h"
#include "proto/base/limits.h"

int weir_refused(struct weir *weir, int err, const struct reason *reason)
{
    if (err < 0) {
        reason_set(&weir->reason, err, "%s", reason->text[0] ? reason->text : err_text(err));
    }
    return err;
}

static int take_produce_options(struct weir *weir, const struct weir_produce_options *options,
                                struct produces_call *call, struct reason *reason)
{
    struct weir_produce_options read = {0};
    int err = options ? size_read(options, sizeof read, &read, sizeof read, reason) : 0;
    if (err != 0) {
        return err;
    }
    if (read.replicas > REPLICAS_MAX) {
        return reason_set(reason, ERR_LIMIT, "%u replicas; at most %d can be waited for",
                          read.replicas, REPLICAS_MAX);
    }
    buffer_clear(&weir->after);
    err = read.after ? standing_encode_cursor(read.after, &weir->after, reason) : 0;
    call->settings = (struct produce_settings){
        .after = buffer_bytes(&weir->after),
        .after_timeout_ms = read.after_timeout_ms,
        .replicas = read.replicas,
        .replicas_timeout_ms = read.replicas_timeout_ms,
    };
    call->on_produced = read.on_produced;
    call->context = read.context;
    return err;
}

static int produce(struct weir *weir, const struct weir_id *parent, const struct weir_draft *drafts,
                   size_t count, const struct weir_produce_options *options, uint64_t *ticket_out)
{
    struct produces_call call = {
        .drafts = drafts,
        .count = count,
        .parent = parent,
        .data_bytes_max = weir->data_bytes_max,
        .now = weir->now,
    };
    struct reason reason = {0};
    uint64_t ticket;
    if (weir->err != 0) {
        return weir->err;
    }
    int err = take_produce_options(weir, options, &call, &reason);
    err = err ? err : produces_add(&weir->produces, &call, &ticket, &reason);
    if (err == 0 && ticket_out) {
        *ticket_out = ticket;
    }
    return weir_refused(weir, err, &reason);
}

int weir_produce(struct weir *weir, const struct weir_draft *drafts, size_t count,
                 const struct weir_produce_options *options, uint64_t *ticket_out)
{
    return produce(weir, NULL, drafts, count, options, ticket_out);
}

int weir_respond(struct weir *weir, const struct weir_event *event, const struct weir_draft *drafts,
                 size_t count, const struct weir_produce_options *options, uint64_t *ticket_out)
{
    struct weir_id parent = event->id;
    return produce(weir, &parent, drafts, count, options, ticket_out);
}

void weir_flush(struct weir *weir)
{
    produces_flush(&weir->produces);
}

uint64_t weir_pending(const struct weir *weir)
{
    return weir->produces.pending_events;
}

static struct standing *find(const struct weir *weir, uint64_t number)
{
    LIST_FOR_EACH(&weir->standings, node)
    {
        struct standing *standing = container_of(node, struct standing, node);
        if (standing->number == number) {
            return standing;
        }
    }
    return weir->ended && weir->ended->number == number ? weir->ended : NULL;
}

int weir_may_stand(struct weir *weir)
{
    struct reason reason = {0};
    if (weir->err != 0) {
        return weir->err;
    }
    if (weir->standings_count < SESSION_SUBSCRIPTIONS_MAX) {
        return 0;
    }
    int err = reason_set(&reason, ERR_LIMIT, "more than %d subscriptions and attachments",
                         SESSION_SUBSCRIPTIONS_MAX);
    return weir_refused(weir, err, &reason);
}

int weir_stand(struct weir *weir, struct standing *standing, uint64_t *number_out)
{
    struct reason reason = {0};
    int err = weir_is_serving(weir) ? standing_begin(standing, weir->connection->core) : 0;
    if (err == ERR_MEMORY) {
        standing_free(standing);
        return weir_refused(weir, err, &reason);
    }
    // Any other error is that of a connection that is about to be lost.
    list_append(&weir->standings, &standing->node);
    weir->standings_count++;
    *number_out = ++weir->number_last;
    return 0;
}

int weir_subscribe(struct weir *weir, const struct weir_subscribe_options *options,
                   uint64_t *subscription_out)
{
    struct reason reason = {0};
    struct standing *standing;
    int err = weir_may_stand(weir);
    if (err != 0) {
        return err;
    }
    err = standing_new(options, weir->number_last + 1, &standing, &reason);
    if (err != 0) {
        return weir_refused(weir, err, &reason);
    }
    return weir_stand(weir, standing, subscription_out);
}

int weir_unsubscribe(struct weir *weir, uint64_t subscription)
{
    struct standing *standing = find(weir, subscription);
    if (!standing || standing->is_over || standing->is_stopping) {
        return 0;
    }
    int err = standing->core ? core_stop(standing->core, standing->core_id) : 0;
    if (err == ERR_MEMORY) {
        return err;
    }
    standing->is_stopping = true;
    if (!standing->core && standing_settle(standing)) {
        weir->ends_due++;
    }
    return 0;
}

int weir_cursor(struct weir *weir, uint64_t subscription, const char **cursor_out)
{
    struct standing *standing = find(weir, subscription);
    const struct version_vector *cursor = standing ? standing_cursor(standing) : NULL;
    if (!cursor) {
        return WEIR_NOTHING;
    }
    buffer_clear(&weir->cursor_text);
    int err = version_vector_format(cursor, &weir->cursor_text);
    err = err ? err : buffer_append(&weir->cursor_text, bytes_of("", 1));
    if (err == 0) {
        *cursor_out = (const char *)weir->cursor_text.data;
    }
    return err;
}
