// A strand that forked: two different histories carry one actor's ids. Nobody overwrites anything.
// From the first suspicion on nothing of the actor is sent or applied, until the last common chunk
// is found; from then on nothing beyond it.
//
// It is found by bisecting counters: the other side is asked which of its chunks ends at or below
// one, and this node looks whether it has that very chunk. A counter has 63 bits, so that takes a
// bounded number of steps. A replica holds heads alone: what lies below is looked up by the driver.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/forking_state.h"

#define QUARANTINE_KEY "quarantine/"

enum {
    QUARANTINE_KEY_BYTES = sizeof QUARANTINE_KEY - 1 + 2,
    QUARANTINE_VALUE_BYTES = 8,
};

int forking_new(struct replica *replica)
{
    replica->forking = calloc(1, sizeof *replica->forking);
    if (!replica->forking) {
        return ERR_MEMORY;
    }
    replica->forking->due = INSTANT_NEVER;
    return 0;
}

void forking_free(struct replica *replica)
{
    if (replica->forking) {
        round_close(&replica->forking->verify_round);
    }
    free(replica->forking);
    replica->forking = NULL;
}

struct quarantine *quarantine_of(const struct replica *replica, uint16_t actor)
{
    for (uint32_t i = 0; i < QUARANTINES_MAX; i++) {
        struct quarantine *quarantine = &replica->forking->quarantines[i];
        if (quarantine->actor == actor && actor != 0) {
            return quarantine;
        }
    }
    return NULL;
}

static struct quarantine *quarantine_add(struct replica *replica, uint16_t actor)
{
    for (uint32_t i = 0; i < QUARANTINES_MAX; i++) {
        struct quarantine *quarantine = &replica->forking->quarantines[i];
        if (quarantine->actor == 0) {
            *quarantine = (struct quarantine){.actor = actor};
            return quarantine;
        }
    }
    return NULL;
}

static uint8_t *quarantine_key(struct replica *replica, uint16_t actor)
{
    uint8_t *key = step_alloc(replica, QUARANTINE_KEY_BYTES + QUARANTINE_VALUE_BYTES);
    if (key) {
        memcpy(key, QUARANTINE_KEY, QUARANTINE_KEY_BYTES - 2);
        store_be16(key + QUARANTINE_KEY_BYTES - 2, actor);
    }
    return key;
}

void quarantine_lift(struct replica *replica, uint16_t actor)
{
    struct quarantine *quarantine = quarantine_of(replica, actor);
    uint8_t *key = quarantine ? quarantine_key(replica, actor) : NULL;
    if (!key) {
        return;
    }
    push_record(replica, bytes_of(key, QUARANTINE_KEY_BYTES), bytes_of(NULL, 0));
    *quarantine = (struct quarantine){0};
    alarm_clear(replica, "forked_strand", actor);
    sources_reconsider(replica, actor);
}

static void say_forked(struct replica *replica, const struct quarantine *quarantine)
{
    unsigned actor = quarantine->actor;
    if (!quarantine->is_known) {
        alarm_raise(replica, "forked_strand", actor,
                    "the strand of actor %u has forked: two histories carry its ids. Nothing is "
                    "overwritten; where they part is being looked for",
                    actor);
        return;
    }
    const char *remedy = quarantine->actor == replica->actor ? "here: weir cluster rescue"
                                                             : "on its node: weir cluster rescue";
    alarm_raise(replica, "forked_strand", actor,
                "the strand of actor %u has forked behind %llu: two histories carry its ids. "
                "Nothing is overwritten, what lies behind is not replicated; %s",
                actor, (unsigned long long)quarantine->common, remedy);
}

void forking_record(struct replica *replica, struct bytes key, struct bytes value)
{
    if (bytes_equal(key, bytes_of_text(RESCUE_KEY))) {
        rescuing_record(replica, value);
        return;
    }
    bool is_ours = key.length == QUARANTINE_KEY_BYTES &&
                   memcmp(key.data, QUARANTINE_KEY, QUARANTINE_KEY_BYTES - 2) == 0;
    if (!is_ours || value.length != QUARANTINE_VALUE_BYTES) {
        return;
    }
    uint16_t actor = load_be16(key.data + QUARANTINE_KEY_BYTES - 2);
    struct quarantine *quarantine = quarantine_add(replica, actor);
    if (quarantine) {
        quarantine->is_known = true;
        quarantine->common = load_be64(value.data);
        say_forked(replica, quarantine);
    }
}

// --- The search --------------------------------------------------------------------------------

static void found_common(struct replica *replica, struct quarantine *quarantine)
{
    uint8_t *key = quarantine_key(replica, quarantine->actor);
    if (!key) {
        return; // the next tick tries again
    }
    store_be64(key + QUARANTINE_KEY_BYTES, quarantine->common);
    push_record(replica, bytes_of(key, QUARANTINE_KEY_BYTES),
                bytes_of(key + QUARANTINE_KEY_BYTES, QUARANTINE_VALUE_BYTES));
    quarantine->is_known = true;
    say_forked(replica, quarantine);
    sources_reconsider(replica, quarantine->actor);
}

static void search(struct replica *replica, struct quarantine *quarantine)
{
    bool is_waiting = quarantine->token != 0 || quarantine->look_up != 0;
    bool is_late =
        instant_reached(instant_add(quarantine->asked, duration_ms(2 * ASK_MS)), replica->now);
    if (quarantine->is_known || (is_waiting && !is_late)) {
        return;
    }
    struct link *link = link_find(replica, quarantine->link);
    if (!link || link->is_ended) {
        return; // somebody else shows the other branch, or the same one comes back
    }
    if (quarantine->low + 1 >= quarantine->high || quarantine->steps >= SEARCH_STEPS_MAX) {
        found_common(replica, quarantine);
        return;
    }
    struct ask *old = ask_find(replica, link->id, quarantine->token);
    if (old) {
        ask_free(old);
    }
    struct peer_ask question = {
        .kind = ASK_HEAD,
        .actor = quarantine->actor,
        .counter = quarantine->low + (quarantine->high - quarantine->low) / 2,
        .node = replica->config.node,
    };
    struct ask *ask = ask_send(replica, link, &question);
    quarantine->token = ask ? ask->token : 0;
    quarantine->look_up = 0;
    quarantine->asked = replica->now;
    quarantine->middle = question.counter;
}

static void push_look_up(struct replica *replica, uint64_t token, uint16_t actor, uint64_t counter)
{
    struct replica_action *action = push(replica, REPLICA_LOOK_UP);
    action->look_up.token = token;
    action->look_up.actor = actor;
    action->look_up.counter = counter;
}

// A question about a chunk below the head.
void forking_ask(struct replica *replica, struct link *link, const struct peer_ask *question)
{
    struct forking_state *state = replica->forking;
    if (question->kind != ASK_HEAD || question->counter == 0) {
        return;
    }
    for (uint32_t i = 0; i < FOUND_MAX && question->actor != 0; i++) {
        struct look_up *look_up = &state->look_ups[i];
        if (look_up->token != 0) {
            continue;
        }
        *look_up = (struct look_up){
            .token = ++state->look_up_next,
            .link = link->id,
            .asked = question->token,
            .actor = question->actor,
        };
        push_look_up(replica, look_up->token, question->actor, question->counter);
        return;
    }
    struct peer_answer answer = {
        .token = question->token, .result = ANSWER_LATER, .actor = question->actor};
    answer_send(replica, link, &answer);
}

void forking_answer(struct replica *replica, struct link *link, const struct ask *ask,
                    const struct peer_answer *answer)
{
    struct quarantine *quarantine = quarantine_of(replica, ask->actor);
    if (!quarantine || quarantine->is_known || quarantine->link != link->id ||
        quarantine->token != ask->token) {
        return;
    }
    quarantine->token = 0;
    uint64_t middle = quarantine->middle;
    if (answer->result != ANSWER_OK || answer->counter > middle) {
        quarantine->token = ask->token; // asked again when it is late
        return;
    }
    quarantine->steps++;
    if (answer->counter <= quarantine->common) {
        quarantine->low = middle;
        search(replica, quarantine);
        return;
    }
    quarantine->theirs = answer->counter;
    quarantine->hash = answer->hash;
    quarantine->look_up = ++replica->forking->look_up_next;
    push_look_up(replica, quarantine->look_up, quarantine->actor, answer->counter);
}

// Others hold less of our own strand than we do: mostly because they lag behind, but if our disk
// had lost what they hold, and we went on without it, it is another branch.
void forking_noted_own(struct replica *replica, struct link *link, const struct note_entry *entry)
{
    const struct hash128 unknown = {0};
    uint64_t held = version_vector_get(&replica->held, replica->actor);
    struct hash128 head = head_hash(replica, replica->actor);
    if (link->holds_our_branch || entry->counter == 0 || entry->counter > held ||
        hash128_equal(&entry->hash, &unknown)) {
        return;
    }
    if (entry->counter == held) {
        link->holds_our_branch = hash128_equal(&entry->hash, &head);
    } else if (link->own_looked_up == 0 && has_room(replica)) {
        link->own_looked_up = ++replica->forking->look_up_next;
        link->own_noted = *entry;
        push_look_up(replica, link->own_looked_up, entry->actor, entry->counter);
    }
}

static void found_own(struct replica *replica, struct link *link, const struct replica_found *found)
{
    const struct note_entry *noted = &link->own_noted;
    bool is_same = found->counter == noted->counter && hash128_equal(&found->hash, &noted->hash);
    link->own_looked_up = 0;
    if (link->is_ended || found->is_unknown || noted->actor != replica->actor) {
        return; // its next note is looked at
    }
    link->holds_our_branch |= is_same;
    if (!is_same && !link->is_newcomer) {
        forking_suspect(replica, link, noted->actor, noted->counter, &noted->hash);
    }
}

void forking_found(struct replica *replica, const struct replica_found *found)
{
    struct forking_state *state = replica->forking;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        if (replica->links[i].own_looked_up == found->token) {
            found_own(replica, &replica->links[i], found);
            return;
        }
    }
    for (uint32_t i = 0; i < FOUND_MAX; i++) {
        struct look_up *look_up = &state->look_ups[i];
        if (look_up->token != found->token) {
            continue;
        }
        struct link *link = link_find(replica, look_up->link);
        struct peer_answer answer = {
            .token = look_up->asked,
            .result = found->is_unknown ? ANSWER_LATER : ANSWER_OK,
            .actor = look_up->actor,
            .counter = found->counter,
            .hash = found->hash,
        };
        *look_up = (struct look_up){0};
        if (link) {
            answer_send(replica, link, &answer);
        }
        return;
    }
    for (uint32_t i = 0; i < QUARANTINES_MAX; i++) {
        struct quarantine *quarantine = &state->quarantines[i];
        if (quarantine->actor == 0 || quarantine->look_up != found->token) {
            continue;
        }
        if (found->is_unknown) {
            return; // asked again when it is late
        }
        quarantine->look_up = 0;
        bool is_same =
            found->counter == quarantine->theirs && hash128_equal(&found->hash, &quarantine->hash);
        if (is_same) {
            quarantine->common = found->counter;
            quarantine->low = quarantine->middle; // they have none between
        } else {
            quarantine->high = quarantine->theirs;
        }
        search(replica, quarantine);
        return;
    }
}

// --- Suspicion ---------------------------------------------------------------------------------

// Whether the strand is to be left alone: what differs is behind its seal, or is this node's own
// that is being fetched back.
static bool is_explained(const struct replica *replica, uint16_t actor, uint64_t counter)
{
    uint64_t held = version_vector_get(&replica->held, actor);
    bool is_own_return = actor == replica->actor && starting_pulls_own(replica) && counter > held;
    const struct member *member = membership_of_actor(&replica->members, actor);
    bool is_beyond_seal = member && member->is_sealed && counter > member->seal;
    return is_own_return || is_beyond_seal || actor == replica->forking->rescue.actor;
}

void forking_suspect(struct replica *replica, struct link *link, uint16_t actor, uint64_t counter,
                     const struct hash128 *hash)
{
    (void)hash;
    if (actor == 0 || is_explained(replica, actor, counter) ||
        IS_PLANTED(PLANTED_FORK_OVERWRITES)) {
        return;
    }
    struct quarantine *quarantine = quarantine_of(replica, actor);
    if (quarantine && quarantine->is_known) {
        return;
    }
    if (!quarantine) {
        quarantine = quarantine_add(replica, actor);
        if (!quarantine) {
            alarm_raise(replica, "forked_strand", 0,
                        "more strands have forked than this node can keep apart (%d); the last is "
                        "that of actor %u",
                        QUARANTINES_MAX, (unsigned)actor);
            return;
        }
        sources_reconsider(replica, actor);
    }
    if (!link_find(replica, quarantine->link)) {
        uint64_t held = version_vector_get(&replica->held, actor);
        quarantine->link = link->id;
        quarantine->token = 0;
        quarantine->look_up = 0;
        quarantine->steps = 0;
        quarantine->low = quarantine->common;
        quarantine->high = (counter < held ? counter : held) + 1;
    }
    replica->forking->due = replica->now;
    say_forked(replica, quarantine);
}

void forking_applied(struct replica *replica, const struct replica_applied *applied)
{
    struct link *link = link_find(replica, applied->link);
    if (link) {
        const struct hash128 none = {0};
        forking_suspect(replica, link, applied->actor, applied->last, &none);
    }
}

void forking_link_down(struct replica *replica, const struct link *link)
{
    struct forking_state *state = replica->forking;
    round_link_down(&state->verify_round, link->id);
    for (uint32_t i = 0; i < FOUND_MAX; i++) {
        if (state->look_ups[i].link == link->id) {
            state->look_ups[i] = (struct look_up){0};
        }
    }
    for (uint32_t i = 0; i < QUARANTINES_MAX; i++) {
        if (state->quarantines[i].link == link->id) {
            state->quarantines[i].link = 0;
            state->quarantines[i].token = 0;
        }
    }
    rescuing_link_down(replica, link);
}

// --- Commands and events -----------------------------------------------------------------------

void forking_command(struct replica *replica, const struct replica_command *command)
{
    if (command->kind == COMMAND_RESCUE) {
        rescuing_command(replica, command);
    } else {
        verifying_command(replica, command);
    }
}

void forking_member_event(struct replica *replica, const struct member_event *event)
{
    if (event->kind == MEMBER_RETIRED) {
        static const char *const codes[] = {"diverged", "promise_broken", "counter_from_nowhere",
                                            "counter_jump"};
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
            alarm_clear(replica, codes[i], event->actor); // nothing more comes of it
        }
        const struct member *member = membership_of_actor(&replica->members, event->actor);
        struct hash128 hash = head_hash(replica, event->actor);
        uint64_t held = version_vector_get(&replica->held, event->actor);
        bool has_branch = member && held > member->seal;
        bool is_other =
            member && held == member->seal && held > 0 && !hash128_equal(&hash, &member->seal_hash);
        if (!has_branch && !is_other) {
            quarantine_lift(replica, event->actor);
        } else {
            alarm_clear(replica, "forked_strand", event->actor);
        }
    }
    rescuing_member_event(replica, event);
    verifying_member_event(replica, event);
}

void forking_became(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        replica->links[i].holds_our_branch = false; // that was another strand
    }
    rescuing_became(replica);
}

// --- Time --------------------------------------------------------------------------------------

void forking_tick(struct replica *replica)
{
    struct forking_state *state = replica->forking;
    bool is_busy = state->rescue.phase != RESCUE_NOT;
    for (uint32_t i = 0; i < QUARANTINES_MAX; i++) {
        struct quarantine *quarantine = &state->quarantines[i];
        if (quarantine->actor != 0 && !quarantine->is_known && has_room(replica)) {
            search(replica, quarantine);
            is_busy = true;
        }
    }
    if (has_room(replica)) {
        rescuing_tick(replica);
    }
    verifying_tick(replica);
    for (uint32_t i = 0; i < COMMANDS_MAX; i++) {
        is_busy |= state->verifies[i].command != 0;
    }
    state->due = is_busy ? instant_add(replica->now, duration_ms(TICK_MS)) : INSTANT_NEVER;
}

struct instant forking_deadline(const struct replica *replica)
{
    return replica->forking->due;
}

// --- What others want to know ------------------------------------------------------------------

bool forking_was_ours(const struct replica *replica, uint16_t actor)
{
    const struct member *member = membership_of_actor(&replica->members, actor);
    return member && actor != replica->actor && uuid_equal(&member->node, &replica->config.node);
}

bool forking_doubts_own(const struct replica *replica)
{
    uint64_t own = version_vector_get(&replica->held, replica->actor);
    bool is_doubted = quarantine_of(replica, replica->actor) != NULL;
    for (uint32_t i = 0; i < replica->links_count && !is_doubted && replica->actor != 0; i++) {
        const struct link *link = &replica->links[i];
        is_doubted = !link->is_ended && !link->is_newcomer &&
                     version_vector_get(&link->held, replica->actor) > own;
    }
    return is_doubted;
}

uint64_t forking_limit(const struct replica *replica, uint16_t actor)
{
    const struct rescue *rescue = &replica->forking->rescue;
    uint64_t common = 0;
    bool is_given_up = rescue->phase != RESCUE_NOT && rescue->actor == actor;
    if (actor != 0 && (is_given_up || forking_rescued(replica, &common) == actor)) {
        return rescuing_common(replica);
    }
    const struct quarantine *quarantine = quarantine_of(replica, actor);
    return quarantine ? quarantine->common : UINT64_MAX;
}

bool forking_may_produce(const struct replica *replica, struct reason *why)
{
    if (quarantine_of(replica, replica->actor)) {
        (void)reason_set(
            why, ERR_FOREIGN,
            "the strand of actor %u, this node's, has forked: others hold other events "
            "with its ids. Nothing is lost; produce on another node, then here: weir "
            "cluster rescue",
            (unsigned)replica->actor);
        return false;
    }
    if (replica->forking->rescue.phase != RESCUE_NOT) {
        (void)reason_set(why, ERR_BUSY, "this node is being rescued; produce on another node");
        return false;
    }
    return true;
}
