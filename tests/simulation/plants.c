// The one variable that production code looks at in this build, and the names of its values.
#include "tests/simulation/plants.h"

#include <stddef.h>
#include <string.h>

enum planted planted = PLANTED_NONE;

#define NAME(plant) [PLANTED_##plant] = #plant
static const char *const NAMES[PLANTED_COUNT] = {
    NAME(NONE),
    NAME(SKIP_SYNC),
    NAME(REUSE_COUNTER),
    NAME(VECTOR_EARLY),
    NAME(IGNORE_PREV),
    NAME(DROP_LATE_LOW),
    NAME(SWALLOW_READ_ERROR),
    NAME(FRONTIER_WRONG_MINIMUM),
    NAME(NO_LEASE),
    NAME(PROMISE_ABOVE_LEASE),
    NAME(PROMISES_FORGOTTEN),
    NAME(RETIRED_BEFORE_SEAL),
    NAME(HEADS_WITHOUT_FENCE),
    NAME(ONLY_FIRST_PEER_AT_START),
    NAME(NEVER_REDIAL),
    NAME(HALF_PRODUCE),
    NAME(CREDIT_BEFORE_DURABLE),
    NAME(CLONE_PRODUCES),
    NAME(CURSOR_AHEAD_RESET),
    NAME(UNSYNCED_VISIBLE),
    NAME(ACK_BEFORE_SYNC),
    NAME(SOURCE_NEVER_CHANGES),
    NAME(FLOOD),
    NAME(HALF_OPEN_LIVES),
    NAME(CLOCK_NOT_RAISED),
    NAME(PROMISE_WITHOUT_HEAD),
    NAME(COUNTER_POISON),
    NAME(CREDIT_IGNORED),
    NAME(ADMIT_WITHOUT_CONSENT),
    NAME(NEWCOMER_PRODUCES_EARLY),
    NAME(FORK_OVERWRITES),
    NAME(REPAIR_UNCHECKED),
    NAME(REPLICAS_COUNT_SELF_TWICE),
    NAME(LIVE_GAP),
    NAME(CHECKPOINT_AHEAD),
    NAME(ACK_UP_TO_OF_ALL),
    NAME(KEY_TO_TWO),
    NAME(RESET_BY_MAXIMUM),
    NAME(CHECKPOINT_BY_ID),
    NAME(OWN_CHECKPOINTS_SEEN),
    NAME(REDELIVERY_FORGOTTEN),
    NAME(DEAD_CONSUMER_DONE),
};

const char *plant_name(enum planted plant)
{
    return plant < PLANTED_COUNT && NAMES[plant] ? NAMES[plant] : "UNNAMED";
}

enum planted plant_of_name(const char *name)
{
    for (unsigned i = 1; i < PLANTED_COUNT; i++) {
        if (NAMES[i] && strcmp(NAMES[i], name) == 0) {
            return (enum planted)i;
        }
    }
    return PLANTED_NONE;
}
