// A filter is put into a normal form when it is made: entries sorted, repeated ones dropped, and if
// one of them means everything, only that ("**") and those for the system's names are kept. So
// equal filters have equal keys, and the common ones, everything and a single name, are recognised
// once. Attributes are sorted too; the views of them point into the key.
//
// Verdicts are remembered per name in a table of cache lines: two places for each name, the older
// of two gives way. Names that do not fit a line are matched each time. The table is keyed, so that
// nobody can choose names that push each other out. Events of one stream often follow each other,
// so the name before is compared first. Without memory for the table, everything is matched.

#include "proto/model/filter.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/event.h"
#include "proto/model/namespace.h"

struct filter {
    atomic_uint references;
    bool is_every_name;
    bool is_impossible; // no event can have all of the attributes: none of them is kept
    bool has_system;    // an entry for the system's names
    bool is_exact;      // one entry, a name
    size_t globs_count;
    struct glob *globs[PATTERNS_MAX];
    uint64_t timestamp_min_ms;
    struct attribute_match *attributes;
    uint32_t attributes_count;
    struct buffer key;
};

struct draft_entry {
    struct glob *glob;
    struct bytes text;
    bool is_exact;
};

struct draft {
    struct draft_entry entries[PATTERNS_MAX];
    size_t count;
    struct attribute_match attributes[ATTRIBUTE_MATCHES_MAX];
    uint32_t attributes_count;
    uint64_t timestamp_min_ms;
};

static int draft_compare(const void *a, const void *b)
{
    const struct draft_entry *left = a;
    const struct draft_entry *right = b;
    int order = bytes_compare(left->text, right->text);
    return order != 0 ? order : (int)left->is_exact - (int)right->is_exact;
}

static void draft_deinit(struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++) {
        glob_free(draft->entries[i].glob);
    }
    draft->count = 0;
}

static int draft_add(struct draft *draft, struct filter_entry entry, struct reason *reason)
{
    struct draft_entry *added = &draft->entries[draft->count];
    int err = entry.is_exact ? glob_of_name(entry.text, &added->glob, reason)
                             : glob_compile(entry.text, &added->glob, reason);
    if (err) {
        return err;
    }
    bool is_everything = glob_is_everything(added->glob);
    added->text = is_everything ? bytes_of_text("**") : entry.text;
    added->is_exact = entry.is_exact;
    draft->count++;
    return 0;
}

// Whether it matches names of the system: then all of them begin as those do.
static bool entry_is_system(const struct draft_entry *entry)
{
    bool is_exact;
    return namespace_is_system(glob_prefix(entry->glob, &is_exact));
}

static void draft_normalise(struct draft *draft)
{
    bool is_everything = false;
    for (size_t i = 0; i < draft->count; i++) {
        is_everything |= glob_is_everything(draft->entries[i].glob);
    }
    qsort(draft->entries, draft->count, sizeof draft->entries[0], draft_compare);
    size_t kept = 0;
    for (size_t i = 0; i < draft->count; i++) {
        struct draft_entry *entry = &draft->entries[i];
        bool is_repeated = kept > 0 && draft_compare(entry, &draft->entries[kept - 1]) == 0;
        bool is_covered =
            is_everything && !glob_is_everything(entry->glob) && !entry_is_system(entry);
        if (is_repeated || is_covered) {
            glob_free(entry->glob);
        } else {
            draft->entries[kept++] = *entry;
        }
    }
    draft->count = kept;
}

enum { MATCH_HEAD_LENGTH = 6 }; // of a match in a key

static int match_compare(const void *a, const void *b)
{
    const struct attribute_match *left = a;
    const struct attribute_match *right = b;
    int order = bytes_compare(left->name, right->name);
    return order != 0 ? order : bytes_compare(left->value, right->value);
}

static void draft_add_conditions(struct draft *draft, const struct filter_conditions *conditions)
{
    uint32_t kept = 0;
    assert(conditions->attributes_count <= ATTRIBUTE_MATCHES_MAX);
    draft->timestamp_min_ms = conditions->timestamp_min_ms;
    if (conditions->attributes_count == 0) {
        return;
    }
    struct attribute_match *sorted = draft->attributes;
    memcpy(sorted, conditions->attributes, conditions->attributes_count * sizeof *sorted);
    qsort(sorted, conditions->attributes_count, sizeof *sorted, match_compare);
    for (uint32_t i = 0; i < conditions->attributes_count; i++) {
        if (kept == 0 || match_compare(&sorted[i], &sorted[kept - 1]) != 0) {
            sorted[kept++] = sorted[i];
        }
    }
    draft->attributes_count = kept;
}

// Entry by entry: 'e' for an exact name or 'p' for a pattern, the text, and a NUL, which no text
// has.
static int key_append(struct buffer *key, const struct draft_entry *entry)
{
    int err = buffer_append(key, bytes_of_text(entry->is_exact ? "e" : "p"));
    if (err == 0) {
        err = buffer_append(key, entry->text);
    }
    if (err == 0) {
        err = buffer_append(key, bytes_of("", 1));
    }
    return err;
}

// 't' and the time.
static int key_append_time(struct buffer *key, uint64_t timestamp_ms)
{
    uint8_t bytes[1 + 8] = {'t'};
    store_be64(bytes + 1, timestamp_ms);
    return timestamp_ms == 0 ? 0 : buffer_append(key, bytes_of(bytes, sizeof bytes));
}

// 'a', the lengths of name and value, and both.
static int key_append_match(struct buffer *key, const struct attribute_match *match)
{
    uint8_t head[MATCH_HEAD_LENGTH] = {'a', (uint8_t)match->name.length};
    store_be32(head + 2, (uint32_t)match->value.length);
    int err = buffer_append(key, bytes_of(head, sizeof head));
    err = err ? err : buffer_append(key, match->name);
    return err ? err : buffer_append(key, match->value);
}

static void filter_free(struct filter *filter)
{
    for (size_t i = 0; i < filter->globs_count; i++) {
        glob_free(filter->globs[i]);
    }
    free(filter->attributes);
    buffer_deinit(&filter->key);
    free(filter);
}

// The conditions, in the filter and at the end of its key.
static int filter_set_conditions(struct filter *filter, const struct draft *draft)
{
    size_t bytes = 0;
    uint32_t count = draft->attributes_count;
    filter->timestamp_min_ms = draft->timestamp_min_ms;
    int err = key_append_time(&filter->key, draft->timestamp_min_ms);
    if (err || count == 0) {
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        bytes += draft->attributes[i].name.length + draft->attributes[i].value.length;
    }
    filter->is_impossible = bytes > ATTRIBUTES_BYTES_MAX;
    if (filter->is_impossible) {
        return buffer_append(&filter->key, bytes_of_text("i"));
    }
    filter->attributes = calloc(count, sizeof *filter->attributes);
    err = filter->attributes ? 0 : ERR_MEMORY;
    for (uint32_t i = 0; i < count && err == 0; i++) {
        err = key_append_match(&filter->key, &draft->attributes[i]);
    }
    if (err) {
        return err;
    }
    const uint8_t *at = filter->key.data + filter->key.length;
    for (uint32_t i = count; i-- > 0;) {
        struct attribute_match match = draft->attributes[i];
        at -= match.value.length;
        filter->attributes[i].value = bytes_of(at, match.value.length);
        at -= match.name.length;
        filter->attributes[i].name = bytes_of(at, match.name.length);
        at -= MATCH_HEAD_LENGTH;
    }
    filter->attributes_count = count;
    return 0;
}

// Takes the globs out of the draft if it succeeds.
static int filter_build(struct draft *draft, struct filter **filter_out)
{
    struct filter *filter = calloc(1, sizeof *filter);
    if (!filter) {
        return ERR_MEMORY;
    }
    atomic_init(&filter->references, 1);
    int err = 0;
    for (size_t i = 0; i < draft->count && err == 0; i++) {
        err = key_append(&filter->key, &draft->entries[i]);
    }
    err = err ? err : filter_set_conditions(filter, draft);
    if (err) {
        filter_free(filter);
        return err;
    }
    for (size_t i = 0; i < draft->count; i++) {
        struct draft_entry *entry = &draft->entries[i];
        filter->globs[i] = entry->glob;
        filter->is_every_name |= glob_is_everything(entry->glob);
        filter->has_system |= entry_is_system(entry);
    }
    filter->globs_count = draft->count;
    draft->count = 0;
    glob_prefix(filter->globs[0], &filter->is_exact);
    filter->is_exact &= filter->globs_count == 1;
    *filter_out = filter;
    return 0;
}

int filter_new(const struct filter_entry *entries, size_t count, struct filter **filter_out,
               struct reason *reason)
{
    const struct filter_conditions none = {0};
    return filter_new_with(entries, count, &none, filter_out, reason);
}

int filter_new_with(const struct filter_entry *entries, size_t count,
                    const struct filter_conditions *conditions, struct filter **filter_out,
                    struct reason *reason)
{
    static const struct filter_entry everything = {.text = {(const uint8_t *)"**", 2}};
    if (count > PATTERNS_MAX) {
        return reason_set(reason, ERR_LIMIT, "the filter has %zu entries, %d are allowed", count,
                          PATTERNS_MAX);
    }
    if (count == 0) {
        entries = &everything;
        count = 1;
    }
    struct draft draft;
    draft.count = 0;
    draft.attributes_count = 0;
    draft_add_conditions(&draft, conditions);
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        err = draft_add(&draft, entries[i], reason);
    }
    if (err == 0) {
        draft_normalise(&draft);
        err = filter_build(&draft, filter_out);
    }
    draft_deinit(&draft);
    return err;
}

struct filter *filter_ref(struct filter *filter)
{
    unsigned before = atomic_fetch_add_explicit(&filter->references, 1, memory_order_relaxed);
    assert(before > 0 && before < UINT32_MAX);
    return filter;
}

void filter_unref(struct filter *filter)
{
    if (!filter) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&filter->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        filter_free(filter);
    }
}

bool filter_matches(const struct filter *filter, struct bytes name)
{
    for (size_t i = 0; i < filter->globs_count; i++) {
        if (glob_matches(filter->globs[i], name)) {
            return true;
        }
    }
    return false;
}

bool filter_is_every_name(const struct filter *filter)
{
    return filter->is_every_name;
}

bool filter_has_conditions(const struct filter *filter)
{
    return filter->timestamp_min_ms > 0 || filter->attributes_count > 0 || filter->is_impossible;
}

bool filter_is_everything(const struct filter *filter)
{
    return filter->is_every_name && !filter_has_conditions(filter);
}

bool filter_excludes_time(const struct filter *filter, uint64_t timestamp_ms)
{
    return filter && (timestamp_ms < filter->timestamp_min_ms || filter->is_impossible);
}

bool filter_wants_system(const struct filter *filter)
{
    for (size_t i = 0; filter && i < filter->globs_count; i++) {
        bool is_exact;
        if (namespace_is_system(glob_prefix(filter->globs[i], &is_exact))) {
            return true;
        }
    }
    return false;
}

size_t filter_globs_count(const struct filter *filter)
{
    return filter->globs_count;
}

const struct glob *filter_glob(const struct filter *filter, size_t i)
{
    assert(i < filter->globs_count);
    return filter->globs[i];
}

struct bytes filter_key(const struct filter *filter)
{
    return buffer_bytes(&filter->key);
}

#define HASH_FACTOR 0x9e3779b97f4a7c15u

enum { CACHE_SLOTS = 4096, CACHE_LINE = 64, CACHE_NAME_BYTES_MAX = CACHE_LINE - 2 };

struct slot {
    uint8_t length; // 0: free
    bool verdict;
    uint8_t name[CACHE_NAME_BYTES_MAX];
};

static_assert(sizeof(struct slot) == CACHE_LINE, "one name, one cache line");

struct filter_cache {
    struct filter *filter;
    uint64_t seed;
    struct slot *slots; // NULL before its first use
};

struct filter_cache *filter_cache_new(struct filter *filter, uint64_t seed)
{
    struct filter_cache *cache = calloc(1, sizeof *cache);
    if (cache) {
        cache->filter = filter_ref(filter);
        cache->seed = seed;
    }
    return cache;
}

void filter_cache_free(struct filter_cache *cache)
{
    if (cache) {
        filter_unref(cache->filter);
        free(cache->slots);
        free(cache);
    }
}

static void cache_allocate(struct filter_cache *cache)
{
    cache->slots = aligned_alloc(CACHE_LINE, CACHE_SLOTS * sizeof(struct slot));
    if (cache->slots) {
        memset(cache->slots, 0, CACHE_SLOTS * sizeof(struct slot));
    }
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// Names are short and these two are on the way of every event: words, of which the last overlaps
// the one before, take less than a call would.

static uint64_t name_hash(struct bytes name, uint64_t seed)
{
    uint64_t hash = seed ^ name.length;
    if (name.length < 8) {
        uint64_t word = 0;
        for (size_t i = 0; i < name.length; i++) {
            word = word << 8 | name.data[i];
        }
        return fold(hash ^ word, seed | HASH_FACTOR);
    }
    for (size_t at = 0; at < name.length - 8; at += 8) {
        hash = fold(hash ^ load_word(name.data + at), seed | HASH_FACTOR);
    }
    return fold(hash ^ load_word(name.data + name.length - 8), seed | HASH_FACTOR);
}

static bool is_same(const uint8_t *a, const uint8_t *b, size_t length)
{
    if (length < 8) {
        for (size_t i = 0; i < length; i++) {
            if (a[i] != b[i]) {
                return false;
            }
        }
        return true;
    }
    for (size_t at = 0; at < length - 8; at += 8) {
        if (load_word(a + at) != load_word(b + at)) {
            return false;
        }
    }
    return load_word(a + length - 8) == load_word(b + length - 8);
}

static bool slot_is(const struct slot *slot, struct bytes name)
{
    return slot->length == name.length && is_same(slot->name, name.data, name.length);
}

static bool cache_verdict(struct filter_cache *cache, struct bytes name)
{
    if (!cache->slots || name.length > CACHE_NAME_BYTES_MAX || name.length == 0) {
        return filter_matches(cache->filter, name);
    }
    size_t i = name_hash(name, cache->seed) % CACHE_SLOTS;
    struct slot *slot = &cache->slots[i];
    struct slot *other = &cache->slots[i ^ 1];
    if (slot_is(slot, name)) {
        return slot->verdict;
    }
    if (slot_is(other, name)) {
        return other->verdict;
    }
    *other = *slot;
    slot->length = (uint8_t)name.length;
    slot->verdict = filter_matches(cache->filter, name);
    memcpy(slot->name, name.data, name.length);
    return slot->verdict;
}

static uint64_t positions_of_everything(struct bytes body, uint16_t count)
{
    uint64_t positions = 0;
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        event_next_trusted(&body, &event);
        positions |= (uint64_t)!namespace_is_system(event.name) << i;
    }
    assert(body.length == 0);
    return positions;
}

static uint64_t positions_of_name(struct bytes name, struct bytes body, uint16_t count)
{
    uint64_t positions = 0;
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        event_next_trusted(&body, &event);
        positions |= (uint64_t)(event.name.length == name.length &&
                                is_same(event.name.data, name.data, name.length))
                     << i;
    }
    assert(body.length == 0);
    return positions;
}

static uint64_t positions_of_names(struct filter_cache *cache, struct bytes plain_body,
                                   uint16_t count)
{
    const struct filter *filter = cache->filter;
    if (filter->is_every_name && !filter->has_system) {
        return positions_of_everything(plain_body, count);
    }
    if (filter->is_exact) {
        bool is_exact;
        return positions_of_name(glob_prefix(filter->globs[0], &is_exact), plain_body, count);
    }
    if (!cache->slots) {
        cache_allocate(cache);
    }
    uint64_t positions = 0;
    struct bytes before = {0};
    bool verdict = false;
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        event_next_trusted(&plain_body, &event);
        if (event.name.length != before.length ||
            !is_same(event.name.data, before.data, before.length)) {
            verdict = cache_verdict(cache, event.name);
            before = event.name;
        }
        positions |= (uint64_t)verdict << i;
    }
    assert(plain_body.length == 0);
    return positions;
}

uint64_t filter_positions(struct filter_cache *cache, struct bytes plain_body, uint16_t count)
{
    assert(count <= CHUNK_EVENTS_MAX);
    uint64_t positions = positions_of_names(cache, plain_body, count);
    return filter_narrow(cache->filter, plain_body, count, positions);
}

uint64_t filter_narrow(const struct filter *filter, struct bytes plain_body, uint16_t count,
                       uint64_t positions)
{
    if (filter->is_impossible) {
        return 0;
    }
    if (filter->attributes_count == 0) {
        return positions;
    }
    for (unsigned i = 0; i < count && positions >> i != 0; i++) {
        struct event event;
        uint64_t bit = (uint64_t)1 << i;
        event_next_trusted(&plain_body, &event);
        if (positions & bit && !attribute_matches_all(filter->attributes, filter->attributes_count,
                                                      event.attributes)) {
            positions ^= bit;
        }
    }
    return positions;
}
