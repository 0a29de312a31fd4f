// How a member is retired. Whoever is asked to, fences the actor itself, then asks every other
// member to: a fence is durable before its head is told, so nothing beyond the highest answer, the
// seal, can be applied anywhere afterwards. The member that is retired is asked too when there is a
// link to it; it stops producing first and answers when what it had accepted is on its disk.
//
// Asking is not remembered over a restart, fences are: asking again ends the same.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/round.h"

#define FENCE_KEY "fence/"

enum {
    FENCE_KEY_BYTES = sizeof FENCE_KEY - 1 + 2,
    FENCE_VALUE_BYTES = 8,
    RETIRE_WAIT_MS = 10000,       // then the command is answered with who is missing
    RETIRE_FORCED_WAIT_MS = 2000, // for links that are just coming up
    FENCE_QUIET_MS = 500,         // until what was accepted before a fence of oneself is committing
    FENCE_PROMISES = 2,           // the first may have been on its way when it was asked for
};

struct fence {
    uint16_t actor;
    uint64_t head; // applied no further
    struct instant since;
    bool is_saved; // so is what was taken in before: the commit takes things in turn
};

// What this node has been asked to retire; one at a time.
struct retirement {
    bool is_open;
    uint16_t actor;
    bool is_forced;
    bool is_written;  // the event is on its way
    uint64_t command; // to be answered; 0: none
    link_id link;     // a member that leaves; 0: none
    uint64_t token;   //
    uint64_t seal;    // the highest answer so far
    struct hash128 seal_hash;
    struct round round;
};

struct retiring_state {
    struct fence *fences;
    uint32_t fences_count;
    uint32_t fences_capacity;
    struct retirement retirement;

    // The fence of this node's own actor: the commit takes things in turn, so a promise that was
    // asked for behind the last event comes back when that event is durable.
    uint32_t promises_made; // since the fence was quiet
    bool is_promise_asked;

    // this node leaves
    bool is_leaving;
    bool is_held; // what it leaves: by another, up to the seal
    uint64_t leave_command;
    link_id asked_link;
    uint64_t asked_token;
    struct instant next;
    struct instant due;
};

int retiring_new(struct replica *replica)
{
    replica->retiring = calloc(1, sizeof *replica->retiring);
    if (!replica->retiring) {
        return ERR_MEMORY;
    }
    replica->retiring->due = INSTANT_NEVER;
    return 0;
}

void retiring_free(struct replica *replica)
{
    if (replica->retiring) {
        round_close(&replica->retiring->retirement.round);
        free(replica->retiring->fences);
        free(replica->retiring);
    }
    replica->retiring = NULL;
}

// --- Fences ------------------------------------------------------------------------------------

static struct fence *fence_of(const struct replica *replica, uint16_t actor)
{
    const struct retiring_state *state = replica->retiring;
    for (uint32_t i = 0; i < state->fences_count; i++) {
        if (state->fences[i].actor == actor) {
            return &state->fences[i];
        }
    }
    return NULL;
}

static struct fence *fence_add(struct replica *replica, uint16_t actor, uint64_t head)
{
    struct retiring_state *state = replica->retiring;
    if (state->fences_count == MEMBERS_MAX) {
        return NULL;
    }
    if (state->fences_count == state->fences_capacity) {
        uint32_t capacity = state->fences_capacity == 0 ? 4 : 2 * state->fences_capacity;
        struct fence *fences = realloc(state->fences, capacity * sizeof *fences);
        if (!fences) {
            return NULL;
        }
        state->fences = fences;
        state->fences_capacity = capacity;
    }
    struct fence *fence = &state->fences[state->fences_count++];
    *fence = (struct fence){.actor = actor, .head = head, .since = replica->now};
    return fence;
}

void retiring_record(struct replica *replica, struct bytes key, struct bytes value)
{
    if (key.length != FENCE_KEY_BYTES || memcmp(key.data, FENCE_KEY, FENCE_KEY_BYTES - 2) != 0 ||
        value.length != FENCE_VALUE_BYTES) {
        return;
    }
    uint16_t actor = load_be16(key.data + FENCE_KEY_BYTES - 2);
    struct fence *fence = fence_of(replica, actor);
    fence = fence ? fence : fence_add(replica, actor, load_be64(value.data));
    if (!fence) {
        replica->is_unfinished = true;
        return;
    }
    fence->is_saved = true;
}

// What this node holds of a strand that others may hold too.
static uint64_t head_to_tell(const struct replica *replica, uint16_t actor)
{
    uint64_t common = 0;
    uint64_t held = version_vector_get(&replica->held, actor);
    bool is_branch = actor != 0 && forking_rescued(replica, &common) == actor;
    return is_branch && common < held ? common : held;
}

static struct fence *fence_put(struct replica *replica, uint16_t actor)
{
    struct fence *fence = fence_of(replica, actor);
    if (fence) {
        return fence;
    }
    uint8_t *key = step_alloc(replica, FENCE_KEY_BYTES + FENCE_VALUE_BYTES);
    uint64_t head = version_vector_get(&replica->held, actor);
    fence = key ? fence_add(replica, actor, head) : NULL;
    if (!fence) {
        return NULL;
    }
    memcpy(key, FENCE_KEY, FENCE_KEY_BYTES - 2);
    store_be16(key + FENCE_KEY_BYTES - 2, actor);
    store_be64(key + FENCE_KEY_BYTES, head);
    push_record(replica, bytes_of(key, FENCE_KEY_BYTES),
                bytes_of(key + FENCE_KEY_BYTES, FENCE_VALUE_BYTES));
    alarm_raise(replica, "fenced", actor,
                "actor %u is being retired: nothing more of it is applied here, nothing is lost. "
                "If this stays, finish it: weir cluster retire %u, or with --force",
                (unsigned)actor, (unsigned)actor);
    sources_reconsider(replica, actor);
    replica->retiring->due = replica->now;
    return fence;
}

static bool is_quiet(const struct replica *replica, const struct fence *fence)
{
    return instant_reached(instant_add(fence->since, duration_ms(FENCE_QUIET_MS)), replica->now);
}

// Whether all that this node had accepted before the fence of its own actor is durable.
static bool is_drained(const struct replica *replica)
{
    return replica->retiring->promises_made >= FENCE_PROMISES;
}

// Whether all that was taken in of another actor before its fence is durable, and told.
static bool is_settled(const struct replica *replica, const struct fence *fence)
{
    return fence->is_saved && is_quiet(replica, fence);
}

static bool is_draining(const struct replica *replica)
{
    return replica->actor != 0 && fence_of(replica, replica->actor) && !is_drained(replica);
}

static void tick_draining(struct replica *replica)
{
    struct retiring_state *state = replica->retiring;
    const struct fence *fence = fence_of(replica, replica->actor);
    if (fence && !state->is_promise_asked && is_quiet(replica, fence)) {
        state->is_promise_asked = true;
        push(replica, REPLICA_PROMISE);
    }
}

void retiring_promised(struct replica *replica)
{
    struct retiring_state *state = replica->retiring;
    if (state->is_promise_asked) {
        state->is_promise_asked = false;
        state->promises_made++;
        state->due = replica->now;
    }
}

// Another actor: its strand has no fence.
void retiring_became(struct replica *replica)
{
    replica->retiring->promises_made = 0;
    replica->retiring->is_promise_asked = false;
}

bool retiring_is_fenced(const struct replica *replica, uint16_t actor)
{
    return fence_of(replica, actor) != NULL;
}

// --- Asking everybody --------------------------------------------------------------------------

static void close_retirement(struct replica *replica)
{
    struct retirement *retirement = &replica->retiring->retirement;
    round_close(&retirement->round);
    *retirement = (struct retirement){0};
}

static void take_head(struct replica *replica, uint64_t counter, const struct hash128 *hash)
{
    struct retirement *retirement = &replica->retiring->retirement;
    int order = memcmp(hash->bytes, retirement->seal_hash.bytes, sizeof hash->bytes);
    bool is_higher = counter > retirement->seal || (counter == retirement->seal && order > 0);
    if (is_higher) {
        retirement->seal = counter;
        retirement->seal_hash = *hash;
    }
}

// False: no memory.
static bool open_retirement(struct replica *replica, uint16_t actor, bool is_forced)
{
    struct retirement *retirement = &replica->retiring->retirement;
    const struct member *member = membership_of_actor(&replica->members, actor);
    if (!member || !fence_put(replica, actor)) {
        return false;
    }
    struct uuid node = member->node;
    *retirement = (struct retirement){.is_open = true, .actor = actor, .is_forced = is_forced};
    struct hash128 hash = head_hash(replica, actor);
    take_head(replica, version_vector_get(&replica->held, actor), &hash);
    round_open(replica, &retirement->round, ASK_FENCE, actor, &node, NULL);
    retirement->round.optional = actor;
    replica->retiring->due = replica->now;
    return true;
}

static void finish_retirement(struct replica *replica)
{
    struct retirement *retirement = &replica->retiring->retirement;
    if (retirement->is_written) {
        return;
    }
    retirement->is_written = true;
    struct hash128 hash = head_hash(replica, retirement->actor);
    take_head(replica, version_vector_get(&replica->held, retirement->actor), &hash);
    bool is_whole = round_is_complete(replica, &retirement->round, false);
    push(replica, REPLICA_SYSTEM_EVENT)->member = (struct member_event){
        .kind = MEMBER_RETIRED,
        .actor = retirement->actor,
        .by = replica->config.node,
        .is_forced = !is_whole,
        .seal = retirement->seal,
        .seal_hash = retirement->seal_hash,
    };
}

static void retire(struct replica *replica, const struct replica_command *command)
{
    struct retirement *retirement = &replica->retiring->retirement;
    const struct member *member = membership_of_actor(&replica->members, command->actor);
    unsigned actor = command->actor;
    struct reason why = {0};
    if (!member && joining_may_produce(replica, &why)) {
        push_answer(replica, command->token, ERR_NOT_FOUND,
                    "no member has actor %u; weir cluster status lists them", actor);
    } else if (member && member->is_retired) {
        push_answer(replica, command->token, 0, "actor %u is retired already", actor);
    } else if (member && uuid_equal(&member->node, &replica->config.node)) {
        push_answer(replica, command->token, ERR_INVALID,
                    "actor %u is this node: ask another member, or use weir cluster leave", actor);
    } else if (!joining_may_produce(replica, &why) || !retiring_may_produce(replica, &why)) {
        push_answer(replica, command->token, ERR_BUSY, "%.250s", why.text);
    } else if (retirement->is_open && retirement->actor != command->actor) {
        push_answer(replica, command->token, ERR_BUSY, "actor %u is being retired, try again then",
                    (unsigned)retirement->actor);
    } else {
        if (retirement->is_open && retirement->command != 0) {
            push_answer(replica, retirement->command, ERR_BUSY, "it was asked for again");
        }
        bool is_open = (retirement->is_open && !retirement->is_written) ||
                       open_retirement(replica, command->actor, command->is_forced);
        if (!is_open) {
            push_answer(replica, command->token, ERR_MEMORY, "no memory to retire actor %u", actor);
            return;
        }
        retirement->is_forced |= command->is_forced;
        retirement->round.optional = command->actor;
        retirement->round.since = replica->now;
        retirement->command = command->token;
    }
}

static void leave(struct replica *replica, const struct replica_command *command)
{
    struct retiring_state *state = replica->retiring;
    struct reason why = {0};
    if (!joining_may_produce(replica, &why)) {
        push_answer(replica, command->token, ERR_BUSY, "%.250s", why.text);
        return;
    }
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    if (self && self->is_sealed && !state->is_leaving) {
        push_answer(replica, command->token, 0, "actor %u is retired already: stop this node",
                    (unsigned)replica->actor);
        return;
    }
    if (membership_active_count(&replica->members) <= 1) {
        push_answer(replica, command->token, ERR_INVALID,
                    "this node is the only member: stop it instead");
        return;
    }
    if (state->leave_command != 0) {
        push_answer(replica, state->leave_command, ERR_BUSY, "it was asked for again");
    }
    if (!fence_put(replica, replica->actor)) {
        push_answer(replica, command->token, ERR_MEMORY, "no memory to leave");
        return;
    }
    state->is_leaving = true;
    state->leave_command = command->token;
    state->next = instant_add(replica->now, duration_ms(FENCE_QUIET_MS));
    state->due = state->next;
    push(replica, REPLICA_PROMISE);
}

void retiring_command(struct replica *replica, const struct replica_command *command)
{
    if (command->kind == COMMAND_LEAVE) {
        leave(replica, command);
    } else {
        assert(command->kind == COMMAND_RETIRE);
        retire(replica, command);
    }
}

// --- Being asked -------------------------------------------------------------------------------

static void answer_short(struct replica *replica, struct link *link,
                         const struct peer_ask *question, enum peer_answer_result result,
                         const char *text)
{
    struct peer_answer answer = {
        .token = question->token,
        .result = result,
        .actor = question->actor,
        .text = bytes_of_text(text), // a constant
    };
    answer_send(replica, link, &answer);
}

static void ask_fence(struct replica *replica, struct link *link, const struct peer_ask *question)
{
    const struct fence *fence = NULL;
    if (!IS_PLANTED(PLANTED_HEADS_WITHOUT_FENCE)) {
        fence = question->actor != 0 ? fence_put(replica, question->actor) : NULL;
        if (!fence) {
            answer_short(replica, link, question, ANSWER_LATER, "no memory");
            return;
        }
    }
    if (fence && question->actor == replica->actor && !is_drained(replica)) {
        replica->retiring->due = replica->now; // also with a fence of an earlier run
        answer_short(replica, link, question, ANSWER_LATER,
                     "until all that was accepted is durable");
        return;
    }
    if (fence && !is_settled(replica, fence)) {
        answer_short(replica, link, question, ANSWER_LATER, "until all that was taken is durable");
        return;
    }
    uint64_t head = head_to_tell(replica, question->actor);
    bool is_whole = head == version_vector_get(&replica->held, question->actor);
    struct hash128 hash = {0};
    if (is_whole) {
        hash = head_hash(replica, question->actor);
    }
    struct peer_answer answer = {
        .token = question->token,
        .result = ANSWER_OK,
        .actor = question->actor,
        .counter = head,
        .hash = hash,
    };
    answer_send(replica, link, &answer);
}

static void ask_retire(struct replica *replica, struct link *link, const struct peer_ask *question)
{
    struct retirement *retirement = &replica->retiring->retirement;
    const struct member *member = membership_of_actor(&replica->members, question->actor);
    struct reason why = {0};
    if (member && member->is_retired) {
        answer_short(replica, link, question, ANSWER_OK, "");
        return;
    }
    if (!member || !uuid_equal(&member->node, &link->node)) {
        answer_short(replica, link, question, ANSWER_REFUSED, "a member retires itself alone");
        return;
    }
    bool is_busy = retirement->is_open && retirement->actor != question->actor;
    if (is_busy || !joining_may_produce(replica, &why) || !retiring_may_produce(replica, &why)) {
        answer_short(replica, link, question, ANSWER_LATER, "another member is being retired");
        return;
    }
    if (!retirement->is_open) {
        if (!open_retirement(replica, question->actor, false)) {
            answer_short(replica, link, question, ANSWER_LATER, "no memory");
            return;
        }
        retirement->round.optional = 0; // it lives: what only it holds is not to be left out
    }
    retirement->link = link->id;
    retirement->token = question->token;
    retirement->round.since = replica->now;
}

void retiring_ask(struct replica *replica, struct link *link, const struct peer_ask *question)
{
    if (question->kind == ASK_FENCE) {
        ask_fence(replica, link, question);
    } else if (question->kind == ASK_RETIRE) {
        ask_retire(replica, link, question);
    }
}

void retiring_answer(struct replica *replica, struct link *link, const struct ask *ask,
                     const struct peer_answer *answer)
{
    struct retiring_state *state = replica->retiring;
    struct retirement *retirement = &state->retirement;
    bool is_valid = answer->counter <= COUNTER_MAX;
    if (round_answered(replica, &retirement->round, ask, answer->result == ANSWER_OK && is_valid)) {
        if (answer->result == ANSWER_OK && is_valid && !retirement->is_written) {
            take_head(replica, answer->counter, &answer->hash);
        }
        retirement->round.due = replica->now;
        return;
    }
    if (ask->token == state->asked_token && ask->link == state->asked_link) {
        state->asked_link = 0;
        state->asked_token = 0;
        return;
    }
    rescuing_answer(replica, ask, answer);
}

void retiring_link_down(struct replica *replica, const struct link *link)
{
    struct retiring_state *state = replica->retiring;
    round_link_down(&state->retirement.round, link->id);
    if (state->retirement.link == link->id) {
        state->retirement.link = 0;
        state->retirement.token = 0;
    }
    if (state->asked_link == link->id) {
        state->asked_link = 0;
        state->asked_token = 0;
        state->next = replica->now;
    }
}

void retiring_saved(struct replica *replica, struct bytes key)
{
    if (key.length != FENCE_KEY_BYTES || memcmp(key.data, FENCE_KEY, FENCE_KEY_BYTES - 2) != 0) {
        return;
    }
    struct fence *fence = fence_of(replica, load_be16(key.data + FENCE_KEY_BYTES - 2));
    if (fence) {
        fence->is_saved = true;
    }
}

// --- Retired -----------------------------------------------------------------------------------

static void say_retired(struct replica *replica, const struct member *member)
{
    unsigned actor = member->actor;
    alarm_clear(replica, "fenced", actor);
    alarm_clear(replica, "copy", actor);
    alarm_clear(replica, "counter_from_nowhere", actor);
    alarm_clear(replica, "counter_jump", actor);
    if (actor == replica->actor) {
        alarm_raise(replica, "retired", actor,
                    "this node, actor %u, is retired: its events live on at the others. Stop it; "
                    "to use the machine again start it with an empty data directory",
                    actor);
    }
    bool is_held = version_vector_get(&replica->held, member->actor) >= member->seal;
    if (member->is_forced && !is_held) {
        alarm_raise(replica, "forced_retirement", actor,
                    "actor %u was retired with --force: what only absent members hold of it may "
                    "come late or never, out of stable order. Bring up who holds it up to %llu",
                    actor, (unsigned long long)member->seal);
    } else if (!is_held && joining_is_member(replica)) { // a newcomer is fetching all of it
        uint64_t held = version_vector_get(&replica->held, member->actor);
        alarm_raise(replica, "sealed_tail", actor,
                    "actor %u is retired, and of its events up to %llu this node lacks those "
                    "behind %llu: stable order waits for them. Keep up who holds them. If no copy "
                    "is left: weir cluster lost %u %llu..%llu",
                    actor, (unsigned long long)member->seal, (unsigned long long)held, actor,
                    (unsigned long long)held + 1, (unsigned long long)member->seal);
    }
}

void retiring_member_event(struct replica *replica, const struct member_event *event)
{
    struct retirement *retirement = &replica->retiring->retirement;
    const struct member *member = membership_of_actor(&replica->members, event->actor);
    if (event->kind != MEMBER_RETIRED || !member) {
        return;
    }
    say_retired(replica, member);
    sources_reconsider(replica, event->actor);
    if (!retirement->is_open || retirement->actor != event->actor) {
        return;
    }
    if (retirement->command != 0) {
        push_answer(replica, retirement->command, 0, "actor %u is retired, sealed at %llu%s",
                    (unsigned)event->actor, (unsigned long long)member->seal,
                    member->is_forced ? ", without having asked every member" : "");
    }
    struct link *link = link_find(replica, retirement->link);
    if (link && retirement->token != 0) {
        struct peer_answer answer = {
            .token = retirement->token, .result = ANSWER_OK, .actor = event->actor};
        answer_send(replica, link, &answer);
    }
    close_retirement(replica);
}

void retiring_committed(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->alarms_count; i++) {
        struct alarm *alarm = &replica->alarms[i];
        const char *code =
            strcmp(alarm->code, "sealed_tail") == 0 ? "sealed_tail" : "forced_retirement";
        if (strcmp(alarm->code, code) != 0) {
            continue;
        }
        const struct member *member =
            membership_of_actor(&replica->members, (uint16_t)alarm->subject);
        if (member && version_vector_get(&replica->held, member->actor) >= member->seal) {
            alarm_clear(replica, code, member->actor);
            return; // the table has moved; the rest at the next commit
        }
    }
}

// --- Time --------------------------------------------------------------------------------------

static void give_up(struct replica *replica, const char *text)
{
    struct retirement *retirement = &replica->retiring->retirement;
    struct link *link = link_find(replica, retirement->link);
    if (link && retirement->token != 0) {
        struct peer_answer answer = {.token = retirement->token,
                                     .result = ANSWER_LATER,
                                     .actor = retirement->actor,
                                     .text = bytes_of_text(text)};
        answer_send(replica, link, &answer);
    }
    close_retirement(replica);
}

static void tick_retirement(struct replica *replica)
{
    struct retirement *retirement = &replica->retiring->retirement;
    struct reason why = {0};
    if (!retirement->is_written && !replica_may_produce(replica, &why)) {
        // what it issued now would lie behind its own seal, or in a strand that has forked
        if (retirement->command != 0) {
            push_answer(replica, retirement->command, ERR_BUSY, "not retired: %.220s", why.text);
        }
        give_up(replica, "this member may issue nothing any more");
        return;
    }
    if (round_tick(replica, &retirement->round) != 0 || retirement->is_written) {
        return;
    }
    int64_t wait_ms = retirement->is_forced ? RETIRE_FORCED_WAIT_MS : RETIRE_WAIT_MS;
    bool is_over =
        instant_reached(instant_add(retirement->round.since, duration_ms(wait_ms)), replica->now);
    const struct fence *fence = fence_of(replica, retirement->actor);
    if (fence && !is_settled(replica, fence)) {
        return; // what was on its way to this disk counts too
    }
    if (round_is_complete(replica, &retirement->round, false) ||
        (retirement->is_forced && is_over &&
         round_is_complete(replica, &retirement->round, true))) {
        finish_retirement(replica);
        return;
    }
    if (!is_over || retirement->is_forced) {
        return;
    }
    struct reason missing = {0};
    round_missing(replica, &retirement->round, &missing);
    if (retirement->command != 0) {
        push_answer(replica, retirement->command, ERR_TIMEOUT,
                    "not retired: %.140s cannot be asked. Start it and try again, or leave it out "
                    "with --force",
                    missing.text);
    }
    give_up(replica, "a member cannot be asked");
}

// Whether everybody to whom there is a link holds this node's strand up to its seal, and somebody
// does.
static bool is_handed_over(struct replica *replica, const struct member *self)
{
    uint32_t holders = 0;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (link->is_ended || link->is_newcomer || link->is_copy) {
            continue;
        }
        if (version_vector_get(&link->held, self->actor) < self->seal) {
            return false;
        }
        holders++;
    }
    replica->retiring->is_held |= holders > 0;
    return replica->retiring->is_held || self->seal == 0;
}

static void tick_leaving(struct replica *replica)
{
    struct retiring_state *state = replica->retiring;
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    if (self && self->is_sealed) {
        if (is_handed_over(replica, self)) {
            push_answer(replica, state->leave_command, 0,
                        "actor %u has left; the others hold all its events. Stop this node",
                        (unsigned)replica->actor);
            state->is_leaving = false;
            state->leave_command = 0;
        }
        return;
    }
    if (!instant_reached(state->next, replica->now)) {
        return;
    }
    state->next = instant_add(replica->now, duration_ms(ASK_MS));
    if (ask_find(replica, state->asked_link, state->asked_token)) {
        return; // it is answered when it is done, or its link ends
    }
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        const struct member *member = membership_of_node(&replica->members, &link->node);
        if (link->is_ended || link->is_copy || !member || member->is_retired) {
            continue;
        }
        struct peer_ask question = {
            .kind = ASK_RETIRE, .actor = replica->actor, .node = replica->config.node};
        struct ask *ask = ask_send(replica, link, &question);
        state->asked_link = ask ? link->id : 0;
        state->asked_token = ask ? ask->token : 0;
        return;
    }
}

void retiring_tick(struct replica *replica)
{
    struct retiring_state *state = replica->retiring;
    if (state->retirement.is_open) {
        tick_retirement(replica);
    }
    if (state->is_leaving) {
        tick_leaving(replica);
    }
    if (is_draining(replica)) {
        tick_draining(replica);
    }
    bool is_busy = state->retirement.is_open || state->is_leaving || is_draining(replica);
    state->due = is_busy ? instant_add(replica->now, duration_ms(TICK_MS)) : INSTANT_NEVER;
}

struct instant retiring_deadline(const struct replica *replica)
{
    return replica->retiring->due;
}

// --- What others want to know ------------------------------------------------------------------

uint64_t retiring_limit(const struct replica *replica, uint16_t actor)
{
    const struct member *member = membership_of_actor(&replica->members, actor);
    if (member && member->is_sealed) {
        return member->seal;
    }
    const struct fence *fence = fence_of(replica, actor);
    return fence ? fence->head : UINT64_MAX;
}

bool retiring_holds_frontier(const struct replica *replica, uint16_t actor)
{
    const struct member *member = membership_of_actor(&replica->members, actor);
    if (!member) {
        return false;
    }
    if (!member->is_sealed || IS_PLANTED(PLANTED_RETIRED_BEFORE_SEAL)) {
        return !member->is_retired;
    }
    return version_vector_get(&replica->held, actor) < member->seal;
}

bool retiring_may_produce(const struct replica *replica, struct reason *why)
{
    if (replica->actor == 0) {
        return true;
    }
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    if (self && self->is_retired) {
        (void)reason_set(why, ERR_DENIED,
                         "this node, actor %u, is retired; produce on another node",
                         (unsigned)replica->actor);
        return false;
    }
    if (fence_of(replica, replica->actor)) {
        (void)reason_set(why, ERR_DENIED,
                         "this node, actor %u, is being retired or leaves; produce on another node",
                         (unsigned)replica->actor);
        return false;
    }
    return true;
}
