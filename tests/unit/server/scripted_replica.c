#include "tests/unit/server/scripted_replica.h"

#include <stdlib.h>
#include <string.h>

enum { SCRIPTED_LINKS = 16, SCRIPTED_ACTORS = 8, REDIAL_MS = 100 };

struct scripted scripted;

static struct replica_action pending[8];
static uint32_t pending_count;
static uint16_t pending_actor;

struct scripted_peer {
    struct replica_address address;
    uint64_t dial; // 0: none is under way
    bool is_linked;
    struct instant next_at;
    link_id link;
};

struct replica {
    struct replica_config config;
    struct scripted_peer peers[PEER_ADDRESSES_MAX];
    struct strand_head heads[SCRIPTED_ACTORS + 1]; // by actor
    uint64_t dials;
    struct {
        link_id id;
        uint16_t actor;
        struct uuid node;
        uint32_t abilities;
    } links[SCRIPTED_LINKS];
};

void scripted_do(uint16_t actor, const struct replica_action *actions, uint32_t count)
{
    pending_actor = actor;
    memcpy(pending, actions, count * sizeof *actions);
    pending_count = count;
}

int replica_new(const struct replica_config *config, struct replica **replica_out)
{
    struct replica *replica = calloc(1, sizeof *replica);
    if (!replica) {
        return ERR_MEMORY;
    }
    replica->config = *config;
    for (uint32_t i = 0; i < config->peers_count; i++) {
        replica->peers[i].address = config->peers[i];
        replica->peers[i].next_at = config->now;
    }
    for (uint32_t i = 0; i < config->heads_count; i++) {
        replica->heads[config->heads[i].actor] = config->heads[i];
    }
    *replica_out = replica;
    return 0;
}

void replica_free(struct replica *replica)
{
    free(replica);
}

static struct replica_action *act(struct replica_actions *actions, enum replica_action_kind kind)
{
    struct replica_action *action = &actions->items[actions->count++];
    *action = (struct replica_action){.kind = kind};
    return action;
}

static void pull(struct replica *replica, link_id link, uint16_t actor,
                 struct replica_actions *actions)
{
    struct replica_action *action = act(actions, REPLICA_SEND);
    const struct strand_head *head = &replica->heads[actor];
    action->send.link = link;
    action->send.message = (struct peer_message){
        .kind = PEER_PULL,
        .pull = {.actor = actor, .from = head->last, .hash = head->hash},
    };
}

static void link_up(struct replica *replica, const struct replica_link_up *up,
                    struct replica_actions *actions)
{
    scripted.links_up++;
    if (replica->config.actor == 1 && up->hello->actor == 2) {
        scripted.link = up->id;
    }
    for (int i = 0; i < SCRIPTED_LINKS; i++) {
        if (replica->links[i].id == 0) {
            replica->links[i].id = up->id;
            replica->links[i].actor = up->hello->actor;
            replica->links[i].node = up->hello->node;
            replica->links[i].abilities = up->hello->abilities;
            break;
        }
    }
    for (int i = 0; i < PEER_ADDRESSES_MAX; i++) {
        if (up->dial != 0 && replica->peers[i].dial == up->dial) {
            replica->peers[i].is_linked = true;
        }
    }
    if (!scripted.pulls_nothing && up->dial != 0) {
        pull(replica, up->id, up->hello->actor, actions);
    }
}

static void link_down(struct replica *replica, const struct replica_link_down *down,
                      struct instant now)
{
    scripted.links_down++;
    scripted.refusal = down->refusal ? down->refusal : scripted.refusal;
    for (int i = 0; i < SCRIPTED_LINKS; i++) {
        if (replica->links[i].id == down->id) {
            replica->links[i].id = 0;
        }
    }
    for (int i = 0; i < PEER_ADDRESSES_MAX; i++) {
        struct scripted_peer *peer = &replica->peers[i];
        if (down->dial != 0 && peer->dial == down->dial) {
            peer->dial = 0;
            peer->is_linked = false;
            peer->next_at = instant_add(now, duration_ms(REDIAL_MS));
        }
    }
}

static void dial(struct replica *replica, struct instant now, struct replica_actions *actions)
{
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        struct scripted_peer *peer = &replica->peers[i];
        if (peer->dial == 0 && instant_reached(peer->next_at, now)) {
            struct replica_action *action = act(actions, REPLICA_CONNECT);
            peer->dial = ++replica->dials;
            action->connect.dial = peer->dial;
            action->connect.address = peer->address;
        }
    }
}

static void committed(struct replica *replica, const struct replica_committed *news)
{
    for (uint32_t i = 0; i < news->count; i++) {
        replica->heads[news->heads[i].actor] = news->heads[i];
    }
}

int replica_step(struct replica *replica, const struct replica_event *event,
                 struct replica_actions *actions)
{
    actions->count = 0;
    switch (event->kind) {
    case REPLICA_LINK_UP:
        link_up(replica, &event->link_up, actions);
        break;
    case REPLICA_LINK_DOWN:
        link_down(replica, &event->link_down, event->now);
        break;
    case REPLICA_APPLIED:
        scripted.applied += event->applied.outcome == APPLIED;
        scripted.duplicates += event->applied.outcome == APPLIED_DUPLICATE;
        scripted.others +=
            event->applied.outcome != APPLIED && event->applied.outcome != APPLIED_DUPLICATE;
        break;
    case REPLICA_COMMITTED:
        committed(replica, &event->committed);
        break;
    case REPLICA_MESSAGE:
        scripted.promises += event->message.message->kind == PEER_PROMISES;
        if (event->message.message->kind == PEER_CREDIT &&
            event->message.message->credit.counter > scripted.durable) {
            scripted.durable = event->message.message->credit.counter;
        }
        break;
    case REPLICA_SAVED:
        scripted.saved++;
        break;
    case REPLICA_MEMBER_EVENT:
        scripted.member_events++;
        break;
    case REPLICA_START:
    case REPLICA_TICK:
        dial(replica, event->now, actions);
        break;
    case REPLICA_REISSUED:
        scripted.reissued++;
        break;
    case REPLICA_FOUND:
        scripted.found = event->found;
        break;
    case REPLICA_RECORD_FOUND:
    case REPLICA_PROMISED:
    case REPLICA_BECAME:
    case REPLICA_KEPT:
    case REPLICA_RAISED:
    case REPLICA_COMMAND:
    case REPLICA_WANTS:
        break;
    }
    if (pending_actor == 0 || pending_actor == replica->config.actor) {
        for (uint32_t i = 0; i < pending_count; i++) {
            actions->items[actions->count++] = pending[i];
        }
        pending_count = 0;
    }
    return 0;
}

struct instant replica_deadline(const struct replica *replica)
{
    struct instant due = INSTANT_NEVER;
    for (uint32_t i = 0; i < replica->config.peers_count; i++) {
        if (replica->peers[i].dial == 0) {
            due = instant_earlier(due, replica->peers[i].next_at);
        }
    }
    return due;
}

enum replica_verdict replica_may_apply(struct replica *replica, link_id link, uint16_t actor,
                                       uint64_t first, uint64_t last,
                                       enum peer_refusal *refusal_out, struct reason *reason)
{
    return scripted.drops_chunks ? VERDICT_DROP : VERDICT_APPLY;
}

uint64_t replica_send_limit(const struct replica *replica, uint16_t actor)
{
    return scripted.send_limit > 0 ? scripted.send_limit : UINT64_MAX;
}

bool replica_may_produce(const struct replica *replica, struct reason *why)
{
    return true;
}

uint64_t replica_frontier(const struct replica *replica)
{
    return 0;
}

uint16_t replica_frontier_waits_for(const struct replica *replica)
{
    return 0;
}

void replica_held_by(const struct replica *replica, uint64_t held_out[REPLICAS_MAX])
{
    memset(held_out, 0, REPLICAS_MAX * sizeof *held_out);
    held_out[0] = replica->heads[replica->config.actor].last;
}

uint32_t replica_abilities(struct replica *replica)
{
    return PEER_ABILITIES;
}

uint32_t replica_links(const struct replica *replica, struct replica_link links_out[LINKS_MAX])
{
    uint32_t count = 0;
    for (int i = 0; i < SCRIPTED_LINKS && scripted.held; i++) {
        if (replica->links[i].id != 0) {
            links_out[count++] = (struct replica_link){
                .id = replica->links[i].id,
                .node = replica->links[i].node,
                .actor = replica->links[i].actor,
                .abilities = replica->links[i].abilities,
                .held = scripted.held,
            };
        }
    }
    return count;
}

uint32_t replica_active_count(const struct replica *replica)
{
    return 0;
}

uint32_t replica_members_count(const struct replica *replica)
{
    return 0;
}

void replica_member_at(const struct replica *replica, uint32_t index,
                       struct replica_member *member_out)
{
    *member_out = (struct replica_member){0};
}

uint32_t replica_alarms_count(const struct replica *replica)
{
    return 0;
}

struct replica_alarm replica_alarm_at(const struct replica *replica, uint32_t index)
{
    return (struct replica_alarm){.code = "", .text = ""};
}

struct replica_counts replica_counts(const struct replica *replica)
{
    return (struct replica_counts){0};
}

const char *replica_phase(const struct replica *replica)
{
    return "scripted";
}

bool replica_is_member(const struct replica *replica)
{
    return true;
}
