// Counters from nowhere. One broken counter would lift every clock of the cluster for good, so one
// that is further ahead of everything known than any cluster can come is not believed: its link is
// refused and its actor's strand left alone until an operator says otherwise. A node that has no
// actor yet knows nothing and believes; the clock it gets at its admission is the cluster's.

#include <inttypes.h>
#include <stdlib.h>

#include "replication/replica_state.h"

enum { QUARANTINES_MAX = 64 };

struct counters_state {
    uint64_t known; // the highest that was believed
    uint64_t asked; // the highest that the clock was to be raised to
    uint16_t quarantined[QUARANTINES_MAX];
    uint32_t quarantined_count;
    uint16_t forgiven[QUARANTINES_MAX]; // the last ones
    uint32_t forgiven_count;
};

int counters_new(struct replica *replica)
{
    replica->counters = calloc(1, sizeof *replica->counters);
    if (!replica->counters) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < replica->held.count; i++) {
        uint64_t counter = replica->held.entries[i].counter;
        if (counter > replica->counters->known) {
            replica->counters->known = counter;
        }
    }
    return 0;
}

void counters_free(struct replica *replica)
{
    free(replica->counters);
    replica->counters = NULL;
}

static bool contains(const uint16_t *actors, uint32_t count, uint16_t actor)
{
    for (uint32_t i = 0; i < count; i++) {
        if (actors[i] == actor) {
            return true;
        }
    }
    return false;
}

// A retired actor issues nothing any more, and its seal says how far to go.
bool counters_is_quarantined(const struct replica *replica, uint16_t actor)
{
    const struct member *member = membership_of_actor(&replica->members, actor);
    if (member && member->is_retired) {
        return false;
    }
    return contains(replica->counters->quarantined, replica->counters->quarantined_count, actor);
}

static void quarantine(struct replica *replica, struct link *link, uint16_t actor, uint64_t counter,
                       uint64_t known)
{
    struct counters_state *state = replica->counters;
    if (!counters_is_quarantined(replica, actor) && state->quarantined_count < QUARANTINES_MAX) {
        state->quarantined[state->quarantined_count++] = actor;
    }
    const struct member *member = membership_of_actor(&replica->members, actor);
    if (!member || !member->is_retired) { // else there is nothing left to do about it
        alarm_raise(replica, "counter_from_nowhere", actor,
                    "actor %u is said to be at counter %" PRIu64 ", %" PRIu64
                    " ahead of everything known, which no cluster can have issued. Nothing of it "
                    "is taken; if it is true after all: weir cluster forgive %u",
                    actor, counter, counter - known, actor);
    }
    if (replica->actions) {
        push_drop(replica, link->id, REFUSAL_COUNTER,
                  "actor %u at counter %" PRIu64 " is from nowhere", actor, counter);
    }
}

static void raise_clock(struct replica *replica, uint64_t counter)
{
    struct counters_state *state = replica->counters;
    if (replica->actor == 0 || counter <= state->asked || IS_PLANTED(PLANTED_CLOCK_NOT_RAISED)) {
        return;
    }
    state->asked = counter;
    replica->raise_to = counter > replica->raise_to ? counter : replica->raise_to;
}

bool counters_believe(struct replica *replica, struct link *link, uint16_t actor, uint64_t counter,
                      bool raises)
{
    struct counters_state *state = replica->counters;
    uint64_t known = state->known > replica->clock ? state->known : replica->clock;
    uint64_t ahead = counter > known ? counter - known : 0;
    bool is_exempt = replica->actor == 0 || IS_PLANTED(PLANTED_COUNTER_POISON) ||
                     contains(state->forgiven, state->forgiven_count, actor);
    if (counter > COUNTER_MAX || (ahead > COUNTER_JUMP_MAX && !is_exempt)) {
        quarantine(replica, link, actor, counter, known);
        return false;
    }
    if (counters_is_quarantined(replica, actor)) {
        return true; // what others hold of it from before: it moves nothing here
    }
    if (ahead > COUNTER_JUMP_ALARM && replica->actor != 0) {
        alarm_raise(replica, "counter_jump", actor,
                    "actor %u jumped to counter %" PRIu64 ", %" PRIu64
                    " ahead of everything known. It is believed; find out what that node did",
                    actor, counter, ahead);
    }
    if (counter > state->known) {
        state->known = counter;
    }
    if (raises) {
        raise_clock(replica, counter);
    }
    return true;
}

void counters_forgive(struct replica *replica, uint16_t actor)
{
    struct counters_state *state = replica->counters;
    for (uint32_t i = 0; i < state->quarantined_count; i++) {
        if (state->quarantined[i] == actor) {
            state->quarantined[i] = state->quarantined[--state->quarantined_count];
            break;
        }
    }
    if (!contains(state->forgiven, state->forgiven_count, actor)) {
        if (state->forgiven_count == QUARANTINES_MAX) {
            memmove(state->forgiven, state->forgiven + 1,
                    (QUARANTINES_MAX - 1) * sizeof *state->forgiven);
            state->forgiven_count--;
        }
        state->forgiven[state->forgiven_count++] = actor;
    }
    alarm_clear(replica, "counter_from_nowhere", actor);
    alarm_clear(replica, "counter_jump", actor);
    if (replica->has_started) {
        sources_reconsider(replica, actor);
    }
}
