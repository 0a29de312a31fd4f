// What is asked of a replica between steps: whether chunks may be applied, whether this node may
// produce, and what status shows. Nothing here decides anything.

#include <assert.h>
#include <inttypes.h>

#include "replication/replica.h"
#include "replication/replica_state.h"

// --- Chunks ------------------------------------------------------------------------------------

static enum replica_verdict refuse_counter(struct replica *replica, struct link *link,
                                           uint16_t actor, enum peer_refusal *refusal_out,
                                           struct reason *reason)
{
    *refusal_out = REFUSAL_COUNTER;
    (void)reason_set(reason, ERR_DENIED,
                     "chunks of actor %u have counters from nowhere; see docs/operations.md, "
                     "counter_from_nowhere",
                     actor);
    link->is_ended = true; // the driver ends it, which is reported
    replica->is_unfinished = true;
    return VERDICT_REFUSE;
}

enum replica_verdict replica_may_apply(struct replica *replica, link_id id, uint16_t actor,
                                       uint64_t first, uint64_t last,
                                       enum peer_refusal *refusal_out, struct reason *reason)
{
    struct link *link = link_find(replica, id);
    if (!link || link->is_ended || link->is_newcomer) {
        return VERDICT_DROP;
    }
    bool was_asked = version_vector_get(&link->asked, actor) > 0;
    if (!was_asked && !IS_PLANTED(PLANTED_FLOOD)) {
        return VERDICT_DROP;
    }
    if (actor == replica->actor && !starting_pulls_own(replica)) {
        return VERDICT_DROP; // only a node that starts takes its own events back
    }
    if (last > retiring_limit(replica, actor) || last > forking_limit(replica, actor) ||
        counters_is_quarantined(replica, actor)) {
        return VERDICT_DROP;
    }
    if (link->is_copy && link->actor == actor) {
        return VERDICT_DROP;
    }
    if (!counters_believe(replica, link, actor, last, false)) {
        return refuse_counter(replica, link, actor, refusal_out, reason);
    }
    uint64_t held = version_vector_get(&replica->held, actor);
    // lost by the disk, after it was promised
    bool is_own = actor == replica->actor || forking_was_ours(replica, actor);
    if (!is_own && first > held && promises_forbid(replica, actor, first)) {
        *refusal_out = REFUSAL_PROTOCOL;
        (void)reason_set(reason, ERR_DENIED,
                         "chunks of actor %u from %" PRIu64 " on, which it had promised never to "
                         "issue",
                         actor, first);
        alarm_raise(replica, "promise_broken", actor,
                    "actor %u sends events at %" PRIu64 ", at or below %" PRIu64
                    ", where it had promised to issue nothing more. They are refused; see whether "
                    "its data directory was restored or cloned, and use `weir cluster rescue`",
                    actor, first, promises_counted(replica, actor));
        return VERDICT_REFUSE;
    }
    return VERDICT_APPLY;
}

uint64_t replica_send_limit(const struct replica *replica, uint16_t actor)
{
    uint64_t fork = forking_limit(replica, actor);
    uint64_t seal = retiring_limit(replica, actor);
    return fork < seal ? fork : seal;
}

// --- This node ---------------------------------------------------------------------------------

bool replica_may_produce(const struct replica *replica, struct reason *why)
{
    if (counters_is_quarantined(replica, replica->actor) && replica->actor != 0) {
        (void)reason_set(why, ERR_DENIED,
                         "this node's counters come from nowhere; see `weir cluster status`");
        return false;
    }
    return joining_may_produce(replica, why) && retiring_may_produce(replica, why) &&
           starting_may_produce(replica, why) && forking_may_produce(replica, why);
}

uint64_t replica_frontier(const struct replica *replica)
{
    uint16_t waits_for = 0;
    return promises_frontier(replica, &waits_for);
}

uint16_t replica_frontier_waits_for(const struct replica *replica)
{
    uint16_t waits_for = 0;
    (void)promises_frontier(replica, &waits_for);
    return waits_for;
}

// How far each of the others holds this node's own strand, the furthest first. Returns how many.
static uint32_t holders(const struct replica *replica, uint64_t counters_out[LINKS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; replica->actor != 0 && i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        bool counts =
            !link->is_ended && !link->is_newcomer && !link->is_copy && link->holds_our_branch;
        for (uint32_t k = 0; counts && k < i; k++) {
            const struct link *other = &replica->links[k];
            counts = other->is_ended || other->is_copy || !uuid_equal(&other->node, &link->node);
        }
        if (!counts) {
            continue;
        }
        uint64_t counter = version_vector_get(&link->held, replica->actor);
        uint32_t at = count++;
        for (; at > 0 && counters_out[at - 1] < counter; at--) {
            counters_out[at] = counters_out[at - 1];
        }
        counters_out[at] = counter;
    }
    return count;
}

void replica_held_by(const struct replica *replica, uint64_t held_out[REPLICAS_MAX])
{
    uint64_t counters[LINKS_MAX];
    uint32_t count = holders(replica, counters);
    uint64_t own = version_vector_get(&replica->held, replica->actor);
    for (uint32_t i = 0; i < REPLICAS_MAX; i++) {
        uint32_t others = IS_PLANTED(PLANTED_REPLICAS_COUNT_SELF_TWICE) && i > 0 ? i - 1 : i;
        uint64_t held = others == 0 ? own : others <= count ? counters[others - 1] : 0;
        held_out[i] = held < own ? held : own;
    }
}

// Asked in every turn, and a look at every member. A link that comes up raises the links' version.
uint32_t replica_abilities(struct replica *replica)
{
    uint64_t members = replica->members.version;
    uint64_t links = links_version(replica);
    if (members == 0 || replica->abilities_members != members ||
        replica->abilities_links != links) {
        replica->abilities = links_abilities(replica);
        replica->abilities_members = members;
        replica->abilities_links = links;
    }
    return replica->abilities;
}

bool replica_is_member(const struct replica *replica)
{
    return joining_is_member(replica);
}

const char *replica_phase(const struct replica *replica)
{
    return joining_phase(replica);
}

struct replica_counts replica_counts(const struct replica *replica)
{
    return replica->counts;
}

// --- Members -----------------------------------------------------------------------------------

uint32_t replica_active_count(const struct replica *replica)
{
    return membership_active_count(&replica->members);
}

uint32_t replica_members_count(const struct replica *replica)
{
    return replica->members.count;
}

void link_verify(const struct replica *replica, const struct link *link, struct replica_member *out)
{
    bool is_behind = false;
    bool is_ahead = !version_vector_includes(&replica->held, &link->held);
    for (uint32_t i = 0; i < replica->held.count; i++) {
        const struct version_entry *entry = &replica->held.entries[i];
        uint64_t theirs = version_vector_get(&link->held, entry->actor);
        is_behind |= theirs < entry->counter;
        struct hash128 hash = strands_hash(&link->held, link->hashes, entry->actor);
        const struct hash128 unknown = {0};
        if (theirs == entry->counter && !hash128_equal(&hash, &unknown) &&
            !hash128_equal(&hash, &replica->hashes[i])) {
            out->verified = VERIFIED_DIVERGED;
            out->diverged_actor = entry->actor;
            out->diverged_since = theirs;
            return;
        }
    }
    out->verified = is_ahead ? VERIFIED_AHEAD : is_behind ? VERIFIED_BEHIND : VERIFIED_EQUAL;
}

static enum member_state state_of(const struct replica *replica, const struct member *member)
{
    if (member->is_retired) {
        return MEMBER_GONE;
    }
    return retiring_limit(replica, member->actor) != UINT64_MAX ? MEMBER_RETIRING : MEMBER_ACTIVE;
}

static const struct link *find_link(const struct replica *replica, uint16_t actor)
{
    const struct link *found = NULL;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (!link->is_ended && link->actor == actor && (!found || found->is_copy)) {
            found = link;
        }
    }
    return found;
}

void replica_member_at(const struct replica *replica, uint32_t index,
                       struct replica_member *member_out)
{
    assert(index < replica->members.count);
    const struct member *member = &replica->members.members[index];
    struct replica_member out = {
        .node = member->node,
        .actor = member->actor,
        .state = state_of(replica, member),
        .address = member->address,
        .is_self = member->actor == replica->actor,
        .held = version_vector_get(&replica->held, member->actor),
        .behind_since = INSTANT_NEVER,
        .promised = promises_counted(replica, member->actor),
        .seal = member->is_retired ? member->seal : 0,
        .seal_hash = member->seal_hash,
        .run = starting_run_of(replica, &member->node).number,
        .server_version = "",
    };
    out.claimed = out.held;
    const struct source *source = sources_of(replica, member->actor);
    if (source) {
        out.source = source->link;
        out.claimed = source->claimed > out.held ? source->claimed : out.held;
        out.behind_since = source->behind_since;
    }
    const struct link *link = find_link(replica, member->actor);
    if (out.is_self) {
        out.verified = VERIFIED_EQUAL;
        out.run = replica->config.run.number;
        out.server_version = "weir " WEIR_VERSION;
    } else if (link) {
        out.is_connected = true;
        out.link = link->id;
        out.run = link->run.number;
        out.server_version = link->server_version;
    }
    if (!out.is_self && link && link->is_noted) {
        link_verify(replica, link, &out);
    } else if (!out.is_self) {
        links_verdict(replica, &member->node, &out);
    }
    *member_out = out;
}

uint32_t replica_links(const struct replica *replica, struct replica_link links_out[LINKS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        bool counts = !link->is_ended && !link->is_newcomer && !link->is_copy && link->actor != 0;
        for (uint32_t k = 0; counts && k < count; k++) {
            counts = !uuid_equal(&links_out[k].node, &link->node);
        }
        if (counts) {
            links_out[count++] = (struct replica_link){
                .id = link->id,
                .node = link->node,
                .actor = link->actor,
                .abilities = link->abilities,
                .held = link->is_noted ? &link->held : NULL,
            };
        }
    }
    return count;
}

// --- Alarms ------------------------------------------------------------------------------------

uint32_t replica_alarms_count(const struct replica *replica)
{
    return replica->alarms_count;
}

struct replica_alarm replica_alarm_at(const struct replica *replica, uint32_t index)
{
    assert(index < replica->alarms_count);
    const struct alarm *alarm = &replica->alarms[index];
    return (struct replica_alarm){.code = alarm->code, .text = alarm->text.text};
}
