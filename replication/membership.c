// Few changes: the table is an array that is sorted by actor, beside it one of nodes and actors
// that is sorted by node; both are bisected. Which admission holds depends on seals that may come
// before or after it, so all that may hold are kept. That is worked out anew for the members that
// an admission names, and for all after a seal.

#include "replication/membership.h"

#include <assert.h>
#include <stdlib.h>

void membership_deinit(struct membership *membership)
{
    free(membership->members);
    free(membership->nodes);
    free(membership->admissions);
    *membership = (struct membership){.version = membership->version + 1};
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

// The index of the first entry that is not below the node and actor.
static uint32_t find_node(const struct membership *membership, const struct uuid *node,
                          uint16_t actor)
{
    uint32_t begin = 0;
    uint32_t left = membership->nodes_count;
    while (left > 0) {
        uint32_t half = left / 2;
        const struct member_node *entry = &membership->nodes[begin + half];
        int order = uuid_compare(&entry->node, node);
        bool is_below = order < 0 || (order == 0 && entry->actor < actor);
        begin = is_below ? begin + half + 1 : begin;
        left = is_below ? left - half - 1 : half;
    }
    return begin;
}

// Cannot fail: there is room for one entry of each member.
static void set_node(struct membership *membership, struct member *member, const struct uuid *node)
{
    if (uuid_equal(&member->node, node)) {
        return;
    }
    if (!uuid_is_zero(&member->node)) {
        uint32_t i = find_node(membership, &member->node, member->actor);
        membership->nodes_count--;
        memmove(membership->nodes + i, membership->nodes + i + 1,
                (membership->nodes_count - i) * sizeof *membership->nodes);
    }
    if (!uuid_is_zero(node)) {
        uint32_t i = find_node(membership, node, member->actor);
        memmove(membership->nodes + i + 1, membership->nodes + i,
                (membership->nodes_count - i) * sizeof *membership->nodes);
        membership->nodes[i] = (struct member_node){.node = *node, .actor = member->actor};
        membership->nodes_count++;
    }
    member->node = *node;
}

struct member *membership_of_node(const struct membership *membership, const struct uuid *node)
{
    struct member *found = NULL;
    for (uint32_t i = find_node(membership, node, 0);
         i < membership->nodes_count && uuid_equal(&membership->nodes[i].node, node); i++) {
        struct member *member = membership_of_actor(membership, membership->nodes[i].actor);
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

static void set_address(char address_out[PEER_ADDRESS_BYTES_MAX + 1], struct bytes address)
{
    if (address.length == 0 || address.length > PEER_ADDRESS_BYTES_MAX) {
        return;
    }
    memcpy(address_out, address.data, address.length);
    address_out[address.length] = '\0';
}

static int reserve_member(struct membership *membership)
{
    if (membership->count == MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    if (membership->count < membership->capacity) {
        return 0;
    }
    uint32_t capacity = membership->capacity == 0 ? 4 : 2 * membership->capacity;
    struct member_node *nodes = realloc(membership->nodes, capacity * sizeof *nodes);
    if (!nodes) {
        return ERR_MEMORY;
    }
    membership->nodes = nodes;
    struct member *members = realloc(membership->members, capacity * sizeof *members);
    if (!members) {
        return ERR_MEMORY;
    }
    membership->members = members;
    membership->capacity = capacity;
    return 0;
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
    int err = reserve_member(membership);
    if (err) {
        return err;
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
        set_node(membership, member, node);
        member->claimed = *node;
        set_address(member->address, bytes_of_text(address));
    }
    membership->version++;
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
    if (uuid_is_zero(&maker->claimed) || uuid_compare(&event->by, &maker->claimed) < 0) {
        maker->claimed = event->by;
    }
    return 0;
}

static uint32_t find_admission(const struct membership *membership, uint16_t actor)
{
    uint32_t begin = 0;
    uint32_t left = membership->admissions_count;
    while (left > 0) {
        uint32_t half = left / 2;
        bool is_below = membership->admissions[begin + half].actor < actor;
        begin = is_below ? begin + half + 1 : begin;
        left = is_below ? left - half - 1 : half;
    }
    return begin;
}

static int admission_at(struct membership *membership, const struct member_event *event,
                        struct member_admission **admission_out)
{
    uint32_t i = find_admission(membership, event->actor);
    for (; i < membership->admissions_count && membership->admissions[i].actor == event->actor;
         i++) {
        if (membership->admissions[i].id.actor == event->id.actor) {
            *admission_out = &membership->admissions[i];
            return 0;
        }
    }
    if (membership->admissions_count == membership->admissions_capacity) {
        uint32_t capacity =
            membership->admissions_capacity == 0 ? 4 : 2 * membership->admissions_capacity;
        struct member_admission *admissions =
            realloc(membership->admissions, capacity * sizeof *admissions);
        if (!admissions) {
            return ERR_MEMORY;
        }
        membership->admissions = admissions;
        membership->admissions_capacity = capacity;
    }
    struct member_admission *at = membership->admissions + i;
    memmove(at + 1, at, (membership->admissions_count - i) * sizeof *at);
    *at = (struct member_admission){.actor = event->actor};
    membership->admissions_count++;
    *admission_out = at;
    return 0;
}

static int apply_admitted(struct membership *membership, const struct member_event *event)
{
    int err = apply_maker(membership, event);
    struct member *member = NULL;
    struct member_admission *admission = NULL;
    err = err ? err : member_at(membership, event->actor, &member);
    err = err ? err : admission_at(membership, event, &admission);
    if (err) {
        return err;
    }
    bool is_first = event_id_is_none(admission->id);
    bool is_other = !uuid_is_zero(&member->node) && !uuid_equal(&member->node, &event->node);
    bool is_news = is_first || event_id_compare(event->id, admission->id) < 0;
    if (is_news) {
        *admission = (struct member_admission){
            .actor = event->actor,
            .id = event->id,
            .node = event->node,
        };
        set_address(admission->address, event->address);
    }
    if (is_other) {
        return MEMBERSHIP_CONFLICT;
    }
    return is_news ? 0 : MEMBERSHIP_SAME;
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

static bool is_void(const struct membership *membership, const struct member_admission *admission)
{
    const struct member *maker = membership_of_actor(membership, admission->id.actor);
    return maker && maker->is_sealed && maker->seal < admission->id.counter;
}

// Takes over what gossip has not said better: an address stays as long as the admission does.
static void take_admission(struct membership *membership, struct member *member,
                           const struct member_admission *admission)
{
    if (event_id_compare(member->admitted, admission->id) == 0 &&
        uuid_equal(&member->node, &admission->node)) {
        return;
    }
    bool keeps_address =
        admission->address[0] == '\0' && uuid_equal(&member->node, &admission->node);
    set_node(membership, member, &admission->node);
    member->admitted = admission->id;
    if (!keeps_address) {
        memcpy(member->address, admission->address, sizeof member->address);
    }
}

// Which admission of a member holds: the lowest that is not void, else the lowest.
static void work_out(struct membership *membership, struct member *member)
{
    const struct member_admission *holds = NULL;
    member->is_void = false;
    for (uint32_t i = find_admission(membership, member->actor);
         i < membership->admissions_count && membership->admissions[i].actor == member->actor;
         i++) {
        const struct member_admission *admission = &membership->admissions[i];
        bool is_this_void = is_void(membership, admission);
        bool is_better = !holds || (is_this_void == member->is_void
                                        ? event_id_compare(admission->id, holds->id) < 0
                                        : member->is_void);
        holds = is_better ? admission : holds;
        member->is_void = is_better ? is_this_void : member->is_void;
    }
    if (holds) {
        take_admission(membership, member, holds);
    } else if (!uuid_is_zero(&member->claimed)) {
        set_node(membership, member, &member->claimed);
    }
    member->is_retired = member->is_sealed || member->is_void;
}

static void work_out_actor(struct membership *membership, uint16_t actor)
{
    struct member *member = membership_of_actor(membership, actor);
    if (member) {
        work_out(membership, member);
    }
}

int membership_apply(struct membership *membership, const struct member_event *event)
{
    int result = MEMBERSHIP_SAME;
    switch (event->kind) {
    case MEMBER_ADMITTED:
        result = apply_admitted(membership, event);
        work_out_actor(membership, event->id.actor);
        work_out_actor(membership, event->actor);
        break;
    case MEMBER_RETIRED:
        result = apply_retired(membership, event);
        for (uint32_t i = 0; i < membership->count; i++) {
            work_out(membership, &membership->members[i]);
        }
        break;
    case MEMBER_LOST:
    case MEMBER_FORGIVEN:
        break;
    }
    membership->version++;
    return result;
}
