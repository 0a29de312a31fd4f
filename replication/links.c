// Which connections are links. One per pair of nodes: of two that were dialled at once the one that
// the node with the higher uuid opened stays, on both sides alike; a silent one gives way to a new
// one; one without bytes for LINK_DEAD_MS is dead. In a large cluster a link above LINKS_WANTED is
// extra until the side that dialled it has seen, after EXTRA_MS, whether either side gains by it:
// strands or promises came over it that did not come otherwise. Without that overlays that were
// parted would not grow together; with it links do not pile up.

#include <stdio.h>
#include <stdlib.h>

#include "replication/links_state.h"

enum {
    VERDICT_MS = 10000,    // so long what a member held when it was asked counts
    EXTRA_MS = 1000,       // in which an extra link must prove useful
    EXTRA_OTHER_MS = 3000, // after which the accepting side takes it for settled
    LINKS_SETTLED_MAX = 12,
    LINK_BRIEF_MS = 1000,
    RETIRED_MS = 10000, // how long a retired node has to learn of it
};

int links_new(struct replica *replica)
{
    struct links_state *state = calloc(1, sizeof *state);
    replica->links_state = state;
    if (!state) {
        return ERR_MEMORY;
    }
    state->version = 1;
    state->changed_at = INSTANT_NEVER;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        memcpy(state->configured[i].address, replica->peers[i].text, PEER_ADDRESS_BYTES_MAX + 1);
    }
    return 0;
}

static void link_deinit(struct link *link)
{
    version_vector_deinit(&link->held);
    free(link->hashes);
    version_vector_deinit(&link->told);
    version_vector_deinit(&link->promised);
    version_vector_deinit(&link->asked);
}

void links_free(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        link_deinit(&replica->links[i]);
    }
    replica->links_count = 0;
    if (replica->links_state) {
        free(replica->links_state->members);
        free(replica->links_state);
    }
    replica->links_state = NULL;
}

void links_start(struct replica *replica)
{
    struct links_state *state = replica->links_state;
    targets_sync(replica);
    state->random_next = replica->now;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        state->configured[i].next = replica->now;
    }
}

// --- A new one ---------------------------------------------------------------------------------

static bool is_founder(const struct replica *replica)
{
    return replica->actor != 0 && joining_knows_members(replica) &&
           membership_active_count(&replica->members) <= 1 &&
           version_vector_get(&replica->held, replica->actor) == 0;
}

// Whether the other side's cluster and ours can be one. Of two founders that issued nothing the one
// with the higher uuid gives way; a founder gives way to a cluster.
static bool cluster_fits(struct replica *replica, const struct replica_link_up *up,
                         bool *is_newcomer_out)
{
    const struct peer_hello *hello = up->hello;
    *is_newcomer_out = uuid_is_zero(&hello->cluster);
    if (uuid_is_zero(&hello->cluster) || uuid_is_zero(&replica->cluster) ||
        uuid_equal(&hello->cluster, &replica->cluster)) {
        return true;
    }
    bool is_ours_founder = is_founder(replica);
    bool theirs_gives_way =
        hello->is_founder &&
        (!is_ours_founder || uuid_compare(&hello->node, &replica->config.node) > 0);
    if (theirs_gives_way || is_ours_founder) {
        *is_newcomer_out = theirs_gives_way;
        return true;
    }
    char ours[UUID_TEXT_LENGTH + 1];
    char theirs[UUID_TEXT_LENGTH + 1];
    uuid_format(&replica->cluster, ours);
    uuid_format(&hello->cluster, theirs);
    push_drop(replica, up->id, REFUSAL_CLUSTER,
              "this node belongs to cluster %s, that one to %s: check the configured peers; a node "
              "that is to change its cluster needs a fresh data directory",
              ours, theirs);
    return false;
}

// Who admitted a node may have been lost with its disk before it could say so, and the actor given
// to another: that node is a newcomer, and is told when it asks.
static bool actor_fits(struct replica *replica, const struct replica_link_up *up,
                       bool *is_newcomer_out)
{
    const struct peer_hello *hello = up->hello;
    const struct member *member = membership_of_actor(&replica->members, hello->actor);
    if (hello->actor == 0 || !uuid_equal(&hello->cluster, &replica->cluster) || !member ||
        uuid_equal(&member->node, &hello->node)) {
        return true;
    }
    if (!membership_of_node(&replica->members, &hello->node)) {
        *is_newcomer_out = true;
        return true;
    }
    char owner[UUID_TEXT_LENGTH + 1];
    uuid_format(&member->node, owner);
    push_drop(replica, up->id, REFUSAL_ACTOR,
              "actor %u belongs to node %s for life: this node must join again with a fresh data "
              "directory, under another actor",
              hello->actor, owner);
    return false;
}

// Makes room for one more; a link that is extra gives way.
static bool make_room(struct replica *replica, const struct replica_link_up *up)
{
    if (replica->links_count < LINKS_MAX) {
        return true;
    }
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (link->is_extra && !link->is_ended && !sources_uses(replica, link->id)) {
            push_drop(replica, link->id, REFUSAL_FULL, "a link that is needed more has come");
            break;
        }
    }
    // Its place is free in the next step: who comes now dials again.
    push_drop(replica, up->id, REFUSAL_FULL, "this node has %d links; another member may have room",
              LINKS_MAX);
    return false;
}

// Of two connections with the same run of a node: whether the new one stays.
static bool beats(const struct replica *replica, const struct replica_link_up *up,
                  const struct link *old)
{
    struct instant silent = instant_add(old->heard, duration_ms(LINK_REPLACED_MS));
    if (instant_reached(silent, replica->now)) {
        return true;
    }
    bool is_new_ours = up->dial != 0;
    bool is_old_ours = old->dial != 0;
    if (is_new_ours == is_old_ours) {
        return false;
    }
    bool is_higher_ours = uuid_compare(&replica->config.node, &old->node) > 0;
    return is_new_ours == is_higher_ours;
}

static bool settle_duplicates(struct replica *replica, const struct replica_link_up *up)
{
    const struct peer_hello *hello = up->hello;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *old = &replica->links[i];
        if (old->is_ended || !uuid_equal(&old->node, &hello->node) ||
            old->run.number != hello->run_number || old->run.random != hello->runs[0]) {
            continue;
        }
        if (!beats(replica, up, old)) {
            push_drop(replica, up->id, REFUSAL_DUPLICATE, "there is a connection already");
            return false;
        }
        push_drop(replica, old->id, REFUSAL_DUPLICATE, "a new connection has taken its place");
    }
    return true;
}

static struct target *learn_target(struct replica *replica, const struct replica_link_up *up)
{
    struct target *target = target_of_dial(replica, up->dial);
    if (!target) {
        return NULL;
    }
    target->dial = 0;
    target->failures = 0;
    target->node = up->hello->node;
    target_proved(replica, target);
    struct links_state *state = replica->links_state;
    if (target >= state->configured && target < state->configured + PEER_ADDRESSES_MAX) {
        replica->peer_nodes[target - state->configured] = up->hello->node;
    }
    return target;
}

static bool is_acceptable(struct replica *replica, const struct replica_link_up *up,
                          const struct target *target, bool *is_newcomer_out)
{
    const struct peer_hello *hello = up->hello;
    bool is_self = uuid_equal(&hello->node, &replica->config.node) &&
                   hello->run_number == replica->config.run.number && hello->runs_count > 0 &&
                   hello->runs[0] == replica->config.run.random;
    if (is_self) {
        push_drop(replica, up->id, REFUSAL_SELF, "this is the node itself");
        return false;
    }
    if (!cluster_fits(replica, up, is_newcomer_out)) {
        if (target) {
            target_refused(replica, target, REFUSAL_CLUSTER);
        }
        return false;
    }
    if (target) {
        target_fits(replica, target);
    }
    return actor_fits(replica, up, is_newcomer_out) && settle_duplicates(replica, up) &&
           make_room(replica, up);
}

struct link *links_up(struct replica *replica, const struct replica_link_up *up)
{
    const struct peer_hello *hello = up->hello;
    struct target *target = learn_target(replica, up);
    bool is_newcomer = false;
    if (!is_acceptable(replica, up, target, &is_newcomer)) {
        if (target) {
            bool is_self = uuid_equal(&hello->node, &replica->config.node);
            target_failed(replica, target, is_self ? REFUSAL_SELF : REFUSAL_DUPLICATE);
        }
        return NULL;
    }
    struct link *link = &replica->links[replica->links_count++];
    *link = (struct link){
        .id = up->id,
        .dial = up->dial,
        .node = hello->node,
        .cluster = hello->cluster,
        .actor = is_newcomer ? 0 : hello->actor,
        .run = {.number = hello->run_number, .random = hello->runs[0]},
        .is_newcomer = is_newcomer,
        .abilities = hello->abilities,
        .since = replica->now,
        .heard = replica->now,
        .said = replica->now,
    };
    size_t length = hello->server_version.length < NAME_BYTES_MAX ? hello->server_version.length
                                                                  : NAME_BYTES_MAX;
    if (length > 0) {
        memcpy(link->server_version, hello->server_version.data, length);
    }
    if (hello->address.length > 0 && hello->address.length < sizeof link->address) {
        memcpy(link->address, hello->address.data, hello->address.length);
    }
    const struct member *member = membership_of_node(&replica->members, &hello->node);
    if (member && !member->is_retired && !uuid_is_zero(&replica->cluster)) {
        link->is_newcomer = false; // it became one since it said hello
        link->actor = member->actor;
    }
    link->is_extra = is_large(replica) && links_settled_count(replica) > LINKS_WANTED;
    struct target *known = target_of_node(replica, &hello->node);
    if (known) {
        known->address_run -= known->address_run == hello->run_number; // it knows best itself
        gossip_address(replica, &hello->node, hello->address, hello->run_number);
    }
    return link;
}

void links_accepted(struct replica *replica, struct link *link)
{
    if (uuid_equal(&link->node, &replica->config.node)) {
        push_drop(replica, link->id, REFUSAL_SELF,
                  "another directory with this node's identity answers there: it is a copy");
        return;
    }
    for (uint32_t i = 0; i < replica->links_count && !link->is_copy; i++) {
        struct link *old = &replica->links[i];
        if (old != link && !old->is_ended && !old->is_copy && uuid_equal(&old->node, &link->node)) {
            push_drop(replica, old->id, REFUSAL_DUPLICATE, "the node has started again since");
        }
    }
    struct links_state *state = replica->links_state;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        if (uuid_equal(&state->configured[i].node, &link->node)) {
            state->configured[i].was_linked = true;
            target_fits(replica, &state->configured[i]);
        }
    }
    struct target *target = target_of_node(replica, &link->node);
    if (target) {
        target->was_linked = true;
        target->abilities = link->abilities;
        target_fits(replica, target);
        gossip_changed(replica, &link->node);
    }
}

// --- An old one --------------------------------------------------------------------------------

void links_down(struct replica *replica, const struct replica_link_down *down)
{
    struct link *link = down->id ? link_find(replica, down->id) : NULL;
    if (link) {
        link->is_ended = true;
        link->is_refused = down->refusal != 0;
        if (link->why_ended[0] == '\0') {
            (void)snprintf(link->why_ended, sizeof link->why_ended, "%s",
                           down->refusal == REFUSAL_SHUTDOWN ? "that node stops"
                           : down->refusal != 0              ? "it was refused"
                                                             : "the connection is gone");
        }
    }
    struct target *target = target_of_dial(replica, down->dial);
    if (!target) {
        return;
    }
    target_failed(replica, target, down->refusal);
    target_refused(replica, target, down->refusal);
    struct links_state *state = replica->links_state;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        if (state->configured[i].is_self) {
            replica->peer_nodes[i] = replica->config.node;
        }
    }
}

void links_remove(struct replica *replica, struct link *link)
{
    struct uuid node = link->node;
    bool is_refused = link->is_refused;
    struct instant settled = instant_add(link->since, duration_ms(LINK_BRIEF_MS));
    bool is_brief = !instant_reached(settled, replica->now);
    link_announce_end(replica, link);
    link_deinit(link);
    uint32_t i = (uint32_t)(link - replica->links);
    replica->links_count--;
    memmove(link, link + 1, (replica->links_count - i) * sizeof *link);
    targets_of_node_due(replica, &node, is_refused, is_brief);
    gossip_changed(replica, &node);
}

// --- The table of members ----------------------------------------------------------------------

void links_membership_changed(struct replica *replica)
{
    replica->links_state->must_sync = true;
    for (uint32_t i = 0; replica->has_started && i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        const struct member *member = membership_of_node(&replica->members, &link->node);
        if (link->is_ended || !member || member->is_retired || uuid_is_zero(&replica->cluster)) {
            continue;
        }
        link->actor = member->actor;
        if (link->is_newcomer) {
            link->is_newcomer = false;
            notes_link_up(replica, link);
            sources_noted(replica, link);
        }
    }
}

void links_became(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (link->is_newcomer && !link->is_ended) {
            push_drop(replica, link->id, 0, "this node has become a member of a cluster");
        }
    }
    links_membership_changed(replica);
}

uint32_t links_abilities(const struct replica *replica)
{
    const struct links_state *state = replica->links_state;
    uint32_t abilities = replica->config.abilities;
    for (uint32_t i = 0; i < state->members_count; i++) {
        const struct target *target = &state->members[i];
        const struct member *member = membership_of_node(&replica->members, &target->node);
        if (member && !member->is_retired && target->abilities != 0) {
            abilities &= target->abilities;
        }
    }
    return abilities;
}

void links_judged(struct replica *replica, const struct uuid *node,
                  const struct replica_member *verdict)
{
    struct target *target = target_of_node(replica, node);
    if (target) {
        target->verdict = (struct verdict){
            .verified = verdict->verified,
            .diverged_actor = verdict->diverged_actor,
            .diverged_since = verdict->diverged_since,
            .at = replica->now,
        };
    }
}

void links_verdict(const struct replica *replica, const struct uuid *node,
                   struct replica_member *verdict_out)
{
    const struct target *target = target_of_node((struct replica *)replica, node);
    const struct verdict *verdict = target ? &target->verdict : NULL;
    if (!verdict || verdict->at.ns == 0 ||
        instant_reached(instant_add(verdict->at, duration_ms(VERDICT_MS)), replica->now)) {
        return;
    }
    verdict_out->verified = verdict->verified;
    verdict_out->diverged_actor = verdict->diverged_actor;
    verdict_out->diverged_since = verdict->diverged_since;
}

// --- Time --------------------------------------------------------------------------------------

static struct instant dead_at(const struct link *link)
{
    return IS_PLANTED(PLANTED_HALF_OPEN_LIVES)
               ? INSTANT_NEVER
               : instant_add(link->heard, duration_ms(LINK_DEAD_MS));
}

static struct instant heartbeat_at(const struct link *link)
{
    return instant_add(link->said, duration_ms(HEARTBEAT_MS));
}

// When it is decided whether an extra link stays.
static struct instant judged_at(const struct link *link)
{
    if (!link->is_extra) {
        return INSTANT_NEVER;
    }
    return instant_add(link->since, duration_ms(link->dial ? EXTRA_MS : EXTRA_OTHER_MS));
}

static void drop_oldest(struct replica *replica)
{
    struct link *oldest = NULL;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (!link->is_ended && !link->is_extra && (!oldest || link->since.ns < oldest->since.ns)) {
            oldest = link;
        }
    }
    if (oldest) {
        push_drop(replica, oldest->id, 0, "newer links do its work");
    }
}

static void judge(struct replica *replica, struct link *link)
{
    struct instant useful = instant_add(link->credited, duration_ms(EXTRA_MS));
    bool is_useful = sources_uses(replica, link->id) || link->has_news ||
                     (link->credited.ns != 0 && useful.ns > replica->now.ns) ||
                     links_settled_count(replica) < LINKS_WANTED;
    if (link->dial != 0 && !is_useful) {
        push_drop(replica, link->id, 0, "neither side gains by this link");
        return;
    }
    link->is_extra = false;
    if (links_settled_count(replica) > LINKS_SETTLED_MAX) {
        drop_oldest(replica);
    }
}

// Whether the retired node has heard of it, and nothing of its strand up to the seal is wanted from
// it: nobody dials it any more.
static bool may_go(const struct replica *replica, const struct link *link,
                   const struct member *member)
{
    uint64_t held = version_vector_get(&replica->held, member->actor);
    if (held < member->seal && version_vector_get(&link->held, member->actor) > held) {
        return false;
    }
    return version_vector_includes(&link->held, &replica->held) ||
           instant_reached(instant_add(link->since, duration_ms(RETIRED_MS)), replica->now);
}

static void look_at(struct replica *replica, struct link *link)
{
    if (instant_reached(dead_at(link), replica->now)) {
        push_drop(replica, link->id, 0, "nothing came for %d ms", LINK_DEAD_MS);
        return;
    }
    if (instant_reached(judged_at(link), replica->now)) {
        judge(replica, link);
    }
    link_announce(replica, link);
    if (!link->is_ended && instant_reached(heartbeat_at(link), replica->now)) {
        struct peer_message message = {.kind = PEER_HEARTBEAT};
        push_send(replica, link, &message);
        const struct member *member = membership_of_actor(&replica->members, link->actor);
        if (member && member->is_retired && may_go(replica, link, member)) {
            push_drop(replica, link->id, REFUSAL_RETIRED,
                      "actor %u is retired: its data directory can be removed; to come back it "
                      "joins with a fresh one",
                      link->actor);
        }
    }
}

void links_tick(struct replica *replica)
{
    if (replica->links_state->must_sync) {
        targets_sync(replica);
    }
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (!link->is_ended && has_room(replica)) {
            look_at(replica, link);
        }
    }
    links_gossip(replica);
    if (has_room(replica)) {
        links_dial(replica);
    } else {
        replica->is_unfinished = true;
    }
}

struct instant links_deadline(const struct replica *replica)
{
    struct instant due = replica->links_state->must_sync ? replica->now : INSTANT_NEVER;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (link->is_ended) {
            continue;
        }
        due = instant_earlier(due, dead_at(link));
        due = instant_earlier(due, heartbeat_at(link));
        due = instant_earlier(due, judged_at(link));
        due = instant_earlier(due, link_announced_at(replica, link));
    }
    due = instant_earlier(due, links_gossip_deadline(replica));
    return instant_earlier(due, links_dial_deadline(replica));
}
