// Gossip about members that decides links only: where they can be dialled, which run they are in,
// who has a link to whom. The whole of it when a link comes up; then what has changed, collected
// for a while. An address is as new as the run of the node it was heard in.

#include <stdlib.h>

#include "replication/links_state.h"

enum { GOSSIP_MS = 200 };

void gossip_changed(struct replica *replica, const struct uuid *node)
{
    struct links_state *state = replica->links_state;
    struct target *target = target_of_node(replica, node);
    if (!target) {
        return;
    }
    target->version = ++state->version;
    if (state->changed_at.ns == INSTANT_NEVER.ns) {
        state->changed_at = replica->now;
    }
}

uint64_t links_version(const struct replica *replica)
{
    return replica->links_state->version;
}

void gossip_address(struct replica *replica, const struct uuid *node, struct bytes address,
                    uint64_t run)
{
    struct target *target = target_of_node(replica, node);
    if (!target || address.length == 0 || address.length > PEER_ADDRESS_BYTES_MAX ||
        run < target->address_run || memchr(address.data, 0, address.length) ||
        (run == target->address_run && target->address[0] != 0)) {
        return;
    }
    struct member *member = membership_of_node(&replica->members, node);
    if (!member) {
        return;
    }
    target->address_run = run;
    if (bytes_equal(address, bytes_of_text(target->address))) {
        return;
    }
    memcpy(target->address, address.data, address.length);
    target->address[address.length] = 0;
    memcpy(member->address, target->address, sizeof member->address);
    target->next = replica->now;
    target->failures = 0;
    gossip_changed(replica, node);
}

static struct bytes address_of(const struct replica *replica, const struct target *target)
{
    if (target->is_self) {
        return bytes_of_text(replica->config.advertise.text);
    }
    return bytes_of_text(target->address);
}

static bool send(struct replica *replica, struct link *link)
{
    struct links_state *state = replica->links_state;
    uint32_t count = 0;
    for (uint32_t i = 0; i < state->members_count; i++) {
        count += state->members[i].version > link->members_version;
    }
    count = count > PEER_ENTRIES_MAX ? PEER_ENTRIES_MAX : count;
    if (count == 0) {
        return true;
    }
    struct member_note *entries = step_alloc(replica, count * sizeof *entries);
    if (!entries) {
        return false;
    }
    uint32_t filled = 0;
    for (uint32_t i = 0; i < state->members_count && filled < count; i++) {
        const struct target *target = &state->members[i];
        if (target->version <= link->members_version) {
            continue;
        }
        const struct member *member = membership_of_node(&replica->members, &target->node);
        if (!member) {
            continue;
        }
        struct link *other = link_of_node(replica, &target->node);
        entries[filled++] = (struct member_note){
            .node = target->node,
            .actor = member->actor,
            .run = target->is_self ? replica->config.run : starting_run_of(replica, &target->node),
            .is_reachable = target->is_self || (other && !other->is_copy),
            .address = address_of(replica, target),
        };
    }
    struct peer_message message = {
        .kind = PEER_MEMBERS,
        .members = {.entries = entries, .count = filled},
    };
    push_send(replica, link, &message);
    return true;
}

// Links that are new, or that were not told of the last changes.
static bool is_due(const struct replica *replica, const struct link *link)
{
    const struct links_state *state = replica->links_state;
    if (link->is_ended || link->is_newcomer || link->members_version == state->version) {
        return false;
    }
    return link->members_version == 0 ||
           instant_reached(instant_add(link->members_said, duration_ms(GOSSIP_MS)), replica->now);
}

void links_gossip(struct replica *replica)
{
    struct links_state *state = replica->links_state;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *link = &replica->links[i];
        if (is_due(replica, link) && has_room(replica) && send(replica, link)) {
            link->members_version = state->version;
            link->members_said = replica->now;
        }
    }
}

struct instant links_gossip_deadline(const struct replica *replica)
{
    const struct links_state *state = replica->links_state;
    struct instant due = INSTANT_NEVER;
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (link->is_ended || link->is_newcomer || link->members_version == state->version) {
            continue;
        }
        due = instant_earlier(due, link->members_version == 0
                                       ? replica->now
                                       : instant_add(link->members_said, duration_ms(GOSSIP_MS)));
    }
    return due;
}

void links_members(struct replica *replica, struct link *link, const struct peer_members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member_note *note = &members->entries[i];
        if (uuid_equal(&note->node, &replica->config.node)) {
            continue;
        }
        gossip_address(replica, &note->node, note->address, note->run.number);
        if (note->run.number > starting_run_of(replica, &note->node).number) {
            gossip_changed(replica, &note->node);
        }
    }
}
