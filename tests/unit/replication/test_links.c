// Links: who dials whom, which of several connections stays, how dead ones go, how a cluster that
// was parted grows together again.

#include "tests/unit/check_main.h"
#include "tests/unit/replication/replica_network.h"

START_TEST(all_members_of_a_small_cluster_are_linked_once)
{
    for (int count = 2; count <= 8; count++) {
        struct network *network = network_new(count, test_seed(), true);
        network_start_all(network);
        network_run(network, 3000);
        ck_assert(network_is_meshed(network));
        for (int i = 0; i < count; i++) {
            ck_assert_int_eq(network_links(network, i), count - 1);
        }
        network_free(network);
    }
}
END_TEST

START_TEST(of_two_that_dial_at_once_the_higher_uuid_wins_on_both_sides)
{
    struct network *network = network_new(2, test_seed(), true);
    network_start_all(network); // both dial in the same instant
    network_run(network, 100);
    ck_assert_int_eq(network_links(network, 0), 1);
    int higher = uuid_compare(&network->nodes[0].node, &network->nodes[1].node) > 0 ? 0 : 1;
    for (uint32_t c = 0; c < network->connections_count; c++) {
        const struct network_connection *connection = &network->connections[c];
        if (connection->id[0] && connection->id[1]) {
            ck_assert_int_eq(connection->side[0], higher);
        }
    }
    ck_assert_uint_ge(network->connections_count, 2);
    network_free(network);
}
END_TEST

START_TEST(an_idle_link_lives)
{
    struct network *network = network_new(3, test_seed(), true);
    network_start_all(network);
    network_run(network, 3000);
    uint32_t before = network->connections_count;
    network_run(network, 20000);
    ck_assert_uint_eq(network->connections_count, before);
    ck_assert_uint_ge(network->nodes[0].sent[PEER_HEARTBEAT], 2 * 2 * 17);
    network_free(network);
}
END_TEST

START_TEST(a_half_open_link_dies_and_is_dialled_again)
{
    struct network *network = network_new(3, test_seed(), true);
    network_start_all(network);
    network_run(network, 3000);
    network->is_blocked[0][1] = true; // nothing from 0 reaches 1; 1 does not know why
    network_run(network, 2500);
    ck_assert_int_eq(network_links(network, 1), 1);
    ck_assert_uint_ge(network->nodes[1].drops[0], 1);
    network->is_blocked[0][1] = false;
    ck_assert(network_run_until(network, network_is_meshed, 3500));
    network_free(network);
}
END_TEST

START_TEST(a_frozen_node_is_linked_again_when_it_thaws)
{
    struct network *network = network_new(3, test_seed(), true);
    network_start_all(network);
    network_run(network, 3000);
    network->nodes[2].is_frozen = true;
    network_run(network, 10000);
    ck_assert_int_eq(network_links(network, 0), 1);
    network->nodes[2].is_frozen = false;
    ck_assert(network_run_until(network, network_is_meshed, 4000));
    network_free(network);
}
END_TEST

START_TEST(a_node_that_starts_again_is_linked_again)
{
    struct network *network = network_new(4, test_seed(), true);
    network_start_all(network);
    network_run(network, 3000);
    for (int i = 0; i < 10; i++) {
        network_stop(network, 3);
        network_run(network, 500);
        network_start(network, 3);
        ck_assert(network_run_until(network, network_is_meshed, 3500));
    }
    network_free(network);
}
END_TEST

START_TEST(what_ends_soon_again_and_again_is_dialled_ever_later)
{
    struct network *network = network_new(2, test_seed(), true);
    network_start_all(network);
    network_run(network, 3000);
    uint64_t before = network->nodes[0].links_up;
    for (int i = 0; i < 20000 / 10; i++) {
        for (uint32_t c = 0; c < network->connections_count; c++) {
            struct network_connection *connection = &network->connections[c];
            for (int side = 0; side < 2 && connection->id[0] && connection->id[1]; side++) {
                struct replica_event event = {.kind = REPLICA_LINK_DOWN};
                event.link_down.id = connection->id[side];
                event.link_down.dial = side == 0 ? connection->dial : 0;
                network_step(network, connection->side[side], &event);
                connection->is_broken[side] = true;
            }
            if (connection->is_broken[0]) {
                connection->id[0] = connection->id[1] = 0;
            }
        }
        network_run(network, 10);
    }
    ck_assert_uint_le(network->nodes[0].links_up - before, 2 * 20 * 2 + 20);
    network_run(network, 2000);
    ck_assert(network_is_meshed(network));
    network_free(network);
}
END_TEST

START_TEST(one_does_not_dial_oneself_for_ever)
{
    struct network *network = network_new(2, test_seed(), true);
    struct network_node *node = &network->nodes[0];
    struct replica_address peers[PEER_ADDRESSES_MAX] = {{"node:0"}, {"node:1"}};
    node->run = (struct run){1, 99};
    node->runs[0] = 99;
    node->runs_count = 1;
    struct replica_address unused[PEER_ADDRESSES_MAX];
    struct replica_config config = network_config(network, 0, unused);
    config.peers = peers;
    config.peers_count = 2;
    ck_assert_int_eq(replica_new(&config, &node->replica), 0);
    struct replica_event event = {.kind = REPLICA_START};
    network_step(network, 0, &event);
    network_start(network, 1);
    network_run(network, 10000);
    ck_assert_uint_le(node->drops[REFUSAL_SELF], 2);
    ck_assert_int_eq(network_links(network, 0), 1);
    network_free(network);
}
END_TEST

START_TEST(addresses_travel_by_gossip)
{
    struct network *network = network_new(5, test_seed(), true);
    // Nobody knows where the founder is but who is told: node 1. Configured are 0, 1, 2 at most.
    network_start_all(network);
    ck_assert(network_run_until(network, network_is_meshed, 5000));
    for (int i = 1; i < 5; i++) {
        struct replica_member member;
        replica_member_at(network->nodes[i].replica, 0, &member);
        ck_assert_str_eq(member.address, "node:0");
        ck_assert(member.is_connected);
    }
    network_free(network);
}
END_TEST

// How many alarms of that code stand whose text holds `word`.
static uint32_t alarms(const struct network *network, int node, const char *code, const char *word)
{
    const struct replica *replica = network->nodes[node].replica;
    uint32_t count = 0;
    for (uint32_t i = 0; i < replica_alarms_count(replica); i++) {
        struct replica_alarm alarm = replica_alarm_at(replica, i);
        count += strcmp(alarm.code, code) == 0 && strstr(alarm.text, word) != NULL;
    }
    return count;
}

START_TEST(a_node_of_another_cluster_is_refused)
{
    struct network *network = network_new(3, test_seed(), true);
    network->nodes[2].cluster.bytes[0]++;
    network_start_all(network);
    network_produce(network, 0, NULL);
    network_produce(network, 2, NULL);
    network_run(network, 5000);
    ck_assert_int_eq(network_links(network, 2), 0);
    ck_assert_uint_gt(
        network->nodes[0].drops[REFUSAL_CLUSTER] + network->nodes[2].drops[REFUSAL_CLUSTER], 0);
    ck_assert_uint_eq(network_held(network, 0, 3), 0);
    ck_assert_uint_eq(alarms(network, 2, "another_cluster", "node:0"), 1);
    ck_assert_uint_eq(alarms(network, 0, "another_cluster", "node:2"), 1);
    ck_assert_uint_eq(alarms(network, 0, "another_cluster", "node:1"), 0);
    network_free(network);
}
END_TEST

// What becomes of the first dial of node 0: the driver of the other side refuses it.
static void refuse_first_dial(struct network *network, uint32_t refusal)
{
    struct replica_address peers[PEER_ADDRESSES_MAX];
    struct replica_config config = network_config(network, 0, peers);
    struct replica *replica = NULL;
    ck_assert_int_eq(replica_new(&config, &replica), 0);
    network->nodes[0].replica = replica;
    struct replica_event start = {.kind = REPLICA_START, .now = network->now};
    ck_assert_int_eq(replica_step(replica, &start, &network->actions), 0);
    uint64_t dial = 0;
    for (uint32_t i = 0; i < network->actions.count; i++) {
        const struct replica_action *action = &network->actions.items[i];
        dial = action->kind == REPLICA_CONNECT ? action->connect.dial : dial;
    }
    ck_assert_uint_ne(dial, 0);
    struct replica_event down = {.kind = REPLICA_LINK_DOWN, .now = network->now};
    down.link_down.dial = dial;
    down.link_down.refusal = refusal;
    ck_assert_int_eq(replica_step(replica, &down, &network->actions), 0);
}

START_TEST(a_refusal_stands_as_an_alarm_until_the_peer_proves_itself)
{
    static const struct {
        uint32_t refusal;
        const char *code;
    } cases[] = {{REFUSAL_SECRET, "secret"},
                 {REFUSAL_ADDRESS, "secret"},
                 {REFUSAL_VERSION, "version"},
                 {REFUSAL_CLUSTER, "another_cluster"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct network *network = network_new(2, test_seed(), true);
        refuse_first_dial(network, cases[i].refusal);
        ck_assert_uint_eq(alarms(network, 0, cases[i].code, "node:1"), 1);
        network_start(network, 1);
        ck_assert(network_run_until(network, network_is_meshed, 10000));
        network_run(network, 3000); // who answers at an address shows when it is dialled
        ck_assert_uint_eq(alarms(network, 0, cases[i].code, ""), 0);
        network_free(network);
    }
}
END_TEST

START_TEST(a_large_cluster_keeps_few_links)
{
    struct network *network = network_new(30, test_seed(), true);
    network_start_all(network);
    network_run(network, 15000);
    for (int i = 0; i < 30; i++) {
        ck_assert_int_ge(network_links(network, i), 4);
        ck_assert_int_le(network_links(network, i), LINKS_MAX);
    }
    for (int i = 0; i < 30; i++) {
        network_produce(network, i, NULL);
    }
    ck_assert(network_run_until(network, network_is_level, 5000));
    network_free(network);
}
END_TEST

START_TEST(a_large_cluster_that_was_parted_grows_together)
{
    struct network *network = network_new(24, test_seed(), true);
    network_start_all(network);
    network_run(network, 8000);
    for (int a = 0; a < 12; a++) {
        for (int b = 12; b < 24; b++) {
            network_block(network, a, b, true);
        }
    }
    network_run(network, 10000);
    network_produce(network, 3, NULL);
    network_produce(network, 20, NULL);
    network_run(network, 5000);
    ck_assert(!network_is_level(network));
    memset(network->is_blocked, 0, sizeof network->is_blocked);
    ck_assert(network_run_until(network, network_is_level, 6000));
    for (int i = 0; i < 24; i++) {
        network_produce(network, i, NULL);
    }
    ck_assert(network_run_until(network, network_is_level, 5000));
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("links");
    suite_add(suite, all_members_of_a_small_cluster_are_linked_once);
    suite_add(suite, of_two_that_dial_at_once_the_higher_uuid_wins_on_both_sides);
    suite_add(suite, an_idle_link_lives);
    suite_add(suite, a_half_open_link_dies_and_is_dialled_again);
    suite_add(suite, a_frozen_node_is_linked_again_when_it_thaws);
    suite_add(suite, a_node_that_starts_again_is_linked_again);
    suite_add(suite, what_ends_soon_again_and_again_is_dialled_ever_later);
    suite_add(suite, one_does_not_dial_oneself_for_ever);
    suite_add(suite, addresses_travel_by_gossip);
    suite_add(suite, a_node_of_another_cluster_is_refused);
    suite_add(suite, a_refusal_stands_as_an_alarm_until_the_peer_proves_itself);
    suite_add(suite, a_large_cluster_keeps_few_links);
    suite_add(suite, a_large_cluster_that_was_parted_grows_together);
    return check_main(suite);
}
