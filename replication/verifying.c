// Commands that only ask or tell: everybody's note now; a range of which no copy is left; the
// quarantine for a counter from nowhere that an operator lifts.

#include <stdio.h>

#include "replication/forking_state.h"

enum { VERIFY_MS = 2000 };

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
    *verify = (struct verify){
        .command = command->token,
        .until = instant_add(replica->now, duration_ms(VERIFY_MS)),
    };
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (link->is_ended || link->is_newcomer) {
            continue;
        }
        struct peer_ask question = {.kind = ASK_NOTE, .node = replica->config.node};
        struct ask *ask = ask_send(replica, link, &question);
        if (ask) {
            verify->links[verify->count] = link->id;
            verify->tokens[verify->count++] = ask->token;
        }
    }
    replica->forking->due = replica->now;
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

void verifying_tick(struct replica *replica)
{
    for (uint32_t i = 0; i < COMMANDS_MAX; i++) {
        struct verify *verify = &replica->forking->verifies[i];
        if (verify->command == 0) {
            continue;
        }
        uint32_t open = 0;
        for (uint32_t k = 0; k < verify->count; k++) {
            open += ask_find(replica, verify->links[k], verify->tokens[k]) != NULL;
        }
        bool is_over = instant_reached(verify->until, replica->now);
        if (open > 0 && !is_over) {
            continue;
        }
        for (uint32_t k = 0; k < verify->count; k++) {
            struct ask *ask = ask_find(replica, verify->links[k], verify->tokens[k]);
            if (ask) {
                ask_free(ask);
            }
        }
        uint32_t members = membership_active_count(&replica->members);
        push_answer(replica, verify->command, 0, "%u of %u other members answered",
                    (unsigned)(verify->count - open), (unsigned)(members > 0 ? members - 1 : 0));
        verify->command = 0;
    }
}
