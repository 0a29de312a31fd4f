// Sources: everything arrives, once, from the actor itself where that is possible, and from
// somebody else when it does not come.

#include "tests/unit/check_main.h"
#include "tests/unit/replication/replica_network.h"

static struct network *running(int count, int64_t ms)
{
    struct network *network = network_new(count, test_seed(), true);
    network_start_all(network);
    network_run(network, ms);
    return network;
}

static link_id source_of(struct network *network, int node, uint16_t actor)
{
    const struct replica *replica = network->nodes[node].replica;
    for (uint32_t i = 0; i < replica_members_count(replica); i++) {
        struct replica_member member;
        replica_member_at(replica, i, &member);
        if (member.actor == actor) {
            return member.source;
        }
    }
    return 0;
}

// The node at the other end of a link.
static int other_end(const struct network *network, int node, link_id id)
{
    for (uint32_t c = 0; c < network->connections_count; c++) {
        const struct network_connection *connection = &network->connections[c];
        for (int side = 0; side < 2; side++) {
            if (id != 0 && connection->side[side] == node && connection->id[side] == id) {
                return connection->side[1 - side];
            }
        }
    }
    return -1;
}

static uint64_t duplicates(const struct network *network)
{
    uint64_t count = 0;
    for (int i = 0; i < network->count; i++) {
        count += replica_counts(network->nodes[i].replica).events_duplicate;
    }
    return count;
}

START_TEST(everything_comes_once_and_from_the_actor_itself)
{
    for (int count = 3; count <= 5; count += 2) {
        struct network *network = running(count, 3000);
        uint64_t before = duplicates(network);
        for (int i = 0; i < 200; i++) {
            network_produce(network, i % count, NULL);
            network_run(network, 7);
        }
        ck_assert(network_run_until(network, network_is_level, 1000));
        ck_assert_uint_eq(duplicates(network), before);
        for (int i = 0; i < count; i++) {
            for (int k = 0; k < count; k++) {
                int from = other_end(network, i, source_of(network, i, (uint16_t)(k + 1)));
                ck_assert_int_eq(from, i == k ? -1 : k);
            }
        }
        network_free(network);
    }
}
END_TEST

START_TEST(a_large_cluster_gets_hardly_anything_twice)
{
    struct network *network = running(30, 10000);
    uint64_t chunks = 0;
    for (int i = 0; i < 600; i++) {
        network_produce(network, i % 30, NULL);
        network_run(network, 5);
    }
    ck_assert(network_run_until(network, network_is_level, 3000));
    for (int i = 0; i < 30; i++) {
        chunks += network->nodes[i].chunks_in;
    }
    // What each had to get, the admissions of before the start are held by all.
    ck_assert_uint_le(chunks, 600 * 29 * 105 / 100);
    network_free(network);
}
END_TEST

START_TEST(a_source_that_brings_nothing_is_changed)
{
    struct network *network = running(3, 3000);
    network_produce(network, 0, NULL);
    ck_assert(network_run_until(network, network_is_level, 100));
    network->is_dark[0][1] = true; // node 1 gets notes from node 0, and no chunks
    network_produce(network, 0, NULL);
    network_run(network, 400);
    ck_assert(!network_is_level(network));
    ck_assert(network_run_until(network, network_is_level, 600));
    ck_assert_int_eq(other_end(network, 1, source_of(network, 1, 1)), 2);
    ck_assert_uint_ge(replica_counts(network->nodes[1].replica).source_changes, 1);
    network_free(network);
}
END_TEST

START_TEST(another_member_brings_what_cannot_come_directly)
{
    struct network *network = running(3, 3000);
    network_block(network, 0, 1, true);
    network_produce(network, 0, NULL);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, network_is_level, 3500));
    network_block(network, 0, 1, false);
    network_run(network, 4000);
    network_produce(network, 0, NULL);
    ck_assert(network_run_until(network, network_is_level, 200));
    network_produce(network, 0, NULL);
    network_run(network, 200);
    ck_assert_int_eq(other_end(network, 1, source_of(network, 1, 1)), 0);
    network_free(network);
}
END_TEST

START_TEST(a_member_that_was_away_catches_up)
{
    struct network *network = running(5, 3000);
    network_stop(network, 4);
    for (int i = 0; i < 1000; i++) {
        network_produce(network, i % 4, NULL);
    }
    network_run(network, 1000);
    network_start(network, 4);
    ck_assert(network_run_until(network, network_is_level, 3000));
    network_free(network);
}
END_TEST

START_TEST(any_cuts_end_level)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(20); round++) {
        int count = 3 + (int)random_below(&random, 5);
        struct network *network = network_new(count, random_u64(&random), true);
        network_start_all(network);
        for (int i = 0; i < 60; i++) {
            int a = (int)random_below(&random, (uint64_t)count);
            int b = (int)random_below(&random, (uint64_t)count);
            network->is_blocked[a][b] = random_below(&random, 3) == 0;
            network->is_dark[a][b] = random_below(&random, 6) == 0;
            network_produce(network, b, NULL);
            network_run(network, (int64_t)random_below(&random, 400));
        }
        memset(network->is_blocked, 0, sizeof network->is_blocked);
        memset(network->is_dark, 0, sizeof network->is_dark);
        ck_assert(network_run_until(network, network_is_level, 6000));
        network_free(network);
    }
}
END_TEST

// A source that has no more of a strand than we do is left, however busy it is with others.
START_TEST(a_source_that_lags_itself_is_changed)
{
    struct network *network = running(4, 3000);
    network_block(network, 2, 0, true);
    network_block(network, 2, 3, true);
    network_block(network, 1, 3, true);
    network_run(network, 3000);
    ck_assert_int_eq(other_end(network, 2, source_of(network, 2, 1)), 1);
    network->is_dark[0][1] = true; // it gets no chunk of actor 1 any more
    network_block(network, 2, 3, false);
    network_run(network, 2000);
    network_produce(network, 0, NULL);
    for (int i = 0; i < 15; i++) {
        network_produce(network, 1, NULL);
        network_run(network, 100);
    }
    ck_assert_uint_eq(network_held(network, 2, 1), network_held(network, 0, 1));
    network_free(network);
}
END_TEST

START_TEST(chunks_that_nobody_asked_for_are_dropped)
{
    struct network *network = running(2, 2000);
    enum peer_refusal refusal = 0;
    struct reason reason = {0};
    link_id link = network->connections[0].id[0] ? network->connections[0].id[0]
                                                 : network->connections[1].id[0];
    int node = network->connections[0].id[0] ? network->connections[0].side[0]
                                             : network->connections[1].side[0];
    struct replica *replica = network->nodes[node].replica;
    uint16_t other = (uint16_t)(2 - node);
    ck_assert_int_eq(replica_may_apply(replica, link, other, 1000, 1000, &refusal, &reason),
                     VERDICT_APPLY);
    ck_assert_int_eq(replica_may_apply(replica, link, 77, 1, 1, &refusal, &reason), VERDICT_DROP);
    ck_assert_int_eq(
        replica_may_apply(replica, link, (uint16_t)(node + 1), 1, 1, &refusal, &reason),
        VERDICT_DROP);
    ck_assert_int_eq(replica_may_apply(replica, 12345, other, 1, 1, &refusal, &reason),
                     VERDICT_DROP);
    ck_assert_int_eq(
        replica_may_apply(replica, link, other, 1, (uint64_t)1 << 50, &refusal, &reason),
        VERDICT_REFUSE);
    ck_assert_int_eq(refusal, REFUSAL_COUNTER);
    ck_assert_uint_ge(replica_alarms_count(replica), 1);
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sources");
    suite_add(suite, everything_comes_once_and_from_the_actor_itself);
    suite_add(suite, a_large_cluster_gets_hardly_anything_twice);
    suite_add(suite, a_source_that_brings_nothing_is_changed);
    suite_add(suite, another_member_brings_what_cannot_come_directly);
    suite_add(suite, a_member_that_was_away_catches_up);
    suite_add(suite, any_cuts_end_level);
    suite_add(suite, a_source_that_lags_itself_is_changed);
    suite_add(suite, chunks_that_nobody_asked_for_are_dropped);
    return check_main(suite);
}
