// Entries stay sorted by actor, so lookups bisect, and merging and comparing walk two vectors side
// by side. Whatever can fail half-way (text, msgpack, merge) is checked or given its memory first
// and changes the vector after, so that a failure leaves it as it was.

#include "proto/model/version_vector.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"

enum {
    ENTRIES_CAPACITY_MIN = 4,
    ENTRY_ENCODED_MIN = 2, // a map entry of two single bytes
    ENTRY_ENCODED_MAX = 12,
};

static int reserve(struct version_vector *vector, size_t count)
{
    if (count <= vector->capacity) {
        return 0;
    }
    size_t capacity = 2 * (size_t)vector->capacity;
    capacity = capacity < ENTRIES_CAPACITY_MIN ? ENTRIES_CAPACITY_MIN : capacity;
    capacity = capacity < count ? count : capacity;
    struct version_entry *entries = realloc(vector->entries, capacity * sizeof *entries);
    if (!entries) {
        return ERR_MEMORY;
    }
    vector->entries = entries;
    vector->capacity = (uint32_t)capacity;
    return 0;
}

void version_vector_deinit(struct version_vector *vector)
{
    free(vector->entries);
    *vector = (struct version_vector){0};
}

void version_vector_clear(struct version_vector *vector)
{
    vector->count = 0;
}

// The index of the first entry whose actor is not below `actor`.
static uint32_t find(const struct version_vector *vector, uint16_t actor)
{
    uint32_t begin = 0;
    uint32_t left = vector->count;
    while (left > 0) {
        uint32_t half = left / 2;
        bool is_below = vector->entries[begin + half].actor < actor;
        begin = is_below ? begin + half + 1 : begin;
        left = is_below ? left - half - 1 : half;
    }
    return begin;
}

uint64_t version_vector_find(const struct version_vector *vector, uint16_t actor)
{
    uint32_t i = find(vector, actor);
    bool is_there = i < vector->count && vector->entries[i].actor == actor;
    return is_there ? vector->entries[i].counter : 0;
}

static int insert(struct version_vector *vector, uint32_t i, struct version_entry entry)
{
    int err = reserve(vector, (size_t)vector->count + 1);
    if (err) {
        return err;
    }
    struct version_entry *at = vector->entries + i;
    memmove(at + 1, at, (vector->count - i) * sizeof *at);
    *at = entry;
    vector->count++;
    return 0;
}

int version_vector_set(struct version_vector *vector, uint16_t actor, uint64_t counter)
{
    assert(actor != 0 && counter <= COUNTER_MAX);
    uint32_t i = find(vector, actor);
    if (i == vector->count || vector->entries[i].actor != actor) {
        struct version_entry entry = {.counter = counter, .actor = actor};
        return counter == 0 ? 0 : insert(vector, i, entry);
    }
    if (counter != 0) {
        vector->entries[i].counter = counter;
        return 0;
    }
    vector->count--;
    struct version_entry *at = vector->entries + i;
    memmove(at, at + 1, (vector->count - i) * sizeof *at);
    return 0;
}

int version_vector_raise(struct version_vector *vector, uint16_t actor, uint64_t counter)
{
    return version_vector_get(vector, actor) < counter ? version_vector_set(vector, actor, counter)
                                                       : 0;
}

int version_vector_copy(struct version_vector *to, const struct version_vector *from)
{
    if (to == from) {
        return 0;
    }
    int err = reserve(to, from->count);
    if (err) {
        return err;
    }
    if (from->count > 0) {
        memcpy(to->entries, from->entries, from->count * sizeof *from->entries);
    }
    to->count = from->count;
    return 0;
}

// How many actors of `from` are missing in `to`.
static uint32_t count_missing(const struct version_vector *to, const struct version_vector *from)
{
    uint32_t missing = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        while (at < to->count && to->entries[at].actor < from->entries[i].actor) {
            at++;
        }
        missing += at == to->count || to->entries[at].actor != from->entries[i].actor;
    }
    return missing;
}

int version_vector_merge(struct version_vector *to, const struct version_vector *from)
{
    uint32_t missing = count_missing(to, from);
    int err = reserve(to, (size_t)to->count + missing);
    if (err) {
        return err;
    }
    // From the back, so that entries move up into free room only.
    uint32_t held = to->count;
    uint32_t write = held + missing;
    to->count = write;
    for (uint32_t read = from->count; read > 0; read--) {
        struct version_entry entry = from->entries[read - 1];
        while (held > 0 && to->entries[held - 1].actor > entry.actor) {
            to->entries[--write] = to->entries[--held];
        }
        if (held > 0 && to->entries[held - 1].actor == entry.actor) {
            held--;
            if (to->entries[held].counter > entry.counter) {
                entry.counter = to->entries[held].counter;
            }
        }
        to->entries[--write] = entry;
    }
    assert(write == held);
    return 0;
}

bool version_vector_includes(const struct version_vector *a, const struct version_vector *b)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        while (at < a->count && a->entries[at].actor < b->entries[i].actor) {
            at++;
        }
        if (at == a->count || a->entries[at].actor != b->entries[i].actor ||
            a->entries[at].counter < b->entries[i].counter) {
            return false;
        }
    }
    return true;
}

bool version_vector_equal(const struct version_vector *a, const struct version_vector *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->entries[i].actor != b->entries[i].actor ||
            a->entries[i].counter != b->entries[i].counter) {
            return false;
        }
    }
    return true;
}

int version_vector_format(const struct version_vector *vector, struct buffer *out)
{
    int err = buffer_reserve(out, 2 + vector->count * (size_t)(EVENT_ID_SHORT_LENGTH_MAX + 1));
    if (err) {
        return err;
    }
    char *start = (char *)out->data + out->length;
    char *at = start;
    *at++ = '@';
    for (uint32_t i = 0; i < vector->count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        const struct version_entry *entry = &vector->entries[i];
        at += event_id_format_short((struct event_id){entry->counter, entry->actor}, at);
    }
    out->length += (size_t)(at - start);
    return 0;
}

static int compare_actors(const void *a, const void *b)
{
    const struct version_entry *left = a;
    const struct version_entry *right = b;
    return (int)left->actor - (int)right->actor;
}

// Reads the ids of a text behind its '@' into `parsed`, in the order in which they stand.
static int parse_entries(struct bytes text, struct version_vector *parsed, struct reason *reason)
{
    for (;;) {
        const uint8_t *comma = memchr(text.data, ',', text.length);
        size_t length = comma ? (size_t)(comma - text.data) : text.length;
        struct event_id id;
        int err = event_id_parse(bytes_of(text.data, length), &id, reason);
        if (err) {
            return err;
        }
        if (parsed->count == ACTORS_MAX) {
            return reason_set(reason, ERR_INVALID, "the cursor names more actors than there are");
        }
        struct version_entry entry = {.counter = id.counter, .actor = id.actor};
        err = insert(parsed, parsed->count, entry);
        if (err || !comma) {
            return err;
        }
        text = bytes_of(comma + 1, text.length - length - 1);
    }
}

static int sort_entries(struct version_vector *parsed, struct reason *reason)
{
    qsort(parsed->entries, parsed->count, sizeof *parsed->entries, compare_actors);
    for (uint32_t i = 1; i < parsed->count; i++) {
        if (parsed->entries[i].actor == parsed->entries[i - 1].actor) {
            return reason_set(reason, ERR_INVALID, "the cursor names the actor %u twice",
                              parsed->entries[i].actor);
        }
    }
    return 0;
}

int version_vector_parse(struct bytes text, struct version_vector *out, struct reason *reason)
{
    if (text.length == 0 || text.data[0] != '@') {
        return reason_set(reason, ERR_INVALID, "a cursor begins with '@', as in @1042.1,998.2");
    }
    if (text.length == 1) {
        version_vector_clear(out);
        return 0;
    }
    struct version_vector parsed = {0};
    int err = parse_entries(bytes_of(text.data + 1, text.length - 1), &parsed, reason);
    if (err == 0) {
        err = sort_entries(&parsed, reason);
    }
    if (err) {
        version_vector_deinit(&parsed);
        return err;
    }
    version_vector_deinit(out);
    *out = parsed;
    return 0;
}

static uint8_t *put_uint(uint8_t *at, uint64_t value)
{
    if (value < 0x80) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value <= UINT8_MAX) {
        at[0] = 0xcc;
        at[1] = (uint8_t)value;
        return at + 2;
    }
    if (value <= UINT16_MAX) {
        at[0] = 0xcd;
        store_be16(at + 1, (uint16_t)value);
        return at + 3;
    }
    if (value <= UINT32_MAX) {
        at[0] = 0xce;
        store_be32(at + 1, (uint32_t)value);
        return at + 5;
    }
    at[0] = 0xcf;
    store_be64(at + 1, value);
    return at + 9;
}

int version_vector_encode(const struct version_vector *vector, struct buffer *out)
{
    assert(vector->count <= ACTORS_MAX);
    int err = buffer_reserve(out, 3 + vector->count * (size_t)ENTRY_ENCODED_MAX);
    if (err) {
        return err;
    }
    uint8_t *at = out->data + out->length;
    if (vector->count < 16) {
        *at++ = (uint8_t)(0x80 | vector->count);
    } else {
        *at = 0xde;
        store_be16(at + 1, (uint16_t)vector->count);
        at += 3;
    }
    for (uint32_t i = 0; i < vector->count; i++) {
        at = put_uint(at, vector->entries[i].actor);
        at = put_uint(at, vector->entries[i].counter);
    }
    out->length = (size_t)(at - out->data);
    return 0;
}

// A number of `width` bytes behind the lead byte that stands at the front of *rest.
static bool take_wide(struct bytes *rest, size_t width, uint64_t *value_out)
{
    if (rest->length < 1 + width) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 1; i <= width; i++) {
        value = value << 8 | rest->data[i];
    }
    *value_out = value;
    *rest = bytes_of(rest->data + 1 + width, rest->length - 1 - width);
    return true;
}

// Any form of a number, 1..max; signed forms too, as some encoders use them for what is positive.
static bool take_uint(struct bytes *rest, uint64_t max, uint64_t *value_out)
{
    if (rest->length == 0) {
        return false;
    }
    uint8_t lead = rest->data[0];
    uint64_t value = lead;
    if (lead >= 0xcc && lead <= 0xd3) {
        bool is_signed = lead >= 0xd0;
        size_t width = (size_t)1 << (lead - (is_signed ? 0xd0 : 0xcc));
        if (!take_wide(rest, width, &value) || (is_signed && value >> (8 * width - 1) != 0)) {
            return false;
        }
    } else if (lead < 0x80) {
        *rest = bytes_of(rest->data + 1, rest->length - 1);
    } else {
        return false;
    }
    *value_out = value;
    return value >= 1 && value <= max;
}

static bool take_map(struct bytes *rest, uint64_t *count_out)
{
    if (rest->length == 0) {
        return false;
    }
    uint8_t lead = rest->data[0];
    if ((lead & 0xf0) == 0x80) {
        *count_out = lead & 0x0f;
        *rest = bytes_of(rest->data + 1, rest->length - 1);
        return true;
    }
    return (lead == 0xde || lead == 0xdf) && take_wide(rest, lead == 0xde ? 2 : 4, count_out);
}

// The head of a map: how many entries follow.
static bool take_count(struct bytes *rest, uint64_t *count_out)
{
    return take_map(rest, count_out) && *count_out <= ACTORS_MAX &&
           *count_out <= rest->length / ENTRY_ENCODED_MIN;
}

// The next entry; that before it was of the actor `before`.
static bool take_entry(struct bytes *rest, uint16_t before, struct version_entry *entry_out)
{
    uint64_t actor;
    uint64_t counter;
    if (!take_uint(rest, ACTORS_MAX, &actor) || !take_uint(rest, COUNTER_MAX, &counter) ||
        actor <= before) {
        return false;
    }
    *entry_out = (struct version_entry){.counter = counter, .actor = (uint16_t)actor};
    return true;
}

int version_vector_decode(struct bytes *rest, struct version_vector *out)
{
    struct bytes left = *rest;
    uint64_t count;
    if (!take_count(&left, &count)) {
        return ERR_INVALID;
    }
    struct version_vector decoded = {0};
    int err = reserve(&decoded, count);
    if (err) {
        return err;
    }
    uint16_t before = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (!take_entry(&left, before, &decoded.entries[i])) {
            version_vector_deinit(&decoded);
            return ERR_INVALID;
        }
        before = decoded.entries[i].actor;
    }
    decoded.count = (uint32_t)count;
    version_vector_deinit(out);
    *out = decoded;
    *rest = left;
    return 0;
}

int version_vector_skip(struct bytes *rest)
{
    struct bytes left = *rest;
    uint64_t count;
    struct version_entry entry = {0};
    if (!take_count(&left, &count)) {
        return ERR_INVALID;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!take_entry(&left, entry.actor, &entry)) {
            return ERR_INVALID;
        }
    }
    *rest = left;
    return 0;
}
