#include "tests/unit/server/groups/groups_fixture.h"

#include "proto/model/event.h"
#include "proto/model/slice.h"

void groups_open(struct cluster_fixture *fixture)
{
    cluster_fixture_init(fixture, 1, test_seed());
    cluster_node_open(fixture, 0, 0, NULL);
    cluster_pass_ms(fixture, 10);
    ck_assert(atomic_load(&fixture->nodes[0].node->view.may_produce));
}

void groups_close(struct cluster_fixture *fixture)
{
    cluster_fixture_deinit(fixture);
}

void groups_restart(struct cluster_fixture *fixture)
{
    cluster_node_close(fixture, 0);
    cluster_node_open(fixture, 0, 0, NULL);
    for (unsigned waited = 0; !atomic_load(&fixture->nodes[0].node->view.may_produce); waited++) {
        ck_assert_uint_lt(waited, 200);
        cluster_pass_ms(fixture, 100);
    }
}

struct groups *groups_of(const struct cluster_fixture *fixture)
{
    return fixture->nodes[0].service->cluster->groups;
}

void definition_begin(struct subscription_definition *definition)
{
    subscription_definition_init(definition);
    definition->entries[0] = (struct filter_entry){.text = bytes_of_text(EVENTS_SPACE)};
    definition->entries_count = 1;
}

void told_done(void *context, int err, const char *text)
{
    struct told *told = context;
    ck_assert(!told->is_told);
    told->is_told = true;
    told->err = err;
    snprintf(told->text, sizeof told->text, "%s", text);
}

void create(struct cluster_fixture *fixture, const struct subscription_definition *definition)
{
    create_named(fixture, GROUP_NAME, definition);
}

void create_named(struct cluster_fixture *fixture, const char *name,
                  const struct subscription_definition *definition)
{
    const struct request_subscribe start = {.start = START_BEGINNING};
    struct told told = {0};
    ck_assert_int_eq(groups_create(groups_of(fixture), bytes_of_text(name), definition, &start,
                                   told_done, &told),
                     0);
    cluster_settle(fixture);
    ck_assert(told.is_told);
    ck_assert_int_eq(told.err, 0);
}

static void take_event(struct cluster_fixture *fixture, enum subscription_event_kind kind,
                       const struct subscription_definition *definition, struct event_id id)
{
    struct version_vector nothing = {0};
    struct buffer start = {0};
    struct buffer data = {0};
    ck_assert_int_eq(version_vector_encode(&nothing, &start), 0);
    const struct subscription_event event = {
        .kind = kind,
        .definition = *definition,
        .start = buffer_bytes(&start),
    };
    ck_assert_int_eq(subscription_event_encode(&event, &data), 0);
    ck_assert_int_eq(groups_take_event(groups_of(fixture),
                                       bytes_of_text(SUBSCRIPTIONS_NAMESPACE GROUP_NAME), id,
                                       buffer_bytes(&data)),
                     0);
    buffer_deinit(&start);
    buffer_deinit(&data);
}

void take_reset(struct cluster_fixture *fixture, uint16_t actor, uint32_t concurrency)
{
    struct group_row row = look(fixture);
    row.definition.concurrency = concurrency;
    const struct event_id id = {.counter = held(fixture) + 1000, .actor = actor};
    take_event(fixture, SUBSCRIPTION_RESET, &row.definition, id);
    position_deinit(&row.position);
}

void take_change(struct cluster_fixture *fixture, enum subscription_event_kind kind,
                 struct event_id id)
{
    struct subscription_definition definition;
    definition_begin(&definition);
    take_event(fixture, kind, &definition, id);
}

// --- Consumers ---------------------------------------------------------------------------------

static bool taker_deliver(void *context, const struct piece *piece)
{
    struct taker *taker = context;
    struct bytes rest = bytes_of(piece->block->data + piece->offset, piece->length);
    uint32_t before = taker->count;
    if (taker->refuses > 0 && --taker->refuses == 0) {
        return false;
    }
    while (rest.length > 0) {
        struct slice slice;
        ck_assert_int_eq(slice_next(&rest, &slice), 0);
        for (uint32_t i = 0; i < slice.count; i++) {
            ck_assert_uint_lt(taker->count, TAKEN_MAX);
            taker->events[taker->count++] = (struct taken){
                .id = {.counter = slice.first + i, .actor = slice.actor},
                .attempt = piece->attempt,
            };
        }
    }
    ck_assert_uint_eq(taker->count - before, piece->events);
    block_unref(piece->block);
    return true;
}

static void taker_caught_up(void *context)
{
    struct taker *taker = context;
    taker->caught_up++;
}

static void taker_renewed(void *context)
{
    struct taker *taker = context;
    taker->renewed++;
}

static void taker_ended(void *context, uint32_t reason, enum wire_error error, const char *text)
{
    struct taker *taker = context;
    ck_assert(!taker->is_ended);
    taker->is_ended = true;
    taker->attachment = NULL;
    taker->end_reason = reason;
    taker->error = error;
    snprintf(taker->text, sizeof taker->text, "%s", text);
}

static const struct attachment_ops TAKER_OPS = {
    .deliver = taker_deliver,
    .caught_up = taker_caught_up,
    .renewed = taker_renewed,
    .ended = taker_ended,
};

const struct attachment_ops *taker_ops(void)
{
    return &TAKER_OPS;
}

void taker_attach(struct cluster_fixture *fixture, struct taker *taker, uint32_t in_flight_max)
{
    taker_attach_named(fixture, GROUP_NAME, taker, in_flight_max);
}

void taker_attach_named(struct cluster_fixture *fixture, const char *name, struct taker *taker,
                        uint32_t in_flight_max)
{
    taker_attach_with(fixture, name, taker, in_flight_max, SUBSCRIPTION_CREDIT_BYTES_MAX);
}

void taker_attach_with(struct cluster_fixture *fixture, const char *name, struct taker *taker,
                       uint32_t in_flight_max, uint64_t credit_bytes)
{
    const struct attach_options options = {
        .in_flight_max = in_flight_max,
        .credit_bytes = credit_bytes,
        .ops = &TAKER_OPS,
        .context = taker,
        .client = bytes_of_text("a taker"),
        .actor = 9,
    };
    struct event_id generation;
    struct reason reason = {0};
    *taker = (struct taker){.events = calloc(TAKEN_MAX, sizeof *taker->events)};
    ck_assert_ptr_nonnull(taker->events);
    int err = groups_attach(groups_of(fixture), bytes_of_text(name), &options, &taker->attachment,
                            &generation, &reason);
    ck_assert_msg(err == 0, "%s", reason.text);
    ck_assert(!event_id_is_none(generation));
    cluster_settle(fixture);
}

void taker_detach(struct taker *taker)
{
    if (taker->attachment) {
        groups_detach(taker->attachment);
        taker->attachment = NULL;
    }
}

void taker_deinit(struct taker *taker)
{
    taker_detach(taker);
    free(taker->events);
    *taker = (struct taker){0};
}

uint64_t taker_ack(struct taker *taker, uint32_t first, uint32_t count)
{
    uint64_t counted = 0;
    ck_assert_uint_le(first + count, taker->count);
    for (uint32_t i = first; i < first + count; i++) {
        struct event_id id = taker->events[i].id;
        const struct done_range range = {
            .actor = id.actor, .first = id.counter, .last = id.counter};
        ck_assert_int_eq(groups_ack(taker->attachment, (struct event_id){0}, &range, 1, &counted),
                         0);
    }
    return counted;
}

void taker_nack(struct taker *taker, uint32_t index, unsigned delay_ms, const char *reason)
{
    ck_assert_uint_lt(index, taker->count);
    struct event_id id = taker->events[index].id;
    const struct done_range range = {.actor = id.actor, .first = id.counter, .last = id.counter};
    uint64_t counted = 0;
    ck_assert_int_eq(groups_nack(taker->attachment, &range, 1, duration_ms(delay_ms),
                                 bytes_of_text(reason), &counted),
                     0);
    ck_assert_uint_eq(counted, 1);
}

// --- What there is -----------------------------------------------------------------------------

void produce_events(struct cluster_fixture *fixture, struct bytes events, uint32_t count)
{
    struct cluster_node *node = &fixture->nodes[0];
    const struct request request = {
        .kind = REQUEST_PRODUCE,
        .id = ++node->request_id,
        .produce = {.events = events, .events_count = count},
    };
    ck_assert_int_eq(session_submit(node->session, &request, fixture->now), 0);
    node->is_woken = true;
    cluster_settle(fixture);
}

void produce_to(struct cluster_fixture *fixture, const char *space, struct bytes attributes,
                uint32_t count)
{
    struct buffer events = {0};
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_int_eq(
            event_append(&events, bytes_of_text(space), bytes_of_text("a small one"), attributes),
            0);
    }
    produce_events(fixture, buffer_bytes(&events), count);
    buffer_deinit(&events);
}

uint32_t produce(struct cluster_fixture *fixture, uint32_t count)
{
    cluster_produce(fixture, 0, count, 10);
    cluster_settle(fixture);
    return count;
}

struct group_row look(struct cluster_fixture *fixture)
{
    struct group_row row = {0};
    ck_assert_int_eq(groups_look(groups_of(fixture), bytes_of_text(GROUP_NAME), false, &row), 0);
    return row;
}

void rot(struct cluster_fixture *fixture, struct event_id first)
{
    uint8_t key[EVENT_ID_KEY_LENGTH];
    event_id_encode_key(first, key);
    ck_assert_int_eq(disk_medium_flip(fixture->nodes[0].log_medium, LOG_CHUNKS,
                                      bytes_of(key, sizeof key), 8 * CHUNK_HEADER_LENGTH + 3),
                     0);
}

struct block *last_event(struct cluster_fixture *fixture, const char *space,
                         struct event *event_out)
{
    struct session *session;
    struct session_item item;
    struct slice slice;
    struct request request = {.kind = REQUEST_LAST, .id = 1};
    request.last.events_max = 1;
    request.last.entries[0] = (struct filter_entry){.text = bytes_of_text(space)};
    request.last.entries_count = 1;
    ck_assert_int_eq(session_open(fixture->nodes[0].service, fixture, &session), 0);
    ck_assert_int_eq(session_submit(session, &request, fixture->now), 0);
    fixture->nodes[0].is_woken = true;
    cluster_settle(fixture);
    ck_assert(session_take(session, &item));
    ck_assert_uint_eq(item.head.kind, REPLY_EVENTS);
    struct bytes rest = bytes_of(item.block->data + item.offset, item.length);
    ck_assert_int_eq(slice_next(&rest, &slice), 0);
    ck_assert_int_eq(event_next(&slice.events, event_out), 0);
    session_close(session);
    return item.block;
}

uint64_t held(const struct cluster_fixture *fixture)
{
    const struct service *service = fixture->nodes[0].service;
    return version_vector_get(store_port_vector(service->port), node_actor(service->node));
}
