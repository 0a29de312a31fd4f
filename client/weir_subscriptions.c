// Durable subscriptions as things that are listed and changed.

#include "client/weir_state.h"

// A question about them, with what it needs of `name` and `definition` (both may be NULL).
static int ask(struct weir *weir, enum subscriptions_request_kind which, const char *name,
               struct bytes after_name, const struct weir_definition *definition,
               const struct weir_request_options *options, uint64_t *ticket_out)
{
    struct reason reason = {0};
    struct asked *asked = NULL;
    if (weir->err != 0) {
        return weir->err;
    }
    bool is_named = which != SUBSCRIPTIONS_LIST;
    int err = 0;
    if (is_named && (!name || !subscription_name_is_valid(bytes_of_text(name), &reason))) {
        err = name ? ERR_INVALID
                   : reason_set(&reason, ERR_INVALID, "the durable subscription needs a name");
    }
    err = err ? err : asked_new(REQUEST_SUBSCRIPTIONS, options, &asked, &reason);
    if (err == 0) {
        struct request_subscriptions *request = &asked->request.subscriptions;
        request->which = which;
        asked->is_once = which != SUBSCRIPTIONS_LIST && which != SUBSCRIPTIONS_SHOW;
        err = definition_read(definition, &asked->definition, &reason);
        request->start = asked->definition.start;
        request->definition = asked->definition.wanted;
        err = err ? err : asked_keep(asked, bytes_of_text(is_named ? name : ""), &request->name);
        err = err ? err : asked_keep(asked, after_name, &request->after_name);
    }
    uint64_t ticket;
    if (err == 0) {
        err = requests_add(&weir->requests, asked, &ticket, &reason);
    } else {
        asked_free(asked);
    }
    if (err == 0 && ticket_out) {
        *ticket_out = ticket;
    }
    return weir_refused(weir, err, &reason);
}

int weir_subscriptions_list(struct weir *weir, struct weir_bytes after_name,
                            const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask(weir, SUBSCRIPTIONS_LIST, NULL, bytes_of(after_name.data, after_name.length), NULL,
               options, ticket_out);
}

int weir_subscriptions_show(struct weir *weir, const char *name,
                            const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask(weir, SUBSCRIPTIONS_SHOW, name, (struct bytes){0}, NULL, options, ticket_out);
}

int weir_subscriptions_create(struct weir *weir, const char *name,
                              const struct weir_definition *definition,
                              const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask(weir, SUBSCRIPTIONS_CREATE, name, (struct bytes){0}, definition, options,
               ticket_out);
}

int weir_subscriptions_reset(struct weir *weir, const char *name,
                             const struct weir_definition *start,
                             const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask(weir, SUBSCRIPTIONS_RESET, name, (struct bytes){0}, start, options, ticket_out);
}

int weir_subscriptions_delete(struct weir *weir, const char *name,
                              const struct weir_request_options *options, uint64_t *ticket_out)
{
    return ask(weir, SUBSCRIPTIONS_DELETE, name, (struct bytes){0}, NULL, options, ticket_out);
}
