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

static void pack_start(struct pack *pack, const struct request_start *start, uint64_t last)
{
    bool is_alone = start->kind == START_BEGINNING || start->kind == START_END;
    pack_array(pack, is_alone ? 1 : 2);
    pack_uint(pack, start->kind);
    switch (start->kind) {
    case START_BEGINNING:
    case START_END:
        break;
    case START_AT_AFTER_ID:
    case START_AT_ID:
        envelope_pack_event_id(pack, start->id);
        break;
    case START_AT_CURSOR:
        pack_cursor(pack, start->cursor);
        break;
    case START_AT_TIME:
        pack_uint(pack, start->time_ms);
        break;
    case START_LAST:
        pack_uint(pack, last);
        break;
    }
}

static void pack_subscribe_start(struct pack *pack, const struct request_subscribe *subscribe)
{
    struct request_start start = {
        .kind = subscribe->start,
        .id = subscribe->start_id,
        .cursor = subscribe->start_cursor,
        .time_ms = subscribe->start_time_ms,
    };
    pack_start(pack, &start, subscribe->start_last);
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

static void pack_attributes(struct pack *pack, const struct attribute_match *attributes,
                            uint32_t count)
{
    assert(count <= ATTRIBUTE_MATCHES_MAX);
    pack_array(pack, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_array(pack, 2);
        pack_text(pack, attributes[i].name);
        pack_bin(pack, attributes[i].value);
    }
}

static void pack_options(struct pack *pack, const struct request_subscribe *subscribe)
{
    uint32_t count = (subscribe->entries_count > 0) + (subscribe->start != START_BEGINNING) +
                     (subscribe->end != END_NEVER) + (subscribe->limit > 0) +
                     (subscribe->credit_bytes > 0) + (subscribe->heartbeat_ms > 0) +
                     subscribe->is_stable_order + subscribe->wants_marks +
                     (subscribe->attributes_count > 0) + (subscribe->timestamp_min_ms > 0);
    pack_map(pack, count);
    if (subscribe->entries_count > 0) {
        pack_uint(pack, OPTION_FILTER);
        pack_filter(pack, subscribe->entries, subscribe->entries_count);
    }
    if (subscribe->start != START_BEGINNING) {
        pack_uint(pack, OPTION_START);
        pack_subscribe_start(pack, subscribe);
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
    if (subscribe->attributes_count > 0) {
        pack_uint(pack, OPTION_ATTRIBUTES);
        pack_attributes(pack, subscribe->attributes, subscribe->attributes_count);
    }
    pack_number_option(pack, OPTION_TIME_MIN, subscribe->timestamp_min_ms);
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

// --- Durable subscriptions ---------------------------------------------------------------------

// The options are gone through twice: to count them, without a pack, and to write them.
struct options {
    struct pack *pack;
    uint32_t count;
};

// Writes the key of an option if it is there; true: its value is to be written.
static bool option_begins(struct options *options, enum subscribe_option option, bool is_there)
{
    options->count += is_there;
    if (!is_there || !options->pack) {
        return false;
    }
    pack_uint(options->pack, option);
    return true;
}

static void number_option(struct options *options, enum subscribe_option option, uint64_t value,
                          uint64_t default_value)
{
    if (option_begins(options, option, value > 0 && value != default_value)) {
        pack_uint(options->pack, value);
    }
}

static void pack_key(struct pack *pack, const struct subscription_definition *definition)
{
    bool is_alone = definition->key == GROUP_KEY_NONE || definition->key == GROUP_KEY_NAMESPACE;
    pack_array(pack, is_alone ? 1 : 2);
    pack_uint(pack, definition->key);
    if (definition->key == GROUP_KEY_COMPONENTS) {
        pack_uint(pack, definition->key_components);
    } else if (definition->key == GROUP_KEY_ATTRIBUTE) {
        pack_text(pack, definition->key_attribute);
    }
}

static void filter_options(struct options *options,
                           const struct subscription_definition *definition,
                           const struct request_start *start)
{
    if (option_begins(options, OPTION_FILTER, definition->entries_count > 0)) {
        pack_filter(options->pack, definition->entries, definition->entries_count);
    }
    if (option_begins(options, OPTION_START, start->kind != START_BEGINNING)) {
        pack_start(options->pack, start, 0);
    }
}

static void consumer_options(struct options *options, const struct request_attach *attach)
{
    number_option(options, OPTION_CREDIT_BYTES, attach->credit_bytes, 0);
    number_option(options, OPTION_HEARTBEAT_MS, attach->heartbeat_ms, 0);
    number_option(options, OPTION_IN_FLIGHT, attach->in_flight, 0);
    if (option_begins(options, OPTION_CREATE, attach->create)) {
        pack_bool(options->pack, true);
    }
}

static void group_options(struct options *options, const struct subscription_definition *definition)
{
    struct subscription_definition defaults;
    subscription_definition_init(&defaults);
    number_option(options, OPTION_ORDER, definition->is_stable_order ? ORDER_STABLE : 0, 0);
    if (option_begins(options, OPTION_ATTRIBUTES, definition->attributes_count > 0)) {
        pack_attributes(options->pack, definition->attributes, definition->attributes_count);
    }
    number_option(options, OPTION_TIME_MIN, definition->timestamp_min_ms, 0);
    if (option_begins(options, OPTION_KEY, definition->key != GROUP_KEY_NONE)) {
        pack_key(options->pack, definition);
    }
    number_option(options, OPTION_CONCURRENCY, definition->concurrency, defaults.concurrency);
    if (option_begins(options, OPTION_ATTEMPTS, definition->attempts != defaults.attempts)) {
        pack_uint(options->pack, definition->attempts); // 0 is a value, too
    }
    number_option(options, OPTION_ACK_WAIT_MS, definition->ack_wait_ms, defaults.ack_wait_ms);
    number_option(options, OPTION_CHECKPOINT_EVERY, definition->checkpoint_every,
                  defaults.checkpoint_every);
    number_option(options, OPTION_CHECKPOINT_AFTER_MS, definition->checkpoint_after_ms,
                  defaults.checkpoint_after_ms);
    number_option(options, OPTION_QUEUE, definition->queue, defaults.queue);
    if (option_begins(options, OPTION_TRANSIENT, definition->is_transient)) {
        pack_bool(options->pack, true);
    }
}

static void pack_attach(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_attach *attach = &request->attach;
    struct options options = {0};
    bool has_client = attach->client.length > 0;
    envelope_pack(pack, out, 5 + has_client, REQUEST_ATTACH, request->id);
    pack_after(pack, &attach->after);
    pack_text(pack, attach->name);
    for (int pass = 0; pass < 2; pass++) {
        filter_options(&options, &attach->definition, &attach->start);
        consumer_options(&options, attach);
        group_options(&options, &attach->definition);
        if (pass == 0) {
            pack_map(pack, options.count);
            options.pack = pack;
        }
    }
    if (has_client) {
        pack_text(pack, attach->client);
    }
}

static void pack_subscriptions(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_subscriptions *subscriptions = &request->subscriptions;
    struct options options = {0};
    envelope_pack(pack, out, 7, REQUEST_SUBSCRIPTIONS, request->id);
    pack_after(pack, &subscriptions->after);
    pack_uint(pack, subscriptions->which);
    pack_text(pack, subscriptions->name);
    pack_text(pack, subscriptions->after_name);
    for (int pass = 0; pass < 2; pass++) {
        filter_options(&options, &subscriptions->definition, &subscriptions->start);
        group_options(&options, &subscriptions->definition);
        if (pass == 0) {
            pack_map(pack, options.count);
            options.pack = pack;
        }
    }
}

static void pack_ack(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_ack *ack = &request->ack;
    envelope_pack(pack, out, 6, REQUEST_ACK, request->id);
    pack_nil(pack);
    pack_uint(pack, ack->attachment);
    if (event_id_is_none(ack->up_to)) {
        pack_nil(pack);
    } else {
        envelope_pack_event_id(pack, ack->up_to);
    }
    pack_bin(pack, ack->ranges);
}

static void pack_nack(struct pack *pack, const struct request *request, struct buffer *out)
{
    const struct request_nack *nack = &request->nack;
    envelope_pack(pack, out, 7, REQUEST_NACK, request->id);
    pack_nil(pack);
    pack_uint(pack, nack->attachment);
    pack_bin(pack, nack->ranges);
    pack_uint(pack, nack->delay_ms);
    pack_text(pack, nack->reason);
}

// --- All of them -------------------------------------------------------------------------------

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
    case REQUEST_ATTACH:
        pack_attach(&pack, request, out);
        break;
    case REQUEST_ACK:
        pack_ack(&pack, request, out);
        break;
    case REQUEST_NACK:
        pack_nack(&pack, request, out);
        break;
    case REQUEST_SUBSCRIPTIONS:
        pack_subscriptions(&pack, request, out);
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
