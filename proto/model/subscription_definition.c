// Every node must make the same of a definition, so what is not understood in full is refused.

#include "proto/model/subscription_definition.h"

#include <assert.h>

enum {
    FIXED_LENGTH = 44, // what stands before the texts
    ENTRY_HEAD_LENGTH = 3,
    MATCH_HEAD_LENGTH = 5,
    FLAG_STABLE_ORDER = 1 << 0,
    FLAG_TRANSIENT = 1 << 1,
    FLAGS_KNOWN = FLAG_STABLE_ORDER | FLAG_TRANSIENT,
    DEFAULT_ATTEMPTS = 10,
    DEFAULT_ACK_WAIT_MS = 30000,
    DEFAULT_CHECKPOINT_EVERY = 1000,
    DEFAULT_CHECKPOINT_AFTER_MS = 1000,
    DEFAULT_QUEUE = 1000,
};

static_assert(PATTERN_BYTES_MAX <= UINT16_MAX && NAMESPACE_BYTES_MAX <= PATTERN_BYTES_MAX,
              "a pattern's or name's length fits into two bytes");
static_assert(ATTRIBUTE_NAME_BYTES_MAX <= UINT8_MAX, "a key's length fits into a byte");

void subscription_definition_init(struct subscription_definition *definition)
{
    *definition = (struct subscription_definition){
        .concurrency = GROUP_CONSUMERS_MAX,
        .attempts = DEFAULT_ATTEMPTS,
        .ack_wait_ms = DEFAULT_ACK_WAIT_MS,
        .checkpoint_every = DEFAULT_CHECKPOINT_EVERY,
        .checkpoint_after_ms = DEFAULT_CHECKPOINT_AFTER_MS,
        .queue = DEFAULT_QUEUE,
    };
}

static int check_filters(const struct subscription_definition *definition, struct reason *reason)
{
    if (definition->entries_count > PATTERNS_MAX) {
        return reason_set(reason, ERR_INVALID, "a subscription has at most %d patterns",
                          PATTERNS_MAX);
    }
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        size_t length = definition->entries[i].text.length;
        if (length == 0 || length > PATTERN_BYTES_MAX) {
            return reason_set(reason, ERR_INVALID, "a pattern has 1 to %d bytes, not %zu",
                              PATTERN_BYTES_MAX, length);
        }
    }
    return attribute_matches_check(definition->attributes, definition->attributes_count, reason);
}

static bool has_sound_key(const struct subscription_definition *definition)
{
    uint32_t components = definition->key_components;
    size_t attribute = definition->key_attribute.length;
    switch (definition->key) {
    case GROUP_KEY_NONE:
    case GROUP_KEY_NAMESPACE:
        return components == 0 && attribute == 0;
    case GROUP_KEY_COMPONENTS:
        return components >= 1 && components <= GROUP_COMPONENTS_MAX && attribute == 0;
    case GROUP_KEY_ATTRIBUTE:
        return components == 0 && attribute >= 1 && attribute <= ATTRIBUTE_NAME_BYTES_MAX;
    }
    return false;
}

int subscription_definition_check(const struct subscription_definition *definition,
                                  struct reason *reason)
{
    int err = check_filters(definition, reason);
    if (err) {
        return err;
    }
    if (!has_sound_key(definition)) {
        return reason_set(
            reason, ERR_INVALID,
            "a key is the namespace, 1 to %d components of it, or an attribute with a "
            "name of 1 to %d bytes",
            GROUP_COMPONENTS_MAX, ATTRIBUTE_NAME_BYTES_MAX);
    }
    if (definition->concurrency == 0 || definition->concurrency > GROUP_CONSUMERS_MAX) {
        return reason_set(reason, ERR_INVALID, "the concurrency is 1 to %d, not %u",
                          GROUP_CONSUMERS_MAX, (unsigned)definition->concurrency);
    }
    if (definition->ack_wait_ms == 0 || definition->checkpoint_every == 0 ||
        definition->checkpoint_after_ms == 0 || definition->queue == 0) {
        return reason_set(reason, ERR_INVALID,
                          "ack wait, checkpoint every, checkpoint after and queue are at least 1");
    }
    return 0;
}

static bool filters_equal(const struct subscription_definition *a,
                          const struct subscription_definition *b)
{
    for (uint32_t i = 0; i < a->entries_count; i++) {
        if (a->entries[i].is_exact != b->entries[i].is_exact ||
            !bytes_equal(a->entries[i].text, b->entries[i].text)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a->attributes_count; i++) {
        if (!bytes_equal(a->attributes[i].name, b->attributes[i].name) ||
            !bytes_equal(a->attributes[i].value, b->attributes[i].value)) {
            return false;
        }
    }
    return true;
}

bool subscription_definition_equal(const struct subscription_definition *a,
                                   const struct subscription_definition *b)
{
    return a->entries_count == b->entries_count && a->attributes_count == b->attributes_count &&
           filters_equal(a, b) && a->timestamp_min_ms == b->timestamp_min_ms &&
           a->is_stable_order == b->is_stable_order && a->is_transient == b->is_transient &&
           a->key == b->key && a->key_components == b->key_components &&
           bytes_equal(a->key_attribute, b->key_attribute) && a->concurrency == b->concurrency &&
           a->attempts == b->attempts && a->ack_wait_ms == b->ack_wait_ms &&
           a->checkpoint_every == b->checkpoint_every &&
           a->checkpoint_after_ms == b->checkpoint_after_ms && a->queue == b->queue;
}

// --- Bytes -------------------------------------------------------------------------------------

static size_t encoded_length(const struct subscription_definition *definition)
{
    size_t length = FIXED_LENGTH + definition->key_attribute.length;
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        length += ENTRY_HEAD_LENGTH + definition->entries[i].text.length;
    }
    for (uint32_t i = 0; i < definition->attributes_count; i++) {
        const struct attribute_match *match = &definition->attributes[i];
        length += MATCH_HEAD_LENGTH + match->name.length + match->value.length;
    }
    return length;
}

static void store_fixed(uint8_t *at, const struct subscription_definition *definition)
{
    unsigned flags = (definition->is_stable_order ? FLAG_STABLE_ORDER : 0U) |
                     (definition->is_transient ? FLAG_TRANSIENT : 0U);
    store_be16(at, (uint16_t)flags);
    at[2] = (uint8_t)definition->key;
    at[3] = (uint8_t)definition->key_components;
    store_be64(at + 4, definition->timestamp_min_ms);
    store_be32(at + 12, definition->concurrency);
    store_be32(at + 16, definition->attempts);
    store_be32(at + 20, definition->ack_wait_ms);
    store_be32(at + 24, definition->checkpoint_every);
    store_be32(at + 28, definition->checkpoint_after_ms);
    store_be32(at + 32, definition->queue);
    store_be32(at + 36, (uint32_t)definition->key_attribute.length);
    store_be16(at + 40, (uint16_t)definition->entries_count);
    store_be16(at + 42, (uint16_t)definition->attributes_count);
}

static uint8_t *store_text(uint8_t *at, struct bytes text)
{
    if (text.length > 0) {
        memcpy(at, text.data, text.length);
    }
    return at + text.length;
}

int subscription_definition_encode(const struct subscription_definition *definition,
                                   struct buffer *out)
{
    assert(subscription_definition_check(definition, NULL) == 0);
    size_t length = encoded_length(definition);
    int err = buffer_reserve(out, length);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    store_fixed(at, definition);
    at = store_text(at + FIXED_LENGTH, definition->key_attribute);
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        const struct filter_entry *entry = &definition->entries[i];
        at[0] = entry->is_exact;
        store_be16(at + 1, (uint16_t)entry->text.length);
        at = store_text(at + ENTRY_HEAD_LENGTH, entry->text);
    }
    for (uint32_t i = 0; i < definition->attributes_count; i++) {
        const struct attribute_match *match = &definition->attributes[i];
        at[0] = (uint8_t)match->name.length;
        store_be32(at + 1, (uint32_t)match->value.length);
        at = store_text(store_text(at + MATCH_HEAD_LENGTH, match->name), match->value);
    }
    out->length += length;
    return 0;
}

static bool take(struct bytes *rest, size_t length, struct bytes *taken_out)
{
    if (length > rest->length) {
        return false;
    }
    *taken_out = bytes_of(rest->data, length);
    *rest = bytes_of(rest->data + length, rest->length - length);
    return true;
}

static bool take_fixed(struct bytes *rest, struct subscription_definition *definition)
{
    struct bytes fixed;
    if (!take(rest, FIXED_LENGTH, &fixed)) {
        return false;
    }
    const uint8_t *at = fixed.data;
    uint16_t flags = load_be16(at);
    definition->is_stable_order = flags & FLAG_STABLE_ORDER;
    definition->is_transient = flags & FLAG_TRANSIENT;
    definition->key = (enum group_key_kind)at[2];
    definition->key_components = at[3];
    definition->timestamp_min_ms = load_be64(at + 4);
    definition->concurrency = load_be32(at + 12);
    definition->attempts = load_be32(at + 16);
    definition->ack_wait_ms = load_be32(at + 20);
    definition->checkpoint_every = load_be32(at + 24);
    definition->checkpoint_after_ms = load_be32(at + 28);
    definition->queue = load_be32(at + 32);
    definition->entries_count = load_be16(at + 40);
    definition->attributes_count = load_be16(at + 42);
    return (flags & ~FLAGS_KNOWN) == 0 &&
           take(rest, load_be32(at + 36), &definition->key_attribute);
}

static bool take_entries(struct bytes *rest, struct subscription_definition *definition)
{
    for (uint32_t i = 0; i < definition->entries_count; i++) {
        struct filter_entry *entry = &definition->entries[i];
        struct bytes head;
        if (!take(rest, ENTRY_HEAD_LENGTH, &head) || head.data[0] > 1 ||
            !take(rest, load_be16(head.data + 1), &entry->text)) {
            return false;
        }
        entry->is_exact = head.data[0];
    }
    return true;
}

static bool take_attributes(struct bytes *rest, struct subscription_definition *definition)
{
    for (uint32_t i = 0; i < definition->attributes_count; i++) {
        struct attribute_match *match = &definition->attributes[i];
        struct bytes head;
        if (!take(rest, MATCH_HEAD_LENGTH, &head) || !take(rest, head.data[0], &match->name) ||
            !take(rest, load_be32(head.data + 1), &match->value)) {
            return false;
        }
    }
    return true;
}

int subscription_definition_decode(struct bytes *rest,
                                   struct subscription_definition *definition_out)
{
    struct subscription_definition definition = {0};
    struct bytes left = *rest;
    if (!take_fixed(&left, &definition) || definition.entries_count > PATTERNS_MAX ||
        definition.attributes_count > ATTRIBUTE_MATCHES_MAX || !take_entries(&left, &definition) ||
        !take_attributes(&left, &definition) ||
        subscription_definition_check(&definition, NULL) != 0) {
        return ERR_INVALID;
    }
    *definition_out = definition;
    *rest = left;
    return 0;
}
