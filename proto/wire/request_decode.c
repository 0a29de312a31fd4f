// Bytes to requests. Each kind is one straight run over a cursor whose first error sticks; the
// result is checked once, in envelope_close. Only the fields of the message's kind are written: a
// struct request has room for 64 patterns, and clearing it would cost more than decoding a produce.
// Values from a later version (an unknown option, start, order) are ERR_UNSUPPORTED: the message
// is well-formed, and its sender can be told.

#include "proto/base/limits.h"
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

static void unpack_start(struct unpack *unpack, struct request_subscribe *subscribe)
{
    uint32_t elements = unpack_array_of(unpack, 1, "start");
    uint64_t kind = unpack_uint(unpack, UINT64_MAX, "start's kind");
    if (kind > START_LAST) {
        unpack_fail(unpack, ERR_UNSUPPORTED, "start's kind", "is unknown");
    }
    if (kind > START_END && elements == 0) {
        unpack_fail(unpack, ERR_INVALID, "start", "has too few elements");
    }
    if (unpack->err) {
        return;
    }
    subscribe->start = (enum start_kind)kind;
    switch (subscribe->start) {
    case START_BEGINNING:
    case START_END:
        unpack_skip(unpack, elements, "start");
        return;
    case START_AT_AFTER_ID:
    case START_AT_ID:
        subscribe->start_id = envelope_unpack_event_id(unpack, "start's id");
        break;
    case START_AT_CURSOR:
        subscribe->start_cursor = unpack_map_encoded(unpack, "start's cursor");
        break;
    case START_AT_TIME:
        subscribe->start_time_ms = unpack_uint(unpack, UINT64_MAX, "start's time");
        break;
    case START_LAST:
        subscribe->start_last = unpack_uint(unpack, UINT64_MAX, "start's count");
        break;
    }
    unpack_skip(unpack, elements - 1, "start");
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

static void unpack_option(struct unpack *unpack, uint64_t option,
                          struct request_subscribe *subscribe)
{
    switch ((enum subscribe_option)option) {
    case OPTION_FILTER:
        subscribe->entries_count = unpack_filter(unpack, subscribe->entries);
        return;
    case OPTION_START:
        unpack_start(unpack, subscribe);
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
        subscribe->heartbeat_ms = (uint32_t)unpack_uint(unpack, UINT32_MAX, "heartbeat");
        return;
    case OPTION_ORDER:
        subscribe->is_stable_order = unpack_order(unpack);
        return;
    case OPTION_MARKS:
        subscribe->wants_marks = unpack_bool(unpack, "marks");
        return;
    }
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
    uint32_t seen = 0;
    for (uint32_t left = unpack_map(unpack, "options"); left > 0 && !unpack->err; left--) {
        uint64_t option = unpack_uint(unpack, UINT64_MAX, "an option's key");
        if (unpack->err) {
            return;
        }
        if (option < OPTION_FILTER || option > OPTION_MARKS) {
            unpack_fail(unpack, ERR_UNSUPPORTED, "an option's key", "is unknown");
            return;
        }
        if (seen & 1u << option) {
            unpack_fail(unpack, ERR_INVALID, "an option", "is given twice");
            return;
        }
        seen |= 1u << option;
        unpack_option(unpack, option, subscribe);
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
    if (envelope.kind < REQUEST_HELLO || envelope.kind > REQUEST_CLUSTER) {
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
    return envelope_close(&envelope, elements, KINDS[envelope.kind].name, reason);
}
