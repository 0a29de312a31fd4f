// Commands that only ask or tell: everybody's note now, of members without a link over one that is
// dialled for it; a range of which no copy is left; the
// quarantine for a counter from nowhere that an operator lifts.

#include <stdio.h>

#include "replication/forking_state.h"

enum { VERIFY_MS = 2000, VERIFY_LARGE_MS = 10000 };

static void verify(struct replica *replica, const struct replica_command *command)
{
    struct verify *verify = NULL;
    for (uint32_t i = 0; i < COMMANDS_MAX && !verify; i++) {
        struct verify *candidate = &replica->forking->verifies[i];
        verify = candidate->command == 0 ? candidate : NULL;
    }
    if (!verify) {
        push_answer(replica, command->token, ERR_BUSY, "too many ask at once: try again");
        return;
    }
    bool is_mesh = membership_active_count(&replica->members) <= LINKS_FULL_MESH;
    *verify = (struct verify){
        .command = command->token,
        .until = instant_add(replica->now, duration_ms(is_mesh ? VERIFY_MS : VERIFY_LARGE_MS)),
    };
    if (!is_mesh) {
        links_try_again(replica);
    }
    round_open(replica, &replica->forking->verify_round, ASK_NOTE, 0, &replica->config.node, NULL);
    replica->forking->due = replica->now;
}

// Its note has come in front of the answer, on the same link, which may not stay.
void verifying_answer(struct replica *replica, struct link *link, const struct ask *ask)
{
    struct replica_member verdict = {0};
    if (round_answered(replica, &replica->forking->verify_round, ask, true)) {
        link_verify(replica, link, &verdict);
        links_judged(replica, &link->node, &verdict);
        replica->forking->due = replica->now;
        if (link->is_extra && link->dial != 0 && !sources_uses(replica, link->id)) {
            push_drop(replica, link->id, 0, "it was asked what it holds"); // room for the next
        }
    }
}

static void tell(struct replica *replica, const struct replica_command *command,
                 enum member_event_kind kind)
{
    struct pending *pending = NULL;
    for (uint32_t i = 0; i < COMMANDS_MAX && !pending; i++) {
        struct pending *candidate = &replica->forking->pendings[i];
        pending = candidate->command == 0 ? candidate : NULL;
    }
    struct reason why = {0};
    if (!pending) {
        push_answer(replica, command->token, ERR_BUSY, "too many ask at once: try again");
        return;
    }
    if (!joining_may_produce(replica, &why) || !starting_may_produce(replica, &why) ||
        !retiring_may_produce(replica, &why) || !forking_may_produce(replica, &why)) {
        push_answer(replica, command->token, ERR_BUSY, "ask another member: %.220s", why.text);
        return;
    }
    *pending = (struct pending){
        .command = command->token,
        .kind = kind,
        .actor = command->actor,
        .first = command->first,
        .last = command->last,
    };
    push(replica, REPLICA_SYSTEM_EVENT)->member = (struct member_event){
        .kind = kind,
        .actor = command->actor,
        .by = replica->config.node,
        .first = command->first,
        .last = command->last,
    };
}

void verifying_command(struct replica *replica, const struct replica_command *command)
{
    bool is_range =
        command->first > 0 && command->first <= command->last && command->last <= COUNTER_MAX;
    switch (command->kind) {
    case COMMAND_VERIFY:
        verify(replica, command);
        return;
    case COMMAND_LOST:
        if (command->actor == 0 || !is_range) {
            push_answer(replica, command->token, ERR_INVALID,
                        "what is lost is ACTOR FIRST..LAST, counters of its chunks");
            return;
        }
        tell(replica, command, MEMBER_LOST);
        return;
    case COMMAND_FORGIVE:
        if (command->actor == 0) {
            push_answer(replica, command->token, ERR_INVALID, "an actor is forgiven: ACTOR");
            return;
        }
        tell(replica, command, MEMBER_FORGIVEN);
        return;
    case COMMAND_RETIRE:
    case COMMAND_LEAVE:
    case COMMAND_RESCUE:
        return;
    }
}

static void hollow(struct replica *replica, const struct member_event *event)
{
    // at a start: those that were done have moved the head behind them
    uint64_t held = version_vector_get(&replica->held, event->actor);
    if (!replica->has_started && held >= event->last) {
        return;
    }
    struct replica_action *action = push(replica, REPLICA_HOLLOW);
    action->hollow.actor = event->actor;
    action->hollow.first = event->first;
    action->hollow.last = event->last;
    push_report(replica, SEVERITY_WARNING, "events %llu to %llu of actor %u are lost for good",
                (unsigned long long)event->first, (unsigned long long)event->last,
                (unsigned)event->actor);
}

void verifying_member_event(struct replica *replica, const struct member_event *event)
{
    if (event->kind == MEMBER_LOST) {
        hollow(replica, event);
    } else if (event->kind == MEMBER_FORGIVEN) {
        counters_forgive(replica, event->actor);
    } else {
        return;
    }
    for (uint32_t i = 0; i < COMMANDS_MAX; i++) {
        struct pending *pending = &replica->forking->pendings[i];
        bool is_it = pending->command != 0 && pending->kind == event->kind &&
                     pending->actor == event->actor && pending->first == event->first &&
                     pending->last == event->last;
        if (is_it) {
            push_answer(replica, pending->command, 0, "actor %u: every member is told",
                        (unsigned)event->actor);
            pending->command = 0;
        }
    }
}

// Whether everybody has answered who can be reached.
static bool is_verified(struct replica *replica, uint32_t *answered_out)
{
    const struct round *round = &replica->forking->verify_round;
    bool is_mesh = membership_active_count(&replica->members) <= LINKS_FULL_MESH;
    bool is_over = true;
    uint32_t answered = 0;
    for (uint32_t i = 0; i < round->count; i++) {
        const struct round_member *member = &round->members[i];
        const struct link *link = link_of_node(replica, &member->node);
        answered += member->is_answered;
        is_over &=
            member->is_answered || (!link && (is_mesh || links_gave_up(replica, &member->node)));
    }
    *answered_out = answered;
    return is_over;
}

void verifying_tick(struct replica *replica)
{
    struct round *round = &replica->forking->verify_round;
    if (!round->is_open || round_tick(replica, round) != 0) {
        return;
    }
    uint32_t answered = 0;
    uint32_t open = 0;
    bool is_over = is_verified(replica, &answered);
    for (uint32_t i = 0; i < COMMANDS_MAX; i++) {
        struct verify *verify = &replica->forking->verifies[i];
        if (verify->command != 0 && (is_over || instant_reached(verify->until, replica->now))) {
            uint32_t members = membership_active_count(&replica->members);
            push_answer(replica, verify->command, 0, "%u of %u other members answered",
                        (unsigned)answered, (unsigned)(members > 0 ? members - 1 : 0));
            verify->command = 0;
        }
        open += verify->command != 0;
    }
    if (open == 0) {
        round_close(round);
    } else if (has_room(replica) && membership_active_count(&replica->members) > LINKS_FULL_MESH) {
        links_dial_awaited(replica, round);
    }
}
