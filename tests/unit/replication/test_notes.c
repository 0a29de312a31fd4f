// Notes: what peers say of themselves is believed, less than before too; contradictions are
// noticed; counters from nowhere are not believed.

#include "proto/base/limits.h"
#include "tests/unit/check_main.h"
#include "tests/unit/replication/replica_network.h"

static struct network *running(int count, int64_t ms)
{
    struct network *network = network_new(count, test_seed(), true);
    network_start_all(network);
    network_run(network, ms);
    return network;
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

static struct replica_member member_of(const struct network *network, int node, uint16_t actor)
{
    struct replica_member member = {0};
    const struct replica *replica = network->nodes[node].replica;
    for (uint32_t i = 0; i < replica_members_count(replica); i++) {
        replica_member_at(replica, i, &member);
        if (member.actor == actor) {
            break;
        }
    }
    return member;
}

static void send_note(struct network *network, int from, int to, uint32_t flags, uint16_t actor,
                      uint64_t counter, uint8_t branch)
{
    struct note_entry entry = {
        .actor = actor, .counter = counter, .hash = network_hash(actor, counter, branch)};
    struct peer_message message = {
        .kind = PEER_NOTE, .note = {.flags = flags, .entries = &entry, .count = actor ? 1 : 0}};
    network_send(network, from, to, &message);
    network_run(network, 10);
}

START_TEST(members_that_hold_the_same_are_seen_as_equal)
{
    struct network *network = running(3, 3000);
    network_produce(network, 0, NULL);
    network_run(network, 300);
    for (uint16_t actor = 1; actor <= 3; actor++) {
        ck_assert_int_eq(member_of(network, 1, actor).verified, VERIFIED_EQUAL);
    }
    network_free(network);
}
END_TEST

START_TEST(changes_are_told_once_in_a_while_however_many_there_are)
{
    struct network *network = running(2, 3000);
    uint64_t before = network->nodes[0].sent[PEER_NOTE];
    for (int i = 0; i < 1000; i++) {
        network_produce(network, 0, NULL);
        network_run(network, 1);
    }
    uint64_t notes = network->nodes[0].sent[PEER_NOTE] - before;
    ck_assert_uint_ge(notes, 5);
    ck_assert_uint_le(notes, 1000 / 50 * 2 + 2);
    network_free(network);
}
END_TEST

START_TEST(less_than_before_is_believed)
{
    struct network *network = running(3, 3000);
    network_produce(network, 0, NULL);
    network_produce(network, 0, NULL);
    network_run(network, 300);
    uint64_t counter = network_held(network, 0, 1);
    ck_assert_uint_eq(counter_held_by(network->nodes[0].replica, 3), counter);
    send_note(network, 1, 0, 0, 1, counter - 1, 0);
    ck_assert_uint_eq(counter_held_by(network->nodes[0].replica, 3), counter - 1);
    ck_assert_int_eq(member_of(network, 0, 2).verified, VERIFIED_BEHIND);
    send_note(network, 1, 0, NOTE_WHOLE, 0, 0, 0);
    ck_assert_uint_eq(counter_held_by(network->nodes[0].replica, 3), 0);
    ck_assert_uint_eq(counter_held_by(network->nodes[0].replica, 2), counter);
    network_free(network);
}
END_TEST

enum { OWN_ACTOR = 5000, HEADS = 4500 };

static void step(struct replica *replica, struct replica_event *event,
                 struct replica_actions *actions)
{
    event->now = (struct instant){.ns = 1000000000};
    ck_assert_int_eq(replica_step(replica, event, actions), 0);
}

// Actor 5000, which holds the first so many actors too and has just been linked to actor 1.
static struct replica *replica_of_many(uint32_t heads_count, struct replica_actions *actions)
{
    static struct strand_head heads[HEADS];
    for (uint32_t i = 0; i < heads_count; i++) {
        heads[i] = (struct strand_head){.actor = (uint16_t)(i + 1), .last = 1};
    }
    const struct replica_config config = {
        .now = {.ns = 1000000000},
        .node = {{1}},
        .cluster = {{7}},
        .actor = OWN_ACTOR,
        .run = {.number = 1, .random = 1},
        .heads = heads,
        .heads_count = heads_count,
        .clock = 20,
    };
    struct replica *replica = NULL;
    ck_assert_int_eq(replica_new(&config, &replica), 0);
    struct replica_event event = {.kind = REPLICA_MEMBER_EVENT};
    event.member = (struct member_event){
        .kind = MEMBER_ADMITTED,
        .id = {.counter = 1, .actor = OWN_ACTOR},
        .actor = 1,
        .node = {{2}},
        .by = config.node,
    };
    step(replica, &event, actions);
    event = (struct replica_event){.kind = REPLICA_START};
    step(replica, &event, actions);
    const struct peer_hello hello = {
        .version_min = 1,
        .version_max = 1,
        .abilities = PEER_ABILITIES,
        .cluster = config.cluster,
        .node = {{2}},
        .actor = 1,
    };
    event = (struct replica_event){.kind = REPLICA_LINK_UP, .link_up = {.id = 1, .hello = &hello}};
    step(replica, &event, actions);
    return replica;
}

static const struct peer_note *note_sent(const struct replica_actions *actions, uint32_t nth)
{
    for (uint32_t i = 0; i < actions->count; i++) {
        const struct replica_action *action = &actions->items[i];
        if (action->kind == REPLICA_SEND && action->send.message.kind == PEER_NOTE && nth-- == 0) {
            return &action->send.message.note;
        }
    }
    return NULL;
}

START_TEST(a_note_that_is_too_long_is_sent_in_two)
{
    static struct replica_actions actions;
    struct replica *replica = replica_of_many(HEADS, &actions);
    const struct peer_note *note = note_sent(&actions, 0);
    ck_assert_ptr_nonnull(note);
    ck_assert_uint_eq(note->flags, NOTE_WHOLE);
    ck_assert_uint_eq(note->count, PEER_ENTRIES_MAX);
    note = note_sent(&actions, 1);
    ck_assert_ptr_nonnull(note);
    ck_assert_uint_eq(note->flags, 0);
    ck_assert_uint_eq(note->count, HEADS - PEER_ENTRIES_MAX);
    ck_assert_uint_eq(note->entries[0].actor, PEER_ENTRIES_MAX + 1);
    struct replica_event event = {.kind = REPLICA_TICK};
    step(replica, &event, &actions);
    ck_assert_ptr_null(note_sent(&actions, 0));
    replica_free(replica);
}
END_TEST

START_TEST(what_does_not_fit_a_note_is_not_taken_for_lost)
{
    static struct replica_actions actions;
    static struct note_entry entries[PEER_ENTRIES_MAX];
    struct replica *replica = replica_of_many(0, &actions);
    struct strand_head head = {.actor = OWN_ACTOR, .last = 9, .hash = {{1}}};
    struct replica_event event = {.kind = REPLICA_COMMITTED,
                                  .committed = {.heads = &head, .count = 1, .clock = 20}};
    step(replica, &event, &actions);
    struct note_entry own = {.actor = OWN_ACTOR, .counter = 9, .hash = {{2}}};
    struct peer_message message = {.kind = PEER_NOTE, .note = {.entries = &own, .count = 1}};
    event = (struct replica_event){.kind = REPLICA_MESSAGE,
                                   .message = {.link = 1, .message = &message}};
    step(replica, &event, &actions);
    ck_assert_uint_eq(counter_held_by(replica, 2), 0); // those are other events
    own.hash = head.hash;
    step(replica, &event, &actions);
    ck_assert_uint_eq(counter_held_by(replica, 2), 9);
    for (uint32_t i = 0; i < PEER_ENTRIES_MAX; i++) {
        entries[i] = (struct note_entry){.actor = (uint16_t)(i + 1), .counter = 1};
    }
    message.note =
        (struct peer_note){.flags = NOTE_WHOLE, .entries = entries, .count = PEER_ENTRIES_MAX};
    step(replica, &event, &actions);
    ck_assert_uint_eq(counter_held_by(replica, 2), 9);
    message.note.count--;
    step(replica, &event, &actions);
    ck_assert_uint_eq(counter_held_by(replica, 2), 0);
    replica_free(replica);
}
END_TEST

START_TEST(equal_counters_with_other_hashes_are_divergence)
{
    struct network *network = running(3, 3000);
    network_produce(network, 0, NULL);
    network_run(network, 300);
    ck_assert(!has_alarm(network, 2, "diverged"));
    send_note(network, 1, 2, 0, 1, network_held(network, 2, 1), 1);
    ck_assert(has_alarm(network, 2, "diverged"));
    struct replica_member member = member_of(network, 2, 2);
    ck_assert_int_eq(member.verified, VERIFIED_DIVERGED);
    ck_assert_uint_eq(member.diverged_actor, 1);
    network_free(network);
}
END_TEST

START_TEST(a_counter_from_nowhere_is_refused_and_leaves_the_clock_alone)
{
    struct network *network = running(3, 3000);
    network_produce(network, 0, NULL);
    network_run(network, 300);
    uint64_t clock = network->nodes[2].clock;
    send_note(network, 1, 2, 0, 2, clock + COUNTER_JUMP_MAX + 1, 0);
    ck_assert(has_alarm(network, 2, "counter_from_nowhere"));
    ck_assert_uint_ge(network->nodes[2].drops[REFUSAL_COUNTER], 1);
    ck_assert_uint_eq(network->nodes[2].clock, clock);
    network_free(network);
}
END_TEST

START_TEST(a_counter_far_ahead_is_believed_with_an_alarm)
{
    struct network *network = running(3, 3000);
    uint64_t counter = network->nodes[2].clock + COUNTER_JUMP_ALARM + 1;
    send_note(network, 1, 2, 0, 2, counter, 0);
    ck_assert(has_alarm(network, 2, "counter_jump"));
    ck_assert_uint_eq(network->nodes[2].clock, counter);
    network_free(network);
}
END_TEST

START_TEST(a_broken_promise_is_refused)
{
    struct network *network = running(2, 3000);
    network_produce(network, 0, NULL);
    network_run(network, 3000);
    uint64_t promised = network->nodes[0].promise.counter;
    ck_assert_uint_ge(promised, network_held(network, 0, 1));
    network->strands[2].length = 0;
    struct promise promise = {.actor = 2, .counter = promised + 10, .head = 0};
    struct peer_message message = {.kind = PEER_PROMISES,
                                   .promises = {.entries = &promise, .count = 1}};
    network_send(network, 1, 0, &message);
    network_run(network, 10);
    network->nodes[1].clock = promised; // it forgets what it said
    network_produce(network, 1, NULL);
    network_run(network, 100);
    ck_assert_uint_eq(network_held(network, 0, 2), 0);
    ck_assert(has_alarm(network, 0, "promise_broken"));
    network_free(network);
}
END_TEST

START_TEST(late_messages_of_an_old_connection_are_ignored)
{
    struct network *network = running(2, 3000);
    struct replica_event event = {.kind = REPLICA_MESSAGE};
    struct note_entry entry = {.actor = 2, .counter = 5000};
    struct peer_message message = {.kind = PEER_NOTE, .note = {.entries = &entry, .count = 1}};
    event.message.link = 123456;
    event.message.message = &message;
    uint64_t clock = network->nodes[0].clock;
    network_step(network, 0, &event);
    ck_assert_uint_eq(network->nodes[0].clock, clock);
    network_free(network);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notes");
    suite_add(suite, members_that_hold_the_same_are_seen_as_equal);
    suite_add(suite, changes_are_told_once_in_a_while_however_many_there_are);
    suite_add(suite, less_than_before_is_believed);
    suite_add(suite, a_note_that_is_too_long_is_sent_in_two);
    suite_add(suite, what_does_not_fit_a_note_is_not_taken_for_lost);
    suite_add(suite, equal_counters_with_other_hashes_are_divergence);
    suite_add(suite, a_counter_from_nowhere_is_refused_and_leaves_the_clock_alone);
    suite_add(suite, a_counter_far_ahead_is_believed_with_an_alarm);
    suite_add(suite, a_broken_promise_is_refused);
    suite_add(suite, late_messages_of_an_old_connection_are_ignored);
    return check_main(suite);
}
