// What a node asks before it produces again, and how copies of a node are found.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/check_main.h"
#include "tests/unit/replication/replica_network.h"

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

static bool has_alarm(const struct network *network, int node, const char *code)
{
    const struct replica *replica = network->nodes[node].replica;
    for (uint32_t i = 0; i < replica_alarms_count(replica); i++) {
        if (strcmp(replica_alarm_at(replica, i).code, code) == 0) {
            return true;
        }
    }
    return false;
}

static struct network *network_of(int count)
{
    struct network *network = network_new(count, test_seed(), true);
    network_start_all(network);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert(network_run_until(network, network_is_level, 20000));
    return network;
}

START_TEST(first_start_of_all_compares_and_produces)
{
    struct network *network = network_of(3);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(replica_alarms_count(network->nodes[i].replica), 0);
    }
    network_free(network);
}
END_TEST

START_TEST(node_alone_produces_after_start_wait)
{
    struct network *network = network_new(3, test_seed(), true);
    network_start(network, 0);
    network_run(network, 4900);
    ck_assert(!may_produce(network, 0));
    network_run(network, 300);
    ck_assert(may_produce(network, 0));
    network_free(network);
}
END_TEST

START_TEST(founder_with_peers_tries_them_for_start_wait)
{
    for (int count = 1; count <= 2; count++) {
        struct network *network = network_new(count, test_seed(), false);
        network->nodes[0].bootstrap = true;
        network_start(network, 0);
        network_run(network, 100);
        ck_assert(may_produce(network, 0)); // it has nothing to compare
        network_produce(network, 0, NULL);
        network_stop(network, 0);
        network_start(network, 0);
        network_run(network, 4900);
        ck_assert_int_eq(may_produce(network, 0), count == 1);
        network_run(network, 300);
        ck_assert(may_produce(network, 0));
        network_free(network);
    }
}
END_TEST

// The disk goes back to what it was; what the records said is gone.
static void restore(struct network_node *node, const struct network_node *backup)
{
    memcpy(node->held, backup->held, sizeof node->held);
    memcpy(node->runs, backup->runs, sizeof node->runs);
    node->run = backup->run;
    node->runs_count = backup->runs_count;
    node->clock = backup->clock;
    while (node->records_count > 0) {
        free(node->records[--node->records_count].value);
    }
}

// A founder that was alone, with an event, when its backup was made.
static struct network *founder_alone(struct network_node *backup_out)
{
    struct network *network = network_new(2, test_seed(), false);
    network->nodes[0].bootstrap = true;
    network_start(network, 0);
    network_run(network, 100);
    network_produce(network, 0, NULL);
    network_stop(network, 0);
    *backup_out = network->nodes[0];
    network_start(network, 0);
    network_start(network, 1);
    return network;
}

START_TEST(founder_restored_from_when_it_was_alone_does_not_produce)
{
    struct network_node backup;
    struct network *network = founder_alone(&backup);
    struct network_node *founder = &network->nodes[0];
    ck_assert(network_run_until(network, all_produce, 20000));
    network_produce(network, 0, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_stop(network, 0);
    restore(founder, &backup);
    network_start(network, 0);
    network_run(network, 0);
    ck_assert(!may_produce(network, 0));
    network_run(network, 10000);
    ck_assert(!may_produce(network, 0));
    ck_assert(has_alarm(network, 0, "copy"));
    ck_assert(network_is_level(network));
    network_free(network);
}
END_TEST

// The newcomer, which is no member yet, knows that the founder ran later than its backup says.
START_TEST(founder_restored_while_another_still_joins_does_not_produce)
{
    struct network_node backup;
    struct network *network = founder_alone(&backup);
    network->is_dark[0][1] = true; // so it stays a newcomer
    network_run(network, 10000);
    ck_assert(may_produce(network, 0));
    ck_assert_uint_ne(network->nodes[1].actor, 0);
    ck_assert(!may_produce(network, 1));
    network_produce(network, 0, NULL);
    network_stop(network, 0);
    restore(&network->nodes[0], &backup);
    network_start(network, 0);
    network_run(network, 10000);
    ck_assert(!may_produce(network, 0));
    ck_assert(has_alarm(network, 0, "copy"));
    network_free(network);
}
END_TEST

START_TEST(lost_tail_is_fetched_back_before_produce)
{
    struct network *network = network_of(3);
    for (int i = 0; i < 20; i++) {
        network_produce(network, 1, NULL);
    }
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_stop(network, 1);
    network->nodes[1].held[2] = 5;
    network->is_dark[0][1] = true;
    network->is_dark[2][1] = true;
    network_start(network, 1);
    network_run(network, 8000);
    ck_assert(!may_produce(network, 1)); // they have said that there is more
    network->is_dark[0][1] = false;
    network->is_dark[2][1] = false;
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert_uint_eq(network->nodes[1].held[2], 20);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_free(network);
}
END_TEST

// What only a member held that is gone again since it said so.
START_TEST(lost_tail_that_nobody_can_send_is_given_up_by_rescue)
{
    struct network *network = network_of(3);
    network_block(network, 1, 0, true);
    network_block(network, 0, 2, true);
    network_run(network, 5000);
    for (int i = 0; i < 3; i++) {
        network_produce(network, 1, NULL);
    }
    network_run(network, 1000);
    ck_assert_uint_eq(network->nodes[2].held[2], 3);
    ck_assert_uint_eq(network->nodes[0].held[2], 0);
    network_stop(network, 1);
    network->nodes[1].held[2] = 1;
    network_block(network, 1, 0, false);
    network->is_dark[2][1] = true;
    network_start(network, 1);
    network_run(network, 8000);
    struct reason why = {0};
    ck_assert(!replica_may_produce(network->nodes[1].replica, &why));
    ck_assert_msg(strstr(why.text, "actor 3") && strstr(why.text, "wait"), "%s", why.text);
    struct replica_event event = {.kind = REPLICA_COMMAND,
                                  .command = {.token = 1, .kind = COMMAND_RESCUE}};
    network_step(network, 1, &event);
    ck_assert_int_eq(network->nodes[1].answer, ERR_INVALID); // it can still come
    network_stop(network, 2);
    network_run(network, 8000);
    ck_assert(!replica_may_produce(network->nodes[1].replica, &why));
    ck_assert_msg(strstr(why.text, "node:2") && strstr(why.text, "start it") &&
                      strstr(why.text, "weir cluster retire 3, then weir cluster rescue"),
                  "%s", why.text);
    struct replica_event retire = {
        .kind = REPLICA_COMMAND,
        .command = {.token = 2, .kind = COMMAND_RETIRE, .actor = 3, .is_forced = true}};
    network_step(network, 0, &retire);
    network_run(network, 8000);
    ck_assert_msg(network->nodes[0].answer == 0, "%s", network->nodes[0].answer_text.text);
    event.command.token = 3;
    network_step(network, 1, &event);
    ck_assert(network_run_until(network, all_produce, 60000));
    ck_assert_uint_eq(network->nodes[1].actor, 4);
    network_produce(network, 1, NULL);
    network_run(network, 8000);
    ck_assert_msg(network->nodes[1].answer == 0, "%s", network->nodes[1].answer_text.text);
    ck_assert_uint_eq(network_held(network, 0, 4), network_held(network, 1, 4));
    network_free(network);
}
END_TEST

START_TEST(every_member_is_compared)
{
    struct network *network = network_of(3);
    network_block(network, 1, 0, true); // only node 2 gets what node 1 produces
    network_block(network, 0, 2, true);
    network_run(network, 5000);
    network_produce(network, 1, NULL);
    network_run(network, 1000);
    ck_assert_uint_eq(network->nodes[2].held[2], 1);
    ck_assert_uint_eq(network->nodes[0].held[2], 0);
    network_stop(network, 1);
    network->nodes[1].held[2] = 0;
    network_block(network, 1, 0, false);
    network_block(network, 1, 2, true);
    network_start(network, 1);
    network_run(network, 3000);
    ck_assert(!may_produce(network, 1)); // node 0 has answered, it holds nothing
    network_block(network, 1, 2, false);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert_uint_eq(network->nodes[1].held[2], 1);
    network_free(network);
}
END_TEST

START_TEST(clock_goes_above_the_promise_that_others_remember)
{
    struct network *network = network_of(3);
    network_produce(network, 1, NULL);
    network_run(network, 5000);
    uint64_t promised = network->nodes[1].promise.counter;
    ck_assert_uint_gt(promised, 0);
    network_stop(network, 1);
    network->nodes[1].clock = 0;
    network_start(network, 1);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert_uint_ge(network->nodes[1].clock, promised);
    network_free(network);
}
END_TEST

START_TEST(restarts_are_no_copies)
{
    struct network *network = network_of(3);
    for (int i = 0; i < 40; i++) {
        network_stop(network, 1);
        network_run(network, i % 3 == 0 ? 3000 : 10);
        network_start(network, 1);
        network_run(network, i % 2 == 0 ? 3000 : 20);
    }
    ck_assert(network_run_until(network, all_produce, 20000));
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(replica_alarms_count(network->nodes[i].replica), 0);
    }
    network_free(network);
}
END_TEST

static bool is_copy_known(struct network *network)
{
    return has_alarm(network, 1, "copy") && has_alarm(network, 0, "copy");
}

START_TEST(nothing_is_promised_before_the_own_strand_is_compared)
{
    struct network *network = network_of(3);
    network_stop(network, 2);
    network_produce(network, 1, NULL);
    network_run(network, 3000);
    uint64_t lost = network_held(network, 0, 2);
    ck_assert_uint_gt(lost, 0);
    network_stop(network, 1);
    network->nodes[1].held[2] = 0; // node 0 alone has it
    network_block(network, 0, 1, true);
    network_block(network, 0, 2, true);
    network_start(network, 1);
    network_start(network, 2);
    network_run(network, 3000); // start_wait is not over
    ck_assert(!may_produce(network, 1));
    ck_assert_uint_lt(replica_frontier(network->nodes[2].replica), lost);
    for (uint32_t i = 0; i < replica_members_count(network->nodes[2].replica); i++) {
        struct replica_member member;
        replica_member_at(network->nodes[2].replica, i, &member);
        ck_assert(member.actor != 2 || member.promised < lost);
    }
    network_free(network);
}
END_TEST

START_TEST(node_that_lost_its_table_of_members_is_no_founder)
{
    struct network *network = network_of(3);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_run(network, 2000);
    network_stop(network, 1);
    network->nodes[1].held[1] = 0; // all the events about members
    network_block(network, 1, 0, true);
    network_block(network, 1, 2, true);
    network_start(network, 1);
    network_run(network, 20000);
    ck_assert(!may_produce(network, 1));
    ck_assert_uint_eq(replica_frontier(network->nodes[1].replica), 0);
    ck_assert(has_alarm(network, 1, "members_lost"));
    network_block(network, 1, 0, false);
    network_block(network, 1, 2, false);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert(network_run_until(network, network_is_level, 20000));
    ck_assert_uint_gt(replica_frontier(network->nodes[1].replica), 0);
    ck_assert(!has_alarm(network, 1, "members_lost"));
    network_free(network);
}
END_TEST

START_TEST(restored_directory_is_a_copy_and_takes_its_events_back)
{
    struct network *network = network_of(3);
    struct network_node *node = &network->nodes[1];
    struct run run = node->run;
    uint64_t runs[RUNS_REMEMBERED_MAX];
    memcpy(runs, node->runs, sizeof runs);
    uint32_t runs_count = node->runs_count;
    network_stop(network, 1); // the backup is taken here
    network_start(network, 1);
    ck_assert(network_run_until(network, all_produce, 20000));
    network_produce(network, 1, NULL);
    network_produce(network, 1, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_stop(network, 1);
    node->run = run;
    memcpy(node->runs, runs, sizeof runs);
    node->runs_count = runs_count;
    node->held[2] = 0;
    network_start(network, 1);
    ck_assert(network_run_until(network, is_copy_known, 20000));
    network_run(network, 10000);
    ck_assert(!may_produce(network, 1));
    ck_assert_uint_eq(node->held[2], 2);
    network_stop(network, 1); // it knows by itself after the next start
    network_start(network, 1);
    network_run(network, 10);
    ck_assert(has_alarm(network, 1, "copy"));
    network_free(network);
}
END_TEST

// Also one that never was: the greeting of a run that is over, read after the news of the next.
START_TEST(copy_that_is_stopped_is_forgotten)
{
    struct network *network = network_of(3);
    struct network_node *node = &network->nodes[1];
    struct network_node backup = *node;
    network_stop(network, 1);
    network_start(network, 1);
    ck_assert(network_run_until(network, all_produce, 20000));
    network_stop(network, 1);
    node->run = backup.run;
    memcpy(node->runs, backup.runs, sizeof node->runs);
    node->runs_count = backup.runs_count;
    network_start(network, 1);
    ck_assert(network_run_until(network, is_copy_known, 20000));
    network_stop(network, 1);
    network_run(network, 5000);
    ck_assert(!has_alarm(network, 0, "copy"));
    ck_assert(!has_alarm(network, 2, "copy"));
    network_free(network);
}
END_TEST

START_TEST(node_of_which_another_run_is_known_stops_producing)
{
    struct network *network = network_of(3);
    network_stop(network, 1);
    struct peer_members members = {0};
    struct member_note note = {
        .node = network->nodes[1].node,
        .actor = 2,
        .run = {.number = network->nodes[1].run.number + 1, .random = 4711},
        .is_reachable = true,
    };
    members.entries = &note;
    members.count = 1;
    network_start(network, 1);
    network_run(network, 3000);
    ck_assert(may_produce(network, 1));
    struct peer_message message = {.kind = PEER_MEMBERS, .members = members};
    network_send(network, 0, 1, &message);
    network_run(network, 100);
    ck_assert(!may_produce(network, 1)); // another run of its actor is known
    ck_assert(has_alarm(network, 1, "copy"));
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("starting");
    suite_add(suite, first_start_of_all_compares_and_produces);
    suite_add(suite, node_alone_produces_after_start_wait);
    suite_add(suite, founder_with_peers_tries_them_for_start_wait);
    suite_add(suite, founder_restored_from_when_it_was_alone_does_not_produce);
    suite_add(suite, founder_restored_while_another_still_joins_does_not_produce);
    suite_add(suite, lost_tail_is_fetched_back_before_produce);
    suite_add(suite, lost_tail_that_nobody_can_send_is_given_up_by_rescue);
    suite_add(suite, every_member_is_compared);
    suite_add(suite, clock_goes_above_the_promise_that_others_remember);
    suite_add(suite, restarts_are_no_copies);
    suite_add(suite, nothing_is_promised_before_the_own_strand_is_compared);
    suite_add(suite, node_that_lost_its_table_of_members_is_no_founder);
    suite_add(suite, restored_directory_is_a_copy_and_takes_its_events_back);
    suite_add(suite, copy_that_is_stopped_is_forgotten);
    suite_add(suite, node_of_which_another_run_is_known_stops_producing);
    return check_main(suite);
}
