// When a connection is lost the next address is tried at once, so that the death of one node costs
// no waiting; only a whole round without success, or the loss of the only address, is followed by a
// pause. The order is random, so that the clients of a node that dies spread over the others.

#include "client/roster.h"

#include <stdlib.h>
#include <string.h>

#include "client/weir.h"

int roster_init(struct roster *roster, const char *const *addresses, uint32_t count,
                bool is_ordered, uint64_t seed, struct reason *reason)
{
    *roster = (struct roster){0};
    backoff_init(&roster->backoff, seed);
    for (uint32_t i = 0; i < count; i++) {
        struct weir_address_parts parts;
        struct weir_reason why;
        if (weir_address_split(addresses[i], &parts, &why) != 0) {
            return reason_set(reason, ERR_INVALID, "%s", why.text);
        }
        size_t size = strlen(addresses[i]) + 1;
        roster->addresses[i] = malloc(size);
        if (!roster->addresses[i]) {
            return ERR_MEMORY;
        }
        memcpy(roster->addresses[i], addresses[i], size);
        roster->count++;
    }
    for (uint32_t i = count; i > 1 && !is_ordered; i--) {
        uint64_t other = random_below(&roster->backoff.random, i);
        char *address = roster->addresses[i - 1];
        roster->addresses[i - 1] = roster->addresses[other];
        roster->addresses[other] = address;
    }
    return 0;
}

void roster_deinit(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->count; i++) {
        free(roster->addresses[i]);
    }
    roster->count = 0;
}

const char *roster_address(const struct roster *roster)
{
    return roster->addresses[roster->at];
}

static uint32_t useful_count(const struct roster *roster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < roster->count; i++) {
        count += !roster->is_useless[i];
    }
    return count;
}

static void turn(struct roster *roster)
{
    do {
        roster->at = (roster->at + 1) % roster->count;
    } while (roster->is_useless[roster->at]);
}

struct duration roster_lost(struct roster *roster, bool was_good)
{
    uint32_t useful = useful_count(roster);
    if (was_good) {
        roster->failures = 0;
        backoff_reset(&roster->backoff);
    } else {
        roster->failures++;
    }
    turn(roster);
    bool was_round = was_good ? useful <= 1 : roster->failures % useful == 0;
    return was_round ? backoff_next(&roster->backoff) : duration_ms(0);
}

bool roster_give_up(struct roster *roster)
{
    roster->is_useless[roster->at] = true;
    return useful_count(roster) == 0;
}
