// All texts of a subscription lie in one piece of memory that is filled once, so that the views of
// the request stay valid.

#include "client/standing.h"

#include <stdlib.h>

#include "client/size.h"
#include "proto/base/limits.h"
#include "proto/model/glob.h"

// Appends what has been made room for.
static struct bytes keep(struct buffer *texts, struct bytes bytes)
{
    size_t at = texts->length;
    int err = buffer_append(texts, bytes);
    (void)err; // there is room
    return bytes_of(texts->data + at, texts->length - at);
}

int standing_check_entry(struct bytes text, bool is_exact, struct reason *reason)
{
    struct glob *glob;
    int err = is_exact ? glob_of_name(text, &glob, reason) : glob_compile(text, &glob, reason);
    if (err == 0) {
        glob_free(glob);
    }
    return err;
}

static int keep_entries(struct standing *standing, const char *const *texts, size_t count,
                        bool is_exact, struct reason *reason)
{
    struct request_subscribe *request = &standing->request;
    for (size_t i = 0; i < count; i++) {
        struct bytes text = bytes_of_text(texts[i]);
        int err = standing_check_entry(text, is_exact, reason);
        if (err != 0) {
            return err;
        }
        request->entries[request->entries_count++] =
            (struct filter_entry){.text = keep(&standing->texts, text), .is_exact = is_exact};
    }
    return 0;
}

static int keep_attributes(struct standing *standing, const struct weir_subscribe_options *options,
                           struct reason *reason)
{
    struct request_subscribe *request = &standing->request;
    for (size_t i = 0; i < options->attributes_count; i++) {
        const struct weir_attribute *from = &options->attributes[i];
        struct attribute_match *match = &request->attributes[i];
        match->name = keep(&standing->texts, bytes_of(from->key.data, from->key.length));
        match->value = keep(&standing->texts, bytes_of(from->value.data, from->value.length));
    }
    request->attributes_count = (uint32_t)options->attributes_count;
    request->timestamp_min_ms = options->time_min_ms;
    return attribute_matches_check(request->attributes, request->attributes_count, reason);
}

int standing_encode_cursor(const char *text, struct buffer *out, struct reason *reason)
{
    struct version_vector vector = {0};
    int err = version_vector_parse(bytes_of_text(text), &vector, reason);
    if (err == 0) {
        err = version_vector_encode(&vector, out);
    }
    version_vector_deinit(&vector);
    return err;
}

// Cursors have an unknown length, so they come first, when nothing has been kept yet.
static int keep_cursors(struct standing *standing, const struct weir_subscribe_options *options,
                        size_t more, struct reason *reason)
{
    const char *texts[] = {
        options->after,
        options->start == WEIR_START_CURSOR ? options->start_cursor : NULL,
        options->stop == WEIR_STOP_CURSOR ? options->stop_cursor : NULL,
    };
    size_t ends[3];
    for (size_t i = 0; i < 3; i++) {
        int err = texts[i] ? standing_encode_cursor(texts[i], &standing->texts, reason) : 0;
        if (err != 0) {
            return err;
        }
        ends[i] = standing->texts.length;
    }
    int err = buffer_reserve(&standing->texts, more + 1);
    if (err != 0) {
        return err;
    }
    const uint8_t *data = standing->texts.data;
    standing->request.after.cursor = bytes_of(data, ends[0]);
    standing->request.start_cursor = bytes_of(data + ends[0], ends[1] - ends[0]);
    standing->request.end_cursor = bytes_of(data + ends[1], ends[2] - ends[1]);
    return 0;
}

static int check_numbers(const struct weir_subscribe_options *options, struct reason *reason)
{
    if (options->start > WEIR_START_LAST || options->stop > WEIR_STOP_CURSOR ||
        options->order > WEIR_ORDER_STABLE) {
        return reason_set(reason, ERR_UNSUPPORTED, "a start, stop or order that libweir %s lacks",
                          WEIR_VERSION);
    }
    if (options->patterns_count > PATTERNS_MAX || options->names_count > PATTERNS_MAX ||
        options->patterns_count + options->names_count > PATTERNS_MAX) {
        return reason_set(reason, ERR_LIMIT, "more than %d patterns and names", PATTERNS_MAX);
    }
    if (options->attributes_count > ATTRIBUTE_MATCHES_MAX) {
        return reason_set(reason, ERR_LIMIT, "more than %d attributes", ATTRIBUTE_MATCHES_MAX);
    }
    if ((options->start == WEIR_START_CURSOR && !options->start_cursor) ||
        (options->stop == WEIR_STOP_CURSOR && !options->stop_cursor)) {
        return reason_set(reason, ERR_INVALID, "a start or stop at a cursor needs the cursor");
    }
    bool is_at_id = options->start == WEIR_START_AFTER_ID || options->start == WEIR_START_AT_ID;
    if (is_at_id && (options->start_id.actor == 0 || options->start_id.counter == 0 ||
                     options->start_id.counter > COUNTER_MAX)) {
        return reason_set(reason, ERR_INVALID, "a start at an id needs the id");
    }
    if (options->start == WEIR_START_LAST &&
        (options->start_last == 0 || options->start_last > LAST_EVENTS_MAX)) {
        return reason_set(reason, ERR_LIMIT, "a start with the last %llu events; 1 to %d can be",
                          (unsigned long long)options->start_last, LAST_EVENTS_MAX);
    }
    if (options->credit_bytes > SUBSCRIPTION_CREDIT_BYTES_MAX) {
        return reason_set(reason, ERR_LIMIT, "credit of more than %llu bytes",
                          (unsigned long long)SUBSCRIPTION_CREDIT_BYTES_MAX);
    }
    return 0;
}

static size_t texts_length(const char *const *texts, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += strlen(texts[i]);
    }
    return length;
}

static size_t attributes_length(const struct weir_attribute *attributes, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += attributes[i].key.length + attributes[i].value.length;
    }
    return length;
}

static int fill(struct standing *standing, const struct weir_subscribe_options *options,
                struct reason *reason)
{
    int err = check_numbers(options, reason);
    if (err != 0) {
        return err;
    }
    size_t length = texts_length(options->patterns, options->patterns_count) +
                    texts_length(options->names, options->names_count) +
                    attributes_length(options->attributes, options->attributes_count);
    err = keep_cursors(standing, options, length, reason);
    err = err ? err
              : keep_entries(standing, options->patterns, options->patterns_count, false, reason);
    err = err ? err : keep_entries(standing, options->names, options->names_count, true, reason);
    err = err ? err : keep_attributes(standing, options, reason);
    struct request_subscribe *request = &standing->request;
    request->after.timeout_ms = options->after_timeout_ms;
    request->start = (enum start_kind)options->start;
    request->start_id =
        (struct event_id){.counter = options->start_id.counter, .actor = options->start_id.actor};
    request->start_time_ms = options->start_time_ms;
    request->start_last = options->start_last;
    request->end = (enum end_kind)options->stop;
    request->credit_bytes = options->credit_bytes;
    request->heartbeat_ms = options->heartbeat_ms;
    request->is_stable_order = options->order == WEIR_ORDER_STABLE;
    request->wants_marks = options->has_marks;
    standing->limit = options->limit;
    standing->context = options->context;
    return err;
}

int standing_new(const struct weir_subscribe_options *options, uint64_t number,
                 struct standing **standing_out, struct reason *reason)
{
    struct weir_subscribe_options read = {0};
    int err = options ? size_read(options, sizeof read, &read, sizeof read, reason) : 0;
    if (err != 0) {
        return err;
    }
    struct standing *standing = calloc(1, sizeof *standing);
    if (!standing) {
        return ERR_MEMORY;
    }
    list_init(&standing->node);
    standing->number = number;
    err = fill(standing, &read, reason);
    if (err != 0) {
        standing_free(standing);
        return err;
    }
    *standing_out = standing;
    return 0;
}

int standing_new_attached(const struct weir_attach_options *options, uint64_t number,
                          struct standing **standing_out, struct reason *reason)
{
    struct standing *standing = calloc(1, sizeof *standing);
    if (!standing) {
        return ERR_MEMORY;
    }
    list_init(&standing->node);
    standing->number = number;
    int err = attachment_new(options, standing, &standing->attachment, reason);
    if (err != 0) {
        standing_free(standing);
        return err;
    }
    standing->context = options->context;
    *standing_out = standing;
    return 0;
}

void standing_free(struct standing *standing)
{
    if (standing) {
        list_remove(&standing->node);
        attachment_free(standing->attachment);
        version_vector_deinit(&standing->cursor);
        buffer_deinit(&standing->texts);
        buffer_deinit(&standing->encoded);
        free(standing);
    }
}

int standing_begin(struct standing *standing, struct core *core)
{
    if (standing->attachment) {
        int err =
            attachment_begin(standing->attachment, core, standing->number, &standing->core_id);
        standing->core = err == 0 ? core : NULL;
        return err;
    }
    struct request request = {.kind = REQUEST_SUBSCRIBE, .subscribe = standing->request};
    if (standing->has_cursor) {
        buffer_clear(&standing->encoded);
        int err = version_vector_encode(&standing->cursor, &standing->encoded);
        if (err != 0) {
            return err;
        }
        request.subscribe.after = (struct request_after){0};
        request.subscribe.start = START_AT_CURSOR;
        request.subscribe.start_cursor = buffer_bytes(&standing->encoded);
    }
    if (standing->limit > 0) {
        request.subscribe.limit = standing->limit - standing->delivered;
    }
    int err = core_subscribe(core, &request, standing->number);
    if (err == 0) {
        standing->core = core;
        standing->core_id = request.id;
    }
    return err;
}

const struct version_vector *standing_cursor(struct standing *standing)
{
    if (!standing->core) {
        return standing->has_cursor ? &standing->cursor : NULL;
    }
    return core_cursor(standing->core, standing->core_id);
}

int standing_leave(struct standing *standing)
{
    const struct version_vector *cursor = standing->core ? standing_cursor(standing) : NULL;
    if (cursor) {
        int err = version_vector_copy(&standing->cursor, cursor);
        if (err != 0) {
            return err;
        }
        standing->has_cursor = true;
    }
    standing->core = NULL;
    return 0;
}

bool standing_settle(struct standing *standing)
{
    if (!standing->is_over && standing->is_stopping) {
        standing_end(standing, WEIR_END_STOPPED, 0, (struct bytes){0});
    } else if (!standing->is_over && standing->limit > 0 &&
               standing->delivered >= standing->limit) {
        standing_end(standing, WEIR_END_REACHED, 0, (struct bytes){0});
    }
    return standing->is_over;
}

void standing_end(struct standing *standing, enum weir_end_reason reason, int err,
                  struct bytes text)
{
    standing->is_over = true;
    if (standing->attachment) {
        attachment_give_up(standing->attachment);
    }
    standing->end = (struct weir_end){.reason = reason, .err = err};
    standing->end.delivered = standing->delivered;
    if (err != 0) {
        reason_set(&standing->reason, err, "%.*s", (int)text.length, (const char *)text.data);
        standing->end.text = standing->reason.text[0] ? standing->reason.text : err_text(err);
    }
}
