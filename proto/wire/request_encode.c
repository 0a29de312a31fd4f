// Requests to bytes, in the order of docs/protocol.md. What has its default value is left out or
// nil, so that every request has exactly one encoding.

#include <assert.h>

#include "proto/wire/envelope.h"
#include "proto/wire/message.h"

static const uint8_t EMPTY_MAP[] = {0x80};

static void pack_cursor(struct pack *pack, struct bytes cursor)
{
    pack_raw(pack, cursor.length > 0 ? cursor : bytes_of(EMPTY_MAP, sizeof EMPTY_MAP));
}

static void pack_after(struct pack *pack, const struct request_after *after)
{
    if (after->cursor.length == 0) {
        pack_nil(pack);
        return;
    }
    pack_array(pack, 2);
    pack_raw(pack, after->cursor);
    pack_uint(pack, after->timeout_ms);
}

static void pack_filter(struct pack *pack, const struct filter_entry *entries, uint32_t count)
{
    assert(count <= PATTERNS_TOTAL_MAX);
    pack_array(pack, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_array(pack, 2);
        pack_uint(pack, entries[i].is_exact ? ENTRY_NAME : ENTRY_PATTERN);
        pack_text(pack, entries[i].text);
    }
}

static void pack_start(struct pack *pack, const struct request_subscribe *subscribe)
{
    bool is_alone = subscribe->start == START_BEGINNING || subscribe->start == START_END;
    pack_array(pack, is_alone ? 1 : 2);
    pack_uint(pack, subscribe->start);
    switch (subscribe->start) {
    case START_BEGINNING:
    case START_END:
        break;
    case START_AT_AFTER_ID:
    case START_AT_ID:
        envelope_pack_event_id(pack, subscribe->start_id);
        break;
    case START_AT_CURSOR:
        pack_cursor(pack, subscribe->start_cursor);
        break;
    case START_AT_TIME:
        pack_uint(pack, subscribe->start_time_ms);
        break;
    case START_LAST:
        pack_uint(pack, subscribe->start_last);
        break;
    }
}

static void pack_end(struct pack *pack, const struct request_subscribe *subscribe)
{
    pack_array(pack, subscribe->end == END_CURSOR ? 2 : 1);
    pack_uint(pack, subscribe->end);
    if (subscribe->end == END_CURSOR) {
        pack_cursor(pack, subscribe->end_cursor);
    }
}

static void pack_number_option(struct pack *pack, enum subscribe_option option, uint64_t value)
{
    if (value > 0) {
        pack_uint(pack, option);
        pack_uint(pack, value);
    }
}

static void pack_options(struct pack *pack, const struct request_subscribe *subscribe)
{
    uint32_t count = (subscribe->entries_count > 0) + (subscribe->start != START_BEGINNING) +
                     (subscribe->end != END_NEVER) + (subscribe->limit > 0) +
                     (subscribe->credit_bytes > 0) + (subscribe->heartbeat_ms > 0) +
                     subscribe->is_stable_order + subscribe->wants_marks;
    pack_map(pack, count);
    if (subscribe->entries_count > 0) {
        pack_uint(pack, OPTION_FILTER);
        pack_filter(pack, subscribe->entries, subscribe->entries_count);
    }
    if (subscribe->start != START_BEGINNING) {
        pack_uint(pack, OPTION_START);
        pack_start(pack, subscribe);
    }
    if (subscribe->end != END_NEVER) {
        pack_uint(pack, OPTION_END);
        pack_end(pack, subscribe);
    }
    pack_number_option(pack, OPTION_LIMIT, subscribe->limit);
    pack_number_option(pack, OPTION_CREDIT_BYTES, subscribe->credit_bytes);
    pack_number_option(pack, OPTION_HEARTBEAT_MS, subscribe->heartbeat_ms);
    pack_number_option(pack, OPTION_ORDER, subscribe->is_stable_order ? ORDER_STABLE : 0);
    if (subscribe->wants_marks) {
        pack_uint(pack, OPTION_MARKS);
        pack_bool(pack, true);
    }
}

// Elements behind the events of a produce.
static uint32_t produce_tail_elements(const struct request_produce *produce)
{
    if (produce->replicas_timeout_ms > 0) {
        return 2;
    }
    return produce->replicas > 0 ? 1 : 0;
}

static void pack_produce_tail(struct pack *pack, const struct request_produce *produce)
{
    uint32_t elements = produce_tail_elements(produce);
    if (elements >= 1) {
        pack_uint(pack, produce->replicas);
    }
    if (elements >= 2) {
        pack_uint(pack, produce->replicas_timeout_ms);
    }
}

// An integer's length in the shortest form of msgpack, for numbers below 2^32.
static size_t number_length(uint32_t number)
{
    if (number < 0x80) {
        return 1;
    }
    return number <= UINT8_MAX ? 2 : number <= UINT16_MAX ? 3 : 5;
}

static size_t produce_tail_length(const struct request_produce *produce)
{
    uint32_t elements = produce_tail_elements(produce);
    return (elements >= 1 ? number_length(produce->replicas) : 0) +
           (elements >= 2 ? number_length(produce->replicas_timeout_ms) : 0);
}

static void pack_produce_head(struct pack *pack, const struct request *request, struct buffer *out,
                              size_t events_length)
{
    uint32_t elements = 5 + produce_tail_elements(&request->produce);
    envelope_pack(pack, out, elements, REQUEST_PRODUCE, request->id);
    pack_after(pack, &request->produce.after);
    pack_uint(pack, request->produce.events_count);
    pack_bin_head(pack, events_length);
}

static void pack_subscribe(struct pack *pack, const struct request *request, struct buffer *out)
{
    envelope_pack(pack, out, 4, REQUEST_SUBSCRIBE, request->id);
    pack_after(pack, &request->subscribe.after);
    pack_options(pack, &request->subscribe);
}

static void pack_hello(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_hello *hello = &request->hello;
    envelope_pack(pack, out, 6, REQUEST_HELLO, request->id);
    pack_uint(pack, hello->version_min);
    pack_uint(pack, hello->version_max);
    pack_text(pack, hello->client_name);
    pack_uint(pack, hello->features);
}

static void pack_get(struct pack *pack, const struct request *request, struct buffer *out)
{
    envelope_pack(pack, out, 4, REQUEST_GET, request->id);
    pack_after(pack, &request->get.after);
    envelope_pack_event_id(pack, request->get.event);
}

static void pack_last(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_last *last = &request->last;
    envelope_pack(pack, out, 5, REQUEST_LAST, request->id);
    pack_after(pack, &last->after);
    pack_uint(pack, last->events_max);
    pack_filter(pack, last->entries, last->entries_count);
}

static void pack_neighbor(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_neighbor *neighbor = &request->neighbor;
    envelope_pack(pack, out, 6, REQUEST_NEIGHBOR, request->id);
    pack_after(pack, &neighbor->after);
    pack_uint(pack, neighbor->which);
    if (neighbor->which == NEIGHBOR_FIRST) {
        pack_nil(pack);
    } else {
        envelope_pack_event_id(pack, neighbor->event);
    }
    pack_filter(pack, neighbor->entries, neighbor->entries_count);
}

static void pack_namespaces(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_namespaces *namespaces = &request->namespaces;
    envelope_pack(pack, out, 6, REQUEST_NAMESPACES, request->id);
    pack_after(pack, &namespaces->after);
    pack_text(pack, namespaces->pattern);
    pack_text(pack, namespaces->after_name);
    pack_uint(pack, namespaces->page_max);
}

static void pack_cluster(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_cluster *cluster = &request->cluster;
    envelope_pack(pack, out, 7, REQUEST_CLUSTER, request->id);
    pack_uint(pack, cluster->which);
    pack_uint(pack, cluster->actor);
    pack_uint(pack, cluster->first);
    pack_uint(pack, cluster->last);
    pack_bool(pack, cluster->is_forced);
}

int request_encode(const struct request *request, struct buffer *out)
{
    assert(request->id != 0);
    struct pack pack;
    switch (request->kind) {
    case REQUEST_HELLO:
        pack_hello(&pack, request, out);
        break;
    case REQUEST_PING:
    case REQUEST_STOP:
    case REQUEST_STATUS:
        envelope_pack(&pack, out, 2, request->kind, request->id);
        break;
    case REQUEST_PRODUCE:
        pack_produce_head(&pack, request, out, request->produce.events.length);
        pack_raw(&pack, request->produce.events);
        pack_produce_tail(&pack, &request->produce);
        break;
    case REQUEST_SUBSCRIBE:
        pack_subscribe(&pack, request, out);
        break;
    case REQUEST_CREDIT:
        envelope_pack(&pack, out, 3, REQUEST_CREDIT, request->id);
        pack_uint(&pack, request->credit.bytes);
        break;
    case REQUEST_GET:
        pack_get(&pack, request, out);
        break;
    case REQUEST_LAST:
        pack_last(&pack, request, out);
        break;
    case REQUEST_NEIGHBOR:
        pack_neighbor(&pack, request, out);
        break;
    case REQUEST_NAMESPACES:
        pack_namespaces(&pack, request, out);
        break;
    case REQUEST_CLUSTER:
        pack_cluster(&pack, request, out);
        break;
    }
    return envelope_finish(&pack, 0);
}

int request_encode_head(const struct request *request, size_t events_length, struct buffer *out)
{
    assert(request->id != 0 && request->kind == REQUEST_PRODUCE);
    struct pack pack;
    pack_produce_head(&pack, request, out, events_length);
    return envelope_finish(&pack, events_length + produce_tail_length(&request->produce));
}

int request_encode_tail(const struct request *request, struct buffer *out)
{
    assert(request->kind == REQUEST_PRODUCE);
    struct pack pack;
    pack_init(&pack, out);
    pack_produce_tail(&pack, &request->produce);
    return pack_finish(&pack);
}
