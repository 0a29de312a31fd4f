#include "tests/unit/storage/log_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/limits.h"
#include "proto/model/slice.h"
#include "tests/unit/check_main.h"

static void ignore_wake(void *context)
{
}

void fixture_init(struct log_fixture *fixture, uint64_t seed)
{
    *fixture = (struct log_fixture){
        .log_medium = disk_medium_new(),
        .index_medium = disk_medium_new(),
        .config = {.actor = 1,
                   .compress = true,
                   .recent_bytes_max = 64 * KIB,
                   .index_bytes_max = 4 * MIB,
                   .walk_bytes = 1 * MIB,
                   .seed = 7},
        .now_ms = 1000000,
        .names_count = 20,
    };
    ck_assert_ptr_nonnull(fixture->log_medium);
    ck_assert_ptr_nonnull(fixture->index_medium);
    random_init(&fixture->random, seed);
    disk_medium_set_free(fixture->log_medium, UINT64_MAX);
}

void fixture_deinit(struct log_fixture *fixture)
{
    disk_medium_free(fixture->log_medium);
    disk_medium_free(fixture->index_medium);
    free(fixture->events);
}

int fixture_try_open(struct log_fixture *fixture, struct reason *reason)
{
    ck_assert_int_eq(disk_memory_open(fixture->log_medium, LOG_FAMILIES, &fixture->log), 0);
    ck_assert_int_eq(disk_memory_open(fixture->index_medium, INDEX_FAMILIES, &fixture->index), 0);
    int result = store_open(&fixture->config, fixture->log, fixture->index, &fixture->store,
                            &fixture->recovery, reason);
    if (result != 0) {
        disk_close(fixture->log);
        disk_close(fixture->index);
        return result;
    }
    ck_assert_int_eq(store_port_open(fixture->store, ignore_wake, NULL, &fixture->port), 0);
    return 0;
}

void fixture_open(struct log_fixture *fixture)
{
    struct reason reason = {0};
    int result = fixture_try_open(fixture, &reason);
    ck_assert_msg(result == 0, "%s", reason.text);
}

static void fixture_close_disks(struct log_fixture *fixture)
{
    disk_close(fixture->log);
    disk_close(fixture->index);
}

void fixture_close(struct log_fixture *fixture)
{
    store_port_close(fixture->port);
    ck_assert_int_eq(store_close(fixture->store), 0);
    fixture_close_disks(fixture);
}

void fixture_abandon(struct log_fixture *fixture)
{
    store_port_close(fixture->port);
    store_abandon(fixture->store);
    fixture_close_disks(fixture);
}

// --- Writing -------------------------------------------------------------------------------------

static void model_add(struct log_fixture *fixture, const struct model_event *event)
{
    if (fixture->events_count == fixture->events_capacity) {
        fixture->events_capacity = fixture->events_capacity * 2 + 64;
        fixture->events =
            realloc(fixture->events, fixture->events_capacity * sizeof *fixture->events);
        ck_assert_ptr_nonnull(fixture->events);
    }
    fixture->events[fixture->events_count++] = *event;
}

static struct model_event random_event(struct log_fixture *fixture)
{
    struct model_event event = {.number = ++fixture->number, .timestamp_ms = fixture->now_ms};
    snprintf(event.name, sizeof event.name, "/kind%u/name%u",
             (unsigned)random_below(&fixture->random, 3),
             (unsigned)random_below(&fixture->random, fixture->names_count));
    return event;
}

static void encode_attributes(struct buffer *out, const struct model_event *event)
{
    struct attribute attributes[3];
    size_t count = 0;
    for (char type = 'a'; type <= 'd'; type++) {
        static const char types[] = "abcd";
        if (fixture_has_type(event, type)) {
            attributes[count++] = (struct attribute){.key = bytes_of_text("type"),
                                                     .value = bytes_of(&types[type - 'a'], 1),
                                                     .value_is_text = event->number % 2 == 0};
        }
    }
    if (count > 0) {
        ck_assert_int_eq(attributes_append(out, attributes, count, (struct event_id){0}), 0);
    }
}

static void encode_event(const struct log_fixture *fixture, struct buffer *out,
                         const struct model_event *event)
{
    char data[200];
    struct buffer attributes = {0};
    int length = snprintf(data, sizeof data, "%u %0*u", event->number, (int)(event->number % 150),
                          event->number);
    if (fixture->has_attributes) {
        encode_attributes(&attributes, event);
    }
    ck_assert_int_eq(event_append(out, bytes_of_text(event->name), bytes_of(data, (size_t)length),
                                  buffer_bytes(&attributes)),
                     0);
    buffer_deinit(&attributes);
}

struct produce {
    struct append append;
    struct append_run runs[2048];
    struct buffer bytes;
    struct model_event *events;
};

static struct produce *produce_new(struct log_fixture *fixture, unsigned count, bool is_system)
{
    struct produce *produce = calloc(1, sizeof *produce);
    produce->events = calloc(count, sizeof *produce->events);
    uint32_t runs = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t before = produce->bytes.length;
        produce->events[i] = random_event(fixture);
        if (is_system) {
            snprintf(produce->events[i].name, sizeof produce->events[i].name, "/$weir/%u", i % 3);
        }
        encode_event(fixture, &produce->bytes, &produce->events[i]);
        size_t length = produce->bytes.length - before;
        struct append_run *run = &produce->runs[runs > 0 ? runs - 1 : 0];
        bool joins = runs > 0 && run->count < CHUNK_EVENTS_MAX &&
                     run->length + length <= CHUNK_BODY_BYTES_CLOSE;
        if (!joins) {
            ck_assert_uint_lt(runs, 2048);
            run = &produce->runs[runs++];
        }
        run->count++;
        run->length += (uint32_t)length;
    }
    produce->append = (struct append){.kind = APPEND_PRODUCE,
                                      .bytes = buffer_bytes(&produce->bytes),
                                      .runs = produce->runs,
                                      .runs_count = runs,
                                      .events = count,
                                      .owner = produce};
    return produce;
}

static uint64_t produce_finish(struct log_fixture *fixture, struct append *append)
{
    struct produce *produce = append->owner;
    uint64_t first = append->first;
    ck_assert_int_eq(append->result, 0);
    for (unsigned i = 0; i < append->events; i++) {
        produce->events[i].id =
            (struct event_id){.counter = first + i, .actor = fixture->config.actor};
        model_add(fixture, &produce->events[i]);
    }
    buffer_deinit(&produce->bytes);
    free(produce->events);
    free(produce);
    return first;
}

static uint64_t produce_commit(struct log_fixture *fixture, struct produce *produce, unsigned count)
{
    fixture->now_ms += random_below(&fixture->random, 20);
    for (unsigned i = 0; i < count; i++) {
        produce->events[i].timestamp_ms = fixture->now_ms;
    }
    ck_assert_int_eq(fixture_submit(fixture, &produce->append), 0);
    return produce_finish(fixture, &produce->append);
}

uint64_t fixture_produce(struct log_fixture *fixture, unsigned count)
{
    return produce_commit(fixture, produce_new(fixture, count, false), count);
}

uint64_t fixture_produce_system(struct log_fixture *fixture, unsigned count)
{
    struct produce *produce = produce_new(fixture, count, true);
    produce->append.kind = APPEND_SYSTEM;
    return produce_commit(fixture, produce, count);
}

int fixture_submit(struct log_fixture *fixture, struct append *append)
{
    store_append(fixture->port, append);
    store_port_flush(fixture->port);
    ck_assert(store_step_commit(fixture->store, fixture->now_ms));
    store_port_refresh(fixture->port);
    ck_assert_ptr_eq(store_port_take_append(fixture->port), append);
    return append->result;
}

void fixture_produce_group(struct log_fixture *fixture, unsigned appends)
{
    fixture->now_ms += random_below(&fixture->random, 20);
    for (unsigned i = 0; i < appends; i++) {
        struct produce *produce =
            produce_new(fixture, 1 + (unsigned)random_below(&fixture->random, 90), false);
        store_append(fixture->port, &produce->append);
    }
    store_port_flush(fixture->port);
    while (store_step_commit(fixture->store, fixture->now_ms)) {
    }
    store_port_refresh(fixture->port);
    struct append *append;
    while ((append = store_port_take_append(fixture->port)) != NULL) {
        produce_finish(fixture, append);
        appends--;
    }
    ck_assert_uint_eq(appends, 0);
}

// One chunk of a peer behind its head, at counters a little above or below what we have.
static void peer_chunk(struct log_fixture *fixture, unsigned peer, uint64_t first,
                       struct buffer *out, uint32_t open)
{
    struct fixture_peer *state = &fixture->peers[peer];
    struct buffer body = {0};
    struct chunk_header header = {.actor = (uint16_t)(2 + peer),
                                  .count = (uint16_t)(1 + random_below(&fixture->random, 64)),
                                  .first = first,
                                  .open = open,
                                  .prev = state->last,
                                  .prev_hash = state->hash,
                                  .timestamp_ms = fixture->now_ms};
    if (fixture->has_attributes) {
        header.timestamp_ms -= random_below(&fixture->random, 500);
    }
    for (unsigned i = 0; i < header.count; i++) {
        struct model_event event = random_event(fixture);
        event.timestamp_ms = header.timestamp_ms;
        event.id = (struct event_id){.counter = first + i, .actor = header.actor};
        encode_event(fixture, &body, &event);
        model_add(fixture, &event);
    }
    size_t before = out->length;
    ck_assert_int_eq(chunk_append(out, &header, buffer_bytes(&body), NULL), 0);
    state->last = chunk_last(&header);
    state->hash = chunk_hash(out->data + before);
    buffer_deinit(&body);
}

void fixture_replicate(struct log_fixture *fixture, unsigned peer, unsigned chunks)
{
    struct fixture_peer *state = &fixture->peers[peer];
    struct buffer bytes = {0};
    uint64_t own = version_vector_get(store_port_vector(fixture->port), 1);
    for (unsigned i = 0; i < chunks; i++) {
        uint64_t first = state->last + 1 + random_below(&fixture->random, 5);
        uint64_t late = random_below(&fixture->random, 200);
        if (own > late && own - late > first && random_below(&fixture->random, 4) == 0) {
            first = own - late;
        }
        peer_chunk(fixture, peer, first, &bytes, i + 1 < chunks ? 1 : 0);
    }
    struct append append = {.kind = APPEND_CHUNKS, .bytes = buffer_bytes(&bytes)};
    store_append(fixture->port, &append);
    store_port_flush(fixture->port);
    ck_assert(store_step_commit(fixture->store, fixture->now_ms));
    store_port_refresh(fixture->port);
    ck_assert_ptr_eq(store_port_take_append(fixture->port), &append);
    ck_assert_int_eq(append.result, 0);
    buffer_deinit(&bytes);
}

// --- Reading -------------------------------------------------------------------------------------

void fixture_index(struct log_fixture *fixture)
{
    while (store_step_index(fixture->store)) {
    }
}

void fixture_read(struct log_fixture *fixture, struct read *read)
{
    store_read(fixture->port, read);
    for (unsigned i = 0; i < 100000; i++) {
        bool worked = store_step_read(fixture->store);
        store_port_refresh(fixture->port);
        struct read *taken = store_port_take_read(fixture->port);
        if (taken != NULL) {
            ck_assert_ptr_eq(taken, read);
            return;
        }
        if (!worked) {
            store_step_index(fixture->store);
        }
    }
    ck_abort_msg("the read does not complete");
}

unsigned fixture_search(struct log_fixture *fixture, struct read *read)
{
    unsigned steps = 0;
    do {
        fixture_read(fixture, read);
        steps++;
    } while (read->result == 0 && !read->done);
    return steps;
}

static int model_compare(const void *a, const void *b)
{
    return event_id_compare(((const struct model_event *)a)->id,
                            ((const struct model_event *)b)->id);
}

void fixture_sort(struct log_fixture *fixture)
{
    qsort(fixture->events, fixture->events_count, sizeof *fixture->events, model_compare);
}

static void visit_events(struct event_id id, uint16_t count, uint64_t timestamp_ms,
                         struct bytes events, fixture_visit *visit, void *context)
{
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        ck_assert_int_eq(event_next(&events, &event), 0);
        visit(context, id, timestamp_ms, &event);
        id.counter++;
    }
    ck_assert_uint_eq(events.length, 0);
}

void block_visit(const struct block *block, fixture_visit *visit, void *context)
{
    struct bytes rest = block_bytes(block);
    struct buffer scratch = {0};
    while (rest.length > 0) {
        if (block->kind == BLOCK_SLICES) {
            struct slice slice;
            ck_assert_int_eq(slice_next(&rest, &slice), 0);
            visit_events((struct event_id){.counter = slice.first, .actor = slice.actor},
                         slice.count, slice.timestamp_ms, slice.events, visit, context);
            continue;
        }
        struct chunk_header header;
        struct bytes chunk;
        struct bytes body;
        ck_assert_int_eq(chunk_next(&rest, &header, &chunk), 0);
        ck_assert_int_eq(chunk_verify(&header, chunk), 0);
        ck_assert_int_eq(chunk_body(&header, chunk, &scratch, &body), 0);
        visit_events((struct event_id){.counter = header.first, .actor = header.actor},
                     header.count, header.timestamp_ms, body, visit, context);
    }
    buffer_deinit(&scratch);
}

static struct filter *filter_of(const char *pattern, const struct filter_conditions *conditions)
{
    struct filter_entry entry = {.text =
                                     pattern != NULL ? bytes_of_text(pattern) : (struct bytes){0}};
    struct filter *filter;
    struct reason reason = {0};
    int result = filter_new_with(&entry, pattern == NULL ? 0 : 1, conditions, &filter, &reason);
    ck_assert_msg(result == 0, "%s", reason.text);
    return filter;
}

struct filter *fixture_filter(const char *pattern)
{
    const struct filter_conditions none = {0};
    return filter_of(pattern, &none);
}

bool fixture_has_type(const struct model_event *event, char type)
{
    if (event->number % 5 == 0) {
        return false;
    }
    return type == (char)('a' + event->number % 3) || (type == 'd' && event->number % 7 == 0);
}

bool fixture_is_wanted(const struct log_fixture *fixture, const struct model_event *event)
{
    return event->timestamp_ms >= fixture->wanted_timestamp_min_ms &&
           (!fixture->wanted_type || fixture_has_type(event, fixture->wanted_type));
}

struct filter_conditions fixture_conditions(const struct log_fixture *fixture,
                                            struct attribute_match *match)
{
    *match = (struct attribute_match){.name = bytes_of_text("type"),
                                      .value = bytes_of(&fixture->wanted_type, 1)};
    return (struct filter_conditions){
        .attributes = match,
        .attributes_count = fixture->wanted_type != 0,
        .timestamp_min_ms = fixture->wanted_timestamp_min_ms,
    };
}

struct filter *fixture_filter_with(const struct log_fixture *fixture, const char *pattern)
{
    struct attribute_match match;
    const struct filter_conditions conditions = fixture_conditions(fixture, &match);
    return filter_of(pattern, &conditions);
}
