// That this node has had other members is remembered apart from the events that say so: with these
// lost, by damage or by a recovery that cut them off, it would take itself for the founder of a
// cluster of its own, compare with nobody, and take its own promises for everybody's. The record
// says how many members and how many seals it has known; neither ever becomes less. Until it has
// pulled as many again it waits.

#include <stdio.h>

#include "replication/joining_state.h"

#define KNOWN_KEY "known"

enum { RECORD_VERSION = 1, RECORD_BYTES = 26 };

static struct known_members count_members(const struct replica *replica)
{
    struct known_members known = {.cluster = replica->cluster, .members = replica->members.count};
    for (uint32_t i = 0; i < replica->members.count; i++) {
        known.seals += replica->members.members[i].is_sealed;
    }
    return known;
}

void known_record(struct replica *replica, struct bytes key, struct bytes value)
{
    struct known_members *known = &replica->joining->known;
    bool is_known = bytes_equal(key, bytes_of_text(KNOWN_KEY)) && value.length >= RECORD_BYTES &&
                    value.data[0] == RECORD_VERSION;
    if (is_known) {
        known->members = load_be32(value.data + 2);
        known->seals = load_be32(value.data + 6);
        memcpy(known->cluster.bytes, value.data + 10, sizeof known->cluster.bytes);
    }
}

static bool is_covered(const struct replica *replica)
{
    const struct joining_state *state = replica->joining;
    struct known_members now = count_members(replica);
    return state->has_loss || !uuid_equal(&state->known.cluster, &now.cluster) ||
           (now.members >= state->known.members && now.seals >= state->known.seals);
}

void known_start(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    state->is_known_again = replica->actor == 0 || is_covered(replica);
    if (!state->is_known_again) {
        alarm_raise(replica, "members_lost", 0,
                    "this disk has lost events about members: %u of %u members are known. They are "
                    "fetched again from the others before this node produces: start one that it "
                    "can reach. If no copy is left: weir cluster lost ACTOR FIRST..LAST",
                    (unsigned)replica->members.count, (unsigned)state->known.members);
    }
}

void known_member_event(struct replica *replica, const struct member_event *event)
{
    struct joining_state *state = replica->joining;
    // what was given up for lost may have been such an event: it does not come again
    state->has_loss |= event->kind == MEMBER_LOST;
    if (replica->has_started && !state->is_known_again && is_covered(replica)) {
        state->is_known_again = true;
        alarm_clear(replica, "members_lost", 0);
    }
    if (replica->has_started) {
        state->due = replica->now;
    }
}

void known_tick(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    struct known_members now = count_members(replica);
    bool is_other = !uuid_equal(&state->known.cluster, &now.cluster);
    bool is_more = is_other || now.members > state->known.members || now.seals > state->known.seals;
    if (!state->is_known_again || replica->actor == 0 || now.members <= 1 || !is_more) {
        return;
    }
    uint8_t *value = step_alloc(replica, RECORD_BYTES);
    if (!value) {
        return; // with the next tick
    }
    value[0] = RECORD_VERSION;
    value[1] = 0;
    store_be32(value + 2, now.members);
    store_be32(value + 6, now.seals);
    memcpy(value + 10, now.cluster.bytes, sizeof now.cluster.bytes);
    push_record(replica, bytes_of_text(KNOWN_KEY), bytes_of(value, RECORD_BYTES));
    state->known = now;
}

bool joining_knows_members(const struct replica *replica)
{
    return replica->joining->is_known_again;
}
