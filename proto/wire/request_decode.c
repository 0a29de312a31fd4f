// Bytes to requests. Each kind is one straight run over a cursor whose first error sticks; the
// result is checked once, in envelope_close. Only the fields of the message's kind are written: a
// struct request has room for 64 patterns, and clearing it would cost more than decoding a produce.
// Values from a later version (an unknown option, start, order) are ERR_UNSUPPORTED: the message
// is well-formed, and its sender can be told.

#include "proto/base/limits.h"
#include "proto/model/position.h"
#include "proto/wire/envelope.h"
#include "proto/wire/message.h"

_Static_assert(PATTERNS_TOTAL_MAX == PATTERNS_MAX, "a request holds as many as a filter takes");

static void unpack_after(struct unpack *unpack, struct request_after *after)
{
    *after = (struct request_after){0};
    if (unpack_take_nil(unpack)) {
        return;
    }
    uint32_t more = unpack_array_of(unpack, 2, "after");
    after->cursor = unpack_map_encoded(unpack, "after's cursor");
    after->timeout_ms = (uint32_t)unpack_uint(unpack, UINT32_MAX, "after's timeout");
    unpack_skip(unpack, more, "after");
}

static uint32_t unpack_filter(struct unpack *unpack, struct filter_entry *entries)
{
    uint32_t count = unpack_array(unpack, "filter");
    if (count > PATTERNS_TOTAL_MAX) {
        unpack_fail(unpack, ERR_LIMIT, "filter", "has more than 64 entries");
    }
    for (uint32_t i = 0; i < count && !unpack->err; i++) {
        uint32_t more = unpack_array_of(unpack, 2, "filter's entry");
        uint64_t kind = unpack_uint(unpack, UINT64_MAX, "filter's entry's kind");
        if (kind > ENTRY_NAME) {
            unpack_fail(unpack, ERR_UNSUPPORTED, "filter's entry's kind", "is unknown");
        }
        entries[i].is_exact = kind == ENTRY_NAME;
        entries[i].text = unpack_text(unpack, "filter's entry's text");
        unpack_skip(unpack, more, "filter's entry");
    }
    return unpack->err ? 0 : count;
}

// `last_out`: of START_LAST; NULL where that is not for.
static void unpack_start(struct unpack *unpack, struct request_start *start, uint64_t *last_out)
{
    uint32_t elements = unpack_array_of(unpack, 1, "start");
    uint64_t kind = unpack_uint(unpack, UINT64_MAX, "start's kind");
    if (kind > START_LAST) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "start's kind", "is unknown");
    }
    if (kind == START_LAST && !last_out) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "start's kind", "is not for what lasts");
    }
    if (kind > START_END && elements == 0) {
        unpack_fail(unpack, ERR_INVALID, "start", "has too few elements");
    }
    if (unpack->err) {
        return;
    }
    start->kind = (enum start_kind)kind;
    switch (start->kind) {
    case START_BEGINNING:
    case START_END:
        unpack_skip(unpack, elements, "start");
        return;
    case START_AT_AFTER_ID:
    case START_AT_ID:
        start->id = envelope_unpack_event_id(unpack, "start's id");
        break;
    case START_AT_CURSOR:
        start->cursor = unpack_map_encoded(unpack, "start's cursor");
        break;
    case START_AT_TIME:
        start->time_ms = unpack_uint(unpack, UINT64_MAX, "start's time");
        break;
    case START_LAST:
        *last_out = unpack_uint(unpack, UINT64_MAX, "start's count");
        break;
    }
    unpack_skip(unpack, elements - 1, "start");
}

static void unpack_subscribe_start(struct unpack *unpack, struct request_subscribe *subscribe)
{
    struct request_start start = {.kind = START_BEGINNING};
    unpack_start(unpack, &start, &subscribe->start_last);
    subscribe->start = start.kind;
    subscribe->start_id = start.id;
    subscribe->start_cursor = start.cursor;
    subscribe->start_time_ms = start.time_ms;
}

static void unpack_end(struct unpack *unpack, struct request_subscribe *subscribe)
{
    uint32_t elements = unpack_array_of(unpack, 1, "end");
    uint64_t kind = unpack_uint(unpack, UINT64_MAX, "end's kind");
    if (kind > END_CURSOR) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "end's kind", "is unknown");
    }
    if (kind == END_CURSOR) {
        if (elements == 0) {
            unpack_fail(unpack, ERR_INVALID, "end", "has too few elements");
        }
        subscribe->end_cursor = unpack_map_encoded(unpack, "end's cursor");
        elements -= elements > 0;
    }
    unpack_skip(unpack, elements, "end");
    subscribe->end = unpack->err ? END_NEVER : (enum end_kind)kind;
}

static bool unpack_order(struct unpack *unpack)
{
    uint64_t order = unpack_uint(unpack, UINT64_MAX, "order");
    if (order > ORDER_STABLE) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "order", "is unknown");
    }
    return order == ORDER_STABLE;
}

static uint32_t unpack_u32(struct unpack *unpack, const char *field)
{
    return (uint32_t)unpack_uint(unpack, UINT32_MAX, field);
}

static void unknown_option(struct unpack *unpack)
{
    unpack_fail(unpack, ERR_UNSUPPORTED, "an option's key", "is unknown");
}

// Returns how many there are.
static uint32_t unpack_attributes(struct unpack *unpack, struct attribute_match *attributes)
{
    uint32_t count = unpack_array(unpack, "attributes");
    if (count > ATTRIBUTE_MATCHES_MAX) {
        unpack_fail(unpack, ERR_LIMIT, "attributes", "are more than 16");
    }
    for (uint32_t i = 0; i < count && !unpack->err; i++) {
        uint32_t more = unpack_array_of(unpack, 2, "an attribute");
        attributes[i].name = unpack_text(unpack, "an attribute's name");
        attributes[i].value = unpack_bin(unpack, "an attribute's value");
        unpack_skip(unpack, more, "an attribute");
    }
    return unpack->err ? 0 : count;
}

static void unpack_subscribe_option(struct unpack *unpack, enum subscribe_option option,
                                    struct request_subscribe *subscribe)
{
    switch (option) {
    case OPTION_FILTER:
        subscribe->entries_count = unpack_filter(unpack, subscribe->entries);
        return;
    case OPTION_START:
        unpack_subscribe_start(unpack, subscribe);
        return;
    case OPTION_END:
        unpack_end(unpack, subscribe);
        return;
    case OPTION_LIMIT:
        subscribe->limit = unpack_uint(unpack, UINT64_MAX, "limit");
        return;
    case OPTION_CREDIT_BYTES:
        subscribe->credit_bytes = unpack_uint(unpack, UINT64_MAX, "credit");
        return;
    case OPTION_HEARTBEAT_MS:
        subscribe->heartbeat_ms = unpack_u32(unpack, "heartbeat");
        return;
    case OPTION_ORDER:
        subscribe->is_stable_order = unpack_order(unpack);
        return;
    case OPTION_MARKS:
        subscribe->wants_marks = unpack_bool(unpack, "marks");
        return;
    case OPTION_ATTRIBUTES:
        subscribe->attributes_count = unpack_attributes(unpack, subscribe->attributes);
        return;
    case OPTION_TIME_MIN:
        subscribe->timestamp_min_ms = unpack_uint(unpack, UINT64_MAX, "earliest time");
        return;
    case OPTION_IN_FLIGHT:
    case OPTION_CREATE:
    case OPTION_KEY:
    case OPTION_CONCURRENCY:
    case OPTION_ATTEMPTS:
    case OPTION_ACK_WAIT_MS:
    case OPTION_CHECKPOINT_EVERY:
    case OPTION_CHECKPOINT_AFTER_MS:
    case OPTION_QUEUE:
    case OPTION_TRANSIENT:
        break;
    }
    unknown_option(unpack);
}

// The key of the next option; false after a failure. `seen` has a bit for each that there was.
static bool unpack_option_key(struct unpack *unpack, uint32_t *seen, enum subscribe_option *out)
{
    uint64_t option = unpack_uint(unpack, UINT64_MAX, "an option's key");
    if (option < OPTION_FILTER || option > OPTION_TRANSIENT) {
        unknown_option(unpack); // unless it failed before
    } else if (*seen & 1u << option) {
        unpack_fail(unpack, ERR_INVALID, "an option", "is given twice");
    }
    if (unpack->err) {
        return false;
    }
    *seen |= 1u << option;
    *out = (enum subscribe_option)option;
    return true;
}

static void unpack_subscribe(struct unpack *unpack, struct request_subscribe *subscribe)
{
    unpack_after(unpack, &subscribe->after);
    subscribe->entries_count = 0;
    subscribe->start = START_BEGINNING;
    subscribe->start_id = (struct event_id){0};
    subscribe->start_cursor = (struct bytes){0};
    subscribe->start_time_ms = 0;
    subscribe->start_last = 0;
    subscribe->end = END_NEVER;
    subscribe->end_cursor = (struct bytes){0};
    subscribe->limit = 0;
    subscribe->credit_bytes = 0;
    subscribe->heartbeat_ms = 0;
    subscribe->is_stable_order = false;
    subscribe->wants_marks = false;
    subscribe->attributes_count = 0;
    subscribe->timestamp_min_ms = 0;
    uint32_t seen = 0;
    enum subscribe_option option;
    for (uint32_t left = unpack_map(unpack, "options"); left > 0 && !unpack->err; left--) {
        if (unpack_option_key(unpack, &seen, &option)) {
            unpack_subscribe_option(unpack, option, subscribe);
        }
    }
}

static void unpack_hello(struct unpack *unpack, struct request_hello *hello)
{
    hello->version_min = (uint32_t)unpack_uint(unpack, UINT32_MAX, "lowest version");
    hello->version_max = (uint32_t)unpack_uint(unpack, UINT32_MAX, "highest version");
    hello->client_name = unpack_text(unpack, "client's name");
    if (hello->client_name.length > NAME_BYTES_MAX) {
        unpack_fail(unpack, ERR_LIMIT, "client's name", "is longer than 128 bytes");
    }
    hello->features = (uint32_t)unpack_uint(unpack, UINT32_MAX, "features");
}

static void unpack_neighbor(struct unpack *unpack, struct request_neighbor *neighbor)
{
    unpack_after(unpack, &neighbor->after);
    uint64_t which = unpack_uint(unpack, UINT64_MAX, "which");
    if (which > NEIGHBOR_PREVIOUS) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "which", "is unknown");
        return;
    }
    neighbor->which = (enum neighbor_kind)which;
    neighbor->event = (struct event_id){0};
    if (neighbor->which != NEIGHBOR_FIRST || !unpack_take_nil(unpack)) {
        neighbor->event = envelope_unpack_event_id(unpack, "the event's id");
    }
    neighbor->entries_count = unpack_filter(unpack, neighbor->entries);
}

static void unpack_namespaces(struct unpack *unpack, struct request_namespaces *namespaces)
{
    unpack_after(unpack, &namespaces->after);
    namespaces->pattern = unpack_text(unpack, "pattern");
    namespaces->after_name = unpack_text(unpack, "the name to start behind");
    namespaces->page_max = (uint32_t)unpack_uint(unpack, UINT32_MAX, "the page's length");
}

static void unpack_last(struct unpack *unpack, struct request_last *last)
{
    unpack_after(unpack, &last->after);
    last->events_max = (uint32_t)unpack_uint(unpack, UINT32_MAX, "the number of events");
    last->entries_count = unpack_filter(unpack, last->entries);
}

static void unpack_produce(struct unpack *unpack, struct request_produce *produce)
{
    unpack_after(unpack, &produce->after);
    produce->events_count = (uint32_t)unpack_uint(unpack, UINT32_MAX, "the number of events");
    produce->events = unpack_bin(unpack, "events");
    produce->replicas = 0;
    produce->replicas_timeout_ms = 0;
}

// Elements of PRODUCE that came later and may be missing; returns how many of `more` they are.
static uint32_t unpack_produce_tail(struct unpack *unpack, uint32_t more,
                                    struct request_produce *produce)
{
    if (more >= 1) {
        produce->replicas = (uint32_t)unpack_uint(unpack, UINT32_MAX, "replicas");
    }
    if (more >= 2) {
        produce->replicas_timeout_ms =
            (uint32_t)unpack_uint(unpack, UINT32_MAX, "the replicas' timeout");
    }
    return more < 2 ? more : 2;
}

static void unpack_cluster(struct unpack *unpack, struct request_cluster *cluster)
{
    uint64_t which = unpack_uint(unpack, UINT64_MAX, "which");
    if (which > CLUSTER_FORGIVE) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "which", "is unknown");
        return;
    }
    cluster->which = (enum cluster_request_kind)which;
    cluster->actor = (uint16_t)unpack_uint(unpack, ACTORS_MAX, "actor");
    cluster->first = unpack_uint(unpack, COUNTER_MAX, "first");
    cluster->last = unpack_uint(unpack, COUNTER_MAX, "last");
    cluster->is_forced = unpack_bool(unpack, "forced");
}

// --- Durable subscriptions ---------------------------------------------------------------------

static void unpack_key(struct unpack *unpack, struct subscription_definition *definition)
{
    uint32_t elements = unpack_array_of(unpack, 1, "key");
    uint64_t kind = unpack_uint(unpack, UINT64_MAX, "key's kind");
    if (kind > GROUP_KEY_ATTRIBUTE) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "key's kind", "is unknown");
    }
    bool has_value = kind == GROUP_KEY_COMPONENTS || kind == GROUP_KEY_ATTRIBUTE;
    if (has_value && elements == 0) {
        unpack_fail(unpack, ERR_INVALID, "key", "has too few elements");
    }
    if (unpack->err) {
        return;
    }
    definition->key = (enum group_key_kind)kind;
    if (kind == GROUP_KEY_COMPONENTS) {
        definition->key_components = unpack_u32(unpack, "key's components");
    } else if (kind == GROUP_KEY_ATTRIBUTE) {
        definition->key_attribute = unpack_text(unpack, "key's attribute");
    }
    unpack_skip(unpack, elements - has_value, "key");
}

// 0 is the same as leaving it out.
static void unpack_unless_0(struct unpack *unpack, const char *field, uint32_t *number)
{
    uint32_t given = unpack_u32(unpack, field);
    *number = given > 0 ? given : *number;
}

// False: it is none of what a durable subscription is made of.
static bool unpack_definition_option(struct unpack *unpack, enum subscribe_option option,
                                     struct subscription_definition *definition,
                                     struct request_start *start)
{
    switch (option) {
    case OPTION_FILTER:
        definition->entries_count = unpack_filter(unpack, definition->entries);
        return true;
    case OPTION_START:
        unpack_start(unpack, start, NULL);
        return true;
    case OPTION_ORDER:
        definition->is_stable_order = unpack_order(unpack);
        return true;
    case OPTION_ATTRIBUTES:
        definition->attributes_count = unpack_attributes(unpack, definition->attributes);
        return true;
    case OPTION_TIME_MIN:
        definition->timestamp_min_ms = unpack_uint(unpack, UINT64_MAX, "earliest time");
        return true;
    case OPTION_KEY:
        unpack_key(unpack, definition);
        return true;
    case OPTION_CONCURRENCY:
        unpack_unless_0(unpack, "concurrency", &definition->concurrency);
        return true;
    case OPTION_ATTEMPTS:
        definition->attempts = unpack_u32(unpack, "attempts"); // 0: for ever
        return true;
    case OPTION_ACK_WAIT_MS:
        unpack_unless_0(unpack, "ack wait", &definition->ack_wait_ms);
        return true;
    case OPTION_CHECKPOINT_EVERY:
        unpack_unless_0(unpack, "checkpoint every", &definition->checkpoint_every);
        return true;
    case OPTION_CHECKPOINT_AFTER_MS:
        unpack_unless_0(unpack, "checkpoint after", &definition->checkpoint_after_ms);
        return true;
    case OPTION_QUEUE:
        unpack_unless_0(unpack, "queue", &definition->queue);
        return true;
    case OPTION_TRANSIENT:
        definition->is_transient = unpack_bool(unpack, "transient");
        return true;
    case OPTION_END:
    case OPTION_LIMIT:
    case OPTION_CREDIT_BYTES:
    case OPTION_HEARTBEAT_MS:
    case OPTION_MARKS:
    case OPTION_IN_FLIGHT:
    case OPTION_CREATE:
        break;
    }
    return false;
}

// False: it is none of a consumer.
static bool unpack_consumer_option(struct unpack *unpack, enum subscribe_option option,
                                   struct request_attach *attach)
{
    if (option == OPTION_CREDIT_BYTES) {
        attach->credit_bytes = unpack_uint(unpack, UINT64_MAX, "credit");
    } else if (option == OPTION_HEARTBEAT_MS) {
        attach->heartbeat_ms = unpack_u32(unpack, "heartbeat");
    } else if (option == OPTION_CREATE) {
        attach->create = unpack_bool(unpack, "create");
    } else if (option == OPTION_IN_FLIGHT) {
        attach->in_flight = unpack_u32(unpack, "events in flight");
        if (attach->in_flight > GROUP_IN_FLIGHT_MAX) {
            unpack_fail(unpack, ERR_LIMIT, "events in flight", "are more than 16384");
        }
    } else {
        return false;
    }
    return true;
}

// `attach` is NULL where the options are no consumer's.
static void unpack_durable_options(struct unpack *unpack, struct request_attach *attach,
                                   struct subscription_definition *definition,
                                   struct request_start *start)
{
    subscription_definition_init(definition);
    *start = (struct request_start){.kind = START_BEGINNING};
    uint32_t seen = 0;
    enum subscribe_option option;
    for (uint32_t left = unpack_map(unpack, "options"); left > 0 && !unpack->err; left--) {
        if (unpack_option_key(unpack, &seen, &option) &&
            !unpack_definition_option(unpack, option, definition, start) &&
            !(attach && unpack_consumer_option(unpack, option, attach))) {
            unknown_option(unpack);
        }
    }
}

static void unpack_attach(struct unpack *unpack, struct request_attach *attach)
{
    unpack_after(unpack, &attach->after);
    attach->name = unpack_text(unpack, "name");
    attach->in_flight = 0;
    attach->credit_bytes = 0;
    attach->heartbeat_ms = 0;
    attach->create = false;
    attach->client = bytes_of(NULL, 0);
    unpack_durable_options(unpack, attach, &attach->definition, &attach->start);
}

static void unpack_nil(struct unpack *unpack, const char *field)
{
    if (!unpack_take_nil(unpack)) {
        unpack_fail(unpack, ERR_INVALID, field, "is not nil");
    }
}

static struct bytes unpack_ranges(struct unpack *unpack)
{
    struct bytes ranges = unpack_bin(unpack, "ranges");
    if (ranges.length > (size_t)ACK_RANGES_MAX * DONE_RANGE_LENGTH) {
        unpack_fail(unpack, ERR_LIMIT, "ranges", "are more than 65536");
    }
    struct bytes rest = ranges;
    struct done_range range;
    while (rest.length > 0 && !unpack->err) {
        if (done_range_next(&rest, &range) != 0) {
            unpack_fail(unpack, ERR_INVALID, "ranges", "have one that is none");
        }
    }
    return ranges;
}

static void unpack_ack(struct unpack *unpack, struct request_ack *ack)
{
    unpack_nil(unpack, "after");
    ack->attachment = unpack_uint(unpack, UINT64_MAX, "the attachment's id");
    ack->up_to = (struct event_id){0};
    if (!unpack_take_nil(unpack)) {
        ack->up_to = envelope_unpack_event_id(unpack, "the event's id");
    }
    ack->ranges = unpack_ranges(unpack);
}

static void unpack_nack(struct unpack *unpack, struct request_nack *nack)
{
    unpack_nil(unpack, "after");
    nack->attachment = unpack_uint(unpack, UINT64_MAX, "the attachment's id");
    nack->ranges = unpack_ranges(unpack);
    nack->delay_ms = unpack_u32(unpack, "delay");
    nack->reason = unpack_text(unpack, "reason");
}

static void unpack_subscriptions(struct unpack *unpack, struct request_subscriptions *subscriptions)
{
    unpack_after(unpack, &subscriptions->after);
    uint64_t which = unpack_uint(unpack, UINT64_MAX, "which");
    if (which > SUBSCRIPTIONS_DELETE) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "which", "is unknown");
        return;
    }
    subscriptions->which = (enum subscriptions_request_kind)which;
    subscriptions->name = unpack_text(unpack, "name");
    subscriptions->after_name = unpack_text(unpack, "the name to start behind");
    unpack_durable_options(unpack, NULL, &subscriptions->definition, &subscriptions->start);
}

// --- All of them -------------------------------------------------------------------------------

// For each kind its name and how many elements it has behind kind and id.
static const struct {
    const char *name;
    uint32_t elements;
} KINDS[] = {
    [REQUEST_HELLO] = {"hello", 4},       [REQUEST_PING] = {"ping", 0},
    [REQUEST_PRODUCE] = {"produce", 3},   [REQUEST_SUBSCRIBE] = {"subscribe", 2},
    [REQUEST_CREDIT] = {"credit", 1},     [REQUEST_STOP] = {"stop", 0},
    [REQUEST_GET] = {"get", 2},           [REQUEST_LAST] = {"last", 3},
    [REQUEST_NEIGHBOR] = {"neighbor", 4}, [REQUEST_NAMESPACES] = {"namespaces", 4},
    [REQUEST_STATUS] = {"status", 0},     [REQUEST_CLUSTER] = {"cluster", 5},
    [REQUEST_ATTACH] = {"attach", 3},     [REQUEST_ACK] = {"ack", 4},
    [REQUEST_NACK] = {"nack", 5},         [REQUEST_SUBSCRIPTIONS] = {"subscriptions", 5},
};

static void unpack_elements(struct unpack *unpack, struct request *request)
{
    switch (request->kind) {
    case REQUEST_PING:
    case REQUEST_STOP:
    case REQUEST_STATUS:
        return;
    case REQUEST_HELLO:
        unpack_hello(unpack, &request->hello);
        return;
    case REQUEST_PRODUCE:
        unpack_produce(unpack, &request->produce);
        return;
    case REQUEST_SUBSCRIBE:
        unpack_subscribe(unpack, &request->subscribe);
        return;
    case REQUEST_CREDIT:
        request->credit.bytes = unpack_uint(unpack, UINT64_MAX, "bytes");
        return;
    case REQUEST_GET:
        unpack_after(unpack, &request->get.after);
        request->get.event = envelope_unpack_event_id(unpack, "the event's id");
        return;
    case REQUEST_LAST:
        unpack_last(unpack, &request->last);
        return;
    case REQUEST_NEIGHBOR:
        unpack_neighbor(unpack, &request->neighbor);
        return;
    case REQUEST_NAMESPACES:
        unpack_namespaces(unpack, &request->namespaces);
        return;
    case REQUEST_CLUSTER:
        unpack_cluster(unpack, &request->cluster);
        return;
    case REQUEST_ATTACH:
        unpack_attach(unpack, &request->attach);
        return;
    case REQUEST_ACK:
        unpack_ack(unpack, &request->ack);
        return;
    case REQUEST_NACK:
        unpack_nack(unpack, &request->nack);
        return;
    case REQUEST_SUBSCRIPTIONS:
        unpack_subscriptions(unpack, &request->subscriptions);
        return;
    }
}

int request_decode(struct bytes message, struct request *request_out, struct reason *reason)
{
    struct envelope envelope;
    envelope_unpack(&envelope, message);
    request_out->id = envelope.id;
    if (!envelope.unpack.err && envelope.id == 0) {
        unpack_fail(&envelope.unpack, ERR_INVALID, "id", "is 0");
    }
    if (envelope.unpack.err) {
        return envelope_close(&envelope, 0, "message", reason);
    }
    if (envelope.kind < REQUEST_HELLO || envelope.kind > REQUEST_SUBSCRIPTIONS) {
        int err = envelope_close(&envelope, 0, "message", reason);
        return err ? err
                   : reason_set(reason, MESSAGE_UNKNOWN_KIND, "requests of kind %llu are unknown",
                                (unsigned long long)envelope.kind);
    }
    request_out->kind = (enum request_kind)envelope.kind;
    uint32_t elements = KINDS[envelope.kind].elements;
    envelope_require(&envelope, elements);
    unpack_elements(&envelope.unpack, request_out);
    if (request_out->kind == REQUEST_PRODUCE && !envelope.unpack.err) {
        elements += unpack_produce_tail(&envelope.unpack, envelope.elements - elements,
                                        &request_out->produce);
    }
    if (request_out->kind == REQUEST_ATTACH && !envelope.unpack.err &&
        envelope.elements > elements) {
        request_out->attach.client = unpack_text(&envelope.unpack, "the client");
        elements++;
    }
    return envelope_close(&envelope, elements, KINDS[envelope.kind].name, reason);
}
