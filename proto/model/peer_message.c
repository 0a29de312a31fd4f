// The names of refusals between members: the table that docs/protocol.md lists.

#include "proto/model/peer_message.h"

const char *peer_refusal_name(enum peer_refusal refusal)
{
    switch (refusal) {
    case REFUSAL_MALFORMED:
        return "malformed";
    case REFUSAL_VERSION:
        return "version";
    case REFUSAL_CLUSTER:
        return "another_cluster";
    case REFUSAL_SECRET:
        return "wrong_secret";
    case REFUSAL_ACTOR:
        return "actor_taken";
    case REFUSAL_SELF:
        return "myself";
    case REFUSAL_DUPLICATE:
        return "duplicate_link";
    case REFUSAL_RETIRED:
        return "retired";
    case REFUSAL_COUNTER:
        return "counter_from_nowhere";
    case REFUSAL_FULL:
        return "too_many_links";
    case REFUSAL_ADDRESS:
        return "no_secret";
    case REFUSAL_SHUTDOWN:
        return "shutting_down";
    case REFUSAL_PROTOCOL:
        return "out_of_turn";
    }
    return "unknown_refusal";
}
