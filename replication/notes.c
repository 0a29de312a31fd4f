// What is said about what is held. A link is told everything when it comes up and every
// NOTE_WHOLE_MS, and what has changed since, collected for TICK_MS for all links together. What a
// peer says of itself is believed, also when it is less than before; what it holds at the same
// counter under another hash is divergence, and so is more of this node's own strand than this node
// has: that is looked at twice, for a peer may know of a commit before the replica is told.

#include <inttypes.h>
#include <stdlib.h>

#include "replication/replica_state.h"

enum { AHEAD_MS = 1000 }; // how long a peer must hold more of our own strand than we do

struct notes_state {
    struct instant due;         // the next changes; NEVER: nothing has changed
    struct instant ahead_since; // somebody holds more of this node's strand; NEVER: nobody
    bool is_cut;                // a note was too long: the rest follows at once
};

int notes_new(struct replica *replica)
{
    replica->notes = calloc(1, sizeof *replica->notes);
    if (!replica->notes) {
        return ERR_MEMORY;
    }
    replica->notes->due = INSTANT_NEVER;
    replica->notes->ahead_since = INSTANT_NEVER;
    return 0;
}

void notes_free(struct replica *replica)
{
    free(replica->notes);
    replica->notes = NULL;
}

// --- Ours --------------------------------------------------------------------------------------

// In a full mesh everybody hears the reader itself; hearsay would never die out there.
static uint32_t flags_for(const struct replica *replica, const struct link *link)
{
    bool is_wanted = replica->wants.stable;
    bool is_mesh = membership_active_count(&replica->members) <= LINKS_FULL_MESH;
    for (uint32_t i = 0; !is_mesh && i < replica->links_count; i++) {
        const struct link *other = &replica->links[i];
        is_wanted |= other != link && !other->is_ended && other->stable_wanted;
    }
    return is_wanted ? NOTE_STABLE_WANTED : 0;
}

static uint32_t changed_count(const struct replica *replica, const struct link *link)
{
    uint32_t count = 0;
    uint32_t k = 0;
    for (uint32_t i = 0; i < replica->held.count; i++) {
        const struct version_entry *entry = &replica->held.entries[i];
        while (k < link->told.count && link->told.entries[k].actor < entry->actor) {
            k++;
        }
        bool is_told = k < link->told.count && link->told.entries[k].actor == entry->actor &&
                       link->told.entries[k].counter == entry->counter;
        count += !is_told;
    }
    return count;
}

static uint32_t fill(const struct replica *replica, const struct link *link, uint32_t count,
                     struct note_entry *entries)
{
    uint32_t filled = 0;
    for (uint32_t i = 0; i < replica->held.count && filled < count; i++) {
        const struct version_entry *entry = &replica->held.entries[i];
        if (version_vector_get(&link->told, entry->actor) != entry->counter) {
            entries[filled++] = (struct note_entry){
                .actor = entry->actor,
                .counter = entry->counter,
                .hash = replica->hashes[i],
            };
        }
    }
    return filled;
}

static bool send(struct replica *replica, struct link *link, uint32_t flags)
{
    if (flags & NOTE_WHOLE) {
        version_vector_clear(&link->told);
    }
    uint32_t count = changed_count(replica, link);
    if (count == 0 && flags == link->told_flags) {
        return true;
    }
    bool is_cut = count > PEER_ENTRIES_MAX;
    count = is_cut ? PEER_ENTRIES_MAX : count;
    struct note_entry *entries = step_alloc(replica, (count + 1) * sizeof *entries);
    if (!entries) {
        return false;
    }
    count = fill(replica, link, count, entries);
    struct peer_message message = {
        .kind = PEER_NOTE,
        .note = {.flags = flags, .entries = entries, .count = count},
    };
    push_send(replica, link, &message);
    if (is_cut) {
        replica->notes->is_cut = true;
        replica->notes->due = replica->now;
    }
    bool is_remembered = true;
    for (uint32_t i = 0; i < count && is_remembered; i++) {
        // What is not remembered as told is told again: no harm.
        is_remembered = version_vector_set(&link->told, entries[i].actor, entries[i].counter) == 0;
    }
    link->told_flags = flags & ~(uint32_t)NOTE_WHOLE;
    return true;
}

void notes_send_whole(struct replica *replica, struct link *link)
{
    if (link->is_ended) {
        return;
    }
    link->noted = replica->now;
    if (!send(replica, link, NOTE_WHOLE | flags_for(replica, link))) {
        link->noted = (struct instant){0}; // at the next tick
    }
}

void notes_link_up(struct replica *replica, struct link *link)
{
    notes_send_whole(replica, link);
}

void notes_committed(struct replica *replica)
{
    if (replica->notes->due.ns == INSTANT_NEVER.ns) {
        replica->notes->due = instant_add(replica->now, duration_ms(TICK_MS));
    }
}

static struct instant whole_at(const struct link *link)
{
    return instant_add(link->noted, duration_ms(NOTE_WHOLE_MS));
}

static void look_ahead(struct replica *replica)
{
    struct notes_state *state = replica->notes;
    state->ahead_since = INSTANT_NEVER;
    uint64_t own = version_vector_get(&replica->held, replica->actor);
    for (uint32_t i = 0; i < replica->links_count && replica->actor != 0; i++) {
        struct link *link = &replica->links[i];
        uint64_t theirs = version_vector_get(&link->held, replica->actor);
        if (link->is_ended || link->is_newcomer || starting_pulls_own(replica)) {
            continue;
        }
        struct hash128 hash = strands_hash(&link->held, link->hashes, replica->actor);
        if (theirs <= own) { // by now
            struct note_entry noted = {.actor = replica->actor, .counter = theirs, .hash = hash};
            forking_noted_own(replica, link, &noted);
            continue;
        }
        forking_suspect(replica, link, replica->actor, theirs, &hash);
        return;
    }
}

void notes_tick(struct replica *replica)
{
    struct notes_state *state = replica->notes;
    bool is_due = instant_reached(state->due, replica->now);
    bool is_done = true;
    state->is_cut = false;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (link->is_ended) {
            continue;
        }
        if (!has_room(replica)) {
            is_done = false;
            break;
        }
        if (instant_reached(whole_at(link), replica->now)) {
            notes_send_whole(replica, link);
        } else if (is_due) {
            is_done &= send(replica, link, flags_for(replica, link));
        }
    }
    if (is_due) {
        state->due = is_done && !state->is_cut ? INSTANT_NEVER : replica->now;
    }
    if (instant_reached(instant_add(state->ahead_since, duration_ms(AHEAD_MS)), replica->now)) {
        look_ahead(replica);
    }
}

struct instant notes_deadline(const struct replica *replica)
{
    const struct notes_state *state = replica->notes;
    struct instant due =
        instant_earlier(state->due, instant_add(state->ahead_since, duration_ms(AHEAD_MS)));
    for (uint32_t i = 0; i < replica->links_count; i++) {
        if (!replica->links[i].is_ended) {
            due = instant_earlier(due, whole_at(&replica->links[i]));
        }
    }
    return due;
}

// --- Theirs ------------------------------------------------------------------------------------

static void compare(struct replica *replica, struct link *link, const struct note_entry *entry)
{
    uint64_t ours = version_vector_get(&replica->held, entry->actor);
    if (entry->actor == replica->actor && entry->counter > ours &&
        replica->notes->ahead_since.ns == INSTANT_NEVER.ns) {
        replica->notes->ahead_since = replica->now;
    }
    if (entry->actor == replica->actor && replica->actor != 0) {
        forking_noted_own(replica, link, entry);
    }
    if (entry->counter != ours || ours == 0) {
        return;
    }
    const struct hash128 unknown = {0};
    struct hash128 hash = head_hash(replica, entry->actor);
    if (hash128_equal(&entry->hash, &unknown) || hash128_equal(&entry->hash, &hash)) {
        return;
    }
    const struct member *member = membership_of_actor(&replica->members, entry->actor);
    uint64_t common = 0;
    bool is_theirs = member && member->is_sealed && uuid_equal(&member->node, &link->node);
    if (is_theirs || forking_rescued(replica, &common) == entry->actor) {
        return; // a branch that its owner keeps, and has issued again under another actor
    }
    char node[UUID_TEXT_LENGTH + 1];
    uuid_format(&link->node, node);
    alarm_raise(replica, "diverged", entry->actor,
                "node %s holds actor %u up to %" PRIu64
                " as this node does, but not the same events. Nothing is overwritten; see "
                "`weir cluster verify`",
                node, entry->actor, entry->counter);
    if (has_room(replica)) { // else at its next whole note
        forking_suspect(replica, link, entry->actor, entry->counter, &entry->hash);
    }
}

static bool take(struct replica *replica, struct link *link, const struct note_entry *entry)
{
    if (entry->actor == 0 || entry->counter > COUNTER_MAX) {
        push_drop(replica, link->id, REFUSAL_MALFORMED, "a note with a counter that is none");
        return false;
    }
    if (!link->is_newcomer &&
        !counters_believe(replica, link, entry->actor, entry->counter, true)) {
        return false;
    }
    if (strands_set(&link->held, &link->hashes, &link->hashes_capacity, entry->actor,
                    entry->counter, &entry->hash)) {
        push_drop(replica, link->id, 0, "out of memory for what the other side holds");
        return false;
    }
    if (!link->is_newcomer) {
        compare(replica, link, entry);
        sources_claimed(replica, entry->actor, entry->counter);
    }
    return true;
}

// Whatever a whole note does not name is not held. Both are sorted. One that is full may have been
// cut: it says nothing of the actors behind its last.
static void forget_unnamed(struct replica *replica, struct link *link, const struct peer_note *note)
{
    uint32_t kept = 0;
    uint32_t k = 0;
    bool is_full = note->count == PEER_ENTRIES_MAX;
    uint16_t end = is_full ? note->entries[note->count - 1].actor : UINT16_MAX;
    for (uint32_t i = 0; i < link->held.count; i++) {
        uint16_t actor = link->held.entries[i].actor;
        while (k < note->count && note->entries[k].actor < actor) {
            k++;
        }
        if ((k < note->count && note->entries[k].actor == actor) || actor > end) {
            link->held.entries[kept] = link->held.entries[i];
            link->hashes[kept++] = link->hashes[i];
        }
    }
    link->held.count = kept;
}

void notes_received(struct replica *replica, struct link *link, const struct peer_note *note)
{
    uint64_t own_before = version_vector_get(&link->held, replica->actor);
    if (note->flags & NOTE_WHOLE) {
        forget_unnamed(replica, link, note);
    }
    for (uint32_t i = 0; i < note->count; i++) {
        if (!take(replica, link, &note->entries[i])) {
            return;
        }
    }
    link->is_noted |= (note->flags & NOTE_WHOLE) != 0;
    bool is_wanted = (note->flags & NOTE_STABLE_WANTED) != 0;
    if (link->stable_wanted != is_wanted) {
        link->stable_wanted = is_wanted;
        notes_committed(replica); // what is behind us must hear it
        promises_clock_raised(replica);
    }
    if (link->is_newcomer) {
        return;
    }
    uint64_t own = version_vector_get(&link->held, replica->actor);
    if (own != own_before) {
        promises_held_by_peer(replica, link, own);
    }
    if (note->flags & NOTE_WHOLE) {
        sources_noted(replica, link);
    }
}

void notes_credit(struct replica *replica, struct link *link, const struct peer_credit *credit)
{
    if (credit->actor == 0 || credit->counter > COUNTER_MAX) {
        return;
    }
    link->credited = replica->now;
    link->holds_our_branch |= credit->actor == replica->actor; // we sent it what it holds
    if (credit->counter <= version_vector_get(&link->held, credit->actor)) {
        return;
    }
    struct note_entry entry = {.actor = credit->actor, .counter = credit->counter};
    if (take(replica, link, &entry) && credit->actor == replica->actor) {
        promises_held_by_peer(replica, link, credit->counter);
    }
}
