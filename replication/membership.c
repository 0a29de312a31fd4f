// Few members and fewer changes: the table is an array that is sorted by actor, bisected by actor
// and walked by node. Whether an admission is void depends on a seal that may come before or after
// it, so that is worked out anew whenever something changed.

#include "replication/membership.h"

#include <assert.h>
#include <stdlib.h>

void membership_deinit(struct membership *membership)
{
    free(membership->members);
    *membership = (struct membership){0};
}

// The index of the first member whose actor is not below `actor`.
static uint32_t find(const struct membership *membership, uint16_t actor)
{
    uint32_t begin = 0;
    uint32_t left = membership->count;
    while (left > 0) {
        uint32_t half = left / 2;
        bool is_below = membership->members[begin + half].actor < actor;
        begin = is_below ? begin + half + 1 : begin;
        left = is_below ? left - half - 1 : half;
    }
    return begin;
}

struct member *membership_of_actor(const struct membership *membership, uint16_t actor)
{
    uint32_t i = find(membership, actor);
    bool is_there = i < membership->count && membership->members[i].actor == actor;
    return is_there ? membership->members + i : NULL;
}

struct member *membership_of_node(const struct membership *membership, const struct uuid *node)
{
    struct member *found = NULL;
    for (uint32_t i = 0; i < membership->count && !uuid_is_zero(node); i++) {
        struct member *member = membership->members + i;
        if (!uuid_equal(&member->node, node)) {
            continue;
        }
        bool is_better = !found || (found->is_retired && !member->is_retired) ||
                         (found->is_retired == member->is_retired &&
                          event_id_compare(member->admitted, found->admitted) > 0);
        found = is_better ? member : found;
    }
    return found;
}

uint32_t membership_active_count(const struct membership *membership)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < membership->count; i++) {
        count += !membership->members[i].is_retired;
    }
    return count;
}

uint16_t membership_free_actor(const struct membership *membership)
{
    uint32_t actor = 1;
    for (uint32_t i = 0; i < membership->count && membership->members[i].actor == actor; i++) {
        actor++;
    }
    return actor <= ACTORS_MAX ? (uint16_t)actor : 0;
}

static void set_address(struct member *member, struct bytes address)
{
    if (address.length == 0 || address.length > PEER_ADDRESS_BYTES_MAX) {
        return;
    }
    memcpy(member->address, address.data, address.length);
    member->address[address.length] = '\0';
}

// The member of that actor, a blank one where there was none.
static int member_at(struct membership *membership, uint16_t actor, struct member **member_out)
{
    assert(actor != 0);
    uint32_t i = find(membership, actor);
    if (i < membership->count && membership->members[i].actor == actor) {
        *member_out = membership->members + i;
        return 0;
    }
    if (membership->count == MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    if (membership->count == membership->capacity) {
        uint32_t capacity = membership->capacity == 0 ? 4 : 2 * membership->capacity;
        struct member *members = realloc(membership->members, capacity * sizeof *members);
        if (!members) {
            return ERR_MEMORY;
        }
        membership->members = members;
        membership->capacity = capacity;
    }
    struct member *at = membership->members + i;
    memmove(at + 1, at, (membership->count - i) * sizeof *at);
    *at = (struct member){.actor = actor};
    membership->count++;
    *member_out = at;
    return 0;
}

int membership_add_founder(struct membership *membership, uint16_t actor, const struct uuid *node,
                           const char *address)
{
    struct member *member = NULL;
    int err = member_at(membership, actor, &member);
    if (err) {
        return err;
    }
    if (uuid_is_zero(&member->node)) {
        member->node = *node;
        set_address(member, bytes_of_text(address));
    }
    return 0;
}

// Whoever admits is a member, also where nothing else says so. Of two that claim the same the lower
// uuid holds, so that the order does not matter.
static int apply_maker(struct membership *membership, const struct member_event *event)
{
    struct member *maker = NULL;
    int err = member_at(membership, event->id.actor, &maker);
    if (err) {
        return err;
    }
    bool is_claim = event_id_is_none(maker->admitted);
    if (uuid_is_zero(&maker->node) || (is_claim && uuid_compare(&event->by, &maker->node) < 0)) {
        maker->node = event->by;
    }
    return 0;
}

static int apply_admitted(struct membership *membership, const struct member_event *event)
{
    int err = apply_maker(membership, event);
    struct member *member = NULL;
    err = err ? err : member_at(membership, event->actor, &member);
    if (err) {
        return err;
    }
    bool has_admission = !event_id_is_none(member->admitted);
    bool is_lower = !has_admission || event_id_compare(event->id, member->admitted) < 0;
    bool is_other = !uuid_is_zero(&member->node) && !uuid_equal(&member->node, &event->node);
    if (is_lower) {
        member->node = event->node;
        member->admitted = event->id;
        set_address(member, event->address);
    }
    if (is_other) {
        return MEMBERSHIP_CONFLICT;
    }
    return is_lower ? 0 : MEMBERSHIP_SAME;
}

static int apply_retired(struct membership *membership, const struct member_event *event)
{
    struct member *member = NULL;
    int err = member_at(membership, event->actor, &member);
    if (err) {
        return err;
    }
    int order = memcmp(event->seal_hash.bytes, member->seal_hash.bytes, sizeof(struct hash128));
    bool is_higher = event->seal > member->seal || (event->seal == member->seal && order > 0);
    if (member->is_sealed && !is_higher && member->is_forced >= event->is_forced) {
        return MEMBERSHIP_SAME;
    }
    member->is_forced |= event->is_forced;
    member->is_sealed = true;
    if (is_higher) {
        member->seal = event->seal;
        member->seal_hash = event->seal_hash;
    }
    return 0;
}

static void work_out_void(struct membership *membership)
{
    for (uint32_t i = 0; i < membership->count; i++) {
        struct member *member = membership->members + i;
        const struct member *maker = event_id_is_none(member->admitted)
                                         ? NULL
                                         : membership_of_actor(membership, member->admitted.actor);
        member->is_void = maker && maker->is_sealed && maker->seal < member->admitted.counter;
        member->is_retired = member->is_sealed || member->is_void;
    }
}

int membership_apply(struct membership *membership, const struct member_event *event)
{
    int result = MEMBERSHIP_SAME;
    switch (event->kind) {
    case MEMBER_ADMITTED:
        result = apply_admitted(membership, event);
        break;
    case MEMBER_RETIRED:
        result = apply_retired(membership, event);
        break;
    case MEMBER_LOST:
    case MEMBER_FORGIVEN:
        return MEMBERSHIP_SAME;
    }
    work_out_void(membership);
    return result;
}
