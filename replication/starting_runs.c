// Which start of a node is its newest. Members remember a run per actor, and whose it was, durably,
// and tell each other. A node learns from them that it was succeeded: another run of its actor is
// known that is not in its own history. So a copy is found by whoever hears of both, and both sides
// are told.

#include <stdio.h>
#include <stdlib.h>

#include "replication/starting_state.h"

enum {
    RUN_KEY_BYTES = sizeof RUN_KEY - 1 + 2,
    RUN_VALUE_BYTES = 32,
};

static uint32_t run_index(const struct starting_state *state, uint16_t actor)
{
    return actor_index(state->runs, sizeof *state->runs, state->runs_count, actor);
}

static struct known_run *run_entry(const struct replica *replica, uint16_t actor)
{
    const struct starting_state *state = replica->starting;
    uint32_t i = run_index(state, actor);
    return i < state->runs_count && state->runs[i].actor == actor ? &state->runs[i] : NULL;
}

// NULL: none is known of that actor, or it was another node's.
static const struct known_run *run_of(const struct replica *replica, uint16_t actor,
                                      const struct uuid *node)
{
    const struct known_run *known = run_entry(replica, actor);
    return known && uuid_equal(&known->node, node) ? known : NULL;
}

// False: no memory, or too many.
static bool run_set(struct replica *replica, uint16_t actor, const struct uuid *node,
                    struct run run)
{
    struct starting_state *state = replica->starting;
    struct known_run *known = run_entry(replica, actor);
    if (known) {
        known->node = *node;
        known->run = run;
        return true;
    }
    if (state->runs_count == MEMBERS_MAX) {
        return false;
    }
    if (state->runs_count == state->runs_capacity) {
        uint32_t capacity = state->runs_capacity == 0 ? 8 : 2 * state->runs_capacity;
        struct known_run *runs = realloc(state->runs, capacity * sizeof *runs);
        if (!runs) {
            return false;
        }
        state->runs = runs;
        state->runs_capacity = capacity;
    }
    struct known_run *at = &state->runs[run_index(state, actor)];
    memmove(at + 1, at, (size_t)(state->runs + state->runs_count - at) * sizeof *at);
    *at = (struct known_run){.actor = actor, .node = *node, .run = run};
    state->runs_count++;
    return true;
}

static void run_remember(struct replica *replica, uint16_t actor, const struct uuid *node,
                         struct run run)
{
    uint8_t *key = step_alloc(replica, RUN_KEY_BYTES + RUN_VALUE_BYTES);
    if (!key || !run_set(replica, actor, node, run)) {
        return; // heard again at the next greeting
    }
    uint8_t *value = key + RUN_KEY_BYTES;
    memcpy(key, RUN_KEY, RUN_KEY_BYTES - 2);
    store_be16(key + RUN_KEY_BYTES - 2, actor);
    store_be64(value, run.number);
    store_be64(value + 8, run.random);
    memcpy(value + 16, node->bytes, sizeof node->bytes);
    push_record(replica, bytes_of(key, RUN_KEY_BYTES), bytes_of(value, RUN_VALUE_BYTES));
}

void runs_record(struct replica *replica, struct bytes key, struct bytes value)
{
    if (bytes_equal(key, bytes_of_text(COPY_KEY))) {
        // of another actor than the present one: what it said is over
        bool is_ours = value.length == 2 && load_be16(value.data) == replica->actor;
        replica->starting->is_copy = is_ours && replica->actor != 0;
        return;
    }
    if (key.length != RUN_KEY_BYTES || memcmp(key.data, RUN_KEY, RUN_KEY_BYTES - 2) != 0 ||
        value.length != RUN_VALUE_BYTES) {
        return;
    }
    struct run run = {.number = load_be64(value.data), .random = load_be64(value.data + 8)};
    struct uuid node;
    memcpy(node.bytes, value.data + 16, sizeof node.bytes);
    if (!run_set(replica, load_be16(key.data + RUN_KEY_BYTES - 2), &node, run)) {
        replica->is_unfinished = true;
    }
}

void runs_forget(struct replica *replica)
{
    struct starting_state *state = replica->starting;
    for (uint32_t i = 0; i < state->runs_count && i < ACTIONS_PER_CALL / 2; i++) {
        uint8_t *key = step_alloc(replica, RUN_KEY_BYTES);
        if (key) {
            memcpy(key, RUN_KEY, RUN_KEY_BYTES - 2);
            store_be16(key + RUN_KEY_BYTES - 2, state->runs[i].actor);
            push_record(replica, bytes_of(key, RUN_KEY_BYTES), bytes_of(NULL, 0));
        }
    }
    state->runs_count = 0;
}

// --- This node ---------------------------------------------------------------------------------

static void raise_own_alarm(struct replica *replica)
{
    alarm_raise(replica, "copy", replica->actor,
                "this data directory is a copy, or was restored from a backup: actor %u has run "
                "elsewhere or later. What is here is safe. If the other still runs, stop this one "
                "and start it with an empty directory; else: weir cluster rescue",
                (unsigned)replica->actor);
}

static void become_copy(struct replica *replica)
{
    struct starting_state *state = replica->starting;
    if (state->is_copy || IS_PLANTED(PLANTED_CLONE_PRODUCES)) {
        return;
    }
    state->is_copy = true;
    uint8_t *value = step_alloc(replica, 2);
    if (value) {
        store_be16(value, replica->actor);
        push_record(replica, bytes_of_text(COPY_KEY), bytes_of(value, 2));
    }
    raise_own_alarm(replica);
    sources_reconsider(replica, replica->actor);
}

// Whether the run is this one or one before it, as far as its history goes.
static bool is_own_past(const struct replica *replica, struct run run)
{
    const struct replica_config *config = &replica->config;
    if (run.number > config->run.number) {
        return false;
    }
    uint64_t back = config->run.number - run.number;
    return back >= RUNS_REMEMBERED_MAX || back >= config->run_randoms_count ||
           config->run_randoms[back] == run.random;
}

void runs_start(struct replica *replica)
{
    if (replica->starting->is_copy) {
        raise_own_alarm(replica);
    }
    if (replica->actor != 0) {
        run_remember(replica, replica->actor, &replica->config.node, replica->config.run);
    }
}

void starting_members(struct replica *replica, struct link *link,
                      const struct peer_members *members)
{
    uint32_t said = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member_note *note = &members->entries[i];
        if (note->actor == 0 || note->run.number == 0) {
            continue;
        }
        if (note->actor == replica->actor) {
            if (uuid_equal(&note->node, &replica->config.node) &&
                !is_own_past(replica, note->run)) {
                become_copy(replica);
            }
            continue;
        }
        const struct known_run *known = run_of(replica, note->actor, &note->node);
        const struct member *member = membership_of_actor(&replica->members, note->actor);
        if (member && !uuid_equal(&member->node, &note->node)) {
            continue;
        }
        bool is_news = !known || note->run.number > known->run.number;
        if (is_news && said < ACTIONS_PER_CALL - 4) { // what is left is said again
            run_remember(replica, note->actor, &note->node, note->run);
            said++;
        }
    }
}

struct run starting_run_of(const struct replica *replica, const struct uuid *node)
{
    if (uuid_equal(node, &replica->config.node)) {
        return replica->config.run;
    }
    const struct member *member = membership_of_node(&replica->members, node);
    const struct known_run *known = member ? run_of(replica, member->actor, node) : NULL;
    return known ? known->run : (struct run){0};
}

// --- Others ------------------------------------------------------------------------------------

// Whether a start names the remembered one as one before it.
static bool is_successor(const struct peer_hello *hello, struct run known)
{
    if (hello->run_number < known.number) {
        return false;
    }
    uint64_t back = hello->run_number - known.number;
    if (back >= hello->runs_count) {
        return back >= RUNS_REMEMBERED_MAX; // too long ago to tell
    }
    return hello->runs[back] == known.random;
}

// Another link of the same node over which an older run still speaks.
static const struct link *predecessor_of(struct replica *replica, const struct link *link)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *other = &replica->links[i];
        bool is_same = other->id != link->id && uuid_equal(&other->node, &link->node);
        if (is_same && !other->is_ended && other->run.random != link->run.random) {
            return other;
        }
    }
    return NULL;
}

// Since when this start is known to have a living predecessor.
static struct contest *contest_of(struct replica *replica, uint16_t actor, uint64_t random)
{
    struct starting_state *state = replica->starting;
    for (uint32_t i = 0; i < CONTESTS_MAX; i++) {
        struct contest *contest = &state->contests[i];
        if (contest->actor != actor || contest->random != random) {
            continue;
        }
        // This node may have stood still: then it has not watched the other link meanwhile.
        struct instant paused = instant_add(contest->tried, duration_ms(LINK_DEAD_MS));
        contest->since = instant_reached(paused, replica->now) ? replica->now : contest->since;
        contest->tried = replica->now;
        return contest;
    }
    struct contest *contest = &state->contests[state->contest_next++ % CONTESTS_MAX];
    *contest = (struct contest){
        .actor = actor,
        .random = random,
        .since = replica->now,
        .tried = replica->now,
    };
    return contest;
}

// Members tell all of the runs of members. Of newcomers, and as long as there are newcomers alone,
// it is told here.
static void tell_original(struct replica *replica, struct link *link, struct run original)
{
    bool is_told =
        joining_is_member(replica) && membership_of_actor(&replica->members, link->actor) != NULL;
    struct member_note *note = is_told ? NULL : step_alloc(replica, sizeof *note);
    if (!note) {
        return;
    }
    *note = (struct member_note){
        .node = link->node, .actor = link->actor, .run = original, .is_reachable = true};
    const struct peer_message message = {.kind = PEER_MEMBERS,
                                         .members = {.entries = note, .count = 1}};
    push_send(replica, link, &message);
}

static void take_as_copy(struct replica *replica, struct link *link)
{
    link->is_copy = true;
    char node[UUID_TEXT_LENGTH + 1];
    uuid_format(&link->node, node);
    alarm_raise(replica, "copy", link->actor,
                "a copy of actor %u (node %s) has started: a cloned or restored data directory. "
                "It issues nothing, everything else goes on. Stop it and start it with an empty "
                "directory; if the original is gone, there: weir cluster rescue",
                (unsigned)link->actor, node);
}

// A copy that was stopped is none any more; one that goes on comes back, and is noticed again.
void runs_link_down(struct replica *replica, const struct link *link)
{
    bool is_there = !link->is_copy || link->actor == replica->actor; // its own alarm stays
    for (uint32_t i = 0; i < replica->links_count && !is_there; i++) {
        const struct link *other = &replica->links[i];
        is_there = other->is_copy && !other->is_ended && other->actor == link->actor;
    }
    if (!is_there) {
        alarm_clear(replica, "copy", link->actor);
    }
}

bool starting_link_up(struct replica *replica, struct link *link, const struct peer_hello *hello)
{
    bool is_ours =
        !uuid_is_zero(&replica->cluster) && uuid_equal(&hello->cluster, &replica->cluster);
    if (hello->actor == 0 || hello->runs_count == 0 || !is_ours || link->is_newcomer) {
        return true;
    }
    struct run run = {.number = hello->run_number, .random = hello->runs[0]};
    const struct known_run *known = run_of(replica, hello->actor, &hello->node);
    if (IS_PLANTED(PLANTED_CLONE_PRODUCES)) {
        known = NULL;
    }
    if (known && known->run.number == run.number && known->run.random == run.random) {
        return true;
    }
    if (known && !is_successor(hello, known->run)) {
        tell_original(replica, link, known->run);
        take_as_copy(replica, link);
        return true;
    }
    if (predecessor_of(replica, link) && !IS_PLANTED(PLANTED_CLONE_PRODUCES)) {
        // its connection may just not know yet that it is dead: that shows within LINK_DEAD_MS
        const struct contest *contest = contest_of(replica, hello->actor, run.random);
        struct instant patience = instant_add(contest->since, duration_ms(LINK_DEAD_MS + ASK_MS));
        if (!instant_reached(patience, replica->now)) {
            return false;
        }
        take_as_copy(replica, link);
        return true;
    }
    run_remember(replica, hello->actor, &hello->node, run);
    alarm_clear(replica, "copy", hello->actor);
    return true;
}
