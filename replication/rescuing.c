// A node whose strand forked, or whose directory was restored or copied, gets a new actor id. Under
// it the node issues again, in order, what its branch has beyond the last common chunk; the old
// actor is retired, with the other branch's head as its seal.
//
// The record "rescue" says which actor was given up and how far its strand is common; it is durable
// before a new actor is asked for, and goes when the old one is retired. A crash while the branch
// is issued again repeats that: events may repeat, none is skipped.

#include <assert.h>
#include <stdio.h>

#include "replication/forking_state.h"

enum { RECORD_VERSION = 1, RECORD_BYTES = 12 };

// False: no memory.
static bool save(struct replica *replica)
{
    const struct rescue *rescue = &replica->forking->rescue;
    uint8_t *value = step_alloc(replica, RECORD_BYTES);
    if (!value) {
        return false;
    }
    value[0] = RECORD_VERSION;
    value[1] = rescue->phase == RESCUE_RETIRING;
    store_be16(value + 2, rescue->actor);
    store_be64(value + 4, rescue->common);
    push_record(replica, bytes_of_text(RESCUE_KEY), bytes_of(value, RECORD_BYTES));
    return true;
}

void rescuing_record(struct replica *replica, struct bytes value)
{
    struct rescue *rescue = &replica->forking->rescue;
    if (value.length != RECORD_BYTES || value.data[0] != RECORD_VERSION) {
        return;
    }
    uint16_t actor = load_be16(value.data + 2);
    if (actor == replica->actor || replica->actor == 0) {
        return; // no new actor was given: the operator asks again
    }
    rescue->actor = actor;
    rescue->common = load_be64(value.data + 4);
    rescue->phase = value.data[1] == 1 ? RESCUE_RETIRING : RESCUE_ADMITTING;
    replica->forking->due = replica->now;
}

static void start(struct replica *replica, uint64_t command, uint64_t common)
{
    struct rescue *rescue = &replica->forking->rescue;
    *rescue = (struct rescue){
        .phase = RESCUE_ADMITTING,
        .actor = replica->actor,
        .common = common,
        .command = command,
    };
    if (!save(replica) || !joining_again(replica, true)) {
        *rescue = (struct rescue){0};
        push_answer(replica, command, ERR_BUSY, "no new actor can be asked for now: try again");
        return;
    }
    replica->forking->due = replica->now;
    if (common == COUNTER_MAX) {
        push_report(replica, SEVERITY_WARNING, "rescue: actor %u is given up",
                    (unsigned)replica->actor);
    } else {
        push_report(replica, SEVERITY_WARNING, "rescue: actor %u is given up, common up to %llu",
                    (unsigned)replica->actor, (unsigned long long)common);
    }
}

uint64_t rescuing_common(const struct replica *replica)
{
    const struct rescue *rescue = &replica->forking->rescue;
    const struct quarantine *quarantine = quarantine_of(replica, rescue->actor);
    bool is_less = quarantine && quarantine->common < rescue->common;
    return is_less ? quarantine->common : rescue->common;
}

void rescuing_command(struct replica *replica, const struct replica_command *command)
{
    struct rescue *rescue = &replica->forking->rescue;
    const struct quarantine *quarantine = quarantine_of(replica, replica->actor);
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    bool is_lost = self && (self->is_void || !uuid_equal(&self->node, &replica->config.node));
    if (rescue->phase != RESCUE_NOT) {
        if (rescue->command != 0) {
            push_answer(replica, rescue->command, ERR_BUSY, "it was asked for again");
        }
        rescue->command = command->token;
        return;
    }
    bool is_sound = !quarantine && !starting_is_copy(replica) && !starting_is_stuck(replica);
    if (is_sound && !is_lost) {
        push_answer(replica, command->token, ERR_INVALID,
                    "nothing is to be rescued: the strand of this node, actor %u, is sound",
                    (unsigned)replica->actor);
        return;
    }
    if (membership_active_count(&replica->members) <= 1 && !is_lost) {
        push_answer(replica, command->token, ERR_INVALID,
                    "this node is the only member: there is nobody whose events it contradicts");
        return;
    }
    if (quarantine && !quarantine->is_known) {
        push_answer(replica, command->token, ERR_BUSY,
                    "where the strand of actor %u forked is not known yet: try again when a member "
                    "that holds the other branch is connected",
                    (unsigned)replica->actor);
        return;
    }
    // Unless a branch is known there is none: what others hold beyond is fetched like any strand.
    start(replica, command->token, quarantine ? quarantine->common : is_lost ? 0 : COUNTER_MAX);
}

// Only a rescue's: joining has made this node another actor.
void rescuing_became(struct replica *replica)
{
    if (replica->forking->rescue.phase == RESCUE_ADMITTING) {
        replica->forking->due = replica->now;
    }
}

void forking_reissued(struct replica *replica)
{
    struct rescue *rescue = &replica->forking->rescue;
    if (rescue->phase != RESCUE_REISSUING) {
        return;
    }
    rescue->phase = RESCUE_RETIRING;
    if (!save(replica)) {
        rescue->phase = RESCUE_REISSUING; // the next tick saves
        rescue->is_reissuing = true;
        replica->is_unfinished = true;
    }
    replica->forking->due = replica->now;
}

static void finish(struct replica *replica)
{
    struct rescue *rescue = &replica->forking->rescue;
    rescue->common = rescuing_common(replica); // the quarantine is lifted
    if (rescue->command != 0 && rescue->common == COUNTER_MAX) {
        push_answer(replica, rescue->command, 0,
                    "this node is actor %u now; actor %u had no events that only it held",
                    (unsigned)replica->actor, (unsigned)rescue->actor);
    } else if (rescue->command != 0) {
        push_answer(replica, rescue->command, 0,
                    "this node is actor %u now; what only it held of actor %u behind %llu is "
                    "issued again",
                    (unsigned)replica->actor, (unsigned)rescue->actor,
                    (unsigned long long)rescue->common);
    }
    // the node keeps its branch of the old strand: it neither sends nor continues it
    rescue->phase = RESCUE_NOT;
    rescue->command = 0;
    alarm_clear(replica, "forked_strand", rescue->actor);
    alarm_clear(replica, "actor_taken", rescue->actor);
    alarm_clear(replica, "copy", rescue->actor);
    quarantine_lift(replica, rescue->actor);
    uint16_t actor = rescue->actor;
    bool is_branch = version_vector_get(&replica->held, actor) > rescue->common;
    if (!is_branch) { // the others' is its own
        push_record(replica, bytes_of_text(RESCUE_KEY), bytes_of(NULL, 0));
        rescue->actor = 0;
    }
    sources_reconsider(replica, actor);
}

void rescuing_member_event(struct replica *replica, const struct member_event *event)
{
    const struct rescue *rescue = &replica->forking->rescue;
    bool is_it = event->kind == MEMBER_RETIRED && event->actor == rescue->actor;
    if (is_it && replica->has_started && rescue->phase == RESCUE_RETIRING) {
        finish(replica);
    }
}

void rescuing_answer(struct replica *replica, const struct ask *ask,
                     const struct peer_answer *answer)
{
    struct rescue *rescue = &replica->forking->rescue;
    (void)answer; // the event decides
    if (ask->token == rescue->asked_token && ask->link == rescue->asked_link) {
        rescue->asked_token = 0;
        rescue->asked_link = 0;
    }
}

void rescuing_link_down(struct replica *replica, const struct link *link)
{
    struct rescue *rescue = &replica->forking->rescue;
    if (rescue->asked_link == link->id) {
        rescue->asked_token = 0;
        rescue->asked_link = 0;
    }
}

static void ask_to_retire(struct replica *replica)
{
    struct rescue *rescue = &replica->forking->rescue;
    const struct member *old = membership_of_actor(&replica->members, rescue->actor);
    bool is_ours = old && uuid_equal(&old->node, &replica->config.node);
    if (!is_ours || old->is_retired) {
        finish(replica); // it was another's all along, or is retired
        return;
    }
    if (!instant_reached(rescue->next, replica->now) ||
        ask_find(replica, rescue->asked_link, rescue->asked_token)) {
        return;
    }
    rescue->next = instant_add(replica->now, duration_ms(ASK_MS));
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        const struct member *member = membership_of_node(&replica->members, &link->node);
        if (link->is_ended || link->is_copy || !member || member->is_retired) {
            continue;
        }
        struct peer_ask question = {
            .kind = ASK_RETIRE, .actor = rescue->actor, .node = replica->config.node};
        struct ask *ask = ask_send(replica, link, &question);
        rescue->asked_link = ask ? link->id : 0;
        rescue->asked_token = ask ? ask->token : 0;
        return;
    }
}

void rescuing_tick(struct replica *replica)
{
    struct rescue *rescue = &replica->forking->rescue;
    const struct quarantine *quarantine = quarantine_of(replica, rescue->actor);
    bool is_searching = quarantine && !quarantine->is_known;
    bool is_admitted = joining_is_member(replica) && replica->actor != rescue->actor;
    switch (rescue->phase) {
    case RESCUE_NOT:
        return;
    case RESCUE_ADMITTING:
        if (is_admitted && !is_searching) {
            rescue->common = rescuing_common(replica);
            rescue->phase = RESCUE_REISSUING;
            rescue->is_reissuing = true;
            if (rescue->common == COUNTER_MAX) {
                forking_reissued(replica); // there is nothing to
                return;
            }
            struct replica_action *action = push(replica, REPLICA_REISSUE);
            action->reissue.actor = rescue->actor;
            action->reissue.above = rescue->common;
        }
        return;
    case RESCUE_REISSUING:
        return;
    case RESCUE_RETIRING:
        if (is_admitted) {
            ask_to_retire(replica);
        }
        return;
    }
}

uint16_t forking_rescued(const struct replica *replica, uint64_t *common_out)
{
    const struct rescue *rescue = &replica->forking->rescue;
    *common_out = rescuing_common(replica);
    bool is_given_up = rescue->actor != 0 && replica->actor != rescue->actor;
    return is_given_up ? rescue->actor : 0;
}
