// A member whose link comes up may have been away: what it does not hold yet it would hand out
// again. So it counts once it holds what this node held when the link came up. It sees that from
// its own side in the same way: it does not count itself before it holds what the others held.
// Either ends after COORDINATOR_WAIT_MS, so that nobody is left out for good.

#include "server/node/coordinators.h"

#include "proto/base/hash.h"

enum { COORDINATOR_WAIT_MS = 60000 };

static void forget(struct coordinator *other)
{
    version_vector_deinit(&other->wanted);
    version_vector_deinit(&other->theirs);
}

void coordinators_deinit(struct coordinators *coordinators)
{
    for (uint32_t i = 0; i < coordinators->others_count; i++) {
        forget(&coordinators->others[i]);
    }
    coordinators->others_count = 0;
}

static uint64_t seed_of(const struct uuid *node)
{
    return hash64(bytes_of(node->bytes, sizeof node->bytes));
}

// Those whose link is gone go.
static bool remove_gone(struct coordinators *coordinators, const struct replica_link *links,
                        uint32_t count)
{
    bool is_changed = false;
    for (uint32_t i = 0; i < coordinators->others_count;) {
        struct coordinator *other = &coordinators->others[i];
        bool is_there = false;
        for (uint32_t k = 0; k < count && !is_there; k++) {
            is_there = links[k].id == other->link && links[k].actor == other->actor;
        }
        if (is_there) {
            i++;
            continue;
        }
        is_changed = true;
        forget(other);
        *other = coordinators->others[--coordinators->others_count];
    }
    return is_changed;
}

// NULL: there is no room, or no memory; the next look tries again.
static struct coordinator *find_or_add(struct coordinators *coordinators,
                                       const struct replica_link *link,
                                       const struct version_vector *own, struct instant now)
{
    for (uint32_t i = 0; i < coordinators->others_count; i++) {
        if (coordinators->others[i].link == link->id) {
            return &coordinators->others[i];
        }
    }
    if (coordinators->others_count == LINKS_MAX) {
        return NULL;
    }
    struct coordinator *other = &coordinators->others[coordinators->others_count];
    *other = (struct coordinator){
        .link = link->id,
        .node = link->node,
        .seed = seed_of(&link->node),
        .actor = link->actor,
        .since = now,
    };
    if (version_vector_copy(&other->wanted, own)) {
        forget(other);
        return NULL;
    }
    coordinators->others_count++;
    return other;
}

// Whether the other one counts by now, and whether this node has yet to catch up with it.
static bool judge(struct coordinator *other, const struct replica_link *link,
                  const struct version_vector *own, struct instant now)
{
    bool counted = other->counts;
    bool is_late =
        instant_reached(instant_add(other->since, duration_ms(COORDINATOR_WAIT_MS)), now);
    if (link->held && !other->is_noted) {
        other->is_noted = version_vector_copy(&other->theirs, link->held) == 0;
        other->is_ahead = other->is_noted;
    }
    other->counts =
        counted || is_late || (link->held && version_vector_includes(link->held, &other->wanted));
    other->is_ahead = other->is_ahead && !is_late && !version_vector_includes(own, &other->theirs);
    if (other->counts) {
        version_vector_deinit(&other->wanted);
    }
    if (!other->is_ahead) {
        version_vector_deinit(&other->theirs);
    }
    return other->counts != counted;
}

bool coordinators_update(struct coordinators *coordinators, const struct uuid *self,
                         const struct replica_link *links, uint32_t count,
                         const struct version_vector *own, struct instant now)
{
    bool is_changed = remove_gone(coordinators, links, count);
    bool own_counts = true;
    coordinators->own_seed = seed_of(self);
    for (uint32_t i = 0; i < count; i++) {
        if (!(links[i].abilities & PEER_COORDINATES)) {
            continue;
        }
        struct coordinator *other = find_or_add(coordinators, &links[i], own, now);
        if (other) {
            is_changed |= judge(other, &links[i], own, now);
            own_counts = own_counts && !(other->is_ahead && other->counts);
        }
    }
    is_changed |= own_counts != coordinators->own_counts;
    coordinators->own_counts = own_counts;
    return is_changed;
}

link_id coordinators_choose(const struct coordinators *coordinators, struct bytes name)
{
    uint64_t best = 0;
    link_id chosen = 0;
    if (coordinators->own_counts) {
        best = hash64_keyed(name, coordinators->own_seed);
    }
    for (uint32_t i = 0; i < coordinators->others_count; i++) {
        const struct coordinator *other = &coordinators->others[i];
        uint64_t hash = other->counts ? hash64_keyed(name, other->seed) : 0;
        if (hash > best) {
            best = hash;
            chosen = other->link;
        }
    }
    return chosen;
}
