// What an operator must know of a configured or known address that answers and is no peer of this
// node: an alarm per address, which stands until a link to it comes up. And of links: one line when
// the link to a member has come up, one when it has gone.

#include <stdio.h>

#include "proto/base/hash.h"
#include "replication/links_state.h"

enum { ANNOUNCED_MS = 250 };

static uint64_t subject_of(const struct target *target)
{
    return hash64(bytes_of_text(target->address));
}

void target_refused(struct replica *replica, const struct target *target, uint32_t refusal)
{
    uint64_t subject = subject_of(target);
    if (refusal == REFUSAL_CLUSTER) {
        alarm_raise(replica, "another_cluster", subject,
                    "%.120s belongs to another cluster than this node: nothing is exchanged. "
                    "Correct the addresses of its peers; to change its cluster a node starts with "
                    "an empty data directory",
                    target->address);
    } else if (refusal == REFUSAL_SECRET || refusal == REFUSAL_ADDRESS) {
        alarm_raise(replica, "secret", subject,
                    "%.120s and this node have not the same cluster secret, or one has none: "
                    "nothing is exchanged. Give every member the same file (cluster_secret_file)",
                    target->address);
    } else if (refusal == REFUSAL_VERSION) {
        alarm_raise(replica, "version", subject,
                    "%.120s and this node speak no common version of the protocol of peers: "
                    "nothing is exchanged. Upgrade the older of them",
                    target->address);
    }
}

void target_proved(struct replica *replica, const struct target *target)
{
    alarm_clear(replica, "secret", subject_of(target));
    alarm_clear(replica, "version", subject_of(target));
}

void target_fits(struct replica *replica, const struct target *target)
{
    target_proved(replica, target);
    alarm_clear(replica, "another_cluster", subject_of(target));
}

// --- Lines for the log -------------------------------------------------------------------------

static const char *address_of(struct replica *replica, const struct link *link)
{
    const struct target *target = target_of_node(replica, &link->node);
    const char *known = target ? target->address : "";
    return link->address[0] != '\0' ? link->address : known[0] != '\0' ? known : "no address";
}

// Behind the duplicates of the first moments: whoever is still there is a link.
struct instant link_announced_at(const struct replica *replica, const struct link *link)
{
    bool is_member = link->actor != 0 && !link->is_newcomer && replica->actor != 0;
    return link->is_announced || !is_member ? INSTANT_NEVER
                                            : instant_add(link->since, duration_ms(ANNOUNCED_MS));
}

void link_announce(struct replica *replica, struct link *link)
{
    if (link->is_ended || !instant_reached(link_announced_at(replica, link), replica->now)) {
        return;
    }
    link->is_announced = true;
    push_report(replica, SEVERITY_INFO, "linked to actor %u at %s", (unsigned)link->actor,
                address_of(replica, link));
}

// One connection that takes the place of another of the same run is the same link for people.
void link_announce_end(struct replica *replica, const struct link *link)
{
    if (!link->is_announced) {
        return;
    }
    for (uint32_t i = 0; i < replica->links_count; i++) {
        struct link *other = &replica->links[i];
        if (other != link && !other->is_ended && uuid_equal(&other->node, &link->node) &&
            other->run.random == link->run.random) {
            other->is_announced = true;
            return;
        }
    }
    push_report(replica, SEVERITY_INFO, "the link to actor %u at %s has ended%s%s",
                (unsigned)link->actor, address_of(replica, link),
                link->why_ended[0] != '\0' ? ": " : "", link->why_ended);
}
