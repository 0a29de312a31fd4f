// Nodes that become a cluster and hold the same events: the driver, links and the replica together.

#include "proto/base/limits.h"
#include "server/node/cluster_mailbox.h"
#include "tests/unit/check_main.h"
#include "tests/unit/server/cluster_fixture.h"

static const char SECRET[] = "a secret that all members know";

static void open_all(struct cluster_fixture *fixture, unsigned nodes)
{
    cluster_fixture_init(fixture, nodes, test_seed());
    for (unsigned i = 0; i < nodes; i++) {
        cluster_node_open(fixture, i, 0, SECRET);
    }
}

static bool may_produce(const struct cluster_fixture *fixture, unsigned index)
{
    return atomic_load(&fixture->nodes[index].node->view.may_produce);
}

static void await_members(struct cluster_fixture *fixture)
{
    for (unsigned i = 0; i < fixture->nodes_count; i++) {
        for (unsigned waited = 0; !may_produce(fixture, i); waited++) {
            struct reason why;
            cluster_why_not(fixture->nodes[i].node, &why);
            ck_assert_msg(waited < 200, "node %u: %s", i, why.text);
            cluster_pass_ms(fixture, 100);
        }
    }
}

static void await_equal(struct cluster_fixture *fixture)
{
    cluster_settle(fixture);
    for (unsigned waited = 0; !cluster_is_equal(fixture); waited++) {
        ck_assert_msg(waited < 100, "the nodes do not come to hold the same");
        cluster_pass_ms(fixture, 100);
    }
}

START_TEST(one_node_founds_its_cluster_at_once)
{
    static struct cluster_fixture fixture;
    open_all(&fixture, 1);
    cluster_pass_ms(&fixture, 10);
    ck_assert(may_produce(&fixture, 0));
    ck_assert_uint_eq(fixture.nodes[0].identity.actor, 1);
    ck_assert(!uuid_is_zero(&fixture.nodes[0].identity.cluster));
    cluster_produce(&fixture, 0, 10, 10);
    cluster_pass_ms(&fixture, 1200);
    ck_assert_uint_eq(fixture.nodes[0].produced, 1);
    ck_assert_uint_ge(atomic_load(&fixture.nodes[0].node->view.frontier),
                      cluster_held(&fixture, 0, 1));
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(three_fresh_nodes_become_one_cluster)
{
    static struct cluster_fixture fixture;
    open_all(&fixture, 3);
    await_members(&fixture);
    for (unsigned i = 0; i < 3; i++) {
        const struct identity *identity = node_identity(fixture.nodes[i].node);
        ck_assert(uuid_equal(&identity->cluster, &fixture.nodes[0].identity.cluster));
        ck_assert_uint_ne(identity->actor, 0);
        ck_assert_uint_ne(identity->actor, node_actor(fixture.nodes[(i + 1) % 3].node));
        ck_assert_uint_eq(atomic_load(&fixture.nodes[i].node->view.members), 3);
        cluster_produce(&fixture, i, 100, 50);
    }
    await_equal(&fixture);
    cluster_pass_ms(&fixture, 3000);
    uint64_t last = cluster_held(&fixture, 0, node_actor(fixture.nodes[2].node));
    ck_assert_uint_gt(last, 0);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(fixture.nodes[i].produced, 1);
        ck_assert_uint_ge(atomic_load(&fixture.nodes[i].node->view.frontier), last);
        ck_assert_uint_gt(atomic_load(&fixture.nodes[i].node->view.held_by[3]), 0);
    }
    cluster_fixture_deinit(&fixture);
}
END_TEST

// Each has founded a cluster of its own. The second is the one to give way, and has a produce on
// its way to the log when it would.
START_TEST(a_founder_with_a_produce_on_its_way_does_not_give_way)
{
    static struct cluster_fixture fixture;
    cluster_fixture_init(&fixture, 2, test_seed());
    fixture.nodes[0].identity.node.bytes[0] = 1;
    fixture.nodes[1].identity.node.bytes[0] = 2;
    fixture.nodes_count = 1;
    cluster_node_open(&fixture, 0, 0, SECRET);
    fixture.nodes_count = 2;
    cluster_part(&fixture, 0, 1, true);
    cluster_node_open(&fixture, 1, 7, SECRET);
    await_members(&fixture);
    struct uuid cluster = fixture.nodes[1].identity.cluster;
    fixture.nodes[0].is_store_frozen = true; // it is asked, and cannot answer yet
    cluster_part(&fixture, 0, 1, false);
    for (unsigned waited = 0; may_produce(&fixture, 1); waited++) {
        ck_assert_uint_lt(waited, 3000);
        cluster_pass_ms(&fixture, 1);
    }
    cluster_produce(&fixture, 1, 1, 10);
    cluster_pass_ms(&fixture, 10);
    ck_assert_uint_eq(fixture.nodes[1].refused, 1);
    // another loop has looked just before
    fixture.nodes[1].is_store_frozen = true;
    atomic_store(&fixture.nodes[1].node->view.may_produce, true);
    cluster_produce(&fixture, 1, 3, 10);
    fixture.nodes[0].is_store_frozen = false;
    cluster_pass_ms(&fixture, 10);
    fixture.nodes[1].is_store_frozen = false;
    cluster_pass_ms(&fixture, 3000);
    ck_assert_uint_eq(fixture.nodes[1].produced, 1);
    ck_assert(uuid_equal(&fixture.nodes[1].identity.cluster, &cluster));
    ck_assert_uint_eq(fixture.nodes[1].identity.actor, 7);
    ck_assert_uint_eq(node_actor(fixture.nodes[1].node), 7);
    await_members(&fixture);
    cluster_produce(&fixture, 1, 1, 10);
    cluster_pass_ms(&fixture, 10);
    ck_assert_uint_eq(fixture.nodes[1].produced, 2);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(an_idle_founder_gives_way)
{
    static struct cluster_fixture fixture;
    cluster_fixture_init(&fixture, 2, test_seed());
    fixture.nodes[0].identity.node.bytes[0] = 1;
    fixture.nodes[1].identity.node.bytes[0] = 2;
    fixture.nodes_count = 1;
    cluster_node_open(&fixture, 0, 0, SECRET);
    fixture.nodes_count = 2;
    cluster_node_open(&fixture, 1, 7, SECRET);
    cluster_pass_ms(&fixture, 3000);
    await_members(&fixture);
    ck_assert(uuid_equal(&fixture.nodes[1].identity.cluster, &fixture.nodes[0].identity.cluster));
    cluster_produce(&fixture, 1, 3, 10);
    await_equal(&fixture);
    ck_assert_uint_eq(fixture.nodes[1].produced, 1);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_part_that_was_alone_goes_on_and_comes_back)
{
    static struct cluster_fixture fixture;
    open_all(&fixture, 3);
    await_members(&fixture);
    cluster_part(&fixture, 0, 2, true);
    cluster_part(&fixture, 1, 2, true);
    cluster_pass_ms(&fixture, 3000);
    for (unsigned round = 0; round < 20; round++) {
        cluster_produce(&fixture, round % 3, 50, 100);
        cluster_pass_ms(&fixture, 50);
    }
    ck_assert(!cluster_is_equal(&fixture));
    cluster_part(&fixture, 0, 2, false);
    cluster_part(&fixture, 1, 2, false);
    await_equal(&fixture);
    ck_assert_uint_eq(fixture.nodes[2].produced, 6);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_node_that_starts_again_catches_up)
{
    static struct cluster_fixture fixture;
    open_all(&fixture, 3);
    await_members(&fixture);
    cluster_produce(&fixture, 1, 10, 100);
    await_equal(&fixture);
    cluster_node_close(&fixture, 1);
    for (unsigned round = 0; round < 12; round++) {
        cluster_produce(&fixture, 0, 100, 4000);
        cluster_pass_ms(&fixture, 20);
    }
    cluster_node_open(&fixture, 1, 0, SECRET);
    await_members(&fixture);
    await_equal(&fixture);
    cluster_produce(&fixture, 1, 10, 100);
    await_equal(&fixture);
    ck_assert_uint_eq(fixture.nodes[1].refused, 0);
    cluster_fixture_deinit(&fixture);
}
END_TEST

START_TEST(a_damaged_chunk_is_repaired_from_another_node)
{
    static struct cluster_fixture fixture;
    struct store_status status;
    uint8_t key[EVENT_ID_KEY_LENGTH];
    open_all(&fixture, 2);
    await_members(&fixture);
    uint16_t actor = node_actor(fixture.nodes[0].node);
    cluster_produce(&fixture, 0, 1, 1000);
    await_equal(&fixture);
    uint64_t counter = cluster_held(&fixture, 1, actor);
    cluster_produce(&fixture, 0, 10, 1000);
    await_equal(&fixture);
    event_id_encode_key((struct event_id){.counter = counter, .actor = actor}, key);
    ck_assert_int_eq(
        disk_medium_flip(fixture.nodes[1].log_medium, LOG_CHUNKS, bytes_of(key, sizeof key), 2000),
        0);
    while (store_step_scrub(fixture.nodes[1].store)) {
    }
    store_status(fixture.nodes[1].store, &status);
    ck_assert_uint_eq(status.damaged_chunks, 1);
    cluster_pass_ms(&fixture, 3000);
    store_status(fixture.nodes[1].store, &status);
    ck_assert_uint_eq(status.damaged_chunks, 0);
    ck_assert_uint_eq(status.repaired_chunks, 1);
    cluster_fixture_deinit(&fixture);
}
END_TEST

struct answered {
    unsigned count;
    int result;
    uint32_t members_length;
};

static void take_answer(void *context, struct cluster_reply *reply)
{
    struct answered *answered = context;
    answered->count++;
    ck_assert_ptr_nonnull(reply);
    answered->result = reply->result;
    answered->members_length = (uint32_t)reply->status.members.length;
    cluster_reply_free(reply);
}

START_TEST(a_request_is_answered_once_also_at_the_end)
{
    static struct cluster_fixture fixture;
    const struct request_cluster status = {.which = CLUSTER_STATUS};
    struct answered answered = {0};
    open_all(&fixture, 1);
    cluster_pass_ms(&fixture, 10);
    struct service *service = fixture.nodes[0].service;
    ck_assert_int_eq(cluster_request(service, &status, take_answer, &answered), 0);
    ck_assert_uint_eq(answered.count, 0);
    ck_assert(!service_is_idle(service));
    cluster_settle(&fixture);
    ck_assert_uint_eq(answered.count, 1);
    ck_assert_int_eq(answered.result, 0);
    ck_assert_uint_gt(answered.members_length, 0);
    ck_assert_int_eq(cluster_request(service, &status, take_answer, &answered), 0);
    service_shut_down(service);
    ck_assert_int_eq(cluster_request(service, &status, take_answer, &answered), ERR_CLOSED);
    cluster_settle(&fixture);
    ck_assert_uint_eq(answered.count, 2);
    ck_assert_int_eq(answered.result, ERR_CLOSED);
    cluster_fixture_deinit(&fixture);
}
END_TEST

// However many ask: the loop has links to keep alive.
START_TEST(a_turn_answers_a_bounded_number_of_requests)
{
    static struct cluster_fixture fixture;
    enum { REQUESTS = 500 };
    const struct request_cluster status = {.which = CLUSTER_STATUS};
    struct answered answered = {0};
    open_all(&fixture, 1);
    cluster_pass_ms(&fixture, 10);
    struct service *service = fixture.nodes[0].service;
    for (unsigned i = 0; i < REQUESTS; i++) {
        ck_assert_int_eq(cluster_request(service, &status, take_answer, &answered), 0);
    }
    service_turn(service, fixture.now);
    service_turn(service, fixture.now); // brings what the first has answered
    ck_assert_uint_gt(answered.count, 0);
    ck_assert_uint_lt(answered.count, REQUESTS);
    cluster_settle(&fixture);
    ck_assert_uint_eq(answered.count, REQUESTS);
    cluster_fixture_deinit(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cluster");
    suite_add(suite, one_node_founds_its_cluster_at_once);
    suite_add(suite, three_fresh_nodes_become_one_cluster);
    suite_add(suite, a_founder_with_a_produce_on_its_way_does_not_give_way);
    suite_add(suite, an_idle_founder_gives_way);
    suite_add(suite, a_part_that_was_alone_goes_on_and_comes_back);
    suite_add(suite, a_node_that_starts_again_catches_up);
    suite_add(suite, a_request_is_answered_once_also_at_the_end);
    suite_add(suite, a_turn_answers_a_bounded_number_of_requests);
    suite_add(suite, a_damaged_chunk_is_repaired_from_another_node);
    return check_main(suite);
}
