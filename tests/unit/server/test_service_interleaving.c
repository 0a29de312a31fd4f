// Subscriptions of every kind come, go and are cut off while events are produced and replicated,
// and every step of the store, every turn and every take happens at a moment that a seed decides.
// Whatever the order: no gap, no repetition, the order of each phase, cursors that say what was
// delivered.

#include "tests/unit/check_main.h"
#include "tests/unit/server/node_fixture.h"

enum { CLIENTS = 3, MOVES = 600 };

struct plan {
    struct stream *stream;
    const char *pattern;
    uint64_t limit;
    bool has_end;
    struct version_vector end;
};

struct run {
    struct node_fixture fixture;
    struct random random;
    struct client clients[CLIENTS];
    struct plan plans[CLIENTS][CLIENT_STREAMS_MAX];
    uint64_t id;
};

static const char *const PATTERNS[] = {NULL,       NULL,           "**",       "/kind1/**",
                                       "/kind2/*", "/*/name[1-5]", "/nothing", "/kind0/name3"};

static uint64_t below(struct run *run, uint64_t n)
{
    return random_below(&run->random, n);
}

static void choose_start(struct run *run, struct request_subscribe *subscribe,
                         struct buffer *cursor)
{
    struct log_fixture *log = &run->fixture.log;
    subscribe->start = (enum start_kind)below(run, START_LAST + 1);
    subscribe->start_last = 1 + below(run, 300);
    if (log->events_count == 0) {
        subscribe->start = START_BEGINNING;
        return;
    }
    const struct model_event *event = &log->events[below(run, log->events_count)];
    subscribe->start_id = event->id;
    subscribe->start_time_ms = event->timestamp_ms;
    if (subscribe->start == START_AT_CURSOR) {
        // That of another subscription, so that it is one. (Where a made-up end lies between two
        // ids, the cursor at that end is no id either.)
        size_t who = below(run, CLIENTS);
        size_t count = run->clients[who].streams_count;
        size_t which = count > 0 ? below(run, count) : 0;
        bool is_usable = count > 0 && !run->plans[who][which].has_end;
        struct version_vector empty = {0};
        const struct version_vector *from =
            is_usable ? &run->clients[who].streams[which].cursor : &empty;
        ck_assert_int_eq(version_vector_encode(from, cursor), 0);
        subscribe->start_cursor = buffer_bytes(cursor);
    }
}

static void choose_end(struct run *run, struct plan *plan, struct request_subscribe *subscribe,
                       struct buffer *cursor)
{
    const struct version_vector *vector = store_port_vector(run->fixture.log.port);
    subscribe->end = (enum end_kind)(below(run, 4) % 3);
    if (subscribe->end != END_CURSOR) {
        return;
    }
    plan->has_end = true;
    for (uint16_t actor = 1; actor <= 1 + FIXTURE_PEERS; actor++) {
        uint64_t here = version_vector_get(vector, actor);
        uint64_t counter = below(run, here + 200);
        ck_assert_int_eq(version_vector_set(&plan->end, actor, counter), 0);
    }
    ck_assert_int_eq(version_vector_encode(&plan->end, cursor), 0);
    subscribe->end_cursor = buffer_bytes(cursor);
}

static void subscribe(struct run *run, size_t who)
{
    struct client *client = &run->clients[who];
    struct buffer start = {0};
    struct buffer end = {0};
    if (client->streams_count == CLIENT_STREAMS_MAX) {
        return;
    }
    struct plan *plan = &run->plans[who][client->streams_count];
    *plan = (struct plan){.pattern = PATTERNS[below(run, sizeof PATTERNS / sizeof *PATTERNS)]};
    struct request request = subscribe_request(++run->id, plan->pattern);
    choose_start(run, &request.subscribe, &start);
    choose_end(run, plan, &request.subscribe, &end);
    request.subscribe.limit = below(run, 3) == 0 ? 1 + below(run, 400) : 0;
    request.subscribe.credit_bytes = below(run, 2) == 0 ? 1 + below(run, 20000) : 0;
    request.subscribe.heartbeat_ms = below(run, 3) == 0 ? 50 : 0;
    plan->limit = request.subscribe.limit;
    plan->stream = client_subscribe(client, &request);
    buffer_deinit(&start);
    buffer_deinit(&end);
}

static void some_stream(struct run *run, struct client *client,
                        void (*call)(struct client *client, uint64_t id, uint64_t bytes))
{
    if (client->streams_count > 0) {
        const struct stream *stream = &client->streams[below(run, client->streams_count)];
        call(client, stream->id, 1 + below(run, 30000));
    }
}

static void stop(struct client *client, uint64_t id, uint64_t bytes)
{
    client_stop(client, id);
}

static void commit_more(struct run *run)
{
    struct log_fixture *log = &run->fixture.log;
    if (below(run, 3) == 0) {
        fixture_replicate(log, (unsigned)below(run, FIXTURE_PEERS), 1 + (unsigned)below(run, 3));
    } else if (below(run, 4) == 0) {
        fixture_produce_group(log, 1 + (unsigned)below(run, 6));
    } else {
        fixture_produce(log, 1 + (unsigned)below(run, 5));
    }
}

static void pass_time(struct run *run)
{
    struct node_fixture *fixture = &run->fixture;
    fixture->now = instant_add(fixture->now, duration_ms((int64_t)below(run, 700)));
    if (instant_reached(service_deadline(fixture->service), fixture->now)) {
        service_tick(fixture->service, fixture->now);
    }
}

static void move(struct run *run)
{
    struct node_fixture *fixture = &run->fixture;
    size_t who = below(run, CLIENTS);
    struct client *client = &run->clients[who];
    switch (below(run, 16)) {
    case 0:
    case 1:
    case 2:
        commit_more(run);
        return;
    case 3:
        subscribe(run, who);
        return;
    case 4:
        some_stream(run, client, below(run, 6) == 0 ? stop : client_credit);
        return;
    case 5:
        pass_time(run);
        return;
    case 6:
        store_step_index(fixture->log.store);
        return;
    case 7:
    case 8:
    case 9:
        store_step_read(fixture->log.store);
        return;
    case 10:
    case 11:
        if (fixture->is_woken) {
            node_turn(fixture);
        }
        return;
    default:
        client_receive(client, 1 + below(run, 4));
        return;
    }
}

static void check(struct run *run)
{
    const struct log_fixture *log = &run->fixture.log;
    for (size_t who = 0; who < CLIENTS; who++) {
        struct client *client = &run->clients[who];
        for (size_t i = 0; i < client->streams_count; i++) {
            struct plan *plan = &run->plans[who][i];
            const struct stream *stream = plan->stream;
            ck_assert_uint_eq(stream->error, 0);
            if (!stream->is_subscribed) {
                ck_assert_uint_eq(stream->end_reason, END_STOPPED);
                ck_assert_uint_eq(stream->count, 0);
                version_vector_deinit(&plan->end);
                continue;
            }
            stream_check_cursor(stream, log, plan->pattern);
            bool is_cut_off = stream->end_reason == END_STOPPED ||
                              (stream->end_reason == END_REACHED && !plan->has_end &&
                               (plan->limit == 0 || stream->count < plan->limit));
            if (is_cut_off) {
                // Stopped, or at the end of what was here: what it has is all inside its cursor.
                stream_check(stream, log, plan->pattern, &stream->cursor, 0);
            } else {
                stream_check(stream, log, plan->pattern, plan->has_end ? &plan->end : NULL,
                             plan->limit);
            }
            version_vector_deinit(&plan->end);
        }
    }
}

static void finish(struct run *run)
{
    for (unsigned i = 0; i < 2; i++) {
        for (size_t who = 0; who < CLIENTS; who++) {
            struct client *client = &run->clients[who];
            for (size_t k = 0; k < client->streams_count; k++) {
                client_credit(client, client->streams[k].id, 1u << 30);
            }
            client_run(client);
        }
    }
}

// One that waits for what comes has passed everything that is here.
static void check_rest(struct run *run)
{
    for (size_t who = 0; who < CLIENTS; who++) {
        struct client *client = &run->clients[who];
        for (size_t i = 0; i < client->streams_count; i++) {
            const struct stream *stream = &client->streams[i];
            if (!stream->is_over && !run->plans[who][i].has_end) {
                client_stop(client, stream->id);
                client_run(client);
                ck_assert(stream->is_over);
                ck_assert(version_vector_includes(&stream->cursor,
                                                  store_port_vector(run->fixture.log.port)));
            }
        }
    }
}

static void interleave(uint64_t seed, uint64_t recent_bytes_max)
{
    struct run *run = calloc(1, sizeof *run);
    random_init(&run->random, seed);
    node_fixture_begin(&run->fixture, seed);
    run->fixture.log.config.recent_bytes_max = recent_bytes_max;
    node_fixture_open(&run->fixture);
    for (size_t i = 0; i < CLIENTS; i++) {
        client_open(&run->clients[i], &run->fixture);
        if (i == 1) {
            session_set_features(run->clients[i].session, 0);
        }
    }
    for (unsigned i = 0; i < MOVES; i++) {
        move(run);
    }
    finish(run);
    check(run);
    check_rest(run);
    for (size_t i = 0; i < CLIENTS; i++) {
        client_close(&run->clients[i]);
    }
    node_fixture_deinit(&run->fixture);
    free(run);
}

START_TEST(nothing_is_missed_or_repeated_in_any_order_of_steps)
{
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < test_rounds(100); round++) {
        interleave(seed + round, round % 2 ? 1024 : 1 << 20);
    }
}
END_TEST

// Sessions end at any moment, with anything in flight.
START_TEST(sessions_can_be_closed_at_every_moment)
{
    uint64_t seed = test_seed();
    for (unsigned moves = 0; moves < 300; moves += 1 + 300 / test_rounds(300)) {
        struct run *run = calloc(1, sizeof *run);
        random_init(&run->random, seed + moves % 7);
        node_fixture_init(&run->fixture, seed);
        for (size_t i = 0; i < CLIENTS; i++) {
            client_open(&run->clients[i], &run->fixture);
        }
        for (unsigned i = 0; i < moves; i++) {
            move(run);
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            client_close(&run->clients[i]);
            for (size_t k = 0; k < CLIENT_STREAMS_MAX; k++) {
                version_vector_deinit(&run->plans[i][k].end);
            }
        }
        node_fixture_deinit(&run->fixture);
        free(run);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/service_interleaving");
    suite_add(suite, nothing_is_missed_or_repeated_in_any_order_of_steps);
    suite_add(suite, sessions_can_be_closed_at_every_moment);
    return check_main(suite);
}
