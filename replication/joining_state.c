// What a node may do, being what it is: a newcomer, a member, or one whose actor is another's.

#include "replication/joining_state.h"

bool joining_is_member(const struct replica *replica)
{
    return replica->actor != 0 && replica->joining->phase == JOINING_NOT;
}

// Who is retired is fenced at every member, but nobody asks a newcomer. What it holds of any strand
// must not go beyond what some member does: so it takes strands from others than their owners, as
// long as it is no member itself; those that it takes them from are asked, or do the same. Only who
// was alone before it came cannot be retired before it is a member.
bool joining_may_pull_from(const struct replica *replica, uint16_t actor)
{
    return joining_is_member(replica) || replica->joining->alone == actor;
}

static bool is_anothers(const struct replica *replica)
{
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    return replica->actor != 0 && self && !uuid_equal(&self->node, &replica->config.node);
}

bool joining_owns_strand(const struct replica *replica)
{
    const struct joining_state *state = replica->joining;
    bool is_giving_way = state->phase == JOINING_TELLING ||
                         (state->phase != JOINING_NOT && state->is_again && !state->is_rescue);
    return !is_anothers(replica) && !is_giving_way;
}

bool joining_is_settling(const struct replica *replica)
{
    return replica->joining->phase == JOINING_SETTLING;
}

const char *joining_phase(const struct replica *replica)
{
    return replica->joining->phase_text;
}

bool joining_may_produce(const struct replica *replica, struct reason *why)
{
    const struct joining_state *state = replica->joining;
    if (replica->actor != 0 && !joining_knows_members(replica)) {
        (void)reason_set(why, ERR_BUSY,
                         "this node fetches again what its disk has lost about the members of its "
                         "cluster: start another member that it can reach. If no copy is left: "
                         "weir cluster lost ACTOR FIRST..LAST");
        return false;
    }
    if (is_anothers(replica) && joining_is_member(replica)) {
        (void)reason_set(why, ERR_DENIED,
                         "actor %u, which this node has, is not its own in this cluster; produce "
                         "on another node, then here: weir cluster rescue",
                         (unsigned)replica->actor);
        return false;
    }
    if (joining_is_member(replica) ||
        (IS_PLANTED(PLANTED_NEWCOMER_PRODUCES_EARLY) && state->phase >= JOINING_TELLING)) {
        return true;
    }
    (void)reason_set(
        why, ERR_BUSY,
        "this node is not a member of a cluster yet (%.160s); produce on another node, "
        "or wait",
        state->phase_text[0] != '\0' ? state->phase_text : "starting");
    return false;
}
