// How a member admits a newcomer, one at a time.
//
// A consent is durable before it is given, and names actor and node: whoever asks again for the
// same pair gets the same answer, so a newcomer whose member died goes on with any other. Of two
// members that hand out one actor at the same time at least one is refused by somebody (each of
// them has noted its own), and tries another, chosen at random so that they part.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/joining_state.h"

enum {
    CONSENT_KEY_BYTES = sizeof CONSENT_KEY - 1 + 2,
    CONSENT_VALUE_BYTES = 16,
    CONSENTS_MAX = MEMBERS_MAX,
    ACTORS_SKIPPED_MAX = 4,
    ADMISSION_FORGOTTEN_MS = 10000, // when nobody asked for it any more
};

void admitting_free(struct joining_state *state)
{
    round_close(&state->admission.round);
    free(state->consents);
}

// --- Consents ----------------------------------------------------------------------------------

static struct consent *consent_of(const struct joining_state *state, uint16_t actor)
{
    for (uint32_t i = 0; i < state->consents_count; i++) {
        if (state->consents[i].actor == actor) {
            return &state->consents[i];
        }
    }
    return NULL;
}

static bool consent_add(struct joining_state *state, uint16_t actor, const struct uuid *node)
{
    if (state->consents_count == CONSENTS_MAX) {
        return false;
    }
    if (state->consents_count == state->consents_capacity) {
        uint32_t capacity = state->consents_capacity == 0 ? 4 : 2 * state->consents_capacity;
        struct consent *consents = realloc(state->consents, capacity * sizeof *consents);
        if (!consents) {
            return false;
        }
        state->consents = consents;
        state->consents_capacity = capacity;
    }
    state->consents[state->consents_count++] = (struct consent){.actor = actor, .node = *node};
    return true;
}

void admitting_record(struct replica *replica, struct bytes key, struct bytes value)
{
    size_t prefix = CONSENT_KEY_BYTES - 2;
    if (key.length != CONSENT_KEY_BYTES || memcmp(key.data, CONSENT_KEY, prefix) != 0 ||
        value.length < CONSENT_VALUE_BYTES) {
        return;
    }
    struct uuid node;
    memcpy(node.bytes, value.data, sizeof node.bytes);
    uint16_t actor = load_be16(key.data + prefix);
    if (!consent_of(replica->joining, actor) && !consent_add(replica->joining, actor, &node)) {
        replica->is_unfinished = true;
    }
}

static bool save_consent(struct replica *replica, uint16_t actor, const struct uuid *node)
{
    uint8_t *key = step_alloc(replica, CONSENT_KEY_BYTES + CONSENT_VALUE_BYTES);
    if (!key) {
        return false;
    }
    uint8_t *value = key + CONSENT_KEY_BYTES;
    memcpy(key, CONSENT_KEY, CONSENT_KEY_BYTES - 2);
    store_be16(key + CONSENT_KEY_BYTES - 2, actor);
    size_t length = 0;
    if (node) {
        memcpy(value, node->bytes, sizeof node->bytes);
        length = CONSENT_VALUE_BYTES;
    }
    push_record(replica, bytes_of(key, CONSENT_KEY_BYTES), bytes_of(value, length));
    return true;
}

// Whether the actor may become that node's; if not, whose it is.
static bool is_free_for(const struct replica *replica, uint16_t actor, const struct uuid *node,
                        struct reason *why)
{
    const struct member *member = membership_of_actor(&replica->members, actor);
    const struct consent *consent = consent_of(replica->joining, actor);
    const struct uuid *owner = member ? &member->node : consent ? &consent->node : NULL;
    bool is_self = actor == replica->actor && !uuid_equal(node, &replica->config.node);
    if (!is_self && (!owner || uuid_equal(owner, node))) {
        return true;
    }
    char text[UUID_TEXT_LENGTH + 1];
    uuid_format(is_self ? &replica->config.node : owner, text);
    (void)reason_set(why, ERR_FOREIGN,
                     "actor %u belongs to node %s%s%.60s, for life: name another with --actor-id, "
                     "or none",
                     (unsigned)actor, text, member && member->address[0] ? " at " : "",
                     member ? member->address : "");
    return false;
}

// Notes that the actor is taken by the node. False: it is another's, or there is no memory.
static bool consent_take(struct replica *replica, uint16_t actor, const struct uuid *node,
                         struct reason *why)
{
    if (!is_free_for(replica, actor, node, why)) {
        return false;
    }
    if (consent_of(replica->joining, actor)) {
        return true; // durable: noted before
    }
    bool is_noted =
        save_consent(replica, actor, node) && consent_add(replica->joining, actor, node);
    if (!is_noted) {
        (void)reason_set(why, ERR_MEMORY, "too many admissions are under way on actor %u",
                         (unsigned)replica->actor);
    }
    return is_noted;
}

static void answer_text(struct replica *replica, struct link *link, uint64_t token,
                        enum peer_answer_result result, const char *text)
{
    size_t length = strlen(text);
    uint8_t *copy = step_alloc(replica, length);
    struct peer_answer answer = {.token = token, .result = result};
    if (copy) {
        memcpy(copy, text, length);
        answer.text = bytes_of(copy, length);
    }
    answer_send(replica, link, &answer);
}

void admitting_ask_consent(struct replica *replica, struct link *link,
                           const struct peer_ask *question)
{
    struct reason why = {0};
    if (!joining_knows_members(replica)) {
        answer_text(replica, link, question->token, ANSWER_LATER, "it does not know all members");
        return;
    }
    bool is_asked_well = question->actor != 0 && !uuid_is_zero(&question->node);
    if (!is_asked_well || link->is_copy ||
        !consent_take(replica, question->actor, &question->node, &why)) {
        answer_text(replica, link, question->token, ANSWER_REFUSED, why.text);
        return;
    }
    struct peer_answer answer = {
        .token = question->token, .result = ANSWER_OK, .actor = question->actor};
    answer_send(replica, link, &answer);
}

// --- The admission -----------------------------------------------------------------------------

static void close_admission(struct replica *replica)
{
    struct admission *admission = &replica->joining->admission;
    round_close(&admission->round);
    *admission = (struct admission){0};
    alarm_clear(replica, "waiting_for_members", 0);
}

// An actor that nobody here knows as taken; 0: none is left. The one that the node was given
// before, unless it has that one already and asks for another.
static uint16_t pick_actor(struct replica *replica, const struct admission *admission)
{
    const struct joining_state *state = replica->joining;
    const struct link *link = link_find(replica, admission->link);
    uint16_t present = link ? link->actor : 0;
    for (uint32_t i = 0; i < state->consents_count && admission->refused == 0; i++) {
        const struct consent *consent = &state->consents[i];
        if (uuid_equal(&consent->node, &admission->node) && consent->actor != present &&
            !membership_of_actor(&replica->members, consent->actor)) {
            return consent->actor;
        }
    }
    uint64_t skipped =
        admission->refused == 0 ? 0 : random_below(&replica->random, ACTORS_SKIPPED_MAX);
    uint16_t last = 0;
    for (uint32_t actor = 1; actor <= ACTORS_MAX; actor++) {
        bool is_taken = membership_of_actor(&replica->members, (uint16_t)actor) ||
                        consent_of(state, (uint16_t)actor) || actor == replica->actor ||
                        actor == present;
        if (is_taken) {
            continue;
        }
        last = (uint16_t)actor;
        if (skipped-- == 0) {
            break;
        }
    }
    return last;
}

static void refuse_admission(struct replica *replica, const char *text)
{
    struct admission *admission = &replica->joining->admission;
    struct link *link = link_find(replica, admission->link);
    if (link && admission->token != 0) {
        answer_text(replica, link, admission->token, ANSWER_REFUSED, text);
    }
    close_admission(replica);
}

// Notes this node's own consent for an actor and asks the others.
static void ask_for_consents(struct replica *replica)
{
    struct admission *admission = &replica->joining->admission;
    struct reason why = {0};
    uint16_t actor = admission->wanted != 0 ? admission->wanted : pick_actor(replica, admission);
    if (actor == 0) {
        refuse_admission(replica, "no actor id is left in this cluster");
        return;
    }
    if (!consent_take(replica, actor, &admission->node, &why)) {
        refuse_admission(replica, why.text);
        return;
    }
    admission->actor = actor;
    round_open(replica, &admission->round, ASK_CONSENT, actor, &admission->node,
               admission->address);
}

static void write_admission(struct replica *replica)
{
    struct admission *admission = &replica->joining->admission;
    size_t length = strlen(admission->address);
    uint8_t *address = step_alloc(replica, length + 1);
    if (admission->is_written || !address) {
        return;
    }
    memcpy(address, admission->address, length);
    admission->is_written = true;
    push(replica, REPLICA_SYSTEM_EVENT)->member = (struct member_event){
        .kind = MEMBER_ADMITTED,
        .actor = admission->actor,
        .node = admission->node,
        .by = replica->config.node,
        .address = bytes_of(address, length),
    };
}

// Everybody has consented: the newcomer is told who it is, or, when it is that already, it becomes
// an event.
static void grant(struct replica *replica)
{
    struct admission *admission = &replica->joining->admission;
    struct link *link = link_find(replica, admission->link);
    struct reason why = {0};
    bool is_barred = !admission->is_written && !replica_may_produce(replica, &why);
    if (is_barred) {
        // what it issued since would lie behind its own seal, or in a strand that has forked
        if (link && admission->token != 0) {
            answer_text(replica, link, admission->token, ANSWER_LATER, why.text);
        }
        close_admission(replica);
        return;
    }
    if (admission->is_joined) {
        write_admission(replica);
        return;
    }
    if (!link || admission->token == 0) {
        return;
    }
    size_t length = strlen(replica->cluster_name);
    uint8_t *name = step_alloc(replica, length + 1);
    if (!name) {
        return;
    }
    memcpy(name, replica->cluster_name, length);
    struct peer_answer answer = {
        .token = admission->token,
        .result = ANSWER_OK,
        .actor = admission->actor,
        .counter = replica->clock,
        .cluster = replica->cluster,
        .text = bytes_of(name, length),
    };
    admission->token = 0;
    answer_send(replica, link, &answer);
}

// Whether this node can admit anybody now; if not, why.
static bool can_admit(struct replica *replica, const struct link *link,
                      const struct peer_ask *question, struct reason *why)
{
    const struct admission *admission = &replica->joining->admission;
    if (!joining_is_member(replica) || !starting_may_produce(replica, why) ||
        !retiring_may_produce(replica, why) || !forking_may_produce(replica, why)) {
        if (why->text[0] == '\0') {
            (void)reason_set(why, ERR_BUSY, "the member that was asked is not ready");
        }
        return false;
    }
    if (!uuid_equal(&question->node, &link->node)) {
        (void)reason_set(why, ERR_INVALID, "a node asks for itself alone");
        return false;
    }
    // One whose link is gone gives way: what was consented to is durable, it goes on with any
    // member.
    bool is_busy = admission->is_open && (admission->link != 0 || admission->is_written);
    if (is_busy && !uuid_equal(&admission->node, &question->node)) {
        (void)reason_set(why, ERR_BUSY, "another node is being admitted, by actor %u",
                         (unsigned)replica->actor);
        return false;
    }
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *other = &replica->links[i];
        bool is_other_run =
            uuid_equal(&other->node, &link->node) && other->run.random != link->run.random;
        if (is_other_run && !other->is_ended) {
            (void)reason_set(why, ERR_FOREIGN,
                             "the node whose copy this is still runs: stop the copy and start it "
                             "with an empty data directory");
            return false;
        }
    }
    return true;
}

static void open_admission(struct replica *replica, struct link *link,
                           const struct peer_ask *question)
{
    struct joining_state *state = replica->joining;
    struct admission *admission = &state->admission;
    if (!admission->is_open) {
        *admission = (struct admission){.is_open = true, .node = question->node};
    }
    if (question->address.length <= PEER_ADDRESS_BYTES_MAX && question->address.length > 0) {
        memcpy(admission->address, question->address.data, question->address.length);
        admission->address[question->address.length] = '\0';
    }
    admission->link = link->id;
    admission->token = question->token;
    state->admission_heard = replica->now;
    state->due = replica->now;
}

void admitting_ask_admit(struct replica *replica, struct link *link,
                         const struct peer_ask *question)
{
    struct admission *admission = &replica->joining->admission;
    struct reason why = {0};
    if (!can_admit(replica, link, question, &why)) {
        answer_text(replica, link, question->token, ANSWER_LATER, why.text);
        return;
    }
    if (question->actor != 0 && !is_free_for(replica, question->actor, &question->node, &why)) {
        answer_text(replica, link, question->token, ANSWER_REFUSED, why.text);
        return;
    }
    bool is_other = admission->is_open && (admission->wanted != question->actor ||
                                           !uuid_equal(&admission->node, &question->node));
    if (is_other || (admission->is_open && admission->is_joined)) {
        close_admission(replica);
    }
    open_admission(replica, link, question);
    admission->wanted = question->actor;
    if (!admission->round.is_open) {
        ask_for_consents(replica);
    }
}

// The newcomer is a member. The counter tells it whether this node was alone before it came; see
// joining_may_pull_from.
static void answer_joined(struct replica *replica, struct link *link, uint64_t token,
                          const struct member *newcomer)
{
    bool is_alone = joining_is_member(replica) && joining_knows_members(replica);
    for (uint32_t i = 0; i < replica->members.count; i++) {
        const struct member *other = &replica->members.members[i];
        bool is_other = !uuid_equal(&other->node, &newcomer->node) &&
                        !uuid_equal(&other->node, &replica->config.node);
        if (is_other && !other->is_retired &&
            event_id_compare(other->admitted, newcomer->admitted) < 0) {
            is_alone = false;
        }
    }
    struct peer_answer answer = {
        .token = token,
        .result = ANSWER_OK,
        .actor = newcomer->actor,
        .counter = is_alone ? 1 : 0,
    };
    answer_send(replica, link, &answer);
}

void admitting_ask_joined(struct replica *replica, struct link *link,
                          const struct peer_ask *question)
{
    struct admission *admission = &replica->joining->admission;
    const struct member *member = membership_of_actor(&replica->members, question->actor);
    struct reason why = {0};
    bool is_done =
        member && uuid_equal(&member->node, &question->node) && !event_id_is_none(member->admitted);
    if (is_done) {
        answer_joined(replica, link, question->token, member);
        return;
    }
    if (question->actor == 0 || !can_admit(replica, link, question, &why)) {
        answer_text(replica, link, question->token, ANSWER_LATER, why.text);
        return;
    }
    if (!is_free_for(replica, question->actor, &question->node, &why)) {
        answer_text(replica, link, question->token, ANSWER_REFUSED, why.text);
        return;
    }
    if (admission->is_open &&
        (admission->actor != question->actor || !uuid_equal(&admission->node, &question->node))) {
        close_admission(replica);
    }
    open_admission(replica, link, question);
    admission->wanted = question->actor;
    admission->is_joined = true;
    if (!admission->round.is_open) {
        ask_for_consents(replica);
    }
}

void admitting_answer(struct replica *replica, const struct ask *ask,
                      const struct peer_answer *answer)
{
    struct admission *admission = &replica->joining->admission;
    if (!round_answered(replica, &admission->round, ask, answer->result == ANSWER_OK) ||
        answer->result != ANSWER_REFUSED) {
        return;
    }
    char text[REASON_LENGTH_MAX + 1] = "";
    size_t length =
        answer->text.length < REASON_LENGTH_MAX ? answer->text.length : REASON_LENGTH_MAX;
    if (length > 0) {
        memcpy(text, answer->text.data, length);
    }
    if (admission->wanted != 0) {
        refuse_admission(replica, text);
        return;
    }
    admission->refused++;
    round_close(&admission->round);
    ask_for_consents(replica);
}

// What was consented to is an event now, or the node has become another actor.
void admitting_member_event(struct replica *replica, const struct member_event *event)
{
    struct joining_state *state = replica->joining;
    struct admission *admission = &state->admission;
    if (event->kind != MEMBER_ADMITTED) {
        return;
    }
    for (uint32_t i = 0; i < state->consents_count && replica->has_started; i++) {
        const struct consent *consent = &state->consents[i];
        if (consent->actor == event->actor) {
            if (save_consent(replica, consent->actor, NULL)) {
                state->consents[i] = state->consents[--state->consents_count];
            }
            break;
        }
    }
    if (!admission->is_open || admission->actor != event->actor) {
        return;
    }
    struct link *link = link_find(replica, admission->link);
    const struct member *member = membership_of_actor(&replica->members, event->actor);
    if (link && admission->token != 0 && member && uuid_equal(&admission->node, &event->node)) {
        answer_joined(replica, link, admission->token, member);
    }
    close_admission(replica);
}

void admitting_link_down(struct replica *replica, const struct link *link)
{
    struct admission *admission = &replica->joining->admission;
    round_link_down(&admission->round, link->id);
    if (admission->link == link->id) {
        admission->link = 0;
        admission->token = 0;
    }
}

// The newcomer, and status here, are told for whom it waits.
static void say_for_whom(struct replica *replica)
{
    struct admission *admission = &replica->joining->admission;
    struct link *link = link_find(replica, admission->link);
    struct reason missing = {0};
    round_missing(replica, &admission->round, &missing);
    char text[REASON_LENGTH_MAX + 1];
    (void)snprintf(text, sizeof text,
                   "waiting for the consent of %.120s; start it, or retire it: weir cluster retire "
                   "ACTOR --force",
                   missing.text);
    alarm_raise(replica, "waiting_for_members", 0, "a node wants to join as actor %u: %.220s",
                (unsigned)admission->actor, text);
    if (link && admission->token != 0) {
        answer_text(replica, link, admission->token, ANSWER_LATER, text);
        admission->token = 0;
    }
}

void admitting_tick(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    struct admission *admission = &state->admission;
    if (!admission->is_open) {
        return;
    }
    struct instant forgotten =
        instant_add(state->admission_heard, duration_ms(ADMISSION_FORGOTTEN_MS));
    if (instant_reached(forgotten, replica->now) && !admission->is_written) {
        close_admission(replica);
        return;
    }
    if (round_tick(replica, &admission->round) != 0) {
        return; // no memory: the next tick tries again
    }
    if (!admission->round.is_open) {
        return;
    }
    if (IS_PLANTED(PLANTED_ADMIT_WITHOUT_CONSENT) ||
        round_is_complete(replica, &admission->round, false)) {
        alarm_clear(replica, "waiting_for_members", 0);
        grant(replica);
        return;
    }
    struct instant patience = instant_add(admission->round.since, duration_ms(ASK_MS));
    if (instant_reached(patience, replica->now)) {
        say_for_whom(replica);
    }
}
