// All texts lie in one piece of memory that is made long enough first, so that views of it stay.

#include "client/definition.h"

#include "client/size.h"
#include "client/standing.h"
#include "proto/base/limits.h"

void definition_deinit(struct definition *definition)
{
    buffer_deinit(&definition->texts);
    *definition = (struct definition){0};
}

// Appends what has been made room for.
static struct bytes keep(struct buffer *texts, struct bytes bytes)
{
    size_t at = texts->length;
    int err = buffer_append(texts, bytes);
    (void)err; // there is room
    return bytes_of(texts->data + at, texts->length - at);
}

static int check_numbers(const struct weir_definition *from, struct reason *reason)
{
    if (from->patterns_count > PATTERNS_MAX || from->names_count > PATTERNS_MAX ||
        from->patterns_count + from->names_count > PATTERNS_MAX) {
        return reason_set(reason, ERR_LIMIT, "more than %d patterns and names", PATTERNS_MAX);
    }
    if (from->attributes_count > ATTRIBUTE_MATCHES_MAX) {
        return reason_set(reason, ERR_LIMIT, "more than %d attributes", ATTRIBUTE_MATCHES_MAX);
    }
    for (size_t i = 0; i < from->attributes_count; i++) {
        const struct weir_attribute *each = &from->attributes[i];
        if (each->key.length > ATTRIBUTE_NAME_BYTES_MAX ||
            each->value.length > ATTRIBUTES_BYTES_MAX) {
            return reason_set(reason, ERR_LIMIT, "attribute %zu is too long", i);
        }
    }
    if (from->start >= WEIR_START_LAST || from->order > WEIR_ORDER_STABLE ||
        from->key > WEIR_KEY_ATTRIBUTE) {
        return reason_set(reason, ERR_UNSUPPORTED,
                          "a start, order or key that durable subscriptions lack in libweir %s",
                          WEIR_VERSION);
    }
    if (from->concurrency > GROUP_CONSUMERS_MAX) {
        return reason_set(reason, ERR_LIMIT, "a concurrency of more than %d", GROUP_CONSUMERS_MAX);
    }
    if (from->start == WEIR_START_CURSOR && !from->start_cursor) {
        return reason_set(reason, ERR_INVALID, "a start at a cursor needs the cursor");
    }
    bool is_at_id = from->start == WEIR_START_AFTER_ID || from->start == WEIR_START_AT_ID;
    if (is_at_id && (from->start_id.actor == 0 || from->start_id.counter == 0 ||
                     from->start_id.counter > COUNTER_MAX)) {
        return reason_set(reason, ERR_INVALID, "a start at an id needs the id");
    }
    return 0;
}

static size_t texts_length(const struct weir_definition *from)
{
    size_t length = from->key_attribute ? strlen(from->key_attribute) : 0;
    for (size_t i = 0; i < from->patterns_count; i++) {
        length += strlen(from->patterns[i]);
    }
    for (size_t i = 0; i < from->names_count; i++) {
        length += strlen(from->names[i]);
    }
    for (size_t i = 0; i < from->attributes_count; i++) {
        length += from->attributes[i].key.length + from->attributes[i].value.length;
    }
    return length;
}

static int keep_entries(struct definition *out, const char *const *texts, size_t count,
                        bool is_exact, struct reason *reason)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes text = bytes_of_text(texts[i]);
        int err = standing_check_entry(text, is_exact, reason);
        if (err != 0) {
            return err;
        }
        out->wanted.entries[out->wanted.entries_count++] =
            (struct filter_entry){.text = keep(&out->texts, text), .is_exact = is_exact};
    }
    return 0;
}

static void keep_attributes(struct definition *out, const struct weir_definition *from)
{
    for (size_t i = 0; i < from->attributes_count; i++) {
        const struct weir_attribute *each = &from->attributes[i];
        out->wanted.attributes[out->wanted.attributes_count++] = (struct attribute_match){
            .name = keep(&out->texts, bytes_of(each->key.data, each->key.length)),
            .value = keep(&out->texts, bytes_of(each->value.data, each->value.length)),
        };
    }
}

static void take_numbers(struct subscription_definition *wanted, const struct weir_definition *from)
{
    wanted->timestamp_min_ms = from->time_min_ms;
    wanted->is_stable_order = from->order == WEIR_ORDER_STABLE;
    wanted->is_transient = from->is_transient;
    wanted->key = (enum group_key_kind)from->key;
    wanted->key_components = from->key_components;
    wanted->concurrency = from->concurrency ? from->concurrency : wanted->concurrency;
    if (from->attempts != 0) {
        wanted->attempts = from->attempts == WEIR_ATTEMPTS_FOR_EVER ? 0 : from->attempts;
    }
    wanted->ack_wait_ms = from->ack_wait_ms ? from->ack_wait_ms : wanted->ack_wait_ms;
    wanted->checkpoint_every =
        from->checkpoint_every ? from->checkpoint_every : wanted->checkpoint_every;
    wanted->checkpoint_after_ms =
        from->checkpoint_after_ms ? from->checkpoint_after_ms : wanted->checkpoint_after_ms;
    wanted->queue = from->queue ? from->queue : wanted->queue;
}

static int fill(struct definition *out, const struct weir_definition *from, struct reason *reason)
{
    int err = check_numbers(from, reason);
    // A cursor has an unknown length, so it comes first.
    if (err == 0 && from->start == WEIR_START_CURSOR) {
        err = standing_encode_cursor(from->start_cursor, &out->texts, reason);
    }
    size_t cursor_length = out->texts.length;
    err = err ? err : buffer_reserve(&out->texts, texts_length(from) + 1);
    if (err != 0) {
        return err;
    }
    out->start = (struct request_start){
        .kind = (enum start_kind)from->start,
        .id = {.counter = from->start_id.counter, .actor = from->start_id.actor},
        .cursor = bytes_of(out->texts.data, cursor_length),
        .time_ms = from->start_time_ms,
    };
    err = keep_entries(out, from->patterns, from->patterns_count, false, reason);
    err = err ? err : keep_entries(out, from->names, from->names_count, true, reason);
    keep_attributes(out, from);
    take_numbers(&out->wanted, from);
    if (from->key_attribute) {
        out->wanted.key_attribute = keep(&out->texts, bytes_of_text(from->key_attribute));
    }
    return err ? err : subscription_definition_check(&out->wanted, reason);
}

int definition_read(const struct weir_definition *from, struct definition *out,
                    struct reason *reason)
{
    struct weir_definition read = {0};
    int err = from ? size_read(from, sizeof read, &read, sizeof read, reason) : 0;
    if (err != 0) {
        return err;
    }
    subscription_definition_init(&out->wanted);
    err = fill(out, &read, reason);
    if (err != 0) {
        definition_deinit(out);
    }
    return err;
}

// --- For programs ------------------------------------------------------------------------------

// A copy with a NUL, in memory that has room for it.
static const char *keep_text(struct buffer *memory, struct bytes text)
{
    struct bytes kept = keep(memory, text);
    (void)keep(memory, bytes_of("", 1));
    return (const char *)kept.data;
}

// What comes before the texts: the attributes, then the pointers to patterns and names.
static size_t arrays_length(const struct subscription_definition *from)
{
    return from->attributes_count * sizeof(struct weir_attribute) +
           from->entries_count * sizeof(char *);
}

static size_t written_length(const struct subscription_definition *from)
{
    size_t length = arrays_length(from) + from->key_attribute.length + 1;
    for (uint32_t i = 0; i < from->entries_count; i++) {
        length += from->entries[i].text.length + 1;
    }
    return length;
}

static void write_entries(const struct subscription_definition *from, struct buffer *memory,
                          const char **pointers, struct weir_definition *out)
{
    size_t count = 0;
    for (int is_exact = 0; is_exact <= 1; is_exact++) {
        for (uint32_t i = 0; i < from->entries_count; i++) {
            if (from->entries[i].is_exact == is_exact) {
                pointers[count++] = keep_text(memory, from->entries[i].text);
            }
        }
        if (!is_exact) {
            out->patterns_count = count;
        }
    }
    out->patterns = pointers;
    out->names = pointers + out->patterns_count;
    out->names_count = count - out->patterns_count;
}

int definition_write(const struct subscription_definition *from, struct buffer *memory,
                     struct weir_definition *out)
{
    buffer_clear(memory);
    int err = buffer_reserve(memory, written_length(from));
    if (err != 0) {
        return err;
    }
    struct weir_attribute *attributes = (void *)memory->data;
    const char **pointers = (void *)(attributes + from->attributes_count);
    memory->length = arrays_length(from);
    *out = (struct weir_definition){
        .size = sizeof *out,
        .attributes = attributes,
        .attributes_count = from->attributes_count,
        .time_min_ms = from->timestamp_min_ms,
        .order = from->is_stable_order ? WEIR_ORDER_STABLE : WEIR_ORDER_ARRIVAL,
        .is_transient = from->is_transient,
        .key = (enum weir_key)from->key,
        .key_components = from->key_components,
        .concurrency = from->concurrency,
        .attempts = from->attempts ? from->attempts : WEIR_ATTEMPTS_FOR_EVER,
        .ack_wait_ms = from->ack_wait_ms,
        .checkpoint_every = from->checkpoint_every,
        .checkpoint_after_ms = from->checkpoint_after_ms,
        .queue = from->queue,
    };
    for (uint32_t i = 0; i < from->attributes_count; i++) {
        const struct attribute_match *match = &from->attributes[i];
        attributes[i] = (struct weir_attribute){
            .key = {.data = match->name.data, .length = match->name.length},
            .value = {.data = match->value.data, .length = match->value.length},
            .is_text = weir_is_text((struct weir_bytes){match->value.data, match->value.length}),
        };
    }
    write_entries(from, memory, pointers, out);
    if (from->key == GROUP_KEY_ATTRIBUTE) {
        out->key_attribute = keep_text(memory, from->key_attribute);
    }
    return 0;
}
