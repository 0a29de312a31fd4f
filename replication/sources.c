// From which link each strand is pulled. A pull is a subscription: it brings what is there and what
// comes. Each actor has one source: the actor itself where there is a link to it, else the link
// whose note is furthest ahead. It changes when the link goes, when the direct one is there again,
// and when somebody is ahead although nothing has come for SOURCE_STALLED_MS.
//
// Whatever changes marks the actor; the tick thinks about the marked ones, as many as the list of
// actions takes, and looks every STALL_CHECK_MS at those that are behind. A stall is judged by the
// link as long as it brings chunks of other actors: the sender takes them in turn.

#include <assert.h>
#include <stdlib.h>

#include "replication/replica_state.h"

enum {
    STALL_CHECK_MS = 100,
    STALL_IN_TURN_MS = 5000, // a link that brings others, but never this one
    STALL_ALONE_MS = 2000,   // the only link that has it: it is asked again
    GAP_MS = 50,             // between pulls that follow a gap
    RETRY_MS = 1000,         // after a failure of this node's own
    AVOIDED_MS = 10000,      // a link that brought nothing, if there is another
};

struct sources_state {
    struct source *entries; // sorted by actor
    uint32_t count;
    uint32_t capacity;
    uint32_t pending_count;
    uint32_t behind_count;
    struct instant check_at; // the next look at those that are behind
};

int sources_new(struct replica *replica)
{
    replica->sources = calloc(1, sizeof *replica->sources);
    return replica->sources ? 0 : ERR_MEMORY;
}

void sources_free(struct replica *replica)
{
    if (replica->sources) {
        free(replica->sources->entries);
        free(replica->sources);
    }
    replica->sources = NULL;
}

// --- The table ---------------------------------------------------------------------------------

static uint32_t source_index(const struct sources_state *state, uint16_t actor)
{
    return actor_index(state->entries, sizeof *state->entries, state->count, actor);
}

static struct source *source_find(const struct sources_state *state, uint16_t actor)
{
    uint32_t i = source_index(state, actor);
    return i < state->count && state->entries[i].actor == actor ? &state->entries[i] : NULL;
}

const struct source *sources_of(const struct replica *replica, uint16_t actor)
{
    return source_find(replica->sources, actor);
}

// NULL: no memory; the next note or whole note tries again.
static struct source *source_get(struct replica *replica, uint16_t actor)
{
    struct sources_state *state = replica->sources;
    struct source *found = source_find(state, actor);
    if (found) {
        return found;
    }
    if (state->count == state->capacity) {
        uint32_t capacity = state->capacity ? 2 * state->capacity : 8;
        struct source *grown = realloc(state->entries, capacity * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        state->entries = grown;
        state->capacity = capacity;
    }
    struct source *at = &state->entries[source_index(state, actor)];
    memmove(at + 1, at, (size_t)(state->entries + state->count - at) * sizeof *at);
    *at = (struct source){.actor = actor, .behind_since = INSTANT_NEVER};
    state->count++;
    return at;
}

static void mark(struct replica *replica, struct source *source)
{
    if (!source->is_pending) {
        source->is_pending = true;
        replica->sources->pending_count++;
    }
}

static void set_behind(struct replica *replica, struct source *source, bool is_behind)
{
    bool was_behind = source->behind_since.ns != INSTANT_NEVER.ns;
    if (is_behind && !was_behind) {
        source->behind_since = replica->now;
        if (replica->sources->behind_count++ == 0) {
            replica->sources->check_at = instant_add(replica->now, duration_ms(STALL_CHECK_MS));
        }
    } else if (!is_behind && was_behind) {
        source->behind_since = INSTANT_NEVER;
        replica->sources->behind_count--;
    }
}

static uint64_t limit_of(const struct replica *replica, uint16_t actor)
{
    if (counters_is_quarantined(replica, actor) ||
        (actor == replica->actor && !joining_owns_strand(replica))) {
        return 0;
    }
    uint64_t fork = forking_limit(replica, actor);
    uint64_t seal = retiring_limit(replica, actor);
    return fork < seal ? fork : seal;
}

// --- Choosing ----------------------------------------------------------------------------------

// Whether this actor can be pulled over that link at all: it holds no less than we do.
static bool is_eligible(const struct replica *replica, const struct link *link, uint16_t actor,
                        uint64_t held)
{
    if (link->is_ended || link->is_newcomer || !link->is_noted ||
        (link->is_copy && link->actor == actor) ||
        (link->actor == actor && !joining_may_pull_from(replica, actor))) {
        return false;
    }
    uint64_t theirs = version_vector_get(&link->held, actor);
    return theirs >= held && (theirs > 0 || link->actor == actor);
}

static bool is_better(const struct link *a, const struct link *b, uint16_t actor)
{
    uint64_t held_a = version_vector_get(&a->held, actor);
    uint64_t held_b = version_vector_get(&b->held, actor);
    return held_a != held_b ? held_a > held_b : !a->is_extra && b->is_extra;
}

static bool is_avoided(const struct replica *replica, const struct source *source, link_id link)
{
    return source->avoided == link && !instant_reached(source->avoided_until, replica->now);
}

// The link that should be the source, but not `except`; one that brought nothing only if there is
// no other. NULL: none can be.
static struct link *choose(struct replica *replica, const struct source *source, uint64_t held,
                           link_id except)
{
    uint16_t actor = source->actor;
    struct link *last = NULL;
    struct link *best = NULL;
    uint32_t first = (uint32_t)random_below(&replica->random, LINKS_MAX);
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[(i + first) % replica->links_count];
        if (link->id == except || !is_eligible(replica, link, actor, held)) {
            continue;
        }
        if (is_avoided(replica, source, link->id)) {
            last = link;
            continue;
        }
        if (link->actor == actor && !link->is_extra) {
            return link;
        }
        if (!best || is_better(link, best, actor)) {
            best = link;
        }
    }
    return best ? best : last;
}

// --- Asking ------------------------------------------------------------------------------------

static void unpull(struct replica *replica, struct source *source)
{
    struct link *old = source->link ? link_find(replica, source->link) : NULL;
    if (old && !old->is_ended) {
        struct peer_message message = {.kind = PEER_UNPULL, .unpull = {.actor = source->actor}};
        push_send(replica, old, &message);
    }
    source->link = 0;
}

static void pull(struct replica *replica, struct source *source, struct link *link, uint64_t held)
{
    if (version_vector_set(&link->asked, source->actor, 1)) {
        source->retry_at = instant_add(replica->now, duration_ms(STALL_CHECK_MS));
        return;
    }
    if (source->link != link->id) {
        replica->counts.source_changes += source->link != 0;
        unpull(replica, source);
    }
    source->link = link->id;
    source->pulled_from = held;
    source->asked = replica->now;
    source->arrived = replica->now;
    struct peer_message message = {
        .kind = PEER_PULL,
        .pull = {.actor = source->actor, .from = held, .hash = head_hash(replica, source->actor)},
    };
    push_send(replica, link, &message);
}

// A bug of the simulator's: everything from everybody.
static void pull_flood(struct replica *replica, struct source *source, uint64_t held)
{
    for (uint32_t i = 0; i < replica->links_count && has_room(replica); i++) {
        struct link *link = &replica->links[i];
        if (is_eligible(replica, link, source->actor, held) &&
            version_vector_get(&link->asked, source->actor) == 0) {
            source->link = 0;
            pull(replica, source, link, held);
        }
    }
}

// The highest that a link says, now; what was said by links that went, or was taken back, is not.
static uint64_t claimed_now(const struct replica *replica, uint16_t actor)
{
    uint64_t claimed = 0;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (link->is_ended || link->is_newcomer || (link->is_copy && link->actor == actor)) {
            continue;
        }
        uint64_t theirs = version_vector_get(&link->held, actor);
        claimed = theirs > claimed ? theirs : claimed;
    }
    return claimed;
}

static struct instant latest(struct instant a, struct instant b)
{
    return a.ns > b.ns ? a : b;
}

static bool is_stalled(const struct replica *replica, const struct source *source,
                       const struct link *link, int64_t idle_ms)
{
    if (source->behind_since.ns == INSTANT_NEVER.ns || IS_PLANTED(PLANTED_SOURCE_NEVER_CHANGES)) {
        return false;
    }
    struct instant moved = latest(latest(source->asked, source->arrived), source->behind_since);
    // one that holds no more than we do has nothing that could be waiting for its turn
    bool is_in_turn = version_vector_get(&link->held, source->actor) >
                      version_vector_get(&replica->held, source->actor);
    struct instant link_moved = is_in_turn ? latest(moved, link->chunks_heard) : moved;
    return instant_reached(instant_add(link_moved, duration_ms(idle_ms)), replica->now) ||
           instant_reached(instant_add(moved, duration_ms(STALL_IN_TURN_MS)), replica->now);
}

static bool may_pull(const struct replica *replica, const struct source *source, uint64_t held)
{
    if (source->actor == replica->actor && !starting_pulls_own(replica)) {
        return false;
    }
    return held < limit_of(replica, source->actor);
}

static void consider(struct replica *replica, struct source *source)
{
    uint64_t held = version_vector_get(&replica->held, source->actor);
    source->claimed = claimed_now(replica, source->actor);
    uint64_t limit = limit_of(replica, source->actor);
    set_behind(replica, source, source->claimed > held && held < limit);
    if (!may_pull(replica, source, held)) {
        unpull(replica, source);
        return;
    }
    if (IS_PLANTED(PLANTED_FLOOD)) {
        pull_flood(replica, source, held);
        return;
    }
    if (!instant_reached(source->retry_at, replica->now)) {
        set_behind(replica, source, true);
        return;
    }
    struct link *current = source->link ? link_find(replica, source->link) : NULL;
    if (current && current->actor == source->actor &&
        !joining_may_pull_from(replica, source->actor)) {
        unpull(replica, source);
    }
    if (!current || current->is_ended || source->link == 0) {
        source->link = 0;
        current = NULL;
    }
    if (!current) {
        struct link *link = choose(replica, source, held, 0);
        if (link) {
            pull(replica, source, link, held);
        }
        return;
    }
    if (is_stalled(replica, source, current, SOURCE_STALLED_MS)) {
        struct link *other = choose(replica, source, held, current->id);
        if (other && version_vector_get(&other->held, source->actor) > held) {
            source->avoided = current->id;
            source->avoided_until = instant_add(replica->now, duration_ms(AVOIDED_MS));
            pull(replica, source, other, held);
        } else if (is_stalled(replica, source, current, STALL_ALONE_MS)) {
            pull(replica, source, current, held);
        }
        return;
    }
    struct link *direct = link_of_actor(replica, source->actor);
    if (direct && direct != current && !direct->is_extra &&
        !is_avoided(replica, source, direct->id) &&
        is_eligible(replica, direct, source->actor, held)) {
        pull(replica, source, direct, held);
    }
}

// --- What may concern it -----------------------------------------------------------------------

void sources_claimed(struct replica *replica, uint16_t actor, uint64_t counter)
{
    struct source *source = source_get(replica, actor);
    if (!source) {
        return;
    }
    uint64_t held = version_vector_get(&replica->held, actor);
    if (counter > source->claimed) {
        source->claimed = counter;
    }
    if (counter > held && held < limit_of(replica, actor)) {
        set_behind(replica, source, true);
    }
    if (source->link == 0) {
        mark(replica, source);
        return;
    }
    const struct link *direct = link_of_actor(replica, actor);
    if (direct && direct->id != source->link && !direct->is_extra) {
        mark(replica, source);
    }
}

void sources_noted(struct replica *replica, struct link *link)
{
    if (link->is_newcomer || link->is_ended) {
        return;
    }
    for (uint32_t i = 0; i < link->held.count; i++) {
        const struct version_entry *entry = &link->held.entries[i];
        sources_claimed(replica, entry->actor, entry->counter);
    }
    if (link->actor != 0 && version_vector_get(&link->held, link->actor) == 0) {
        sources_claimed(replica, link->actor, 0);
    }
}

void sources_link_down(struct replica *replica, link_id link)
{
    struct sources_state *state = replica->sources;
    for (uint32_t i = 0; i < state->count; i++) {
        if (state->entries[i].link == link) {
            state->entries[i].link = 0;
            mark(replica, &state->entries[i]);
        }
    }
}

void sources_applied(struct replica *replica, const struct replica_applied *applied)
{
    struct source *source = source_find(replica->sources, applied->actor);
    if (!source) {
        return;
    }
    bool is_source = source->link == applied->link;
    switch (applied->outcome) {
    case APPLIED:
    case APPLIED_DUPLICATE:
        if (is_source) {
            source->arrived = replica->now;
        }
        return;
    case APPLIED_GAP:
        if (is_source) { // pulled again from where we are
            unpull(replica, source);
            source->retry_at = instant_add(source->asked, duration_ms(GAP_MS));
            set_behind(replica, source, true); // until it has been thought about
            mark(replica, source);
        }
        return;
    case APPLIED_FAILED:
        unpull(replica, source);
        source->retry_at = instant_add(replica->now, duration_ms(RETRY_MS));
        set_behind(replica, source, true);
        mark(replica, source);
        return;
    case APPLIED_FORK:
    case APPLIED_INVALID: // the driver ends that link
        mark(replica, source);
        return;
    }
}

void sources_committed(struct replica *replica, const struct replica_committed *committed)
{
    struct sources_state *state = replica->sources;
    for (uint32_t i = 0; state->behind_count > 0 && i < committed->count; i++) {
        struct source *source = source_find(state, committed->heads[i].actor);
        if (source && committed->heads[i].last >= source->claimed) {
            set_behind(replica, source, false);
        }
    }
}

void sources_reconsider(struct replica *replica, uint16_t actor)
{
    struct source *source = actor != 0 ? source_get(replica, actor) : NULL;
    if (source) {
        mark(replica, source);
    }
}

void sources_reconsider_all(struct replica *replica)
{
    struct sources_state *state = replica->sources;
    for (uint32_t i = 0; i < state->count; i++) {
        mark(replica, &state->entries[i]);
    }
}

bool sources_uses(const struct replica *replica, link_id link)
{
    const struct sources_state *state = replica->sources;
    for (uint32_t i = 0; i < state->count; i++) {
        if (state->entries[i].link == link) {
            return true;
        }
    }
    return false;
}

// --- Time --------------------------------------------------------------------------------------

void sources_tick(struct replica *replica)
{
    struct sources_state *state = replica->sources;
    if (state->behind_count > 0 && instant_reached(state->check_at, replica->now)) {
        for (uint32_t i = 0; i < state->count; i++) {
            if (state->entries[i].behind_since.ns != INSTANT_NEVER.ns) {
                mark(replica, &state->entries[i]);
            }
        }
        state->check_at = instant_add(replica->now, duration_ms(STALL_CHECK_MS));
    }
    for (uint32_t i = 0; i < state->count && state->pending_count > 0; i++) {
        struct source *source = &state->entries[i];
        if (!source->is_pending) {
            continue;
        }
        if (!has_room(replica)) {
            return; // still pending: due at once
        }
        source->is_pending = false;
        state->pending_count--;
        consider(replica, source);
    }
}

struct instant sources_deadline(const struct replica *replica)
{
    const struct sources_state *state = replica->sources;
    if (state->pending_count > 0) {
        return replica->now;
    }
    return state->behind_count > 0 ? state->check_at : INSTANT_NEVER;
}
