// The list of members is compared with the table whenever that has changed: who was admitted
// meanwhile is asked too, and nobody waits for who was retired.

#include "replication/round.h"

#include <stdio.h>
#include <stdlib.h>

enum { MISSING_NAMED_MAX = 4, ROUND_SENDS_MAX = 16 };

void round_open(struct replica *replica, struct round *round, enum peer_ask_kind kind,
                uint16_t actor, const struct uuid *node, const char *address)
{
    round_close(round);
    round->is_open = true;
    round->since = replica->now;
    round->due = replica->now;
    round->kind = kind;
    round->actor = actor;
    round->node = *node;
    (void)snprintf(round->address, sizeof round->address, "%s", address ? address : "");
}

void round_close(struct round *round)
{
    free(round->members);
    *round = (struct round){0};
}

static struct round_member *find(struct round *round, uint16_t actor)
{
    for (uint32_t i = 0; i < round->count; i++) {
        if (round->members[i].actor == actor) {
            return &round->members[i];
        }
    }
    return NULL;
}

static int add(struct round *round, const struct member *member, bool is_optional)
{
    if (round->count == round->capacity) {
        uint32_t capacity = round->capacity == 0 ? 8 : 2 * round->capacity;
        struct round_member *members = realloc(round->members, capacity * sizeof *members);
        if (!members) {
            return ERR_MEMORY;
        }
        round->members = members;
        round->capacity = capacity;
    }
    round->members[round->count++] = (struct round_member){
        .node = member->node, .actor = member->actor, .is_optional = is_optional};
    return 0;
}

// Neither this node nor, for a consent, the node that asks for another actor: that it asks is its
// own, and it is no member as long as it does.
static bool is_left_out(const struct replica *replica, const struct round *round,
                        const struct member *member)
{
    bool is_asking = round->kind == ASK_CONSENT && uuid_equal(&member->node, &round->node);
    return is_asking || uuid_equal(&member->node, &replica->config.node);
}

static int follow(struct replica *replica, struct round *round)
{
    if (round->is_followed && round->members_version == replica->members.version) {
        return 0;
    }
    for (uint32_t i = 0; i < round->count;) {
        const struct member *member =
            membership_of_actor(&replica->members, round->members[i].actor);
        if (member && !member->is_retired) {
            i++;
        } else {
            round->members[i] = round->members[--round->count];
        }
    }
    for (uint32_t i = 0; i < replica->members.count; i++) {
        const struct member *member = &replica->members.members[i];
        bool is_own = uuid_equal(&member->node, &replica->config.node);
        // A node that is rescued asks for itself: its old name is not asked.
        bool is_asking = round->kind == ASK_CONSENT && uuid_equal(&member->node, &round->node);
        if (member->is_retired || is_own || is_asking || find(round, member->actor)) {
            continue;
        }
        int err = add(round, member, member->actor == round->optional);
        if (err) {
            return err;
        }
    }
    round->is_followed = true;
    round->members_version = replica->members.version;
    return 0;
}

// The link over which a member can be asked: its own, not that of a copy of it.
static struct link *link_to(struct replica *replica, const struct round_member *member)
{
    struct link *link = link_of_node(replica, &member->node);
    return link && !link->is_copy && !link->is_ended ? link : NULL;
}

int round_tick(struct replica *replica, struct round *round)
{
    if (!round->is_open) {
        return 0;
    }
    round->due = instant_add(replica->now, duration_ms(TICK_MS));
    int err = follow(replica, round);
    uint32_t sent = 0;
    for (uint32_t i = 0; err == 0 && i < round->count && sent < ROUND_SENDS_MAX; i++) {
        struct round_member *member = &round->members[i];
        struct link *link = link_to(replica, member);
        if (member->is_answered || !link || !instant_reached(member->next, replica->now)) {
            continue;
        }
        struct ask *old = ask_find(replica, member->link, member->token);
        if (old) {
            ask_free(old);
        }
        struct peer_ask question = {
            .kind = round->kind,
            .actor = round->actor,
            .node = round->node,
        };
        size_t length = strlen(round->address);
        uint8_t *address = length > 0 ? step_alloc(replica, length) : NULL;
        if (address) {
            memcpy(address, round->address, length);
            question.address = bytes_of(address, length);
        }
        struct ask *ask = ask_send(replica, link, &question);
        member->next = instant_add(replica->now, duration_ms(ASK_MS));
        member->link = ask ? link->id : 0;
        member->token = ask ? ask->token : 0;
        sent++;
    }
    return err;
}

struct instant round_deadline(const struct round *round)
{
    return round->is_open ? round->due : INSTANT_NEVER;
}

bool round_answered(struct replica *replica, struct round *round, const struct ask *ask,
                    bool is_final)
{
    for (uint32_t i = 0; round->is_open && i < round->count; i++) {
        struct round_member *member = &round->members[i];
        if (member->token == ask->token && member->link == ask->link && member->token != 0) {
            member->is_answered = is_final;
            member->link = 0;
            member->token = 0;
            return true;
        }
    }
    return false;
}

void round_link_down(struct round *round, link_id link)
{
    for (uint32_t i = 0; i < round->count; i++) {
        struct round_member *member = &round->members[i];
        if (member->link == link) {
            member->link = 0;
            member->token = 0;
            member->next = (struct instant){0};
        }
    }
}

bool round_is_complete(struct replica *replica, const struct round *round, bool is_forced)
{
    for (uint32_t i = 0; i < replica->members.count; i++) {
        const struct member *member = &replica->members.members[i];
        if (member->is_retired || is_left_out(replica, round, member)) {
            continue;
        }
        const struct round_member *asked = find((struct round *)round, member->actor);
        bool may_be_missing = is_forced || member->actor == round->optional;
        if (!asked && !may_be_missing) {
            return false;
        }
        if (asked && !asked->is_answered && !(may_be_missing && link_to(replica, asked) == NULL)) {
            return false;
        }
    }
    return true;
}

bool round_awaits(const struct round *round, const struct uuid *node)
{
    for (uint32_t i = 0; round->is_open && i < round->count; i++) {
        if (!round->members[i].is_answered && uuid_equal(&round->members[i].node, node)) {
            return true;
        }
    }
    return false;
}

void round_missing(const struct replica *replica, const struct round *round, struct reason *out)
{
    size_t length = 0;
    uint32_t named = 0;
    reason_clear(out);
    for (uint32_t i = 0; i < round->count; i++) {
        const struct round_member *asked = &round->members[i];
        if (asked->is_answered || asked->is_optional) {
            continue;
        }
        if (++named > MISSING_NAMED_MAX) {
            continue;
        }
        const struct member *member = membership_of_actor(&replica->members, asked->actor);
        bool has_address = member && member->address[0] != '\0';
        char text[64 + PEER_ADDRESS_BYTES_MAX];
        (void)snprintf(text, sizeof text, "%sactor %u%s%.60s%s", named > 1 ? ", " : "",
                       (unsigned)asked->actor, has_address ? " (" : "",
                       has_address ? member->address : "", has_address ? ")" : "");
        size_t more = strlen(text);
        if (length + more < sizeof out->text - 24) {
            memcpy(out->text + length, text, more + 1);
            length += more;
        }
    }
    if (named > MISSING_NAMED_MAX) {
        (void)snprintf(out->text + length, sizeof out->text - length, " and %u more",
                       (unsigned)(named - MISSING_NAMED_MAX));
    }
    if (named == 0) {
        (void)snprintf(out->text, sizeof out->text, "a member");
    }
}
