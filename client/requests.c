// A question waits for a connection, then for its answer, then for the program; one list each, so
// that every step takes the oldest. When a connection is lost, what only reads waits again, in
// front of what was asked later.

#include "client/requests.h"

#include <stdlib.h>

#include "client/result.h"
#include "client/size.h"
#include "client/standing.h"
#include "proto/base/limits.h"
#include "proto/wire/message.h"

struct kept {
    struct kept *next;
    uint8_t data[];
};

void requests_init(struct requests *requests)
{
    list_init(&requests->waiting);
    list_init(&requests->sent);
    list_init(&requests->answered);
}

static void free_all(struct list_node *list)
{
    LIST_FOR_EACH(list, node)
    {
        asked_free(container_of(node, struct asked, node));
    }
}

void requests_deinit(struct requests *requests)
{
    free_all(&requests->waiting);
    free_all(&requests->sent);
    free_all(&requests->answered);
    asked_free(requests->told);
    asked_free(requests->waited);
}

static enum weir_result_kind result_kind(enum request_kind kind)
{
    switch (kind) {
    case REQUEST_GET:
    case REQUEST_LAST:
    case REQUEST_NEIGHBOR:
        return WEIR_RESULT_EVENTS;
    case REQUEST_NAMESPACES:
        return WEIR_RESULT_NAMESPACES;
    case REQUEST_STATUS:
        return WEIR_RESULT_STATUS;
    case REQUEST_CLUSTER:
        return WEIR_RESULT_CLUSTER;
    case REQUEST_SUBSCRIPTIONS:
        return WEIR_RESULT_SUBSCRIPTIONS;
    case REQUEST_PING:
    case REQUEST_HELLO:
    case REQUEST_PRODUCE:
    case REQUEST_SUBSCRIBE:
    case REQUEST_CREDIT:
    case REQUEST_STOP:
    case REQUEST_ATTACH:
    case REQUEST_ACK:
    case REQUEST_NACK:
        break;
    }
    return WEIR_RESULT_PONG;
}

int asked_keep(struct asked *asked, struct bytes text, struct bytes *kept_out)
{
    struct kept *kept = malloc(sizeof *kept + text.length + 1);
    if (!kept) {
        return ERR_MEMORY;
    }
    if (text.length > 0) {
        memcpy(kept->data, text.data, text.length);
    }
    kept->next = asked->kept;
    asked->kept = kept;
    *kept_out = bytes_of(kept->data, text.length);
    return 0;
}

static int keep_entries(struct asked *asked, const char *const *texts, size_t count, bool is_exact,
                        struct filter_entry *entries, uint32_t *entries_count,
                        struct reason *reason)
{
    for (size_t i = 0; i < count; i++) {
        struct filter_entry entry = {.text = bytes_of_text(texts[i]), .is_exact = is_exact};
        int err = standing_check_entry(entry.text, is_exact, reason);
        err = err ? err : asked_keep(asked, entry.text, &entry.text);
        if (err != 0) {
            return err;
        }
        entries[(*entries_count)++] = entry;
    }
    return 0;
}

static int keep_filter(struct asked *asked, const struct weir_request_options *options,
                       struct reason *reason)
{
    struct request *request = &asked->request;
    bool is_last = request->kind == REQUEST_LAST;
    if (options->patterns_count == 0 && options->names_count == 0) {
        return 0;
    }
    if (!is_last && request->kind != REQUEST_NEIGHBOR) {
        return reason_set(reason, ERR_INVALID, "this request takes no patterns and names");
    }
    if (options->patterns_count > PATTERNS_MAX || options->names_count > PATTERNS_MAX ||
        options->patterns_count + options->names_count > PATTERNS_MAX) {
        return reason_set(reason, ERR_LIMIT, "more than %d patterns and names", PATTERNS_MAX);
    }
    struct filter_entry *entries = is_last ? request->last.entries : request->neighbor.entries;
    uint32_t *count = is_last ? &request->last.entries_count : &request->neighbor.entries_count;
    int err = keep_entries(asked, options->patterns, options->patterns_count, false, entries, count,
                           reason);
    return err ? err
               : keep_entries(asked, options->names, options->names_count, true, entries, count,
                              reason);
}

static struct request_after *after_of(struct request *request)
{
    switch (request->kind) {
    case REQUEST_GET:
        return &request->get.after;
    case REQUEST_LAST:
        return &request->last.after;
    case REQUEST_NEIGHBOR:
        return &request->neighbor.after;
    case REQUEST_NAMESPACES:
        return &request->namespaces.after;
    case REQUEST_SUBSCRIPTIONS:
        return &request->subscriptions.after;
    case REQUEST_HELLO:
    case REQUEST_PING:
    case REQUEST_PRODUCE:
    case REQUEST_SUBSCRIBE:
    case REQUEST_CREDIT:
    case REQUEST_STOP:
    case REQUEST_STATUS:
    case REQUEST_CLUSTER:
    case REQUEST_ATTACH:
    case REQUEST_ACK:
    case REQUEST_NACK:
        break;
    }
    return NULL;
}

static int keep_after(struct asked *asked, const struct weir_request_options *options,
                      struct reason *reason)
{
    struct request_after *after = after_of(&asked->request);
    if (!options->after) {
        return 0;
    }
    if (!after) {
        return reason_set(reason, ERR_INVALID, "this request does not wait for a cursor");
    }
    struct buffer encoded = {0};
    int err = standing_encode_cursor(options->after, &encoded, reason);
    err = err ? err : asked_keep(asked, buffer_bytes(&encoded), &after->cursor);
    after->timeout_ms = options->after_timeout_ms;
    buffer_deinit(&encoded);
    return err;
}

int asked_new(enum request_kind kind, const struct weir_request_options *options,
              struct asked **asked_out, struct reason *reason)
{
    struct weir_request_options read = {0};
    int err = options ? size_read(options, sizeof read, &read, sizeof read, reason) : 0;
    struct asked *asked = err == 0 ? calloc(1, sizeof *asked) : NULL;
    if (!asked) {
        return err ? err : ERR_MEMORY;
    }
    list_init(&asked->node);
    asked->request.kind = kind;
    asked->result.kind = result_kind(kind);
    asked->result.context = read.context;
    err = keep_after(asked, &read, reason);
    err = err ? err : keep_filter(asked, &read, reason);
    if (err != 0) {
        asked_free(asked);
        return err;
    }
    *asked_out = asked;
    return 0;
}

void asked_free(struct asked *asked)
{
    if (!asked) {
        return;
    }
    while (asked->kept) {
        struct kept *next = asked->kept->next;
        free(asked->kept);
        asked->kept = next;
    }
    list_remove(&asked->node);
    buffer_deinit(&asked->message);
    buffer_deinit(&asked->scratch);
    buffer_deinit(&asked->cursor_text);
    buffer_deinit(&asked->wanted_memory);
    buffer_deinit(&asked->position_text);
    definition_deinit(&asked->definition);
    free(asked);
}

int requests_add(struct requests *requests, struct asked *asked, uint64_t *ticket_out,
                 struct reason *reason)
{
    if (requests->count >= ASKED_MAX) {
        asked_free(asked);
        return reason_set(reason, ERR_BUSY, "%d requests have no result, or it was not taken",
                          ASKED_MAX);
    }
    asked->result.ticket = ++requests->ticket_last;
    list_append(&requests->waiting, &asked->node);
    requests->count++;
    *ticket_out = asked->result.ticket;
    return 0;
}

static struct asked *first_of(struct list_node *list)
{
    struct list_node *node = list_first(list);
    return node ? container_of(node, struct asked, node) : NULL;
}

struct asked *requests_waiting(struct requests *requests)
{
    return first_of(&requests->waiting);
}

void requests_sent(struct requests *requests, struct asked *asked, uint64_t stream_end)
{
    list_remove(&asked->node);
    list_append(&requests->sent, &asked->node);
    asked->stream_end = stream_end;
    requests->sent_once += asked->is_once;
}

static void unsend(struct requests *requests, struct asked *asked)
{
    list_remove(&asked->node);
    requests->sent_once -= asked->is_once;
}

static void wait_again(struct requests *requests, struct asked *asked)
{
    struct list_node *later = requests->waiting.next;
    while (later != &requests->waiting &&
           container_of(later, struct asked, node)->result.ticket < asked->result.ticket) {
        later = later->next;
    }
    list_insert_before(later, &asked->node);
}

static void fail(struct requests *requests, struct asked *asked, int err, struct bytes text)
{
    list_remove(&asked->node);
    list_append(&requests->answered, &asked->node);
    reason_set(&asked->reason, err, "%.*s", (int)text.length, (const char *)text.data);
    asked->result.err = err;
    asked->result.text = asked->reason.text[0] ? asked->reason.text : err_text(err);
}

void requests_answered(struct requests *requests, struct asked *asked, const struct notice *notice)
{
    const struct reply *reply = &notice->reply;
    unsend(requests, asked);
    if (reply->kind == REPLY_ERROR) {
        int err = refusal_err(reply->error.code);
        if (err == ERR_CLOSED && !asked->is_once) {
            wait_again(requests, asked);
        } else {
            fail(requests, asked, err, reply->error.text);
        }
        return;
    }
    struct reason ignored;
    int err = buffer_append(&asked->message, notice->message);
    err = err ? err : reply_decode(buffer_bytes(&asked->message), &asked->reply, &ignored);
    if (err != 0) {
        fail(requests, asked, err, bytes_of_text(err_text(err)));
        return;
    }
    list_append(&requests->answered, &asked->node);
    result_fill(asked);
}

static void fail_undone(struct requests *requests, struct asked *asked)
{
    fail(requests, asked, ERR_CLOSED,
         bytes_of_text("the connection was lost before this was asked: nothing was done"));
}

void requests_lost(struct requests *requests, uint64_t stream_sent)
{
    LIST_FOR_EACH(&requests->waiting, node)
    {
        struct asked *asked = container_of(node, struct asked, node);
        if (asked->is_here) {
            fail_undone(requests, asked);
        }
    }
    LIST_FOR_EACH(&requests->sent, node)
    {
        struct asked *asked = container_of(node, struct asked, node);
        unsend(requests, asked);
        if (!asked->is_once) {
            wait_again(requests, asked);
        } else if (asked->stream_end > stream_sent) {
            fail_undone(requests, asked);
        } else {
            fail(requests, asked, ERR_UNKNOWN,
                 bytes_of_text("the connection was lost before the answer: it may be done or not"));
        }
    }
}

struct asked *requests_take(struct requests *requests)
{
    struct asked *asked = first_of(&requests->answered);
    if (asked) {
        list_remove(&asked->node);
        requests->count--;
    }
    return asked;
}

static struct asked *find(const struct list_node *list, uint64_t ticket)
{
    LIST_FOR_EACH(list, node)
    {
        struct asked *asked = container_of(node, struct asked, node);
        if (asked->result.ticket == ticket) {
            return asked;
        }
    }
    return NULL;
}

struct asked *requests_take_ticket(struct requests *requests, uint64_t ticket)
{
    struct asked *asked = find(&requests->answered, ticket);
    if (asked) {
        list_remove(&asked->node);
        requests->count--;
    }
    return asked;
}

bool requests_awaits(const struct requests *requests, uint64_t ticket)
{
    return find(&requests->waiting, ticket) || find(&requests->sent, ticket);
}
