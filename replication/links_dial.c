// Whom to dial. Up to LINKS_FULL_MESH members: everybody to whom there is no link. Beyond that a
// random member every second, whether or not more links are wanted, so that what was parted grows
// together again; more often while links are few. Configured addresses are dialled by everybody
// until it is known who answers there, and while links are few.

#include <stdlib.h>

#include "replication/links_state.h"
#include "replication/round.h"

enum {
    DIAL_FIRST_MS = 50,   // back-off after the first failure; doubles
    DIAL_NEEDED_MS = 200, // large clusters: the pace while links are few
    DIALS_PER_TICK = 8,
    RANDOM_TRIES = 32,
    DIALS_AWAITED = 4, // at once, of members that are asked something
    TRIES_AWAITED = 3, // and who could not be dialled so often is not awaited any more
};

bool is_large(const struct replica *replica)
{
    // Asked all the time: no more are counted than must be.
    uint32_t count = 0;
    for (uint32_t i = 0; i < replica->members.count && count <= LINKS_FULL_MESH; i++) {
        count += !replica->members.members[i].is_retired;
    }
    return count > LINKS_FULL_MESH;
}

uint32_t links_settled_count(const struct replica *replica)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        count += !link->is_ended && !link->is_extra && !link->is_newcomer;
    }
    return count;
}

// --- Targets -----------------------------------------------------------------------------------

static uint32_t target_index(const struct links_state *state, const struct uuid *node)
{
    uint32_t low = 0;
    uint32_t high = state->members_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (uuid_compare(&state->members[middle].node, node) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct target *target_of_node(struct replica *replica, const struct uuid *node)
{
    struct links_state *state = replica->links_state;
    uint32_t i = target_index(state, node);
    bool is_there = i < state->members_count && uuid_equal(&state->members[i].node, node);
    return is_there ? &state->members[i] : NULL;
}

struct target *target_of_dial(struct replica *replica, uint64_t dial)
{
    struct links_state *state = replica->links_state;
    for (uint32_t i = 0; dial != 0 && i < replica->config.peers_count; i++) {
        if (state->configured[i].dial == dial) {
            return &state->configured[i];
        }
    }
    for (uint32_t i = 0; dial != 0 && i < state->members_count; i++) {
        if (state->members[i].dial == dial) {
            return &state->members[i];
        }
    }
    return NULL;
}

struct target *target_add(struct replica *replica, const struct uuid *node)
{
    struct links_state *state = replica->links_state;
    uint32_t i = target_index(state, node);
    if (state->members_count == state->members_capacity) {
        uint32_t capacity = state->members_capacity ? 2 * state->members_capacity : 8;
        struct target *grown = realloc(state->members, capacity * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        state->members = grown;
        state->members_capacity = capacity;
    }
    struct target *at = &state->members[i];
    memmove(at + 1, at, (state->members_count - i) * sizeof *at);
    *at = (struct target){.node = *node, .next = replica->now};
    state->members_count++;
    return at;
}

void targets_sync(struct replica *replica)
{
    struct links_state *state = replica->links_state;
    state->must_sync = false;
    for (uint32_t i = 0; i < replica->members.count; i++) {
        const struct member *member = &replica->members.members[i];
        if (target_of_node(replica, &member->node)) {
            continue;
        }
        struct target *target = target_add(replica, &member->node);
        if (!target) {
            state->must_sync = true; // tried again at the next tick
            return;
        }
        memcpy(target->address, member->address, sizeof target->address);
        target->is_self = uuid_equal(&member->node, &replica->config.node);
        gossip_changed(replica, &member->node);
    }
}

static int64_t jittered_ms(struct replica *replica, int64_t ms)
{
    return ms / 2 + (int64_t)random_below(&replica->random, (uint64_t)(ms / 2 + 1));
}

void target_failed(struct replica *replica, struct target *target, uint32_t refusal)
{
    target->dial = 0;
    target->is_self |= refusal == REFUSAL_SELF;
    int64_t ms = DIAL_FIRST_MS << (target->failures < 5 ? target->failures : 5);
    ms = ms > DIAL_BACKOFF_MAX_MS || refusal != 0 ? DIAL_BACKOFF_MAX_MS : ms;
    target->failures++;
    target->next = instant_add(replica->now, duration_ms(jittered_ms(replica, ms)));
}

static void target_due(struct replica *replica, struct target *target, bool is_refused,
                       bool is_brief)
{
    target->briefs = is_brief ? target->briefs + 1 : 0;
    uint32_t doublings = target->briefs < 2 ? 0 : target->briefs - 1;
    int64_t ms = DIAL_FIRST_MS << (doublings < 5 ? doublings : 5);
    ms = ms > DIAL_BACKOFF_MAX_MS || is_refused ? DIAL_BACKOFF_MAX_MS : ms;
    target->next = instant_add(replica->now, duration_ms(jittered_ms(replica, ms)));
}

void targets_of_node_due(struct replica *replica, const struct uuid *node, bool is_refused,
                         bool is_brief)
{
    struct links_state *state = replica->links_state;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        if (uuid_equal(&state->configured[i].node, node)) {
            target_due(replica, &state->configured[i], is_refused, is_brief);
        }
    }
    struct target *target = target_of_node(replica, node);
    if (target) {
        target_due(replica, target, is_refused, is_brief);
    }
}

// --- Dialling ----------------------------------------------------------------------------------

static bool is_retired(const struct replica *replica)
{
    const struct member *self = membership_of_node(&replica->members, &replica->config.node);
    return self && self->is_retired;
}

static bool is_on_its_way(const struct replica *replica, const struct uuid *node)
{
    const struct links_state *state = replica->links_state;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        if (state->configured[i].dial != 0 && uuid_equal(&state->configured[i].node, node)) {
            return true;
        }
    }
    return false;
}

static bool has_link(const struct replica *replica, const struct uuid *node)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        if (uuid_equal(&replica->links[i].node, node)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct replica *replica, const struct target *target)
{
    if (target->is_self || target->dial != 0 || target->address[0] == 0) {
        return false;
    }
    if (IS_PLANTED(PLANTED_NEVER_REDIAL) && target->was_linked) {
        return false;
    }
    if (uuid_is_zero(&target->node)) {
        return true;
    }
    if (has_link(replica, &target->node) || is_on_its_way(replica, &target->node)) {
        return false;
    }
    const struct member *member = membership_of_node(&replica->members, &target->node);
    return !(member && member->is_retired);
}

static void dial(struct replica *replica, struct target *target)
{
    struct replica_action *action = push(replica, REPLICA_CONNECT);
    target->dial = ++replica->links_state->dial_last;
    action->connect.dial = target->dial;
    memcpy(action->connect.address.text, target->address, sizeof target->address);
    replica->counts.dials++;
}

static bool needs_configured(const struct replica *replica)
{
    return !is_large(replica) || links_settled_count(replica) < LINKS_WANTED;
}

static struct instant random_due(const struct replica *replica)
{
    const struct links_state *state = replica->links_state;
    return is_large(replica) ? state->random_next : INSTANT_NEVER;
}

static void dial_random(struct replica *replica)
{
    struct links_state *state = replica->links_state;
    bool is_short = links_settled_count(replica) < LINKS_WANTED;
    int64_t ms = is_short ? DIAL_NEEDED_MS : DIAL_MS;
    state->random_next = instant_add(replica->now, duration_ms(jittered_ms(replica, ms) + ms / 4));
    for (uint32_t i = 0; state->members_count > 0 && i < RANDOM_TRIES; i++) {
        struct target *target =
            &state->members[random_below(&replica->random, state->members_count)];
        if (instant_reached(target->next, replica->now) && is_wanted(replica, target)) {
            dial(replica, target);
            return;
        }
    }
}

void links_try_again(struct replica *replica)
{
    struct links_state *state = replica->links_state;
    for (uint32_t i = 0; i < state->members_count; i++) {
        state->members[i].failures = 0;
        state->members[i].next = replica->now;
    }
}

bool links_gave_up(const struct replica *replica, const struct uuid *node)
{
    const struct links_state *state = replica->links_state;
    uint32_t i = target_index(state, node);
    bool is_there = i < state->members_count && uuid_equal(&state->members[i].node, node);
    const struct target *target = is_there ? &state->members[i] : NULL;
    bool is_tried = target && (target->failures >= TRIES_AWAITED || target->address[0] == '\0');
    return !target || (is_tried && target->dial == 0 && !has_link(replica, node));
}

void links_dial_awaited(struct replica *replica, const struct round *round)
{
    struct links_state *state = replica->links_state;
    uint32_t taken = replica->links_count;
    for (uint32_t i = 0; i < state->members_count; i++) {
        taken += state->members[i].dial != 0;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->members_count && count < DIALS_AWAITED; i++) {
        struct target *target = &state->members[i];
        if (taken + count < LINKS_MAX && instant_reached(target->next, replica->now) &&
            round_awaits(round, &target->node) && is_wanted(replica, target)) {
            dial(replica, target);
            count++;
        }
    }
}

void links_dial(struct replica *replica)
{
    struct links_state *state = replica->links_state;
    if (is_retired(replica)) {
        return;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; needs_configured(replica) && i < replica->config.peers_count; i++) {
        struct target *target = &state->configured[i];
        if (instant_reached(target->next, replica->now) && is_wanted(replica, target) &&
            count < DIALS_PER_TICK) {
            dial(replica, target);
            count++;
        }
    }
    if (is_large(replica)) {
        if (instant_reached(state->random_next, replica->now)) {
            dial_random(replica);
        }
        return;
    }
    for (uint32_t i = 0; i < state->members_count; i++) {
        struct target *target = &state->members[i];
        if (instant_reached(target->next, replica->now) && is_wanted(replica, target) &&
            count < DIALS_PER_TICK) {
            dial(replica, target);
            count++;
        }
    }
}

struct instant links_dial_deadline(const struct replica *replica)
{
    const struct links_state *state = replica->links_state;
    if (is_retired(replica)) {
        return INSTANT_NEVER;
    }
    struct instant due = random_due(replica);
    uint32_t configured = needs_configured(replica) ? replica->config.peers_count : 0;
    for (uint32_t i = 0; i < configured; i++) {
        if (is_wanted(replica, &state->configured[i])) {
            due = instant_earlier(due, state->configured[i].next);
        }
    }
    uint32_t members = is_large(replica) ? 0 : state->members_count;
    for (uint32_t i = 0; i < members; i++) {
        if (is_wanted(replica, &state->members[i])) {
            due = instant_earlier(due, state->members[i].next);
        }
    }
    return due;
}
