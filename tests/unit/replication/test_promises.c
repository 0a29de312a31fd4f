// Promises and the frontier: it comes as far as everybody has promised and waits for whom is away;
// it survives a restart; how many nodes hold an event is known.

#include "tests/unit/check_main.h"
#include "tests/unit/replication/replica_network.h"

static struct network *running(int count, int64_t ms)
{
    struct network *network = network_new(count, test_seed(), true);
    network_start_all(network);
    network_run(network, ms);
    return network;
}

static uint64_t frontier(const struct network *network, int node)
{
    return replica_frontier(network->nodes[node].replica);
}

static uint64_t highest(const struct network *network)
{
    uint64_t counter = 0;
    for (int i = 0; i < network->count; i++) {
        uint64_t last = network_held(network, i, (uint16_t)(i + 1));
        counter = last > counter ? last : counter;
    }
    return counter;
}

static bool is_final(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        if (network->nodes[i].replica && frontier(network, i) < highest(network)) {
            return false;
        }
    }
    return true;
}

static bool is_final_at_2(struct network *network)
{
    return frontier(network, 2) >= highest(network);
}

static void want_stable(struct network *network, int node)
{
    struct replica_event event = {.kind = REPLICA_WANTS, .wants = {.stable = true}};
    network_step(network, node, &event);
}

START_TEST(the_frontier_reaches_the_last_event_of_an_idle_cluster)
{
    for (int count = 1; count <= 5; count += 2) {
        struct network *network = running(count, 3000);
        network_produce(network, 0, NULL);
        network_produce(network, count - 1, NULL);
        ck_assert(!is_final(network));
        ck_assert(network_run_until(network, is_final, 5000));
        network_free(network);
    }
}
END_TEST

START_TEST(a_reader_in_stable_order_makes_it_fast)
{
    struct network *network = running(3, 3000);
    want_stable(network, 2);
    network_run(network, 200);
    for (int i = 0; i < 20; i++) {
        network_produce(network, i % 3, NULL);
        ck_assert(network_run_until(network, is_final_at_2, 150));
    }
    network_free(network);
}
END_TEST

START_TEST(an_idle_cluster_promises_nothing_new)
{
    struct network *network = running(3, 10000);
    uint64_t before = network->nodes[0].sent[PEER_PROMISES];
    network_run(network, 20000);
    ck_assert_uint_eq(network->nodes[0].sent[PEER_PROMISES], before);
    network_free(network);
}
END_TEST

START_TEST(nothing_comes_at_or_below_the_frontier)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(20); round++) {
        int count = 3 + (int)random_below(&random, 3);
        struct network *network = network_new(count, random_u64(&random), true);
        network_start_all(network);
        network_run(network, 2000);
        want_stable(network, 0);
        uint64_t before[NETWORK_NODES_MAX] = {0};
        for (int i = 0; i < 150; i++) {
            int a = (int)random_below(&random, (uint64_t)count);
            int b = (int)random_below(&random, (uint64_t)count);
            network->is_blocked[a][b] = random_below(&random, 4) == 0;
            uint32_t held[NETWORK_NODES_MAX][NETWORK_NODES_MAX + 1];
            for (int n = 0; n < count; n++) {
                memcpy(held[n], network->nodes[n].held, sizeof held[n]);
                uint64_t now = frontier(network, n);
                ck_assert_uint_ge(now, before[n]);
                before[n] = now;
            }
            network_produce(network, b, NULL);
            network_run(network, (int64_t)random_below(&random, 60));
            for (int n = 0; n < count; n++) {
                for (int actor = 1; actor <= count; actor++) {
                    for (uint32_t k = held[n][actor]; k < network->nodes[n].held[actor]; k++) {
                        ck_assert_uint_gt(network->strands[actor].counters[k], before[n]);
                    }
                }
            }
        }
        memset(network->is_blocked, 0, sizeof network->is_blocked);
        ck_assert(network_run_until(network, is_final, 8000));
        network_free(network);
    }
}
END_TEST

START_TEST(it_waits_for_a_member_that_is_away_and_says_so)
{
    struct network *network = running(3, 3000);
    network_stop(network, 2);
    network_run(network, 1000);
    uint64_t before = frontier(network, 0);
    network_produce(network, 0, NULL);
    network_run(network, 5000);
    ck_assert_uint_lt(frontier(network, 0), highest(network));
    ck_assert_uint_ge(frontier(network, 0), before);
    ck_assert_uint_eq(replica_frontier_waits_for(network->nodes[0].replica), 3);
    network_start(network, 2);
    ck_assert(network_run_until(network, is_final, 8000));
    network_free(network);
}
END_TEST

START_TEST(what_was_stable_is_stable_after_a_restart_while_a_member_is_away)
{
    struct network *network = running(3, 3000);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, is_final, 5000));
    uint64_t stable = frontier(network, 0);
    network_run(network, 1500); // the record
    for (int i = 0; i < 3; i++) {
        network_stop(network, i);
    }
    network_start(network, 0); // nobody can tell it again
    network_run(network, 2000);
    ck_assert_uint_ge(frontier(network, 0), stable);
    network_free(network);
}
END_TEST

START_TEST(a_promise_counts_when_its_head_is_held)
{
    struct network *network = running(3, 3000);
    network->is_dark[0][1] = true;
    network->is_dark[2][1] = true;
    want_stable(network, 1);
    want_stable(network, 2);
    network_run(network, 200);
    network_produce(network, 0, NULL);
    network_run(network, 300);
    ck_assert_uint_lt(frontier(network, 1), highest(network));
    ck_assert_uint_ge(frontier(network, 2), highest(network));
    memset(network->is_dark, 0, sizeof network->is_dark);
    ck_assert(network_run_until(network, is_final, 6000));
    network_free(network);
}
END_TEST

START_TEST(promises_go_over_any_path)
{
    struct network *network = running(3, 3000);
    network_block(network, 0, 1, true);
    network_run(network, 3000);
    network_produce(network, 0, NULL);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, is_final, 8000));
    network_free(network);
}
END_TEST

START_TEST(how_many_hold_an_event_is_known)
{
    struct network *network = running(5, 3000);
    network_produce(network, 0, NULL);
    const struct replica *replica = network->nodes[0].replica;
    uint64_t counter = network_held(network, 0, 1);
    ck_assert_uint_eq(counter_held_by(replica, 1), counter);
    ck_assert_uint_lt(counter_held_by(replica, 2), counter);
    network_run(network, 100);
    for (uint32_t nodes = 1; nodes <= 5; nodes++) {
        ck_assert_uint_eq(counter_held_by(replica, nodes), counter);
    }
    ck_assert_uint_eq(counter_held_by(replica, 6), 0);
    network_stop(network, 3);
    network_stop(network, 4);
    network_run(network, 100);
    network_produce(network, 0, NULL);
    network_run(network, 100);
    ck_assert_uint_gt(counter_held_by(replica, 3), counter);
    ck_assert_uint_eq(counter_held_by(replica, 4), 0);
    network_free(network);
}
END_TEST

START_TEST(an_idle_clock_follows_the_busy_ones)
{
    struct network *network = running(3, 3000);
    for (int i = 0; i < 500; i++) {
        network_produce(network, 0, NULL);
    }
    network->is_dark[0][1] = true; // it hears of them, and does not get them
    network->is_dark[2][1] = true;
    for (int i = 0; i < 500; i++) {
        network_produce(network, 0, NULL);
    }
    network_run(network, 300);
    ck_assert_uint_ge(network->nodes[1].clock, highest(network));
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("promises");
    suite_add(suite, the_frontier_reaches_the_last_event_of_an_idle_cluster);
    suite_add(suite, a_reader_in_stable_order_makes_it_fast);
    suite_add(suite, an_idle_cluster_promises_nothing_new);
    suite_add(suite, nothing_comes_at_or_below_the_frontier);
    suite_add(suite, it_waits_for_a_member_that_is_away_and_says_so);
    suite_add(suite, what_was_stable_is_stable_after_a_restart_while_a_member_is_away);
    suite_add(suite, a_promise_counts_when_its_head_is_held);
    suite_add(suite, promises_go_over_any_path);
    suite_add(suite, how_many_hold_an_event_is_known);
    suite_add(suite, an_idle_clock_follows_the_busy_ones);
    return check_main(suite);
}
