// How this node becomes a member: it founds a cluster, or is admitted to one.
//
// Asked for is what a crash cannot undo: members note durably that the actor is this node's before
// the answer comes; the record "joining" and the identity are on the disk before a member is told
// to make it an event; and any member can do that, not just the one that was asked first. So at
// every point either nothing has happened, or what is on the disk says how to go on.

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/joining_state.h"
#include "replication/starting_state.h"

#define JOINING_KEY "joining"

enum {
    RECORD_VERSION = 1,
    RECORD_BYTES = 20,
    ASK_NEXT_MS = 20, // after an answer that does not help
};

int joining_new(struct replica *replica)
{
    replica->joining = calloc(1, sizeof *replica->joining);
    if (!replica->joining) {
        return ERR_MEMORY;
    }
    replica->joining->due = INSTANT_NEVER;
    return 0;
}

void joining_free(struct replica *replica)
{
    if (replica->joining) {
        admitting_free(replica->joining);
        free(replica->joining);
    }
    replica->joining = NULL;
}

// --- Records -----------------------------------------------------------------------------------

void joining_record(struct replica *replica, struct bytes key, struct bytes value)
{
    struct joining_state *state = replica->joining;
    if (!bytes_equal(key, bytes_of_text(JOINING_KEY))) {
        known_record(replica, key, value);
        admitting_record(replica, key, value);
        return;
    }
    bool is_known = value.length >= RECORD_BYTES && value.data[0] == RECORD_VERSION;
    if (is_known) {
        state->become.actor = load_be16(value.data + 2);
        memcpy(state->become.cluster.bytes, value.data + 4, sizeof state->become.cluster.bytes);
    }
}

// False: no memory.
static bool save_joining(struct replica *replica, const struct replica_become *become)
{
    uint8_t *value = step_alloc(replica, RECORD_BYTES);
    if (!value) {
        return false;
    }
    value[0] = RECORD_VERSION;
    value[1] = 0;
    store_be16(value + 2, become->actor);
    memcpy(value + 4, become->cluster.bytes, sizeof become->cluster.bytes);
    push_record(replica, bytes_of_text(JOINING_KEY), bytes_of(value, RECORD_BYTES));
    return true;
}

// --- Greetings ---------------------------------------------------------------------------------

static bool is_our_cluster(const struct replica *replica, const struct greeting *greeting)
{
    return !uuid_is_zero(&replica->cluster) && uuid_equal(&greeting->cluster, &replica->cluster);
}

// Whether this node founded a cluster in which nothing has happened yet.
static bool is_idle_founder(const struct replica *replica)
{
    const struct joining_state *state = replica->joining;
    return replica->actor != 0 && state->phase == JOINING_NOT && replica->members.count == 1 &&
           version_vector_get(&replica->held, replica->actor) == 0 && replica->held.count == 0 &&
           !state->admission.is_open && state->consents_count == 0;
}

static bool gives_way_to(const struct replica *replica, const struct greeting *greeting)
{
    if (!is_idle_founder(replica) || uuid_is_zero(&greeting->cluster) ||
        is_our_cluster(replica, greeting)) {
        return false;
    }
    return !greeting->is_founder || uuid_compare(&replica->config.node, &greeting->node) > 0;
}

static struct greeting *greeting_of(struct joining_state *state, const struct uuid *node)
{
    for (uint32_t i = 0; i < state->greetings_count; i++) {
        if (uuid_equal(&state->greetings[i].node, node)) {
            return &state->greetings[i];
        }
    }
    return NULL;
}

static void think_now(struct replica *replica)
{
    replica->joining->due = replica->now;
    replica->joining->next = replica->now;
}

void joining_link_up(struct replica *replica, struct link *link, const struct peer_hello *hello)
{
    struct joining_state *state = replica->joining;
    struct greeting *greeting = greeting_of(state, &hello->node);
    if (!greeting && state->greetings_count < LINKS_MAX) {
        greeting = &state->greetings[state->greetings_count++];
    }
    if (!greeting) {
        return;
    }
    *greeting = (struct greeting){
        .link = link->id,
        .node = hello->node,
        .cluster = hello->cluster,
        .actor = hello->actor,
        .wanted = hello->wanted,
        .is_founder = hello->is_founder,
    };
    bool is_foreign = !uuid_is_zero(&hello->cluster) && !uuid_is_zero(&replica->cluster) &&
                      !is_our_cluster(replica, greeting);
    if (is_foreign && gives_way_to(replica, greeting)) {
        // the table holds this node alone; from now on it is filled with the members there
        membership_deinit(&replica->members);
        runs_forget(replica);
        state->phase = JOINING_ASKING;
        push_report(replica, SEVERITY_INFO,
                    "this node founded a cluster in which nothing happened: it gives way and "
                    "joins that of node with actor %u",
                    (unsigned)hello->actor);
    } else if (is_foreign && !link->is_newcomer && state->phase == JOINING_NOT) {
        push_drop(replica, link->id, REFUSAL_CLUSTER, "this node admits another just now");
    }
    think_now(replica);
}

void joining_link_down(struct replica *replica, const struct link *link)
{
    struct joining_state *state = replica->joining;
    for (uint32_t i = 0; i < state->greetings_count; i++) {
        if (state->greetings[i].link == link->id) {
            state->greetings[i] = state->greetings[--state->greetings_count];
            break;
        }
    }
    if (state->asked_link == link->id) {
        state->asked_link = 0;
        state->asked_token = 0;
    }
    admitting_link_down(replica, link);
    think_now(replica);
}

// --- Founding ----------------------------------------------------------------------------------

// The lower of two fresh nodes founds: by the actor asked for, those that asked for none last.
static bool is_lower(uint16_t wanted_a, const struct uuid *a, uint16_t wanted_b,
                     const struct uuid *b)
{
    uint32_t rank_a = wanted_a == 0 ? UINT32_MAX : wanted_a;
    uint32_t rank_b = wanted_b == 0 ? UINT32_MAX : wanted_b;
    return rank_a != rank_b ? rank_a < rank_b : uuid_compare(a, b) < 0;
}

// Whether every configured peer has answered and is fresh, and this node is the lowest of them; if
// not, `text` says for whom it waits.
static bool may_found(struct replica *replica, char *text, size_t size)
{
    struct joining_state *state = replica->joining;
    const struct replica_config *config = &replica->config;
    if (config->bootstrap || config->peers_count == 0) {
        return true;
    }
    const char *lower = NULL;
    for (uint32_t i = 0; i < config->peers_count; i++) {
        const struct uuid *node = &replica->peer_nodes[i];
        if (uuid_equal(node, &config->node) ||
            strcmp(replica->peers[i].text, config->advertise.text) == 0) {
            continue;
        }
        const struct greeting *greeting = uuid_is_zero(node) ? NULL : greeting_of(state, node);
        if (!greeting) {
            (void)snprintf(text, size, "waiting for %.200s to found the cluster",
                           replica->peers[i].text);
            return false;
        }
        bool is_fresh = uuid_is_zero(&greeting->cluster);
        if (!is_fresh ||
            is_lower(greeting->wanted, &greeting->node, config->wanted, &config->node)) {
            lower = replica->peers[i].text;
        }
    }
    if (lower) {
        (void)snprintf(text, size, "waiting for %.200s, which founds the cluster", lower);
    }
    return lower == NULL;
}

static void found(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    state->become = (struct replica_become){
        .actor = replica->config.wanted != 0 ? replica->config.wanted : 1,
        .clock = replica->clock,
    };
    random_bytes(&replica->random, state->become.cluster.bytes, sizeof state->become.cluster.bytes);
    state->become.cluster.bytes[6] = (state->become.cluster.bytes[6] & 0x0f) | 0x40;
    state->become.cluster.bytes[8] = (state->become.cluster.bytes[8] & 0x3f) | 0x80;
    memcpy(state->become.cluster_name, replica->config.cluster_name,
           sizeof state->become.cluster_name);
    state->phase = JOINING_BECOMING;
    state->is_founding = true;
    push(replica, REPLICA_BECOME)->become = state->become;
    push_report(replica, SEVERITY_INFO, "founding a cluster as actor %u",
                (unsigned)state->become.actor);
}

// --- Asking ------------------------------------------------------------------------------------

// The first link behind `after` (0: of all) over which a member of the cluster that this node joins
// can be asked; NULL: none.
static struct link *link_to_member(struct replica *replica, link_id after)
{
    struct joining_state *state = replica->joining;
    bool is_bound = state->phase >= JOINING_TELLING || state->is_again;
    struct link *found = NULL;
    for (uint32_t i = 0; i < state->greetings_count; i++) {
        const struct greeting *greeting = &state->greetings[i];
        struct link *link = link_find(replica, greeting->link);
        bool is_right =
            is_bound ? is_our_cluster(replica, greeting)
                     : !uuid_is_zero(&greeting->cluster) && !is_our_cluster(replica, greeting);
        if (!link || link->is_ended || greeting->actor == 0 || !is_right) {
            continue;
        }
        const struct member *member = membership_of_actor(&replica->members, greeting->actor);
        if (member && member->is_retired) {
            continue;
        }
        if (link->id > after && (!found || link->id < found->id)) {
            found = link;
        }
    }
    return found;
}

static void ask(struct replica *replica, enum peer_ask_kind kind)
{
    struct joining_state *state = replica->joining;
    struct ask *open = ask_find(replica, state->asked_link, state->asked_token);
    if (open) {
        ask_free(open); // not answered in time: another member is asked
    }
    state->asked_link = 0;
    state->asked_token = 0;
    // one after the other, so that one that cannot answer is not asked for ever
    struct link *link = link_to_member(replica, state->asked_last);
    link = link ? link : link_to_member(replica, 0);
    if (!link) {
        return;
    }
    state->asked_last = link->id;
    uint16_t wanted = state->is_again ? 0 : replica->config.wanted;
    struct peer_ask question = {
        .kind = kind,
        .actor = kind == ASK_JOINED ? state->become.actor : wanted,
        .node = replica->config.node,
        .address = bytes_of_text(replica->config.advertise.text),
    };
    struct ask *asked = ask_send(replica, link, &question);
    state->asked_link = asked ? link->id : 0;
    state->asked_token = asked ? asked->token : 0;
}

// Most of those that are asked may be newcomers themselves, and it is one that can answer: all are
// asked before this node waits.
static void ask_next_soon(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    if (link_to_member(replica, state->asked_last)) {
        state->next = instant_add(replica->now, duration_ms(ASK_NEXT_MS));
        state->due = instant_earlier(state->due, state->next);
    }
}

static void admitted(struct replica *replica, const struct peer_answer *answer)
{
    struct joining_state *state = replica->joining;
    bool is_whole = answer->actor != 0 && !uuid_is_zero(&answer->cluster) &&
                    answer->text.length <= NAME_BYTES_MAX && answer->counter <= COUNTER_MAX;
    if (!is_whole || (state->is_again && !uuid_equal(&answer->cluster, &replica->cluster))) {
        return;
    }
    bool has_issued = version_vector_get(&replica->held, replica->actor) > 0;
    if (replica->actor != 0 && !state->is_again && has_issued) {
        state->phase = JOINING_NOT; // something was issued after all: the cluster stays
        return;
    }
    struct replica_become become = {
        .cluster = answer->cluster,
        .actor = answer->actor,
        .clock = answer->counter > replica->clock ? answer->counter : replica->clock,
        .must_be_idle = replica->actor != 0 && !(state->is_again && state->is_rescue),
    };
    if (answer->text.length > 0) {
        memcpy(become.cluster_name, answer->text.data, answer->text.length);
    }
    if (!save_joining(replica, &become)) {
        return; // asked again
    }
    state->become = become;
    state->actor_before = replica->actor;
    state->phase = JOINING_BECOMING;
    push(replica, REPLICA_BECOME)->become = become;
    alarm_clear(replica, "actor_taken", 0);
}

bool joining_again(struct replica *replica, bool is_rescue)
{
    struct joining_state *state = replica->joining;
    if (state->is_again && state->phase != JOINING_NOT) {
        return false;
    }
    state->is_again = true;
    state->is_rescue = is_rescue;
    state->alone = 0;
    state->phase = JOINING_ASKING;
    state->become = (struct replica_become){0};
    think_now(replica);
    return true;
}

static void raise_taken(struct replica *replica)
{
    alarm_raise(replica, "actor_taken", replica->actor,
                "actor %u, which this node has, is not its own in this cluster: its events are "
                "safe on this node. Give it another actor: weir cluster rescue",
                (unsigned)replica->actor);
}

// This node's actor was given to another, or its admission lies beyond the seal of its maker.
static void lose_actor(struct replica *replica)
{
    bool has_issued = version_vector_get(&replica->held, replica->actor) != 0;
    if (has_issued) {
        raise_taken(replica);
        return;
    }
    if (joining_again(replica, false)) {
        push_report(replica, SEVERITY_WARNING,
                    "the admission of this node as actor %u does not hold: it asks for another",
                    (unsigned)replica->actor);
    }
}

void joining_answer(struct replica *replica, struct link *link, const struct ask *asked,
                    const struct peer_answer *answer)
{
    struct joining_state *state = replica->joining;
    if (asked->kind == ASK_CONSENT) {
        admitting_answer(replica, asked, answer);
        return;
    }
    if (asked->token != state->asked_token || asked->link != state->asked_link) {
        return;
    }
    state->asked_link = 0;
    state->asked_token = 0;
    state->told[0] = '\0';
    if (answer->result != ANSWER_OK) {
        size_t length =
            answer->text.length < REASON_LENGTH_MAX ? answer->text.length : REASON_LENGTH_MAX;
        (void)snprintf(state->told, sizeof state->told, "%.*s", (int)length,
                       length > 0 ? (const char *)answer->text.data : "");
        if (answer->result == ANSWER_REFUSED && asked->kind == ASK_ADMIT) {
            alarm_raise(replica, "actor_taken", 0, "this node is not admitted: %.200s",
                        state->told);
        }
        bool is_lost = answer->result == ANSWER_REFUSED && asked->kind == ASK_JOINED;
        if (is_lost && state->phase == JOINING_TELLING) {
            lose_actor(replica);
        } else {
            ask_next_soon(replica);
        }
        return;
    }
    if (asked->kind == ASK_ADMIT && state->phase == JOINING_ASKING) {
        admitted(replica, answer);
    } else if (asked->kind == ASK_JOINED && answer->counter == 1 && link->actor != 0) {
        state->alone = link->actor;
        sources_reconsider(replica, link->actor);
    } else {
        ask_next_soon(replica);
    }
}

void joining_ask(struct replica *replica, struct link *link, const struct peer_ask *question)
{
    switch (question->kind) {
    case ASK_ADMIT:
        admitting_ask_admit(replica, link, question);
        return;
    case ASK_JOINED:
        admitting_ask_joined(replica, link, question);
        return;
    case ASK_CONSENT:
        admitting_ask_consent(replica, link, question);
        return;
    case ASK_HOLDS:
        break;
    case ASK_HEAD:
    case ASK_FENCE:
    case ASK_CHUNK:
    case ASK_NOTE:
    case ASK_RETIRE:
        return;
    }
    bool is_held = version_vector_get(&replica->held, question->actor) >= question->counter;
    struct peer_answer answer = {
        .token = question->token,
        .result = is_held ? ANSWER_OK : ANSWER_LATER,
        .actor = question->actor,
    };
    answer_send(replica, link, &answer);
}

// Nothing waits for it: what follows a record in the actions is sent when the record is durable.
void joining_saved(struct replica *replica, struct bytes key)
{
    (void)replica;
    (void)key;
}

// --- Being a member ----------------------------------------------------------------------------

// A member that no event names is the founder. Without memory the next tick does it.
static void know_founder(struct replica *replica)
{
    bool is_founder = replica->actor != 0 && replica->joining->phase == JOINING_NOT &&
                      !membership_of_actor(&replica->members, replica->actor);
    if (is_founder &&
        membership_add_founder(&replica->members, replica->actor, &replica->config.node,
                               replica->config.advertise.text) != 0) {
        replica->is_unfinished = true;
    }
}

// Everybody greets anew: what this node said of itself is no longer so.
static void greet_again(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        push_drop(replica, replica->links[i].id, 0, "this node is now actor %u",
                  (unsigned)replica->actor);
    }
}

static void forget_joining(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    state->phase = JOINING_NOT;
    state->become = (struct replica_become){0};
    state->is_again = false;
    push_record(replica, bytes_of_text(JOINING_KEY), bytes_of(NULL, 0));
}

void joining_became(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    const struct replica_become *become = &state->become;
    if (state->phase != JOINING_BECOMING) {
        return;
    }
    bool is_other_cluster = !uuid_equal(&replica->cluster, &become->cluster);
    if (is_other_cluster && replica->actor != 0) {
        promises_forget(replica); // those of an actor that is another node's there
    }
    replica->cluster = become->cluster;
    memcpy(replica->cluster_name, become->cluster_name, sizeof replica->cluster_name);
    replica->actor = become->actor;
    replica->clock = become->clock > replica->clock ? become->clock : replica->clock;
    state->phase = state->is_founding ? JOINING_NOT : JOINING_TELLING;
    state->is_founding = false;
    know_founder(replica);
    greet_again(replica);
    think_now(replica);
}

// A produce that was accepted before this node gave way, or lost its actor, has been committed.
void joining_kept(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    if (state->phase != JOINING_BECOMING || state->is_founding) {
        return;
    }
    bool is_taken = state->is_again;
    forget_joining(replica);
    if (is_taken) {
        raise_taken(replica);
    } else {
        push_report(replica, SEVERITY_WARNING,
                    "this node does not give way to the other cluster: it has stored events");
    }
    know_founder(replica);
    greet_again(replica);
    think_now(replica);
}

// Whether a member holds this node's admission (the one that holds: another may have become void),
// and this node all that the member had issued until then: among it may be a retirement about which
// this node was not asked.
static bool has_caught_up(struct replica *replica, struct link *link, const struct member *self)
{
    bool is_known = event_id_compare(link->knows_us, self->admitted) == 0;
    if (!is_known && version_vector_covers(&link->held, self->admitted)) {
        link->knows_us = self->admitted;
        link->knew_us_at = version_vector_get(&link->held, link->actor);
        is_known = true;
    }
    return is_known && version_vector_get(&replica->held, link->actor) >= link->knew_us_at;
}

// Whether everybody who must know of this node holds its admission. Members without a link are left
// out where not everybody has a link to everybody: nothing of this node's is in their order before
// what admitted it is, since its ids lie above that.
static bool is_known_to_all(struct replica *replica)
{
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    bool is_mesh = membership_active_count(&replica->members) <= LINKS_FULL_MESH;
    for (uint32_t i = 0; i < replica->members.count; i++) {
        const struct member *member = &replica->members.members[i];
        if (member->is_retired || uuid_equal(&member->node, &replica->config.node)) {
            continue;
        }
        struct link *link = link_of_node(replica, &member->node);
        if (link ? !has_caught_up(replica, link, self) : is_mesh) {
            (void)snprintf(replica->joining->phase_text, sizeof replica->joining->phase_text,
                           "admitted as actor %u, waiting until actor %u %.100s holds that",
                           (unsigned)replica->actor, (unsigned)member->actor, member->address);
            return false;
        }
    }
    return true;
}

// Whether a link names an actor that no event here does, and may bring the event. Who admits is a
// member, but not by any event in its own strand: that is in the strand of who admitted it.
static bool is_anybody_missing(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (link->is_ended || link->is_newcomer || link->is_copy ||
            version_vector_includes(&replica->held, &link->held)) {
            continue; // what is held is all that it could say
        }
        for (uint32_t k = 0; k < link->held.count; k++) {
            uint16_t actor = link->held.entries[k].actor;
            if (!membership_of_actor(&replica->members, actor)) {
                (void)snprintf(replica->joining->phase_text, sizeof replica->joining->phase_text,
                               "admitted as actor %u, fetching what made actor %u a member",
                               (unsigned)replica->actor, (unsigned)actor);
                return true;
            }
        }
    }
    return false;
}

// Whether somebody has said what there is: who admitted this node is the first to.
static bool has_heard(const struct replica *replica)
{
    for (uint32_t i = 0; i < replica->links_count; i++) {
        const struct link *link = &replica->links[i];
        if (!link->is_ended && !link->is_newcomer && !link->is_copy && link->is_noted) {
            return true;
        }
    }
    return membership_active_count(&replica->members) <= 1;
}

static void settle(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    bool is_ours = self && uuid_equal(&self->node, &replica->config.node) && !self->is_retired;
    if (!is_ours || replica->clock < self->admitted.counter) {
        return; // its ids must lie above its admission: the clock is being raised
    }
    bool is_settled =
        has_heard(replica) && !is_anybody_missing(replica) && is_known_to_all(replica);
    if (!IS_PLANTED(PLANTED_NEWCOMER_PRODUCES_EARLY) && !is_settled) {
        return;
    }
    forget_joining(replica);
    sources_reconsider_all(replica);
    promises_membership_changed(replica);
    (void)snprintf(state->phase_text, sizeof state->phase_text, "member");
    push_report(replica, SEVERITY_INFO, "this node is a member, as actor %u",
                (unsigned)replica->actor);
}

static void raise_clock(struct replica *replica, uint64_t counter)
{
    if (counter > replica->clock && counter > replica->raise_to) {
        replica->raise_to = counter; // at the end of the step
    }
}

void joining_member_event(struct replica *replica, const struct member_event *event)
{
    struct joining_state *state = replica->joining;
    admitting_member_event(replica, event);
    known_member_event(replica, event);
    if (replica->actor == 0 || !replica->has_started) {
        return;
    }
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    if (!self) {
        return;
    }
    bool is_ours = uuid_equal(&self->node, &replica->config.node);
    bool is_void = self->is_void && !self->is_sealed;
    if (!is_ours || is_void) {
        bool is_member = state->phase == JOINING_NOT || state->phase >= JOINING_TELLING;
        if (is_member) {
            lose_actor(replica);
        }
        return;
    }
    if (state->phase == JOINING_TELLING && !event_id_is_none(self->admitted)) {
        state->phase = JOINING_SETTLING;
        raise_clock(replica, self->admitted.counter);
        think_now(replica);
    }
}

// --- Time --------------------------------------------------------------------------------------

void joining_start(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    think_now(replica);
    known_start(replica);
    if (replica->actor == 0) {
        state->phase = JOINING_WAITING;
        state->become = (struct replica_become){0};
        return;
    }
    const struct member *self = membership_of_actor(&replica->members, replica->actor);
    bool is_told = state->become.actor == replica->actor &&
                   uuid_equal(&state->become.cluster, &replica->cluster);
    if (is_told) {
        bool is_admitted = self && uuid_equal(&self->node, &replica->config.node) &&
                           !event_id_is_none(self->admitted);
        memcpy(state->become.cluster_name, replica->cluster_name, sizeof replica->cluster_name);
        // They may be of the cluster that it gave way, under an actor that is another's here; those
        // of this one are told again.
        promises_forget(replica);
        state->phase = is_admitted ? JOINING_SETTLING : JOINING_TELLING;
        raise_clock(replica, is_admitted ? self->admitted.counter : 0);
        return;
    }
    bool is_changing = state->become.actor != 0 && state->become.actor != replica->actor &&
                       uuid_equal(&state->become.cluster, &replica->cluster);
    bool is_member = self && uuid_equal(&self->node, &replica->config.node) &&
                     (!self->is_void || self->is_sealed);
    if (is_changing && !is_member) {
        // the process died before its identity was written: what it was to have given up is not its
        (void)joining_again(replica, false);
        return;
    }
    state->become = (struct replica_become){0};
    know_founder(replica);
    self = membership_of_actor(&replica->members, replica->actor);
    if (self &&
        (!uuid_equal(&self->node, &replica->config.node) || (self->is_void && !self->is_sealed))) {
        lose_actor(replica);
    }
}

static void wait_for_peers(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    if (link_to_member(replica, 0)) {
        state->phase = JOINING_ASKING;
        return;
    }
    if (may_found(replica, state->phase_text, sizeof state->phase_text)) {
        found(replica);
    }
}

static void describe(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    char *text = state->phase_text;
    size_t size = sizeof state->phase_text;
    switch (state->phase) {
    case JOINING_NOT:
        (void)snprintf(text, size, "%s",
                       joining_knows_members(replica)
                           ? "member"
                           : "member, fetching again what its disk has lost about the others");
        return;
    case JOINING_WAITING:  // wait_for_peers
    case JOINING_SETTLING: // is_known_to_all
        if (text[0] == '\0' || strcmp(text, "member") == 0) {
            (void)snprintf(text, size, "waiting for the cluster");
        }
        return;
    case JOINING_ASKING:
        (void)snprintf(text, size, "asking to be admitted as a new actor%s%.180s",
                       state->told[0] != '\0' ? ": " : "", state->told);
        return;
    case JOINING_BECOMING:
        (void)snprintf(text, size, "becoming actor %u", (unsigned)state->become.actor);
        return;
    case JOINING_TELLING:
        (void)snprintf(text, size, "actor %u, waiting for its admission%s%.180s",
                       (unsigned)state->become.actor, state->told[0] != '\0' ? ": " : "",
                       state->told);
        return;
    }
}

void joining_tick(struct replica *replica)
{
    struct joining_state *state = replica->joining;
    state->due = INSTANT_NEVER;
    know_founder(replica);
    known_tick(replica);
    bool is_stranded =
        state->phase == JOINING_ASKING && !state->is_again && replica->held.count == 0;
    if (is_stranded && !link_to_member(replica, 0)) {
        state->phase = replica->actor != 0 ? JOINING_NOT : JOINING_WAITING;
    }
    if (state->phase == JOINING_WAITING) {
        wait_for_peers(replica);
    }
    bool is_asking = state->phase == JOINING_ASKING || state->phase == JOINING_TELLING ||
                     state->phase == JOINING_SETTLING; // somebody may be alone by now
    if (is_asking && instant_reached(state->next, replica->now)) {
        state->next = instant_add(replica->now, duration_ms(ASK_MS));
        ask(replica, state->phase == JOINING_ASKING ? ASK_ADMIT : ASK_JOINED);
    }
    if (state->phase == JOINING_SETTLING) {
        settle(replica);
    }
    if (state->phase != JOINING_NOT || state->admission.is_open) {
        state->due = instant_add(replica->now, duration_ms(TICK_MS));
    }
    admitting_tick(replica);
    describe(replica);
}

struct instant joining_deadline(const struct replica *replica)
{
    return replica->joining->due;
}
