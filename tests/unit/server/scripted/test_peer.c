// Links between nodes: hello and proof, chunks by credit, what must be durable first. The replica
// is scripted: it pulls from everybody and decides nothing else.

#include "proto/base/compress.h"
#include "proto/base/limits.h"
#include "proto/model/chunk.h"
#include "proto/wire/peer_wire.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/cluster_fixture.h"
#include "tests/unit/server/scripted_replica.h"

static const char SECRET[] = "a secret that all members know";

static void begin(struct cluster_fixture *fixture, unsigned nodes, const char *secret)
{
    scripted = (struct scripted){0};
    cluster_fixture_init(fixture, nodes, 1);
    for (unsigned i = 0; i < nodes; i++) {
        cluster_node_open(fixture, i, (uint16_t)(i + 1), secret);
    }
}

static void produce_everywhere(struct cluster_fixture *fixture, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < fixture->nodes_count; i++) {
            cluster_produce(fixture, i, 1 + (unsigned)random_below(&fixture->random, 200), 20);
        }
        if (random_below(&fixture->random, 3) == 0) {
            cluster_settle(fixture);
        }
    }
    cluster_settle(fixture);
}

START_TEST(nodes_hold_what_each_other_produces)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 3, SECRET);
    cluster_pass_ms(&fixture, 10);
    ck_assert_uint_eq(scripted.links_up, 12); // two links per pair, each seen from both sides
    produce_everywhere(&fixture, 20);
    ck_assert_uint_eq(fixture.nodes[0].produced, 20);
    ck_assert(cluster_is_equal(&fixture));
    ck_assert_uint_gt(cluster_held(&fixture, 0, 3), 20);
    ck_assert_uint_eq(scripted.duplicates, 0);
    ck_assert_uint_eq(scripted.others, 0);
    ck_assert_uint_gt(scripted.durable, 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(small_pieces_of_bytes_are_the_same)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    fixture.feed_max = 7;
    cluster_pass_ms(&fixture, 10);
    produce_everywhere(&fixture, 3);
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(another_secret_is_refused_on_both_sides)
{
    static struct cluster_fixture fixture;
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 2, 1);
    cluster_node_open(&fixture, 0, 1, SECRET);
    cluster_node_open(&fixture, 1, 2, "a secret that only this node knows");
    cluster_produce(&fixture, 0, 1, 10);
    cluster_pass_ms(&fixture, 1000);
    ck_assert_uint_eq(scripted.links_up, 0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_SECRET);
    ck_assert_uint_eq(cluster_held(&fixture, 1, 1), 0);
    ck_assert_ptr_nonnull(strstr(fixture.nodes[0].log_text, "secret"));
    ck_assert_ptr_nonnull(strstr(fixture.nodes[1].log_text, "secret"));
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(one_side_without_a_secret_is_refused)
{
    static struct cluster_fixture fixture;
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 2, 1);
    cluster_node_open(&fixture, 0, 1, SECRET);
    cluster_node_open(&fixture, 1, 2, NULL);
    cluster_pass_ms(&fixture, 1000);
    ck_assert_uint_eq(scripted.links_up, 0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_SECRET);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(without_a_secret_only_this_machine_is_accepted)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, NULL);
    fixture.is_local = false;
    cluster_pass_ms(&fixture, 1000);
    ck_assert_uint_eq(scripted.links_up, 0);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_ADDRESS);
    fixture.is_local = true;
    cluster_pass_ms(&fixture, 1000);
    ck_assert_uint_eq(scripted.links_up, 4);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_greeting_that_stops_ends_after_its_time)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    cluster_settle(&fixture);
    cluster_cut(&fixture, 0, 1);
    fixture.nodes[1].is_frozen = true;
    cluster_pass_ms(&fixture, 4000);
    ck_assert_uint_eq(cluster_pipes(&fixture), 1);
    cluster_pass_ms(&fixture, 2000);
    ck_assert_uint_ge(scripted.links_down, 3);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_PROTOCOL);
    fixture.nodes[1].is_frozen = false;
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_connection_may_be_cut_at_any_byte)
{
    static struct cluster_fixture fixture;
    bool is_over = false;
    unsigned step = getenv("WEIR_TEST_REDUCED") ? 37 : 1;
    for (unsigned cut = 1; !is_over; cut += step) {
        scripted = (struct scripted){0};
        cluster_fixture_init(&fixture, 2, cut);
        fixture.cut_after = cut;
        fixture.feed_max = 1;
        cluster_node_open(&fixture, 0, 1, SECRET);
        cluster_node_open(&fixture, 1, 2, SECRET);
        cluster_produce(&fixture, 0, 3, 10);
        cluster_settle(&fixture);
        is_over = fixture.cut_after > 0; // everything was said before
        fixture.cut_after = 0;
        fixture.feed_max = 0;
        cluster_produce(&fixture, 1, 3, 10);
        cluster_pass_ms(&fixture, 300);
        ck_assert_msg(cluster_is_equal(&fixture), "cut after %u bytes", cut);
        cluster_fixture_deinit(&fixture);
    }
}
END_TEST

static uint64_t fed_bytes(const struct cluster_fixture *fixture, unsigned index)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < CLUSTER_PIPES_MAX; i++) {
        for (unsigned side = 0; side < 2 && fixture->pipes[i].is_open; side++) {
            const struct cluster_end *end = &fixture->pipes[i].ends[side];
            bytes += end->node->index == index ? end->fed_bytes : 0;
        }
    }
    return bytes;
}

START_TEST(chunks_are_sent_within_credit)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    cluster_pass_ms(&fixture, 10);
    fixture.nodes[1].is_store_frozen = true;
    for (unsigned i = 0; i < 40; i++) {
        cluster_produce(&fixture, 0, 100, 4000);
        cluster_settle(&fixture);
    }
    // One frame may go beyond, and there are heads.
    ck_assert_uint_gt(fed_bytes(&fixture, 1), PEER_CREDIT_BYTES);
    ck_assert_uint_lt(fed_bytes(&fixture, 1), PEER_CREDIT_BYTES + 3 * PEER_FRAME_BYTES);
    ck_assert_uint_eq(scripted.applied, 0);
    fixture.nodes[1].is_store_frozen = false;
    cluster_settle(&fixture);
    ck_assert(cluster_is_equal(&fixture));
    ck_assert_uint_eq(scripted.duplicates + scripted.others, 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(what_is_dropped_is_credited)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    scripted.drops_chunks = true;
    cluster_pass_ms(&fixture, 10);
    for (unsigned i = 0; i < 40; i++) {
        cluster_produce(&fixture, 0, 100, 4000);
        cluster_settle(&fixture);
    }
    ck_assert_uint_gt(fed_bytes(&fixture, 1), 40 * 100 * 4000);
    ck_assert_uint_eq(cluster_held(&fixture, 1, 1), 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_newcomer_catches_up_beyond_its_credit)
{
    static struct cluster_fixture fixture;
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 2, 1);
    cluster_node_open(&fixture, 0, 1, SECRET);
    for (unsigned i = 0; i < 30; i++) {
        cluster_produce(&fixture, 0, 100, 4000);
        cluster_settle(&fixture);
    }
    cluster_node_open(&fixture, 1, 2, SECRET);
    cluster_pass_ms(&fixture, 500);
    ck_assert(cluster_is_equal(&fixture));
    // Level now, it goes on from the recent blocks.
    unsigned applied = scripted.applied;
    cluster_produce(&fixture, 0, 1, 10);
    cluster_settle(&fixture);
    ck_assert(cluster_is_equal(&fixture));
    ck_assert_uint_eq(scripted.applied, applied + 1);
    ck_assert_uint_eq(scripted.duplicates + scripted.others, 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(the_largest_produce_goes_as_a_whole)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    cluster_pass_ms(&fixture, 10);
    cluster_produce(&fixture, 0, 16, MIB - 100);
    cluster_settle(&fixture);
    cluster_produce(&fixture, 0, 1, 20 * MIB);
    cluster_settle(&fixture);
    cluster_produce(&fixture, 0, 5, 10);
    cluster_settle(&fixture);
    ck_assert_uint_eq(fixture.nodes[0].produced, 3);
    ck_assert_uint_eq(cluster_held(&fixture, 1, 1), cluster_held(&fixture, 0, 1));
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(links_that_come_and_go_lose_nothing)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 3, SECRET);
    for (unsigned i = 0; i < test_rounds(200); i++) {
        unsigned a = (unsigned)random_below(&fixture.random, 3);
        fixture.nodes[a].is_store_frozen = random_below(&fixture.random, 2) == 0;
        cluster_produce(&fixture, a, 1 + (unsigned)random_below(&fixture.random, 100), 500);
        if (random_below(&fixture.random, 4) == 0) {
            cluster_settle(&fixture);
            cluster_cut(&fixture, a, (a + 1) % 3);
        }
        cluster_pass_ms(&fixture, (unsigned)random_below(&fixture.random, 60));
    }
    for (unsigned i = 0; i < 3; i++) {
        fixture.nodes[i].is_store_frozen = false;
    }
    cluster_pass_ms(&fixture, 500);
    ck_assert(cluster_is_equal(&fixture));
    ck_assert_uint_eq(scripted.others, 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(nothing_is_sent_beyond_the_limit)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    cluster_pass_ms(&fixture, 10);
    cluster_produce(&fixture, 0, 10, 10);
    cluster_settle(&fixture);
    scripted.send_limit = cluster_held(&fixture, 0, 1);
    cluster_produce(&fixture, 0, 10, 10);
    cluster_settle(&fixture);
    ck_assert_uint_eq(cluster_held(&fixture, 1, 1), scripted.send_limit);
    scripted.send_limit = 0;
    cluster_produce(&fixture, 0, 1, 10);
    cluster_settle(&fixture);
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_record_is_durable_before_what_is_behind_it)
{
    static struct cluster_fixture fixture;
    static const struct promise promise = {.actor = 1, .counter = 5};
    struct replica_action actions[2] = {
        {.kind = REPLICA_RECORD,
         .record = {.key = bytes_of_text("key"), .value = bytes_of_text("value")}},
        {.kind = REPLICA_SEND},
    };
    begin(&fixture, 3, SECRET);
    cluster_pass_ms(&fixture, 10);
    fixture.nodes[0].is_store_frozen = true;
    actions[1].send.link = scripted.link;
    actions[1].send.message = (struct peer_message){
        .kind = PEER_PROMISES,
        .promises = {.entries = &promise, .count = 1},
    };
    scripted_do(1, actions, 2);
    cluster_cut(&fixture, 0, 2); // a step of node 0
    cluster_pass_ms(&fixture, 300);
    ck_assert_uint_eq(scripted.saved, 0);
    ck_assert_uint_eq(scripted.promises, 0);
    fixture.nodes[0].is_store_frozen = false;
    cluster_settle(&fixture);
    ck_assert_uint_eq(scripted.saved, 1);
    ck_assert_uint_eq(scripted.promises, 1);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(events_of_members_are_told_on_every_node)
{
    static struct cluster_fixture fixture;
    const struct replica_action action = {
        .kind = REPLICA_SYSTEM_EVENT,
        .member = {.kind = MEMBER_FORGIVEN, .actor = 7},
    };
    begin(&fixture, 2, SECRET);
    scripted_do(0, &action, 1);
    cluster_pass_ms(&fixture, 300);
    ck_assert_uint_eq(scripted.member_events, 2);
    ck_assert(cluster_is_equal(&fixture));
    cluster_node_close(&fixture, 1);
    cluster_node_open(&fixture, 1, 2, SECRET);
    ck_assert_uint_eq(scripted.member_events, 3); // of the log, at the start
    cluster_fixture_deinit(&fixture);
}
END_TEST

static uint64_t events_of(const struct cluster_fixture *fixture, unsigned index)
{
    struct store_status status;
    store_status(fixture->nodes[index].store, &status);
    return status.events;
}

START_TEST(events_of_a_branch_are_stored_again)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    cluster_produce(&fixture, 0, 100, 3000);
    cluster_settle(&fixture);
    const struct replica_action action = {
        .kind = REPLICA_REISSUE,
        .reissue = {.actor = 1, .above = cluster_held(&fixture, 0, 1)},
    };
    cluster_produce(&fixture, 0, 300, 3000);
    cluster_produce(&fixture, 0, 1, MIB);
    cluster_settle(&fixture);
    cluster_cut(&fixture, 0, 1); // so that there is a step
    scripted_do(0, &action, 1);
    fixture.nodes[0].is_woken = true;
    cluster_pass_ms(&fixture, 300);
    ck_assert_uint_eq(scripted.reissued, 1);
    ck_assert_uint_eq(events_of(&fixture, 0), 100 + 2 * 301);
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

// So little is one event that one read brings more of them than one produce may hold.
START_TEST(many_small_events_of_a_branch_are_stored_again)
{
    static struct cluster_fixture fixture;
    enum { PRODUCES = 50, EVENTS = 4000 };
    begin(&fixture, 2, SECRET);
    for (unsigned i = 0; i < PRODUCES; i++) {
        cluster_produce(&fixture, 0, EVENTS, 0);
        cluster_settle(&fixture);
    }
    ck_assert_uint_eq(fixture.nodes[0].produced, PRODUCES);
    const struct replica_action action = {.kind = REPLICA_REISSUE, .reissue = {.actor = 1}};
    cluster_cut(&fixture, 0, 1); // so that there is a step
    scripted_do(0, &action, 1);
    fixture.nodes[0].is_woken = true;
    cluster_pass_ms(&fixture, 300);
    ck_assert_uint_eq(scripted.reissued, 1);
    ck_assert_uint_eq(events_of(&fixture, 0), 2 * PRODUCES * EVENTS);
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

// One event whose attributes are as long as they may be.
static void produce_full_attributes(struct cluster_fixture *fixture)
{
    struct cluster_node *node = &fixture->nodes[0];
    struct buffer events = {0};
    struct buffer attributes = {0};
    uint8_t *value = calloc(1, ATTRIBUTES_BYTES_MAX);
    const struct attribute attribute = {
        .key = bytes_of_text("k"),
        .value = bytes_of(value, ATTRIBUTES_BYTES_MAX - 6), // behind the heads of array and pair
    };
    struct event_id none = {0};
    ck_assert_int_eq(attributes_append(&attributes, &attribute, 1, none), 0);
    ck_assert_uint_eq(attributes.length, ATTRIBUTES_BYTES_MAX);
    ck_assert_int_eq(event_append(&events, bytes_of_text("/some/name"), bytes_of("x", 1),
                                  buffer_bytes(&attributes)),
                     0);
    const struct request request = {
        .kind = REQUEST_PRODUCE,
        .id = ++node->request_id,
        .produce = {.events = buffer_bytes(&events), .events_count = 1},
    };
    ck_assert_int_eq(session_submit(node->session, &request, fixture->now), 0);
    node->is_woken = true;
    buffer_deinit(&events);
    buffer_deinit(&attributes);
    free(value);
}

// Stored again with one more attribute no member would take it, and nothing behind it.
START_TEST(an_event_without_room_for_its_old_id_is_stored_again)
{
    static struct cluster_fixture fixture;
    begin(&fixture, 2, SECRET);
    cluster_pass_ms(&fixture, 10);
    produce_full_attributes(&fixture);
    cluster_settle(&fixture);
    ck_assert_uint_eq(fixture.nodes[0].produced, 1);
    const struct replica_action action = {.kind = REPLICA_REISSUE, .reissue = {.actor = 1}};
    cluster_cut(&fixture, 0, 1); // so that there is a step
    scripted_do(0, &action, 1);
    fixture.nodes[0].is_woken = true;
    cluster_pass_ms(&fixture, 300);
    ck_assert_uint_eq(scripted.reissued, 1);
    ck_assert_uint_eq(events_of(&fixture, 0), 2);
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

static void look_up(struct cluster_fixture *fixture, uint64_t counter)
{
    const struct replica_action action = {
        .kind = REPLICA_LOOK_UP,
        .look_up = {.token = counter + 1, .actor = 1, .counter = counter},
    };
    scripted_do(0, &action, 1);
    cluster_cut(fixture, 0, 1);
    cluster_pass_ms(fixture, 300);
    ck_assert_uint_eq(scripted.found.token, counter + 1);
}

START_TEST(the_chunk_below_a_counter_is_found)
{
    static struct cluster_fixture fixture;
    const struct hash128 zero = {{0}};
    begin(&fixture, 2, SECRET);
    cluster_pass_ms(&fixture, 10);
    cluster_produce(&fixture, 0, 10, 10);
    cluster_settle(&fixture);
    uint64_t first = cluster_held(&fixture, 0, 1);
    cluster_produce(&fixture, 0, 10, 10);
    cluster_settle(&fixture);
    uint64_t second = cluster_held(&fixture, 0, 1);
    look_up(&fixture, first);
    struct hash128 hash = scripted.found.hash;
    ck_assert_uint_eq(scripted.found.counter, first);
    ck_assert(!hash128_equal(&hash, &zero));
    look_up(&fixture, second - 1); // inside a chunk
    ck_assert_uint_eq(scripted.found.counter, first);
    ck_assert(hash128_equal(&hash, &scripted.found.hash));
    look_up(&fixture, second + 1000);
    ck_assert_uint_eq(scripted.found.counter, second);
    look_up(&fixture, first - 1);
    ck_assert_uint_eq(scripted.found.counter, 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_range_that_is_lost_everywhere_is_passed_over)
{
    static struct cluster_fixture fixture;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 2, 1);
    cluster_node_open(&fixture, 0, 1, SECRET);
    uint64_t ends[3];
    for (unsigned i = 0; i < 3; i++) {
        cluster_produce(&fixture, 0, 10, 100);
        cluster_settle(&fixture);
        ends[i] = cluster_held(&fixture, 0, 1);
    }
    event_id_encode_key((struct event_id){.counter = ends[0] + 1, .actor = 1}, key);
    ck_assert_int_eq(
        disk_medium_flip(fixture.nodes[0].log_medium, LOG_CHUNKS, bytes_of(key, sizeof key), 1000),
        0);
    cluster_node_open(&fixture, 1, 2, SECRET);
    cluster_pass_ms(&fixture, 3000);
    ck_assert_uint_eq(cluster_held(&fixture, 1, 1), ends[0]); // damage is not sent
    const struct replica_action actions[] = {
        {.kind = REPLICA_HOLLOW, .hollow = {.actor = 1, .first = ends[0] + 1, .last = ends[1]}},
    };
    scripted_do(0, actions, 1);
    cluster_cut(&fixture, 0, 1);
    cluster_pass_ms(&fixture, 50); // the first to step
    scripted_do(0, actions, 1);
    cluster_pass_ms(&fixture, 3000);
    ck_assert_uint_eq(cluster_held(&fixture, 1, 1), ends[2]);
    ck_assert(cluster_is_equal(&fixture));
    cluster_fixture_deinit(&fixture);
}
END_TEST

// One that speaks the protocol by hand.
static int say(struct frontend *frontend, const struct peer_message *message, struct instant now)
{
    struct buffer frame = {0};
    struct iovec pieces[16];
    size_t taken = 0;
    size_t wanted = 0;
    ck_assert_int_eq(peer_encode(message, &frame), 0);
    int result = frontend->ops->feed(frontend, buffer_bytes(&frame), now, &taken, &wanted);
    buffer_deinit(&frame);
    for (size_t count; (count = frontend->ops->peek(frontend, pieces, 16)) > 0;) {
        frontend->ops->sent(frontend, pieces[0].iov_len);
    }
    return result;
}

static void make_chunk(struct buffer *chunk, size_t length, uint64_t first, void *compress_state)
{
    struct buffer body = {0};
    uint8_t *data = calloc(length, 1);
    struct chunk_header header = {
        .actor = 9, .count = 1, .first = first, .prev = first - 1, .timestamp_ms = 1};
    ck_assert_int_eq(
        event_append(&body, bytes_of_text("/some/name"), bytes_of(data, length), bytes_of(NULL, 0)),
        0);
    ck_assert_int_eq(chunk_append(chunk, &header, buffer_bytes(&body), compress_state), 0);
    buffer_deinit(&body);
    free(data);
}

START_TEST(chunks_beyond_the_credit_are_refused)
{
    static struct cluster_fixture fixture;
    struct frontend *frontend;
    struct buffer chunk = {0};
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 1, 1);
    cluster_node_open(&fixture, 0, 1, NULL);
    cluster_settle(&fixture);
    fixture.nodes[0].is_store_frozen = true;
    const struct frontend_config config = {
        .service = fixture.nodes[0].service,
        .peer_name = "hand:1",
        .is_local = true,
    };
    ck_assert_int_eq(FRONTEND_PEER.open(&config, &frontend), 0);
    struct peer_message message = {
        .kind = PEER_HELLO,
        .hello = {.version_min = 1, .version_max = 1, .runs_count = 1, .run_number = 1},
    };
    message.hello.node.bytes[0] = 1;
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    message = (struct peer_message){.kind = PEER_PROOF};
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    ck_assert_uint_eq(scripted.links_up, 1);
    make_chunk(&chunk, MIB, 1, NULL);
    message = (struct peer_message){
        .kind = PEER_CHUNKS,
        .chunks = {.actor = 9, .chunks = buffer_bytes(&chunk)},
    };
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    }
    ck_assert_int_lt(say(frontend, &message, fixture.now), 0);
    cluster_settle(&fixture);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_PROTOCOL);
    frontend->ops->close(frontend);
    buffer_deinit(&chunk);
    cluster_fixture_deinit(&fixture);
}
END_TEST

static struct frontend *open_by_hand(struct cluster_fixture *fixture, uint64_t dial)
{
    struct frontend *frontend;
    const struct frontend_config config = {
        .service = fixture->nodes[0].service,
        .peer_name = "hand:1",
        .dial = dial,
        .is_local = true,
    };
    ck_assert_int_eq(FRONTEND_PEER.open(&config, &frontend), 0);
    return frontend;
}

// Else the dialer would prove itself over nothing but what the other side has chosen.
START_TEST(a_hello_ahead_of_the_dialers_is_refused)
{
    static struct cluster_fixture fixture;
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 1, 1);
    cluster_node_open(&fixture, 0, 1, SECRET);
    cluster_settle(&fixture);
    struct frontend *frontend = open_by_hand(&fixture, 1000);
    struct peer_message message = {
        .kind = PEER_HELLO,
        .hello = {.version_min = 1, .version_max = 1, .runs_count = 1, .run_number = 1},
    };
    message.hello.node.bytes[0] = 1;
    ck_assert_int_lt(say(frontend, &message, fixture.now), 0);
    frontend->ops->close(frontend);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(what_a_stranger_says_is_not_logged)
{
    static struct cluster_fixture fixture;
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 1, 1);
    cluster_node_open(&fixture, 0, 1, SECRET);
    cluster_settle(&fixture);
    struct frontend *frontend = open_by_hand(&fixture, 0);
    const struct peer_message message = {
        .kind = PEER_REFUSE,
        .refuse = {.code = REFUSAL_VERSION, .text = bytes_of_text("one of many texts")},
    };
    ck_assert_int_lt(say(frontend, &message, fixture.now), 0);
    ck_assert_ptr_nonnull(strstr(fixture.nodes[0].log_text, "version"));
    ck_assert_ptr_null(strstr(fixture.nodes[0].log_text, "one of many"));
    frontend->ops->close(frontend);
    cluster_fixture_deinit(&fixture);
}
END_TEST

// Decompressed, a frame would keep the loop busy for longer than links live.
START_TEST(a_frame_that_holds_too_much_is_refused)
{
    static struct cluster_fixture fixture;
    struct buffer chunks = {0};
    void *compress_state = malloc(compress_state_bytes());
    scripted = (struct scripted){0};
    cluster_fixture_init(&fixture, 1, 1);
    cluster_node_open(&fixture, 0, 1, NULL);
    cluster_settle(&fixture);
    struct frontend *frontend = open_by_hand(&fixture, 0);
    struct peer_message message = {
        .kind = PEER_HELLO,
        .hello = {.version_min = 1, .version_max = 1, .runs_count = 1, .run_number = 1},
    };
    message.hello.node.bytes[0] = 1;
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    message = (struct peer_message){.kind = PEER_PROOF};
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    for (uint64_t first = 1; first <= 3; first++) {
        make_chunk(&chunks, 60 * MIB, first, compress_state);
    }
    ck_assert_uint_lt(chunks.length, MIB);
    message = (struct peer_message){
        .kind = PEER_CHUNKS,
        .chunks = {.actor = 9, .chunks = buffer_bytes(&chunks)},
    };
    ck_assert_int_lt(say(frontend, &message, fixture.now), 0);
    cluster_settle(&fixture);
    ck_assert_uint_eq(scripted.refusal, REFUSAL_MALFORMED);
    frontend->ops->close(frontend);
    buffer_deinit(&chunks);
    free(compress_state);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(what_was_read_before_the_limit_came_is_not_sent)
{
    static struct cluster_fixture fixture;
    struct iovec pieces[16];
    scripted = (struct scripted){.pulls_nothing = true};
    cluster_fixture_init(&fixture, 1, 1);
    cluster_node_open(&fixture, 0, 1, NULL);
    cluster_produce(&fixture, 0, 10, 100);
    cluster_settle(&fixture);
    struct frontend *frontend = open_by_hand(&fixture, 0);
    struct peer_message message = {
        .kind = PEER_HELLO,
        .hello = {.version_min = 1, .version_max = 1, .runs_count = 1, .run_number = 1},
    };
    message.hello.node.bytes[0] = 1;
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    message = (struct peer_message){.kind = PEER_PROOF};
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0);
    message = (struct peer_message){.kind = PEER_PULL, .pull = {.actor = 1}};
    ck_assert_int_eq(say(frontend, &message, fixture.now), 0); // begins to read
    ck_assert(store_step_read(fixture.nodes[0].store));
    service_turn(fixture.nodes[0].service, fixture.now);
    scripted.send_limit = 5;
    ck_assert_uint_eq(frontend->ops->peek(frontend, pieces, 16), 0);
    frontend->ops->close(frontend);
    cluster_fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer");
    suite_add(suite, nodes_hold_what_each_other_produces);
    suite_add(suite, small_pieces_of_bytes_are_the_same);
    suite_add(suite, another_secret_is_refused_on_both_sides);
    suite_add(suite, one_side_without_a_secret_is_refused);
    suite_add(suite, without_a_secret_only_this_machine_is_accepted);
    suite_add(suite, a_greeting_that_stops_ends_after_its_time);
    suite_add(suite, a_connection_may_be_cut_at_any_byte);
    suite_add(suite, chunks_are_sent_within_credit);
    suite_add(suite, what_is_dropped_is_credited);
    suite_add(suite, a_newcomer_catches_up_beyond_its_credit);
    suite_add(suite, the_largest_produce_goes_as_a_whole);
    suite_add(suite, links_that_come_and_go_lose_nothing);
    suite_add(suite, nothing_is_sent_beyond_the_limit);
    suite_add(suite, a_record_is_durable_before_what_is_behind_it);
    suite_add(suite, events_of_members_are_told_on_every_node);
    suite_add(suite, events_of_a_branch_are_stored_again);
    suite_add(suite, many_small_events_of_a_branch_are_stored_again);
    suite_add(suite, an_event_without_room_for_its_old_id_is_stored_again);
    suite_add(suite, the_chunk_below_a_counter_is_found);
    suite_add(suite, a_range_that_is_lost_everywhere_is_passed_over);
    suite_add(suite, chunks_beyond_the_credit_are_refused);
    suite_add(suite, a_hello_ahead_of_the_dialers_is_refused);
    suite_add(suite, what_a_stranger_says_is_not_logged);
    suite_add(suite, a_frame_that_holds_too_much_is_refused);
    suite_add(suite, what_was_read_before_the_limit_came_is_not_sent);
    return check_main(suite);
}
