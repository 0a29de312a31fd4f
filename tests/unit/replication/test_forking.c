// Strands that fork: found, kept apart from the last common chunk on, and rescued.

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
    return network;
}

static const char *alarm_text(const struct network *network, int node, const char *code)
{
    const struct replica *replica = network->nodes[node].replica;
    for (uint32_t i = 0; i < replica_alarms_count(replica); i++) {
        if (strcmp(replica_alarm_at(replica, i).code, code) == 0) {
            return replica_alarm_at(replica, i).text;
        }
    }
    return NULL;
}

static void command(struct network *network, int node, struct replica_command command)
{
    network->nodes[node].has_answer = false;
    command.token = 77;
    struct replica_event event = {.kind = REPLICA_COMMAND, .command = command};
    network_step(network, node, &event);
}

static bool third_has_answer(struct network *network)
{
    return network->nodes[2].has_answer;
}

static bool first_has_answer(struct network *network)
{
    return network->nodes[0].has_answer;
}

// All know where; node 2's copy of its own strand, actor 3, is another behind `common` of `length`.
static bool is_quarantined_everywhere(struct network *network)
{
    for (int i = 0; i < 3; i++) {
        const char *text = alarm_text(network, i, "forked_strand");
        if (!text || !strstr(text, "behind")) {
            return false;
        }
    }
    return true;
}

static struct network *forked(uint32_t length, uint32_t common)
{
    struct network *network = network_of(3);
    for (uint32_t i = 0; i < length; i++) {
        network->nodes[2].clock += i % 7 == 0 ? 1000 : 0;
        network_produce(network, 2, NULL);
    }
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_stop(network, 2);
    network->nodes[2].branch[3] = 1;
    network->nodes[2].common[3] = common > 0 ? network->strands[3].counters[common - 1] : 0;
    network_start(network, 2);
    ck_assert(network_run_until(network, is_quarantined_everywhere, 20000));
    return network;
}

START_TEST(last_common_chunk_is_found)
{
    for (uint32_t common = 0; common < 20; common += 3) {
        struct network *network = forked(20, common);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(replica_send_limit(network->nodes[i].replica, 3),
                              network->nodes[2].common[3]);
            ck_assert_int_eq(may_produce(network, i), i != 2);
        }
        network_free(network);
    }
}
END_TEST

static bool owner_is_quarantined(struct network *network)
{
    const char *text = alarm_text(network, 2, "forked_strand");
    return text && strstr(text, "behind");
}

START_TEST(owner_that_went_on_alone_finds_others_behind_it)
{
    struct network *network = network_of(3);
    for (uint32_t i = 0; i < 10; i++) {
        network_produce(network, 2, NULL);
    }
    ck_assert(network_run_until(network, network_is_level, 20000));
    for (int i = 0; i < 3; i++) {
        network_stop(network, i);
    }
    for (int i = 0; i < 2; i++) {
        network->nodes[i].held[3] -= 3; // less than the owner, and behind the 4th other events
    }
    network->nodes[2].branch[3] = 1;
    network->nodes[2].common[3] = network->strands[3].counters[3];
    for (int i = 0; i < 3; i++) {
        network_start(network, i);
    }
    ck_assert(network_run_until(network, owner_is_quarantined, 20000));
    ck_assert(!may_produce(network, 2));
    ck_assert_uint_eq(replica_send_limit(network->nodes[2].replica, 3),
                      network->nodes[2].common[3]);
    network_free(network);
}
END_TEST

START_TEST(quarantine_survives_a_restart)
{
    struct network *network = forked(10, 4);
    uint64_t common = network->nodes[2].common[3];
    network_stop(network, 0);
    network_stop(network, 1);
    network_stop(network, 2);
    for (int i = 0; i < 3; i++) {
        network_start(network, i);
        ck_assert_uint_eq(replica_send_limit(network->nodes[i].replica, 3), common);
    }
    ck_assert(!may_produce(network, 2));
    network_free(network);
}
END_TEST

static bool is_rescued(struct network *network)
{
    return network->nodes[2].actor != 3 && all_produce(network);
}

START_TEST(rescue_gives_a_new_actor_and_issues_the_branch_again)
{
    struct network *network = forked(10, 4);
    command(network, 2, (struct replica_command){.kind = COMMAND_RESCUE});
    ck_assert(network_run_until(network, third_has_answer, 60000));
    ck_assert_msg(network->nodes[2].answer == 0, "%s", network->nodes[2].answer_text.text);
    uint16_t actor = network->nodes[2].actor;
    ck_assert_uint_eq(actor, 4);
    ck_assert_uint_eq(network->nodes[2].reissued, 3);
    ck_assert_uint_eq(network->nodes[2].reissued_above, network->nodes[2].common[3]);
    ck_assert_uint_eq(network->strands[actor].length, 6);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert(network_run_until(network, network_is_level, 20000));
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(network->nodes[i].held[3], 10); // their branch stays
        struct replica_member member = {0};
        for (uint32_t k = 0; k < replica_members_count(network->nodes[i].replica); k++) {
            struct replica_member each = {0};
            replica_member_at(network->nodes[i].replica, k, &each);
            member = each.actor == 3 ? each : member;
        }
        ck_assert_int_eq(member.state, MEMBER_GONE);
        ck_assert_uint_eq(member.seal, network->strands[3].counters[9]);
        ck_assert_ptr_null(alarm_text(network, i, "forked_strand"));
        ck_assert_uint_eq(replica_send_limit(network->nodes[i].replica, 3), member.seal);
    }
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_produce(network, 2, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_free(network);
}
END_TEST

START_TEST(rescue_goes_on_after_a_crash)
{
    struct random random;
    random_init(&random, test_seed());
    for (unsigned round = 0; round < test_rounds(50); round++) {
        struct network *network = forked(6, 2);
        command(network, 2, (struct replica_command){.kind = COMMAND_RESCUE});
        network_run(network, (int64_t)random_below(&random, 200));
        network_stop(network, 2);
        network_start(network, 2);
        network_run(network, 10000);
        if (network->nodes[2].actor == 3) {
            command(network, 2, (struct replica_command){.kind = COMMAND_RESCUE});
        }
        ck_assert(network_run_until(network, is_rescued, 60000));
        ck_assert_uint_gt(network->strands[network->nodes[2].actor].length, 3);
        network_free(network);
    }
}
END_TEST

START_TEST(restored_directory_is_rescued)
{
    struct network *network = network_of(3);
    struct network_node *node = &network->nodes[2];
    struct network_node backup = *node;
    network_produce(network, 2, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_stop(network, 2);
    network_start(network, 2);
    ck_assert(network_run_until(network, all_produce, 20000));
    network_stop(network, 2);
    node->run = backup.run;
    memcpy(node->runs, backup.runs, sizeof node->runs);
    node->runs_count = backup.runs_count;
    node->run.number--;
    node->held[3] = 0;
    network_start(network, 2);
    network_run(network, 8000);
    ck_assert(!may_produce(network, 2));
    ck_assert_ptr_nonnull(alarm_text(network, 2, "copy"));
    command(network, 2, (struct replica_command){.kind = COMMAND_RESCUE});
    ck_assert(network_run_until(network, third_has_answer, 60000));
    ck_assert_msg(node->answer == 0, "%s", node->answer_text.text);
    ck_assert(network_run_until(network, all_produce, 20000));
    ck_assert_uint_eq(node->actor, 4);
    ck_assert(network_run_until(network, network_is_level, 20000));
    ck_assert_ptr_null(alarm_text(network, 2, "copy"));
    ck_assert_ptr_null(alarm_text(network, 0, "copy"));
    network_produce(network, 2, NULL);
    ck_assert(network_run_until(network, network_is_level, 20000));
    network_free(network);
}
END_TEST

START_TEST(sound_strand_is_not_rescued)
{
    struct network *network = network_of(3);
    command(network, 2, (struct replica_command){.kind = COMMAND_RESCUE});
    ck_assert(third_has_answer(network));
    ck_assert_int_eq(network->nodes[2].answer, ERR_INVALID);
    ck_assert(may_produce(network, 2));
    network_free(network);
}
END_TEST

START_TEST(lost_range_is_hollow_on_every_node)
{
    struct network *network = network_of(3);
    command(network, 0,
            (struct replica_command){.kind = COMMAND_LOST, .actor = 2, .first = 5, .last = 4});
    ck_assert_int_eq(network->nodes[0].answer, ERR_INVALID);
    command(network, 0,
            (struct replica_command){.kind = COMMAND_LOST, .actor = 2, .first = 5, .last = 9});
    ck_assert(network_run_until(network, first_has_answer, 1000));
    ck_assert_int_eq(network->nodes[0].answer, 0);
    network_run(network, 1000);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(network->nodes[i].hollowed, 1);
    }
    network_free(network);
}
END_TEST

START_TEST(verify_asks_all_and_waits_for_nobody_for_long)
{
    struct network *network = network_of(3);
    command(network, 0, (struct replica_command){.kind = COMMAND_VERIFY});
    ck_assert(network_run_until(network, first_has_answer, 500));
    ck_assert_str_eq(network->nodes[0].answer_text.text, "2 of 2 other members answered");
    network->nodes[2].is_frozen = true;
    command(network, 0, (struct replica_command){.kind = COMMAND_VERIFY});
    ck_assert(network_run_until(network, first_has_answer, 2100));
    network_free(network);
}
END_TEST

enum { LARGE = 24, ASKED = 20 };

static bool asked_has_answer(struct network *network)
{
    return network->nodes[ASKED].has_answer;
}

static void assert_verified(struct network *network, int stopped)
{
    for (uint32_t i = 0; i < replica_members_count(network->nodes[ASKED].replica); i++) {
        struct replica_member member;
        replica_member_at(network->nodes[ASKED].replica, i, &member);
        int expected = (int)i == stopped ? VERIFIED_UNKNOWN : VERIFIED_EQUAL;
        ck_assert_msg((int)member.verified == expected, "actor %u: %d", member.actor,
                      (int)member.verified);
    }
}

START_TEST(verify_asks_members_without_a_link)
{
    struct network *network = network_of(LARGE);
    network_run(network, 20000);
    ck_assert_int_lt(network_links(network, ASKED), LARGE - 1);
    command(network, ASKED, (struct replica_command){.kind = COMMAND_VERIFY});
    ck_assert(network_run_until(network, asked_has_answer, 10000));
    ck_assert_str_eq(network->nodes[ASKED].answer_text.text, "23 of 23 other members answered");
    assert_verified(network, -1);
    network_stop(network, 5);
    network_run(network, 20000); // what was said has been forgotten
    command(network, ASKED, (struct replica_command){.kind = COMMAND_VERIFY});
    ck_assert(network_run_until(network, asked_has_answer, 10000));
    ck_assert_str_eq(network->nodes[ASKED].answer_text.text, "22 of 23 other members answered");
    assert_verified(network, 5);
    network_run(network, 20000);
    ck_assert_int_lt(network_links(network, ASKED), LARGE - 2);
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forking");
    suite_add(suite, last_common_chunk_is_found);
    suite_add(suite, owner_that_went_on_alone_finds_others_behind_it);
    suite_add(suite, quarantine_survives_a_restart);
    suite_add(suite, rescue_gives_a_new_actor_and_issues_the_branch_again);
    suite_add(suite, rescue_goes_on_after_a_crash);
    suite_add(suite, restored_directory_is_rescued);
    suite_add(suite, sound_strand_is_not_rescued);
    suite_add(suite, lost_range_is_hollow_on_every_node);
    suite_add(suite, verify_asks_all_and_waits_for_nobody_for_long);
    suite_add(suite, verify_asks_members_without_a_link);
    return check_main(suite);
}
