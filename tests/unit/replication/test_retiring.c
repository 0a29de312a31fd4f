// Members that are retired, and that leave: nothing beyond the seal, nothing below it lost.

#include <stdio.h>
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

static struct network *network_of(int count)
{
    struct network *network = network_new(count, test_seed(), true);
    network_start_all(network);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_run(network, 3000); // of two connections between a pair one has gone
    ck_assert(network_run_until(network, network_is_meshed, 20000));
    return network;
}

static void command(struct network *network, int node, enum cluster_command_kind kind,
                    uint16_t actor, bool is_forced)
{
    network->nodes[node].has_answer = false;
    struct replica_event event = {.kind = REPLICA_COMMAND};
    event.command =
        (struct replica_command){.token = 77, .kind = kind, .actor = actor, .is_forced = is_forced};
    network_step(network, node, &event);
}

static bool first_has_answer(struct network *network)
{
    return network->nodes[0].has_answer;
}

static bool third_has_answer(struct network *network)
{
    return network->nodes[2].has_answer;
}

static struct replica_member member_of(struct network *network, int node, uint16_t actor)
{
    struct replica_member member = {0};
    const struct replica *replica = network->nodes[node].replica;
    for (uint32_t i = 0; i < replica_members_count(replica); i++) {
        replica_member_at(replica, i, &member);
        if (member.actor == actor) {
            return member;
        }
    }
    ck_abort_msg("no member");
    return member;
}

START_TEST(absent_member_is_retired_and_holds_nothing_back)
{
    struct network *network = network_of(3);
    network_produce(network, 2, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    uint64_t last = network_held(network, 0, 3);
    network_stop(network, 2);
    network_run(network, 3000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_msg(network->nodes[0].answer == 0, "%s", network->nodes[0].answer_text.text);
    ck_assert(network_run_until(network, network_is_level, 20000));
    for (int i = 0; i < 2; i++) {
        struct replica_member member = member_of(network, i, 3);
        ck_assert_int_eq(member.state, MEMBER_GONE);
        ck_assert_uint_eq(member.seal, last);
        ck_assert_uint_eq(replica_frontier_waits_for(network->nodes[i].replica) == 3, 0);
        ck_assert(may_produce(network, i));
    }
    uint64_t before = replica_frontier(network->nodes[1].replica);
    network_produce(network, 0, NULL);
    network_run(network, 5000);
    ck_assert_uint_gt(replica_frontier(network->nodes[1].replica), before);
    network_free(network);
}
END_TEST

START_TEST(what_every_member_reads_changes_with_starts_and_retirements)
{
    struct network *network = network_of(3);
    struct replica *replica = network->nodes[0].replica;
    ck_assert(network_run_until(network, network_is_meshed, 20000));
    ck_assert_uint_eq(replica_abilities(replica), PEER_ABILITIES);
    for (int i = 2; i > 0; i--) {
        network_stop(network, i);
        network->nodes[i].unread = PEER_READS_LZ4;
        network_start(network, i);
        ck_assert(network_run_until(network, network_is_meshed, 20000));
        ck_assert_uint_eq(replica_abilities(replica), PEER_ABILITIES & ~(unsigned)PEER_READS_LZ4);
    }
    network_stop(network, 1);
    network->nodes[1].unread = 0;
    network_start(network, 1);
    ck_assert(network_run_until(network, network_is_meshed, 20000));
    ck_assert_uint_eq(replica_abilities(replica), PEER_ABILITIES & ~(unsigned)PEER_READS_LZ4);
    network_stop(network, 2);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_uint_eq(replica_abilities(replica), PEER_ABILITIES);
    network_free(network);
}
END_TEST

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

START_TEST(counter_from_nowhere_ends_with_its_actor)
{
    struct network *network = network_of(3);
    // the clock may move while the message is on its way
    struct promise promise = {.actor = 3,
                              .counter = network->nodes[0].clock + COUNTER_JUMP_MAX + 1000000};
    struct peer_message message = {.kind = PEER_PROMISES,
                                   .promises = {.entries = &promise, .count = 1}};
    network_send(network, 2, 0, &message);
    network_run(network, 1000);
    ck_assert(has_alarm(network, 0, "counter_from_nowhere"));
    network_stop(network, 2);
    network_run(network, 3000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_msg(network->nodes[0].answer == 0, "%s", network->nodes[0].answer_text.text);
    ck_assert(!has_alarm(network, 0, "counter_from_nowhere"));
    network_free(network);
}
END_TEST

START_TEST(node_without_a_cluster_does_not_know_who_is_no_member)
{
    struct network *network = network_new(2, test_seed(), false);
    network_start(network, 0); // waits for the other
    network_run(network, 1000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, ERR_BUSY);
    network_free(network);
}
END_TEST

START_TEST(seal_is_the_highest_that_anybody_holds)
{
    struct network *network = network_of(3);
    network->is_dark[2][0] = true; // node 0 gets nothing of it
    network->is_dark[1][0] = true;
    network_produce(network, 2, NULL);
    network_produce(network, 2, NULL);
    network_run(network, 1000);
    ck_assert_uint_eq(network->nodes[1].held[3], 2);
    ck_assert_uint_eq(network->nodes[0].held[3], 0);
    network_stop(network, 2);
    network_run(network, 3000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, 0);
    ck_assert_uint_eq(member_of(network, 0, 3).seal, network_held(network, 1, 3));
    network_run(network, 3000);
    ck_assert_uint_lt(replica_frontier(network->nodes[0].replica), network_held(network, 1, 3));
    ck_assert_uint_eq(replica_frontier_waits_for(network->nodes[0].replica), 3);
    ck_assert(has_alarm(network, 0, "sealed_tail"));
    ck_assert(!has_alarm(network, 1, "sealed_tail"));
    network->is_dark[1][0] = false;
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_run(network, 5000);
    ck_assert_uint_ge(replica_frontier(network->nodes[0].replica), network_held(network, 1, 3));
    ck_assert(!has_alarm(network, 0, "sealed_tail"));
    network_free(network);
}
END_TEST

START_TEST(member_that_is_alive_fences_itself)
{
    struct network *network = network_of(3);
    network_produce(network, 2, NULL);
    command(network, 0, COMMAND_RETIRE, 3, false);
    network_run(network, 100);
    ck_assert(!may_produce(network, 2));
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, 0);
    ck_assert_uint_eq(member_of(network, 0, 3).seal, network_held(network, 2, 3));
    ck_assert(network_run_until(network, network_is_level, 20000));
    struct reason why = {0};
    ck_assert(!replica_may_produce(network->nodes[2].replica, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "retired"));
    network_free(network);
}
END_TEST

START_TEST(absent_other_is_waited_for_unless_forced)
{
    struct network *network = network_of(4);
    network_stop(network, 2);
    network_stop(network, 3);
    network_run(network, 3000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(network->nodes[0].answer_text.text, "actor 4"));
    ck_assert_ptr_nonnull(strstr(network->nodes[0].answer_text.text, "--force"));
    command(network, 0, COMMAND_RETIRE, 3, true);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, 0);
    network_run(network, 1000);
    ck_assert_int_eq(member_of(network, 1, 3).state, MEMBER_GONE);
    network_free(network);
}
END_TEST

START_TEST(nothing_behind_a_fence_is_applied_also_after_a_restart)
{
    struct network *network = network_of(4);
    network_stop(network, 3);
    network_block(network, 2, 0, true);
    network_block(network, 2, 1, true);
    network_run(network, 3000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    network_run(network, 1000);
    network_stop(network, 0);
    network_stop(network, 1);
    network_run(network, 100);
    network_start(network, 0);
    network_start(network, 1);
    network_produce(network, 2, NULL); // it knows of nothing
    network_block(network, 2, 0, false);
    network_block(network, 2, 1, false);
    network_run(network, 10000);
    ck_assert_uint_eq(network->nodes[0].held[3], 0);
    ck_assert_uint_eq(network->nodes[1].held[3], 0);
    network_start(network, 3);
    network_run(network, 8000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_msg(network->nodes[0].answer == 0, "%s", network->nodes[0].answer_text.text);
    ck_assert(network_run_until(network, network_is_level, 20000)); // it was alive: nothing is lost
    network_free(network);
}
END_TEST

START_TEST(member_that_leaves_takes_nothing_with_it)
{
    struct network *network = network_of(3);
    for (int i = 0; i < 50; i++) {
        network_produce(network, 2, NULL);
    }
    command(network, 2, COMMAND_LEAVE, 0, false);
    ck_assert(!may_produce(network, 2));
    ck_assert(network_run_until(network, third_has_answer, 20000));
    ck_assert_msg(network->nodes[2].answer == 0, "%s", network->nodes[2].answer_text.text);
    command(network, 2, COMMAND_LEAVE, 0, false); // again: said at once
    ck_assert(network->nodes[2].has_answer && network->nodes[2].answer == 0);
    network_stop(network, 2);
    network_run(network, 100);
    ck_assert_uint_eq(network->nodes[0].held[3], 50);
    ck_assert(network_run_until(network, network_is_level, 20000));
    ck_assert_int_eq(member_of(network, 0, 3).state, MEMBER_GONE);
    network_free(network);
}
END_TEST

static bool is_third_fenced(struct network *network)
{
    return member_of(network, 0, 3).state == MEMBER_RETIRING;
}

START_TEST(leave_is_not_sealed_without_who_leaves)
{
    struct network *network = network_of(3);
    network->is_dark[2][0] = true;
    network->is_dark[2][1] = true;
    network_produce(network, 2, NULL); // nobody else has it
    network_block(network, 2, 1, true);
    network_run(network, 3000);
    command(network, 2, COMMAND_LEAVE, 0, false);
    network_run(network, 400);
    network->nodes[1].is_frozen = true; // so that the other cannot be done at once
    ck_assert(network_run_until(network, is_third_fenced, 2000));
    network_stop(network, 2); // asked, and not answered
    network_block(network, 2, 1, false);
    network->nodes[1].is_frozen = false;
    network_run(network, 20000);
    network->is_dark[2][0] = false;
    network->is_dark[2][1] = false;
    network_start(network, 2);
    network_run(network, 8000);
    command(network, 2, COMMAND_LEAVE, 0, false);
    ck_assert(network_run_until(network, third_has_answer, 20000));
    ck_assert_msg(network->nodes[2].answer == 0, "%s", network->nodes[2].answer_text.text);
    ck_assert_uint_eq(network->nodes[0].held[3], 1);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_free(network);
}
END_TEST

START_TEST(what_was_accepted_before_a_fence_is_below_its_head)
{
    struct network *network = network_of(3);
    network->nodes[2].is_slow = true; // an event is accepted, and not yet on its disk
    command(network, 0, COMMAND_RETIRE, 3, false);
    network_run(network, 4000);
    ck_assert(!may_produce(network, 2));
    ck_assert_int_eq(member_of(network, 0, 3).state, MEMBER_RETIRING);
    network_produce(network, 2, NULL);
    network_quicken(network, 2);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_msg(network->nodes[0].answer == 0, "%s", network->nodes[0].answer_text.text);
    ck_assert_uint_eq(member_of(network, 0, 3).seal, network_held(network, 2, 3));
    ck_assert(network_run_until(network, network_is_level, 20000));
    ck_assert_uint_eq(network->nodes[1].held[3], 1);
    network_free(network);
}
END_TEST

START_TEST(retired_member_stays_until_what_it_holds_is_held)
{
    struct network *network = network_of(3);
    network->is_dark[2][0] = true;
    network->is_dark[2][1] = true;
    network_produce(network, 2, NULL); // nobody else has it
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, 0);
    network_run(network, 15000);
    network->is_dark[2][0] = false;
    network->is_dark[2][1] = false;
    ck_assert(network_run_until(network, network_is_level, 20000));
    ck_assert_uint_eq(network->nodes[0].held[3], 1);
    network_free(network);
}
END_TEST

START_TEST(member_that_fenced_itself_answers_also_after_a_restart)
{
    struct network *network = network_of(3);
    network_stop(network, 1);
    network_run(network, 3000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_int_eq(network->nodes[0].answer, ERR_TIMEOUT);
    network_stop(network, 2);
    network_run(network, 100);
    network_start(network, 1);
    network_start(network, 2);
    network_run(network, 8000);
    command(network, 0, COMMAND_RETIRE, 3, false);
    ck_assert(network_run_until(network, first_has_answer, 20000));
    ck_assert_msg(network->nodes[0].answer == 0, "%s", network->nodes[0].answer_text.text);
    network_free(network);
}
END_TEST

START_TEST(two_that_retire_each_other_issue_nothing_behind_their_seals)
{
    struct network *network = network_of(3);
    network->nodes[2].is_frozen = true; // both wait for it
    command(network, 0, COMMAND_RETIRE, 2, false);
    command(network, 1, COMMAND_RETIRE, 1, false);
    network_run(network, 1500);
    uint32_t held[2] = {network->nodes[0].held[1], network->nodes[1].held[2]};
    network->nodes[2].is_frozen = false;
    network_run(network, 20000);
    ck_assert_uint_eq(network->nodes[0].held[1], held[0]);
    ck_assert_uint_eq(network->nodes[1].held[2], held[1]);
    ck_assert_int_ne(network->nodes[0].answer, 0);
    ck_assert_int_ne(network->nodes[1].answer, 0);
    for (uint16_t actor = 1; actor <= 2; actor++) { // the one that is left can finish it
        network->nodes[2].has_answer = false;
        command(network, 2, COMMAND_RETIRE, actor, true);
        ck_assert(network_run_until(network, third_has_answer, 20000));
        ck_assert_msg(network->nodes[2].answer == 0, "%s", network->nodes[2].answer_text.text);
    }
    ck_assert(may_produce(network, 2));
    network_free(network);
}
END_TEST

START_TEST(only_member_does_not_leave)
{
    struct network *network = network_of(1);
    command(network, 0, COMMAND_LEAVE, 0, false);
    ck_assert_int_eq(network->nodes[0].answer, ERR_INVALID);
    command(network, 0, COMMAND_RETIRE, 1, false);
    ck_assert_int_eq(network->nodes[0].answer, ERR_INVALID);
    command(network, 0, COMMAND_RETIRE, 9, false);
    ck_assert_int_eq(network->nodes[0].answer, ERR_NOT_FOUND);
    ck_assert(may_produce(network, 0));
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retiring");
    suite_add(suite, absent_member_is_retired_and_holds_nothing_back);
    suite_add(suite, what_every_member_reads_changes_with_starts_and_retirements);
    suite_add(suite, counter_from_nowhere_ends_with_its_actor);
    suite_add(suite, node_without_a_cluster_does_not_know_who_is_no_member);
    suite_add(suite, seal_is_the_highest_that_anybody_holds);
    suite_add(suite, member_that_is_alive_fences_itself);
    suite_add(suite, absent_other_is_waited_for_unless_forced);
    suite_add(suite, nothing_behind_a_fence_is_applied_also_after_a_restart);
    suite_add(suite, member_that_leaves_takes_nothing_with_it);
    suite_add(suite, leave_is_not_sealed_without_who_leaves);
    suite_add(suite, what_was_accepted_before_a_fence_is_below_its_head);
    suite_add(suite, retired_member_stays_until_what_it_holds_is_held);
    suite_add(suite, member_that_fenced_itself_answers_also_after_a_restart);
    suite_add(suite, two_that_retire_each_other_issue_nothing_behind_their_seals);
    suite_add(suite, only_member_does_not_leave);
    return check_main(suite);
}
