// The real service over the real store, in one thread: a step of the store is done when the fixture
// does it, a turn when the test wants it, so that a seed decides every interleaving. Clients check
// each item as it comes (well-formed events, order of messages), and keep it for the test.

#include "tests/unit/server/node_fixture.h"

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/glob.h"

static struct instant fixture_now(void *context)
{
    const struct node_fixture *fixture = context;
    return fixture->now;
}

static uint64_t fixture_wall_ms(void *context)
{
    const struct node_fixture *fixture = context;
    return fixture->log.now_ms;
}

static void fixture_wake(void *context)
{
    struct node_fixture *fixture = context;
    fixture->is_woken = true;
}

static void fixture_log(void *context, enum log_level level, const char *part, const char *format,
                        ...)
{
}

void node_fixture_begin(struct node_fixture *fixture, uint64_t seed)
{
    *fixture = (struct node_fixture){.now = {.ns = 1000000000}};
    fixture_init(&fixture->log, seed);
    fixture->identity = (struct identity){.cluster_name = "test", .actor = 1};
    fixture->identity.cluster.bytes[0] = 0xc1;
    fixture->identity.node.bytes[0] = 0x0d;
    fixture->env = (struct node_env){
        .context = fixture,
        .now = fixture_now,
        .wall_ms = fixture_wall_ms,
        .wake = fixture_wake,
        .log = fixture_log,
    };
}

void node_fixture_open(struct node_fixture *fixture)
{
    fixture_open(&fixture->log);
    const struct node_config config = {
        .identity = &fixture->identity,
        .store = fixture->log.store,
        .data_bytes_max = NODE_DATA_BYTES_MAX,
        .append_bytes_max = NODE_APPEND_BYTES_MAX,
        .compress = true,
        .after_timeout_ms = NODE_AFTER_TIMEOUT_MS,
        .seed = 11,
        .started = fixture->now,
        .services_max = 2,
    };
    ck_assert_int_eq(node_new(&config, &fixture->node), 0);
    ck_assert_int_eq(service_new(fixture->node, &fixture->env, &fixture->service), 0);
}

void node_fixture_init(struct node_fixture *fixture, uint64_t seed)
{
    node_fixture_begin(fixture, seed);
    node_fixture_open(fixture);
}

void node_fixture_deinit(struct node_fixture *fixture)
{
    node_settle(fixture);
    ck_assert(service_is_idle(fixture->service));
    service_free(fixture->service);
    node_free(fixture->node);
    fixture_close(&fixture->log);
    fixture_deinit(&fixture->log);
}

void node_turn(struct node_fixture *fixture)
{
    fixture->is_woken = false;
    service_turn(fixture->service, fixture->now);
}

bool node_settle_step(struct node_fixture *fixture)
{
    struct store *store = fixture->log.store;
    bool has_moved = store_step_commit(store, fixture->log.now_ms);
    has_moved |= store_step_read(store);
    has_moved |= store_step_index(store);
    if (fixture->is_woken) {
        node_turn(fixture);
        has_moved = true;
    }
    return has_moved;
}

void node_settle(struct node_fixture *fixture)
{
    node_turn(fixture);
    for (unsigned i = 0; node_settle_step(fixture); i++) {
        ck_assert_msg(i < 1000000, "the node does not come to rest");
    }
}

void node_pass_ms(struct node_fixture *fixture, int64_t ms)
{
    fixture->now = instant_add(fixture->now, duration_ms(ms));
    fixture->log.now_ms += (uint64_t)ms;
    if (instant_reached(service_deadline(fixture->service), fixture->now)) {
        service_tick(fixture->service, fixture->now);
    }
    node_settle(fixture);
}

// --- Clients -----------------------------------------------------------------------------------

void client_open(struct client *client, struct node_fixture *fixture)
{
    *client = (struct client){.fixture = fixture};
    ck_assert_int_eq(session_open(fixture->service, client, &client->session), 0);
    session_set_features(client->session, FEATURE_CHUNKS | FEATURE_LZ4);
}

static void stream_deinit(struct stream *stream)
{
    version_vector_deinit(&stream->start);
    version_vector_deinit(&stream->cursor);
    free(stream->events);
}

void client_drop(struct client *client)
{
    session_close(client->session);
    client->session = NULL;
}

void client_close(struct client *client)
{
    client_drop(client);
    for (size_t i = 0; i < client->streams_count; i++) {
        stream_deinit(&client->streams[i]);
    }
    for (size_t i = 0; i < client->answers_count; i++) {
        stream_deinit(&client->answers[i].events);
        version_vector_deinit(&client->answers[i].cursor);
        buffer_deinit(&client->answers[i].rows);
    }
    free(client->answers);
}

void client_submit(struct client *client, const struct request *request)
{
    ck_assert_int_eq(session_submit(client->session, request, client->fixture->now), 0);
}

struct stream *client_stream(struct client *client, uint64_t id)
{
    for (size_t i = client->streams_count; i > 0; i--) {
        if (client->streams[i - 1].id == id) {
            return &client->streams[i - 1];
        }
    }
    return NULL;
}

const struct answer_copy *client_answer(const struct client *client, uint64_t id)
{
    for (size_t i = 0; i < client->answers_count; i++) {
        if (client->answers[i].id == id) {
            return &client->answers[i];
        }
    }
    return NULL;
}

static void stream_add(void *context, struct event_id id, uint64_t timestamp_ms,
                       const struct event *event)
{
    struct stream *stream = context;
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity * 2 + 16;
        stream->events = realloc(stream->events, stream->capacity * sizeof *stream->events);
        ck_assert_ptr_nonnull(stream->events);
    }
    char digits[24] = {0};
    size_t length = event->data.length < sizeof digits - 1 ? event->data.length : sizeof digits - 1;
    struct stream_event *added = &stream->events[stream->count++];
    *added = (struct stream_event){.id = id, .timestamp_ms = timestamp_ms};
    if (length > 0) {
        memcpy(digits, event->data.data, length);
    }
    added->number = (uint32_t)strtoul(digits, NULL, 10);
    if (event->name.length >= sizeof added->name ||
        version_vector_raise(&stream->cursor, id.actor, id.counter) != 0) {
        ck_abort_msg("the name of an event has %zu bytes", event->name.length);
    }
    memcpy(added->name, event->name.data, event->name.length);
}

static void decode_cursor(struct bytes encoded, struct version_vector *out)
{
    struct bytes rest = encoded;
    if (encoded.length > 0) {
        ck_assert_int_eq(version_vector_decode(&rest, out), 0);
        ck_assert_uint_eq(rest.length, 0);
    }
}

static void merge_cursor(struct stream *stream, struct bytes encoded)
{
    struct version_vector cursor = {0};
    decode_cursor(encoded, &cursor);
    // A cursor in the stream holds everything that was delivered before it.
    ck_assert(version_vector_includes(&cursor, &stream->cursor));
    ck_assert_int_eq(version_vector_merge(&stream->cursor, &cursor), 0);
    version_vector_deinit(&cursor);
}

static void record_mark(struct stream *stream, const struct reply *head)
{
    merge_cursor(stream, head->cursor);
    switch ((enum mark_kind)head->mark.kind) {
    case MARK_CAUGHT_UP:
        ck_assert(!stream->is_caught_up);
        stream->is_caught_up = true;
        stream->caught_up_at = stream->count;
        break;
    case MARK_HEARTBEAT:
        stream->heartbeats++;
        break;
    case MARK_PROGRESS:
        stream->progresses++;
        break;
    case MARK_FRONTIER:
        stream->frontier = head->mark.at.counter;
        break;
    case MARK_WAITING:
        stream->waiting_for = head->mark.at.actor;
        break;
    case MARK_MOVED:
        ck_abort_msg("a subscription does not move");
    }
}

static void record_events(struct stream *stream, const struct session_item *item)
{
    size_t before = stream->count;
    ck_assert_ptr_nonnull(item->block);
    ck_assert_uint_eq(item->offset + item->length, item->block->length);
    // block_visit takes whole blocks: what is before the offset is cut off by a copy.
    struct block *copy = block_new(item->block->kind, item->length);
    memcpy(copy->data, item->block->data + item->offset, item->length);
    copy->length = item->length;
    block_visit(copy, stream_add, stream);
    block_unref(copy);
    ck_assert_uint_gt(stream->count, before);
    if (item->offset == 0 && item->head.kind != REPLY_EVENTS) {
        ck_assert_uint_eq(stream->count - before, item->block->events);
    }
    stream->bytes += item->length;
    stream->chunk_deliveries += item->block->kind == BLOCK_CHUNKS;
    stream->slice_deliveries += item->block->kind == BLOCK_SLICES;
}

static void record_stream(struct stream *stream, const struct session_item *item)
{
    const struct reply *head = &item->head;
    ck_assert(!stream->is_over);
    switch ((enum reply_kind)head->kind) {
    case REPLY_SUBSCRIBED:
        ck_assert(!stream->is_subscribed);
        stream->is_subscribed = true;
        decode_cursor(head->cursor, &stream->start);
        ck_assert_int_eq(version_vector_copy(&stream->cursor, &stream->start), 0);
        return;
    case DELIVERY_CHUNKS:
    case DELIVERY_SLICES:
        ck_assert(stream->is_subscribed);
        ck_assert_int_eq(head->kind == DELIVERY_CHUNKS, item->block->kind == BLOCK_CHUNKS);
        record_events(stream, item);
        return;
    case DELIVERY_MARK:
        ck_assert(stream->is_subscribed);
        record_mark(stream, head);
        return;
    case DELIVERY_END:
        merge_cursor(stream, head->cursor);
        stream->is_over = true;
        stream->end_reason = head->end.reason;
        stream->end_delivered = head->end.delivered;
        ck_assert_uint_eq(stream->end_delivered, stream->count);
        return;
    case REPLY_ERROR:
        stream->is_over = true;
        stream->error = head->error.code;
        return;
    case REPLY_HELLO:
    case REPLY_PONG:
    case REPLY_PRODUCED:
    case REPLY_EVENTS:
    case REPLY_NAMESPACES:
    case REPLY_CLUSTER:
    case REPLY_STATUS:
    case REPLY_ATTACHED:
    case REPLY_ACKED:
    case REPLY_SUBSCRIPTIONS:
    case DELIVERY_ASSIGNED:
    case DELIVERY_ASSIGNED_CHUNKS:
        break;
    }
    ck_abort_msg("a reply of kind %u to a subscription", head->kind);
}

static void record_answer(struct client *client, const struct session_item *item)
{
    const struct reply *head = &item->head;
    if (client->answers_count == client->answers_capacity) {
        client->answers_capacity = client->answers_capacity * 2 + 16;
        client->answers =
            realloc(client->answers, client->answers_capacity * sizeof *client->answers);
        ck_assert_ptr_nonnull(client->answers);
    }
    struct answer_copy *answer = &client->answers[client->answers_count++];
    *answer = (struct answer_copy){.id = head->id, .kind = head->kind};
    decode_cursor(head->cursor, &answer->cursor);
    if (head->kind == REPLY_ERROR) {
        answer->code = head->error.code;
        ck_assert_uint_lt(head->error.text.length, sizeof answer->text);
        memcpy(answer->text, head->error.text.data, head->error.text.length);
    } else if (head->kind == REPLY_PRODUCED) {
        answer->produced = head->produced;
    } else if (head->kind == REPLY_EVENTS && item->block) {
        record_events(&answer->events, item);
    } else if (head->kind == REPLY_NAMESPACES) {
        ck_assert_int_eq(buffer_append(&answer->rows, head->namespaces.rows), 0);
        answer->more = head->namespaces.more;
    } else if (head->kind == REPLY_STATUS) {
        answer->status = head->status;
        struct bytes alarms = head->status.alarms;
        ck_assert_uint_lt(alarms.length, sizeof answer->alarms);
        if (alarms.length > 0) {
            memcpy(answer->alarms, alarms.data, alarms.length);
        }
    }
}

size_t client_receive(struct client *client, size_t max)
{
    size_t count = 0;
    struct session_item item;
    for (; count < max && session_take(client->session, &item); count++) {
        struct stream *stream = client_stream(client, item.head.id);
        bool is_refusal =
            item.head.kind == REPLY_ERROR && item.head.error.code == WIRE_DUPLICATE_ID;
        if (stream && !stream->is_over && !is_refusal) {
            record_stream(stream, &item);
        } else {
            record_answer(client, &item);
        }
        block_unref(item.block);
    }
    return count;
}

void client_run(struct client *client)
{
    bool has_moved = true;
    while (has_moved) {
        node_settle(client->fixture);
        has_moved = client_receive(client, SIZE_MAX) > 0;
        has_moved |= node_settle_step(client->fixture);
    }
}

struct stream *client_subscribe(struct client *client, const struct request *request)
{
    ck_assert_uint_lt(client->streams_count, CLIENT_STREAMS_MAX);
    struct stream *stream = &client->streams[client->streams_count++];
    *stream = (struct stream){.id = request->id};
    client_submit(client, request);
    return stream;
}

void client_credit(struct client *client, uint64_t id, uint64_t bytes)
{
    const struct request request = {.kind = REQUEST_CREDIT, .id = id, .credit = {.bytes = bytes}};
    client_submit(client, &request);
}

void client_stop(struct client *client, uint64_t id)
{
    const struct request request = {.kind = REQUEST_STOP, .id = id};
    client_submit(client, &request);
}

struct request subscribe_request(uint64_t id, const char *pattern)
{
    struct request request = {.kind = REQUEST_SUBSCRIBE, .id = id};
    if (pattern) {
        request.subscribe.entries[0].text = bytes_of_text(pattern);
        request.subscribe.entries_count = 1;
    }
    return request;
}

// --- What must hold ----------------------------------------------------------------------------

// NULL: everything matches.
static struct glob *glob_of(const char *pattern)
{
    struct reason reason;
    struct glob *glob = NULL;
    if (pattern) {
        ck_assert_int_eq(glob_compile(bytes_of_text(pattern), &glob, &reason), 0);
    }
    return glob;
}

bool pattern_matches(const char *pattern, const char *name)
{
    struct glob *glob = glob_of(pattern);
    bool matches = !glob || glob_matches(glob, bytes_of_text(name));
    glob_free(glob);
    return matches;
}

static int stream_event_compare(const void *a, const void *b)
{
    return event_id_compare(((const struct stream_event *)a)->id,
                            ((const struct stream_event *)b)->id);
}

static bool is_wanted(const struct log_fixture *log, const struct model_event *event,
                      const struct glob *glob, const struct version_vector *start,
                      const struct version_vector *end)
{
    return fixture_is_wanted(log, event) && !version_vector_covers(start, event->id) &&
           (!end || version_vector_covers(end, event->id)) &&
           (!glob || glob_matches(glob, bytes_of_text(event->name)));
}

static void check_order(const struct stream *stream, const struct log_fixture *log)
{
    size_t replayed = stream->is_caught_up ? stream->caught_up_at : 0;
    for (size_t i = 1; i < replayed; i++) {
        if (event_id_compare(stream->events[i - 1].id, stream->events[i].id) >= 0) {
            ck_abort_msg("the replay is not in canonical order");
        }
    }
    // The others come as they were committed: the model is in that order.
    size_t at = 0;
    for (size_t i = replayed; stream->is_caught_up && i < stream->count; i++) {
        while (at < log->events_count &&
               event_id_compare(log->events[at].id, stream->events[i].id) != 0) {
            at++;
        }
        if (at == log->events_count) {
            ck_abort_msg("live events come in another order than committed");
        }
    }
}

static void check_same(const struct stream_event *got, const struct model_event *wanted)
{
    // A macro of Check for each would cost more than everything else.
    if (event_id_compare(got->id, wanted->id) != 0 || got->number != wanted->number ||
        got->timestamp_ms != wanted->timestamp_ms || strcmp(got->name, wanted->name) != 0) {
        ck_abort_msg("the event %s %u was delivered as %s %u", wanted->name, wanted->number,
                     got->name, got->number);
    }
}

void stream_check(const struct stream *stream, const struct log_fixture *log, const char *pattern,
                  const struct version_vector *end, uint64_t limit)
{
    size_t count = stream->count;
    struct stream_event *sorted = calloc(count + 1, sizeof *sorted);
    if (count > 0) {
        memcpy(sorted, stream->events, count * sizeof *sorted);
    }
    qsort(sorted, count, sizeof *sorted, stream_event_compare);
    for (size_t i = 1; i < count; i++) {
        if (event_id_compare(sorted[i - 1].id, sorted[i].id) == 0) {
            ck_abort_msg("an event twice");
        }
    }
    size_t wanted = 0;
    size_t found = 0;
    struct glob *glob = glob_of(pattern);
    for (size_t i = 0; i < log->events_count; i++) {
        const struct model_event *event = &log->events[i];
        if (!is_wanted(log, event, glob, &stream->start, end)) {
            continue;
        }
        wanted++;
        struct stream_event key = {.id = event->id};
        const struct stream_event *got =
            bsearch(&key, sorted, count, sizeof *sorted, stream_event_compare);
        if (got) {
            found++;
            check_same(got, event);
        }
    }
    size_t expected = limit > 0 && limit < wanted ? (size_t)limit : wanted;
    ck_assert_uint_eq(found, count);
    ck_assert_uint_eq(count, expected);
    free(sorted);
    glob_free(glob);
    check_order(stream, log);
}

void stream_check_cursor(const struct stream *stream, const struct log_fixture *log,
                         const char *pattern)
{
    size_t behind = 0;
    struct glob *glob = glob_of(pattern);
    for (size_t i = 0; i < log->events_count; i++) {
        const struct model_event *event = &log->events[i];
        if (is_wanted(log, event, glob, &stream->start, NULL)) {
            behind += version_vector_covers(&stream->cursor, event->id);
        }
    }
    glob_free(glob);
    ck_assert_uint_eq(behind, stream->count);
}
