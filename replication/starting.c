// Before a node that was a member produces, it asks the others what they hold of its own strand:
// a disk may have lost what was acknowledged, and ids must not be issued twice. What they hold
// beyond it is pulled back first; the clock goes above everything they remember. Who does not
// answer within start_wait is not waited for: a node that is alone is available. One that knows of
// no other member may have been restored from a time when there was none: it waits as long for the
// peers that it was given.

#include <stdio.h>
#include <stdlib.h>

#include "replication/starting_state.h"

int starting_new(struct replica *replica)
{
    replica->starting = calloc(1, sizeof *replica->starting);
    return replica->starting ? 0 : ERR_MEMORY;
}

void starting_free(struct replica *replica)
{
    if (replica->starting) {
        round_close(&replica->starting->round);
        free(replica->starting->runs);
        free(replica->starting);
    }
    replica->starting = NULL;
}

void starting_record(struct replica *replica, struct bytes key, struct bytes value)
{
    runs_record(replica, key, value);
}

static bool is_alone(const struct replica *replica)
{
    return membership_active_count(&replica->members) <= 1 && joining_knows_members(replica);
}

// Whether a configured peer may yet turn out to be a member: only one that is fresh cannot.
static bool awaits_peers(const struct replica *replica)
{
    const struct replica_config *config = &replica->config;
    for (uint32_t i = 0; i < config->peers_count; i++) {
        const struct uuid *node = &replica->peer_nodes[i];
        bool is_answered = uuid_equal(node, &config->node) ||
                           strcmp(replica->peers[i].text, config->advertise.text) == 0;
        for (uint32_t k = 0; !is_answered && k < replica->links_count; k++) {
            const struct link *link = &replica->links[k];
            is_answered = !link->is_ended && link->is_newcomer && uuid_equal(&link->node, node);
        }
        if (!is_answered) {
            return true;
        }
    }
    return false;
}

void starting_start(struct replica *replica)
{
    struct starting_state *state = replica->starting;
    runs_start(replica);
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    bool is_retired = self && self->is_retired;
    // One that is being admitted has a strand too, if the disk has lost that it was done.
    bool is_member = joining_is_member(replica);
    if (replica->actor == 0 || is_retired ||
        (is_member && is_alone(replica) && !awaits_peers(replica))) {
        return;
    }
    state->phase = STARTING_COMPARING;
    state->since = replica->now;
    round_open(replica, &state->round, ASK_HEAD, replica->actor, &replica->config.node, NULL);
}

// A new actor has no strand that anybody could hold more of.
void starting_became(struct replica *replica)
{
    struct starting_state *state = replica->starting;
    round_close(&state->round);
    state->phase = STARTING_DONE;
    promises_clock_raised(replica);
    if (state->is_copy) {
        state->is_copy = false;
        push_record(replica, bytes_of_text(COPY_KEY), bytes_of(NULL, 0));
    }
    for (uint32_t i = 0; i < replica->members.count; i++) {
        alarm_clear(replica, "copy", replica->members.members[i].actor);
    }
}

void starting_link_down(struct replica *replica, const struct link *link)
{
    round_link_down(&replica->starting->round, link->id);
    runs_link_down(replica, link);
}

// --- Comparing ---------------------------------------------------------------------------------

void starting_ask(struct replica *replica, struct link *link, const struct peer_ask *question)
{
    if (question->kind != ASK_HEAD || question->counter != 0) {
        return; // what lies below a head: forking
    }
    if (link->is_copy) { // it is told so soon
        const struct peer_answer later = {
            .token = question->token, .result = ANSWER_LATER, .actor = question->actor};
        answer_send(replica, link, &later);
        return;
    }
    struct peer_answer answer = {
        .token = question->token,
        .result = ANSWER_OK,
        .actor = question->actor,
        .counter = version_vector_get(&replica->held, question->actor),
        .hash = head_hash(replica, question->actor),
        .promised = promises_heard(replica, question->actor),
    };
    answer_send(replica, link, &answer);
}

void starting_answer(struct replica *replica, struct link *link, const struct ask *ask,
                     const struct peer_answer *answer)
{
    struct starting_state *state = replica->starting;
    bool is_final = answer->result != ANSWER_LATER;
    if (!round_answered(replica, &state->round, ask, is_final)) {
        return;
    }
    if (answer->result != ANSWER_OK || answer->counter > COUNTER_MAX ||
        answer->promised > COUNTER_MAX) {
        return;
    }
    uint64_t high = answer->counter > answer->promised ? answer->counter : answer->promised;
    if (high > 0 && !counters_believe(replica, link, replica->actor, high, true)) {
        return;
    }
    state->has_answer = true;
    uint64_t held = version_vector_get(&replica->held, replica->actor);
    struct hash128 hash = head_hash(replica, replica->actor);
    if (answer->counter == held && held > 0 && !hash128_equal(&answer->hash, &hash)) {
        forking_suspect(replica, link, replica->actor, answer->counter, &answer->hash);
    }
    if (answer->counter > held && answer->counter > state->wanted) {
        state->wanted = answer->counter;
        state->holder = link->actor;
        push_report(replica, SEVERITY_WARNING,
                    "actor %u holds this node's own events up to %llu, this disk up to %llu: they "
                    "are fetched back",
                    (unsigned)link->actor, (unsigned long long)answer->counter,
                    (unsigned long long)held);
        sources_reconsider(replica, replica->actor);
    }
    state->round.due = replica->now;
}

static void end(struct replica *replica)
{
    struct starting_state *state = replica->starting;
    round_close(&state->round);
    state->phase = STARTING_DONE;
    sources_reconsider(replica, replica->actor);
    promises_clock_raised(replica); // none was made before
}

static bool is_pulled(const struct replica *replica)
{
    return version_vector_get(&replica->held, replica->actor) >= replica->starting->wanted;
}

void starting_committed(struct replica *replica)
{
    if (replica->starting->phase == STARTING_PULLING && is_pulled(replica)) {
        end(replica);
    }
}

static void say_missing(const struct replica *replica, struct reason *out)
{
    if (is_alone(replica)) {
        (void)reason_set(out, 0, "the peers that are configured");
    } else {
        round_missing(replica, &replica->starting->round, out);
    }
}

void starting_tick(struct replica *replica)
{
    struct starting_state *state = replica->starting;
    if (state->phase == STARTING_COMPARING && !joining_is_member(replica)) {
        state->since = replica->now; // only members may ask
        state->round.due = instant_add(replica->now, duration_ms(TICK_MS));
        return;
    }
    if (round_tick(replica, &state->round) != 0 || state->phase != STARTING_COMPARING) {
        return;
    }
    if (!joining_knows_members(replica)) {
        state->since = replica->now; // whom to ask is not known before
        return;
    }
    struct instant patience = instant_add(state->since, replica->config.start_wait);
    bool is_all = round_is_complete(replica, &state->round, false) &&
                  !(is_alone(replica) && awaits_peers(replica));
    bool is_enough = is_all || (IS_PLANTED(PLANTED_ONLY_FIRST_PEER_AT_START) && state->has_answer);
    if (!is_enough && !instant_reached(patience, replica->now)) {
        return;
    }
    if (!is_enough) {
        struct reason missing = {0};
        say_missing(replica, &missing);
        push_report(replica, SEVERITY_INFO,
                    "produces without having compared its events with %.180s", missing.text);
    }
    round_close(&state->round);
    state->phase = STARTING_PULLING;
    if (is_pulled(replica)) {
        end(replica);
    }
}

struct instant starting_deadline(const struct replica *replica)
{
    return round_deadline(&replica->starting->round);
}

// --- What others want to know ------------------------------------------------------------------

bool starting_pulls_own(const struct replica *replica)
{
    const struct starting_state *state = replica->starting;
    return state->phase != STARTING_DONE || state->is_copy;
}

bool starting_is_copy(const struct replica *replica)
{
    return replica->starting->is_copy;
}

bool starting_is_stuck(const struct replica *replica)
{
    if (replica->starting->phase != STARTING_PULLING) {
        return false;
    }
    uint64_t held = version_vector_get(&replica->held, replica->actor);
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (!link->is_ended && version_vector_get(&link->held, replica->actor) > held) {
            return false;
        }
    }
    return true;
}

// For what it waits, and what to do where nobody can send it.
static void say_pulling(const struct replica *replica, struct reason *why)
{
    const struct starting_state *state = replica->starting;
    const struct member *holder = membership_of_actor(&replica->members, state->holder);
    unsigned long long wanted = state->wanted;
    unsigned actor = state->holder;
    if (!starting_is_stuck(replica)) {
        (void)reason_set(why, ERR_BUSY,
                         "this node fetches back events of its own up to %llu that its disk has "
                         "lost, which actor %u holds; produce on another node, or wait",
                         wanted, actor);
        return;
    }
    (void)reason_set(why, ERR_BUSY,
                     "this disk has lost events of its own up to %llu; actor %u (%.60s) holds "
                     "them: start it. If it is gone for good: weir cluster retire %u, then weir "
                     "cluster rescue on this node",
                     wanted, actor, holder ? holder->address : "", actor);
}

bool starting_may_produce(const struct replica *replica, struct reason *why)
{
    const struct starting_state *state = replica->starting;
    if (state->is_copy && !IS_PLANTED(PLANTED_CLONE_PRODUCES)) {
        (void)reason_set(why, ERR_FOREIGN,
                         "this data directory is a copy or a restored backup of actor %u; produce "
                         "on another node. If the original is gone: weir cluster rescue, else "
                         "start this node with an empty directory",
                         (unsigned)replica->actor);
        return false;
    }
    switch (state->phase) {
    case STARTING_DONE:
        return true;
    case STARTING_COMPARING: {
        struct reason missing = {0};
        say_missing(replica, &missing);
        (void)reason_set(why, ERR_BUSY,
                         "this node has just started and compares what it holds with %.120s; it "
                         "produces when they have answered, or after start_wait",
                         missing.text);
        return false;
    }
    case STARTING_PULLING:
        say_pulling(replica, why);
        return false;
    }
    return true;
}
