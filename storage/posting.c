// A block is built in two buffers, lengths and sections, so that the directory in front can be
// written once everything is known. A section repeats in front what listing namespaces and
// estimating a read need, so that only cursors decode hits. Everything read is checked: order,
// ranges and counts must agree, so a damaged block is an error and never a wrong hit.

#include "storage/posting.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "storage/varint.h"

enum {
    TAG_LIST = 64, // + how many positions
    LIST_MAX = 7,
    TAG_MASK = 72,
    WINDOW_COUNTERS = 1 << POSTING_WINDOW_BITS,
    HIT_LENGTH_MAX = 3 + 3 + 9,
    SECTION_HEAD_LENGTH_MAX = 9 * VARINT_LENGTH_MAX,
    BLOCK_HEAD_LENGTH_MAX = 4 * VARINT_LENGTH_MAX,
};

void posting_key_encode(const struct posting_key *key, uint8_t out[POSTING_KEY_LENGTH])
{
    assert(key->window <= POSTING_WINDOW_SUMMARY);
    store_be32(out, key->group);
    store_be64(out + 4, key->window << 16 | key->slot);
    store_be32(out + 12, key->part);
}

int posting_key_decode(struct bytes bytes, struct posting_key *key_out)
{
    if (bytes.length != POSTING_KEY_LENGTH) {
        return ERR_CORRUPT;
    }
    key_out->group = load_be32(bytes.data);
    key_out->window = load_be64(bytes.data + 4) >> 16;
    key_out->slot = load_be16(bytes.data + 10);
    key_out->part = load_be32(bytes.data + 12);
    return 0;
}

void posting_totals_merge(struct posting_totals *to, const struct posting_totals *from)
{
    if (to->events == 0 || from->events == 0) {
        *to = from->events == 0 ? *to : *from;
        return;
    }
    to->events += from->events;
    to->bytes += from->bytes;
    to->hits += from->hits;
    if (event_id_compare(from->first, to->first) < 0) {
        to->first = from->first;
        to->first_timestamp_ms = from->first_timestamp_ms;
    }
    if (event_id_compare(from->last, to->last) > 0) {
        to->last = from->last;
        to->last_timestamp_ms = from->last_timestamp_ms;
    }
}

void posting_builder_deinit(struct posting_builder *builder)
{
    buffer_deinit(&builder->lengths);
    buffer_deinit(&builder->sections);
}

void posting_builder_begin(struct posting_builder *builder, uint64_t window,
                           uint64_t timestamp_base_ms, uint16_t actor)
{
    builder->window = window;
    builder->timestamp_base_ms = timestamp_base_ms;
    builder->actor = actor;
    builder->members_count = 0;
    buffer_clear(&builder->lengths);
    buffer_clear(&builder->sections);
}

static struct posting_totals touches_totals(const struct posting_touch *touches, size_t count)
{
    struct posting_totals totals = {0};
    for (size_t i = 0; i < count; i++) {
        const struct index_hit *hit = &touches[i].hit;
        unsigned lowest = (unsigned)__builtin_ctzll(hit->positions);
        unsigned highest = 63 - (unsigned)__builtin_clzll(hit->positions);
        struct posting_totals one = {
            .events = (uint64_t)__builtin_popcountll(hit->positions),
            .hits = 1,
            .first = {.counter = hit->first + lowest, .actor = hit->actor},
            .last = {.counter = hit->first + highest, .actor = hit->actor},
            .first_timestamp_ms = touches[i].timestamp_ms,
            .last_timestamp_ms = touches[i].timestamp_ms,
        };
        posting_totals_merge(&totals, &one);
    }
    return totals;
}

static uint8_t *actor_put(const struct posting_builder *builder, uint8_t *out, uint16_t actor)
{
    assert(actor != 0 && (builder->actor == 0 || builder->actor == actor));
    return builder->actor == 0 ? varint_put(out, actor) : out;
}

static uint8_t *head_put(const struct posting_builder *builder, uint8_t *out,
                         const struct posting_totals *totals)
{
    uint64_t base = builder->timestamp_base_ms;
    assert(totals->first_timestamp_ms >= base && totals->last_timestamp_ms >= base);
    out = varint_put(out, totals->events);
    out = varint_put(out, totals->bytes);
    out = varint_put(out, totals->first_timestamp_ms - base);
    if (totals->events > 1) {
        out = varint_put(out, totals->hits);
        out = varint_put(out, totals->first.counter - (builder->window << POSTING_WINDOW_BITS));
        out = actor_put(builder, out, totals->first.actor);
        out = varint_put(out, totals->last.counter - totals->first.counter);
        out = actor_put(builder, out, totals->last.actor);
        out = varint_put(out, totals->last_timestamp_ms - base);
    }
    return out;
}

static uint8_t *positions_put(uint8_t *out, uint64_t positions)
{
    int count = __builtin_popcountll(positions);
    if (count > LIST_MAX) {
        *out++ = TAG_MASK;
        store_be64(out, positions);
        return out + 8;
    }
    if (count > 1) {
        *out++ = (uint8_t)(TAG_LIST + count);
    }
    for (; positions; positions &= positions - 1) {
        *out++ = (uint8_t)__builtin_ctzll(positions);
    }
    return out;
}

int posting_builder_add(struct posting_builder *builder, uint8_t member,
                        const struct posting_touch *touches, size_t count, uint64_t bytes)
{
    uint32_t members = builder->members_count;
    assert(count > 0 && members < POSTING_MEMBERS_MAX);
    assert(members == 0 || builder->members[members - 1] < member);
    int err = buffer_reserve(&builder->sections, SECTION_HEAD_LENGTH_MAX + count * HIT_LENGTH_MAX);
    err = err ? err : buffer_reserve(&builder->lengths, VARINT_LENGTH_MAX);
    if (err) {
        return err;
    }
    struct posting_totals totals = touches_totals(touches, count);
    totals.bytes = bytes;
    uint8_t *begin = builder->sections.data + builder->sections.length;
    uint8_t *out = head_put(builder, begin, &totals);
    struct event_id previous = {.counter = builder->window << POSTING_WINDOW_BITS};
    for (size_t i = 0; i < count; i++) {
        const struct index_hit *hit = &touches[i].hit;
        struct event_id key = {.counter = hit->first, .actor = hit->actor};
        assert(hit->first >> POSTING_WINDOW_BITS == builder->window);
        assert(event_id_compare(previous, key) < 0);
        out = varint_put(out, key.counter - previous.counter);
        out = actor_put(builder, out, key.actor);
        out = positions_put(out, hit->positions);
        previous = key;
    }
    size_t length = (size_t)(out - begin);
    builder->sections.length += length;
    uint8_t *length_at = builder->lengths.data + builder->lengths.length;
    builder->lengths.length += (size_t)(varint_put(length_at, length) - length_at);
    builder->members[members] = member;
    builder->members_count++;
    return 0;
}

int posting_builder_finish(const struct posting_builder *builder, struct buffer *out)
{
    assert(builder->members_count > 0);
    buffer_clear(out);
    int err = buffer_reserve(out, BLOCK_HEAD_LENGTH_MAX + builder->members_count +
                                      builder->lengths.length + builder->sections.length);
    if (err) {
        return err;
    }
    uint8_t *at = varint_put(out->data, builder->timestamp_base_ms);
    at = varint_put(at, builder->actor);
    at = varint_put(at, builder->members_count);
    at = varint_put(at, builder->lengths.length);
    memcpy(at, builder->members, builder->members_count);
    at += builder->members_count;
    memcpy(at, builder->lengths.data, builder->lengths.length);
    at += builder->lengths.length;
    memcpy(at, builder->sections.data, builder->sections.length);
    at += builder->sections.length;
    out->length = (size_t)(at - out->data);
    return 0;
}

int posting_block_parse(struct bytes value, uint64_t window, struct posting_block *block_out)
{
    const uint8_t *at = value.data;
    const uint8_t *end = value.data + value.length;
    uint64_t base;
    uint64_t actor;
    uint64_t count;
    uint64_t lengths;
    if (!varint_take(&at, end, &base) || !varint_take(&at, end, &actor) ||
        !varint_take(&at, end, &count) || !varint_take(&at, end, &lengths)) {
        return ERR_CORRUPT;
    }
    uint64_t left = (uint64_t)(end - at);
    if (actor > ACTORS_MAX || count == 0 || count > POSTING_MEMBERS_MAX || count > left ||
        lengths > left - count || window > COUNTER_MAX >> POSTING_WINDOW_BITS) {
        return ERR_CORRUPT;
    }
    *block_out = (struct posting_block){
        .window = window,
        .timestamp_base_ms = base,
        .actor = (uint16_t)actor,
        .members_count = (uint32_t)count,
        .members = at,
        .length_at = at + count,
        .lengths_end = at + count + lengths,
        .section_at = at + count + lengths,
        .end = end,
    };
    return 0;
}

int posting_block_next(struct posting_block *block, uint8_t *member_out, struct bytes *section_out)
{
    if (block->next == block->members_count) {
        bool whole = block->length_at == block->lengths_end && block->section_at == block->end;
        return whole ? POSTING_END : ERR_CORRUPT;
    }
    uint64_t length;
    if (!varint_take(&block->length_at, block->lengths_end, &length) ||
        length > (uint64_t)(block->end - block->section_at)) {
        return ERR_CORRUPT;
    }
    uint32_t i = block->next++;
    if (i > 0 && block->members[i - 1] >= block->members[i]) {
        return ERR_CORRUPT;
    }
    *member_out = block->members[i];
    *section_out = bytes_of(block->section_at, length);
    block->section_at += length;
    return 0;
}

static bool actor_take(struct posting_section *section, uint16_t *actor_out)
{
    uint64_t actor = section->actor;
    if (actor == 0 && (!varint_take(&section->at, section->end, &actor) || actor == 0)) {
        return false;
    }
    *actor_out = (uint16_t)actor;
    return actor <= ACTORS_MAX;
}

static bool counter_take(struct posting_section *section, uint64_t from, uint64_t *counter_out)
{
    uint64_t delta;
    if (!varint_take(&section->at, section->end, &delta) || delta >= WINDOW_COUNTERS + 64) {
        return false;
    }
    *counter_out = from + delta;
    return true;
}

static bool positions_take(struct posting_section *section, uint64_t *positions_out)
{
    if (section->at == section->end) {
        return false;
    }
    uint8_t tag = *section->at++;
    size_t left = (size_t)(section->end - section->at);
    if (tag < 64) {
        *positions_out = (uint64_t)1 << tag;
        return true;
    }
    if (tag == TAG_MASK) {
        if (left < 8) {
            return false;
        }
        *positions_out = load_be64(section->at);
        section->at += 8;
        return __builtin_popcountll(*positions_out) > LIST_MAX;
    }
    size_t count = (size_t)tag - TAG_LIST;
    if (count < 2 || count > LIST_MAX || count > left) {
        return false;
    }
    int previous = -1;
    uint64_t positions = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t position = *section->at++;
        if (position >= 64 || position <= previous) {
            return false;
        }
        previous = position;
        positions |= (uint64_t)1 << position;
    }
    *positions_out = positions;
    return true;
}

static int hit_take(struct posting_section *section, struct index_hit *hit_out)
{
    struct event_id key;
    if (!counter_take(section, section->previous.counter, &key.counter) ||
        !actor_take(section, &key.actor) || !positions_take(section, &hit_out->positions)) {
        return ERR_CORRUPT;
    }
    if (event_id_compare(section->previous, key) >= 0 ||
        key.counter >> POSTING_WINDOW_BITS != section->window) {
        return ERR_CORRUPT;
    }
    hit_out->first = key.counter;
    hit_out->actor = key.actor;
    section->previous = key;
    return 0;
}

// The totals of a section of one event are those of its only hit.
static int single_parse(struct posting_section *section)
{
    struct posting_totals *totals = &section->totals;
    struct posting_section ahead = *section;
    struct index_hit hit;
    if (hit_take(&ahead, &hit) || __builtin_popcountll(hit.positions) != 1) {
        return ERR_CORRUPT;
    }
    totals->hits = 1;
    totals->first.counter = hit.first + (unsigned)__builtin_ctzll(hit.positions);
    totals->first.actor = hit.actor;
    totals->last = totals->first;
    totals->last_timestamp_ms = totals->first_timestamp_ms;
    return 0;
}

static int several_parse(struct posting_section *section, uint64_t base)
{
    struct posting_totals *totals = &section->totals;
    uint64_t window_first = section->window << POSTING_WINDOW_BITS;
    if (!varint_take(&section->at, section->end, &totals->hits) ||
        !counter_take(section, window_first, &totals->first.counter) ||
        !actor_take(section, &totals->first.actor) ||
        !counter_take(section, totals->first.counter, &totals->last.counter) ||
        !actor_take(section, &totals->last.actor) ||
        !varint_take(&section->at, section->end, &totals->last_timestamp_ms)) {
        return ERR_CORRUPT;
    }
    totals->last_timestamp_ms += base;
    return totals->hits >= 1 && totals->hits <= totals->events ? 0 : ERR_CORRUPT;
}

int posting_section_parse(const struct posting_block *block, struct bytes bytes,
                          struct posting_section *section_out)
{
    struct posting_section section = {
        .window = block->window,
        .actor = block->actor,
        .previous = {.counter = block->window << POSTING_WINDOW_BITS},
        .at = bytes.data,
        .end = bytes.data + bytes.length,
    };
    struct posting_totals *totals = &section.totals;
    if (!varint_take(&section.at, section.end, &totals->events) ||
        !varint_take(&section.at, section.end, &totals->bytes) ||
        !varint_take(&section.at, section.end, &totals->first_timestamp_ms) ||
        totals->events == 0) {
        return ERR_CORRUPT;
    }
    totals->first_timestamp_ms += block->timestamp_base_ms;
    int err = totals->events == 1 ? single_parse(&section)
                                  : several_parse(&section, block->timestamp_base_ms);
    if (err) {
        return err;
    }
    section.hits_left = totals->hits;
    section.events_left = totals->events;
    *section_out = section;
    return 0;
}

// The usual section of a namespace with few events has one: no hit is made of it.
int posting_section_totals(const struct posting_block *block, struct bytes bytes,
                           struct posting_totals *totals_out)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = bytes.data + bytes.length;
    uint64_t length;
    uint64_t later;
    uint64_t delta;
    uint64_t actor = block->actor;
    bool is_single = at < end && *at++ == 1 && varint_take(&at, end, &length) &&
                     varint_take(&at, end, &later) && varint_take(&at, end, &delta) &&
                     (actor != 0 || varint_take(&at, end, &actor)) && end - at == 1 && *at < 64;
    if (!is_single) {
        struct posting_section section;
        int err = posting_section_parse(block, bytes, &section);
        if (!err) {
            *totals_out = section.totals;
        }
        return err;
    }
    if (delta >= WINDOW_COUNTERS || actor == 0 || actor > ACTORS_MAX) {
        return ERR_CORRUPT;
    }
    struct event_id id = {
        .counter = (block->window << POSTING_WINDOW_BITS) + delta + *at,
        .actor = (uint16_t)actor,
    };
    uint64_t timestamp_ms = block->timestamp_base_ms + later;
    *totals_out = (struct posting_totals){1, length, 1, id, id, timestamp_ms, timestamp_ms};
    return 0;
}

int posting_section_next(struct posting_section *section, struct index_hit *hit_out)
{
    if (section->hits_left == 0) {
        return section->at == section->end && section->events_left == 0 ? POSTING_END : ERR_CORRUPT;
    }
    struct index_hit hit;
    int err = hit_take(section, &hit);
    if (err) {
        return err;
    }
    uint64_t events = (uint64_t)__builtin_popcountll(hit.positions);
    if (events > section->events_left) {
        return ERR_CORRUPT;
    }
    section->events_left -= events;
    section->hits_left--;
    *hit_out = hit;
    return 0;
}
