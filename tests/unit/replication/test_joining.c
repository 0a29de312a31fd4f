// How nodes come to be a cluster: who founds, who joins, who consents, who gives way.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_main.h"
#include "tests/unit/replication/replica_network.h"

enum { FOUND_MS = 20000, JOIN_MS = 20000, SOON_MS = 3500 };

static bool may_produce(struct network *network, int node)
{
    struct reason why = {0};
    return network->nodes[node].replica && replica_may_produce(network->nodes[node].replica, &why);
}

static bool all_produce(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        if (network->nodes[i].replica && !may_produce(network, i)) {
            return false;
        }
    }
    return true;
}

static void assert_one_cluster(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        const struct network_node *node = &network->nodes[i];
        ck_assert(uuid_equal(&node->cluster, &network->nodes[0].cluster));
        ck_assert_uint_eq(replica_members_count(node->replica), (uint32_t)network->count);
        for (int k = 0; k < i; k++) {
            ck_assert_uint_ne(node->actor, network->nodes[k].actor);
        }
    }
}

static void say(struct network *network)
{
    for (int i = 0; i < network->count; i++) {
        struct reason why = {0};
        if (network->nodes[i].replica && !replica_may_produce(network->nodes[i].replica, &why)) {
            printf("# node %d, actor %d: %s\n", i, network->nodes[i].actor, why.text);
        }
    }
}

static void run_until_all_produce(struct network *network)
{
    bool is_done = network_run_until(network, all_produce, FOUND_MS);
    if (!is_done) {
        say(network);
    }
    ck_assert(is_done);
}

START_TEST(fresh_nodes_found_together)
{
    for (int count = 1; count <= 4; count++) {
        struct network *network = network_new(count, test_seed(), false);
        network_start_all(network);
        run_until_all_produce(network);
        ck_assert(network_run_until(network, network_is_level, JOIN_MS));
        assert_one_cluster(network);
        network_free(network);
    }
}
END_TEST

// One can admit, and say that it was alone; the others are newcomers, too, who cannot.
START_TEST(newcomers_find_the_one_that_can_answer)
{
    for (unsigned i = 0; i < 20; i++) {
        struct network *network = network_new(7, test_seed() + i, false);
        network->nodes[0].bootstrap = true;
        network_start(network, 0);
        network_run(network, 100);
        for (int k = 1; k < network->count; k++) {
            network_start(network, k);
        }
        ck_assert(network_run_until(network, all_produce, SOON_MS));
        network_free(network);
    }
}
END_TEST

START_TEST(lowest_wanted_actor_founds)
{
    struct network *network = network_new(3, test_seed(), false);
    network->nodes[0].wanted = 7;
    network->nodes[1].wanted = 3;
    network_start_all(network);
    run_until_all_produce(network);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    ck_assert_uint_eq(network->nodes[0].actor, 7);
    ck_assert_uint_eq(network->nodes[1].actor, 3);
    ck_assert_uint_gt(network->strands[3].length, 0); // it admits the others
    assert_one_cluster(network);
    network_free(network);
}
END_TEST

START_TEST(fresh_node_alone_says_for_whom_it_waits)
{
    struct network *network = network_new(2, test_seed(), false);
    network_start(network, 0);
    network_run(network, 30000);
    struct reason why = {0};
    ck_assert(!replica_may_produce(network->nodes[0].replica, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "node:1"));
    ck_assert_uint_eq(network->nodes[0].actor, 0);
    network_start(network, 1);
    run_until_all_produce(network);
    network_free(network);
}
END_TEST

START_TEST(bootstrap_founds_at_once)
{
    struct network *network = network_new(2, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    ck_assert(may_produce(network, 0));
    network_produce(network, 0, NULL);
    network_start(network, 1);
    run_until_all_produce(network);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    assert_one_cluster(network);
    network_free(network);
}
END_TEST

START_TEST(founder_without_events_gives_way)
{
    struct network *network = network_new(2, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network->nodes[1].bootstrap = true;
    network_block(network, 0, 1, true);
    network_start_all(network);
    network_run(network, 1000);
    ck_assert(may_produce(network, 0) && may_produce(network, 1));
    ck_assert(!uuid_equal(&network->nodes[0].cluster, &network->nodes[1].cluster));
    bool is_first_lower = uuid_compare(&network->nodes[0].node, &network->nodes[1].node) < 0;
    struct uuid kept = network->nodes[is_first_lower ? 0 : 1].cluster;
    network_block(network, 0, 1, false);
    network_run(network, 5000);
    run_until_all_produce(network);
    ck_assert(uuid_equal(&network->nodes[0].cluster, &kept));
    assert_one_cluster(network);
    network_free(network);
}
END_TEST

START_TEST(founder_with_an_event_on_its_way_does_not_give_way)
{
    struct network *network = network_new(2, test_seed(), false);
    for (int i = 0; i < 2; i++) {
        network->nodes[i].bootstrap = true;
        network->nodes[i].wanted = (uint16_t)(i + 1);
    }
    network_block(network, 0, 1, true);
    network_start_all(network);
    network_run(network, 1000);
    struct uuid clusters[] = {network->nodes[0].cluster, network->nodes[1].cluster};
    int higher = uuid_compare(&network->nodes[0].node, &network->nodes[1].node) > 0 ? 0 : 1;
    network->nodes[higher].has_produce = true;
    network_block(network, 0, 1, false);
    network_run(network, 10000);
    ck_assert(!network->nodes[higher].has_produce);
    ck_assert(uuid_equal(&network->nodes[higher].cluster, &clusters[higher]));
    ck_assert_uint_eq(network->nodes[higher].actor, higher + 1);
    ck_assert(may_produce(network, higher));
    network_stop(network, higher);
    network_start(network, higher);
    network_run(network, 10000);
    ck_assert(may_produce(network, higher));
    network_free(network);
}
END_TEST

START_TEST(cluster_with_events_does_not_give_way)
{
    struct network *network = network_new(2, test_seed(), false);
    for (int i = 0; i < 2; i++) {
        network->nodes[i].bootstrap = true;
        network->nodes[i].wanted = (uint16_t)(i + 1);
    }
    network_block(network, 0, 1, true);
    network_start_all(network);
    network_run(network, 1000);
    network_produce(network, 0, NULL);
    network_produce(network, 1, NULL);
    network_block(network, 0, 1, false);
    network_run(network, 10000);
    ck_assert(!uuid_equal(&network->nodes[0].cluster, &network->nodes[1].cluster));
    ck_assert_uint_eq(network_held(network, 0, 2), 0);
    ck_assert(may_produce(network, 0) && may_produce(network, 1));
    network_free(network);
}
END_TEST

START_TEST(taken_actor_is_refused_by_name)
{
    struct network *network = network_new(2, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network->nodes[1].wanted = 1;
    network_start(network, 0);
    network_run(network, 100);
    network_start(network, 1);
    network_run(network, 10000);
    struct reason why = {0};
    ck_assert(!replica_may_produce(network->nodes[1].replica, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "actor 1 belongs to"));
    ck_assert_uint_eq(network->nodes[1].actor, 0);
    ck_assert_uint_eq(replica_alarms_count(network->nodes[1].replica), 1);
    network_free(network);
}
END_TEST

static bool is_third_asking(struct network *network)
{
    return strstr(replica_phase(network->nodes[3].replica), "consent") != NULL;
}

START_TEST(every_member_consents_before_an_admission)
{
    struct network *network = network_new(4, test_seed(), true);
    network->nodes[3].actor = 0;
    network->nodes[3].cluster = (struct uuid){{0}};
    network->strands[1].events[2].kind = 0; // its admission
    network_start(network, 0);
    network_start(network, 1);
    network_run(network, 10000); // node 2 is away
    network_start(network, 3);
    ck_assert(network_run_until(network, is_third_asking, 30000));
    network_run(network, 10000);
    ck_assert(!may_produce(network, 3));
    ck_assert_ptr_nonnull(strstr(replica_phase(network->nodes[3].replica), "actor 3"));
    network_start(network, 2);
    run_until_all_produce(network);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    network_free(network);
}
END_TEST

static bool is_fourth_asking(struct network *network)
{
    return strstr(replica_phase(network->nodes[4].replica), "consent") != NULL;
}

START_TEST(newcomer_that_is_gone_gives_way)
{
    struct network *network = network_new(5, test_seed(), true);
    for (int i = 3; i < 5; i++) {
        network->nodes[i].actor = 0;
        network->nodes[i].cluster = (struct uuid){{0}};
        network->strands[1].events[i - 1].kind = 0; // its admission
    }
    network_start(network, 0);
    network_start(network, 1);
    network_run(network, 10000); // node 2 is away
    network_start(network, 3);
    ck_assert(network_run_until(network, is_third_asking, 30000));
    network_run(network, 5000); // it asks both members
    network_stop(network, 3);
    network_start(network, 4);
    ck_assert(network_run_until(network, is_fourth_asking, 5000));
    network_free(network);
}
END_TEST

START_TEST(newcomers_that_come_at_once_get_different_actors)
{
    struct network *network = network_new(8, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start_all(network);
    bool is_done = network_run_until(network, all_produce, 60000);
    say(network);
    ck_assert(is_done);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    assert_one_cluster(network);
    network_free(network);
}
END_TEST

// Any node dies and comes back at any time: in the end all are members under different actors.
START_TEST(joining_survives_a_crash_at_any_time)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(200); round++) {
        struct network *network = network_new(4, random_u64(&random), false);
        network->nodes[0].bootstrap = true;
        network_start_all(network);
        for (int i = 0; i < 6; i++) {
            network_run(network, (int64_t)random_below(&random, 60));
            int node = (int)random_below(&random, 4);
            network_stop(network, node);
            network_run(network, (int64_t)random_below(&random, 2) * 20);
            network_start(network, node);
        }
        bool is_done = network_run_until(network, all_produce, 60000);
        if (!is_done) {
            printf("# round %u\n", round);
            say(network);
        }
        ck_assert(is_done);
        ck_assert(network_run_until(network, network_is_level, JOIN_MS));
        assert_one_cluster(network);
        network_free(network);
    }
}
END_TEST

// What only a member that is not the founder has told it is not everything.
START_TEST(newcomer_counts_nothing_before_it_knows_all_members)
{
    struct network *network = network_new(4, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network_start(network, 1);
    network_start(network, 2);
    run_until_all_produce(network);
    network_block(network, 0, 3, true);
    network->is_dark_actor[network->nodes[0].actor] = true;
    network_start(network, 3);
    network_run(network, 15000);
    network_produce(network, 0, NULL);
    network_produce(network, 1, NULL);
    network_produce(network, 2, NULL);
    network_run(network, 5000);
    ck_assert_uint_gt(network->nodes[3].held[network->nodes[1].actor], 0);
    ck_assert_uint_gt(network->nodes[3].held[network->nodes[2].actor], 0);
    ck_assert_uint_eq(network->nodes[3].held[network->nodes[0].actor], 0);
    ck_assert(!may_produce(network, 3));
    ck_assert_uint_eq(replica_frontier(network->nodes[3].replica), 0);
    network->is_dark_actor[network->nodes[0].actor] = false;
    network_block(network, 0, 3, false);
    run_until_all_produce(network);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    assert_one_cluster(network);
    network_run(network, 5000);
    ck_assert_uint_gt(replica_frontier(network->nodes[3].replica), 0);
    network_free(network);
}
END_TEST

// Nobody asks a newcomer for a fence: what it holds, some member must hold.
START_TEST(newcomer_takes_no_strand_from_its_owner)
{
    struct network *network = network_new(4, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network_start(network, 1);
    network_start(network, 2);
    run_until_all_produce(network);
    for (int i = 0; i < 3; i++) {
        network_produce(network, i, NULL);
    }
    network_run(network, 1000);
    network_block(network, 1, 3, true);
    network_block(network, 2, 3, true);
    network_start(network, 3);
    network_run(network, 5000);
    uint16_t owner = network->nodes[0].actor;
    ck_assert_uint_ne(network->nodes[3].actor, 0);
    ck_assert_uint_eq(network->nodes[3].held[owner], 0);
    ck_assert(!may_produce(network, 3));
    network_block(network, 2, 3, false);
    network_run(network, 5000);
    ck_assert_uint_gt(network->nodes[3].held[owner], 0);
    network_block(network, 1, 3, false);
    run_until_all_produce(network);
    network_block(network, 1, 3, true);
    network_block(network, 2, 3, true);
    uint32_t held = network->nodes[3].held[owner];
    network_produce(network, 0, NULL);
    network_run(network, 3000);
    ck_assert_uint_gt(network->nodes[3].held[owner], held);
    network_free(network);
}
END_TEST

// What a node has on its disk that is being admitted: its identity, and that it is joining.
static void put_joining(struct network_node *node, uint16_t actor, const struct uuid *cluster)
{
    node->actor = actor;
    node->cluster = *cluster;
    struct network_record *record = &node->records[node->records_count++];
    *record = (struct network_record){.key_length = 7, .value_length = 20};
    memcpy(record->key, "joining", 7);
    record->value = calloc(1, record->value_length);
    ck_assert_ptr_nonnull(record->value);
    record->value[0] = 1;
    store_be16(record->value + 2, actor);
    memcpy(record->value + 4, cluster->bytes, sizeof cluster->bytes);
}

// The only member that knows of an admission loses its disk before the admission is an event, and
// another node gets the actor.
START_TEST(actor_given_away_by_a_lost_member_is_replaced)
{
    struct network *network = network_new(3, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network_start(network, 1);
    run_until_all_produce(network);
    uint16_t taken = network->nodes[1].actor;
    put_joining(&network->nodes[2], taken, &network->nodes[0].cluster);
    network_start(network, 2);
    run_until_all_produce(network);
    ck_assert_uint_ne(network->nodes[2].actor, taken);
    network_free(network);
}
END_TEST

static bool is_given_up(struct network *network)
{
    return strstr(replica_phase(network->nodes[2].replica), "as a new actor") != NULL;
}

// The same, when the other has issued events: they are no events of this node's, also while it
// waits for another actor.
START_TEST(strand_of_a_lost_actor_is_not_taken_for_the_own)
{
    struct network *network = network_new(4, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network_start(network, 1);
    network_start(network, 3);
    run_until_all_produce(network);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    uint16_t taken = network->nodes[1].actor;
    put_joining(&network->nodes[2], taken, &network->nodes[0].cluster);
    network_stop(network, 3); // its consent is waited for
    network_start(network, 2);
    ck_assert(network_run_until(network, is_given_up, JOIN_MS));
    network_run(network, 5000);
    ck_assert_uint_eq(network->nodes[2].held[taken], 0);
    network_start(network, 3);
    run_until_all_produce(network);
    ck_assert_uint_ne(network->nodes[2].actor, taken);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    network_free(network);
}
END_TEST

static bool has_identity(struct network *network)
{
    return network->nodes[2].actor != 0;
}

// A newcomer's directory goes back to when it had its identity and was no member yet. What it had
// been given then is no other actor: it is not given to it again.
START_TEST(newcomer_that_is_a_copy_gets_another_actor)
{
    struct network *network = network_new(3, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network_start(network, 1);
    run_until_all_produce(network);
    network_start(network, 2);
    ck_assert(network_run_until(network, has_identity, JOIN_MS));
    network_stop(network, 1); // its consent is waited for
    struct network_node *newcomer = &network->nodes[2];
    uint16_t first = newcomer->actor;
    struct run run = newcomer->run;
    network_stop(network, 2);
    network_start(network, 2);
    network_run(network, 1000);
    ck_assert(!may_produce(network, 2));
    network_stop(network, 2);
    newcomer->run = run;
    while (newcomer->records_count > 0) {
        free(newcomer->records[--newcomer->records_count].value);
    }
    put_joining(newcomer, first, &network->nodes[0].cluster);
    network_start(network, 2);
    network_run(network, 2000);
    struct replica_event rescue = {.kind = REPLICA_COMMAND,
                                   .command = {.token = 1, .kind = COMMAND_RESCUE}};
    network_step(network, 2, &rescue);
    network_start(network, 1);
    run_until_all_produce(network);
    ck_assert_msg(newcomer->answer == 0, "%s", newcomer->answer_text.text);
    ck_assert_uint_ne(newcomer->actor, first);
    ck_assert(network_run_until(network, network_is_level, JOIN_MS));
    struct replica_member old;
    for (uint32_t i = 0; i < replica_members_count(newcomer->replica); i++) {
        replica_member_at(newcomer->replica, i, &old);
        ck_assert(old.actor != first || old.state == MEMBER_GONE);
    }
    network_free(network);
}
END_TEST

// A founder that gave way promised under an actor that is another node's in the cluster it joined;
// it crashed before those promises were gone from its disk.
START_TEST(promises_of_a_founder_that_gave_way_bind_nobody)
{
    struct network *network = network_new(2, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network->is_dark[0][1] = true;
    network_start(network, 1);
    network_run(network, 5000);
    ck_assert_uint_ne(network->nodes[1].actor, 0);
    ck_assert(!may_produce(network, 1));
    // its admission may never be an event, and its actor another's then
    ck_assert_uint_eq(network->nodes[1].promise.counter, 0);
    network_stop(network, 1);
    struct network_record *record = &network->nodes[1].records[network->nodes[1].records_count++];
    *record = (struct network_record){.key_length = 8, .value_length = 18};
    memcpy(record->key, "promises", 8);
    record->value = calloc(1, record->value_length);
    ck_assert_ptr_nonnull(record->value);
    store_be16(record->value, network->nodes[0].actor);
    store_be64(record->value + 2, 1000);
    network->is_dark[0][1] = false;
    network_start(network, 1);
    run_until_all_produce(network);
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("joining");
    suite_add(suite, fresh_nodes_found_together);
    suite_add(suite, newcomers_find_the_one_that_can_answer);
    suite_add(suite, lowest_wanted_actor_founds);
    suite_add(suite, fresh_node_alone_says_for_whom_it_waits);
    suite_add(suite, bootstrap_founds_at_once);
    suite_add(suite, founder_without_events_gives_way);
    suite_add(suite, founder_with_an_event_on_its_way_does_not_give_way);
    suite_add(suite, cluster_with_events_does_not_give_way);
    suite_add(suite, taken_actor_is_refused_by_name);
    suite_add(suite, every_member_consents_before_an_admission);
    suite_add(suite, newcomer_that_is_gone_gives_way);
    suite_add(suite, newcomers_that_come_at_once_get_different_actors);
    suite_add(suite, joining_survives_a_crash_at_any_time);
    suite_add(suite, newcomer_counts_nothing_before_it_knows_all_members);
    suite_add(suite, newcomer_takes_no_strand_from_its_owner);
    suite_add(suite, actor_given_away_by_a_lost_member_is_replaced);
    suite_add(suite, strand_of_a_lost_actor_is_not_taken_for_the_own);
    suite_add(suite, newcomer_that_is_a_copy_gets_another_actor);
    suite_add(suite, promises_of_a_founder_that_gave_way_bind_nobody);
    return check_main(suite);
}
