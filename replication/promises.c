// Promises and the frontier. The commit makes this node's; others' come over any link, the highest
// per actor goes on to the other links. A promise counts once its head is held. Of one actor two
// may wait: the oldest, which is the first to count, and the newest; with the newest alone a node
// that is always a little behind would never count any.
//
// The frontier is the lowest counted promise of all that can still issue something. It can only
// move when that of the lowest moves, or the table of members does: so it is computed then alone.

#include <assert.h>
#include <stdlib.h>

#include "replication/replica_state.h"

#define PROMISES_KEY "promises"

enum {
    RECORD_ENTRY_BYTES = 18, // actor 2, counter 8, head 8
    RECORD_MS = 1000,
    NEWS_MS = 2500, // an actor of which nothing was heard for so long was believed away
};

struct promises_state {
    struct actor_promise *entries; // sorted by actor
    uint32_t count;
    uint32_t capacity;
    uint64_t version;       // rises with every promise that is told on
    bool is_changed;        // something happened since the last promise of this node was asked for
    struct instant make_at; // not before
    bool is_unsaved;        // counted promises that are not in the record
    struct instant save_at; // not before
    uint64_t frontier;      // as computed last
    uint16_t waits_for;     // the actor that has the lowest counted promise; 0: none
    bool is_frontier_current; //
};

int promises_new(struct replica *replica)
{
    struct promises_state *state = calloc(1, sizeof *state);
    replica->promises = state;
    if (!state) {
        return ERR_MEMORY;
    }
    state->version = 1;
    state->is_changed = true;
    return 0;
}

void promises_free(struct replica *replica)
{
    if (replica->promises) {
        free(replica->promises->entries);
        free(replica->promises);
    }
    replica->promises = NULL;
}

// --- The table ---------------------------------------------------------------------------------

static uint32_t promise_index(const struct promises_state *state, uint16_t actor)
{
    return actor_index(state->entries, sizeof *state->entries, state->count, actor);
}

static struct actor_promise *promise_find(const struct promises_state *state, uint16_t actor)
{
    uint32_t i = promise_index(state, actor);
    return i < state->count && state->entries[i].actor == actor ? &state->entries[i] : NULL;
}

// NULL: no memory; the promise is told again when the next one is.
static struct actor_promise *promise_get(struct promises_state *state, uint16_t actor)
{
    struct actor_promise *found = promise_find(state, actor);
    if (found) {
        return found;
    }
    if (state->count == state->capacity) {
        uint32_t capacity = state->capacity ? 2 * state->capacity : 8;
        struct actor_promise *grown = realloc(state->entries, capacity * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        state->entries = grown;
        state->capacity = capacity;
    }
    struct actor_promise *at = &state->entries[promise_index(state, actor)];
    memmove(at + 1, at, (size_t)(state->entries + state->count - at) * sizeof *at);
    *at = (struct actor_promise){.actor = actor};
    state->count++;
    return at;
}

uint64_t promises_counted(const struct replica *replica, uint16_t actor)
{
    const struct actor_promise *entry = promise_find(replica->promises, actor);
    return entry ? entry->counted.counter : 0;
}

bool promises_forbid(const struct replica *replica, uint16_t actor, uint64_t first)
{
    const struct actor_promise *entry = promise_find(replica->promises, actor);
    return entry && first > entry->counted.head && first <= entry->counted.counter;
}

uint64_t promises_heard(const struct replica *replica, uint16_t actor)
{
    const struct actor_promise *entry = promise_find(replica->promises, actor);
    return entry ? entry->told.counter : 0;
}

// --- Counting ----------------------------------------------------------------------------------

static bool is_head_held(const struct promise *promise, uint64_t held)
{
    return held >= promise->head || IS_PLANTED(PLANTED_PROMISE_WITHOUT_HEAD);
}

static void count(struct replica *replica, struct actor_promise *entry, uint64_t held)
{
    struct promises_state *state = replica->promises;
    uint64_t before = entry->counted.counter;
    if (is_head_held(&entry->told, held)) {
        entry->counted = entry->told;
        entry->waiting = (struct promise){0};
    } else if (entry->waiting.counter != 0 && is_head_held(&entry->waiting, held)) {
        entry->counted = entry->waiting;
        entry->waiting = entry->told;
    }
    if (entry->counted.counter == before) {
        return;
    }
    state->is_unsaved = true;
    if (state->waits_for == entry->actor) {
        state->is_frontier_current = false;
    }
}

// Whether it is higher than any that was heard.
static bool hear(struct replica *replica, const struct promise *promise, bool *was_away_out)
{
    struct promises_state *state = replica->promises;
    struct actor_promise *entry = promise_get(state, promise->actor);
    if (!entry || promise->counter <= entry->told.counter) {
        return false;
    }
    *was_away_out = instant_reached(instant_add(entry->raised, duration_ms(NEWS_MS)), replica->now);
    entry->told = *promise;
    entry->raised = replica->now;
    if (entry->waiting.counter == 0) {
        entry->waiting = *promise;
    }
    state->version++;
    count(replica, entry, version_vector_get(&replica->held, promise->actor));
    return true;
}

void promises_received(struct replica *replica, struct link *link,
                       const struct peer_promises *promises)
{
    for (uint32_t i = 0; i < promises->count; i++) {
        const struct promise *promise = &promises->entries[i];
        if (promise->actor == 0 || promise->counter > COUNTER_MAX ||
            promise->head > promise->counter) {
            push_drop(replica, link->id, REFUSAL_MALFORMED, "a promise that is none");
            return;
        }
        if (!counters_believe(replica, link, promise->actor, promise->counter, true)) {
            return;
        }
        bool was_away = false;
        bool is_raised = hear(replica, promise, &was_away);
        link->has_news |= is_raised && was_away && link->is_extra;
        // What is not remembered as known there is told once too often: no harm.
        if (promise->counter > 0 &&
            version_vector_raise(&link->promised, promise->actor, promise->counter)) {
            break;
        }
    }
}

void promises_made(struct replica *replica, const struct promise *promise)
{
    bool was_away = false;
    // A head that may lack what the disk has lost is no head to promise: others would take what
    // they hold of it beyond for nothing. starting.c has it made again when that is known.
    if (promise->actor != 0 && !starting_pulls_own(replica)) {
        (void)hear(replica, promise, &was_away);
    }
}

void promises_committed(struct replica *replica, const struct replica_committed *committed)
{
    struct promises_state *state = replica->promises;
    state->is_changed = true;
    for (uint32_t i = 0; i < committed->count; i++) {
        struct actor_promise *entry = promise_find(state, committed->heads[i].actor);
        if (committed->heads[i].actor == state->waits_for) {
            state->is_frontier_current = false; // retired: it may be held up to its seal now
        }
        if (entry && entry->told.counter > entry->counted.counter) {
            count(replica, entry, committed->heads[i].last);
        }
    }
}

void promises_clock_raised(struct replica *replica)
{
    replica->promises->is_changed = true;
}

void promises_held_by_peer(struct replica *replica, struct link *link, uint64_t counter)
{
    // replica_held_by reads the links' notes when it is asked: nothing is kept here.
}

// --- The frontier ------------------------------------------------------------------------------

void promises_membership_changed(struct replica *replica)
{
    replica->promises->is_frontier_current = false;
}

void promises_forget(struct replica *replica)
{
    struct promises_state *state = replica->promises;
    state->count = 0;
    state->version++;
    state->is_unsaved = true;
    state->is_changed = true;
    state->is_frontier_current = false;
}

static bool holds_back(const struct replica *replica, const struct member *member)
{
    if (IS_PLANTED(PLANTED_FRONTIER_WRONG_MINIMUM) && member->actor != replica->actor) {
        bool is_linked = false;
        for (uint32_t i = 0; i < replica->links_count; i++) {
            is_linked |= replica->links[i].actor == member->actor;
        }
        return is_linked;
    }
    return retiring_holds_frontier(replica, member->actor);
}

// Before this node holds its own admission it does not know whom there is to wait for: the event
// names the member that made it, and whoever is admitted later comes behind that one's promises.
// Nor before it holds what made that one a member, and so on back to the founder.
static bool is_in_table(const struct replica *replica)
{
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    return replica->actor != 0 && !joining_is_settling(replica) && self &&
           uuid_equal(&self->node, &replica->config.node) && joining_knows_members(replica);
}

// What counts of a member's promises; UINT64_MAX: there is nobody to wait for. What this node
// promised as the actor that it was before a rescue is void: others hold more of that strand. It is
// fetched, unless the node keeps a branch of its own.
static uint64_t counted_of(const struct replica *replica, const struct member *member)
{
    uint64_t counted = promises_counted(replica, member->actor);
    uint64_t common = 0;
    if (forking_was_ours(replica, member->actor)) {
        uint64_t held = version_vector_get(&replica->held, member->actor);
        bool is_branch = forking_rescued(replica, &common) == member->actor && held > common;
        counted = counted < held ? counted : held;
        return is_branch ? UINT64_MAX : counted;
    }
    // what it issues comes behind its admission
    return counted < member->admitted.counter ? member->admitted.counter : counted;
}

uint64_t promises_frontier(const struct replica *replica, uint16_t *waits_for_out)
{
    struct promises_state *state = replica->promises;
    if (!state->is_frontier_current && !forking_doubts_own(replica)) {
        uint64_t before = state->frontier;
        bool was_ours = false;
        bool has_own = is_in_table(replica);
        state->frontier = has_own ? promises_counted(replica, replica->actor) : 0;
        state->waits_for = replica->actor;
        for (uint32_t i = 0; has_own && i < replica->members.count; i++) {
            const struct member *member = &replica->members.members[i];
            uint64_t counted = counted_of(replica, member);
            if (counted < state->frontier && holds_back(replica, member)) {
                state->frontier = counted;
                state->waits_for = member->actor;
                was_ours = forking_was_ours(replica, member->actor);
            }
        }
        if (was_ours && state->frontier < before) {
            state->frontier = before; // that was passed before the rescue
        }
        state->is_frontier_current = true;
    }
    *waits_for_out = state->waits_for == replica->actor ? 0 : state->waits_for;
    return state->frontier;
}

// --- Saying ------------------------------------------------------------------------------------

static bool is_stable_wanted(const struct replica *replica)
{
    bool is_wanted = replica->wants.stable;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        is_wanted |= !replica->links[i].is_ended && replica->links[i].stable_wanted;
    }
    return is_wanted;
}

// Tells what the link was not told. False: no memory now.
static bool tell(struct replica *replica, struct link *link)
{
    struct promises_state *state = replica->promises;
    uint32_t entries_max = state->count < PEER_ENTRIES_MAX ? state->count : PEER_ENTRIES_MAX;
    struct promise *entries = step_alloc(replica, (entries_max + 1) * sizeof *entries);
    if (!entries) {
        return false;
    }
    uint32_t filled = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < state->count && filled < entries_max; i++) {
        const struct actor_promise *entry = &state->entries[i];
        while (k < link->promised.count && link->promised.entries[k].actor < entry->actor) {
            k++;
        }
        bool is_told = k < link->promised.count &&
                       link->promised.entries[k].actor == entry->actor &&
                       link->promised.entries[k].counter >= entry->told.counter;
        if (!is_told && entry->told.counter > 0) {
            entries[filled++] = entry->told;
        }
    }
    link->promises_version = state->version;
    link->promises_said = replica->now;
    for (uint32_t i = 0; i < filled; i++) {
        if (version_vector_raise(&link->promised, entries[i].actor, entries[i].counter)) {
            break; // told again with the next
        }
    }
    if (filled > 0) {
        struct peer_message message = {
            .kind = PEER_PROMISES,
            .promises = {.entries = entries, .count = filled},
        };
        push_send(replica, link, &message);
    }
    return true;
}

static struct instant tell_at(const struct replica *replica, const struct link *link)
{
    if (link->is_ended || link->is_newcomer ||
        link->promises_version == replica->promises->version) {
        return INSTANT_NEVER;
    }
    int64_t ms = link->stable_wanted ? PROMISE_STABLE_MS : PROMISE_MS;
    return instant_add(link->promises_said, duration_ms(ms));
}

void promises_link_up(struct replica *replica, struct link *link)
{
    if (!link->is_newcomer && !link->is_ended) {
        (void)tell(replica, link);
    }
}

// --- Time --------------------------------------------------------------------------------------

static struct instant make_at(const struct replica *replica)
{
    const struct promises_state *state = replica->promises;
    bool is_admitted = joining_is_member(replica) || joining_is_settling(replica);
    if (!is_admitted || !state->is_changed) {
        return INSTANT_NEVER; // until its admission is an event, its actor may yet be another's
    }
    if (starting_pulls_own(replica)) {
        return INSTANT_NEVER; // others may hold more of its strand than its disk does
    }
    return instant_add(state->make_at,
                       duration_ms(is_stable_wanted(replica) ? PROMISE_STABLE_MS : PROMISE_MS));
}

static struct instant save_at(const struct replica *replica)
{
    const struct promises_state *state = replica->promises;
    return state->is_unsaved ? instant_add(state->save_at, duration_ms(RECORD_MS)) : INSTANT_NEVER;
}

static void save(struct replica *replica)
{
    struct promises_state *state = replica->promises;
    uint8_t *value = step_alloc(replica, (size_t)state->count * RECORD_ENTRY_BYTES);
    if (!value) {
        return;
    }
    size_t length = 0;
    for (uint32_t i = 0; i < state->count; i++) {
        const struct promise *promise = &state->entries[i].counted;
        if (promise->counter > 0) {
            store_be16(value + length, promise->actor);
            store_be64(value + length + 2, promise->counter);
            store_be64(value + length + 10, promise->head);
            length += RECORD_ENTRY_BYTES;
        }
    }
    push_record(replica, bytes_of_text(PROMISES_KEY), bytes_of(value, length));
    state->is_unsaved = false;
    state->save_at = replica->now;
}

// What counted before a restart counts again, as far as its head is held.
void promises_record(struct replica *replica, struct bytes key, struct bytes value)
{
    if (!bytes_equal(key, bytes_of_text(PROMISES_KEY)) || IS_PLANTED(PLANTED_PROMISES_FORGOTTEN)) {
        return;
    }
    for (size_t at = 0; at + RECORD_ENTRY_BYTES <= value.length; at += RECORD_ENTRY_BYTES) {
        struct promise promise = {
            .actor = load_be16(value.data + at),
            .counter = load_be64(value.data + at + 2),
            .head = load_be64(value.data + at + 10),
        };
        bool was_away = false;
        if (promise.actor != 0 && promise.counter <= COUNTER_MAX) {
            (void)hear(replica, &promise, &was_away);
        }
    }
    replica->promises->is_unsaved = false;
}

void promises_tick(struct replica *replica)
{
    struct promises_state *state = replica->promises;
    if (instant_reached(make_at(replica), replica->now)) {
        push(replica, REPLICA_PROMISE);
        state->is_changed = false;
        state->make_at = replica->now;
    }
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (has_room(replica) && instant_reached(tell_at(replica, link), replica->now)) {
            (void)tell(replica, link);
        }
    }
    // Behind what is sent, which would wait for the disk otherwise.
    if (has_room(replica) && instant_reached(save_at(replica), replica->now)) {
        save(replica);
    }
}

struct instant promises_deadline(const struct replica *replica)
{
    struct instant due = instant_earlier(make_at(replica), save_at(replica));
    for (uint32_t i = 0; i < replica->links_count; i++) {
        due = instant_earlier(due, tell_at(replica, &replica->links[i]));
    }
    return due;
}
